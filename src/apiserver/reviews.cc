#include "apiserver/reviews.h"

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/auth/rbac.h"
#include "apiserver/auth/tokens.h"
#include "base/strings.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kAuthorization = "authorization.k8s.io";
constexpr const char* kAuthentication = "authentication.k8s.io";

json::Value strings(json::Arena& arena, const std::vector<std::string>& items) {
  std::vector<json::Value> out;
  for (const std::string& item : items) out.push_back(json::string(arena, item));
  return json::array(arena, out);
}

json::Value answered(json::Arena& arena, json::Value body, const char* group, const char* kind, json::Value status) {
  if (!body.isObject()) body = json::object(arena, std::span<const json::Member>());
  body = json::with(arena, body, "apiVersion", json::string(arena, std::string(group) + "/v1"));
  body = json::with(arena, body, "kind", json::string(arena, kind));
  if (!body["metadata"].isObject())
    body = json::with(arena, body, "metadata", json::object(arena, std::span<const json::Member>()));
  return json::with(arena, body, "status", status);
}

json::Value userInfo(json::Arena& arena, const User& user) {
  json::Object out(arena);
  out.set("username", user.name).setNonEmpty("uid", user.uid);
  if (!user.groups.empty()) out.set("groups", strings(arena, user.groups));
  if (!user.extra.empty()) {
    json::Object extra(arena);
    for (const auto& [key, values] : user.extra) extra.set(key, strings(arena, values));
    out.set("extra", extra.build());
  }
  return out.build();
}

Error invalidReview(const char* kind, std::string field, std::string type, std::string message) {
  Error error(Reason::Invalid, fmt::format("{}.{} \"\" is invalid: {}: {}", kind, kAuthorization, field, message));
  error.group = kAuthorization;
  error.kind = kind;
  error.causes.push_back({std::move(type), std::move(message), std::move(field)});
  return error;
}

/// Whether `user` may do what spec asks about. `onlyNamespace`: LocalSubjectAccessReview's.
Result<json::Value> decide(json::Arena& arena, const Authorizer& authorizer, const User& user, json::Value spec,
                           const char* kind, const std::string* onlyNamespace) {
  json::Value resource = spec["resourceAttributes"], path = spec["nonResourceAttributes"];
  if (resource.isObject() == path.isObject())
    return invalidReview(
        kind, "spec.resourceAttributes", "FieldValueInvalid",
        fmt::format("Invalid value: {}: {}", json::print(resource),
                    resource.isObject()
                        ? "cannot be specified in combination with nonResourceAttributes"
                        : "exactly one of nonResourceAttributes or resourceAttributes must be specified"));
  Attributes attributes;
  if (path.isObject()) {
    if (onlyNamespace)
      return invalidReview(kind, "spec.nonResourceAttributes", "FieldValueInvalid",
                           fmt::format("Invalid value: {}: disallowed on this kind of request", json::print(path)));
    attributes.verb = path["verb"].asString();
    attributes.path = path["path"].asString();
  } else {
    if (onlyNamespace && resource["namespace"].asString() != *onlyNamespace)
      return invalidReview(
          kind, "spec.resourceAttributes.namespace", "FieldValueInvalid",
          fmt::format("Invalid value: {}: must match metadata.namespace", quote(resource["namespace"].asString())));
    attributes = {.verb = resource["verb"].asString(),
                  .group = resource["group"].asString(),
                  .resource = resource["resource"].asString(),
                  .subresource = resource["subresource"].asString(),
                  .namespace_ = resource["namespace"].asString(),
                  .name = resource["name"].asString(),
                  .path = {}};
  }
  json::Object status(arena);
  status.set("allowed", authorizer.allowed(user, attributes));
  return status.build();
}

/// The user that a (Local)SubjectAccessReview asks about.
Result<User> userOf(json::Value spec, const char* kind) {
  User user{.name = spec["user"].str(), .uid = spec["uid"].str()};
  for (json::Value group : spec["groups"].items()) user.groups.push_back(group.str());
  for (const json::Member& m : spec["extra"].members())
    for (json::Value value : m.value.items()) user.extra[std::string(m.key)].push_back(value.str());
  if (user.name.empty() && user.groups.empty())
    return invalidReview(kind, "spec.user", "FieldValueInvalid",
                         "Invalid value: \"\": at least one of user or group must be specified");
  return user;
}

