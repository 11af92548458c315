// Roles and bindings: nobody gives rights that they do not have (kubernetes pkg/registry/rbac/validation).

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/auth/rbac.h"
#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kGroup = "rbac.authorization.k8s.io";

// ---- rights
// -----------------------------------------------------------------------------------------------------------

/// Everybody's rights at this moment. Read anew for each write of a role: they are rare, and a stale answer gives
/// rights away.
class Rights {
 public:
  explicit Rights(const StrategyContext& context) : arena_(context.arena) {
    const char* resources[] = {"clusterroles", "roles", "clusterrolebindings", "rolebindings"};
    for (int i = 0; i < 4; ++i)
      context.state.forEach(fmt::format("{}.{}", resources[i], kGroup), "", [&](const store::VersionPtr& version) {
        if (auto parsed = json::parse(arena_, version->bytes); parsed.ok()) objects_[i].push_back(*parsed);
      });
    snapshot_ = RbacSnapshot::build(objects_[0], objects_[1], objects_[2], objects_[3]);
  }
  bool allowed(const User& user, const Attributes& attributes) const { return snapshot_.allowed(user, attributes); }
  std::vector<PolicyRule> of(const User& user, std::string_view ns) const { return snapshot_.rulesFor(user, ns); }

  /// What `binding` would give to each of its subjects; aggregated roles are resolved as they are for decisions.
  std::vector<PolicyRule> givenBy(json::Value binding, bool cluster) const {
    User probe{.name = "probe"};
    json::Value subject = json::Object(arena_).set("kind", "User").set("name", probe.name).build();
    binding = json::with(arena_, binding, "subjects", json::array(arena_, {subject}));
    std::vector<json::Value> none, one = {binding};
    return RbacSnapshot::build(objects_[0], objects_[1], cluster ? one : none, cluster ? none : one)
        .rulesFor(probe, binding.at({"metadata", "namespace"}).asString());
  }

 private:
  json::Arena& arena_;
  std::vector<json::Value> objects_[4];
  RbacSnapshot snapshot_;
};

bool isMaster(const User& user) {
  return std::find(user.groups.begin(), user.groups.end(), "system:masters") != user.groups.end();
}

bool has(const std::vector<std::string>& list, std::string_view value) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& s) { return s == "*" || s == value; });
}

bool hasResource(const std::vector<std::string>& list, std::string_view resource) {
  if (has(list, resource)) return true;
  size_t slash = resource.find('/');
  return slash != std::string_view::npos &&
         std::find(list.begin(), list.end(), "*" + std::string(resource.substr(slash))) != list.end();
}

bool hasPath(const std::vector<std::string>& list, std::string_view path) {
  return std::any_of(list.begin(), list.end(), [&](const std::string& own) {
    return own == path || (own.ends_with('*') && path.starts_with(std::string_view(own).substr(0, own.size() - 1)));
  });
}

/// Whether each single right in `rule` is given by one of `own`.
bool covered(const PolicyRule& rule, const std::vector<PolicyRule>& own) {
  auto any = [&](auto&& test) { return std::any_of(own.begin(), own.end(), test); };
  for (const std::string& verb : rule.verbs) {
    for (const std::string& url : rule.nonResourceUrls)
      if (!any([&](const PolicyRule& o) { return has(o.verbs, verb) && hasPath(o.nonResourceUrls, url); }))
        return false;
    std::vector<std::string> names = rule.resourceNames;
    if (names.empty()) names.emplace_back();  // every name
    for (const std::string& group : rule.apiGroups)
      for (const std::string& resource : rule.resources)
        for (const std::string& name : names)
          if (!any([&](const PolicyRule& o) {
                bool named = o.resourceNames.empty() ||
                             (!name.empty() &&
                              std::find(o.resourceNames.begin(), o.resourceNames.end(), name) != o.resourceNames.end());
                return named && has(o.verbs, verb) && has(o.apiGroups, group) && hasResource(o.resources, resource);
              }))
            return false;
  }
  return true;
}

std::string listed(const std::vector<std::string>& items) {
  std::vector<std::string> quoted;
  for (const std::string& item : items) quoted.push_back(quote(item));
  return "[" + join(quoted, " ") + "]";
}

std::string describe(const PolicyRule& rule) {
  std::string out;
  auto add = [&](const char* name, const std::vector<std::string>& items) {
    if (!items.empty()) out += fmt::format("{}{}:{}", out.empty() ? "" : ", ", name, listed(items));
  };
  add("APIGroups", rule.apiGroups);
  add("Resources", rule.resources);
  add("ResourceNames", rule.resourceNames);
  add("NonResourceURLs", rule.nonResourceUrls);
  add("Verbs", rule.verbs);
  return "{" + out + "}";
}

