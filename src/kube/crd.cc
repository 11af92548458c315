// What a CustomResourceDefinition serves (apiextensions-apiserver pkg/apis/apiextensions/validation and its naming
// rules).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/kinds.h"
#include "kube/names.h"
#include "kube/rebuild.h"

namespace stoker::kube {
namespace {

class Reader {
 public:
  explicit Reader(json::Value crd) : crd_(crd), spec_(crd["spec"]), names_(spec_["names"]) {}

  Result<std::vector<KindPtr>> read() {
    checkNames();
    checkVersions();
    std::vector<KindPtr> kinds;
    for (size_t i = 0; i < spec_["versions"].size(); ++i)
      if (auto kind = readVersion(spec_["versions"][i], indexPath("spec.versions", i)))
        kinds.push_back(std::move(kind));
    if (causes_.empty()) return kinds;
    Error error(Reason::Invalid, "");
    error.group = "apiextensions.k8s.io";
    error.kind = "CustomResourceDefinition";
    error.name = crd_["metadata"]["name"].str();
    std::string list;
    for (const Cause& cause : causes_) list += (list.empty() ? "" : ", ") + cause.field + ": " + cause.message;
    error.message = fmt::format("CustomResourceDefinition.apiextensions.k8s.io {} is invalid: {}", quote(error.name),
                                causes_.size() > 1 ? "[" + list + "]" : list);
    error.causes = std::move(causes_);
    return error;
  }

 private:
  void needs(std::string path, json::Value value, const std::vector<std::string>& problems) {
    if (value.asString().empty()) {
      causes_.push_back(required(std::move(path)));
      return;
    }
    for (const std::string& problem : problems) causes_.push_back(invalid(path, shown(value), problem));
  }

  void checkNames() {
    json::Value group = spec_["group"], plural = names_["plural"], kind = names_["kind"];
    std::vector<std::string> problems = dns1123Subdomain(group.asString());
    if (group.asString().find('.') == std::string_view::npos)
      problems.push_back("should be a domain with at least one dot");
    needs("spec.group", group, problems);
    needs("spec.names.plural", plural, dns1035Label(plural.asString()));
    needs("spec.names.kind", kind, kindName(kind.asString()));
    if (names_["singular"])
      needs("spec.names.singular", names_["singular"], dns1035Label(names_["singular"].asString()));
    if (names_["listKind"]) {
      needs("spec.names.listKind", names_["listKind"], kindName(names_["listKind"].asString()));
      if (names_["listKind"] == kind)
        causes_.push_back(invalid("spec.names.listKind", shown(kind), "kind and listKind may not be the same"));
    }
    for (const char* list : {"shortNames", "categories"})
      for (size_t i = 0; i < names_[list].size(); ++i)
        needs(indexPath(std::string("spec.names.") + list, i), names_[list][i],
              dns1035Label(names_[list][i].asString()));
    json::Value scope = spec_["scope"];
    if (!scope)
      causes_.push_back(required("spec.scope"));
    else if (scope.asString() != "Cluster" && scope.asString() != "Namespaced")
      causes_.push_back(unsupported("spec.scope", scope, {"Cluster", "Namespaced"}));
    json::Value name = crd_["metadata"]["name"];
    if (name.asString() != plural.str() + "." + group.str())
      causes_.push_back(invalid("metadata.name", quote(name.asString()), "must be spec.names.plural+\".\"+spec.group"));
    if (spec_["preserveUnknownFields"].asBool())
      causes_.push_back(invalid(
          "spec.preserveUnknownFields", "true",
          "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"));
    // Webhook conversion calls out to a server; here versions differ in name only.
    json::Value strategy = spec_["conversion"]["strategy"];
    if (strategy && strategy.asString() != "None")
      causes_.push_back(unsupported("spec.conversion.strategy", strategy, {"None"}));
  }

  static std::vector<std::string> kindName(std::string_view kind) {
    std::vector<std::string> problems;
    for (const std::string& problem : dns1035Label(toLower(kind)))
      problems.push_back("may have mixed case, but should otherwise match: " + problem);
    return problems;
  }

  void checkVersions() {
    json::Value versions = spec_["versions"];
    if (versions.empty()) {
      causes_.push_back(required("spec.versions", "must have at least one version"));
      return;
    }
    size_t storage = 0;
    std::set<std::string_view> seen;
    for (size_t i = 0; i < versions.size(); ++i) {
      json::Value name = versions[i]["name"];
      storage += versions[i]["storage"].asBool();
      needs(indexPath("spec.versions", i) + ".name", name, dns1035Label(name.asString()));
      if (!seen.insert(name.asString()).second)
        causes_.push_back(invalid("spec.versions", quote(name.asString()), "must contain unique version names"));
    }
    if (storage != 1)
      causes_.push_back(invalid("spec.versions", fmt::format("{}", storage),
                                "must have exactly one version marked as storage version"));
  }

