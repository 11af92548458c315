#include "apiserver/auth/tokens.h"

#include <gtest/gtest.h>

#include <map>

#include "apiserver/registry/encode.h"
#include "base/strings.h"
#include "net/tls.h"

namespace stoker::apiserver {
namespace {

const Time kNow = *parseTime("2026-11-25T10:00:00Z");

class Objects final : public StateReader {
 public:
  void put(std::string_view resource, std::string_view ns, std::string_view name, std::string bytes) {
    auto version = std::make_shared<store::Version>();
    version->bytes = std::move(bytes);
    objects_[storeKey(resource, ns, name)] = version;
  }
  void erase(std::string_view resource, std::string_view ns, std::string_view name) {
    objects_.erase(storeKey(resource, ns, name));
  }
  store::VersionPtr find(std::string_view resource, std::string_view ns, std::string_view name) const override {
    auto it = objects_.find(storeKey(resource, ns, name));
    return it == objects_.end() ? nullptr : it->second;
  }
  void forEach(std::string_view, std::string_view,
               const std::function<void(const store::VersionPtr&)>&) const override {}

 private:
  std::map<std::string, store::VersionPtr> objects_;
};

class MayImpersonate final : public Authorizer {
 public:
  bool allowed(const User& user, const Attributes& a) const override {
    return user.name == "admin" && a.verb == "impersonate";
  }
};

class TokensTest : public testing::Test {
 protected:
  TokensTest() {
    keys_.key = *net::SigningKey::read(net::makeCa("token-signer", kNow)->keyPem);
    objects_.put("serviceaccounts", "ns", "robot", R"({"metadata":{"name":"robot","namespace":"ns","uid":"u1"}})");
    objects_.put("pods", "ns", "p",
                 R"({"metadata":{"name":"p","namespace":"ns","uid":"u2"},"spec":{"serviceAccountName":"robot"}})");
  }
  TokenClaims claims() const {
    return {.namespace_ = "ns",
            .serviceAccount = "robot",
            .serviceAccountUid = "u1",
            .audiences = {keys_.audience},
            .issuedAt = kNow,
            .expires = kNow + 3600s};
  }
  static std::string problem(const auto& result) { return result.ok() ? "" : result.error().message; }
  Result<json::Value> request(std::string_view body) {
    StrategyContext context{arena_, objects_, user_, kNow};
    return tokenRequest(keys_)(context, *json::parse(arena_, objects_.find("serviceaccounts", "ns", "robot")->bytes),
                               *json::parse(arena_, body));
  }

