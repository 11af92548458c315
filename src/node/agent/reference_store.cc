#include "node/agent/reference_store.h"

#include "base/log.h"

namespace stoker::node {

void ReferenceStore::use(const std::string& podUid, const std::string& ns, const ReferenceNames& names) {
  auto& mine = byPod_[podUid];
  auto add = [&](bool secret, const std::string& name) {
    Id id{secret, ns, name};
    if (!mine.insert(id).second) return;
    Slot& slot = slots_[id];
    slot.users.insert(podUid);
    if (slot.watch) return;
    auto changed = [this, id] {
      auto it = slots_.find(id);
      if (it == slots_.end()) return;
      for (const std::string& user : it->second.users) onChange_(user);
    };
    client::Gvr resource{"", "v1", secret ? "secrets" : "configmaps"};
    slot.watch = std::make_unique<ObjectWatch>(
        cluster_, loop_, resource, ObjectWatch::Scope{.namespace_ = ns, .fieldSelector = "metadata.name=" + name},
        [changed](const client::Key&, const client::Object*) { changed(); }, changed);
    slot.watch->start();
  };
  for (const auto& name : names.configMaps) add(false, name);
  for (const auto& name : names.secrets) add(true, name);
}

void ReferenceStore::release(const std::string& podUid) {
  auto it = byPod_.find(podUid);
  if (it == byPod_.end()) return;
  for (const Id& id : it->second) {
    auto slot = slots_.find(id);
    if (slot == slots_.end()) continue;
    slot->second.users.erase(podUid);
    if (slot->second.users.empty()) slots_.erase(slot);
  }
  byPod_.erase(it);
}

bool ReferenceStore::ready(const std::string& podUid) const {
  auto it = byPod_.find(podUid);
  if (it == byPod_.end()) return true;
  for (const Id& id : it->second)
    if (!slots_.at(id).watch->synced()) return false;
  return true;
}

void ReferenceStore::fill(const std::string& podUid, References& out) const {
  auto it = byPod_.find(podUid);
  if (it == byPod_.end()) return;
  for (const Id& id : it->second) {
    auto& slot = (id.secret ? out.secrets : out.configMaps)[id.name];
    const client::Object* object = slots_.at(id).watch->find({id.ns, id.name});
    if (!object) continue;
    json::Arena arena;
    auto parsed = json::parse(arena, *object->bytes);
    if (!parsed.ok()) {
      log::warn("node", "{} {}/{}: {}", id.secret ? "secret" : "configmap", id.ns, id.name, parsed.error().message);
      continue;
    }
    slot = id.secret ? secretData(*parsed) : configMapData(*parsed);
  }
}

}  // namespace stoker::node
