// test_world.h
//
// For tests: a few objects in memory with what the API server does to them, as far as controllers depend on it
// (resourceVersions, uids, preconditions, graceful deletion, finalizers, no-op writes), feeding a View. Plans can be
// cut after any write.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "client/cache.h"
#include "client/loop.h"
#include "client/plan.h"
#include "kube/patch.h"

namespace stoker::controllers {

class TestWorld {
 public:
  explicit TestWorld(Time now) : now(now) {}
  TestWorld(const TestWorld&) = delete;

  Time now;
  client::View view;

  template <class T>
  void serve() {
    client::Cache<T>& cache = view.add<T>();
    caches_[client::gvrOf<T>()] = &cache;
  }

  /// Stores an object as if a user had created it; name, namespace, uid and times are filled in.
  template <class T>
  std::string create(const std::string& text) {
    json::Arena arena;
    auto object = json::parse(arena, text);
    EXPECT_TRUE(object.ok()) << text;
    std::string ns = object->at({"metadata", "namespace"}).str(), name = object->at({"metadata", "name"}).str();
    auto error = apply({.verb = client::Write::Verb::Create,
                        .resource = client::gvrOf<T>(),
                        .namespace_ = ns,
                        .name = name,
                        .body = text});
    EXPECT_EQ(error, "") << text;
    return name;
  }
  template <class T>
  const T* get(const std::string& ns, const std::string& name) const {
    return view.of<T>().get(ns, name);
  }
  template <class T>
  size_t count() const {
    return view.of<T>().size();
  }
  /// A merge patch by somebody else (status included).
  template <class T>
  void patch(const std::string& ns, const std::string& name, const std::string& body) {
    auto error = apply({.verb = client::Write::Verb::Patch,
                        .resource = client::gvrOf<T>(),
                        .namespace_ = ns,
                        .name = name,
                        .subresource = "*",
                        .body = body});
    EXPECT_EQ(error, "") << body;
  }
  template <class T>
  void remove(const std::string& ns, const std::string& name, std::optional<int64_t> grace = 0) {
    apply({.verb = client::Write::Verb::Delete,
           .resource = client::gvrOf<T>(),
           .namespace_ = ns,
           .name = name,
           .gracePeriodSeconds = grace});
  }
  bool has(const std::string& group, const std::string& resource, const std::string& ns,
           const std::string& name) const {
    return objects_.contains({client::Gvr{group, "v1", resource}, {ns, name}});
  }
  void drop(const std::string& group, const std::string& resource, const std::string& ns, const std::string& name) {
    erase({client::Gvr{group, "v1", resource}, {ns, name}});
  }
  /// What an agent does at the end of a deleted pod.
  void finishDeletions() {
    std::vector<client::Key> gone;
    for (const auto& [id, text] : objects_)
      if (id.first.resource == "pods" && states(text, "deletionTimestamp")) gone.push_back(id.second);
    for (const client::Key& key : gone) erase({client::Gvr{"", "v1", "pods"}, key});
  }

  /// Applies the first `limit` writes (guards that change nothing are not counted: a cut behind them cuts nothing);
  /// stops at the first failure, as Mode::Sequence does. Returns how many were applied.
  size_t apply(const client::Plan& plan, size_t limit = SIZE_MAX) {
    size_t done = 0;
    for (const client::Write& write : plan.writes) {
      if (done >= limit) break;
      lastError = apply(write);
      if (!lastError.empty()) break;
      if (write.body != "{}") ++done;
    }
    return done;
  }
  std::string lastError;

  /// All objects, for comparing end states: resourceVersions, uids and times are left out.
  std::string dump() const {
    std::string out;
    for (const auto& [id, text] : objects_) {
      json::Arena arena;
      out += id.first.groupResource() + " " + id.second.namespace_ + "/" + id.second.name + " " +
             json::print(scrub(arena, *json::parse(arena, text))) + "\n";
    }
    return out;
  }

 private:
  using Id = std::pair<client::Gvr, client::Key>;

  static bool states(const std::string& text, const char* member) {
    json::Arena arena;
    return json::parse(arena, text)->at({"metadata", member}).isString();
  }
  static json::Value scrub(json::Arena& arena, json::Value value) {
    if (value.isArray()) {
      std::vector<json::Value> items;
      for (json::Value item : value.items()) items.push_back(scrub(arena, item));
      return json::array(arena, items);
    }
    if (!value.isObject()) return value;
    std::vector<json::Member> members;
    for (const json::Member& m : value.members()) {
      if (m.key == "resourceVersion" || m.key == "uid" || m.key.ends_with("Time") || m.key.ends_with("Timestamp") ||
          m.key == "stoker.dev/restarts")
        continue;
      members.push_back({m.key, scrub(arena, m.value)});
    }
    return json::object(arena, members);
  }

