#include "apiserver/auth/tokens.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "net/tls.h"

namespace stoker::apiserver {
namespace {

constexpr int64_t kMinSeconds = 600;  // upstream's floor for TokenRequest
constexpr int64_t kDefaultSeconds = 3600;
constexpr int64_t kMaxSeconds = 60 * 60 * 24 * 365;  // longer wishes are shortened, as upstream's maximum does

int64_t seconds(Time time) { return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count(); }
Time fromSeconds(int64_t value) { return Time(std::chrono::seconds(value)); }

Error unauthorized(std::string_view why) { return Error(Reason::Unauthorized, fmt::format("Unauthorized: {}", why)); }

}  // namespace

Result<std::string> makeToken(const TokenKeys& keys, const TokenClaims& claims) {
  json::Arena arena;
  std::vector<json::Value> audiences;
  for (const std::string& audience : claims.audiences) audiences.push_back(json::string(arena, audience));
  json::Object bound(arena);
  bound.set("namespace", claims.namespace_);
  if (!claims.podName.empty())
    bound.set("pod", json::Object(arena).set("name", claims.podName).set("uid", claims.podUid).build());
  bound.set("serviceaccount",
            json::Object(arena).set("name", claims.serviceAccount).set("uid", claims.serviceAccountUid).build());
  std::string header = R"({"alg":"ES256","typ":"JWT"})";
  std::string payload =
      json::print(json::Object(arena)
                      .set("iss", keys.issuer)
                      .set("aud", json::array(arena, audiences))
                      .set("iat", seconds(claims.issuedAt))
                      .set("nbf", seconds(claims.issuedAt))
                      .set("exp", seconds(claims.expires))
                      .set("sub", fmt::format("system:serviceaccount:{}:{}", claims.namespace_, claims.serviceAccount))
                      .set("kubernetes.io", bound.build())
                      .build());
  std::string signedPart = base64UrlEncode(header) + "." + base64UrlEncode(payload);
  if (!keys.key) return Error(Reason::InternalError, "this server has no key to sign tokens with");
  STOKER_TRY(std::string signature, keys.key->sign(signedPart));
  return signedPart + "." + base64UrlEncode(signature);
}

Result<TokenClaims> readToken(const TokenKeys& keys, std::string_view token, Time now) {
  auto parts = split(token, '.');
  if (parts.size() != 3) return unauthorized("the bearer token is not a JWT");
  auto header = base64UrlDecode(parts[0]), payload = base64UrlDecode(parts[1]), signature = base64UrlDecode(parts[2]);
  if (!header || !payload || !signature) return unauthorized("the bearer token is not valid base64url");
  json::Arena arena;
  auto head = json::parse(arena, *header);
  auto body = json::parse(arena, *payload);
  if (!head.ok() || !body.ok() || (*head)["alg"].asString() != "ES256")
    return unauthorized("the bearer token is not an ES256 JWT");
  if (!keys.key || !keys.key->verify(token.substr(0, parts[0].size() + 1 + parts[1].size()), *signature))
    return unauthorized("the bearer token's signature is not valid");
  json::Value claims = *body;
  if (claims["iss"].asString() != keys.issuer) return unauthorized("the bearer token was issued by somebody else");
  if (fromSeconds(claims["exp"].asInt()) <= now) return unauthorized("the bearer token has expired");
  if (fromSeconds(claims["nbf"].asInt()) > now + 60s) return unauthorized("the bearer token is not valid yet");
  TokenClaims out;
  for (json::Value audience : claims["aud"].items()) out.audiences.push_back(audience.str());
  if (claims["aud"].isString()) out.audiences.push_back(claims["aud"].str());
  json::Value bound = claims["kubernetes.io"];
  out.namespace_ = bound["namespace"].str();
  out.serviceAccount = bound["serviceaccount"]["name"].str();
  out.serviceAccountUid = bound["serviceaccount"]["uid"].str();
  out.podName = bound["pod"]["name"].str();
  out.podUid = bound["pod"]["uid"].str();
  out.issuedAt = fromSeconds(claims["iat"].asInt());
  out.expires = fromSeconds(claims["exp"].asInt());
  return out;
}

Result<User> userOf(const TokenClaims& claims, const StateReader& state) {
  auto uidOf = [&](std::string_view resource, const std::string& name) {
    store::VersionPtr version = state.find(resource, claims.namespace_, name);
    if (!version) return std::string();
    json::Arena arena;
    auto object = json::parse(arena, version->bytes);
    return object.ok() ? object->at({"metadata", "uid"}).str() : std::string();
  };
  if (uidOf("serviceaccounts", claims.serviceAccount) != claims.serviceAccountUid)
    return unauthorized("the token's ServiceAccount no longer exists");
  if (!claims.podName.empty() && uidOf("pods", claims.podName) != claims.podUid)
    return unauthorized("the pod that the token is bound to no longer exists");
  User user{
      .name = fmt::format("system:serviceaccount:{}:{}", claims.namespace_, claims.serviceAccount),
      .uid = claims.serviceAccountUid,
      .groups = {"system:serviceaccounts", "system:serviceaccounts:" + claims.namespace_, "system:authenticated"}};
  if (!claims.podName.empty()) {
    user.extra["authentication.kubernetes.io/pod-name"] = {claims.podName};
    user.extra["authentication.kubernetes.io/pod-uid"] = {claims.podUid};
  }
  return user;
}

SubresourceCall tokenRequest(TokenKeys keys) {
  return [keys = std::move(keys)](const StrategyContext& context, json::Value account,
                                  json::Value body) -> Result<json::Value> {
    json::Arena& arena = context.arena;
    json::Value spec = body["spec"];
    int64_t lifetime = spec.has("expirationSeconds") ? spec["expirationSeconds"].asInt() : kDefaultSeconds;
    if (lifetime < kMinSeconds) {
      Error error(Reason::Invalid,
                  "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: may not "
                  "specify a duration less than 10 minutes");
      error.causes.push_back({"FieldValueInvalid", "Invalid value: may not specify a duration less than 10 minutes",
                              "spec.expirationSeconds"});
      return error;
    }
    lifetime = std::min(lifetime, kMaxSeconds);
    TokenClaims claims{.namespace_ = account.at({"metadata", "namespace"}).str(),
                       .serviceAccount = account.at({"metadata", "name"}).str(),
                       .serviceAccountUid = account.at({"metadata", "uid"}).str(),
                       .issuedAt = context.now,
                       .expires = context.now + std::chrono::seconds(lifetime)};
    for (json::Value audience : spec["audiences"].items()) claims.audiences.push_back(audience.str());
    if (claims.audiences.empty()) claims.audiences.push_back(keys.audience);
    if (json::Value reference = spec["boundObjectRef"]; reference.isObject()) {
      if (reference["kind"].asString() != "Pod")
        return Error(Reason::BadRequest,
                     fmt::format("cannot bind token for serviceaccount {} to {}: only pods can be bound to",
                                 quote(claims.serviceAccount), reference["kind"].asString()));
      claims.podName = reference["name"].str();
      store::VersionPtr pod = context.state.find("pods", claims.namespace_, claims.podName);
      if (!pod) return Error(Reason::NotFound, fmt::format("pods \"{}\" not found", claims.podName));
      STOKER_TRY(json::Value object, json::parse(arena, pod->bytes));
      claims.podUid = object.at({"metadata", "uid"}).str();
      std::string wanted = reference["uid"].str();
      if (!wanted.empty() && wanted != claims.podUid)
        return Error(Reason::Conflict,
                     fmt::format("the UID in the bound object reference ({}) does not match the UID in record ({})",
                                 wanted, claims.podUid));
      if (object.at({"spec", "serviceAccountName"}).asString() != claims.serviceAccount)
        return Error(
            Reason::BadRequest,
            fmt::format("cannot bind token for serviceaccount {} to pod running with different serviceaccount name.",
                        quote(claims.serviceAccount)));
    }
    STOKER_TRY(std::string token, makeToken(keys, claims));
    json::Value filled = spec.isObject() ? spec : json::object(arena, std::span<const json::Member>());
    filled = json::with(arena, filled, "expirationSeconds", json::number(arena, lifetime));
    return json::Object(arena)
        .set("apiVersion", "authentication.k8s.io/v1")
        .set("kind", "TokenRequest")
        .set("metadata", json::Object(arena)
                             .set("name", claims.serviceAccount)
                             .set("namespace", claims.namespace_)
                             .set("creationTimestamp", formatTime(context.now))
                             .build())
        .set("spec", filled)
        .set("status",
             json::Object(arena).set("token", token).set("expirationTimestamp", formatTime(claims.expires)).build())
        .build();
  };
}

Result<User> RequestAuthenticator::authenticateToken(std::string_view token) const {
  STOKER_TRY(TokenClaims claims, readToken(keys_, token, clock_.now()));
  if (std::find(claims.audiences.begin(), claims.audiences.end(), keys_.audience) == claims.audiences.end())
    return unauthorized("the bearer token is for another audience");
  return userOf(claims, state_);
}

Result<User> RequestAuthenticator::authenticate(const net::Request& request) const {
  User user;
  std::string_view authorization = net::header(request.headers, "Authorization");
  if (request.peer) {
    user.name = request.peer->commonName;
    user.groups = request.peer->organizations;
    user.groups.push_back("system:authenticated");
  } else if (authorization.size() > 7 && toLower(authorization.substr(0, 7)) == "bearer ") {
    STOKER_TRY(user, authenticateToken(trim(authorization.substr(7))));
  } else if (!authorization.empty()) {
    return unauthorized("only client certificates and bearer tokens are accepted");
  } else {
    user.name = "system:anonymous";
    user.groups = {"system:unauthenticated"};
  }
  std::string_view as = net::header(request.headers, "Impersonate-User");
  if (as.empty()) return user;
  Attributes attributes{.verb = "impersonate", .resource = "users", .name = as};
  if (!authorizer_.allowed(user, attributes)) return forbidden(user, attributes);
  User other{.name = std::string(as)};
  for (const auto& [name, value] : request.headers) {
    if (toLower(name) != "impersonate-group") continue;
    Attributes group{.verb = "impersonate", .resource = "groups", .name = value};
    if (!authorizer_.allowed(user, group)) return forbidden(user, group);
    other.groups.push_back(value);
  }
  other.groups.push_back("system:authenticated");
  return other;
}

}  // namespace stoker::apiserver
