#include "controllers/workloads/namespaces.h"

#include "base/log.h"

namespace stoker::controllers {
namespace {

/// How soon a namespace that still has content is looked at again: pods end in their own time.
constexpr Duration kContentPause = 500ms;
constexpr Duration kRetryPause = 1s;
constexpr const char* kRootCaName = "kube-root-ca.crt";
constexpr const char* kRootCaText =
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the "
    "internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

client::Write serviceAccountWrite(const std::string& ns) {
  json::Arena arena;
  json::Value body = json::object(arena, {{"apiVersion", json::string(arena, "v1")},
                                          {"kind", json::string(arena, "ServiceAccount")},
                                          {"metadata", json::object(arena, {{"name", json::string(arena, "default")},
                                                                            {"namespace", json::string(arena, ns)}})}});
  return {.resource = {"", "v1", "serviceaccounts"}, .namespace_ = ns, .name = "default", .body = json::print(body)};
}

client::Write rootCaWrite(const std::string& ns, const std::string& ca) {
  json::Arena arena;
  json::Value metadata = json::object(
      arena, {{"name", json::string(arena, kRootCaName)},
              {"namespace", json::string(arena, ns)},
              {"annotations", json::object(arena, {{"kubernetes.io/description", json::string(arena, kRootCaText)}})}});
  json::Value body = json::object(arena, {{"apiVersion", json::string(arena, "v1")},
                                          {"kind", json::string(arena, "ConfigMap")},
                                          {"metadata", metadata},
                                          {"data", json::object(arena, {{"ca.crt", json::string(arena, ca)}})}});
  return {.resource = {"", "v1", "configmaps"}, .namespace_ = ns, .name = kRootCaName, .body = json::print(body)};
}

}  // namespace

/// Watches the objects of one name in all namespaces and tells when one is deleted.
class NamespaceKeeper::Guard {
 public:
  Guard(NamespaceKeeper& keeper, client::Gvr resource, std::string name)
      : keeper_(keeper),
        resource_(std::move(resource)),
        selector_("metadata.name=" + std::move(name)),
        alive_(std::make_shared<bool>(true)) {}
  ~Guard() { *alive_ = false; }

  void start() {
    keeper_.cluster_.list(resource_, {.fieldSelector = selector_, .limit = 1},
                          [this, &loop = keeper_.loop_, alive = alive_](Result<client::ObjectList> list) {
                            loop.post([this, alive, ok = list.ok(), revision = list.ok() ? list->resourceVersion : 0] {
                              if (!*alive) return;
                              if (ok)
                                watch(revision);
                              else
                                retry();
                            });
                          });
  }

