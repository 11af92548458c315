#include "apiserver/http/route.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace stoker::apiserver {
namespace {

std::string shown(const Route& r) {
  static const char* kNames[] = {"NotFound",     "Health", "Version", "Metrics",      "OpenApiV2",
                                 "CoreVersions", "Groups", "Group",   "GroupVersion", "Resource"};
  std::string out = kNames[static_cast<int>(r.what)];
  if (r.what != Route::What::NotFound && (!r.group.empty() || !r.version.empty()))
    out += fmt::format(" {}/{}", r.group, r.version);
  if (r.what == Route::What::Resource)
    out += fmt::format(" ns={} {} {} {}", r.namespace_, r.resource, r.name, r.subresource);
  while (out.ends_with(' ')) out.pop_back();
  return out + (r.watch ? " watch" : "");
}

TEST(Route, pathsOfTheApi) {
  struct Case {
    const char* path;
    const char* route;
  };
  for (const Case& c : {
           Case{"/", "NotFound"},
           Case{"", "NotFound"},
           Case{"/nothing", "NotFound"},
           Case{"/healthz", "Health"},
           Case{"/readyz/etcd", "Health"},
           Case{"/livez/a/b", "NotFound"},
           Case{"/version", "Version"},
           Case{"/version/", "Version"},
           Case{"/version/x", "NotFound"},
           Case{"/metrics", "Metrics"},
           Case{"/openapi/v2", "OpenApiV2"},
           Case{"/openapi/v3", "NotFound"},
           Case{"/api", "CoreVersions"},
           Case{"/api/", "CoreVersions"},
           Case{"/apis", "Groups"},
           Case{"/apis/batch", "Group batch/"},
           Case{"/api/v1", "GroupVersion /v1"},
           Case{"/apis/batch/v1/", "GroupVersion batch/v1"},
           Case{"/api/v1/nodes", "Resource /v1 ns= nodes"},
           Case{"/api/v1/nodes/n1", "Resource /v1 ns= nodes n1"},
           Case{"/api/v1/nodes/n1/status", "Resource /v1 ns= nodes n1 status"},
           Case{"/api/v1/pods", "Resource /v1 ns= pods"},
           Case{"/api/v1/namespaces", "Resource /v1 ns= namespaces"},
           Case{"/api/v1/namespaces/a", "Resource /v1 ns= namespaces a"},
           Case{"/api/v1/namespaces/a/status", "Resource /v1 ns= namespaces a status"},
           Case{"/api/v1/namespaces/a/finalize", "Resource /v1 ns= namespaces a finalize"},
           Case{"/api/v1/namespaces/a/pods", "Resource /v1 ns=a pods"},
           Case{"/api/v1/namespaces/a/pods/p", "Resource /v1 ns=a pods p"},
           Case{"/api/v1/namespaces/a/pods/p/log", "Resource /v1 ns=a pods p log"},
           Case{"/api/v1/namespaces/a/pods/p/log/x", "NotFound"},
           Case{"/apis/batch/v1/namespaces/a/jobs/j/status", "Resource batch/v1 ns=a jobs j status"},
           Case{"/api/v1/watch/pods", "Resource /v1 ns= pods watch"},
           Case{"/api/v1/watch/namespaces/a/pods/p", "Resource /v1 ns=a pods p watch"},
       })
    EXPECT_EQ(shown(parseRoute(c.path)), c.route) << c.path;
}

}  // namespace
}  // namespace stoker::apiserver
