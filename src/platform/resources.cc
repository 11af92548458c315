#include "platform/resources.h"

namespace stoker::platform {

std::vector<controllers::CollectedResource> builtinResources() {
  std::vector<controllers::CollectedResource> out;
  for (const kube::KindPtr& kind : kube::builtinKinds()) {
    auto has = [&](const char* verb) {
      return std::find(kind->verbs.begin(), kind->verbs.end(), verb) != kind->verbs.end();
    };
    if (has("list") && has("watch") && has("delete"))
      out.push_back({{kind->group, kind->version, kind->resource}, kind->kind, kind->namespaced});
  }
  return out;
}

namespace {
const client::Gvr kCrds{"apiextensions.k8s.io", "v1", "customresourcedefinitions"};
// Objects with finalizers of their own take as long as those need; looked at again this often.
constexpr Duration kCleanPause = 1s;
}  // namespace

CrdFollower::CrdFollower(client::Cluster& cluster, client::Loop& loop,
                         std::function<void(const controllers::CollectedResource&)> added)
    : cluster_(cluster), loop_(loop), informer_(cluster, loop, kCrds, cache_) {
  informer_.onChange([this, added = std::move(added)](const client::Key& key, const api::ObjectMeta* before,
                                                      const api::ObjectMeta* after) {
    if (!after) return;
    const Crd* crd = cache_.get(key.namespace_, key.name);
    if (!before)
      for (const Crd::Version& version : crd->spec.versions)
        if (version.storage)
          added({{crd->spec.group, version.name, crd->spec.names.plural},
                 crd->spec.names.kind,
                 crd->spec.scope == "Namespaced"});
    if (after->deleting() && cleaning_.insert(key.name).second) clean(key.name);
  });
}

void CrdFollower::again(const std::string& name) {
  loop_.at(loop_.now() + kCleanPause, [this, alive = alive_, name] {
    if (*alive) clean(name);
  });
}

// Deletes what is there and looks again, until nothing is.
void CrdFollower::clean(const std::string& name) {
  const Crd* crd = cache_.get("", name);
  if (!crd || !crd->metadata.deleting()) {
    cleaning_.erase(name);
    return;
  }
  client::Gvr resource{crd->spec.group, "", crd->spec.names.plural};
  for (const Crd::Version& version : crd->spec.versions)
    if (version.storage) resource.version = version.name;
  cluster_.list(resource, {}, [this, alive = alive_, &loop = loop_, name, resource](Result<client::ObjectList> list) {
    loop.post([this, alive, name, resource, list = std::move(list)] {
      if (!*alive) return;
      if (!list.ok()) return again(name);
      if (list->items.empty()) return finish(name);
      std::vector<client::Write> deletes;
      for (const client::Object& object : list->items)
        deletes.push_back({.verb = client::Write::Verb::Delete,
                           .resource = resource,
                           .namespace_ = object.namespace_,
                           .name = object.name});
      cluster_.write(std::move(deletes), client::Mode::Each,
                     [this, alive, &loop = loop_, name](const std::vector<Result<client::Object>>&) {
                       loop.post([this, alive, name] {
                         if (*alive) again(name);
                       });
                     });
    });
  });
}

void CrdFollower::finish(const std::string& name) {
  const Crd* crd = cache_.get("", name);
  if (!crd) {
    cleaning_.erase(name);
    return;
  }
  json::Arena arena;
  std::vector<json::Value> left;
  for (const std::string& finalizer : crd->metadata.finalizers)
    if (finalizer != kCrdCleanupFinalizer) left.push_back(json::string(arena, finalizer));
  json::Value patch =
      json::Object(arena)
          .set("metadata", json::Object(arena)
                               .set("finalizers", left.empty() ? json::Value() : json::array(arena, left))
                               .set("resourceVersion", crd->metadata.resourceVersion)
                               .build())
          .build();
  std::vector<client::Write> writes{
      {.verb = client::Write::Verb::Patch, .resource = kCrds, .name = name, .body = json::print(patch)}};
  cluster_.write(std::move(writes), client::Mode::Each,
                 [this, alive = alive_, &loop = loop_, name](const std::vector<Result<client::Object>>& results) {
                   bool done = results[0].ok() || results[0].error().reason == Reason::NotFound;
                   loop.post([this, alive, name, done] {
                     if (!*alive) return;
                     if (done)
                       cleaning_.erase(name);
                     else
                       again(name);
                   });
                 });
}

}  // namespace stoker::platform
