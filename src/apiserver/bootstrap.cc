#include "apiserver/bootstrap.h"

#include <fmt/format.h>

#include <future>

#include "base/log.h"

namespace stoker::apiserver {
namespace {

// One object a line. Roles of components hold what each of them does and no more.
constexpr std::string_view kObjects[] =
    {
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"default"}})",
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-system"}})",
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-public"}})",
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"kube-node-lease"}})",
        R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"stoker-system"}})",

        R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"system-cluster-critical"},"value":2000000000,"description":"Used for system critical pods that must run in the cluster, but can be moved to another node if necessary."})",
        R"({"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{"name":"system-node-critical"},"value":2000001000,"description":"Used for system critical pods that must not be moved from their current node."})",

        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"cluster-admin"},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]},{"nonResourceURLs":["*"],"verbs":["*"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"cluster-admin"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"cluster-admin"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:masters"}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:discovery"},"rules":[{"nonResourceURLs":["/api","/api/*","/apis","/apis/*","/healthz","/livez","/openapi","/openapi/*","/readyz","/version","/version/"],"verbs":["get"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:discovery"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:discovery"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:public-info-viewer"},"rules":[{"nonResourceURLs":["/healthz","/livez","/readyz","/version","/version/"],"verbs":["get"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:public-info-viewer"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:public-info-viewer"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"},{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:unauthenticated"}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:basic-user"},"rules":[{"apiGroups":["authorization.k8s.io"],"resources":["selfsubjectaccessreviews","selfsubjectrulesreviews"],"verbs":["create"]},{"apiGroups":["authentication.k8s.io"],"resources":["selfsubjectreviews"],"verbs":["create"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:basic-user"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:basic-user"},"subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"Group","name":"system:authenticated"}]})",

        // What people get in their namespaces: view, edit, admin, as upstream aggregates them.
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"view","labels":{"rbac.authorization.k8s.io/aggregate-to-edit":"true"}},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}]},"rules":[]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"edit","labels":{"rbac.authorization.k8s.io/aggregate-to-admin":"true"}},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-edit":"true"}},{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}]},"rules":[]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"admin"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-admin":"true"}},{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-edit":"true"}},{"matchLabels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}}]},"rules":[]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:aggregate-to-view","labels":{"rbac.authorization.k8s.io/aggregate-to-view":"true"}},"rules":[{"apiGroups":[""],"resources":["configmaps","endpoints","events","persistentvolumeclaims","persistentvolumeclaims/status","pods","pods/log","pods/status","serviceaccounts","services","services/status","namespaces","namespaces/status"],"verbs":["get","list","watch"]},{"apiGroups":["batch"],"resources":["jobs","jobs/status"],"verbs":["get","list","watch"]},{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["get","list","watch"]},{"apiGroups":["kubeflow.org"],"resources":["*"],"verbs":["get","list","watch"]},{"apiGroups":["stoker.dev"],"resources":["*"],"verbs":["get","list","watch"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:aggregate-to-edit","labels":{"rbac.authorization.k8s.io/aggregate-to-edit":"true"}},"rules":[{"apiGroups":[""],"resources":["configmaps","endpoints","events","persistentvolumeclaims","pods","secrets","serviceaccounts","services"],"verbs":["create","delete","deletecollection","get","list","patch","update","watch"]},{"apiGroups":[""],"resources":["serviceaccounts/token"],"verbs":["create"]},{"apiGroups":["batch"],"resources":["jobs"],"verbs":["create","delete","deletecollection","get","list","patch","update","watch"]},{"apiGroups":["kubeflow.org"],"resources":["*"],"verbs":["create","delete","deletecollection","get","list","patch","update","watch"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:aggregate-to-admin","labels":{"rbac.authorization.k8s.io/aggregate-to-admin":"true"}},"rules":[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles","rolebindings"],"verbs":["create","delete","deletecollection","get","list","patch","update","watch"]},{"apiGroups":["authorization.k8s.io"],"resources":["localsubjectaccessreviews"],"verbs":["create"]}]})",

        R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"stoker-controllers","namespace":"stoker-system"}})",
        R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"stoker-scheduler","namespace":"stoker-system"}})",
        R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"stoker-agent","namespace":"stoker-system"}})",

        // Controllers: garbage collection and namespace deletion reach every kind there is or will be.
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:stoker-controllers"},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["get","list","watch","patch","delete","deletecollection"]},{"apiGroups":[""],"resources":["pods","services","endpoints","events","configmaps","serviceaccounts"],"verbs":["create","update"]},{"apiGroups":[""],"resources":["namespaces/finalize","namespaces/status","nodes/status"],"verbs":["update","patch"]},{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["create","update"]},{"apiGroups":["stoker.dev"],"resources":["gangs"],"verbs":["create","update"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:stoker-controllers"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:stoker-controllers"},"subjects":[{"kind":"ServiceAccount","name":"stoker-controllers","namespace":"stoker-system"}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:stoker-scheduler"},"rules":[{"apiGroups":[""],"resources":["pods","nodes","namespaces"],"verbs":["get","list","watch"]},{"apiGroups":["stoker.dev"],"resources":["gangs"],"verbs":["get","list","watch"]},{"apiGroups":["scheduling.k8s.io"],"resources":["priorityclasses"],"verbs":["get","list","watch"]},{"apiGroups":["stoker.dev"],"resources":["gangs/status"],"verbs":["patch","update"]},{"apiGroups":[""],"resources":["pods/binding"],"verbs":["create"]},{"apiGroups":[""],"resources":["pods/status","pods"],"verbs":["patch","update"]},{"apiGroups":[""],"resources":["events"],"verbs":["create","patch"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:stoker-scheduler"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:stoker-scheduler"},"subjects":[{"kind":"ServiceAccount","name":"stoker-scheduler","namespace":"stoker-system"}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRole","metadata":{"name":"system:stoker-agent"},"rules":[{"apiGroups":[""],"resources":["pods","nodes","services","endpoints","configmaps","secrets","serviceaccounts","namespaces"],"verbs":["get","list","watch"]},{"apiGroups":["discovery.k8s.io"],"resources":["endpointslices"],"verbs":["get","list","watch"]},{"apiGroups":[""],"resources":["nodes"],"verbs":["create","patch","update"]},{"apiGroups":[""],"resources":["nodes/status","pods/status"],"verbs":["patch","update"]},{"apiGroups":[""],"resources":["pods"],"verbs":["delete","patch"]},{"apiGroups":[""],"resources":["events"],"verbs":["create","patch"]},{"apiGroups":[""],"resources":["serviceaccounts/token"],"verbs":["create"]},{"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["get","list","watch","create","update","patch"]}]})",
        R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"ClusterRoleBinding","metadata":{"name":"system:stoker-agent"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"system:stoker-agent"},"subjects":[{"kind":"ServiceAccount","name":"stoker-agent","namespace":"stoker-system"}]})",
};