  void columns(json::Value version, const std::string& path, KindInfo& kind) {
    kind.columns.push_back(
        {.name = "Name", .format = "name", .description = "Name must be unique within a namespace."});
    json::Value list = version["additionalPrinterColumns"];
    for (size_t i = 0; i < list.size(); ++i) {
      json::Value one = list[i];
      std::string at = indexPath(childPath(path, "additionalPrinterColumns"), i);
      static const std::vector<std::string> types = {"boolean", "date", "integer", "number", "string"};
      if (one["name"].asString().empty()) causes_.push_back(required(at + ".name"));
      if (one["jsonPath"].asString().empty())
        causes_.push_back(required(at + ".jsonPath"));
      else if (one["jsonPath"].asString()[0] != '.' && one["jsonPath"].asString()[0] != '[' &&
               one["jsonPath"].asString()[0] != '{')
        causes_.push_back(
            invalid(at + ".jsonPath", shown(one["jsonPath"]), "must be a JSON path that starts with a dot"));
      if (one["type"].asString().empty())
        causes_.push_back(required(at + ".type"));
      else if (std::find(types.begin(), types.end(), one["type"].asString()) == types.end())
        causes_.push_back(unsupported(at + ".type", one["type"], types));
      Column column;
      column.name = one["name"].str();
      column.type = one["type"].str();
      column.format = one["format"].str();
      column.description = one["description"].str();
      column.priority = static_cast<int>(one["priority"].asInt());
      column.jsonPath = one["jsonPath"].str();
      kind.columns.push_back(std::move(column));
    }
    if (kind.columns.size() == 1)
      kind.columns.push_back(
          {.name = "Age",
           .type = "date",
           .description =
               "CreationTimestamp is a timestamp representing the server time when this object was created. It is not "
               "guaranteed to be set in happens-before order across separate operations.",
           .jsonPath = ".metadata.creationTimestamp"});
  }

  void underPath(const std::string& path, json::Value value, bool optional,
                 std::initializer_list<std::string_view> roots) {
    std::string_view text = value.asString();
    if (text.empty()) {
      if (!optional) causes_.push_back(required(path));
      return;
    }
    bool under = std::any_of(roots.begin(), roots.end(),
                             [&](std::string_view root) { return text.starts_with(std::string(root) + "."); });
    if (!under)
      causes_.push_back(invalid(path, shown(value),
                                roots.size() > 1 ? "should be a json path under either .status or .spec"
                                                 : fmt::format("should be a json path under {}", *roots.begin())));
  }

  void subresources(json::Value version, const std::string& path, KindInfo& kind) {
    json::Value given = version["subresources"];
    kind.hasStatus = given["status"].isObject();
    json::Value scale = given["scale"];
    if (!scale.isObject()) return;
    std::string at = path + ".subresources.scale";
    underPath(at + ".specReplicasPath", scale["specReplicasPath"], false, {".spec"});
    underPath(at + ".statusReplicasPath", scale["statusReplicasPath"], false, {".status"});
    underPath(at + ".labelSelectorPath", scale["labelSelectorPath"], true, {".spec", ".status"});
    kind.scale = std::make_shared<ScalePaths>(ScalePaths{
        scale["specReplicasPath"].str(), scale["statusReplicasPath"].str(), scale["labelSelectorPath"].str()});
  }

  /// Null when the version is not served; its schema is checked all the same.
  KindPtr readVersion(json::Value version, const std::string& path) {
    auto kind = std::make_shared<KindInfo>();
    kind->custom = true;
    kind->group = spec_["group"].str();
    kind->version = version["name"].str();
    kind->kind = names_["kind"].str();
    kind->listKind = names_["listKind"] ? names_["listKind"].str() : kind->kind + "List";
    kind->resource = names_["plural"].str();
    kind->singular = names_["singular"] ? names_["singular"].str() : toLower(kind->kind);
    kind->namespaced = spec_["scope"].asString() == "Namespaced";
    for (json::Value name : names_["shortNames"].items()) kind->shortNames.push_back(name.str());
    for (json::Value name : names_["categories"].items()) kind->categories.push_back(name.str());
    kind->verbs = {"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"};
    kind->storage = version["storage"].asBool();
    columns(version, path, *kind);
    subresources(version, path, *kind);
    json::Value fields = version["selectableFields"];
    for (size_t i = 0; i < fields.size(); ++i) {
      std::string_view at = fields[i]["jsonPath"].asString();
      if (at.size() < 2 || at[0] != '.')
        causes_.push_back(invalid(indexPath(path + ".selectableFields", i) + ".jsonPath", shown(fields[i]["jsonPath"]),
                                  "must be a simple JSON path such as .spec.color"));
      else
        kind->selectableFields.emplace_back(at.substr(1));
    }
    json::Value schema = version["schema"]["openAPIV3Schema"];
    std::string at = path + ".schema.openAPIV3Schema";
    if (!schema) {
      causes_.push_back(required(at, "schemas are required"));
      return nullptr;
    }
    auto converted = crdSchema(schema, at);
    if (!converted.ok()) {
      for (Cause& cause : converted.error().causes) causes_.push_back(std::move(cause));
      return nullptr;
    }
    kind->schemas = converted->owner;
    kind->schema = converted->root;
    kind->publishedSchema = converted->root->openapi;
    return version["served"].asBool() ? kind : nullptr;
  }

  json::Value crd_, spec_, names_;
  std::vector<Cause> causes_;
};

}  // namespace

Result<std::vector<KindPtr>> kindsOfCrd(json::Value crd) { return Reader(crd).read(); }

}  // namespace stoker::kube
