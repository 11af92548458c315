// rebuild.h: changing a few members of an immutable object without copying keys or unchanged values.
#pragma once

#include <algorithm>
#include <cstring>
#include <vector>

#include "json/json.h"

namespace stoker::kube {

/// Members are already sorted and unique; their keys stay where they are.
inline json::Value objectOf(json::Arena& arena, const std::vector<json::Member>& members) {
  auto* copy = static_cast<json::Member*>(arena.allocate(members.size() * sizeof(json::Member), alignof(json::Member)));
  std::copy(members.begin(), members.end(), copy);
  return json::Value::rawObject(copy, members.size());
}

inline void sortMembers(std::vector<json::Member>& members) {
  std::sort(members.begin(), members.end(), [](const json::Member& a, const json::Member& b) { return a.key < b.key; });
}

/// ".name" or "name" at the root, as upstream's field.Path prints it.
inline std::string childPath(std::string_view path, std::string_view name) {
  std::string out(path);
  if (!out.empty()) out += '.';
  return out += name;
}
inline std::string indexPath(std::string_view path, size_t index) {
  return std::string(path) + "[" + std::to_string(index) + "]";
}

}  // namespace stoker::kube
