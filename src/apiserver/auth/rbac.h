// rbac.h: rbac.authorization.k8s.io/v1, evaluated from the Roles and bindings in the store.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>

#include "apiserver/auth/authorizer.h"
#include "json/json.h"
#include "store/store.h"

namespace stoker::apiserver {

struct PolicyRule {
  std::vector<std::string> verbs, apiGroups, resources, resourceNames, nonResourceUrls;
  static PolicyRule fromJson(json::Value rule);
  bool allows(const Attributes& attributes) const;
};

/// Everything bound, by subject: what one decision looks at. Immutable.
class RbacSnapshot {
 public:
  struct Grant {
    std::string namespace_;  ///< empty: everywhere
    std::shared_ptr<const std::vector<PolicyRule>> rules;
  };
  /// Objects of the four kinds as JSON trees. Roles that are bound but do not exist grant nothing; aggregated
  /// ClusterRoles are computed from their selectors here.
  static RbacSnapshot build(const std::vector<json::Value>& clusterRoles, const std::vector<json::Value>& roles,
                            const std::vector<json::Value>& clusterRoleBindings,
                            const std::vector<json::Value>& roleBindings);
  bool allowed(const User& user, const Attributes& attributes) const;
  /// Rules that hold for a user in a namespace (SelfSubjectRulesReview).
  std::vector<PolicyRule> rulesFor(const User& user, std::string_view ns) const;

 private:
  void visit(const User& user, const std::function<bool(const Grant&)>& visitor) const;
  // "User/x", "Group/y", "SA/ns/name" -> grants
  std::map<std::string, std::vector<Grant>, std::less<>> grants_;
};

/// Follows the store; a decision sees every role change that was committed before it.
class RbacAuthorizer final : public Authorizer {
 public:
  static Result<std::unique_ptr<RbacAuthorizer>> open(store::Store& store);
  ~RbacAuthorizer() override;
  /// system:masters may do everything, as in upstream.
  bool allowed(const User& user, const Attributes& attributes) const override;
  std::shared_ptr<const RbacSnapshot> snapshot() const;

 private:
  explicit RbacAuthorizer(store::Store& store) : store_(store) {}
  store::Store& store_;
  std::vector<store::WatchId> watches_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const RbacSnapshot> snapshot_;  // null: to be built anew
  std::atomic<uint64_t> changes_{0};
};

}  // namespace stoker::apiserver