std::vector<PolicyRule> rulesOf(json::Value role) {
  std::vector<PolicyRule> out;
  for (json::Value rule : role["rules"].items()) out.push_back(PolicyRule::fromJson(rule));
  return out;
}

Result<void> mayGrant(const StrategyContext& context, const Rights& rights, const std::vector<PolicyRule>& rules,
                      std::string_view resource, json::Value object) {
  std::string_view ns = object.at({"metadata", "namespace"}).asString(),
                   name = object.at({"metadata", "name"}).asString();
  std::vector<PolicyRule> own = rights.of(context.user, ns);
  std::string missing;
  for (const PolicyRule& rule : rules)
    if (!covered(rule, own)) missing += "\n" + describe(rule);
  if (missing.empty()) return {};
  return refused(kGroup, resource, name,
                 fmt::format("user {} (groups={}) is attempting to grant RBAC permissions not currently held:{}",
                             quote(context.user.name), listed(context.user.groups), missing));
}

// ---- roles
// --------------------------------------------------------------------------------------------------------------

class RoleStrategy final : public Strategy {
 public:
  explicit RoleStrategy(bool cluster) : cluster_(cluster) {}
  std::vector<std::string> validateName(std::string_view name) const override { return kube::pathSegmentName(name); }

  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value role) const override {
    return checked(context, role, {});
  }
  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value role, json::Value old) const override {
    return checked(context, role, old);
  }

  std::vector<Cause> validate(json::Value role, json::Value) const override {
    std::vector<Cause> causes;
    json::Value rules = role["rules"];
    for (size_t i = 0; i < rules.size(); ++i) {
      std::string at = fmt::format("rules[{}]", i);
      json::Value rule = rules[i], urls = rule["nonResourceURLs"];
      if (!urls.empty()) {
        if (!cluster_)
          causes.push_back(kube::invalid(at + ".nonResourceURLs", json::print(urls),
                                         "namespaced rules cannot apply to non-resource URLs"));
        if (!rule["apiGroups"].empty() || !rule["resources"].empty() || !rule["resourceNames"].empty())
          causes.push_back(kube::invalid(at + ".nonResourceURLs", json::print(urls),
                                         "rules cannot apply to both regular resources and non-resource URLs"));
        continue;
      }
      if (rule["apiGroups"].empty())
        causes.push_back(kube::required(at + ".apiGroups", "resource rules must supply at least one api group"));
      if (rule["resources"].empty())
        causes.push_back(kube::required(at + ".resources", "resource rules must supply at least one resource"));
    }
    return causes;
  }

 private:
  const char* resource() const { return cluster_ ? "clusterroles" : "roles"; }

  Result<json::Value> checked(const StrategyContext& context, json::Value role, json::Value old) const {
    bool sameRules = old && role["rules"] == old["rules"],
         sameAggregation = role["aggregationRule"] == old["aggregationRule"];
    if (isMaster(context.user) || (sameRules && sameAggregation)) return role;
    Rights rights(context);
    json::Value metadata = role["metadata"];
    std::string_view name = metadata["name"].asString();
    if (rights.allowed(context.user, {.verb = "escalate",
                                      .group = kGroup,
                                      .resource = resource(),
                                      .namespace_ = metadata["namespace"].asString(),
                                      .name = name}))
      return role;
    // What an aggregated role will hold is open, so that only who may do everything may write one.
    PolicyRule everything{.verbs = {"*"}, .apiGroups = {"*"}, .resources = {"*"}},
        everywhere{.verbs = {"*"}, .nonResourceUrls = {"*"}};
    std::vector<PolicyRule> own = rights.of(context.user, "");
    if (role.has("aggregationRule") && !(covered(everything, own) && covered(everywhere, own)))
      return refused(kGroup, resource(), name, "must have cluster-admin privileges to use an aggregationRule");
    STOKER_CHECK(mayGrant(context, rights, rulesOf(role), resource(), role));
    return role;
  }

  bool cluster_;
};

// ---- bindings
// ---------------------------------------------------------------------------------------------------------

