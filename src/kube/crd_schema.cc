// A CustomResourceDefinition's openAPIV3Schema: is it structural, and what is it as a Schema.
//
// CEL: x-kubernetes-validations are kept in `openapi`, hence published and returned, and their shape is checked (a rule
// must not be empty); they are not evaluated. A resource whose only guard against a value is a CEL rule accepts that
// value here.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/pattern.h"
#include "kube/rebuild.h"
#include "kube/schema.h"

namespace stoker::kube {
namespace {

constexpr std::string_view kObjectMeta = "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta";

class CrdSet final : public SchemaSet {
 public:
  const Schema* message(std::string_view name) const override { return builtinSchemas()->message(name); }
  Schema* make() { return &nodes_.emplace_back(); }
  /// Compiled once for each text: a CRD that embeds a pod template states the pattern of quantities a hundred times.
  std::shared_ptr<const Pattern> pattern(const std::string& text) {
    auto& slot = patterns_[text];
    if (!slot) slot = std::make_shared<Pattern>(text);
    return slot;
  }
  json::Arena arena;

 private:
  std::deque<Schema> nodes_;
  std::map<std::string, std::shared_ptr<const Pattern>> patterns_;
};

/// Where in a schema a node stands; it decides what is allowed (apiextensions structural schema rules).
enum class Place { Root, Property, Items, Additional, Logic };

class Converter {
 public:
  explicit Converter(CrdSet& set) : set_(set) {}

  Schema* convert(json::Value node, const std::string& path, Place place) {
    Schema* schema = set_.make();
    if (!node.isObject()) {
      causes.push_back(invalid(path, shown(node), "must be a schema object"));
      return schema;
    }
    schema->openapi = node;
    check(node, path, place);
    shape(*schema, node, path, place);
    validations(*schema, node, path);
    if (place != Place::Logic) structuralLists(*schema, node, path);
    return schema;
  }

  /// apiVersion, kind and metadata of a root or an embedded resource.
  void addTypeMeta(Schema& schema) {
    for (const char* name : {"apiVersion", "kind"}) {
      if (schema.field(name)) continue;
      Schema* text = set_.make();
      text->type = Schema::Type::String;
      text->name = "string";
      schema.fields.push_back({.name = name, .schema = text});
    }
    std::erase_if(schema.fields, [](const Field& field) { return field.name == "metadata"; });
    schema.fields.push_back({.name = "metadata", .schema = builtinSchemas()->message(kObjectMeta)});
    sortFields(schema);
  }

  std::vector<Cause> causes;

 private:
  static void sortFields(Schema& schema) {
    std::sort(schema.fields.begin(), schema.fields.end(), [](auto& a, auto& b) { return a.name < b.name; });
  }

  void check(json::Value node, const std::string& path, Place place) {
    bool intOrString = node["x-kubernetes-int-or-string"].asBool(),
         preserve = node["x-kubernetes-preserve-unknown-fields"].asBool();
    const json::Value* typeMember = node.find("type");
    std::string type = node["type"].str();
    for (const char* name : {"$ref", "id", "definitions", "dependencies", "patternProperties", "additionalItems"})
      if (node.has(name)) causes.push_back(forbidden(childPath(path, name), fmt::format("{} is not supported", name)));
    if (node["uniqueItems"].asBool())
      causes.push_back(forbidden(childPath(path, "uniqueItems"),
                                 "uniqueItems cannot be set to true since the runtime complexity becomes quadratic"));
    if (node.has("properties") && node["additionalProperties"].isObject())
      causes.push_back(forbidden(childPath(path, "additionalProperties"),
                                 "additionalProperties and properties are mutual exclusive"));
    if (node["items"].isArray())
      causes.push_back(forbidden(childPath(path, "items"), "items must be a schema object and not an array"));

    if (place == Place::Logic) {
      // type is allowed in the one pattern that states int-or-string.
      bool intOrStringPattern = type == "integer" || type == "string";
      if (!type.empty() && !(intOrStringPattern && inIntOrString_))
        causes.push_back(forbidden(childPath(path, "type"), "must be empty to be structural"));
      for (const char* name : {"default", "additionalProperties", "nullable", "x-kubernetes-preserve-unknown-fields",
                               "x-kubernetes-embedded-resource", "x-kubernetes-int-or-string", "x-kubernetes-list-type",
                               "x-kubernetes-list-map-keys", "x-kubernetes-map-type"})
        if (node.has(name)) causes.push_back(forbidden(childPath(path, name), "must be undefined to be structural"));
      return;
    }
    static const std::vector<std::string> types = {"array", "boolean", "integer", "number", "object", "string"};
    if (place == Place::Root) {
      if (type.empty())
        causes.push_back(required(childPath(path, "type"), "must not be empty at the root"));
      else if (type != "object")
        causes.push_back(invalid(childPath(path, "type"), quote(type), "must be object at the root"));
    } else if (type.empty() && !intOrString && !preserve) {
      causes.push_back(required(childPath(path, "type"), place == Place::Items
                                                             ? "must not be empty for specified array items"
                                                             : "must not be empty for specified object fields"));
    } else if (!type.empty() && std::find(types.begin(), types.end(), type) == types.end()) {
      causes.push_back(unsupported(childPath(path, "type"), *typeMember, types));
    }
    if (intOrString && !type.empty())
      causes.push_back(forbidden(childPath(path, "type"), "must be empty if x-kubernetes-int-or-string is true"));
    if (type == "array" && !node["items"].isObject() && !node["items"].isArray())
      causes.push_back(required(childPath(path, "items"), "must be specified"));
    if (node["x-kubernetes-embedded-resource"].asBool()) {
      if (type != "object")
        causes.push_back(
            invalid(childPath(path, "type"), quote(type), "must be object if x-kubernetes-embedded-resource is true"));
      if (!preserve && node["properties"].empty())
        causes.push_back(required(childPath(path, "properties"),
                                  "must not be empty if x-kubernetes-embedded-resource is true without "
                                  "x-kubernetes-preserve-unknown-fields"));
    }
    json::Value rules = node["x-kubernetes-validations"];
    for (size_t i = 0; i < rules.size(); ++i)
      if (trim(rules[i]["rule"].asString()).empty())
        causes.push_back(required(childPath(indexPath(childPath(path, "x-kubernetes-validations"), i), "rule"),
                                  "rule is not specified"));
  }

