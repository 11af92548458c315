// patch.h: JSON merge patch (RFC 7386) and JSON patch (RFC 6902). Strategic merge needs a schema: schema.h.
#pragma once

#include "base/result.h"
#include "json/json.h"

namespace stoker::kube {

/// Nulls delete, objects merge, everything else replaces.
json::Value mergePatch(json::Arena& arena, json::Value target, json::Value patch);

/// A merge patch that turns `from` into `to` (arrays replaced whole); an empty object when they are equal.
json::Value makeMergePatch(json::Arena& arena, json::Value from, json::Value to);

/// Operations in order, all or nothing. BadRequest when the document is malformed; Invalid (422) when an operation
/// cannot be applied or a test fails; RequestEntityTooLarge above 10,000 operations (as upstream) or when they would
/// shift more elements than a patch may. At most 3 MiB of copies, as upstream. Where RFC 6902 is silent, upstream's
/// library counts: a test for null passes where the member is missing, and index -1 is the last element (or, for add,
/// the end).
Result<json::Value> jsonPatch(json::Arena& arena, json::Value target, json::Value operations);

/// RFC 6901. NotFound when nothing is there, BadRequest when the pointer is malformed.
Result<json::Value> jsonPointer(json::Value root, std::string_view pointer);

}  // namespace stoker::kube
