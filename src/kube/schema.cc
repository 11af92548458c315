#include "kube/schema.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <deque>
#include <map>

#include "base/log.h"
#include "base/strings.h"
#include "kube/tables.h"

namespace stoker::kube {

const Field* Schema::field(std::string_view fieldName) const {
  auto at = std::lower_bound(fields.begin(), fields.end(), fieldName,
                             [](const Field& field, std::string_view wanted) { return field.name < wanted; });
  if (at != fields.end() && at->name == fieldName && !at->inlined) return &*at;
  for (const Field& candidate : fields)
    if (candidate.inlined)
      if (const Field* found = candidate.schema->field(fieldName)) return found;
  return nullptr;
}

namespace {

constexpr std::string_view kMeta = "k8s.io.apimachinery.pkg.apis.meta.v1.";

/// The rows of a table without its comments; a row that starts with '=' opens a message.
std::vector<std::string_view> rowsOf(std::string_view table) {
  std::vector<std::string_view> rows;
  for (std::string_view row : split(table, '\n'))
    if (!row.empty() && row[0] != '#') rows.push_back(row);
  return rows;
}

/// Builds every message of the table. The graph has cycles (JSONSchemaProps), so nodes are made first and filled as the
/// table is read; their addresses never change.
class Builtins final : public SchemaSet {
 public:
  Builtins() {
    Schema* current = nullptr;
    for (std::string_view row : rowsOf(data::kmessages)) {
      auto cells = split(row, '\t');
      if (row[0] == '=') {
        current = node(cells[0].substr(1));
        current->typeMeta = cells[1].find("typemeta") != std::string_view::npos;
        current->atomicMap = cells[1].find("atomic") != std::string_view::npos;
        if (current->typeMeta) {
          current->fields.push_back({.name = "apiVersion", .schema = scalar("string")});
          current->fields.push_back({.name = "kind", .schema = scalar("string")});
        }
      } else {
        current->fields.push_back(readField(cells));
      }
    }
    for (auto& [name, schema] : messages_) {
      std::sort(schema->fields.begin(), schema->fields.end(), [](auto& a, auto& b) { return a.name < b.name; });
      wellKnown(name, *schema);
    }
    readDefaults();
    readRules();
  }

  const Schema* message(std::string_view name) const override {
    auto found = messages_.find(name);
    return found == messages_.end() ? nullptr : found->second;
  }

 private:
  Schema* make() { return &nodes_.emplace_back(); }

  Schema* node(std::string_view name) {
    Schema*& slot = messages_[std::string(name)];
    if (!slot) {
      slot = make();
      slot->type = Schema::Type::Object;
      slot->name = name;
    }
    return slot;
  }

  const Schema* scalar(std::string_view kind) {
    Schema*& slot = scalars_[std::string(kind)];
    if (slot) return slot;
    slot = make();
    slot->name = kind;
    if (kind == "bool")
      slot->type = Schema::Type::Boolean;
    else if (kind == "double")
      slot->type = Schema::Type::Number, slot->format = "double";
    else if (kind == "bytes")
      slot->type = Schema::Type::Bytes, slot->format = "byte";
    else if (kind == "string")
      slot->type = Schema::Type::String;
    else {
      slot->type = Schema::Type::Integer;
      slot->isInt32 = kind == "int32";
      slot->format = kind;
    }
    return slot;
  }

  /// A type of the table: "repeated T", "map T" (keys are strings), a scalar or a message.
  const Schema* typed(std::string_view kind, std::string_view attributes) {
    if (kind.starts_with("repeated ")) {
      Schema* list = make();
      list->type = Schema::Type::Array;
      list->items = typed(kind.substr(9), "");
      for (std::string_view attribute : split(attributes, ' ')) {
        if (attribute == "list=set") list->listType = Schema::ListType::Set;
        if (attribute == "list=map") list->listType = Schema::ListType::Map;
        if (attribute.starts_with("keys="))
          for (std::string_view key : split(attribute.substr(5), ',')) list->listMapKeys.emplace_back(key);
      }
      return list;
    }
    if (kind.starts_with("map ")) {
      Schema* map = make();
      map->type = Schema::Type::Map;
      map->items = typed(kind.substr(4), "");
      map->atomicMap = attributes.find("map=atomic") != std::string_view::npos;
      return map;
    }
    if (kind.find('.') != std::string_view::npos) return node(kind);
    return scalar(kind);
  }

