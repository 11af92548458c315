#include "kube/openapi.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/strings.h"
#include "kube/rebuild.h"
#include "kube/tables.h"

namespace stoker::kube {
namespace {

constexpr std::string_view kMeta = "k8s.io.apimachinery.pkg.apis.meta.v1.";
constexpr std::string_view kPatch = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// "k8s.io.api.core.v1.Pod" -> "io.k8s.api.core.v1.Pod", the name clients know it by.
std::string definitionName(std::string_view message) {
  std::string out = "io.k8s." + std::string(message.substr(std::string_view("k8s.io.").size()));
  if (size_t at = out.find("apiextensions_apiserver"); at != std::string::npos) out[at + 13] = '-';
  return out;
}

/// Group "kubeflow.org", v1, PyTorchJob -> "org.kubeflow.v1.PyTorchJob".
std::string definitionName(const KindInfo& kind, std::string_view name) {
  auto labels = split(kind.group, '.');
  std::string out;
  for (auto label = labels.rbegin(); label != labels.rend(); ++label) out += std::string(*label) + ".";
  return out + kind.version + "." + std::string(name);
}

/// Comments of messages ("" -> the message's own) and fields, from the table.
using Comments = std::map<std::string_view, std::map<std::string_view, std::string_view>, std::less<>>;
Comments readComments() {
  Comments out;
  std::map<std::string_view, std::string_view>* message = nullptr;
  for (std::string_view row : split(data::kdescriptions, '\n')) {
    if (row.empty()) continue;
    auto cells = split(row, '\t');
    if (row[0] == '=')
      (*(message = &out[cells[0].substr(1)]))[""] = cells[1];
    else
      (*message)[cells[0]] = cells[1];
  }
  return out;
}

std::string unescaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size())
      out += text[++i] == 'n' ? '\n' : text[i];
    else
      out += text[i];
  }
  return out;
}

std::string pascal(std::string_view text) {
  std::string out;
  for (std::string_view part : split(text, '.'))
    if (!part.empty())
      out += static_cast<char>(std::toupper(static_cast<unsigned char>(part[0]))), out += part.substr(1);
  return out;
}

constexpr const char* kApiVersionText =
    "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized "
    "schemas to the "
    "latest internal value, and may reject unrecognized values. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
constexpr const char* kKindText =
    "Kind is a string value representing the REST resource this object represents. Servers may infer this from the "
    "endpoint the "
    "client submits requests to. Cannot be updated. In CamelCase. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";

class Document {
 public:
  explicit Document(std::span<const KindPtr> kinds) : kinds_(kinds), comments_(readComments()) {}

  json::Value build() {
    for (const KindPtr& kind : kinds_) {
      if (kind->custom)
        customKind(*kind);
      else
        builtinKind(*kind);
      addPaths(*kind);
    }
    for (const char* name : {"DeleteOptions", "Status"}) {
      std::string message = std::string(kMeta) + name;
      definition(*builtinSchemas()->message(message));
      groupVersionKinds_[definitionName(message)].push_back(groupVersionKind("", "v1", name));
    }
    definitions_[std::string(kPatch)] =
        json::Object(arena_)
            .set("type", "object")
            .set("description",
                 "Patch is provided to give a concrete name and type to the Kubernetes PATCH request body.")
            .build();
    json::Object definitions(arena_), paths(arena_);
    for (auto& [name, value] : definitions_) {
      auto kinds = groupVersionKinds_.find(name);
      definitions.set(
          name, kinds == groupVersionKinds_.end()
                    ? value
                    : json::with(arena_, value, "x-kubernetes-group-version-kind", json::array(arena_, kinds->second)));
    }
    for (auto& [path, value] : paths_) paths.set(path, value);
    return json::Object(arena_)
        .set("swagger", "2.0")
        .set("info", json::Object(arena_).set("title", "Kubernetes").set("version", "v1.35.4").build())
        .set("paths", paths.build())
        .set("definitions", definitions.build())
        .set("securityDefinitions", json::Object(arena_)
                                        .set("BearerToken", json::Object(arena_)
                                                                .set("description", "Bearer Token authentication")
                                                                .set("in", "header")
                                                                .set("name", "authorization")
                                                                .set("type", "apiKey")
                                                                .build())
                                        .build())
        .set("security",
             json::array(arena_, {json::Object(arena_).set("BearerToken", json::array(arena_, {})).build()}))
        .build();
  }

