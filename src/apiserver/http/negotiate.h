// negotiate.h: content types of requests and answers. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace stoker::apiserver {

/// What the answer shall look like.
struct Accepted {
  enum class Form { Object, Table, PartialMetadata } form = Form::Object;
  bool yaml = false;
  std::string metaVersion;  ///< of Table and PartialObjectMetadata: v1 or v1beta1
};
/// From an Accept header (empty: JSON). The first acceptable entry by q-value and order. NotAcceptable (406) when none
/// is.
Result<Accepted> negotiate(std::string_view accept, bool canTransform);

enum class BodyType { Json, Yaml, Protobuf, JsonPatch, MergePatch, StrategicPatch, ApplyPatch };
/// UnsupportedMediaType (415) with the list of what would do.
Result<BodyType> bodyType(std::string_view contentType, bool isPatch);

/// True when `accept` prefers this exact media type (OpenAPI's protobuf).
bool accepts(std::string_view accept, std::string_view mediaType);

}  // namespace stoker::apiserver
