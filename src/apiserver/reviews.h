// reviews.h: resources that are questions, not objects: created, answered, never stored (SelfSubjectAccessReview and such).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apiserver/auth/authorizer.h"
#include "json/json.h"

namespace stoker::apiserver {

struct Review {
  std::string group, version, resource, kind;
  bool namespaced = false;
  /// The object with its status filled in.
  std::function<Result<json::Value>(json::Arena&, const User&, const std::string& ns, json::Value body)> answer;
};

}  // namespace stoker::apiserver