json::Value rulesStatus(json::Arena& arena, const User& user, std::string_view ns, const RbacAuthorizer* rbac) {
  std::vector<PolicyRule> rules;
  bool master = std::find(user.groups.begin(), user.groups.end(), "system:masters") != user.groups.end();
  if (master)
    rules = {{.verbs = {"*"}, .apiGroups = {"*"}, .resources = {"*"}}, {.verbs = {"*"}, .nonResourceUrls = {"*"}}};
  else if (rbac)
    rules = rbac->snapshot()->rulesFor(user, ns);
  std::vector<json::Value> resources, paths;
  for (const PolicyRule& rule : rules) {
    json::Object out(arena);
    out.set("verbs", strings(arena, rule.verbs));
    if (!rule.nonResourceUrls.empty()) {
      paths.push_back(out.set("nonResourceURLs", strings(arena, rule.nonResourceUrls)).build());
      continue;
    }
    out.set("apiGroups", strings(arena, rule.apiGroups)).set("resources", strings(arena, rule.resources));
    if (!rule.resourceNames.empty()) out.set("resourceNames", strings(arena, rule.resourceNames));
    resources.push_back(out.build());
  }
  json::Object status(arena);
  status.set("resourceRules", json::array(arena, resources)).set("nonResourceRules", json::array(arena, paths));
  return status.set("incomplete", !master && !rbac).build();
}

}  // namespace

std::vector<Review> makeReviews(const Authorizer& authorizer, const RequestAuthenticator& authenticator,
                                const RbacAuthorizer* rbac, const std::string& audience) {
  std::vector<Review> out;
  auto add = [&](const char* group, const char* resource, const char* kind, bool namespaced, auto status) {
    out.push_back({group, "v1", resource, kind, namespaced,
                   [group, kind, status](json::Arena& arena, const User& user, const std::string& ns,
                                         json::Value body) -> Result<json::Value> {
                     STOKER_TRY(json::Value answer, status(arena, user, ns, body["spec"]));
                     return answered(arena, body, group, kind, answer);
                   }});
  };
  using Answer = Result<json::Value>;
  add(kAuthorization, "selfsubjectaccessreviews", "SelfSubjectAccessReview", false,
      [&authorizer](json::Arena& arena, const User& user, const std::string&, json::Value spec) -> Answer {
        return decide(arena, authorizer, user, spec, "SelfSubjectAccessReview", nullptr);
      });
  add(kAuthorization, "subjectaccessreviews", "SubjectAccessReview", false,
      [&authorizer](json::Arena& arena, const User&, const std::string&, json::Value spec) -> Answer {
        STOKER_TRY(User about, userOf(spec, "SubjectAccessReview"));
        return decide(arena, authorizer, about, spec, "SubjectAccessReview", nullptr);
      });
  add(kAuthorization, "localsubjectaccessreviews", "LocalSubjectAccessReview", true,
      [&authorizer](json::Arena& arena, const User&, const std::string& ns, json::Value spec) -> Answer {
        STOKER_TRY(User about, userOf(spec, "LocalSubjectAccessReview"));
        return decide(arena, authorizer, about, spec, "LocalSubjectAccessReview", &ns);
      });
  add(kAuthorization, "selfsubjectrulesreviews", "SelfSubjectRulesReview", false,
      [rbac](json::Arena& arena, const User& user, const std::string&, json::Value spec) -> Answer {
        if (spec["namespace"].asString().empty()) return Error(Reason::BadRequest, "no namespace on request");
        return rulesStatus(arena, user, spec["namespace"].asString(), rbac);
      });
  add(kAuthentication, "selfsubjectreviews", "SelfSubjectReview", false,
      [](json::Arena& arena, const User& user, const std::string&, json::Value) -> Answer {
        return json::Object(arena).set("userInfo", userInfo(arena, user)).build();
      });
  add(kAuthentication, "tokenreviews", "TokenReview", false,
      [&authenticator, audience](json::Arena& arena, const User&, const std::string&, json::Value spec) -> Answer {
        if (spec["token"].asString().empty())
          return Error(Reason::BadRequest, "token is required for TokenReview in authentication");
        json::Object status(arena);
        auto user = authenticator.authenticateToken(spec["token"].asString());
        if (!user.ok())
          return status.set("user", json::object(arena, std::span<const json::Member>()))
              .set("error", user.error().message)
              .build();
        status.set("authenticated", true).set("user", userInfo(arena, *user));
        // A token for this API is good for this API's audience only.
        if (json::Value asked = spec["audiences"]; !asked.empty()) {
          auto items = asked.items();
          auto ours = std::find_if(items.begin(), items.end(), [&](json::Value a) { return a.asString() == audience; });
          if (ours == items.end())
            return json::Object(arena)
                .set("user", json::object(arena, std::span<const json::Member>()))
                .set("error", "the token is not for one of the audiences asked about")
                .build();
          status.set("audiences", json::array(arena, {*ours}));
        } else {
          status.set("audiences", strings(arena, {audience}));
        }
        return status.build();
      });
  return out;
}

}  // namespace stoker::apiserver
