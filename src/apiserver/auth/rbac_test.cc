#include "apiserver/auth/rbac.h"

#include <gtest/gtest.h>

#include "apiserver/registry/encode.h"

namespace stoker::apiserver {
namespace {

json::Value parsed(json::Arena& arena, std::string_view text) {
  auto value = json::parse(arena, text);
  EXPECT_TRUE(value.ok()) << text;
  return *value;
}

TEST(PolicyRule, allowsWhatItNames) {
  json::Arena arena;
  struct Case {
    const char* rule;
    Attributes attributes;
    bool allowed;
  };
  const Attributes kGetPod{.verb = "get", .resource = "pods", .namespace_ = "ns", .name = "a"};
  const Attributes kLog{.verb = "get", .resource = "pods", .subresource = "log", .name = "a"};
  const Attributes kListPods{.verb = "list", .resource = "pods"};
  const Attributes kPath{.verb = "get", .path = "/healthz/ping"};
  for (const Case& c : {
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", kGetPod, true},
           Case{R"({"verbs":["*"],"apiGroups":["*"],"resources":["*"]})", kGetPod, true},
           Case{R"({"verbs":["list"],"apiGroups":[""],"resources":["pods"]})", kGetPod, false},
           Case{R"({"verbs":["get"],"apiGroups":["batch"],"resources":["pods"]})", kGetPod, false},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"]})", kLog, false},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["pods/log"]})", kLog, true},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["*/log"]})", kLog, true},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["*/log"]})", kGetPod, false},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["*"]})", kLog, true},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})", kGetPod, true},
           Case{R"({"verbs":["get"],"apiGroups":[""],"resources":["pods"],"resourceNames":["b"]})", kGetPod, false},
           Case{R"({"verbs":["list"],"apiGroups":[""],"resources":["pods"],"resourceNames":["a"]})", kListPods, false},
           Case{R"({"verbs":["get"],"nonResourceURLs":["/healthz/*"]})", kPath, true},
           Case{R"({"verbs":["get"],"nonResourceURLs":["/healthz"]})", kPath, false},
           Case{R"({"verbs":["get"],"apiGroups":["*"],"resources":["*"]})", kPath, false},
           Case{R"({"verbs":["get"],"nonResourceURLs":["*"]})", kGetPod, false},
       })
    EXPECT_EQ(PolicyRule::fromJson(parsed(arena, c.rule)).allows(c.attributes), c.allowed) << c.rule;
}

class SnapshotTest : public testing::Test {
 protected:
  RbacSnapshot build() { return RbacSnapshot::build(clusterRoles_, roles_, clusterBindings_, bindings_); }
  json::Value make(std::string_view text) { return parsed(arena_, text); }
  json::Arena arena_;
  std::vector<json::Value> clusterRoles_, roles_, clusterBindings_, bindings_;
};

TEST_F(SnapshotTest, bindingsReachTheirSubjectsInTheirScope) {
  clusterRoles_ = {
      make(R"({"metadata":{"name":"view"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})")};
  roles_ = {make(
      R"({"metadata":{"name":"own","namespace":"a"},"rules":[{"verbs":["delete"],"apiGroups":[""],"resources":["pods"]}]})")};
  clusterBindings_ = {
      make(R"({"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"Group","name":"readers"}]})")};
  bindings_ = {
      make(
          R"({"metadata":{"namespace":"a"},"roleRef":{"kind":"Role","name":"own"},"subjects":[{"kind":"User","name":"bob"},{"kind":"ServiceAccount","name":"robot"}]})"),
      make(
          R"({"metadata":{"namespace":"b"},"roleRef":{"kind":"ClusterRole","name":"view"},"subjects":[{"kind":"ServiceAccount","name":"robot","namespace":"a"}]})"),
      make(
          R"({"metadata":{"namespace":"b"},"roleRef":{"kind":"Role","name":"own"},"subjects":[{"kind":"User","name":"bob"}]})")};
  RbacSnapshot snapshot = build();
  auto allowed = [&](const std::string& user, std::vector<std::string> groups, std::string_view verb,
                     std::string_view ns) {
    return snapshot.allowed({.name = user, .groups = std::move(groups)},
                            {.verb = verb, .resource = "pods", .namespace_ = ns});
  };
  EXPECT_TRUE(allowed("eve", {"readers"}, "get", "a"));
  EXPECT_TRUE(allowed("eve", {"readers"}, "get", ""));
  EXPECT_FALSE(allowed("eve", {}, "get", "a"));
  EXPECT_TRUE(allowed("bob", {}, "delete", "a"));
  EXPECT_FALSE(allowed("bob", {}, "delete", "b"));  // b has no Role "own"
  EXPECT_FALSE(allowed("bob", {}, "delete", ""));
  EXPECT_TRUE(allowed("system:serviceaccount:a:robot", {}, "delete", "a"));
  EXPECT_TRUE(allowed("system:serviceaccount:a:robot", {}, "get", "b"));
  EXPECT_FALSE(allowed("system:serviceaccount:b:robot", {}, "delete", "a"));
  EXPECT_FALSE(allowed("robot", {}, "delete", "a"));
  EXPECT_EQ(snapshot.rulesFor({.name = "bob", .groups = {"readers"}}, "a").size(), 2u);
  EXPECT_EQ(snapshot.rulesFor({.name = "bob", .groups = {"readers"}}, "c").size(), 1u);
}

TEST_F(SnapshotTest, aggregatedRolesAreTheSumOfWhatTheySelect) {
  clusterRoles_ = {
      make(
          R"({"metadata":{"name":"sum"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"to":"sum"}}]},"rules":[]})"),
      make(
          R"({"metadata":{"name":"part","labels":{"to":"sum"}},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})"),
      make(R"({"metadata":{"name":"other"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["secrets"]}]})")};
  clusterBindings_ = {
      make(R"({"roleRef":{"kind":"ClusterRole","name":"sum"},"subjects":[{"kind":"User","name":"bob"}]})")};
  RbacSnapshot snapshot = build();
  EXPECT_TRUE(snapshot.allowed({.name = "bob"}, {.verb = "get", .resource = "pods"}));
  EXPECT_FALSE(snapshot.allowed({.name = "bob"}, {.verb = "get", .resource = "secrets"}));
}

TEST(RbacAuthorizer, followsTheStore) {
  auto store =
      std::move(*store::Store::open(std::shared_ptr<store::Log>(store::makeMemoryLog()), {.synchronous = true}));
  auto authorizer = RbacAuthorizer::open(*store);
  ASSERT_TRUE(authorizer.ok());
  const Attributes kAsk{.verb = "get", .resource = "pods", .namespace_ = "a"};
  const User bob{.name = "bob"};
  EXPECT_FALSE((*authorizer)->allowed(bob, kAsk));
  EXPECT_TRUE((*authorizer)->allowed({.name = "x", .groups = {"system:masters"}}, kAsk));
  auto put = [&](const std::string& key, std::string_view text) {
    json::Arena arena;
    json::Value object = parsed(arena, text);
    Encoded encoded = encodeObject(object);
    store::Transaction transaction;
    transaction.ops.push_back({.kind = store::Op::Kind::Put,
                               .key = key,
                               .bytes = encoded.bytes,
                               .revisionAt = encoded.revisionAt,
                               .index = indexOf(object)});
    EXPECT_TRUE(store->commit(std::move(transaction), [](Result<store::Committed>) {}).ok());
  };
  put("roles.rbac.authorization.k8s.io/a/r",
      R"({"metadata":{"name":"r","namespace":"a"},"rules":[{"verbs":["get"],"apiGroups":[""],"resources":["pods"]}]})");
  EXPECT_FALSE((*authorizer)->allowed(bob, kAsk));
  put("rolebindings.rbac.authorization.k8s.io/a/b",
      R"({"metadata":{"name":"b","namespace":"a"},"roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"User","name":"bob"}]})");
  EXPECT_TRUE((*authorizer)->allowed(bob, kAsk));
  put("roles.rbac.authorization.k8s.io/a/r", R"({"metadata":{"name":"r","namespace":"a"},"rules":[]})");
  EXPECT_FALSE((*authorizer)->allowed(bob, kAsk));
}

}  // namespace
}  // namespace stoker::apiserver
