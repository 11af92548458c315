#include "platform/resources.h"

namespace stoker::platform {

std::vector<controllers::CollectedResource> builtinResources() {
  std::vector<controllers::CollectedResource> out;
  for (const kube::KindPtr& kind : kube::builtinKinds()) {
    auto has = [&](const char* verb) { return std::find(kind->verbs.begin(), kind->verbs.end(), verb) != kind->verbs.end(); };
    if (has("list") && has("watch") && has("delete"))
      out.push_back({{kind->group, kind->version, kind->resource}, kind->kind, kind->namespaced});
  }
  return out;
}

CrdFollower::CrdFollower(client::Cluster& cluster, client::Loop& loop, std::function<void(const controllers::CollectedResource&)> added)
    : informer_(cluster, loop, {"apiextensions.k8s.io", "v1", "customresourcedefinitions"}, cache_) {
  informer_.onChange([this, added = std::move(added)](const client::Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after) {
    if (before || !after) return;
    const Crd* crd = cache_.get(key.namespace_, key.name);
    for (const Crd::Version& version : crd->spec.versions)
      if (version.storage) added({{crd->spec.group, version.name, crd->spec.names.plural}, crd->spec.names.kind, crd->spec.scope == "Namespaced"});
  });
}

}  // namespace stoker::platform
