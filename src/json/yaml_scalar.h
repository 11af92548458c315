// yaml_scalar.h: what a plain YAML scalar means. Shared by the reader and the printer (which must quote what would be
// read back as something else). The rules are those of sigs.k8s.io/yaml: YAML 1.1 booleans, octal, hexadecimal and
// binary integers, underscores, no base 60, timestamps recognised but kept as strings.
#pragma once

#include <optional>
#include <string_view>

#include "json/json.h"

namespace stoker::json {

enum class ScalarKind { Null, Bool, Int, Float, NotFinite, Timestamp, String };

struct Scalar {
  ScalarKind kind = ScalarKind::String;
  Value value;  ///< in the arena; null for NotFinite, the text for Timestamp and String
};

/// Resolves an unquoted, untagged scalar.
Scalar resolveScalar(Arena& arena, std::string_view text);

/// Whether `text` printed without quotes would be read back as that string by readers of YAML 1.1.
bool readsBackAsString(std::string_view text);

}  // namespace stoker::json