  Field readField(const std::vector<std::string_view>& cells) {
    std::string_view attributes = cells[3];
    Field field{.name = std::string(cells[0]), .schema = typed(cells[2], attributes)};
    std::from_chars(cells[1].data(), cells[1].data() + cells[1].size(), field.proto);
    for (std::string_view attribute : split(attributes, ' ')) {
      if (attribute == "required")
        field.required = true;
      else if (attribute == "inline")
        field.inlined = true;
      else if (attribute == "pointer")
        field.pointer = true;
      else if (attribute == "always")
        field.always = true;
      else if (attribute.starts_with("mergeKey="))
        field.mergeKey = attribute.substr(9);
      else if (attribute.starts_with("patch="))
        for (std::string_view strategy : split(attribute.substr(6), ',')) {
          field.patchMerge |= strategy == "merge";
          field.patchRetainKeys |= strategy == "retainKeys";
        }
    }
    return field;
  }

  /// Messages whose JSON is not the object that their protobuf form suggests.
  void wellKnown(std::string_view name, Schema& schema) {
    using Type = Schema::Type;
    std::string_view last = name.substr(name.rfind('.') + 1);
    if (last == "Quantity")
      schema.type = Type::Quantity;
    else if (last == "IntOrString")
      schema.type = Type::IntOrString;
    else if (name.starts_with(kMeta) && last == "Time")
      schema.type = Type::Time;
    else if (name.starts_with(kMeta) && last == "MicroTime")
      schema.type = Type::MicroTime;
    else if (last == "ExtraValue" || last == "Verbs") {  // named string lists, which protobuf wraps in a message
      schema.type = Type::Array;
      schema.items = scalar("string");
    } else if (schema.fields.size() == 1 &&
               schema.fields[0].name == "-") {  // RawExtension, JSON, FieldsV1: JSON as bytes
      schema.type = Type::Any;
    } else if (last == "JSONSchemaPropsOrArray" || last == "JSONSchemaPropsOrBool" ||
               last == "JSONSchemaPropsOrStringArray") {
      schema.type = Type::Choice;
      for (const Field& field : schema.fields) schema.choices.push_back(field.schema);
    }
  }

  Field* fieldOf(std::string_view shortName, std::string_view fieldName, Schema** owner) {
    std::string_view prefix =
        shortName.starts_with("apiextensions.") ? "k8s.io.apiextensions_apiserver.pkg.apis." : "k8s.io.api.";
    auto found = messages_.find(std::string(prefix) + std::string(shortName));
    if (found != messages_.end()) {
      *owner = found->second;
      for (Field& field : found->second->fields)
        if (field.name == fieldName) return &field;
    }
    // The overlay is our own file and checked by a test: a row that names nothing is a mistake in this build.
    log::error("kube", "kube/data names {}.{}, which messages.tsv has not", shortName, fieldName);
    return nullptr;
  }

  void readDefaults() {
    for (std::string_view row : rowsOf(data::kdefaults)) {
      auto cells = split(row, '\t');
      Schema* owner = nullptr;
      Field* field = fieldOf(cells[0], cells[1], &owner);
      auto value = json::parse(arena_, cells[2]);
      if (field && value.ok()) field->defaultValue = *value;
    }
  }

  void readRules() {
    for (std::string_view row : rowsOf(data::krules)) {
      auto cells = split(row, '\t');
      Schema* owner = nullptr;
      Field* field = fieldOf(cells[0], cells[1], &owner);
      if (!field) continue;
      auto words = split(cells[2], ' ');
      if (words[0] == "required") {
        owner->required.push_back(field->name);
        continue;
      }
      Schema* own = make();  // scalars are shared: this one gets its bounds alone
      *own = *field->schema;
      if (words[0] == "enum")
        for (size_t i = 1; i < words.size(); ++i) own->enumeration.push_back(json::string(arena_, words[i]));
      if (words[0] == "min" || words[0] == "range") own->minimum = std::atof(std::string(words[1]).c_str());
      if (words[0] == "range") own->maximum = std::atof(std::string(words[2]).c_str());
      field->schema = own;
    }
  }

  json::Arena arena_;
  std::deque<Schema> nodes_;
  std::map<std::string, Schema*, std::less<>> messages_;
  std::map<std::string, Schema*, std::less<>> scalars_;
};

}  // namespace

std::shared_ptr<const SchemaSet> builtinSchemas() {
  static const std::shared_ptr<const SchemaSet> set = std::make_shared<Builtins>();
  return set;
}

}  // namespace stoker::kube
