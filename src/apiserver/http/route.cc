#include "apiserver/http/route.h"

#include <vector>

#include "base/strings.h"

namespace stoker::apiserver {

Route parseRoute(std::string_view path) {
  using What = Route::What;
  Route route;
  std::vector<std::string_view> parts;
  for (std::string_view part : split(path, '/'))
    if (!part.empty()) parts.push_back(part);
  if (parts.empty()) return route;
  std::string_view first = parts[0];
  if (first == "healthz" || first == "livez" || first == "readyz") {
    if (parts.size() <= 2) route.what = What::Health;
    return route;
  }
  if (first == "version" && parts.size() == 1)
    route.what = What::Version;
  else if (first == "metrics" && parts.size() == 1)
    route.what = What::Metrics;
  else if (first == "openapi" && parts.size() == 2 && parts[1] == "v2")
    route.what = What::OpenApiV2;
  if (first != "api" && first != "apis") return route;

  size_t at = 1;
  if (first == "api") {
    if (parts.size() == 1) {
      route.what = What::CoreVersions;
      return route;
    }
  } else {
    if (parts.size() == 1) {
      route.what = What::Groups;
      return route;
    }
    route.group = parts[at++];
    if (parts.size() == at) {
      route.what = What::Group;
      return route;
    }
  }
  route.version = parts[at++];
  if (at == parts.size()) {
    route.what = What::GroupVersion;
    return route;
  }
  if (parts[at] == "watch" && at + 1 < parts.size()) {
    route.watch = true;
    ++at;
  }
  auto left = [&] { return parts.size() - at; };
  // namespaces/NS/RESOURCE...; but namespaces/NS and its own subresources are about the namespace itself.
  if (parts[at] == "namespaces" && left() >= 3 &&
      !(left() == 3 && (parts[at + 2] == "status" || parts[at + 2] == "finalize"))) {
    route.namespace_ = parts[at + 1];
    at += 2;
  }
  if (left() > 3) return route;
  route.resource = parts[at];
  if (left() > 1) route.name = parts[at + 1];
  if (left() > 2) route.subresource = parts[at + 2];
  route.what = What::Resource;
  return route;
}

}  // namespace stoker::apiserver
