// kinds.h
//
// What the API serves: one KindInfo per resource, for built-in kinds from the resource table, for custom ones from
// their CRD. Everything above (verbs, discovery, tables, kubectl's short names) reads this and nothing else.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "kube/schema.h"

namespace stoker::kube {

/// A printer column: `jsonPath` for custom kinds; built-ins name a cell function of table.h by `name` instead.
struct Column {
  std::string name;
  std::string type = "string";  ///< string, integer, number, boolean, date
  std::string format;
  std::string description;
  int priority = 0;  ///< above 0: only with -o wide
  std::string jsonPath;
};

struct ScalePaths {
  std::string specReplicas, statusReplicas, labelSelector;  ///< JSON paths with a leading dot; selector may be empty
};

struct KindInfo {
  std::string group, version, kind, listKind;
  std::string resource, singular;  ///< plural and singular names
  bool namespaced = true;
  std::vector<std::string> shortNames, categories;
  std::vector<std::string> verbs;            ///< create delete deletecollection get list patch update watch
  bool hasStatus = false;                    ///< serves /status
  std::shared_ptr<const ScalePaths> scale;   ///< serves /scale
  bool custom = false;                       ///< from a CRD: no strategic merge, updates need a resourceVersion
  std::shared_ptr<const SchemaSet> schemas;  ///< keeps `schema` alive
  const Schema* schema = nullptr;
  std::vector<Column> columns;
  bool storage = true;  ///< this version is the one objects are stored in
  /// Field selectors beyond metadata.name and metadata.namespace: path -> path in the object ("spec.nodeName").
  std::vector<std::string> selectableFields;
  json::Value publishedSchema;  ///< custom: openAPIV3Schema for OpenAPI

  std::string apiVersion() const { return group.empty() ? version : group + "/" + version; }
  /// "pods" or "pytorchjobs.kubeflow.org", as in error messages and store keys.
  std::string groupResource() const { return group.empty() ? resource : resource + "." + group; }
};
using KindPtr = std::shared_ptr<const KindInfo>;

/// The built-in kinds served (the list), in discovery order.
const std::vector<KindPtr>& builtinKinds();

/// KindInfos of a CustomResourceDefinition object, one per served version. Invalid with causes when it is not
/// acceptable.
Result<std::vector<KindPtr>> kindsOfCrd(json::Value crd);

}  // namespace stoker::kube