  void shape(Schema& schema, json::Value node, const std::string& path, Place place) {
    using Type = Schema::Type;
    std::string_view type = node["type"].asString();
    schema.nullable = node["nullable"].asBool();
    schema.preserveUnknown = node["x-kubernetes-preserve-unknown-fields"].asBool();
    schema.embedded = node["x-kubernetes-embedded-resource"].asBool();
    schema.format = node["format"].str();
    schema.atomicMap = node["x-kubernetes-map-type"].asString() == "atomic";
    json::Value additional = node["additionalProperties"];
    bool hasProperties = node["properties"].isObject() && !node["properties"].empty();

    if (node["x-kubernetes-int-or-string"].asBool())
      schema.type = Type::IntOrString;
    else if (type == "string")
      schema.type = Type::String;
    else if (type == "integer")
      schema.type = Type::Integer, schema.isInt32 = schema.format == "int32";
    else if (type == "number")
      schema.type = Type::Number;
    else if (type == "boolean")
      schema.type = Type::Boolean;
    else if (type == "array")
      schema.type = Type::Array;
    else if (type == "object")
      schema.type = Type::Object;
    else if (hasProperties && place != Place::Logic)
      schema.type = Type::Object;
    else
      schema.type = Type::Any;

    for (const json::Member& member : node["properties"].members()) {
      std::string childAt = childPath(path, "properties") + "[" + std::string(member.key) + "]";
      // The object's own metadata is ObjectMeta whatever the schema says about it.
      if (place == Place::Root && member.key == "metadata") continue;
      Field field{.name = std::string(member.key),
                  .schema = convert(member.value, childAt, place == Place::Logic ? Place::Logic : Place::Property)};
      // A node that takes the shape of a built-in message (crd_of.h). One we do not know keeps everything.
      if (std::string_view message = member.value[kBuiltinKeyword].asString(); !message.empty())
        if (const Schema* builtin = builtinSchemas()->message(message)) field.schema = builtin;
      field.defaultValue = member.value["default"];
      schema.fields.push_back(std::move(field));
    }
    sortFields(schema);
    for (json::Value name : node["required"].items()) {
      schema.required.push_back(name.str());
      for (Field& field : schema.fields)
        if (field.name == name.asString()) field.required = true;
    }
    if (additional.isObject()) {
      schema.items = convert(additional, childPath(path, "additionalProperties"),
                             place == Place::Logic ? Place::Logic : Place::Additional);
      if (schema.type == Type::Object && !hasProperties && place != Place::Root && !schema.embedded)
        schema.type = Type::Map;
    } else if (additional.asBool() && schema.type == Type::Object) {
      schema.preserveUnknown = true;
    }
    if (node["items"].isObject())
      schema.items =
          convert(node["items"], childPath(path, "items"), place == Place::Logic ? Place::Logic : Place::Items);
    if (schema.embedded) addTypeMeta(schema);
  }

  static std::optional<double> real(json::Value value) { return value.isNumber() ? value.real() : std::nullopt; }
  static std::optional<int64_t> whole(json::Value value) { return value.isNumber() ? value.integer() : std::nullopt; }

