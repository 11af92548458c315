// describe.h
//
// How an API struct says what it looks like. Each struct lists its fields once:
//
//     static constexpr auto describe() {
//       return std::tuple{field("replicas", &ReplicaSpec::replicas, "How many pods.").minimum(0).defaults("1"), ...};
//     }
//
// and decoding, encoding, CRD schemas and the reference documentation are derived from that (codec.h, crd.h).
#pragma once

#include <cstdint>
#include <string_view>

namespace stoker::api {

/// What a CRD schema says about a field beyond its type.
struct Rules {
  bool required = false;
  bool hasMinimum = false;
  int64_t minimumValue = 0;
  const char* defaultJson = nullptr;  ///< JSON text
  const char* allowed = nullptr;      ///< "A|B|C"
  const char* builtinType = nullptr;  ///< a raw field with the shape of this Kubernetes message
  const char* listMapKey = nullptr;   ///< list-type map with this key
  const char* formatName = nullptr;   ///< "date-time" and such
  bool intOrString = false;
};

template <class Struct, class Member>
struct FieldOf {
  std::string_view name;
  Member Struct::*member;
  const char* doc;
  Rules rules{};

  constexpr FieldOf required() const {
    auto f = *this;
    f.rules.required = true;
    return f;
  }
  constexpr FieldOf minimum(int64_t v) const {
    auto f = *this;
    f.rules.hasMinimum = true;
    f.rules.minimumValue = v;
    return f;
  }
  constexpr FieldOf defaults(const char* json) const {
    auto f = *this;
    f.rules.defaultJson = json;
    return f;
  }
  constexpr FieldOf oneOf(const char* values) const {
    auto f = *this;
    f.rules.allowed = values;
    return f;
  }
  constexpr FieldOf builtin(const char* message) const {
    auto f = *this;
    f.rules.builtinType = message;
    return f;
  }
  constexpr FieldOf keyedBy(const char* key) const {
    auto f = *this;
    f.rules.listMapKey = key;
    return f;
  }
  constexpr FieldOf intOrString() const {
    auto f = *this;
    f.rules.intOrString = true;
    return f;
  }
};

template <class Struct, class Member>
constexpr FieldOf<Struct, Member> field(std::string_view name, Member Struct::*member, const char* doc = "") {
  return {name, member, doc};
}

/// True for structs that have describe().
template <class T>
concept Described = requires {
  T::describe();
};

}  // namespace stoker::api
