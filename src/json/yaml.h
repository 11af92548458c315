// yaml.h: YAML as Kubernetes reads it: one or more documents, YAML 1.1 booleans, anchors, duplicate keys refused.
#pragma once

#include <vector>

#include "json/json.h"

namespace stoker::json {

/// All documents of a stream (empty ones left out). JSON is YAML, so it is read as well. BadRequest with line and
/// column. Anchors are expanded within a bound on the total number of nodes (billion-laughs documents are refused).
///
/// Plain scalars mean what sigs.k8s.io/yaml makes of them: y, yes, on, n, no and off are booleans; 0o17, 017, 0x1F, 0b1
/// and 1_000 are integers; timestamps stay strings. Keys are strings whatever they looked like; "<<" merges.
Result<std::vector<Value>> parseYaml(Arena& arena, std::string_view text);

/// Block style, keys sorted, as sigs.k8s.io/yaml prints: what `-o yaml` shows.
std::string printYaml(Value value);

}  // namespace stoker::json