  void validations(Schema& schema, json::Value node, const std::string& path) {
    for (json::Value one : node["enum"].items()) schema.enumeration.push_back(one);
    schema.minimum = real(node["minimum"]);
    schema.maximum = real(node["maximum"]);
    schema.multipleOf = real(node["multipleOf"]);
    schema.exclusiveMinimum = node["exclusiveMinimum"].asBool();
    schema.exclusiveMaximum = node["exclusiveMaximum"].asBool();
    schema.minLength = whole(node["minLength"]);
    schema.maxLength = whole(node["maxLength"]);
    schema.minItems = whole(node["minItems"]);
    schema.maxItems = whole(node["maxItems"]);
    schema.minProperties = whole(node["minProperties"]);
    schema.maxProperties = whole(node["maxProperties"]);
    schema.pattern = node["pattern"].str();
    if (!schema.pattern.empty()) {
      auto compiled = set_.pattern(schema.pattern);
      if (compiled->re.ok())
        schema.compiled = compiled;
      else
        causes.push_back(invalid(childPath(path, "pattern"), quote(schema.pattern),
                                 "must be a valid regular expression, but isn't: " + compiled->re.error()));
    }
    bool outer = inIntOrString_;
    inIntOrString_ = schema.type == Schema::Type::IntOrString || (outer && node.has("anyOf"));
    auto list = [&](const char* name, std::vector<const Schema*>& out) {
      for (size_t i = 0; i < node[name].size(); ++i)
        out.push_back(convert(node[name][i], indexPath(childPath(path, name), i), Place::Logic));
    };
    list("allOf", schema.allOf);
    list("anyOf", schema.anyOf);
    list("oneOf", schema.oneOf);
    if (node.has("not")) schema.negated = convert(node["not"], childPath(path, "not"), Place::Logic);
    inIntOrString_ = outer;
  }

  void structuralLists(Schema& schema, json::Value node, const std::string& path) {
    std::string_view type = node["x-kubernetes-list-type"].asString();
    const std::string at = childPath(path, "x-kubernetes-list-type");
    if (!type.empty() && type != "atomic" && type != "set" && type != "map")
      causes.push_back(unsupported(at, node["x-kubernetes-list-type"], {"atomic", "map", "set"}));
    if (!type.empty() && schema.type != Schema::Type::Array)
      causes.push_back(invalid(childPath(path, "type"), shown(node["type"]),
                               "must be array if x-kubernetes-list-type is specified"));
    if (type == "set") schema.listType = Schema::ListType::Set;
    if (type == "map") schema.listType = Schema::ListType::Map;
    for (json::Value key : node["x-kubernetes-list-map-keys"].items()) schema.listMapKeys.push_back(key.str());
    if (type == "map" && schema.listMapKeys.empty())
      causes.push_back(required(childPath(path, "x-kubernetes-list-map-keys"),
                                "must not be empty if x-kubernetes-list-type is map"));
    if (type != "map" && !schema.listMapKeys.empty())
      causes.push_back(required(at, "must be map if x-kubernetes-list-map-keys is non-empty"));
    if (type != "map" || !schema.items) return;
    for (size_t i = 0; i < schema.listMapKeys.size(); ++i) {
      const Field* key = schema.items->field(schema.listMapKeys[i]);
      if (!key) {
        causes.push_back(invalid(indexPath(childPath(path, "x-kubernetes-list-map-keys"), i),
                                 quote(schema.listMapKeys[i]), "must be the name of an item property"));
      } else if (!key->required && key->defaultValue.isNull()) {
        causes.push_back(required(
            fmt::format("{}.items.properties[{}].default", path, schema.listMapKeys[i]),
            "this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"));
      }
    }
  }

  CrdSet& set_;
  bool inIntOrString_ = false;
};

/// A default must be what its own schema would keep and accept.
void checkDefaults(const Schema& schema, const std::string& path, std::vector<Cause>& causes) {
  for (const Field& field : schema.fields) {
    if (field.schema->builtin()) continue;
    std::string at = childPath(path, "properties") + "[" + field.name + "]";
    if (!field.defaultValue.isNull()) {
      std::string where = childPath(at, "default");
      json::Arena arena;
      auto kept = coerce(arena, *field.schema, field.defaultValue);
      if (!kept.ok())
        causes.push_back(invalid(where, shown(field.defaultValue), kept.error().message));
      else if (!kept->unknown.empty())
        causes.push_back(
            invalid(where, shown(field.defaultValue), "must not have unknown fields: " + join(kept->unknown, ", ")));
      else
        for (Cause& cause : validate(*field.schema, applyDefaults(arena, *field.schema, kept->value), where))
          causes.push_back(std::move(cause));
    }
    checkDefaults(*field.schema, at, causes);
  }
  if (schema.items && !schema.items->builtin())
    checkDefaults(*schema.items, childPath(path, schema.type == Schema::Type::Array ? "items" : "additionalProperties"),
                  causes);
}

}  // namespace

Result<CrdSchema> crdSchema(json::Value openAPIV3Schema, std::string_view path) {
  auto set = std::make_shared<CrdSet>();
  json::Value kept = json::clone(set->arena, openAPIV3Schema);
  Converter converter(*set);
  Schema* root = converter.convert(kept, std::string(path), Place::Root);
  converter.addTypeMeta(*root);
  if (converter.causes.empty()) checkDefaults(*root, std::string(path), converter.causes);
  if (!converter.causes.empty()) {
    Error error(Reason::Invalid, "");
    for (const Cause& cause : converter.causes)
      error.message += (error.message.empty() ? "" : ", ") + cause.field + ": " + cause.message;
    error.causes = std::move(converter.causes);
    return error;
  }
  return CrdSchema{set, root};
}

}  // namespace stoker::kube
