// fake_cluster.h: an API in memory for the agent's tests: list and watch by field selector, create, merge and strategic
// patches (as far as the agent sends them), deletion with grace and finalizers, TokenRequests. One thread.
#pragma once

#include <fmt/format.h>

#include <list>
#include <stdexcept>

#include "base/time.h"
#include "client/cache.h"
#include "client/cluster.h"
#include "json/json.h"

namespace stoker::node::testing {

class FakeCluster final : public client::Cluster {
 public:
  explicit FakeCluster(const Clock& clock) : clock_(clock) {}

  // ---- what tests do
  // -------------------------------------------------------------------------------------------------
  /// Stores an object given as JSON text; uid is made when missing.
  void put(const client::Gvr& gvr, const std::string& text) {
    auto doc = json::parseDoc(text);
    if (!doc.ok()) throw std::runtime_error(doc.error().message + " in " + text);
    store(gvr, doc->root, nullptr);
  }
  /// The object as JSON; null when absent.
  json::Doc get(const client::Gvr& gvr, const std::string& ns, const std::string& name) const {
    auto it = objects_.find({gvr, {ns, name}});
    return it == objects_.end() ? json::Doc{} : *json::parseDoc(*it->second.bytes);
  }
  /// DELETE as a client would; the pod's own grace when not given.
  void remove(const client::Gvr& gvr, const std::string& ns, const std::string& name,
              std::optional<int64_t> grace = {}) {
    client::Write write{.verb = client::Write::Verb::Delete,
                        .resource = gvr,
                        .namespace_ = ns,
                        .name = name,
                        .gracePeriodSeconds = grace};
    (void)apply(write);
  }
  /// The next `count` writes of pods fail.
  int failPodWrites = 0;
  int writes = 0;  ///< successful ones that changed something
  int podStatusWrites = 0;
  std::vector<std::string> eventReasons() const {
    std::vector<std::string> out;
    for (const auto& [id, object] : objects_)
      if (id.first.resource == "events") out.push_back((*json::parseDoc(*object.bytes))["reason"].str());
    return out;
  }

  // ---- Cluster
  // ---------------------------------------------------------------------------------------------------------
  void get(const client::Gvr& gvr, const std::string& ns, const std::string& name,
           client::Done<client::Object> done) override {
    auto it = objects_.find({gvr, {ns, name}});
    if (it == objects_.end())
      done(Error(Reason::NotFound, gvr.resource + " \"" + name + "\" not found"));
    else
      done(it->second);
  }
  void list(const client::Gvr& gvr, const client::ListOptions& options,
            client::Done<client::ObjectList> done) override {
    client::ObjectList out;
    out.resourceVersion = revision_;
    for (const auto& [id, object] : objects_)
      if (id.first == gvr && selects(object, options.namespace_, options.fieldSelector)) out.items.push_back(object);
    done(std::move(out));
  }
  std::unique_ptr<client::Subscription> watch(const client::Gvr& gvr, const client::WatchOptions& options,
                                              std::function<void(const client::WatchEvent&)> onEvent) override {
    for (const auto& [of, event] : history_)
      if (of == gvr && event.object.resourceVersion > options.resourceVersion &&
          selects(event.object, options.namespace_, options.fieldSelector))
        onEvent(event);
    watchers_.push_back({gvr, options, std::move(onEvent)});
    struct Ended final : client::Subscription {
      std::list<Watcher>* all;
      std::list<Watcher>::iterator self;
      ~Ended() override { all->erase(self); }
    };
    auto out = std::make_unique<Ended>();
    out->all = &watchers_;
    out->self = std::prev(watchers_.end());
    return out;
  }
  void write(std::vector<client::Write> writes, client::Mode mode,
             std::function<void(std::vector<Result<client::Object>>)> done) override {
    std::vector<Result<client::Object>> results;
    bool failed = false;
    for (const auto& one : writes) {
      if (failed && mode == client::Mode::Sequence)
        results.push_back(Error(Reason::Unknown, client::kAborted));
      else
        results.push_back(apply(one));
      failed = failed || !results.back().ok();
    }
    done(std::move(results));
  }

 private:
  using Id = std::pair<client::Gvr, client::Key>;
  struct Watcher {
    client::Gvr gvr;
    client::WatchOptions options;
    std::function<void(const client::WatchEvent&)> onEvent;
  };

  static std::string field(const client::Object& object, const std::string& path) {
    auto doc = json::parseDoc(*object.bytes);
    json::Value value = doc->root;
    size_t at = 0;
    while (at <= path.size()) {
      size_t dot = std::min(path.find('.', at), path.size());
      value = value[std::string_view(path).substr(at, dot - at)];
      at = dot + 1;
    }
    return value.str();
  }
  static bool selects(const client::Object& object, const std::string& ns, const std::string& selector) {
    if (!ns.empty() && object.namespace_ != ns) return false;
    if (selector.empty()) return true;
    bool equal = selector.find("!=") == std::string::npos;
    size_t at = selector.find(equal ? "=" : "!=");
    return (field(object, selector.substr(0, at)) == selector.substr(at + (equal ? 1 : 2))) == equal;
  }

