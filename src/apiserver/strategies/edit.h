// edit.h: small changes of JSON trees that several strategies make.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apiserver/registry/strategy.h"

namespace stoker::apiserver {

/// `list` with every element replaced by change(element); `list` itself when it is empty.
template <class Change>
json::Value mapItems(json::Arena& arena, json::Value list, Change change) {
  if (list.empty()) return list;
  std::vector<json::Value> items;
  items.reserve(list.size());
  for (json::Value item : list.items()) items.push_back(change(item));
  return json::array(arena, items);
}

/// `object` with the list under `key` changed element by element; `object` itself when there is none.
template <class Change>
json::Value mapMember(json::Arena& arena, json::Value object, std::string_view key, Change change) {
  json::Value list = object[key];
  return list.empty() ? object : json::with(arena, object, key, mapItems(arena, list, change));
}

/// `list` (null counts as empty) with `item` at its end.
inline json::Value appended(json::Arena& arena, json::Value list, json::Value item) {
  std::vector<json::Value> items(list.items().begin(), list.items().end());
  items.push_back(item);
  return json::array(arena, items);
}

inline json::Value orElse(json::Arena& arena, json::Value object, std::string_view key, json::Value value) {
  return object.has(key) ? object : json::with(arena, object, key, value);
}

inline json::Value emptyObject(json::Arena& arena) { return json::object(arena, std::span<const json::Member>()); }

/// `conditions` with the condition of that type set; its lastTransitionTime moves only when its status changes.
json::Value withCondition(json::Arena& arena, json::Value conditions, std::string_view type, std::string_view status,
                          std::string_view reason, std::string_view message, Time now);

/// 403 `pods "x" is forbidden: why`, as admission plug-ins refuse.
Error refused(std::string_view group, std::string_view resource, std::string_view name, std::string_view why);
/// 409 `Operation cannot be fulfilled on pods/binding "x": why`.
Error conflicting(std::string_view group, std::string_view resource, std::string_view name, std::string_view why);

/// 422 `Service "x" is invalid: field: message` for what is found out while reading other objects.
Error invalidObject(std::string_view group, std::string_view kind, std::string_view name, Cause cause);

/// Go's field.NotFound.
Cause notFoundCause(std::string path, std::string_view value);
/// One Invalid cause per message.
void addProblems(std::vector<Cause>& causes, const std::string& path, std::string_view value,
                 const std::vector<std::string>& problems);
/// `Invalid value: ...: field is immutable` when the member differs.
void mustStay(std::vector<Cause>& causes, const std::string& path, json::Value value, json::Value old);

}  // namespace stoker::apiserver
