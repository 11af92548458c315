// openapi.h
//
// The OpenAPI v2 document of a set of kinds: what kubectl validates and explains by, where it finds out whether the
// server takes fieldValidation and dryRun, and what Python's dynamic clients read. Built from the schemas alone; a few
// milliseconds and about a megabyte, so whoever serves it keeps it until the set of kinds changes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "kube/kinds.h"

namespace stoker::kube {

/// `application/json`. Keys are sorted: equal sets of kinds give equal bytes (ETag).
std::string openapiV2Json(std::span<const KindPtr> kinds);

/// `application/com.github.proto-openapi.spec.v2@v1.0+protobuf`: gnostic's openapi.v2.Document of the same content.
/// kubectl asks for nothing else.
std::string openapiV2Protobuf(std::span<const KindPtr> kinds);

/// Any OpenAPI v2 document as gnostic's message. Members the message has no place for are left out.
std::string openapiDocumentProtobuf(json::Value document);

}  // namespace stoker::kube
