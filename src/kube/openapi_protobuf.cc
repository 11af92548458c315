// An OpenAPI v2 document as gnostic's openapi.v2.Document (github.com/google/gnostic-models,
// openapiv2/OpenAPIv2.proto). Each message is a table of JSON members and field numbers; one writer walks them.
#include <cstring>
#include <span>

#include "kube/openapi.h"

namespace stoker::kube {
namespace {

struct Message;

enum class Kind {
  Text,
  Flag,
  Int,
  Real,
  Texts,       // repeated string
  Any,         // Any{yaml}
  Anys,        // repeated Any
  One,         // a message
  Many,        // repeated message
  Named,       // repeated Named*{name = 1, value = 2}, wrapped in a message with that list as its field 1
  Type,        // TypeItem{value}: a string or a list of them
  Items,       // ItemsItem{schema}
  Additional,  // AdditionalPropertiesItem{schema = 1 | boolean = 2}
  Parameters,  // repeated ParametersItem
  Responses,   // Responses{response_code = 1: NamedResponseValue}
  Response,    // SchemaItem{schema = 1}
  Paths,       // Paths{path = 2: NamedPathItem}
  Security,    // repeated SecurityRequirement
  SecurityDefs,
};

struct Entry {
  const char* name;
  uint32_t number;
  Kind kind;
  const Message* message = nullptr;
};

struct Message {
  std::span<const Entry> entries;
  uint32_t extensions;  // the field of vendor extensions
};

void putVarint(std::string& out, uint64_t n) {
  for (; n >= 0x80; n >>= 7) out += static_cast<char>(n | 0x80);
  out += static_cast<char>(n);
}
void putBytes(std::string& out, uint32_t field, std::string_view bytes) {
  putVarint(out, field << 3 | 2);
  putVarint(out, bytes.size());
  out += bytes;
}
void putInt(std::string& out, uint32_t field, uint64_t n) {
  if (n == 0) return;  // proto3
  putVarint(out, field << 3);
  putVarint(out, n);
}
void putReal(std::string& out, uint32_t field, double n) {
  if (n == 0) return;
  putVarint(out, field << 3 | 1);
  char raw[8];
  std::memcpy(raw, &n, 8);
  out.append(raw, 8);
}

std::string encode(const Message& message, json::Value value);

/// Any{yaml = 2}: JSON is YAML.
std::string any(json::Value value) {
  std::string out;
  putBytes(out, 2, json::print(value) + "\n");
  return out;
}

std::string named(std::string_view name, std::string_view value) {
  std::string out;
  putBytes(out, 1, name);
  putBytes(out, 2, value);
  return out;
}

// ---- the messages
// ----------------------------------------------------------------------------------------------------

extern const Message kSchema;
const Entry kSchemaEntries[] = {{"$ref", 1, Kind::Text},
                                {"format", 2, Kind::Text},
                                {"title", 3, Kind::Text},
                                {"description", 4, Kind::Text},
                                {"default", 5, Kind::Any},
                                {"multipleOf", 6, Kind::Real},
                                {"maximum", 7, Kind::Real},
                                {"exclusiveMaximum", 8, Kind::Flag},
                                {"minimum", 9, Kind::Real},
                                {"exclusiveMinimum", 10, Kind::Flag},
                                {"maxLength", 11, Kind::Int},
                                {"minLength", 12, Kind::Int},
                                {"pattern", 13, Kind::Text},
                                {"maxItems", 14, Kind::Int},
                                {"minItems", 15, Kind::Int},
                                {"uniqueItems", 16, Kind::Flag},
                                {"maxProperties", 17, Kind::Int},
                                {"minProperties", 18, Kind::Int},
                                {"required", 19, Kind::Texts},
                                {"enum", 20, Kind::Anys},
                                {"additionalProperties", 21, Kind::Additional},
                                {"type", 22, Kind::Type},
                                {"items", 23, Kind::Items},
                                {"allOf", 24, Kind::Many, &kSchema},
                                {"properties", 25, Kind::Named, &kSchema},
                                {"readOnly", 27, Kind::Flag},
                                {"example", 30, Kind::Any}};
const Message kSchema = {kSchemaEntries, 31};

const Entry kBodyEntries[] = {{"description", 1, Kind::Text},
                              {"name", 2, Kind::Text},
                              {"in", 3, Kind::Text},
                              {"required", 4, Kind::Flag},
                              {"schema", 5, Kind::One, &kSchema}};
const Message kBody = {kBodyEntries, 6};
const Entry kQueryEntries[] = {{"required", 1, Kind::Flag},    {"in", 2, Kind::Text},   {"description", 3, Kind::Text},
                               {"name", 4, Kind::Text},        {"type", 6, Kind::Text}, {"format", 7, Kind::Text},
                               {"uniqueItems", 20, Kind::Flag}};
const Message kQuery = {kQueryEntries, 23};
const Entry kPathParameterEntries[] = {
    {"required", 1, Kind::Flag}, {"in", 2, Kind::Text},     {"description", 3, Kind::Text}, {"name", 4, Kind::Text},
    {"type", 5, Kind::Text},     {"format", 6, Kind::Text}, {"uniqueItems", 19, Kind::Flag}};
const Message kPathParameter = {kPathParameterEntries, 22};

const Entry kResponseEntries[] = {{"description", 1, Kind::Text}, {"schema", 2, Kind::Response}};
const Message kResponse = {kResponseEntries, 5};

const Entry kOperationEntries[] = {{"tags", 1, Kind::Texts},
                                   {"summary", 2, Kind::Text},
                                   {"description", 3, Kind::Text},
                                   {"operationId", 5, Kind::Text},
                                   {"produces", 6, Kind::Texts},
                                   {"consumes", 7, Kind::Texts},
                                   {"parameters", 8, Kind::Parameters},
                                   {"responses", 9, Kind::Responses},
                                   {"schemes", 10, Kind::Texts},
                                   {"deprecated", 11, Kind::Flag},
                                   {"security", 12, Kind::Security}};
const Message kOperation = {kOperationEntries, 13};

const Entry kPathItemEntries[] = {{"get", 2, Kind::One, &kOperation},     {"put", 3, Kind::One, &kOperation},
                                  {"post", 4, Kind::One, &kOperation},    {"delete", 5, Kind::One, &kOperation},
                                  {"options", 6, Kind::One, &kOperation}, {"head", 7, Kind::One, &kOperation},
                                  {"patch", 8, Kind::One, &kOperation},   {"parameters", 9, Kind::Parameters}};
const Message kPathItem = {kPathItemEntries, 10};

const Entry kApiKeyEntries[] = {
    {"type", 1, Kind::Text}, {"name", 2, Kind::Text}, {"in", 3, Kind::Text}, {"description", 4, Kind::Text}};
const Message kApiKey = {kApiKeyEntries, 5};
const Entry kInfoEntries[] = {{"title", 1, Kind::Text}, {"version", 2, Kind::Text}, {"description", 3, Kind::Text}};
const Message kInfo = {kInfoEntries, 7};
const Entry kDocumentEntries[] = {{"swagger", 1, Kind::Text},
                                  {"info", 2, Kind::One, &kInfo},
                                  {"host", 3, Kind::Text},
                                  {"basePath", 4, Kind::Text},
                                  {"schemes", 5, Kind::Texts},
                                  {"consumes", 6, Kind::Texts},
                                  {"produces", 7, Kind::Texts},
                                  {"paths", 8, Kind::Paths},
                                  {"definitions", 9, Kind::Named, &kSchema},
                                  {"security", 12, Kind::Security},
                                  {"securityDefinitions", 13, Kind::SecurityDefs}};
const Message kDocument = {kDocumentEntries, 16};

// ---- the writer
// ------------------------------------------------------------------------------------------------------

std::string parametersItem(json::Value value) {
  std::string parameter;
  if (value["in"].asString() == "body") {
    putBytes(parameter, 1, encode(kBody, value));
  } else {
    std::string plain;
    if (value["in"].asString() == "path")
      putBytes(plain, 4, encode(kPathParameter, value));
    else
      putBytes(plain, 3, encode(kQuery, value));
    putBytes(parameter, 2, plain);
  }
  std::string out;
  putBytes(out, 1, parameter);
  return out;
}

void put(std::string& out, const Entry& entry, json::Value value) {
  std::string inner;
  switch (entry.kind) {
    case Kind::Text:
      if (!value.asString().empty()) putBytes(out, entry.number, value.asString());
      return;
    case Kind::Flag:
      return putInt(out, entry.number, value.asBool());
    case Kind::Int:
      return putInt(out, entry.number, static_cast<uint64_t>(value.asInt()));
    case Kind::Real:
      return putReal(out, entry.number, value.real().value_or(0));
    case Kind::Texts:
      for (json::Value item : value.items()) putBytes(out, entry.number, item.asString());
      return;
    case Kind::Any:
      return putBytes(out, entry.number, any(value));
    case Kind::Anys:
      for (json::Value item : value.items()) putBytes(out, entry.number, any(item));
      return;
    case Kind::One:
      return putBytes(out, entry.number, encode(*entry.message, value));
    case Kind::Many:
      for (json::Value item : value.items()) putBytes(out, entry.number, encode(*entry.message, item));
      return;
    case Kind::Named:
      for (const json::Member& member : value.members())
        putBytes(inner, 1, named(member.key, encode(*entry.message, member.value)));
      return putBytes(out, entry.number, inner);
    case Kind::Type:
      if (value.isString()) putBytes(inner, 1, value.asString());
      for (json::Value item : value.items()) putBytes(inner, 1, item.asString());
      return putBytes(out, entry.number, inner);
    case Kind::Items:
      putBytes(inner, 1, encode(kSchema, value));
      return putBytes(out, entry.number, inner);
    case Kind::Additional:
      if (value.isBool())
        putInt(inner, 2, value.asBool());
      else
        putBytes(inner, 1, encode(kSchema, value));
      return putBytes(out, entry.number, inner);
    case Kind::Parameters:
      for (json::Value item : value.items()) putBytes(out, entry.number, parametersItem(item));
      return;
    case Kind::Responses:
      for (const json::Member& member : value.members()) {
        std::string response;
        putBytes(response, 1, encode(kResponse, member.value));
        putBytes(inner, 1, named(member.key, response));
      }
      return putBytes(out, entry.number, inner);
    case Kind::Response:
      putBytes(inner, 1, encode(kSchema, value));
      return putBytes(out, entry.number, inner);
    case Kind::Paths:
      for (const json::Member& member : value.members())
        putBytes(inner, 2, named(member.key, encode(kPathItem, member.value)));
      return putBytes(out, entry.number, inner);
    case Kind::Security:
      for (json::Value item : value.items()) {
        std::string requirement;
        for (const json::Member& member : item.members()) {
          std::string scopes;
          for (json::Value scope : member.value.items()) putBytes(scopes, 1, scope.asString());
          putBytes(requirement, 1, named(member.key, scopes));
        }
        putBytes(out, entry.number, requirement);
      }
      return;
    case Kind::SecurityDefs:
      for (const json::Member& member : value.members()) {
        std::string item;
        putBytes(item, 2, encode(kApiKey, member.value));
        putBytes(inner, 1, named(member.key, item));
      }
      return putBytes(out, entry.number, inner);
  }
}

std::string encode(const Message& message, json::Value value) {
  std::string out;
  for (const Entry& entry : message.entries)
    if (const json::Value* member = value.find(entry.name)) put(out, entry, *member);
  for (const json::Member& member : value.members())
    if (member.key.starts_with("x-")) putBytes(out, message.extensions, named(member.key, any(member.value)));
  return out;
}

}  // namespace

std::string openapiDocumentProtobuf(json::Value document) { return encode(kDocument, document); }

}  // namespace stoker::kube
