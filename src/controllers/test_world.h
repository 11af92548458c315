// test_world.h
//
// For tests: a few objects in memory with what the API server does to them, as far as controllers depend on it
// (resourceVersions, uids, preconditions, graceful deletion, finalizers, no-op writes), feeding a View. Plans can be cut after
// any write.
#pragma once

#include <gtest/gtest.h>

#include <functional>

#include "client/cache.h"
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
    auto error = apply({.verb = client::Write::Verb::Create, .resource = client::gvrOf<T>(), .namespace_ = ns, .name = name, .body = text});
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
    auto error = apply({.verb = client::Write::Verb::Patch, .resource = client::gvrOf<T>(), .namespace_ = ns, .name = name,
                        .subresource = "*", .body = body});
    EXPECT_EQ(error, "") << body;
  }
  template <class T>
  void remove(const std::string& ns, const std::string& name, std::optional<int64_t> grace = 0) {
    apply({.verb = client::Write::Verb::Delete, .resource = client::gvrOf<T>(), .namespace_ = ns, .name = name, .gracePeriodSeconds = grace});
  }
  /// What an agent does at the end of a deleted pod.
  void finishDeletions() {
    std::vector<client::Key> gone;
    for (const auto& [id, text] : objects_)
      if (id.first.resource == "pods" && has(text, "deletionTimestamp")) gone.push_back(id.second);
    for (const client::Key& key : gone) erase({client::Gvr{"", "v1", "pods"}, key});
  }

  /// Applies the first `limit` writes (guards that change nothing are not counted: a cut behind them cuts nothing); stops at
  /// the first failure, as Mode::Sequence does. Returns how many were applied.
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
      out += id.first.groupResource() + " " + id.second.namespace_ + "/" + id.second.name + " " + json::print(scrub(arena, *json::parse(arena, text))) + "\n";
    }
    return out;
  }

 private:
  using Id = std::pair<client::Gvr, client::Key>;

  static bool has(const std::string& text, const char* member) {
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
      if (m.key == "resourceVersion" || m.key == "uid" || m.key.ends_with("Time") || m.key.ends_with("Timestamp") || m.key == "stoker.dev/restarts") continue;
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
      if (it != objects_.end()) return owner(it->second) != "" && owner(it->second) == owner(write.body) ? "" : "AlreadyExists " + write.name;
      body = json::withPath(arena, body, {"metadata", "uid"}, json::string(arena, "uid-" + std::to_string(++uids_)));
      body = json::withPath(arena, body, {"metadata", "name"}, json::string(arena, write.name));
      if (!write.namespace_.empty()) body = json::withPath(arena, body, {"metadata", "namespace"}, json::string(arena, write.namespace_));
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
      if (!graceful && object.at({"metadata", "finalizers"}).empty()) return erase(id), "";
      object = json::withPath(arena, object, {"metadata", "deletionTimestamp"}, json::string(arena, formatTime(now)));
      store(id, arena, object);
      return "";
    }
    json::Value next;
    json::Value body = *json::parse(arena, write.body);
    if (write.verb == client::Write::Verb::Update) {
      next = body;
    } else {
      if (write.subresource == "status") body = json::object(arena, {{"status", body["status"]}});
      else if (write.subresource.empty()) body = json::without(arena, body, "status");
      next = kube::mergePatch(arena, object, body);
    }
    if (json::print(next) != it->second) store(id, arena, next);
    if (next.at({"metadata", "deletionTimestamp"}).isString() && next.at({"metadata", "finalizers"}).empty() &&
        next.at({"spec", "finalizers"}).empty() && write.resource.resource != "pods")
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
    object = json::withPath(arena, object, {"metadata", "resourceVersion"}, json::string(arena, std::to_string(++version_)));
    objects_[id] = json::print(object);
    if (auto cache = caches_.find(id.first); cache != caches_.end())
      cache->second->put({.namespace_ = id.second.namespace_, .name = id.second.name, .resourceVersion = version_,
                          .bytes = std::make_shared<const std::string>(objects_[id])});
  }
  void erase(const Id& id) {
    objects_.erase(id);
    if (auto cache = caches_.find(id.first); cache != caches_.end()) cache->second->erase(id.second);
  }

  std::map<Id, std::string> objects_;
  std::map<client::Gvr, client::CacheBase*> caches_;
  uint64_t version_ = 0;
  int uids_ = 0;
};

}  // namespace stoker::controllers
