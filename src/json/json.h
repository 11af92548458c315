// json.h
//
// JSON as an immutable tree in an arena. A Value is a 16-byte handle that is copied freely and points into the Arena it
// was made in; trees made of several arenas are fine as long as all of them live. Nothing is ever changed in place:
// `with`, `without` and the builders make new nodes that share the old ones.
//
// Objects keep their members sorted by key, so printing is canonical: sorted keys, no spaces, Go's number format. Two
// objects are equal if and only if their bytes are. Numbers are kept as they were written until they are printed.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stoker::json {

/// A bump allocator. Everything in it dies with it. Not thread-safe; immutable content may be read from any thread.
class Arena {
 public:
  Arena() = default;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();
  void* allocate(size_t bytes, size_t align = 8);
  std::string_view copy(std::string_view text);
  char* copyMutable(std::string_view text);
  size_t used() const { return used_; }

 private:
  struct Chunk;
  Chunk* head_ = nullptr;
  char* next_ = nullptr;
  size_t left_ = 0;
  size_t used_ = 0;
};

enum class Type : uint8_t { Null, Bool, Number, String, Array, Object };
std::string_view typeName(Type type);  ///< "null", "bool", "number", "string", "array", "object"

struct Member;

class Value {
 public:
  constexpr Value() = default;  ///< null

  Type type() const { return type_; }
  bool isNull() const { return type_ == Type::Null; }
  bool isBool() const { return type_ == Type::Bool; }
  bool isNumber() const { return type_ == Type::Number; }
  bool isString() const { return type_ == Type::String; }
  bool isArray() const { return type_ == Type::Array; }
  bool isObject() const { return type_ == Type::Object; }
  explicit operator bool() const { return !isNull(); }

  /// The text of a string; empty for anything else.
  std::string_view asString() const { return type_ == Type::String ? text() : std::string_view(); }
  std::string str() const { return std::string(asString()); }
  bool asBool(bool otherwise = false) const { return type_ == Type::Bool ? flag_ : otherwise; }
  /// An integer in int64 range, also when written 3.0 or 3e2; nullopt for anything else.
  std::optional<int64_t> integer() const;
  int64_t asInt(int64_t otherwise = 0) const { return integer().value_or(otherwise); }
  std::optional<double> real() const;
  /// A number as written.
  std::string_view numberText() const { return type_ == Type::Number ? text() : std::string_view(); }

  size_t size() const { return type_ == Type::Array || type_ == Type::Object ? size_ : 0; }
  bool empty() const { return size() == 0; }
  std::span<const Value> items() const;     ///< elements of an array; empty for anything else
  std::span<const Member> members() const;  ///< members of an object sorted by key; empty for anything else
  /// The member, or nullptr when there is none (or this is no object).
  const Value* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  /// The member, or null.
  Value operator[](std::string_view key) const;
  Value operator[](const char* key) const { return (*this)[std::string_view(key)]; }
  /// The element, or null.
  Value operator[](size_t index) const;
  Value operator[](int index) const { return (*this)[static_cast<size_t>(index)]; }
  /// v.at({"metadata", "labels"}): null when any step is missing.
  Value at(std::initializer_list<std::string_view> path) const;

  /// Deep equality (numbers by value in canonical form).
  friend bool operator==(const Value& a, const Value& b);

  // Makers; see also the free functions below.
  static Value boolean(bool b);
  static Value rawString(std::string_view inArena);  ///< text must outlive the value
  static Value rawNumber(std::string_view inArena);  ///< valid JSON number text that outlives the value
  static Value rawArray(const Value* items, size_t count);
  static Value rawObject(const Member* members, size_t count);  ///< sorted, unique keys

 private:
  std::string_view text() const { return {static_cast<const char*>(data_), size_}; }
  const void* data_ = nullptr;
  uint32_t size_ = 0;
  Type type_ = Type::Null;
  bool flag_ = false;
};
static_assert(sizeof(Value) == 16);

struct Member {
  std::string_view key;
  Value value;
};