 private:
  // ---- definitions
  // ---------------------------------------------------------------------------------------------------

  json::Value groupVersionKind(std::string_view group, std::string_view version, std::string_view kind) {
    return json::Object(arena_).set("group", group).set("version", version).set("kind", kind).build();
  }

  std::string comment(std::string_view message, std::string_view field) const {
    auto found = comments_.find(message);
    if (found == comments_.end()) return {};
    auto text = found->second.find(field);
    return text == found->second.end() ? std::string() : unescaped(text->second);
  }

  json::Value reference(std::string_view name) { return json::string(arena_, "#/definitions/" + std::string(name)); }

  void scalar(const Schema& schema, json::Object& out) {
    using Type = Schema::Type;
    switch (schema.type) {
      case Type::Integer:
        out.set("type", "integer").set("format", schema.isInt32 ? "int32" : "int64");
        break;
      case Type::Number:
        out.set("type", "number").set("format", "double");
        break;
      case Type::Boolean:
        out.set("type", "boolean");
        break;
      case Type::Bytes:
        out.set("type", "string").set("format", "byte");
        break;
      default:
        out.set("type", "string");
        break;
    }
  }

  /// How a value of this type is written where it is used: messages by reference.
  void use(const Schema& schema, json::Object& out) {
    switch (schema.type) {
      case Schema::Type::Array: {
        out.set("type", "array");
        json::Object items(arena_);
        use(*schema.items, items);
        out.set("items", items.build());
        if (!schema.builtin() && !schema.listMapKeys.empty()) {
          std::vector<json::Value> keys;
          for (const std::string& key : schema.listMapKeys) keys.push_back(json::string(arena_, key));
          out.set("x-kubernetes-list-map-keys", json::array(arena_, keys));
        }
        if (schema.listType == Schema::ListType::Map) out.set("x-kubernetes-list-type", "map");
        if (schema.listType == Schema::ListType::Set) out.set("x-kubernetes-list-type", "set");
        if (schema.listType == Schema::ListType::Atomic) out.set("x-kubernetes-list-type", "atomic");
        break;
      }
      case Schema::Type::Map: {
        json::Object items(arena_);
        use(*schema.items, items);
        out.set("type", "object").set("additionalProperties", items.build());
        if (schema.atomicMap) out.set("x-kubernetes-map-type", "atomic");
        break;
      }
      default:
        if (schema.name.find('.') == std::string::npos) {
          scalar(schema, out);
        } else {
          definition(schema);
          out.set("$ref", reference(definitionName(schema.name)));
        }
    }
  }

  void properties(const Schema& schema, json::Object& out, std::vector<json::Value>& required) {
    for (const Field& field : schema.fields) {
      if (field.inlined) {
        properties(*field.schema, out, required);
        continue;
      }
      json::Object property(arena_);
      use(*field.schema, property);
      std::string text = field.name == "apiVersion" && schema.typeMeta ? kApiVersionText
                         : field.name == "kind" && schema.typeMeta     ? kKindText
                                                                       : comment(schema.name, field.name);
      property.setNonEmpty("description", text);
      if (field.patchMerge || field.patchRetainKeys)
        property.set("x-kubernetes-patch-strategy", field.patchMerge && field.patchRetainKeys ? "merge,retainKeys"
                                                    : field.patchMerge                        ? "merge"
                                                                                              : "retainKeys");
      property.setNonEmpty("x-kubernetes-patch-merge-key", field.mergeKey);
      out.set(field.name, property.build());
      if (field.required) required.push_back(json::string(arena_, field.name));
    }
  }