  TokenKeys keys_;
  Objects objects_;
  json::Arena arena_;
  User user_;
};

TEST_F(TokensTest, whatIsSignedIsReadBack) {
  TokenClaims in = claims();
  in.podName = "p";
  in.podUid = "u2";
  auto out = readToken(keys_, *makeToken(keys_, in), kNow + 10s);
  ASSERT_TRUE(out.ok()) << out.error().message;
  EXPECT_EQ(out->namespace_, "ns");
  EXPECT_EQ(out->serviceAccount, "robot");
  EXPECT_EQ(out->podUid, "u2");
  EXPECT_EQ(out->expires, in.expires);
  EXPECT_EQ(out->audiences, in.audiences);
}

TEST_F(TokensTest, whatIsNotOursIsRefused) {
  std::string token = *makeToken(keys_, claims());
  EXPECT_EQ(problem(readToken(keys_, "", kNow)), "Unauthorized: the bearer token is not a JWT");
  EXPECT_EQ(problem(readToken(keys_, "a.b", kNow)), "Unauthorized: the bearer token is not a JWT");
  EXPECT_EQ(problem(readToken(keys_, "!.!.!", kNow)), "Unauthorized: the bearer token is not valid base64url");
  EXPECT_EQ(problem(readToken(keys_, token, kNow + 3600s)), "Unauthorized: the bearer token has expired");
  EXPECT_EQ(problem(readToken(keys_, token, kNow - 3600s)), "Unauthorized: the bearer token is not valid yet");
  TokenKeys others = keys_;
  others.key = *net::SigningKey::read(net::makeCa("other", kNow)->keyPem);
  EXPECT_EQ(problem(readToken(others, token, kNow)), "Unauthorized: the bearer token's signature is not valid");
  TokenKeys elsewhere = keys_;
  elsewhere.issuer = "https://elsewhere.example";
  EXPECT_EQ(problem(readToken(elsewhere, token, kNow)), "Unauthorized: the bearer token was issued by somebody else");
  auto parts = split(token, '.');
  std::string forged = std::string(parts[0]) + "." +
                       base64UrlEncode(R"({"sub":"system:serviceaccount:kube-system:root"})") + "." +
                       std::string(parts[2]);
  EXPECT_EQ(problem(readToken(keys_, forged, kNow)), "Unauthorized: the bearer token's signature is not valid");
  std::string unsignedToken =
      base64UrlEncode(R"({"alg":"none"})") + "." + std::string(parts[1]) + "." + std::string(parts[2]);
  EXPECT_EQ(problem(readToken(keys_, unsignedToken, kNow)), "Unauthorized: the bearer token is not an ES256 JWT");
  std::string cut = token.substr(0, token.size() - 4);
  EXPECT_FALSE(readToken(keys_, cut, kNow).ok());
}

TEST_F(TokensTest, aTokenDiesWithWhatItIsBoundTo) {
  TokenClaims bound = claims();
  bound.podName = "p";
  bound.podUid = "u2";
  auto user = userOf(bound, objects_);
  ASSERT_TRUE(user.ok());
  EXPECT_EQ(user->name, "system:serviceaccount:ns:robot");
  EXPECT_EQ(user->groups,
            (std::vector<std::string>{"system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"}));
  EXPECT_EQ(user->extra.at("authentication.kubernetes.io/pod-name"), std::vector<std::string>{"p"});
  objects_.put("pods", "ns", "p", R"({"metadata":{"uid":"u3"}})");
  EXPECT_EQ(problem(userOf(bound, objects_)), "Unauthorized: the pod that the token is bound to no longer exists");
  EXPECT_TRUE(userOf(claims(), objects_).ok());
  objects_.erase("serviceaccounts", "ns", "robot");
  EXPECT_EQ(problem(userOf(claims(), objects_)), "Unauthorized: the token's ServiceAccount no longer exists");
}

TEST_F(TokensTest, tokenRequests) {
  auto answer = request(R"({"spec":{"expirationSeconds":1200,"boundObjectRef":{"kind":"Pod","name":"p","uid":"u2"}}})");
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->at({"status", "expirationTimestamp"}).asString(), "2026-11-25T10:20:00Z");
  auto read = readToken(keys_, answer->at({"status", "token"}).asString(), kNow);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->podName, "p");
  EXPECT_EQ(request("{}")->at({"spec", "expirationSeconds"}).asInt(), 3600);
  EXPECT_NE(
      problem(request(R"({"spec":{"expirationSeconds":10}})")).find("may not specify a duration less than 10 minutes"),
      std::string::npos);
  EXPECT_EQ(problem(request(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"q"}}})")), "pods \"q\" not found");
  EXPECT_EQ(request(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"p","uid":"x"}}})").error().reason,
            Reason::Conflict);
  EXPECT_EQ(request(R"({"spec":{"boundObjectRef":{"kind":"Secret","name":"p"}}})").error().reason, Reason::BadRequest);
  objects_.put("pods", "ns", "p", R"({"metadata":{"uid":"u2"},"spec":{"serviceAccountName":"other"}})");
  EXPECT_NE(problem(request(R"({"spec":{"boundObjectRef":{"kind":"Pod","name":"p"}}})"))
                .find("different serviceaccount name"),
            std::string::npos);
}

TEST_F(TokensTest, requestsAreWhoTheyShowToBe) {
  MayImpersonate authorizer;
  ManualClock clock(kNow);
  RequestAuthenticator authenticator(keys_, objects_, authorizer, clock);
  net::Request request;
  EXPECT_EQ(authenticator.authenticate(request)->name, "system:anonymous");
  EXPECT_EQ(authenticator.authenticate(request)->groups, std::vector<std::string>{"system:unauthenticated"});
  request.headers = {{"Authorization", "Bearer " + *makeToken(keys_, claims())}};
  EXPECT_EQ(authenticator.authenticate(request)->name, "system:serviceaccount:ns:robot");
  TokenClaims other = claims();
  other.audiences = {"somebody-else"};
  request.headers = {{"Authorization", "Bearer " + *makeToken(keys_, other)}};
  EXPECT_EQ(authenticator.authenticate(request).error().reason, Reason::Unauthorized);
  for (const char* value : {"Bearer ", "Bearer x", "Basic YTpi", "Bearer"}) {
    request.headers = {{"authorization", value}};
    EXPECT_FALSE(authenticator.authenticate(request).ok()) << value;
  }
  request.headers.clear();
  request.peer.emplace();
  request.peer->commonName = "admin";
  request.peer->organizations = {"ops"};
  EXPECT_EQ(authenticator.authenticate(request)->groups, (std::vector<std::string>{"ops", "system:authenticated"}));
  request.headers = {{"Impersonate-User", "bob"}, {"Impersonate-Group", "readers"}};
  EXPECT_EQ(authenticator.authenticate(request)->name, "bob");
  EXPECT_EQ(authenticator.authenticate(request)->groups, (std::vector<std::string>{"readers", "system:authenticated"}));
  request.peer->commonName = "eve";
  EXPECT_EQ(authenticator.authenticate(request).error().reason, Reason::Forbidden);
}

}  // namespace
}  // namespace stoker::apiserver
