// owner_graph.h
//
// Who owns whom, and what follows from it (kubernetes pkg/controller/garbagecollector). Pure: the graph is fed with
// objects, `decide` says what to write about one of them. The shell around it is garbage_collector.h.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "client/cache.h"

namespace stoker::controllers {

inline constexpr const char* kForegroundFinalizer = "foregroundDeletion";
inline constexpr const char* kOrphanFinalizer = "orphan";

/// A kind of object under collection.
struct CollectedResource {
  client::Gvr resource;
  std::string kind;
  bool namespaced = true;
};

/// An object, as far as ownership goes.
struct OwnedObject {
  size_t resource = 0;  ///< index into the graph's resources
  client::Key key;
  uint64_t version = 0;
  std::vector<api::OwnerReference> owners;
  std::vector<std::string> finalizers;
  bool deleting = false;

  bool has(std::string_view finalizer) const {
    return std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end();
  }
  bool deletingDependents() const { return deleting && has(kForegroundFinalizer); }
  bool orphaning() const { return deleting && has(kOrphanFinalizer); }
};

struct CollectorDecision {
  std::vector<client::Write> writes;
  std::vector<api::OwnerReference> unknown;  ///< owners not in the graph: ask the API, then decide again
  std::vector<std::string> next;             ///< uids to look at as well
};

class OwnerGraph {
 public:
  size_t addResource(CollectedResource resource);
  const std::vector<CollectedResource>& resources() const { return resources_; }

  /// Puts or replaces an object; returns the uids that must be looked at because of it.
  std::vector<std::string> put(const std::string& uid, OwnedObject object);
  std::vector<std::string> erase(const std::string& uid);
  const OwnedObject* find(const std::string& uid) const;
  size_t size() const { return objects_.size(); }
  /// All uids with owners, or being deleted with a finalizer of the collector's.
  std::vector<std::string> candidates() const;

  /// What the API says of an owner that is not in the graph.
  enum class Presence { Unknown, Absent, Present };
  using Ask = std::function<Presence(const OwnedObject& dependent, const api::OwnerReference& owner)>;
  CollectorDecision decide(const std::string& uid, const Ask& ask) const;

  /// The resource of an owner, if it is under collection and may own `dependent` (a namespaced kind cannot own a
  /// cluster-scoped object). Null otherwise: such references are left alone.
  const CollectedResource* resourceOf(const OwnedObject& dependent, const api::OwnerReference& owner) const;

 private:
  bool matches(const OwnedObject& dependent, const api::OwnerReference& reference, const OwnedObject& owner) const;
  void orphan(const std::string& uid, const OwnedObject& object, CollectorDecision& out) const;
  void finishForeground(const std::string& uid, const OwnedObject& object, CollectorDecision& out) const;
  client::Write patch(const OwnedObject& object, const char* member, json::Value value, json::Arena& arena) const;
  client::Write dropOwners(const OwnedObject& object, const std::set<std::string>& uids) const;
  client::Write dropFinalizer(const OwnedObject& object, const char* finalizer) const;
  std::vector<std::string> dependentsOf(const std::string& uid) const;

  std::vector<CollectedResource> resources_;
  std::unordered_map<std::string, OwnedObject> objects_;
  std::unordered_map<std::string, std::set<std::string>> dependents_;  // owner's uid (there or not) -> uids
};

}  // namespace stoker::controllers
