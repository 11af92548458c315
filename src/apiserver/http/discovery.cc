#include "apiserver/http/discovery.h"

#include <algorithm>
#include <set>

namespace stoker::apiserver {
namespace {

// Groups in the order they are first served, versions within them in kube's preference order: GA before beta before
// alpha.
int versionRank(const std::string& version) {
  if (version.find("alpha") != std::string::npos) return 2;
  if (version.find("beta") != std::string::npos) return 1;
  return 0;
}

std::vector<std::pair<std::string, std::vector<std::string>>> groupsOf(const DiscoveryInput& input) {
  std::vector<std::pair<std::string, std::vector<std::string>>> out;
  auto add = [&](const std::string& group, const std::string& version) {
    if (group.empty()) return;
    auto it = std::find_if(out.begin(), out.end(), [&](const auto& g) { return g.first == group; });
    if (it == out.end()) it = out.insert(out.end(), {group, {}});
    if (std::find(it->second.begin(), it->second.end(), version) == it->second.end()) it->second.push_back(version);
  };
  for (const kube::KindPtr& kind : input.kinds.all()) add(kind->group, kind->version);
  for (const Review& review : input.reviews) add(review.group, review.version);
  for (auto& [group, versions] : out)
    std::stable_sort(versions.begin(), versions.end(), [](const auto& a, const auto& b) {
      int x = versionRank(a), y = versionRank(b);
      return x != y ? x < y : a > b;
    });
  return out;
}

json::Value strings(json::Arena& arena, const std::vector<std::string>& items) {
  std::vector<json::Value> out;
  for (const std::string& item : items) out.push_back(json::string(arena, item));
  return json::array(arena, out);
}

json::Value groupObject(json::Arena& arena, const std::string& name, const std::vector<std::string>& versions,
                        bool typed) {
  std::vector<json::Value> list;
  for (const std::string& version : versions)
    list.push_back(json::Object(arena).set("groupVersion", name + "/" + version).set("version", version).build());
  json::Object out(arena);
  if (typed) out.set("kind", "APIGroup").set("apiVersion", "v1");
  out.set("name", name).set("versions", json::array(arena, list)).set("preferredVersion", list[0]);
  return out.build();
}

json::Value resourceRow(json::Arena& arena, const std::string& name, const std::string& singular, bool namespaced,
                        const std::string& kind, const std::vector<std::string>& verbs, std::string_view group = {},
                        std::string_view version = {}) {
  json::Object row(arena);
  row.set("name", name)
      .set("singularName", singular)
      .set("namespaced", namespaced)
      .set("kind", kind)
      .set("verbs", strings(arena, verbs));
  row.setNonEmpty("group", group).setNonEmpty("version", version);
  return row.build();
}

}  // namespace

json::Value coreVersions(json::Arena& arena, const DiscoveryInput& input) {
  json::Value address =
      json::Object(arena).set("clientCIDR", "0.0.0.0/0").set("serverAddress", input.serverAddress).build();
  return json::Object(arena)
      .set("kind", "APIVersions")
      .set("versions", strings(arena, {"v1"}))
      .set("serverAddressByClientCIDRs", json::array(arena, {address}))
      .build();
}

json::Value groupList(json::Arena& arena, const DiscoveryInput& input) {
  std::vector<json::Value> groups;
  for (const auto& [name, versions] : groupsOf(input)) groups.push_back(groupObject(arena, name, versions, false));
  return json::Object(arena)
      .set("kind", "APIGroupList")
      .set("apiVersion", "v1")
      .set("groups", json::array(arena, groups))
      .build();
}

std::optional<json::Value> group(json::Arena& arena, const DiscoveryInput& input, const std::string& name) {
  for (const auto& [group, versions] : groupsOf(input))
    if (group == name) return groupObject(arena, name, versions, true);
  return std::nullopt;
}

std::optional<json::Value> resourceList(json::Arena& arena, const DiscoveryInput& input, const std::string& group,
                                        const std::string& version) {
  std::vector<json::Value> rows;
  for (const kube::KindPtr& kind : input.kinds.all()) {
    if (kind->group != group || kind->version != version) continue;
    json::Value row = resourceRow(arena, kind->resource, kind->singular, kind->namespaced, kind->kind, kind->verbs);
    if (!kind->shortNames.empty()) row = json::with(arena, row, "shortNames", strings(arena, kind->shortNames));
    if (!kind->categories.empty()) row = json::with(arena, row, "categories", strings(arena, kind->categories));
    rows.push_back(row);
    if (kind->hasStatus)
      rows.push_back(
          resourceRow(arena, kind->resource + "/status", "", kind->namespaced, kind->kind, {"get", "patch", "update"}));
    if (kind->scale)
      rows.push_back(resourceRow(arena, kind->resource + "/scale", "", kind->namespaced, "Scale",
                                 {"get", "patch", "update"}, "autoscaling", "v1"));
    for (const std::string& sub : input.subresources(*kind)) {
      // What these carry is theirs to say in their own documents; clients only look at name and verbs.
      static const std::map<std::string, std::tuple<std::string, std::vector<std::string>, std::string, std::string>>
          kKnown = {{"binding", {"Binding", {"create"}, "", ""}},
                    {"finalize", {"Namespace", {"update"}, "", ""}},
                    {"log", {"Pod", {"get"}, "", ""}},
                    {"token", {"TokenRequest", {"create"}, "authentication.k8s.io", "v1"}}};
      auto known = kKnown.find(sub);
      if (known == kKnown.end()) continue;
      const auto& [kindName, verbs, subGroup, subVersion] = known->second;
      rows.push_back(
          resourceRow(arena, kind->resource + "/" + sub, "", kind->namespaced, kindName, verbs, subGroup, subVersion));
    }
  }
  for (const Review& review : input.reviews)
    if (review.group == group && review.version == version)
      rows.push_back(resourceRow(arena, review.resource, "", review.namespaced, review.kind, {"create"}));
  if (rows.empty()) return std::nullopt;
  return json::Object(arena)
      .set("kind", "APIResourceList")
      .set("apiVersion", "v1")
      .set("groupVersion", group.empty() ? version : group + "/" + version)
      .set("resources", json::array(arena, rows))
      .build();
}

}  // namespace stoker::apiserver