  void definition(const Schema& schema) {
    std::string name = definitionName(schema.name);
    if (definitions_.contains(name)) return;
    definitions_[name] = {};  // cycles end here
    json::Object out(arena_);
    out.setNonEmpty("description", comment(schema.name, ""));
    switch (schema.type) {
      case Schema::Type::Object: {
        json::Object members(arena_);
        std::vector<json::Value> required;
        properties(schema, members, required);
        out.set("type", "object");
        if (!members.empty()) out.set("properties", members.build());
        if (!required.empty()) out.set("required", json::array(arena_, required));
        if (schema.atomicMap) out.set("x-kubernetes-map-type", "atomic");
        break;
      }
      case Schema::Type::Array:
        out.set("type", "array").set("items", json::Object(arena_).set("type", "string").build());
        break;
      case Schema::Type::Time:
      case Schema::Type::MicroTime:
        out.set("type", "string").set("format", "date-time");
        break;
      case Schema::Type::Quantity:
        out.set("type", "string");
        break;
      case Schema::Type::IntOrString:
        out.set("type", "string").set("format", "int-or-string");
        break;
      case Schema::Type::Any:
        // JSON may be anything, so it has no type; the others hold objects.
        if (!schema.name.ends_with(".JSON")) out.set("type", "object");
        break;
      default:
        break;
    }
    definitions_[name] = out.build();
  }

  void builtinKind(const KindInfo& kind) {
    definition(*kind.schema);
    groupVersionKinds_[definitionName(kind.schema->name)].push_back(
        groupVersionKind(kind.group, kind.version, kind.kind));
    if (const Schema* list = builtinSchemas()->message(kind.schema->name + "List")) {
      definition(*list);
      groupVersionKinds_[definitionName(list->name)].push_back(
          groupVersionKind(kind.group, kind.version, kind.listKind));
    }
  }

  /// A node of a custom schema in the words of v2, which has no anyOf, oneOf, not and nullable (apiextensions
  /// ToStructuralOpenAPIV2).
  json::Value downgraded(json::Value node) {
    static constexpr std::string_view kKept[] = {
        "description",      "type",     "format",           "title",      "default",   "maximum",
        "exclusiveMaximum", "minimum",  "exclusiveMinimum", "maxLength",  "minLength", "pattern",
        "maxItems",         "minItems", "uniqueItems",      "multipleOf", "enum",      "maxProperties",
        "minProperties",    "required", "example"};
    bool nullable = node["nullable"].asBool();
    bool preserve = node["x-kubernetes-preserve-unknown-fields"].asBool();
    json::Object out(arena_);
    for (const json::Member& member : node.members()) {
      bool kept = std::find(std::begin(kKept), std::end(kKept), member.key) != std::end(kKept);
      if (nullable && member.key == "type") continue;
      if (kept || (member.key.starts_with("x-kubernetes-"))) out.set(member.key, member.value);
    }
    // Old clients refuse what they do not know: a free-form object is published without its known part.
    if (nullable || preserve) return out.build();
    if (json::Value given = node["properties"]; given.isObject() || node["x-kubernetes-embedded-resource"].asBool()) {
      json::Object members(arena_);
      for (const json::Member& member : given.members()) members.set(member.key, downgraded(member.value));
      if (node["x-kubernetes-embedded-resource"].asBool()) addTypeMeta(members);
      out.set("properties", members.build());
    }
    if (json::Value items = node["items"]; items.isObject()) out.set("items", downgraded(items));
    if (json::Value extra = node["additionalProperties"]; extra.isObject() || extra.isBool())
      out.set("additionalProperties", extra.isObject() ? downgraded(extra) : extra);
    return out.build();
  }

  void addTypeMeta(json::Object& members) {
    members.set("apiVersion", json::Object(arena_).set("type", "string").set("description", kApiVersionText).build());
    members.set("kind", json::Object(arena_).set("type", "string").set("description", kKindText).build());
    members.set("metadata", json::Object(arena_)
                                .set("$ref", reference("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"))
                                .set("description", "Standard object's metadata.")
                                .build());
  }

