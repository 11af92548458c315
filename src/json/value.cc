#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "json/json.h"

namespace stoker::json {

// ---- Arena
// -----------------------------------------------------------------------------------------------------------

struct Arena::Chunk {
  Chunk* previous;
};

Arena::~Arena() {
  while (head_) {
    Chunk* previous = head_->previous;
    std::free(head_);
    head_ = previous;
  }
}

void* Arena::allocate(size_t bytes, size_t align) {
  size_t pad = (align - reinterpret_cast<uintptr_t>(next_) % align) % align;
  if (!next_ || pad + bytes > left_) {
    // Chunks grow with use, so a small document costs one small allocation and a large one few.
    size_t size = std::max({bytes + align + sizeof(Chunk), size_t{2048}, std::min(used_, size_t{1} << 20)});
    auto* chunk = static_cast<Chunk*>(std::malloc(size));
    if (!chunk) throw std::bad_alloc();
    chunk->previous = head_;
    head_ = chunk;
    next_ = reinterpret_cast<char*>(chunk + 1);
    left_ = size - sizeof(Chunk);
    pad = (align - reinterpret_cast<uintptr_t>(next_) % align) % align;
  }
  char* out = next_ + pad;
  next_ = out + bytes;
  left_ -= pad + bytes;
  used_ += pad + bytes;
  return out;
}

char* Arena::copyMutable(std::string_view text) {
  char* out = static_cast<char*>(allocate(text.size() + 1, 1));
  if (!text.empty()) std::memcpy(out, text.data(), text.size());
  out[text.size()] = '\0';
  return out;
}

std::string_view Arena::copy(std::string_view text) { return {copyMutable(text), text.size()}; }

// ---- Value
// -----------------------------------------------------------------------------------------------------------

std::string_view typeName(Type type) {
  static constexpr std::string_view kNames[] = {"null", "bool", "number", "string", "array", "object"};
  return kNames[static_cast<int>(type)];
}

Value Value::boolean(bool b) {
  Value v;
  v.type_ = Type::Bool;
  v.flag_ = b;
  return v;
}
Value Value::rawString(std::string_view text) {
  Value v;
  v.type_ = Type::String;
  v.data_ = text.data();
  v.size_ = static_cast<uint32_t>(text.size());
  return v;
}
Value Value::rawNumber(std::string_view text) {
  Value v = rawString(text);
  v.type_ = Type::Number;
  return v;
}
Value Value::rawArray(const Value* items, size_t count) {
  Value v;
  v.type_ = Type::Array;
  v.data_ = items;
  v.size_ = static_cast<uint32_t>(count);
  return v;
}
Value Value::rawObject(const Member* members, size_t count) {
  Value v;
  v.type_ = Type::Object;
  v.data_ = members;
  v.size_ = static_cast<uint32_t>(count);
  return v;
}

std::optional<int64_t> Value::integer() const {
  if (type_ != Type::Number) return std::nullopt;
  std::string_view t = text();
  int64_t out = 0;
  auto [end, ec] = std::from_chars(t.data(), t.data() + t.size(), out);
  if (ec == std::errc() && end == t.data() + t.size()) return out;
  if (ec == std::errc::result_out_of_range) return std::nullopt;
  auto d = real();
  if (!d || *d != std::floor(*d) || *d < -9.2233720368547758e18 || *d >= 9.2233720368547758e18) return std::nullopt;
  return static_cast<int64_t>(*d);
}

std::optional<double> Value::real() const {
  if (type_ != Type::Number) return std::nullopt;
  std::string_view t = text();
  double out = 0;
  auto [end, ec] = std::from_chars(t.data(), t.data() + t.size(), out);
  if (ec != std::errc() || end != t.data() + t.size()) return std::nullopt;
  return out;
}

std::span<const Value> Value::items() const {
  if (type_ != Type::Array) return {};
  return {static_cast<const Value*>(data_), size_};
}

std::span<const Member> Value::members() const {
  if (type_ != Type::Object) return {};
  return {static_cast<const Member*>(data_), size_};
}

const Value* Value::find(std::string_view key) const {
  auto all = members();
  auto it =
      std::lower_bound(all.begin(), all.end(), key, [](const Member& m, std::string_view k) { return m.key < k; });
  return it != all.end() && it->key == key ? &it->value : nullptr;
}

Value Value::operator[](std::string_view key) const {
  const Value* found = find(key);
  return found ? *found : Value();
}

Value Value::operator[](size_t index) const {
  auto all = items();
  return index < all.size() ? all[index] : Value();
}

Value Value::at(std::initializer_list<std::string_view> path) const {
  Value v = *this;
  for (std::string_view step : path) v = v[step];
  return v;
}

bool operator==(const Value& a, const Value& b) {
  if (a.type_ != b.type_) return false;
  switch (a.type_) {
    case Type::Null:
      return true;
    case Type::Bool:
      return a.flag_ == b.flag_;
    case Type::String:
      return a.text() == b.text();
    case Type::Number:
      return a.text() == b.text() || print(a) == print(b);
    case Type::Array: {
      auto x = a.items(), y = b.items();
      return x.data() == y.data() ? x.size() == y.size() : std::equal(x.begin(), x.end(), y.begin(), y.end());
    }
    case Type::Object: {
      auto x = a.members(), y = b.members();
      if (x.data() == y.data()) return x.size() == y.size();
      return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                        [](const Member& m, const Member& n) { return m.key == n.key && m.value == n.value; });
    }
  }
  return false;
}

