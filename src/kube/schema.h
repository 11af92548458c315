// schema.h
//
// One description of every kind's shape, whatever it came from: the Kubernetes field table (built-in kinds) or a CRD's
// structural schema. Pruning, strict checks, defaulting, validation, strategic merge, protobuf decoding and OpenAPI are
// functions over it; none of them knows a kind by name.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace stoker::kube {

struct Schema;

/// In a CRD's schema: the node takes the shape of this built-in message (a pod template), without its defaults.
/// crdSchema() resolves it; a server that does not know the keyword keeps what is there (preserve-unknown-fields stands
/// beside it).
inline constexpr const char* kBuiltinKeyword = "x-stoker-builtin";
struct Pattern;  // a compiled regular expression: pattern.h

struct Field {
  std::string name;    ///< JSON name
  uint32_t proto = 0;  ///< protobuf field number; 0 = none (CRDs)
  bool required = false;
  bool inlined = false;  ///< the field's own fields stand in its parent's JSON (protobuf nests them)
  const Schema* schema = nullptr;
  // Strategic merge patch.
  bool patchMerge = false;       ///< patchStrategy merge: lists merge by mergeKey (objects) or as sets (scalars)
  bool patchRetainKeys = false;  ///< patchStrategy retainKeys
  std::string mergeKey;
  json::Value defaultValue;  ///< null = no default; lives as long as the schema
  // What Go's types say and the .proto files do not (built-ins only).
  bool pointer = false;  ///< a scalar behind a pointer: its zero value is a value ("replicas: 0"), not an absence
  bool always = false;   ///< encoded even when zero (no omitempty)
};

struct Schema {
  enum class Type {
    Any,     ///< anything, kept as it is (x-kubernetes-preserve-unknown-fields without type, RawExtension, JSON)
    Object,  ///< `fields`; other members are unknown unless `preserveUnknown`
    Map,     ///< string keys, values of `items`
    Array,   ///< elements of `items`
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    Quantity,  ///< a string or number that reads as a resource quantity; stored in canonical form
    Time,      ///< RFC 3339, seconds; null allowed
    MicroTime,
    Bytes,   ///< base64 in JSON, raw in protobuf
    Choice,  ///< one of `choices`, told apart by its JSON type (JSONSchemaPropsOrBool); protobuf: a field for each
  };
  Type type = Type::Any;
  std::string name;  ///< message name of a built-in ("k8s.io.api.core.v1.PodSpec"); empty for CRD nodes
  /// Sorted by name. Inlined fields are among them: walk into their schemas, or use `field`, which does.
  std::vector<Field> fields;
  const Schema* items = nullptr;
  bool preserveUnknown = false;
  bool embedded = false;  ///< x-kubernetes-embedded-resource
  bool nullable = false;
  bool isInt32 = false;
  bool typeMeta = false;   ///< a message that carries apiVersion and kind in JSON
  bool atomicMap = false;  ///< x-kubernetes-map-type atomic, +structType=atomic: server-side apply owns it as a whole
  std::vector<const Schema*> choices;
  // Lists.
  enum class ListType { Atomic, Set, Map } listType = ListType::Atomic;
  std::vector<std::string> listMapKeys;
  // Validation (CRD schemas; few for built-ins).
  std::vector<json::Value> enumeration;
  std::optional<double> minimum, maximum, multipleOf;
  bool exclusiveMinimum = false, exclusiveMaximum = false;
  std::optional<int64_t> minLength, maxLength, minItems, maxItems, minProperties, maxProperties;
  std::string pattern;
  std::shared_ptr<const Pattern> compiled;  ///< of `pattern`; RE2, which is the dialect of Go's
  std::string format;
  bool uniqueItems = false;
  std::vector<const Schema*> allOf, anyOf, oneOf;
  const Schema* negated = nullptr;  ///< "not"
  /// Names of members that `validate` wants. For built-ins a hand-kept subset of Field::required, which is what OpenAPI
  /// states: the real server accepts a built-in object without many a "required" status field.
  std::vector<std::string> required;
  json::Value openapi;  ///< CRD nodes: the schema as it was written, descriptions and all, for publishing

