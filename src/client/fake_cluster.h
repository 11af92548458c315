// fake_cluster.h: an API in memory for this folder's tests. Tests act as somebody else with put() and erase(), and
// decide what goes wrong: answers that come late, events that are held back, repeated or lost, watches that end, writes
// that fail.
#pragma once

#include <deque>
#include <list>
#include <stdexcept>

#include "base/ids.h"
#include "client/cache.h"
#include "client/cluster.h"
#include "json/json.h"
#include "kube/patch.h"

namespace stoker::client::testing {

class FakeCluster final : public Cluster {
 public:
  // ---- what others do
  // --------------------------------------------------------------------------------------------------
  /// Creates or replaces an object given as JSON text.
  template <class T>
  uint64_t put(const std::string& text) {
    json::Arena arena;
    auto parsed = json::parse(arena, text);
    if (!parsed.ok()) throw std::runtime_error(parsed.error().message);
    return store(gvrOf<T>(), arena, *parsed).resourceVersion;
  }
  template <class T>
  void erase(const std::string& ns, const std::string& name) {
    drop({gvrOf<T>(), {ns, name}});
  }
  template <class T>
  json::Doc object(const std::string& ns, const std::string& name) const {
    auto it = objects_.find({gvrOf<T>(), {ns, name}});
    return it == objects_.end() ? json::Doc{} : *json::parseDoc(*it->second.bytes);
  }
  std::vector<json::Doc> events() const {
    std::vector<json::Doc> out;
    for (const auto& [id, object] : objects_)
      if (id.first.resource == "events") out.push_back(*json::parseDoc(*object.bytes));
    return out;
  }
  uint64_t revision() const { return revision_; }

  // ---- what goes wrong
  // -------------------------------------------------------------------------------------------------
  /// Decides about each write before it is tried.
  std::function<std::optional<Error>(const Write&)> refuse;
  /// The next lists fail with these.
  std::deque<Error> failLists;
  /// The next watches end at once with these.
  std::deque<Error> failWatches;
  /// Answers of get and write wait for deliver(), as those of a distant server do.
  bool slow = false;
  /// Events wait for releaseEvents().
  bool holdEvents = false;
  /// Every event comes twice.
  bool repeatEvents = false;
  /// Sequences are cut behind this many writes, as if the writer had died: no answer comes.
  std::optional<size_t> cutAfter;

  void deliver() {
    while (!late_.empty()) {
      auto answer = std::move(late_.front());
      late_.pop_front();
      answer();
    }
  }
  size_t late() const { return late_.size(); }
  void releaseEvents() {
    holdEvents = false;
    for (const auto& [gvr, event] : std::exchange(held_, {})) announce(gvr, event);
  }
  /// Ends all watches with `error`.
  void breakWatches(const Error& error) {
    auto ended = std::exchange(watchers_, {});
    for (auto& watcher : ended) {
      WatchEvent event{.type = WatchEvent::Type::Error, .error = error};
      watcher->onEvent(event);
      watcher->over = true;
    }
  }
  /// Forgets what happened up to now: watches from before it are Expired.
  void compact() {
    history_.clear();
    oldest_ = revision_;
  }

  int lists = 0, watches = 0;
  std::vector<std::string> writes;  ///< all that were tried: "create pods default/a", in order

  // ---- Cluster
  // ---------------------------------------------------------------------------------------------------------
  void get(const Gvr& resource, const std::string& ns, const std::string& name, Done<Object> done) override {
    auto it = objects_.find({resource, {ns, name}});
    Result<Object> answer =
        it == objects_.end() ? Result<Object>(Error(Reason::NotFound, name + " not found")) : it->second;
    answerWith([done = std::move(done), answer = std::move(answer)] { done(answer); });
  }
  void list(const Gvr& resource, const ListOptions&, Done<ObjectList> done) override {
    ++lists;
    if (!failLists.empty()) {
      Error error = failLists.front();
      failLists.pop_front();
      return done(error);
    }
    ObjectList out{.resourceVersion = revision_};
    for (const auto& [id, object] : objects_)
      if (id.first == resource) out.items.push_back(object);
    done(std::move(out));
  }
  std::unique_ptr<Subscription> watch(const Gvr& resource, const WatchOptions& options,
                                      std::function<void(const WatchEvent&)> onEvent) override {
    ++watches;
    if (!failWatches.empty()) {
      onEvent({.type = WatchEvent::Type::Error, .error = failWatches.front()});
      failWatches.pop_front();
      return nullptr;
    }
    if (options.resourceVersion < oldest_) {
      onEvent({.type = WatchEvent::Type::Error, .error = Error(Reason::Expired, "too old resource version")});
      return nullptr;
    }
    for (const auto& [gvr, event] : history_)
      if (gvr == resource && event.object.resourceVersion > options.resourceVersion) onEvent(event);
    auto watcher = std::make_shared<Watcher>(Watcher{resource, std::move(onEvent)});
    watchers_.push_back(watcher);
    struct Handle final : Subscription {
      std::list<std::shared_ptr<Watcher>>* all = nullptr;
      std::shared_ptr<Watcher> self;
      ~Handle() override {
        if (!self->over) all->remove(self);
      }
    };
    auto handle = std::make_unique<Handle>();
    handle->all = &watchers_;
    handle->self = std::move(watcher);
    return handle;
  }
  void write(std::vector<Write> all, Mode mode, std::function<void(std::vector<Result<Object>>)> done) override {
    std::vector<Result<Object>> results;
    bool failed = false;
    for (const Write& one : all) {
      if (cutAfter && results.size() == *cutAfter && one.resource.resource != "events") return;
      if (failed && mode == Mode::Sequence)
        results.push_back(Error(Reason::Unknown, kAborted));
      else
        results.push_back(apply(one));
      failed = failed || !results.back().ok();
    }
    answerWith([done = std::move(done), results = std::move(results)] { done(results); });
  }
  size_t watching() const { return watchers_.size(); }

