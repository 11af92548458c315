// crd_of.h: CustomResourceDefinitions of our own kinds, generated from the structs that describe them (api/describe.h).
#pragma once

#include <string>
#include <vector>

#include "api/codec.h"
#include "api/meta.h"
#include "base/strings.h"
#include "kube/kinds.h"

namespace stoker::kube {

struct CrdOptions {
  std::string singular;
  std::vector<std::string> shortNames, categories;
  std::vector<Column> columns;
  bool status = true;
  ScalePaths scale;  ///< specReplicas empty: no /scale
};

namespace detail {

template <class T>
json::Value openapiOf(json::Arena& arena, const api::Rules& rules);

template <class T>
json::Value objectSchema(json::Arena& arena, bool root) {
  json::Object properties(arena);
  std::vector<json::Value> required;
  std::apply(
      [&](const auto&... fields) {
        (
            [&](const auto& f) {
              std::string_view name = f.name;
              if (root && (name == "metadata")) return;
              using Member = std::remove_cvref_t<decltype(std::declval<T>().*(f.member))>;
              json::Value schema = openapiOf<Member>(arena, f.rules);
              if (*f.doc) schema = json::with(arena, schema, "description", json::string(arena, f.doc));
              properties.set(name, schema);
              if (f.rules.required) required.push_back(json::string(arena, name));
            }(fields),
            ...);
      },
      T::describe());
  if (root) {
    properties.set("apiVersion", json::Object(arena).set("type", "string").build());
    properties.set("kind", json::Object(arena).set("type", "string").build());
    properties.set("metadata", json::Object(arena).set("type", "object").build());
  }
  json::Object out(arena);
  out.set("type", "object").set("properties", properties.build());
  if (!required.empty()) out.set("required", json::array(arena, required));
  return out.build();
}

template <class T>
json::Value openapiOf(json::Arena& arena, const api::Rules& rules) {
  json::Object out(arena);
  auto type = [&](const char* name) { out.set("type", name); };
  if constexpr (api::detail::IsOptional<T>::value) {
    return openapiOf<typename T::value_type>(arena, rules);
  } else if constexpr (std::is_same_v<T, std::string>) {
    if (rules.intOrString)
      out.set("x-kubernetes-int-or-string", true);
    else
      type("string");
  } else if constexpr (std::is_same_v<T, bool>) {
    type("boolean");
  } else if constexpr (std::integral<T>) {
    type("integer");
    out.set("format", sizeof(T) == 4 ? "int32" : "int64");
  } else if constexpr (std::is_same_v<T, double>) {
    type("number");
  } else if constexpr (std::is_same_v<T, Time>) {
    type("string");
    out.set("format", "date-time");
  } else if constexpr (std::is_same_v<T, api::Raw>) {
    if (rules.builtinType) out.set("type", "object").set(kBuiltinKeyword, rules.builtinType);
    out.set("x-kubernetes-preserve-unknown-fields", true);
  } else if constexpr (api::detail::IsVector<T>::value) {
    type("array");
    out.set("items", openapiOf<typename T::value_type>(arena, {}));
    if (rules.listMapKey)
      out.set("x-kubernetes-list-type", "map")
          .set("x-kubernetes-list-map-keys", json::array(arena, {json::string(arena, rules.listMapKey)}));
  } else if constexpr (api::detail::IsMap<T>::value) {
    type("object");
    api::Rules inner;
    inner.intOrString = rules.intOrString;
    out.set("additionalProperties", openapiOf<typename T::mapped_type>(arena, inner));
  } else {
    return objectSchema<T>(arena, false);
  }
  if (rules.hasMinimum) out.set("minimum", rules.minimumValue);
  if (rules.defaultJson) out.set("default", *json::parse(arena, rules.defaultJson));
  if (rules.allowed) {
    std::vector<json::Value> values;
    for (std::string_view value : split(rules.allowed, '|')) values.push_back(json::string(arena, value));
    out.set("enum", json::array(arena, values));
  }
  return out.build();
}

json::Value crdObject(json::Arena& arena, const api::Gvk& gvk, const CrdOptions& options, json::Value schema);

}  // namespace detail

/// The CustomResourceDefinition of T as JSON.
template <class T>
json::Value crdOf(json::Arena& arena, const CrdOptions& options) {
  return detail::crdObject(arena, T::gvk, options, detail::objectSchema<T>(arena, true));
}

}  // namespace stoker::kube