 private:
  void watch(uint64_t revision) {
    subscription_ =
        keeper_.cluster_.watch(resource_, {.fieldSelector = selector_, .resourceVersion = revision},
                               [this, &loop = keeper_.loop_, alive = alive_](const client::WatchEvent& event) {
                                 bool ended = event.type == client::WatchEvent::Type::Error;
                                 if (!ended && event.type != client::WatchEvent::Type::Deleted) return;
                                 loop.post([this, alive, ended, ns = event.object.namespace_] {
                                   if (!*alive) return;
                                   if (ended)
                                     retry();
                                   else
                                     keeper_.onNamespace(ns);
                                 });
                               });
  }
  /// What was deleted meanwhile is found by looking at all namespaces again.
  void retry() {
    subscription_.reset();
    keeper_.loop_.at(keeper_.loop_.now() + kRetryPause, [this, alive = alive_] {
      if (!*alive) return;
      start();
      for (const client::Key& key : keeper_.namespaces_.keys()) keeper_.onNamespace(key.name);
    });
  }
  NamespaceKeeper& keeper_;
  client::Gvr resource_;
  std::string selector_;
  std::unique_ptr<client::Subscription> subscription_;
  std::shared_ptr<bool> alive_;
};

/// One pass over all kinds of one namespace.
struct NamespaceKeeper::Cleaning {
  std::string ns;
  std::vector<CollectedResource> left;  // last one first
  bool foundAny = false;
};

NamespaceKeeper::NamespaceKeeper(client::Cluster& cluster, client::Loop& loop, std::vector<CollectedResource> resources,
                                 std::string rootCa)
    : cluster_(cluster),
      loop_(loop),
      rootCa_(std::move(rootCa)),
      informer_(cluster, loop, client::gvrOf<api::Namespace>(), namespaces_),
      alive_(std::make_shared<bool>(true)) {
  for (const CollectedResource& resource : resources) addResource(resource);
  informer_.onChange([this](const client::Key& key, const api::ObjectMeta*, const api::ObjectMeta* after) {
    if (after) onNamespace(key.name);
  });
  guards_.push_back(std::make_unique<Guard>(*this, client::Gvr{"", "v1", "serviceaccounts"}, "default"));
  guards_.push_back(std::make_unique<Guard>(*this, client::Gvr{"", "v1", "configmaps"}, kRootCaName));
}

NamespaceKeeper::~NamespaceKeeper() { *alive_ = false; }

void NamespaceKeeper::addResource(const CollectedResource& resource) {
  if (!resource.namespaced) return;
  for (const CollectedResource& known : resources_)
    if (known.resource.group == resource.resource.group && known.resource.resource == resource.resource.resource)
      return;
  resources_.push_back(resource);
}

void NamespaceKeeper::start() {
  informer_.start();
  for (auto& guard : guards_) guard->start();
}

void NamespaceKeeper::onNamespace(const std::string& name) {
  const api::Namespace* found = namespaces_.get("", name);
  if (!found) return;
  if (found->metadata.deleting())
    clean(name);
  else
    ensure(name);
}

void NamespaceKeeper::again(const std::string& ns, Duration pause) {
  if (!waiting_.insert(ns).second) return;
  loop_.at(loop_.now() + pause, [this, alive = alive_, ns] {
    if (!*alive) return;
    waiting_.erase(ns);
    onNamespace(ns);
  });
}

void NamespaceKeeper::ensure(const std::string& ns) {
  std::vector<client::Write> writes{serviceAccountWrite(ns)};
  if (!rootCa_.empty()) writes.push_back(rootCaWrite(ns, rootCa_));
  cluster_.write(std::move(writes), client::Mode::Each,
                 [this, &loop = loop_, alive = alive_, ns](const std::vector<Result<client::Object>>& results) {
                   bool failed = std::any_of(results.begin(), results.end(), [](const auto& r) {
                     return !r.ok() && r.error().reason != Reason::AlreadyExists &&
                            r.error().reason != Reason::NotFound && r.error().reason != Reason::Forbidden;
                   });
                   if (!failed) return;
                   loop.post([this, alive, ns] {
                     if (*alive) again(ns, kRetryPause);
                   });
                 });
}

void NamespaceKeeper::clean(const std::string& ns) {
  const api::Namespace* found = namespaces_.get("", ns);
  if (found->spec.finalizers.empty()) return;  // its content is gone already; something else holds it
  if (!cleaning_.insert(ns).second) return;
  auto cleaning = std::make_shared<Cleaning>();
  cleaning->ns = ns;
  cleaning->left = resources_;
  // Pods first: what they use must outlive them.
  std::stable_partition(cleaning->left.begin(), cleaning->left.end(),
                        [](const CollectedResource& r) { return r.resource.resource != "pods"; });
  listNext(cleaning);
}

void NamespaceKeeper::listNext(const std::shared_ptr<Cleaning>& cleaning) {
  if (cleaning->left.empty()) {
    cleaning_.erase(cleaning->ns);
    if (cleaning->foundAny)
      again(cleaning->ns, kContentPause);
    else
      finalize(cleaning->ns);
    return;
  }
  CollectedResource resource = cleaning->left.back();
  cleaning->left.pop_back();
  cluster_.list(resource.resource, {.namespace_ = cleaning->ns},
                [this, &loop = loop_, alive = alive_, cleaning, resource](Result<client::ObjectList> list) {
                  loop.post([this, alive, cleaning, resource, list = std::move(list)] {
                    if (!*alive) return;
                    if (!list.ok()) {
                      // A kind that is no longer served has no content.
                      if (list.error().reason != Reason::NotFound) cleaning->foundAny = true;
                      return listNext(cleaning);
                    }
                    std::vector<client::Write> deletes;
                    for (const client::Object& object : list->items)
                      deletes.push_back({.verb = client::Write::Verb::Delete,
                                         .resource = resource.resource,
                                         .namespace_ = cleaning->ns,
                                         .name = object.name,
                                         .propagation = "Background"});
                    if (deletes.empty()) return listNext(cleaning);
                    cleaning->foundAny = true;
                    cluster_.write(std::move(deletes), client::Mode::Each,
                                   [this, &loop = loop_, alive, cleaning](const std::vector<Result<client::Object>>&) {
                                     loop.post([this, alive, cleaning] {
                                       if (*alive) listNext(cleaning);
                                     });
                                   });
                  });
                });
}

void NamespaceKeeper::finalize(const std::string& ns) {
  auto entry = namespaces_.find("", ns);
  if (!entry || !entry->object.metadata.deleting()) return;
  client::Write write{.verb = client::Write::Verb::Update,
                      .resource = client::gvrOf<api::Namespace>(),
                      .name = ns,
                      .subresource = "finalize",
                      .body = finalizedNamespace(*entry->raw.bytes)};
  std::vector<client::Write> writes{std::move(write)};
  cluster_.write(std::move(writes), client::Mode::Each,
                 [this, &loop = loop_, alive = alive_, ns](const std::vector<Result<client::Object>>& results) {
                   if (!results.empty() && results[0].ok()) return;
                   loop.post([this, alive, ns] {
                     if (*alive) again(ns, kRetryPause);
                   });
                 });
}

std::string finalizedNamespace(const std::string& object) {
  json::Arena arena;
  auto parsed = json::parse(arena, object);
  if (!parsed.ok()) return object;
  std::vector<json::Value> left;
  for (json::Value finalizer : parsed->at({"spec", "finalizers"}).items())
    if (finalizer.asString() != "kubernetes") left.push_back(finalizer);
  return json::print(json::withPath(arena, *parsed, {"spec", "finalizers"}, json::array(arena, left)));
}

}  // namespace stoker::controllers
