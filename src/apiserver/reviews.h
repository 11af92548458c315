// reviews.h: resources that are questions, not objects: created, answered, never stored (SelfSubjectAccessReview and
// such).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "apiserver/auth/authorizer.h"
#include "json/json.h"

namespace stoker::apiserver {

class RbacAuthorizer;
class RequestAuthenticator;

struct Review {
  std::string group, version, resource, kind;
  bool namespaced = false;
  /// The object with its status filled in.
  std::function<Result<json::Value>(json::Arena&, const User&, const std::string& ns, json::Value body)> answer;
};

/// authorization.k8s.io/v1 Self-, Local- and SubjectAccessReview, SelfSubjectRulesReview; authentication.k8s.io/v1
/// SelfSubjectReview and TokenReview. The arguments must outlive the reviews. Without `rbac` a rules review says that
/// it is incomplete. `audience` is that of this API's tokens (TokenKeys).
std::vector<Review> makeReviews(const Authorizer& authorizer, const RequestAuthenticator& authenticator,
                                const RbacAuthorizer* rbac,
                                const std::string& audience = "https://kubernetes.default.svc");

}  // namespace stoker::apiserver
