// printers.h: the cells of built-in kinds' rows, as upstream's printers (pkg/printers/internalversion) fill them.
// Internal to kube/; table.h is what others use.
#pragma once

#include <string_view>

#include "base/time.h"
#include "json/json.h"

namespace stoker::kube {

struct CellContext {
  json::Arena& arena;
  json::Value object;
  Time now;
};
using CellFunction = json::Value (*)(const CellContext&);

/// The function for a column of a resource ("pods", "roles.rbac.authorization.k8s.io"); null when upstream has no such
/// column.
CellFunction builtinCell(std::string_view groupResource, std::string_view column);

/// How long ago an RFC 3339 text was, in kubectl's short form; "<unknown>" when there is none.
std::string ageOf(json::Value timestamp, Time now);

}  // namespace stoker::kube
