#include "apiserver/reviews.h"

#include <gtest/gtest.h>

#include "apiserver/auth/tokens.h"
#include "apiserver/registry/strategy.h"
#include "net/tls.h"

namespace stoker::apiserver {
namespace {

const Time kNow = *parseTime("2026-11-25T10:00:00Z");

/// bob may get pods in "a" and the path /x.
class Bob final : public Authorizer {
 public:
  bool allowed(const User& user, const Attributes& a) const override {
    if (user.name != "bob" || a.verb != "get") return false;
    return a.path.empty() ? a.resource == "pods" && a.namespace_ == "a" : a.path == "/x";
  }
};

class Accounts final : public StateReader {
 public:
  store::VersionPtr find(std::string_view resource, std::string_view, std::string_view) const override {
    if (resource != "serviceaccounts") return nullptr;
    auto version = std::make_shared<store::Version>();
    version->bytes = R"({"metadata":{"uid":"u1"}})";
    return version;
  }
  void forEach(std::string_view, std::string_view,
               const std::function<void(const store::VersionPtr&)>&) const override {}
};

class ReviewsTest : public testing::Test {
 protected:
  ReviewsTest()
      : clock_(kNow),
        keys_{.key = *net::SigningKey::read(net::makeCa("k", kNow)->keyPem)},
        authenticator_(keys_, accounts_, bob_, clock_),
        reviews_(makeReviews(bob_, authenticator_, nullptr)) {}

  Result<json::Value> ask(std::string_view kind, std::string_view body, const User& user, const std::string& ns = "") {
    for (const Review& review : reviews_)
      if (review.kind == kind) return review.answer(arena_, user, ns, *json::parse(arena_, body));
    return Error(Reason::NotFound, "no such review");
  }
  std::string status(std::string_view kind, std::string_view body, const User& user = {.name = "bob"},
                     const std::string& ns = "") {
    auto answer = ask(kind, body, user, ns);
    return answer.ok() ? json::print((*answer)["status"]) : answer.error().message;
  }

  ManualClock clock_;
  TokenKeys keys_;
  Accounts accounts_;
  Bob bob_;
  RequestAuthenticator authenticator_;
  std::vector<Review> reviews_;
  json::Arena arena_;
};

TEST_F(ReviewsTest, whatMayIDo) {
  auto answer =
      ask("SelfSubjectAccessReview",
          R"({"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"a"}}})", {.name = "bob"});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ((*answer)["kind"].asString(), "SelfSubjectAccessReview");
  EXPECT_EQ((*answer)["apiVersion"].asString(), "authorization.k8s.io/v1");
  EXPECT_EQ(json::print((*answer)["status"]), R"({"allowed":true})");
  EXPECT_EQ(status("SelfSubjectAccessReview",
                   R"({"spec":{"resourceAttributes":{"verb":"get","resource":"pods","namespace":"b"}}})"),
            R"({"allowed":false})");
  EXPECT_EQ(status("SelfSubjectAccessReview", R"({"spec":{"nonResourceAttributes":{"verb":"get","path":"/x"}}})"),
            R"({"allowed":true})");
  EXPECT_NE(status("SelfSubjectAccessReview", R"({"spec":{}})")
                .find("exactly one of nonResourceAttributes or resourceAttributes must be specified"),
            std::string::npos);
}

TEST_F(ReviewsTest, whatMayOthersDo) {
  EXPECT_EQ(status("SubjectAccessReview",
                   R"({"spec":{"user":"bob","resourceAttributes":{"verb":"get","resource":"pods","namespace":"a"}}})",
                   {.name = "x"}),
            R"({"allowed":true})");
  EXPECT_NE(status("SubjectAccessReview", R"({"spec":{"resourceAttributes":{"verb":"get"}}})")
                .find("at least one of user or group must be specified"),
            std::string::npos);
  constexpr const char* kLocal =
      R"({"spec":{"user":"bob","resourceAttributes":{"verb":"get","resource":"pods","namespace":"a"}}})";
  EXPECT_EQ(status("LocalSubjectAccessReview", kLocal, {}, "a"), R"({"allowed":true})");
  EXPECT_NE(status("LocalSubjectAccessReview", kLocal, {}, "b").find("must match metadata.namespace"),
            std::string::npos);
  EXPECT_NE(
      status("LocalSubjectAccessReview", R"({"spec":{"user":"bob","nonResourceAttributes":{"path":"/x"}}})", {}, "b")
          .find("disallowed on this kind of request"),
      std::string::npos);
}

TEST_F(ReviewsTest, whatRulesHoldForMe) {
  EXPECT_EQ(
      status("SelfSubjectRulesReview", R"({"spec":{"namespace":"a"}})", {.name = "root", .groups = {"system:masters"}}),
      R"({"incomplete":false,"nonResourceRules":[{"nonResourceURLs":["*"],"verbs":["*"]}],"resourceRules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]})");
  EXPECT_EQ(status("SelfSubjectRulesReview", R"({"spec":{"namespace":"a"}})"),
            R"({"incomplete":true,"nonResourceRules":[],"resourceRules":[]})");
  EXPECT_EQ(status("SelfSubjectRulesReview", "{}"), "no namespace on request");
}

TEST_F(ReviewsTest, whoAmI) {
  EXPECT_EQ(status("SelfSubjectReview", "{}", {.name = "bob", .uid = "u", .groups = {"g"}, .extra = {{"k", {"v"}}}}),
            R"({"userInfo":{"extra":{"k":["v"]},"groups":["g"],"uid":"u","username":"bob"}})");
}

TEST_F(ReviewsTest, whoseTokenIsThis) {
  TokenClaims claims{.namespace_ = "a",
                     .serviceAccount = "robot",
                     .serviceAccountUid = "u1",
                     .audiences = {keys_.audience},
                     .issuedAt = kNow,
                     .expires = kNow + 600s};
  std::string token = *makeToken(keys_, claims);
  EXPECT_EQ(
      status("TokenReview", R"({"spec":{"token":")" + token + "\"}}"),
      R"({"audiences":["https://kubernetes.default.svc"],"authenticated":true,"user":{"groups":["system:serviceaccounts","system:serviceaccounts:a",)"
      R"("system:authenticated"],"uid":"u1","username":"system:serviceaccount:a:robot"}})");
  EXPECT_EQ(status("TokenReview", R"({"spec":{"token":")" + token + R"(","audiences":["x"]}})"),
            R"({"error":"the token is not for one of the audiences asked about","user":{}})");
  EXPECT_EQ(status("TokenReview", R"({"spec":{"token":"x"}})"),
            R"({"error":"Unauthorized: the bearer token is not a JWT","user":{}})");
  EXPECT_EQ(status("TokenReview", "{}"), "token is required for TokenReview in authentication");
}

}  // namespace
}  // namespace stoker::apiserver
