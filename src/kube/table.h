// table.h: meta.k8s.io/v1 Table rows: what kubectl prints.
#pragma once

#include <span>

#include "base/time.h"
#include "json/json.h"
#include "kube/kinds.h"

namespace stoker::kube {

/// columnDefinitions of a kind.
json::Value tableColumns(json::Arena& arena, const KindInfo& kind);
/// The cells of one object's row, in the order of the columns (upstream's printers for built-in kinds, JSON paths for
/// custom ones; dates of custom kinds as ages, missing values null or "<none>" as upstream does).
json::Value tableCells(json::Arena& arena, const KindInfo& kind, json::Value object, Time now);

/// The values a JSON path (kubectl/CRD subset: .a.b, ['x'], [0], [*], [-1:], [?(@.type=="x")]) selects, in order.
Result<std::vector<json::Value>> jsonPath(json::Value root, std::string_view path);

}  // namespace stoker::kube