  /// The field of that JSON name, inlined ones included; null when there is none. Case-sensitive.
  const Field* field(std::string_view fieldName) const;
  /// Built-in messages have a name, and what is in them is decoded as Go would: with types. CRD nodes have none.
  bool builtin() const { return !name.empty(); }
};

/// Owns a graph of schemas (which may be cyclic: JSONSchemaProps). Immutable once built; shared by readers.
class SchemaSet {
 public:
  virtual ~SchemaSet() = default;
  /// The schema of a built-in message by its full name, or null.
  virtual const Schema* message(std::string_view name) const = 0;
};
/// The built-in messages (Kubernetes 1.35.4), compiled in from the field table and its overlay. Built at first use.
std::shared_ptr<const SchemaSet> builtinSchemas();

/// A CRD's openAPIV3Schema as a Schema whose root is an Object with apiVersion, kind and metadata (ObjectMeta) added.
/// The errors are those of a non-structural schema, with paths under `path`
/// ("spec.versions[0].schema.openAPIV3Schema.properties[spec]: Required value: type ...").
struct CrdSchema {
  std::shared_ptr<const SchemaSet> owner;
  const Schema* root = nullptr;
};
Result<CrdSchema> crdSchema(json::Value openAPIV3Schema, std::string_view path);

// ---- functions over a schema
// -----------------------------------------------------------------------------------------

enum class Unknown { Drop, Collect };  // what to do besides dropping: nothing, or say which

struct Coerced {
  json::Value value;
  std::vector<std::string> unknown;  ///< paths, for strict decoding: "spec.template.spec.contaners"
};
/// What decoding into the kind's Go struct and encoding again would give: unknown members dropped (kept where
/// preserved), nulls for scalars and lists dropped, quantities and times canonical, omitempty zero values of built-ins
/// kept as given. A value of the wrong JSON type is BadRequest with upstream's wording, e.g. "json: cannot unmarshal
/// string into Go struct field PodSpec.spec.priority of type int32" is reduced to "spec.priority: expected an integer,
/// got string".
Result<Coerced> coerce(json::Arena& arena, const Schema& schema, json::Value value);

/// Fills in defaults where members are missing. Objects are created for nothing: a default inside a missing object does
/// not apply (structural defaulting rules). Null where the schema is not nullable and has a default counts as missing.
json::Value applyDefaults(json::Arena& arena, const Schema& schema, json::Value value);

/// Validation by OpenAPI v3 keywords; causes carry upstream's type (FieldValueRequired, FieldValueInvalid,
/// FieldValueNotSupported, FieldValueTooLong, FieldValueTooMany, FieldValueDuplicate, FieldValueTypeInvalid, ...),
/// field path and text ("Invalid value: -1: spec.replicas in body should be greater than or equal to 0").
std::vector<Cause> validate(const Schema& schema, json::Value value, std::string_view path = "");

/// Strategic merge patch (apimachinery/pkg/util/strategicpatch): directives $patch (replace, delete, merge),
/// $retainKeys, $setElementOrder/x, $deleteFromPrimitiveList/x. BadRequest/Invalid for malformed directives.
Result<json::Value> strategicMerge(json::Arena& arena, const Schema& schema, json::Value current, json::Value patch);

/// Protobuf wire bytes of a message -> JSON tree. BadRequest when malformed. Unknown field numbers are skipped.
Result<json::Value> decodeProtobuf(json::Arena& arena, const Schema& schema, std::string_view wire);
/// "k8s\0" + runtime.Unknown: the raw message with its apiVersion and kind.
struct ProtobufEnvelope {
  std::string apiVersion, kind, contentType;
  std::string_view raw;
};
Result<ProtobufEnvelope> openProtobufEnvelope(std::string_view body);

}  // namespace stoker::kube