  std::string apply(const client::Write& write) {
    Id id{write.resource, {write.namespace_, write.name}};
    auto it = objects_.find(id);
    json::Arena arena;
    if (write.verb == client::Write::Verb::Create) {
      json::Value body = *json::parse(arena, write.body);
      if (it != objects_.end())
        return owner(it->second) != "" && owner(it->second) == owner(write.body) ? "" : "AlreadyExists " + write.name;
      body = json::withPath(arena, body, {"metadata", "uid"}, json::string(arena, "uid-" + std::to_string(++uids_)));
      body = json::withPath(arena, body, {"metadata", "name"}, json::string(arena, write.name));
      if (!write.namespace_.empty())
        body = json::withPath(arena, body, {"metadata", "namespace"}, json::string(arena, write.namespace_));
      body = json::withPath(arena, body, {"metadata", "creationTimestamp"}, json::string(arena, formatTime(now)));
      if (write.resource.resource == "pods" && !body.at({"status", "phase"}))
        body = json::withPath(arena, body, {"status", "phase"}, json::string(arena, "Pending"));
      store(id, arena, body);
      return "";
    }
    if (it == objects_.end()) return write.verb == client::Write::Verb::Delete ? "" : "NotFound " + write.name;
    json::Value object = *json::parse(arena, it->second);
    std::string version = object.at({"metadata", "resourceVersion"}).str();
    if (!write.resourceVersion.empty() && write.resourceVersion != version) return "Conflict " + write.name;
    if (!write.uid.empty() && write.uid != object.at({"metadata", "uid"}).asString()) return "Conflict " + write.name;
    if (write.verb == client::Write::Verb::Delete) {
      bool pod = write.resource.resource == "pods";
      std::string phase = object.at({"status", "phase"}).str();
      bool graceful = pod && write.gracePeriodSeconds.value_or(30) > 0 && phase != "Failed" && phase != "Succeeded" &&
                      !object.at({"spec", "nodeName"}).asString().empty();
      const char* finalizer = write.propagation == "Foreground" ? "foregroundDeletion"
                              : write.propagation == "Orphan"   ? "orphan"
                                                                : nullptr;
      if (finalizer)
        object = json::withPath(arena, object, {"metadata", "finalizers"},
                                json::array(arena, {json::string(arena, finalizer)}));
      bool held = write.resource.resource == "namespaces" && !object.at({"spec", "finalizers"}).empty();
      if (!graceful && object.at({"metadata", "finalizers"}).empty() && !held) return erase(id), "";
      object = json::withPath(arena, object, {"metadata", "deletionTimestamp"}, json::string(arena, formatTime(now)));
      store(id, arena, object);
      return "";
    }
    json::Value next;
    json::Value body = *json::parse(arena, write.body);
    if (write.verb == client::Write::Verb::Update) {
      next = body;
    } else {
      if (write.subresource == "status")
        body = json::object(arena, {{"status", body["status"]}});
      else if (write.subresource.empty())
        body = json::without(arena, body, "status");
      next = kube::mergePatch(arena, object, body);
    }
    if (json::print(next) != it->second) store(id, arena, next);
    // A pod that ends gracefully is removed by its agent (finishDeletions), others with their last finalizer.
    bool pod = write.resource.resource == "pods";
    std::string phase = next.at({"status", "phase"}).str();
    bool running =
        pod && phase != "Failed" && phase != "Succeeded" && !next.at({"spec", "nodeName"}).asString().empty();
    if (next.at({"metadata", "deletionTimestamp"}).isString() && next.at({"metadata", "finalizers"}).empty() &&
        next.at({"spec", "finalizers"}).empty() && !running)
      erase(id);
    return "";
  }
  static std::string owner(const std::string& text) {
    json::Arena arena;
    for (json::Value o : json::parse(arena, text)->at({"metadata", "ownerReferences"}).items())
      if (o["controller"].asBool()) return o["uid"].str();
    return "";
  }
  void store(const Id& id, json::Arena& arena, json::Value object) {
    object =
        json::withPath(arena, object, {"metadata", "resourceVersion"}, json::string(arena, std::to_string(++version_)));
    bool fresh = !objects_.contains(id);
    objects_[id] = json::print(object);
    tell(id, fresh ? client::WatchEvent::Type::Added : client::WatchEvent::Type::Modified, objects_[id]);
    if (auto cache = caches_.find(id.first); cache != caches_.end())
      cache->second->put({.namespace_ = id.second.namespace_,
                          .name = id.second.name,
                          .resourceVersion = version_,
                          .bytes = std::make_shared<const std::string>(objects_[id])});
  }
  void erase(const Id& id) {
    std::string last = objects_[id];
    objects_.erase(id);
    ++version_;
    tell(id, client::WatchEvent::Type::Deleted, last);
    if (auto cache = caches_.find(id.first); cache != caches_.end()) cache->second->erase(id.second);
  }

