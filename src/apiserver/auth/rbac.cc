#include "apiserver/auth/rbac.h"

#include <algorithm>

#include "kube/selector.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kKinds[] = {"clusterroles.rbac.authorization.k8s.io/", "roles.rbac.authorization.k8s.io/",
                                  "clusterrolebindings.rbac.authorization.k8s.io/",
                                  "rolebindings.rbac.authorization.k8s.io/"};

std::vector<std::string> strings(json::Value list) {
  std::vector<std::string> out;
  for (json::Value item : list.items()) out.push_back(item.str());
  return out;
}

bool hasOrStar(const std::vector<std::string>& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& s) { return s == "*" || s == value; });
}

std::vector<PolicyRule> rulesOf(json::Value role) {
  std::vector<PolicyRule> out;
  for (json::Value rule : role["rules"].items()) out.push_back(PolicyRule::fromJson(rule));
  return out;
}

std::string subjectKey(json::Value subject, std::string_view bindingNamespace) {
  std::string_view kind = subject["kind"].asString();
  std::string name = subject["name"].str();
  if (kind != "ServiceAccount") return std::string(kind) + "/" + name;
  std::string ns = subject["namespace"].str();
  return "SA/" + (ns.empty() ? std::string(bindingNamespace) : ns) + "/" + name;
}

}  // namespace

PolicyRule PolicyRule::fromJson(json::Value rule) {
  return {strings(rule["verbs"]), strings(rule["apiGroups"]), strings(rule["resources"]),
          strings(rule["resourceNames"]), strings(rule["nonResourceURLs"])};
}

bool PolicyRule::allows(const Attributes& a) const {
  if (!hasOrStar(verbs, a.verb)) return false;
  if (!a.path.empty())
    return std::any_of(nonResourceUrls.begin(), nonResourceUrls.end(), [&](const std::string& url) {
      return url == a.path ||
             (url.ends_with('*') && a.path.starts_with(std::string_view(url).substr(0, url.size() - 1)));
    });
  if (!hasOrStar(apiGroups, a.group)) return false;
  std::string combined(a.resource);
  if (!a.subresource.empty()) combined.append("/").append(a.subresource);
  bool resource = std::any_of(resources.begin(), resources.end(), [&](const std::string& r) {
    if (r == "*" || r == combined) return true;
    return !a.subresource.empty() && r.starts_with("*/") && std::string_view(r).substr(2) == a.subresource;
  });
  if (!resource) return false;
  return resourceNames.empty() || std::find(resourceNames.begin(), resourceNames.end(), a.name) != resourceNames.end();
}

RbacSnapshot RbacSnapshot::build(const std::vector<json::Value>& clusterRoles, const std::vector<json::Value>& roles,
                                 const std::vector<json::Value>& clusterRoleBindings,
                                 const std::vector<json::Value>& roleBindings) {
  using Rules = std::shared_ptr<const std::vector<PolicyRule>>;
  std::map<std::string, Rules> cluster, local;
  for (json::Value role : clusterRoles) {
    std::vector<PolicyRule> rules = rulesOf(role);
    // aggregationRule: the union of all ClusterRoles that one of the selectors matches.
    for (json::Value text : role["aggregationRule"]["clusterRoleSelectors"].items()) {
      auto selector = kube::LabelSelector::fromJson(text);
      if (!selector.ok()) continue;
      for (json::Value other : clusterRoles)
        if (!(other.at({"metadata", "name"}) == role.at({"metadata", "name"})) &&
            selector->matches(other.at({"metadata", "labels"})))
          for (PolicyRule& rule : rulesOf(other)) rules.push_back(std::move(rule));
    }
    cluster[role.at({"metadata", "name"}).str()] = std::make_shared<const std::vector<PolicyRule>>(std::move(rules));
  }
  for (json::Value role : roles)
    local[role.at({"metadata", "namespace"}).str() + "/" + role.at({"metadata", "name"}).str()] =
        std::make_shared<const std::vector<PolicyRule>>(rulesOf(role));

  RbacSnapshot out;
  auto bind = [&](json::Value binding, const std::string& ns) {
    std::string name = binding["roleRef"]["name"].str();
    bool isCluster = binding["roleRef"]["kind"].asString() == "ClusterRole";
    auto& from = isCluster ? cluster : local;
    auto role = from.find(isCluster ? name : ns + "/" + name);
    if (role == from.end()) return;
    for (json::Value subject : binding["subjects"].items())
      out.grants_[subjectKey(subject, ns)].push_back({ns, role->second});
  };
  for (json::Value binding : clusterRoleBindings) bind(binding, "");
  for (json::Value binding : roleBindings) bind(binding, binding.at({"metadata", "namespace"}).str());
  return out;
}

