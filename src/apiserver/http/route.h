// route.h: what a path asks for. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace stoker::apiserver {

struct Route {
  enum class What {
    NotFound,
    Health,        ///< /healthz, /livez, /readyz and one level below
    Version,       ///< /version
    Metrics,       ///< /metrics
    OpenApiV2,     ///< /openapi/v2
    CoreVersions,  ///< /api
    Groups,        ///< /apis
    Group,         ///< /apis/G
    GroupVersion,  ///< /api/v1, /apis/G/V
    Resource,
  } what = What::NotFound;
  std::string group, version;
  std::string namespace_, resource, name, subresource;
  bool watch = false;  ///< legacy /watch/ prefix
};

Route parseRoute(std::string_view path);

}  // namespace stoker::apiserver