  void tell(const Id& id, client::WatchEvent::Type type, const std::string& text) {
    for (const auto& [number, watcher] : watchers_)
      if (watcher.first == id.first) watcher.second({.type = type, .object = objectOf(id, text)});
  }
  client::Object objectOf(const Id& id, const std::string& text) const {
    json::Arena arena;
    uint64_t version = version_;
    if (objects_.contains(id))
      version = std::stoull(json::parse(arena, text)->at({"metadata", "resourceVersion"}).str());
    return {.namespace_ = id.second.namespace_,
            .name = id.second.name,
            .resourceVersion = version,
            .bytes = std::make_shared<const std::string>(text)};
  }

  friend class TestCluster;
  std::map<int, std::pair<client::Gvr, std::function<void(const client::WatchEvent&)>>> watchers_;
  int watcherNumber_ = 0;
  std::map<Id, std::string> objects_;
  std::map<client::Gvr, client::CacheBase*> caches_;
  uint64_t version_ = 0;
  int uids_ = 0;
};

/// The world as a Cluster that answers at once. Field selectors: metadata.name=X.
class TestCluster final : public client::Cluster {
 public:
  explicit TestCluster(TestWorld& world) : world_(world) {}

  void get(const client::Gvr& resource, const std::string& ns, const std::string& name,
           client::Done<client::Object> done) override {
    ++gets;
    TestWorld::Id id{resource, {ns, name}};
    auto it = world_.objects_.find(id);
    if (it == world_.objects_.end()) return done(Error(Reason::NotFound, name + " not found"));
    done(world_.objectOf(id, it->second));
  }
  void list(const client::Gvr& resource, const client::ListOptions& options,
            client::Done<client::ObjectList> done) override {
    client::ObjectList out{.resourceVersion = world_.version_};
    for (const auto& [id, text] : world_.objects_)
      if (id.first == resource && (options.namespace_.empty() || id.second.namespace_ == options.namespace_) &&
          selected(options.fieldSelector, id.second.name))
        out.items.push_back(world_.objectOf(id, text));
    done(std::move(out));
  }
  std::unique_ptr<client::Subscription> watch(const client::Gvr& resource, const client::WatchOptions& options,
                                              std::function<void(const client::WatchEvent&)> onEvent) override {
    struct Watch final : client::Subscription {
      Watch(TestWorld& w, int n) : world(w), number(n) {}
      ~Watch() override { world.watchers_.erase(number); }
      TestWorld& world;
      int number;
    };
    // What happened between list and watch; deletions in between are not replayed.
    for (const auto& [id, text] : world_.objects_)
      if (client::Object object = world_.objectOf(id, text); id.first == resource &&
                                                             object.resourceVersion > options.resourceVersion &&
                                                             selected(options.fieldSelector, object.name))
        onEvent({.type = client::WatchEvent::Type::Added, .object = object});
    int number = ++world_.watcherNumber_;
    world_.watchers_[number] = {resource, [selector = options.fieldSelector, onEvent](const client::WatchEvent& event) {
                                  if (selected(selector, event.object.name)) onEvent(event);
                                }};
    return std::make_unique<Watch>(world_, number);
  }
  void write(std::vector<client::Write> writes, client::Mode,
             std::function<void(std::vector<Result<client::Object>>)> done) override {
    std::vector<Result<client::Object>> results;
    for (const client::Write& write : writes) {
      ++this->writes;
      std::string error = world_.apply(write);
      TestWorld::Id id{write.resource, {write.namespace_, write.name}};
      auto it = world_.objects_.find(id);
      if (error.starts_with("Conflict"))
        results.push_back(Error(Reason::Conflict, error));
      else if (error.starts_with("NotFound"))
        results.push_back(Error(Reason::NotFound, error));
      else if (!error.empty())
        results.push_back(Error(Reason::AlreadyExists, error));
      else
        results.push_back(it == world_.objects_.end() ? client::Object{} : world_.objectOf(id, it->second));
    }
    done(std::move(results));
  }
  int gets = 0, writes = 0;

 private:
  static bool selected(const std::string& selector, const std::string& name) {
    return selector.empty() || selector == "metadata.name=" + name;
  }
  TestWorld& world_;
};

}  // namespace stoker::controllers