  void customKind(const KindInfo& kind) {
    definition(*builtinSchemas()->message(std::string(kMeta) + "ObjectMeta"));
    definition(*builtinSchemas()->message(std::string(kMeta) + "ListMeta"));
    std::string name = definitionName(kind, kind.kind), list = definitionName(kind, kind.listKind);
    json::Value root = downgraded(kind.publishedSchema);
    json::Object members(arena_);
    for (const json::Member& member : root["properties"].members()) members.set(member.key, member.value);
    addTypeMeta(members);
    definitions_[name] = json::with(arena_, json::with(arena_, root, "properties", members.build()), "type",
                                    json::string(arena_, "object"));
    groupVersionKinds_[name] = {groupVersionKind(kind.group, kind.version, kind.kind)};
    json::Object listMembers(arena_);
    addTypeMeta(listMembers);
    listMembers.set(
        "metadata",
        json::Object(arena_).set("$ref", reference("io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta")).build());
    listMembers.set("items", json::Object(arena_)
                                 .set("type", "array")
                                 .set("items", json::Object(arena_).set("$ref", reference(name)).build())
                                 .build());
    definitions_[list] = json::Object(arena_)
                             .set("description", kind.listKind + " is a list of " + kind.kind)
                             .set("type", "object")
                             .set("required", json::array(arena_, {json::string(arena_, "items")}))
                             .set("properties", listMembers.build())
                             .build();
    groupVersionKinds_[list] = {groupVersionKind(kind.group, kind.version, kind.listKind)};
  }

  // ---- paths
  // ---------------------------------------------------------------------------------------------------------

  json::Value parameter(std::string_view in, std::string_view name, std::string_view type, std::string_view text) {
    json::Object out(arena_);
    out.set("in", in).set("name", name).set("type", type).set("description", text).set("uniqueItems", true);
    if (in == "path") out.set("required", true);
    return out.build();
  }
  json::Value query(std::string_view name, std::string_view text, std::string_view type = "string") {
    return parameter("query", name, type, text);
  }
  json::Value body(std::string_view definition, bool required = true) {
    json::Object out(arena_);
    out.set("in", "body")
        .set("name", "body")
        .set("schema", json::Object(arena_).set("$ref", reference(definition)).build());
    if (required) out.set("required", true);
    return out.build();
  }
  json::Value dryRun() {
    return query("dryRun", "When present, indicates that modifications should not be persisted. Valid values are: All");
  }
  json::Value fieldManager() {
    return query("fieldManager",
                 "fieldManager is a name associated with the actor or entity that is making these changes.");
  }
  json::Value fieldValidation() {
    return query("fieldValidation",
                 "fieldValidation instructs the server on how to handle objects in the request (POST/PUT/PATCH) "
                 "containing unknown or "
                 "duplicate fields. Valid values are: Ignore, Warn, Strict.");
  }
  void addListParameters(std::vector<json::Value>& out) {
    out.push_back(
        query("allowWatchBookmarks", "allowWatchBookmarks requests watch events with type \"BOOKMARK\".", "boolean"));
    out.push_back(query("continue", "The continue option should be set when retrieving more results from the server."));
    out.push_back(query("fieldSelector", "A selector to restrict the list of returned objects by their fields."));
    out.push_back(query("labelSelector", "A selector to restrict the list of returned objects by their labels."));
    out.push_back(query("limit", "limit is a maximum number of responses to return for a list call.", "integer"));
    out.push_back(query("resourceVersion",
                        "resourceVersion sets a constraint on what resource versions a request may be served from."));
    out.push_back(
        query("resourceVersionMatch", "resourceVersionMatch determines how resourceVersion is applied to list calls."));
    out.push_back(
        query("sendInitialEvents", "`sendInitialEvents=true` may be set together with `watch=true`.", "boolean"));
    out.push_back(query("timeoutSeconds", "Timeout for the list/watch call.", "integer"));
    out.push_back(
        query("watch", "Watch for changes to the described resources and return them as a stream.", "boolean"));
  }
  void addDeleteParameters(std::vector<json::Value>& out) {
    out.push_back(dryRun());
    out.push_back(
        query("gracePeriodSeconds", "The duration in seconds before the object should be deleted.", "integer"));
    out.push_back(query("orphanDependents", "Deprecated: please use the PropagationPolicy.", "boolean"));
    out.push_back(query("propagationPolicy", "Whether and how garbage collection will be performed."));
  }