// ---- making values
// ---------------------------------------------------------------------------------------------------

Value string(Arena& arena, std::string_view text);
Value number(Arena& arena, int64_t value);
Value number(Arena& arena, double value);
inline Value boolean(bool value) { return Value::boolean(value); }
Value array(Arena& arena, std::span<const Value> items);
inline Value array(Arena& arena, std::initializer_list<Value> items) {
  return array(arena, std::span(items.begin(), items.size()));
}
/// Keys are copied. A later duplicate replaces an earlier one.
Value object(Arena& arena, std::span<const Member> members);
inline Value object(Arena& arena, std::initializer_list<Member> members) {
  return object(arena, std::span(members.begin(), members.size()));
}

/// Collects members in any order; values of C++ types are converted. `build` may be called once.
class Object {
 public:
  explicit Object(Arena& arena) : arena_(arena) {}
  Object& set(std::string_view key, Value value);
  Object& set(std::string_view key, std::string_view text) { return set(key, json::string(arena_, text)); }
  Object& set(std::string_view key, const std::string& text) { return set(key, std::string_view(text)); }
  Object& set(std::string_view key, const char* text) { return set(key, std::string_view(text)); }
  Object& set(std::string_view key, int64_t n) { return set(key, json::number(arena_, n)); }
  Object& set(std::string_view key, int n) { return set(key, static_cast<int64_t>(n)); }
  Object& set(std::string_view key, bool b) { return set(key, boolean(b)); }
  /// Only when not empty (Go's omitempty).
  Object& setNonEmpty(std::string_view key, std::string_view text) { return text.empty() ? *this : set(key, text); }
  bool empty() const { return members_.empty(); }
  Value build() const { return json::object(arena_, members_); }

 private:
  Arena& arena_;
  std::vector<Member> members_;
};

/// `object` with `key` set to `value` (null is a value here). A null `object` counts as {}.
Value with(Arena& arena, Value object, std::string_view key, Value value);
/// `object` without `key`.
Value without(Arena& arena, Value object, std::string_view key);
/// Sets a nested member, making objects on the way where they are missing.
Value withPath(Arena& arena, Value object, std::span<const std::string_view> path, Value value);
inline Value withPath(Arena& arena, Value object, std::initializer_list<std::string_view> path, Value value) {
  return withPath(arena, object, std::span(path.begin(), path.size()), value);
}
/// Removes a nested member; objects left empty on the way stay.
Value withoutPath(Arena& arena, Value object, std::initializer_list<std::string_view> path);
/// A deep copy in `arena`, so that it outlives the arena it came from.
Value clone(Arena& arena, Value value);
/// {"a":"b"} <-> sorted string pairs, for labels and the like; members that are not strings are left out.
std::vector<std::pair<std::string, std::string>> stringPairs(Value object);

// ---- text
// ------------------------------------------------------------------------------------------------------------

struct ParseOptions {
  size_t maxDepth = 256;  ///< nesting bound: recursion depth is stack
  /// When set, paths of keys given twice in one object are added ("spec.replicas"); the last one counts either way.
  std::vector<std::string>* duplicates = nullptr;
};
/// BadRequest with line and column on malformed text. The tree does not refer to `text`.
Result<Value> parse(Arena& arena, std::string_view text, const ParseOptions& options = {});

/// Canonical bytes.
std::string print(Value value);
void printTo(std::string& out, Value value);
/// Indented by two spaces, keys sorted.
std::string pretty(Value value);
/// A JSON string literal with quotes.
void printString(std::string& out, std::string_view text);
/// Go's strconv/encoding-json form of a float64.
std::string formatDouble(double value);

/// A tree that owns its memory.
struct Doc {
  std::shared_ptr<const Arena> arena;
  Value root;
  Value operator[](std::string_view key) const { return root[key]; }
  Value operator[](const char* key) const { return root[std::string_view(key)]; }
};
Result<Doc> parseDoc(std::string_view text, const ParseOptions& options = {});
Doc makeDoc(Value value);  ///< deep copy

}  // namespace stoker::json
