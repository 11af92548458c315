// Namespaces end in two steps: deletion makes them Terminating; they go when their content did and spec.finalizers is
// empty.

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "kube/field_error.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kFinalizer = "kubernetes";
constexpr const char* kNameLabel = "kubernetes.io/metadata.name";
// Without these the platform itself does not work.
constexpr std::string_view kProtected[] = {"default", "kube-system", "kube-public", "stoker-system"};

json::Value labelled(json::Arena& arena, json::Value object) {
  json::Value metadata = object["metadata"];
  return json::withPath(arena, object, {"metadata", "labels", kNameLabel}, metadata["name"]);
}

class NamespaceStrategy final : public Strategy {
 public:
  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value object) const override {
    json::Arena& arena = context.arena;
    json::Value finalizers = object["spec"]["finalizers"];
    auto items = finalizers.items();
    if (std::none_of(items.begin(), items.end(), [](json::Value f) { return f.asString() == kFinalizer; }))
      finalizers = appended(arena, finalizers, json::string(arena, kFinalizer));
    object = json::withPath(arena, object, {"spec", "finalizers"}, finalizers);
    object = json::with(arena, object, "status", json::Object(arena).set("phase", "Active").build());
    return labelled(arena, object);
  }
  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value object,
                                    json::Value old) const override {
    // spec.finalizers change through /finalize only.
    return labelled(context.arena, json::with(context.arena, object, "spec", old["spec"]));
  }
  std::vector<std::string> validateName(std::string_view name) const override { return kube::dns1123Label(name); }

  bool heldBack(json::Value object) const override { return !object["spec"]["finalizers"].empty(); }
  json::Value onDeletionStart(json::Arena& arena, json::Value object) const override {
    return json::withPath(arena, object, {"status", "phase"}, json::string(arena, "Terminating"));
  }
  Result<void> mayDelete(json::Value object) const override {
    std::string_view name = object.at({"metadata", "name"}).asString();
    if (std::find(std::begin(kProtected), std::end(kProtected), name) == std::end(kProtected)) return {};
    return refused("", "namespaces", name, "this namespace may not be deleted");
  }
};

Result<json::Value> finalize(const StrategyContext& context, json::Value object, json::Value body) {
  std::string_view name = object.at({"metadata", "name"}).asString(), given = body.at({"metadata", "name"}).asString();
  if (!given.empty() && given != name)
    return Error(Reason::BadRequest,
                 fmt::format("the name of the object ({}) does not match the name on the URL ({})", given, name));
  std::string_view revision = body.at({"metadata", "resourceVersion"}).asString();
  if (!revision.empty() && revision != object.at({"metadata", "resourceVersion"}).asString())
    return conflicting("", "namespaces", name,
                       "the object has been modified; please apply your changes to the latest version and try again");
  json::Value finalizers = body["spec"]["finalizers"];
  for (size_t i = 0; i < finalizers.size(); ++i) {
    auto problems = kube::qualifiedName(finalizers[i].asString());
    if (problems.empty()) continue;
    return invalidObject("", "Namespace", name,
                         kube::invalid(fmt::format("spec.finalizers[{}]", i), kube::shown(finalizers[i]), problems[0]));
  }
  if (finalizers.empty()) return json::withoutPath(context.arena, object, {"spec", "finalizers"});
  return json::withPath(context.arena, object, {"spec", "finalizers"}, finalizers);
}

}  // namespace

void registerNamespaces(Registry& registry) {
  registry.addStrategy("namespaces", std::make_unique<NamespaceStrategy>());
  registry.addSubresource("namespaces", "finalize", {.verbs = {"update"}, .apply = finalize});
}

}  // namespace stoker::apiserver