  struct Verb {
    const char* method;
    const char* action;
    const char* name;  // of the operationId
  };

  json::Value operation(const KindInfo& kind, const Verb& verb, std::string_view suffix, std::string_view scope,
                        std::vector<json::Value> parameters, std::string_view response,
                        std::initializer_list<const char*> codes) {
    json::Object out(arena_), responses(arena_);
    auto texts = [&](std::initializer_list<const char*> list) {
      std::vector<json::Value> values;
      for (const char* one : list) values.push_back(json::string(arena_, one));
      return json::array(arena_, values);
    };
    bool patch = std::string_view(verb.method) == "patch";
    if (patch && kind.custom)
      out.set("consumes",
              texts({"application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"}));
    else if (patch)
      out.set("consumes", texts({"application/json-patch+json", "application/merge-patch+json",
                                 "application/strategic-merge-patch+json", "application/apply-patch+yaml"}));
    else
      out.set("consumes", texts({"*/*"}));
    out.set("produces", std::string_view(verb.action) == "list"
                            ? texts({"application/json", "application/yaml", "application/json;stream=watch"})
                            : texts({"application/json", "application/yaml"}));
    std::string group = kind.group.empty() ? "core" : kind.group.substr(0, kind.group.find('.'));
    if (kind.custom) group = kind.group;
    std::string tag = pascal(group) + pascal(kind.version);
    out.set("operationId", std::string(verb.name) + tag + (kind.namespaced && scope != "all" ? "Namespaced" : "") +
                               kind.kind + std::string(suffix) +
                               (scope == "all" && kind.namespaced ? "ForAllNamespaces" : ""));
    std::string lower = group;
    lower[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(lower[0])));
    out.set("tags", json::array(arena_, {json::string(arena_, lower + "_" + kind.version)}));
    out.set("schemes", texts({"https"}));
    out.set("description", fmt::format("{} {} {}", verb.name, kind.kind, suffix.empty() ? "objects" : suffix));
    out.set("x-kubernetes-action", verb.action);
    out.set("x-kubernetes-group-version-kind", groupVersionKind(kind.group, kind.version, kind.kind));
    if (!parameters.empty()) out.set("parameters", json::array(arena_, parameters));
    for (const char* code : codes) {
      std::string_view text = std::string_view(code) == "201"   ? "Created"
                              : std::string_view(code) == "202" ? "Accepted"
                                                                : "OK";
      responses.set(code, json::Object(arena_)
                              .set("description", text)
                              .set("schema", json::Object(arena_).set("$ref", reference(response)).build())
                              .build());
    }
    responses.set("401", json::Object(arena_).set("description", "Unauthorized").build());
    out.set("responses", responses.build());
    return out.build();
  }

  void addPaths(const KindInfo& kind) {
    auto serves = [&](std::string_view verb) {
      return std::find(kind.verbs.begin(), kind.verbs.end(), verb) != kind.verbs.end();
    };
    std::string one = kind.custom ? definitionName(kind, kind.kind) : definitionName(kind.schema->name);
    std::string many = kind.custom ? definitionName(kind, kind.listKind) : definitionName(kind.schema->name + "List");
    std::string status = definitionName(std::string(kMeta) + "Status"),
                deleteOptions = definitionName(std::string(kMeta) + "DeleteOptions");
    std::string root = (kind.group.empty() ? "/api/" : "/apis/") + kind.apiVersion();
    std::string collection = root + (kind.namespaced ? "/namespaces/{namespace}/" : "/") + kind.resource;
    std::vector<json::Value> shared;
    if (kind.namespaced)
      shared.push_back(
          parameter("path", "namespace", "string", "object name and auth scope, such as for teams and projects"));
    json::Value pretty = query("pretty", "If 'true', then the output is pretty printed.");

    std::vector<json::Value> listing;
    addListParameters(listing);
    if (kind.namespaced && serves("list"))
      paths_[root + "/" + kind.resource] =
          json::Object(arena_)
              .set("get", operation(kind, {"get", "list", "list"}, "", "all", listing, many, {"200"}))
              .set("parameters", json::array(arena_, {pretty}))
              .build();
    json::Object list(arena_), item(arena_);
    if (serves("list")) list.set("get", operation(kind, {"get", "list", "list"}, "", "", listing, many, {"200"}));
    if (serves("create"))
      list.set("post", operation(kind, {"post", "post", "create"}, "", "",
                                 {body(one), dryRun(), fieldManager(), fieldValidation()}, one, {"200", "201", "202"}));
    if (serves("deletecollection")) {
      std::vector<json::Value> deleting{body(deleteOptions, false)};
      addListParameters(deleting);
      addDeleteParameters(deleting);
      list.set("delete",
               operation(kind, {"delete", "deletecollection", "deleteCollection"}, "", "", deleting, status, {"200"}));
    }
    std::vector<json::Value> withPretty = shared;
    withPretty.push_back(pretty);
    list.set("parameters", json::array(arena_, withPretty));
    paths_[collection] = list.build();

    shared.insert(shared.begin(), parameter("path", "name", "string", "name of the " + kind.kind));
    shared.push_back(pretty);
    auto writes = [&](json::Object& out, std::string_view suffix, std::string_view definition) {
      out.set("get", operation(kind, {"get", "get", "read"}, suffix, "", {}, definition, {"200"}));
      out.set("put",
              operation(kind, {"put", "put", "replace"}, suffix, "",
                        {body(definition), dryRun(), fieldManager(), fieldValidation()}, definition, {"200", "201"}));
      out.set("patch", operation(kind, {"patch", "patch", "patch"}, suffix, "",
                                 {body(kPatch), dryRun(), fieldManager(), fieldValidation(),
                                  query("force", "Force is going to \"force\" Apply requests.", "boolean")},
                                 definition, {"200", "201"}));
      out.set("parameters", json::array(arena_, shared));
    };
    writes(item, "", one);
    std::vector<json::Value> deleting{body(deleteOptions, false)};
    addDeleteParameters(deleting);
    item.set("delete", operation(kind, {"delete", "delete", "delete"}, "", "", deleting, status, {"200", "202"}));
    paths_[collection + "/{name}"] = item.build();
    if (kind.hasStatus) {
      json::Object sub(arena_);
      writes(sub, "Status", one);
      paths_[collection + "/{name}/status"] = sub.build();
    }
    if (kind.scale) {
      const Schema& scale = *builtinSchemas()->message("k8s.io.api.autoscaling.v1.Scale");
      definition(scale);
      std::string name = definitionName(scale.name);
      groupVersionKinds_[name] = {groupVersionKind("autoscaling", "v1", "Scale")};
      json::Object sub(arena_);
      writes(sub, "Scale", name);
      paths_[collection + "/{name}/scale"] = sub.build();
    }
  }

  std::span<const KindPtr> kinds_;
  json::Arena arena_;
  Comments comments_;
  std::map<std::string, json::Value> definitions_, paths_;
  std::map<std::string, std::vector<json::Value>> groupVersionKinds_;
};

}  // namespace

std::string openapiV2Json(std::span<const KindPtr> kinds) { return json::print(Document(kinds).build()); }

std::string openapiV2Protobuf(std::span<const KindPtr> kinds) {
  Document document(kinds);
  return openapiDocumentProtobuf(document.build());
}

}  // namespace stoker::kube
