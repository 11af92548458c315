// codec.h
//
// JSON <-> API structs, derived from describe(). Decoding is lenient: what is in the store has passed validation,
// members the struct does not know are skipped, a member of another type counts as missing. Encoding leaves out empty
// strings, empty containers, false, zero and unset optionals (Go's omitempty); use std::optional where zero is worth
// saying.
#pragma once

#include <concepts>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/describe.h"
#include "base/time.h"
#include "json/json.h"
#include "json/reader.h"

namespace stoker::api {

/// A part kept as the JSON it was: pod templates, affinity, whatever our code only passes on.
using Raw = json::Doc;

namespace detail {
template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
template <class T>
struct IsMap : std::false_type {};
template <class T>
struct IsMap<std::map<std::string, T>> : std::true_type {};
}  // namespace detail

/// Whether `value` has the JSON type of a T.
template <class T>
bool fits(json::Value value) {
  if constexpr (std::is_same_v<T, std::string>)
    return value.isString() || value.isNumber();
  else if constexpr (std::is_same_v<T, bool>)
    return value.isBool();
  else if constexpr (std::integral<T>)
    return value.integer().has_value() && std::in_range<T>(*value.integer());
  else if constexpr (std::is_same_v<T, double>)
    return value.isNumber();
  else if constexpr (std::is_same_v<T, Time>)
    return parseTime(value.asString()).has_value();
  else if constexpr (std::is_same_v<T, Raw>)
    return true;
  else if constexpr (detail::IsVector<T>::value)
    return value.isArray();
  else
    return value.isObject();
}

template <class T>
void decodeInto(json::Value value, T& out) {
  if constexpr (std::is_same_v<T, std::string>) {
    // IntOrString and quantities may be numbers; their text is what matters.
    if (value.isString())
      out = value.asString();
    else if (value.isNumber())
      out = json::print(value);
  } else if constexpr (std::is_same_v<T, bool>) {
    out = value.asBool(out);
  } else if constexpr (std::integral<T>) {
    if (auto n = value.integer(); n && std::in_range<T>(*n)) out = static_cast<T>(*n);
  } else if constexpr (std::is_same_v<T, double>) {
    if (auto n = value.real()) out = *n;
  } else if constexpr (std::is_same_v<T, Time>) {
    if (auto t = parseTime(value.asString())) out = *t;
  } else if constexpr (std::is_same_v<T, Raw>) {
    out = value.isNull() ? Raw{} : json::makeDoc(value);
  } else if constexpr (detail::IsOptional<T>::value) {
    if (value.isNull() || !fits<typename T::value_type>(value)) return;
    typename T::value_type inner{};
    decodeInto(value, inner);
    out = std::move(inner);
  } else if constexpr (detail::IsVector<T>::value) {
    out.clear();
    out.reserve(value.items().size());
    for (json::Value item : value.items()) decodeInto(item, out.emplace_back());
  } else if constexpr (detail::IsMap<T>::value) {
    out.clear();
    for (const json::Member& m : value.members()) decodeInto(m.value, out[std::string(m.key)]);
  } else {
    static_assert(Described<T>);
    static constexpr auto kFields = T::describe();
    std::apply(
        [&](const auto&... fields) {
          (
              [&](const auto& f) {
                if (const json::Value* member = value.find(f.name)) decodeInto(*member, out.*(f.member));
              }(fields),
              ...);
        },
        kFields);
  }
}

template <class T>
T decode(json::Value value) {
  T out{};
  decodeInto(value, out);
  return out;
}

/// Reads the value that comes next, as decodeInto does from a tree. `partly`: a struct's text need not be read further
/// than to the last of its members.
template <class T>
void readInto(json::Reader& in, T& out, bool partly = false) {
  json::Type type = in.type();
  if constexpr (std::is_same_v<T, std::string>) {
    if (type == json::Type::String)
      in.string(out);
    else if (type == json::Type::Number)
      out = json::print(json::Value::rawNumber(in.skip()));
    else
      in.skip();
  } else if constexpr (std::is_same_v<T, bool>) {
    if (type == json::Type::Bool)
      out = in.boolean();
    else
      in.skip();
  } else if constexpr (std::is_arithmetic_v<T>) {
    std::string_view text = in.skip();
    if (type == json::Type::Number) decodeInto(json::Value::rawNumber(text), out);
  } else if constexpr (std::is_same_v<T, Time>) {
    std::string_view text = in.skip();  // times have no escapes
    if (type == json::Type::String && text.size() > 2)
      decodeInto(json::Value::rawString(text.substr(1, text.size() - 2)), out);
  } else if constexpr (std::is_same_v<T, Raw>) {
    auto doc = json::parseDoc(in.skip());
    out = doc.ok() && !doc->root.isNull() ? std::move(*doc) : Raw{};
  } else if constexpr (detail::IsOptional<T>::value) {
    using Inner = typename T::value_type;
    if constexpr (Described<Inner> || detail::IsVector<Inner>::value || detail::IsMap<Inner>::value) {
      if (type != (detail::IsVector<Inner>::value ? json::Type::Array : json::Type::Object)) {
        in.skip();
        return;
      }
      Inner inner{};
      readInto(in, inner);
      out = std::move(inner);
    } else {  // whether a scalar fits depends on its text
      static_assert(!std::is_same_v<Inner, Raw>);
      std::string text;
      if (type == json::Type::Number)
        decodeInto(json::Value::rawNumber(in.skip()), out);
      else if (type == json::Type::Bool)
        decodeInto(json::boolean(in.boolean()), out);
      else if (type == json::Type::String)
        in.string(text), decodeInto(json::Value::rawString(text), out);
      else
        in.skip();
    }
  } else if constexpr (detail::IsVector<T>::value) {
    out.clear();
    if (type != json::Type::Array) {
      in.skip();
      return;
    }
    for (in.beginArray(); in.element();) readInto(in, out.emplace_back());
    out.shrink_to_fit();  // what is decoded is kept
  } else if constexpr (detail::IsMap<T>::value) {
    out.clear();
    if (type != json::Type::Object) {
      in.skip();
      return;
    }
    std::string_view key;
    for (in.beginObject(); in.member(key);) readInto(in, out[std::string(key)]);
  } else {
    static_assert(Described<T>);
    if (type != json::Type::Object) {
      in.skip();
      return;
    }
    std::string_view key;
    static constexpr auto kFields = T::describe();  // names and their lengths are constants below
    size_t wanted = std::tuple_size_v<decltype(T::describe())>;
    for (in.beginObject(); in.member(key);) {
      bool known = std::apply(
          [&](const auto&... fields) {
            return ((key == fields.name && (readInto(in, out.*(fields.member)), true)) || ...);
          },
          kFields);
      if (!known) in.skip();
      if (known && --wanted == 0 && partly) return;
    }
  }
}

/// decode() of what `text` says, without the tree: for text that is known to be JSON. BadRequest when it is not.
template <class T>
Result<T> decodeText(std::string_view text) {
  T out{};
  json::Reader reader(text);
  readInto(reader, out, true);
  if (!reader.ok()) return Error(Reason::BadRequest, "malformed JSON");
  return out;
}

template <class T>
bool isEmpty(const T& value) {
  if constexpr (std::is_same_v<T, std::string> || detail::IsVector<T>::value || detail::IsMap<T>::value)
    return value.empty();
  else if constexpr (std::is_same_v<T, bool>)
    return !value;
  else if constexpr (std::is_arithmetic_v<T>)
    return value == 0;
  else if constexpr (std::is_same_v<T, Time>)
    return value == Time{};
  else if constexpr (std::is_same_v<T, Raw>)
    return value.root.isNull();
  else if constexpr (detail::IsOptional<T>::value)
    return !value.has_value();
  else {
    bool empty = true;
    std::apply([&](const auto&... fields) { ((empty = empty && isEmpty(value.*(fields.member))), ...); },
               T::describe());
    return empty;
  }
}

template <class T>
json::Value encode(json::Arena& arena, const T& value) {
  if constexpr (std::is_same_v<T, std::string>)
    return json::string(arena, value);
  else if constexpr (std::is_same_v<T, bool>)
    return json::boolean(value);
  else if constexpr (std::integral<T>)
    return json::number(arena, static_cast<int64_t>(value));
  else if constexpr (std::is_same_v<T, double>)
    return json::number(arena, value);
  else if constexpr (std::is_same_v<T, Time>)
    return json::string(arena, formatTime(value));
  else if constexpr (std::is_same_v<T, Raw>)
    return json::clone(arena, value.root);
  else if constexpr (detail::IsOptional<T>::value)
    return value ? encode(arena, *value) : json::Value();
  else if constexpr (detail::IsVector<T>::value) {
    std::vector<json::Value> items;
    items.reserve(value.size());
    for (const auto& item : value) items.push_back(encode(arena, item));
    return json::array(arena, items);
  } else if constexpr (detail::IsMap<T>::value) {
    json::Object out(arena);
    for (const auto& [key, item] : value) out.set(key, encode(arena, item));
    return out.build();
  } else {
    static_assert(Described<T>);
    json::Object out(arena);
    std::apply(
        [&](const auto&... fields) {
          (
              [&](const auto& f) {
                const auto& member = value.*(f.member);
                if (!isEmpty(member)) out.set(f.name, encode(arena, member));
              }(fields),
              ...);
        },
        T::describe());
    return out.build();
  }
}

// What stands above is compiled for our kinds once, in codec.cc: each header lists its structs and declares that here.
#define STOKER_DECLARE_CODEC(T)                                  \
  extern template void decodeInto<T>(json::Value, T&);           \
  extern template void readInto<T>(json::Reader&, T&, bool);     \
  extern template json::Value encode<T>(json::Arena&, const T&); \
  extern template bool isEmpty<T>(const T&);
#define STOKER_DEFINE_CODEC(T)                            \
  template void decodeInto<T>(json::Value, T&);           \
  template void readInto<T>(json::Reader&, T&, bool);     \
  template json::Value encode<T>(json::Arena&, const T&); \
  template bool isEmpty<T>(const T&);

/// Canonical text of a struct.
template <class T>
std::string encodeText(const T& value) {
  json::Arena arena;
  return json::print(encode(arena, value));
}

}  // namespace stoker::api