// ---- makers
// ----------------------------------------------------------------------------------------------------------

Value string(Arena& arena, std::string_view text) { return Value::rawString(arena.copy(text)); }
Value number(Arena& arena, int64_t value) {
  char buffer[24];
  auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return Value::rawNumber(arena.copy({buffer, static_cast<size_t>(end - buffer)}));
}
Value number(Arena& arena, double value) { return Value::rawNumber(arena.copy(formatDouble(value))); }

Value array(Arena& arena, std::span<const Value> items) {
  auto* out = static_cast<Value*>(arena.allocate(items.size() * sizeof(Value), alignof(Value)));
  std::copy(items.begin(), items.end(), out);
  return Value::rawArray(out, items.size());
}

Value object(Arena& arena, std::span<const Member> members) {
  auto* out = static_cast<Member*>(arena.allocate(members.size() * sizeof(Member), alignof(Member)));
  size_t count = 0;
  for (const Member& member : members) out[count++] = {arena.copy(member.key), member.value};
  std::stable_sort(out, out + count, [](const Member& a, const Member& b) { return a.key < b.key; });
  size_t kept = 0;
  for (size_t i = 0; i < count; ++i) {
    if (kept > 0 && out[kept - 1].key == out[i].key)
      out[kept - 1] = out[i];
    else
      out[kept++] = out[i];
  }
  return Value::rawObject(out, kept);
}

Object& Object::set(std::string_view key, Value value) {
  members_.push_back({arena_.copy(key), value});
  return *this;
}

Value with(Arena& arena, Value object, std::string_view key, Value value) {
  auto old = object.members();
  auto it =
      std::lower_bound(old.begin(), old.end(), key, [](const Member& m, std::string_view k) { return m.key < k; });
  bool replaces = it != old.end() && it->key == key;
  size_t count = old.size() + (replaces ? 0 : 1);
  auto* out = static_cast<Member*>(arena.allocate(count * sizeof(Member), alignof(Member)));
  Member* at = std::copy(old.begin(), it, out);
  *at++ = {replaces ? it->key : arena.copy(key), value};
  std::copy(replaces ? it + 1 : it, old.end(), at);
  return Value::rawObject(out, count);
}

Value without(Arena& arena, Value object, std::string_view key) {
  auto old = object.members();
  auto it =
      std::lower_bound(old.begin(), old.end(), key, [](const Member& m, std::string_view k) { return m.key < k; });
  if (it == old.end() || it->key != key) return object;
  auto* out = static_cast<Member*>(arena.allocate((old.size() - 1) * sizeof(Member), alignof(Member)));
  Member* at = std::copy(old.begin(), it, out);
  std::copy(it + 1, old.end(), at);
  return Value::rawObject(out, old.size() - 1);
}

Value withPath(Arena& arena, Value object, std::span<const std::string_view> path, Value value) {
  if (path.empty()) return value;
  return with(arena, object, path[0], withPath(arena, object[path[0]], path.subspan(1), value));
}

Value withoutPath(Arena& arena, Value object, std::initializer_list<std::string_view> path) {
  std::span<const std::string_view> steps(path.begin(), path.size());
  if (steps.empty()) return object;
  if (steps.size() == 1) return without(arena, object, steps[0]);
  std::span<const std::string_view> parentPath = steps.first(steps.size() - 1);
  Value parent = object;
  for (std::string_view step : parentPath) parent = parent[step];
  if (!parent.has(steps.back())) return object;
  return withPath(arena, object, parentPath, without(arena, parent, steps.back()));
}

Value clone(Arena& arena, Value value) {
  switch (value.type()) {
    case Type::Null:
    case Type::Bool:
      return value;
    case Type::String:
      return string(arena, value.asString());
    case Type::Number:
      return Value::rawNumber(arena.copy(value.numberText()));
    case Type::Array: {
      auto items = value.items();
      auto* out = static_cast<Value*>(arena.allocate(items.size() * sizeof(Value), alignof(Value)));
      for (size_t i = 0; i < items.size(); ++i) out[i] = clone(arena, items[i]);
      return Value::rawArray(out, items.size());
    }
    case Type::Object: {
      auto members = value.members();
      auto* out = static_cast<Member*>(arena.allocate(members.size() * sizeof(Member), alignof(Member)));
      for (size_t i = 0; i < members.size(); ++i) out[i] = {arena.copy(members[i].key), clone(arena, members[i].value)};
      return Value::rawObject(out, members.size());
    }
  }
  return {};
}

std::vector<std::pair<std::string, std::string>> stringPairs(Value object) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const Member& m : object.members())
    if (m.value.isString()) out.emplace_back(m.key, m.value.asString());
  return out;
}

Doc makeDoc(Value value) {
  auto arena = std::make_shared<Arena>();
  Value root = clone(*arena, value);
  return {std::move(arena), root};
}

}  // namespace stoker::json
