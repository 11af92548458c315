#include "controllers/workloads/owner_graph.h"

namespace stoker::controllers {

using client::Write;

size_t OwnerGraph::addResource(CollectedResource resource) {
  resources_.push_back(std::move(resource));
  return resources_.size() - 1;
}

const OwnedObject* OwnerGraph::find(const std::string& uid) const {
  auto it = objects_.find(uid);
  return it == objects_.end() ? nullptr : &it->second;
}

std::vector<std::string> OwnerGraph::dependentsOf(const std::string& uid) const {
  auto it = dependents_.find(uid);
  return it == dependents_.end() ? std::vector<std::string>{}
                                 : std::vector<std::string>(it->second.begin(), it->second.end());
}

std::vector<std::string> OwnerGraph::put(const std::string& uid, OwnedObject object) {
  std::vector<std::string> look;
  auto waits = [&](const std::string& owner) {
    const OwnedObject* o = find(owner);
    return o && (o->deletingDependents() || o->orphaning());
  };
  OwnedObject before;
  if (auto it = objects_.find(uid); it != objects_.end()) before = std::move(it->second);
  for (const auto& owner : before.owners)
    if (std::find(object.owners.begin(), object.owners.end(), owner) == object.owners.end()) {
      auto it = dependents_.find(owner.uid);
      if (it != dependents_.end()) {
        it->second.erase(uid);
        if (it->second.empty()) dependents_.erase(it);
      }
      if (waits(owner.uid)) look.push_back(owner.uid);
    }
  for (const auto& owner : object.owners) {
    dependents_[owner.uid].insert(uid);
    if (waits(owner.uid)) look.push_back(owner.uid);
  }
  bool starts = object.deletingDependents() && !before.deletingDependents();
  if (!object.owners.empty() || object.deletingDependents() || object.orphaning()) look.push_back(uid);
  objects_[uid] = std::move(object);
  if (starts)
    for (std::string& dependent : dependentsOf(uid)) look.push_back(std::move(dependent));
  return look;
}

std::vector<std::string> OwnerGraph::erase(const std::string& uid) {
  auto it = objects_.find(uid);
  if (it == objects_.end()) return {};
  std::vector<std::string> look = dependentsOf(uid);
  for (const auto& owner : it->second.owners) {
    if (auto d = dependents_.find(owner.uid); d != dependents_.end()) {
      d->second.erase(uid);
      if (d->second.empty()) dependents_.erase(d);
    }
    const OwnedObject* o = find(owner.uid);
    if (o && (o->deletingDependents() || o->orphaning())) look.push_back(owner.uid);
  }
  objects_.erase(it);
  return look;
}

std::vector<std::string> OwnerGraph::candidates() const {
  std::vector<std::string> out;
  for (const auto& [uid, object] : objects_)
    if (!object.owners.empty() || object.deletingDependents() || object.orphaning()) out.push_back(uid);
  std::sort(out.begin(), out.end());  // the same order in every run
  return out;
}

const CollectedResource* OwnerGraph::resourceOf(const OwnedObject& dependent, const api::OwnerReference& owner) const {
  size_t slash = owner.apiVersion.find('/');
  std::string_view group =
      slash == std::string::npos ? std::string_view() : std::string_view(owner.apiVersion).substr(0, slash);
  for (const CollectedResource& r : resources_)
    if (r.kind == owner.kind && r.resource.group == group)
      return r.namespaced && !resources_[dependent.resource].namespaced ? nullptr : &r;
  return nullptr;
}

bool OwnerGraph::matches(const OwnedObject& dependent, const api::OwnerReference& reference,
                         const OwnedObject& owner) const {
  const CollectedResource& resource = resources_[owner.resource];
  return resource.kind == reference.kind && owner.key.name == reference.name &&
         (!resource.namespaced || owner.key.namespace_ == dependent.key.namespace_);
}

CollectorDecision OwnerGraph::decide(const std::string& uid, const Ask& ask) const {
  CollectorDecision out;
  const OwnedObject* object = find(uid);
  if (!object) return out;
  if (object->orphaning()) {
    orphan(uid, *object, out);
    return out;
  }
  if (object->deletingDependents()) {
    finishForeground(uid, *object, out);
    return out;
  }
  if (object->deleting || object->owners.empty()) return out;

  bool solid = false, waiting = false;
  std::set<std::string> gone;  // dangling, or deleting their dependents
  for (const api::OwnerReference& reference : object->owners) {
    const OwnedObject* owner = find(reference.uid);
    if (owner && matches(*object, reference, *owner)) {
      if (owner->deletingDependents()) {
        waiting = true;
        gone.insert(reference.uid);
      } else {
        solid = true;
      }
      continue;
    }
    if (!resourceOf(*object, reference)) {
      solid = true;  // nobody knows: better kept for ever than deleted by mistake
      continue;
    }
    switch (ask(*object, reference)) {
      case Presence::Unknown:
        out.unknown.push_back(reference);
        break;
      case Presence::Present:
        solid = true;
        break;
      case Presence::Absent:
        gone.insert(reference.uid);
        break;
    }
  }
  if (!out.unknown.empty() || gone.empty()) return out;
  if (solid) {
    out.writes.push_back(dropOwners(*object, gone));
    return out;
  }
  std::string propagation = object->has(kOrphanFinalizer)       ? "Orphan"
                            : object->has(kForegroundFinalizer) ? "Foreground"
                                                                : "Background";
  std::vector<std::string> dependents = dependentsOf(uid);
  if (waiting && !dependents.empty()) {
    // In a circle of owners, everybody would wait for everybody: this one stops blocking its owners.
    bool circle = std::any_of(dependents.begin(), dependents.end(), [&](const std::string& d) {
      const OwnedObject* dependent = find(d);
      return dependent && dependent->deletingDependents();
    });
    if (circle &&
        std::any_of(object->owners.begin(), object->owners.end(), [](const auto& o) { return o.blockOwnerDeletion; })) {
      json::Arena arena;
      std::vector<api::OwnerReference> owners = object->owners;
      for (auto& owner : owners) owner.blockOwnerDeletion = false;
      out.writes.push_back(patch(*object, "ownerReferences", api::encode(arena, owners), arena));
      return out;
    }
    propagation = "Foreground";
  }
  const CollectedResource& resource = resources_[object->resource];
  out.writes.push_back({.verb = Write::Verb::Delete,
                        .resource = resource.resource,
                        .namespace_ = object->key.namespace_,
                        .name = object->key.name,
                        .resourceVersion = std::to_string(object->version),
                        .uid = uid,
                        .propagation = propagation});
  return out;
}

void OwnerGraph::orphan(const std::string& uid, const OwnedObject& object, CollectorDecision& out) const {
  for (const std::string& dependent : dependentsOf(uid))
    if (const OwnedObject* d = find(dependent)) out.writes.push_back(dropOwners(*d, {uid}));
  if (out.writes.empty()) out.writes.push_back(dropFinalizer(object, kOrphanFinalizer));
}

void OwnerGraph::finishForeground(const std::string& uid, const OwnedObject& object, CollectorDecision& out) const {
  bool blocked = false;
  for (const std::string& dependent : dependentsOf(uid)) {
    const OwnedObject* d = find(dependent);
    if (!d) continue;
    for (const api::OwnerReference& owner : d->owners)
      if (owner.uid == uid && owner.blockOwnerDeletion) blocked = true;
    if (!d->deleting) out.next.push_back(dependent);
  }
  if (!blocked) out.writes.push_back(dropFinalizer(object, kForegroundFinalizer));
}

Write OwnerGraph::patch(const OwnedObject& object, const char* member, json::Value value, json::Arena& arena) const {
  return {.verb = Write::Verb::Patch,
          .resource = resources_[object.resource].resource,
          .namespace_ = object.key.namespace_,
          .name = object.key.name,
          .body = json::print(json::withPath(arena, {}, {"metadata", member}, value)),
          .resourceVersion = std::to_string(object.version)};
}

Write OwnerGraph::dropOwners(const OwnedObject& object, const std::set<std::string>& uids) const {
  json::Arena arena;
  std::vector<api::OwnerReference> left;
  for (const auto& owner : object.owners)
    if (!uids.contains(owner.uid)) left.push_back(owner);
  return patch(object, "ownerReferences", api::encode(arena, left), arena);
}

Write OwnerGraph::dropFinalizer(const OwnedObject& object, const char* finalizer) const {
  json::Arena arena;
  std::vector<std::string> left;
  for (const std::string& f : object.finalizers)
    if (f != finalizer) left.push_back(f);
  return patch(object, "finalizers", api::encode(arena, left), arena);
}

}  // namespace stoker::controllers