  json::Value merge(json::Arena& arena, json::Value target, json::Value patch, bool strategic,
                    std::string_view key = {}) {
    if (strategic && patch.isArray() && (key == "conditions" || key == "podIPs" || key == "hostIPs")) {
      std::string_view by = key == "conditions" ? "type" : "ip";
      std::vector<json::Value> out(target.items().begin(), target.items().end());
      for (json::Value item : patch.items()) {
        bool found = false;
        for (json::Value& have : out)
          if (have[by] == item[by]) {
            have = merge(arena, have, item, strategic);
            found = true;
          }
        if (!found) out.push_back(merge(arena, json::Value(), item, strategic));
      }
      return json::array(arena, out);
    }
    if (!patch.isObject()) return json::clone(arena, patch);
    json::Value out = target.isObject() ? target : json::Object(arena).build();
    for (const json::Member& member : patch.members())
      out = member.value.isNull() ? json::without(arena, out, member.key)
                                  : json::with(arena, out, member.key,
                                               merge(arena, out[member.key], member.value, strategic, member.key));
    return out;
  }

  client::Object store(const client::Gvr& gvr, json::Value value, const client::Object* before) {
    json::Arena arena;
    if (!value["metadata"].has("uid"))
      value = json::withPath(arena, value, {"metadata", "uid"}, json::string(arena, fmt::format("uid-{}", ++nextUid_)));
    value = json::withPath(arena, value, {"metadata", "resourceVersion"}, json::string(arena, "0"));
    if (before &&
        *before->bytes == json::print(json::withPath(arena, value, {"metadata", "resourceVersion"},
                                                     json::string(arena, std::to_string(before->resourceVersion)))))
      return *before;
    ++writes;
    ++revision_;
    value =
        json::withPath(arena, value, {"metadata", "resourceVersion"}, json::string(arena, std::to_string(revision_)));
    client::Object object{value["metadata"]["namespace"].str(), value["metadata"]["name"].str(), revision_,
                          std::make_shared<const std::string>(json::print(value))};
    objects_[{gvr, {object.namespace_, object.name}}] = object;
    announce(gvr, before ? client::WatchEvent::Type::Modified : client::WatchEvent::Type::Added, object);
    return object;
  }
  void announce(const client::Gvr& gvr, client::WatchEvent::Type type, const client::Object& object) {
    history_.push_back({gvr, {type, object, {}}});
    std::vector<std::function<void(const client::WatchEvent&)>> receivers;
    for (const Watcher& watcher : watchers_)
      if (watcher.gvr == gvr && selects(object, watcher.options.namespace_, watcher.options.fieldSelector))
        receivers.push_back(watcher.onEvent);
    for (const auto& receiver : receivers) receiver({type, object, {}});
  }

  Result<client::Object> apply(const client::Write& write) {
    using Verb = client::Write::Verb;
    Id id{write.resource, {write.namespace_, write.name}};
    auto it = objects_.find(id);
    if (write.resource.resource == "pods" && failPodWrites > 0) {
      --failPodWrites;
      return Error(Reason::ServiceUnavailable, "the server is not available");
    }
    if (write.subresource == "token") {
      if (it == objects_.end()) return Error(Reason::NotFound, "serviceaccounts \"" + write.name + "\" not found");
      json::Arena arena;
      json::Value status = json::Object(arena)
                               .set("token", fmt::format("token-{}", ++nextToken_))
                               .set("expirationTimestamp", formatTime(clock_.now() + 1h))
                               .build();
      return client::Object{
          write.namespace_, write.name, 0,
          std::make_shared<const std::string>(json::print(json::object(arena, {{"status", status}})))};
    }
    if (write.verb == Verb::Create) {
      if (it != objects_.end()) return Error(Reason::AlreadyExists, write.name + " already exists");
      auto doc = json::parseDoc(write.body);
      if (!doc.ok()) return doc.error();
      return store(write.resource, doc->root, nullptr);
    }
    if (it == objects_.end()) return Error(Reason::NotFound, write.name + " not found");
    client::Object before = it->second;
    auto doc = json::parseDoc(*before.bytes);
    if (!write.uid.empty() && (*doc)["metadata"]["uid"].asString() != write.uid)
      return Error(Reason::Conflict, "the UID in the precondition does not match");
    json::Arena arena;
    if (write.verb == Verb::Patch) {
      auto patch = json::parseDoc(write.body);
      if (!patch.ok()) return patch.error();
      if (write.resource.resource == "pods" && write.subresource == "status") ++podStatusWrites;
      return store(write.resource,
                   merge(arena, doc->root, patch->root, write.patchType == client::PatchType::Strategic), &before);
    }
    json::Value metadata = (*doc)["metadata"];
    int64_t own = (*doc)["spec"]["terminationGracePeriodSeconds"].asInt(30);
    int64_t grace = write.resource.resource == "pods" ? write.gracePeriodSeconds.value_or(own) : 0;
    std::string_view phase = (*doc)["status"]["phase"].asString();
    if (!write.gracePeriodSeconds && (phase == "Succeeded" || phase == "Failed")) grace = 0;
    if (grace > 0 || !metadata["finalizers"].empty()) {
      json::Value value = json::withPath(arena, doc->root, {"metadata", "deletionTimestamp"},
                                         json::string(arena, formatTime(clock_.now() + std::chrono::seconds(grace))));
      value = json::withPath(arena, value, {"metadata", "deletionGracePeriodSeconds"}, json::number(arena, grace));
      return store(write.resource, value, &before);
    }
    ++writes;
    before.resourceVersion = ++revision_;
    objects_.erase(it);
    announce(write.resource, client::WatchEvent::Type::Deleted, before);
    return before;
  }

  const Clock& clock_;
  std::map<Id, client::Object> objects_;
  std::list<Watcher> watchers_;
  std::vector<std::pair<client::Gvr, client::WatchEvent>> history_;
  uint64_t revision_ = 1;
  int nextUid_ = 0, nextToken_ = 0;
};

}  // namespace stoker::node::testing
