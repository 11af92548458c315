#include "kube/crd_of.h"

#include <fmt/format.h>

namespace stoker::kube::detail {

json::Value crdObject(json::Arena& arena, const api::Gvk& gvk, const CrdOptions& options, json::Value schema) {
  auto strings = [&](const std::vector<std::string>& list) {
    std::vector<json::Value> out;
    for (const std::string& item : list) out.push_back(json::string(arena, item));
    return json::array(arena, out);
  };
  json::Object names(arena);
  names.set("kind", gvk.kind)
      .set("listKind", std::string(gvk.kind) + "List")
      .set("plural", gvk.resource)
      .set("singular", options.singular);
  if (!options.shortNames.empty()) names.set("shortNames", strings(options.shortNames));
  if (!options.categories.empty()) names.set("categories", strings(options.categories));
  json::Object version(arena);
  version.set("name", gvk.version).set("served", true).set("storage", true);
  version.set("schema", json::Object(arena).set("openAPIV3Schema", schema).build());
  json::Value none = json::object(arena, std::span<const json::Member>());
  json::Object subresources(arena);
  if (options.status) subresources.set("status", none);
  if (!options.scale.specReplicas.empty())
    subresources.set("scale", json::Object(arena)
                                  .set("specReplicasPath", options.scale.specReplicas)
                                  .set("statusReplicasPath", options.scale.statusReplicas)
                                  .setNonEmpty("labelSelectorPath", options.scale.labelSelector)
                                  .build());
  if (!subresources.empty()) version.set("subresources", subresources.build());
  std::vector<json::Value> columns;
  for (const Column& column : options.columns) {
    json::Object one(arena);
    one.set("name", column.name)
        .set("type", column.type)
        .set("jsonPath", column.jsonPath)
        .setNonEmpty("description", column.description);
    if (column.priority > 0) one.set("priority", column.priority);
    columns.push_back(one.build());
  }
  if (!columns.empty()) version.set("additionalPrinterColumns", json::array(arena, columns));
  return json::Object(arena)
      .set("apiVersion", "apiextensions.k8s.io/v1")
      .set("kind", "CustomResourceDefinition")
      .set("metadata", json::Object(arena).set("name", fmt::format("{}.{}", gvk.resource, gvk.group)).build())
      .set("spec", json::Object(arena)
                       .set("group", gvk.group)
                       .set("names", names.build())
                       .set("scope", "Namespaced")
                       .set("versions", json::array(arena, {version.build()}))
                       .build())
      .build();
}

}  // namespace stoker::kube::detail
