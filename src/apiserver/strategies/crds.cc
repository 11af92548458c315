// CustomResourceDefinitions are established the moment they are accepted: the registry serves a CRD as soon as it is
// stored.

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "base/strings.h"
#include "kube/field_error.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kResource = "customresourcedefinitions.apiextensions.k8s.io";
constexpr const char* kCleanup = "customresourcecleanup.apiextensions.k8s.io";
constexpr const char* kMessage = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition";

json::Value withNames(json::Arena& arena, json::Value crd) {
  json::Value names = crd["spec"]["names"];
  std::string kind = names["kind"].str();
  if (kind.empty()) return crd;
  names = orElse(arena, names, "singular", json::string(arena, toLower(kind)));
  names = orElse(arena, names, "listKind", json::string(arena, kind + "List"));
  return json::withPath(arena, crd, {"spec", "names"}, names);
}

struct Clash {
  std::string reason, message;
};

/// The first name of `crd` that another CRD of its group has. Upstream would not serve it; here the first kind found
/// under a name answers to it, and the condition says so.
std::optional<Clash> clashOf(const StrategyContext& context, json::Value crd) {
  std::optional<Clash> clash;
  std::string group = crd["spec"]["group"].str();
  json::Value mine = crd["spec"]["names"];
  context.state.forEach(kResource, "", [&](const store::VersionPtr& version) {
    if (clash || !version->key.ends_with("." + group)) return;
    json::Arena arena;
    auto other = json::parse(arena, version->bytes);
    if (!other.ok() || (*other)["spec"]["group"].asString() != group) return;
    if (other->at({"metadata", "name"}) == crd.at({"metadata", "name"})) return;
    json::Value theirs = (*other)["spec"]["names"];
    std::vector<std::string_view> taken = {theirs["plural"].asString(), theirs["singular"].asString()};
    for (json::Value name : theirs["shortNames"].items()) taken.push_back(name.asString());
    auto check = [&](std::string_view name, const char* reason) {
      if (!clash && !name.empty() && std::find(taken.begin(), taken.end(), name) != taken.end())
        clash = Clash{reason, fmt::format("{} is already in use", quote(name))};
    };
    check(mine["plural"].asString(), "PluralConflict");
    check(mine["singular"].asString(), "SingularConflict");
    for (json::Value name : mine["shortNames"].items()) check(name.asString(), "ShortNamesConflict");
    if (!clash && (mine["kind"] == theirs["kind"] || mine["kind"] == theirs["listKind"]))
      clash = Clash{"KindConflict", fmt::format("{} is already in use", quote(mine["kind"].asString()))};
    if (!clash && (mine["listKind"] == theirs["kind"] || mine["listKind"] == theirs["listKind"]))
      clash = Clash{"ListKindConflict", fmt::format("{} is already in use", quote(mine["listKind"].asString()))};
  });
  return clash;
}

json::Value established(const StrategyContext& context, json::Value crd) {
  json::Arena& arena = context.arena;
  json::Value status = crd["status"], conditions = status["conditions"];
  auto clash = clashOf(context, crd);
  if (clash && context.warnings)
    context.warnings->push_back(fmt::format("{}: {}; both kinds are served, but the name finds only one of them",
                                            crd.at({"metadata", "name"}).asString(), clash->message));
  conditions =
      clash
          ? withCondition(arena, conditions, "NamesAccepted", "False", clash->reason, clash->message, context.now)
          : withCondition(arena, conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found", context.now);
  conditions = withCondition(arena, conditions, "Established", "True", "InitialNamesAccepted",
                             "the initial names have been accepted", context.now);
  status = json::with(arena, status, "conditions", conditions);
  status = json::with(arena, status, "acceptedNames", crd["spec"]["names"]);
  json::Value stored = status["storedVersions"];
  auto had = stored.items();
  for (json::Value version : crd["spec"]["versions"].items()) {
    if (!version["storage"].asBool()) continue;
    if (std::none_of(had.begin(), had.end(), [&](json::Value v) { return v == version["name"]; }))
      stored = appended(arena, stored, version["name"]);
    break;
  }
  return json::with(arena, crd, "status", json::with(arena, status, "storedVersions", stored));
}

class CrdStrategy final : public Strategy {
 public:
  bool tracksGeneration() const override { return true; }
  bool unconditionalUpdate() const override { return false; }

  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value crd) const override {
    // Its objects go with it: whoever follows CRDs (platform's CrdFollower) deletes them and then lifts this finalizer.
    json::Arena& arena = context.arena;
    json::Value finalizers = crd["metadata"]["finalizers"];
    auto had = finalizers.items();
    if (std::none_of(had.begin(), had.end(), [](json::Value f) { return f.asString() == kCleanup; }))
      crd = json::withPath(arena, crd, {"metadata", "finalizers"},
                           appended(arena, finalizers, json::string(arena, kCleanup)));
    return established(context, withNames(arena, crd));
  }
  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value crd, json::Value old) const override {
    if (crd["spec"] == old["spec"]) return crd;
    crd = withNames(context.arena, crd);
    return crd["spec"] == old["spec"] ? crd : established(context, crd);
  }

  std::vector<Cause> validate(json::Value crd, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value spec = crd["spec"], before = old["spec"];
    if (old && spec == before) return storedVersions(crd);
    if (auto kinds = kube::kindsOfCrd(crd); !kinds.ok()) {
      // The schema said some of it already.
      auto said = kube::validate(*kube::builtinSchemas()->message(kMessage), crd);
      for (Cause& cause : kinds.error().causes)
        if (std::find(said.begin(), said.end(), cause) == said.end()) causes.push_back(std::move(cause));
    }
    if (!old) return causes;
    for (const char* field : {"group", "scope"})
      mustStay(causes, fmt::format("spec.{}", field), spec[field], before[field]);
    for (const char* field : {"kind", "plural"})
      mustStay(causes, fmt::format("spec.names.{}", field), spec["names"][field], before["names"][field]);
    for (Cause& cause : storedVersions(crd)) causes.push_back(std::move(cause));
    return causes;
  }

 private:
  /// Objects are stored in these versions: they cannot be dropped.
  static std::vector<Cause> storedVersions(json::Value crd) {
    std::vector<Cause> causes;
    json::Value stored = crd["status"]["storedVersions"];
    auto versions = crd["spec"]["versions"].items();
    for (size_t i = 0; i < stored.size(); ++i)
      if (std::none_of(versions.begin(), versions.end(), [&](json::Value v) { return v["name"] == stored[i]; }))
        causes.push_back(kube::invalid(fmt::format("status.storedVersions[{}]", i), kube::shown(stored[i]),
                                       "missing from spec.versions; all storedVersions must exist in spec.versions"));
    return causes;
  }
};

}  // namespace

void registerCrds(Registry& registry) { registry.addStrategy(kResource, std::make_unique<CrdStrategy>()); }

}  // namespace stoker::apiserver