void RbacSnapshot::visit(const User& user, const std::function<bool(const Grant&)>& visitor) const {
  auto walk = [&](const std::string& key) {
    auto it = grants_.find(key);
    if (it == grants_.end()) return true;
    for (const Grant& grant : it->second)
      if (!visitor(grant)) return false;
    return true;
  };
  if (!walk("User/" + user.name)) return;
  constexpr std::string_view kAccount = "system:serviceaccount:";
  if (user.name.starts_with(kAccount)) {
    std::string rest = user.name.substr(kAccount.size());
    if (size_t colon = rest.find(':'); colon != std::string::npos) {
      rest[colon] = '/';
      if (!walk("SA/" + rest)) return;
    }
  }
  for (const std::string& group : user.groups)
    if (!walk("Group/" + group)) return;
}

bool RbacSnapshot::allowed(const User& user, const Attributes& a) const {
  bool found = false;
  visit(user, [&](const Grant& grant) {
    if (!grant.namespace_.empty() && (grant.namespace_ != a.namespace_ || !a.path.empty())) return true;
    found =
        std::any_of(grant.rules->begin(), grant.rules->end(), [&](const PolicyRule& rule) { return rule.allows(a); });
    return !found;
  });
  return found;
}

std::vector<PolicyRule> RbacSnapshot::rulesFor(const User& user, std::string_view ns) const {
  std::vector<PolicyRule> out;
  visit(user, [&](const Grant& grant) {
    if (grant.namespace_.empty() || grant.namespace_ == ns)
      out.insert(out.end(), grant.rules->begin(), grant.rules->end());
    return true;
  });
  return out;
}

Result<std::unique_ptr<RbacAuthorizer>> RbacAuthorizer::open(store::Store& store) {
  std::unique_ptr<RbacAuthorizer> authorizer(new RbacAuthorizer(store));
  for (const char* prefix : kKinds) {
    // A change only drops the snapshot; the next decision builds it from what is published by then.
    auto id = store.watch(prefix, store.revision(), [self = authorizer.get()](const store::EventPtr&) {
      std::lock_guard lock(self->mutex_);
      self->snapshot_ = nullptr;
      ++self->changes_;
    });
    if (!id.ok()) return id.error();
    authorizer->watches_.push_back(*id);
  }
  return authorizer;
}

RbacAuthorizer::~RbacAuthorizer() {
  for (store::WatchId id : watches_) store_.unwatch(id);
}

std::shared_ptr<const RbacSnapshot> RbacAuthorizer::snapshot() const {
  {
    std::lock_guard lock(mutex_);
    if (snapshot_) return snapshot_;
  }
  // Built outside the lock: store reads must not wait behind a watch callback that waits for us. Two threads may build
  // at once; what a change overtook serves this one decision (made before the change was acknowledged) and is not kept.
  uint64_t before = changes_;
  json::Arena arena;
  std::vector<json::Value> objects[4];
  for (int i = 0; i < 4; ++i) {
    auto listing = store_.list({.prefix = kKinds[i]});
    if (!listing.ok()) continue;
    for (const store::VersionPtr& version : listing->items)
      if (auto parsed = json::parse(arena, version->bytes); parsed.ok()) objects[i].push_back(*parsed);
  }
  auto built =
      std::make_shared<const RbacSnapshot>(RbacSnapshot::build(objects[0], objects[1], objects[2], objects[3]));
  std::lock_guard lock(mutex_);
  if (changes_ == before) snapshot_ = built;
  return built;
}

bool RbacAuthorizer::allowed(const User& user, const Attributes& attributes) const {
  if (std::find(user.groups.begin(), user.groups.end(), "system:masters") != user.groups.end()) return true;
  return snapshot()->allowed(user, attributes);
}

}  // namespace stoker::apiserver
