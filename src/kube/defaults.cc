// Defaults. Every function says whether it changed its value, so that an object without gaps costs no allocation.
#include <vector>

#include "kube/rebuild.h"
#include "kube/schema.h"

namespace stoker::kube {
namespace {

/// Go's zero value behind a field that is no pointer: to upstream's defaulting functions it is an absence.
bool goZero(const Field& field, json::Value value) {
  if (field.pointer || !field.schema->builtin()) return false;
  switch (field.schema->type) {
    case Schema::Type::String:
      return value.isString() && value.asString().empty();
    case Schema::Type::Integer:
      return value.isNumber() && value.integer() == 0;
    default:
      return false;
  }
}

bool counts(const Field& field, json::Value value) {
  return !(value.isNull() && !field.schema->nullable) && !goZero(field, value);
}

bool fill(json::Arena& arena, const Schema& schema, json::Value& value);

/// Adds the defaults of `schema`'s fields, inlined ones included, that `value` has no member for.
void addMissing(json::Arena& arena, const Schema& schema, json::Value value, std::vector<json::Member>& added) {
  for (const Field& field : schema.fields) {
    if (field.inlined) {
      addMissing(arena, *field.schema, value, added);
      continue;
    }
    if (field.defaultValue.isNull()) continue;
    const json::Value* given = value.find(field.name);
    if (given && counts(field, *given)) continue;
    json::Value fresh = json::clone(arena, field.defaultValue);
    fill(arena, *field.schema, fresh);
    added.push_back({arena.copy(field.name), fresh});
  }
}

bool fillObject(json::Arena& arena, const Schema& schema, json::Value& value) {
  std::vector<json::Member> members;
  addMissing(arena, schema, value, members);
  sortMembers(members);
  size_t added = members.size();
  bool changed = added > 0;
  members.reserve(added + value.size());
  for (const json::Member& member : value.members()) {
    bool replaced = std::binary_search(members.begin(), members.begin() + static_cast<ptrdiff_t>(added), member,
                                       [](auto& a, auto& b) { return a.key < b.key; });
    if (replaced) continue;
    json::Value child = member.value;
    if (const Field* field = schema.field(member.key)) {
      // A pod template inside a custom kind has the shape of the built-in, not its defaults: those come when a pod is
      // made.
      if (schema.builtin() || !field->schema->builtin()) changed |= fill(arena, *field->schema, child);
    } else if (schema.items) {
      changed |= fill(arena, *schema.items, child);  // additionalProperties beside properties
    }
    members.push_back({member.key, child});
  }
  if (!changed) return false;
  sortMembers(members);
  value = objectOf(arena, members);
  return true;
}

bool fill(json::Arena& arena, const Schema& schema, json::Value& value) {
  switch (schema.type) {
    case Schema::Type::Object:
      return value.isObject() && fillObject(arena, schema, value);
    case Schema::Type::Choice:
      for (const Schema* choice : schema.choices)
        if ((choice->type == Schema::Type::Object && value.isObject()) ||
            (choice->type == Schema::Type::Array && value.isArray()))
          return fill(arena, *choice, value);
      return false;
    case Schema::Type::Map: {
      if (!value.isObject()) return false;
      bool changed = false;
      std::vector<json::Member> members(value.members().begin(), value.members().end());
      for (json::Member& member : members) changed |= fill(arena, *schema.items, member.value);
      if (changed) value = objectOf(arena, members);
      return changed;
    }
    case Schema::Type::Array: {
      if (!value.isArray() || !schema.items) return false;
      bool changed = false;
      std::vector<json::Value> items(value.items().begin(), value.items().end());
      for (json::Value& item : items) changed |= fill(arena, *schema.items, item);
      if (changed) value = json::array(arena, items);
      return changed;
    }
    default:
      return false;
  }
}

}  // namespace

json::Value applyDefaults(json::Arena& arena, const Schema& schema, json::Value value) {
  fill(arena, schema, value);
  return value;
}

}  // namespace stoker::kube
