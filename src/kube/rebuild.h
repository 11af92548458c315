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

/// Where a walk over a tree is; put together as text only when something is to be said.
class PathStack {
 public:
  explicit PathStack(std::string_view base = {}) : base_(base) {}
  void push(std::string_view name) { pieces_.push_back({name, kName}); }
  void pushKey(std::string_view key) { pieces_.push_back({key, kKey}); }  ///< of a map: path[key]
  void push(size_t index) { pieces_.push_back({{}, index}); }
  void pop() { pieces_.pop_back(); }
  std::string str() const {
    std::string out(base_);
    for (const Piece& piece : pieces_) {
      if (piece.index == kName)
        out = childPath(out, piece.name);
      else if (piece.index == kKey)
        out = out + "[" + std::string(piece.name) + "]";
      else
        out = indexPath(out, piece.index);
    }
    return out;
  }
  std::string str(std::string_view last) const { return childPath(str(), last); }

 private:
  static constexpr size_t kName = SIZE_MAX, kKey = SIZE_MAX - 1;
  struct Piece {
    std::string_view name;
    size_t index;
  };
  std::string_view base_;
  std::vector<Piece> pieces_;
};

}  // namespace stoker::kube
