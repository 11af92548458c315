// field_error.h: causes in the words of apimachinery/pkg/util/validation/field.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "base/strings.h"
#include "json/json.h"

namespace stoker::kube {

/// A value as field.Error prints it: strings quoted as Go's %q, everything else as JSON.
inline std::string shown(json::Value value) { return value.isString() ? quote(value.asString()) : json::print(value); }
inline std::string detail(std::string_view text) { return text.empty() ? std::string() : ": " + std::string(text); }

inline Cause required(std::string path, std::string_view why = {}) {
  return {"FieldValueRequired", "Required value" + detail(why), std::move(path)};
}
inline Cause invalid(std::string path, std::string_view value, std::string_view why,
                     std::string type = "FieldValueInvalid") {
  return {std::move(type), fmt::format("Invalid value: {}: {}", value, why), std::move(path)};
}
inline Cause forbidden(std::string path, std::string_view why) {
  return {"FieldValueForbidden", "Forbidden" + detail(why), std::move(path)};
}
inline Cause duplicate(std::string path, json::Value value) {
  return {"FieldValueDuplicate", "Duplicate value: " + shown(value), std::move(path)};
}
inline Cause unsupported(std::string path, json::Value value, const std::vector<std::string>& allowed) {
  std::string list;
  for (const std::string& one : allowed) list += (list.empty() ? "" : ", ") + quote(one);
  return {"FieldValueNotSupported", fmt::format("Unsupported value: {}: supported values: {}", shown(value), list),
          std::move(path)};
}

}  // namespace stoker::kube