class BindingStrategy final : public Strategy {
 public:
  explicit BindingStrategy(bool cluster) : cluster_(cluster) {}
  std::vector<std::string> validateName(std::string_view name) const override { return kube::pathSegmentName(name); }

  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value binding) const override {
    return checked(context, defaulted(context.arena, binding), {});
  }
  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value binding,
                                    json::Value old) const override {
    return checked(context, defaulted(context.arena, binding), old);
  }

  std::vector<Cause> validate(json::Value binding, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value role = binding["roleRef"], kind = role["kind"], subjects = binding["subjects"];
    if (role["apiGroup"].asString() != kGroup)
      causes.push_back(kube::unsupported("roleRef.apiGroup", role["apiGroup"], {kGroup}));
    if (!kind.asString().empty() && kind.asString() != "ClusterRole" && (cluster_ || kind.asString() != "Role"))
      causes.push_back(kube::unsupported(
          "roleRef.kind", kind,
          cluster_ ? std::vector<std::string>{"ClusterRole"} : std::vector<std::string>{"Role", "ClusterRole"}));
    if (std::string_view name = role["name"].asString(); !name.empty())
      addProblems(causes, "roleRef.name", name, kube::pathSegmentName(name));
    for (size_t i = 0; i < subjects.size(); ++i) {
      std::string at = fmt::format("subjects[{}]", i);
      json::Value subject = subjects[i], group = subject["apiGroup"];
      std::string_view type = subject["kind"].asString(), name = subject["name"].asString();
      if (type == "ServiceAccount") {
        if (!name.empty()) addProblems(causes, at + ".name", name, kube::dns1123Subdomain(name));
        if (!group.asString().empty()) causes.push_back(kube::unsupported(at + ".apiGroup", group, {""}));
        if (cluster_ && subject["namespace"].asString().empty()) causes.push_back(kube::required(at + ".namespace"));
      } else if (type == "User" || type == "Group") {
        if (group.asString() != kGroup) causes.push_back(kube::unsupported(at + ".apiGroup", group, {kGroup}));
      } else if (!type.empty()) {
        causes.push_back(kube::unsupported(at + ".kind", subject["kind"], {"ServiceAccount", "User", "Group"}));
      }
    }
    if (old && !(role == old["roleRef"]))
      causes.push_back(kube::invalid("roleRef", json::print(role), "cannot change roleRef"));
    return causes;
  }

 private:
  const char* resource() const { return cluster_ ? "clusterrolebindings" : "rolebindings"; }

  static json::Value defaulted(json::Arena& arena, json::Value binding) {
    return mapMember(arena, binding, "subjects", [&](json::Value subject) {
      std::string_view kind = subject["kind"].asString();
      if ((kind != "User" && kind != "Group") || !subject["apiGroup"].asString().empty()) return subject;
      return json::with(arena, subject, "apiGroup", json::string(arena, kGroup));
    });
  }

  Result<json::Value> checked(const StrategyContext& context, json::Value binding, json::Value old) const {
    bool same = old && binding["roleRef"] == old["roleRef"] && binding["subjects"] == old["subjects"];
    if (isMaster(context.user) || same) return binding;
    Rights rights(context);
    json::Value role = binding["roleRef"];
    std::string name = role["name"].str(), ns = binding.at({"metadata", "namespace"}).str();
    bool clusterRole = role["kind"].asString() == "ClusterRole";
    const char* roleResource = clusterRole ? "clusterroles" : "roles";
    if (rights.allowed(context.user,
                       {.verb = "bind", .group = kGroup, .resource = roleResource, .namespace_ = ns, .name = name}))
      return binding;
    store::VersionPtr version =
        context.state.find(fmt::format("{}.{}", roleResource, kGroup), clusterRole ? "" : ns, name);
    if (!version) {
      Error error(Reason::NotFound, fmt::format("{}.{} \"{}\" not found", roleResource, kGroup, name));
      error.group = kGroup;
      error.kind = roleResource;
      error.name = name;
      return error;
    }
    STOKER_CHECK(mayGrant(context, rights, rights.givenBy(binding, cluster_), resource(), binding));
    return binding;
  }

  bool cluster_;
};

}  // namespace

void registerRbac(Registry& registry) {
  auto name = [](const char* resource) { return fmt::format("{}.{}", resource, kGroup); };
  registry.addStrategy(name("roles"), std::make_unique<RoleStrategy>(false));
  registry.addStrategy(name("clusterroles"), std::make_unique<RoleStrategy>(true));
  registry.addStrategy(name("rolebindings"), std::make_unique<BindingStrategy>(false));
  registry.addStrategy(name("clusterrolebindings"), std::make_unique<BindingStrategy>(true));
}

}  // namespace stoker::apiserver