 private:
  using Id = std::pair<Gvr, Key>;
  struct Watcher {
    Gvr resource;
    std::function<void(const WatchEvent&)> onEvent;
    bool over = false;
  };

  void answerWith(std::function<void()> answer) {
    if (slow)
      late_.push_back(std::move(answer));
    else
      answer();
  }

  void announce(const Gvr& resource, const WatchEvent& event) {
    if (holdEvents) return held_.emplace_back(resource, event), void();
    auto now = watchers_;
    for (int times = repeatEvents ? 2 : 1; times > 0; --times)
      for (const auto& watcher : now)
        if (watcher->resource == resource && !watcher->over) watcher->onEvent(event);
  }

  Object store(const Gvr& resource, json::Arena& arena, json::Value value) {
    Id id{resource, {value.at({"metadata", "namespace"}).str(), value.at({"metadata", "name"}).str()}};
    auto before = objects_.find(id);
    if (value.at({"metadata", "uid"}).isNull())
      value = json::withPath(arena, value, {"metadata", "uid"}, json::string(arena, ids_.uid()));
    if (before != objects_.end() &&
        *before->second.bytes ==
            json::print(json::withPath(arena, value, {"metadata", "resourceVersion"},
                                       json::string(arena, std::to_string(before->second.resourceVersion)))))
      return before->second;  // a write that changes nothing bumps nothing
    ++revision_;
    value =
        json::withPath(arena, value, {"metadata", "resourceVersion"}, json::string(arena, std::to_string(revision_)));
    Object object{id.second.namespace_, id.second.name, revision_,
                  std::make_shared<const std::string>(json::print(value))};
    bool existed = before != objects_.end();
    objects_[id] = object;
    happen(resource, {.type = existed ? WatchEvent::Type::Modified : WatchEvent::Type::Added, .object = object});
    return object;
  }
  void happen(const Gvr& resource, WatchEvent event) {
    history_.emplace_back(resource, event);
    announce(resource, event);
  }
  Object drop(const Id& id) {
    Object last = objects_.at(id);
    objects_.erase(id);
    last.resourceVersion = ++revision_;
    happen(id.first, {.type = WatchEvent::Type::Deleted, .object = last});
    return last;
  }

  Result<Object> apply(const Write& write) {
    static constexpr const char* kVerbs[] = {"create", "update", "patch", "delete"};
    writes.push_back(std::string(kVerbs[static_cast<int>(write.verb)]) + " " + write.resource.resource + " " +
                     write.namespace_ + "/" + write.name);
    if (refuse)
      if (auto error = refuse(write)) return *error;
    Id id{write.resource, {write.namespace_, write.name}};
    auto it = objects_.find(id);
    json::Arena arena;
    if (write.verb == Write::Verb::Create) {
      if (it != objects_.end()) return Error(Reason::AlreadyExists, write.name + " already exists");
      json::Value body = *json::parse(arena, write.body);
      body = json::withPath(arena, body, {"metadata", "name"}, json::string(arena, write.name));
      body = json::withPath(arena, body, {"metadata", "namespace"}, json::string(arena, write.namespace_));
      return store(write.resource, arena, body);
    }
    if (it == objects_.end()) return Error(Reason::NotFound, write.name + " not found");
    json::Value current = *json::parse(arena, *it->second.bytes);
    if (!write.resourceVersion.empty() && write.resourceVersion != std::to_string(it->second.resourceVersion))
      return Error(Reason::Conflict, "the object has been modified");
    if (!write.uid.empty() && write.uid != current.at({"metadata", "uid"}).asString())
      return Error(Reason::Conflict, "the UID in the precondition does not match");
    if (write.verb == Write::Verb::Delete) return drop(id);
    json::Value body = *json::parse(arena, write.body);
    return store(write.resource, arena,
                 write.verb == Write::Verb::Patch ? kube::mergePatch(arena, current, body) : body);
  }

  SeededIds ids_{1};
  std::map<Id, Object> objects_;
  std::vector<std::pair<Gvr, WatchEvent>> history_, held_;
  std::list<std::shared_ptr<Watcher>> watchers_;
  std::deque<std::function<void()>> late_;
  uint64_t revision_ = 0, oldest_ = 0;
};

}  // namespace stoker::client::testing