/// True when everything `wanted` says is in `have` already (members may be more there: defaults, status).
bool covers(json::Value have, json::Value wanted) {
  if (wanted.isObject()) {
    if (!have.isObject()) return false;
    for (const json::Member& m : wanted.members())
      if (!have.has(m.key) || !covers(have[m.key], m.value)) return false;
    return true;
  }
  if (wanted.isArray()) {
    if (wanted.size() != have.size() || !have.isArray()) return wanted.empty() && !have;
    for (size_t i = 0; i < wanted.size(); ++i)
      if (!covers(have[i], wanted[i])) return false;
    return true;
  }
  return have == wanted;
}

}  // namespace

Result<void> bootstrap(Registry& registry, const std::vector<std::string>& crds) {
  Caller caller{.user = {.name = "system:stoker-bootstrap", .groups = {"system:masters", "system:authenticated"}}};
  auto table = registry.kinds();
  std::vector<std::string_view> texts(std::begin(kObjects), std::end(kObjects));
  texts.insert(texts.end(), crds.begin(), crds.end());
  std::vector<WriteRequest> requests;
  for (std::string_view text : texts) {
    auto arena = std::make_shared<json::Arena>();
    STOKER_TRY(json::Value object, json::parse(*arena, text));
    std::string_view apiVersion = object["apiVersion"].asString(), kindName = object["kind"].asString();
    kube::KindPtr kind;
    for (const kube::KindPtr& candidate : table->all())
      if (candidate->kind == kindName && candidate->apiVersion() == apiVersion) kind = candidate;
    if (!kind)
      return Error(Reason::InternalError, fmt::format("bootstrap object of unknown kind {} {}", apiVersion, kindName));
    Target target{kind, object.at({"metadata", "namespace"}).str(), object.at({"metadata", "name"}).str(), ""};
    store::VersionPtr existing = registry.find(kind->groupResource(), target.namespace_, target.name);
    WriteRequest request{.target = target, .arena = arena, .body = object};
    if (existing) {
      STOKER_TRY(json::Value have, json::parse(*arena, existing->bytes));
      if (covers(have, object)) continue;
      request.verb = client::Write::Verb::Patch;
    }
    requests.push_back(std::move(request));
  }
  if (requests.empty()) return {};
  // In one sequence: an installation has all of it or (cut by a crash) gets the rest at the next start.
  auto promise = std::make_shared<std::promise<std::vector<Result<Written>>>>();
  auto answer = promise->get_future();
  registry.write(caller, std::move(requests), client::Mode::Sequence,
                 [promise](std::vector<Result<Written>> results) { promise->set_value(std::move(results)); });
  for (Result<Written>& result : answer.get())
    if (!result.ok()) return result.error();
  return {};
}

}  // namespace stoker::apiserver
