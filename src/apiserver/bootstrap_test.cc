#include "apiserver/bootstrap.h"

#include "apiserver/auth/rbac.h"
#include "apiserver/local_cluster.h"
#include "apiserver/strategies/strategy_test_util.h"

namespace stoker::apiserver {
namespace {

const std::vector<std::string> kCrds = {
    R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"ovens.kitchen.example"},
  "spec":{"group":"kitchen.example","scope":"Namespaced","names":{"plural":"ovens","kind":"Oven"},"versions":[{"name":"v1","served":true,"storage":true,
  "schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}})"};

class BootstrapTest : public StrategyTest {
 protected:
  void start(const std::vector<std::string>& crds = kCrds) {
    auto done = bootstrap(*registry_, crds);
    ASSERT_TRUE(done.ok()) << done.error().message;
  }
};

TEST_F(BootstrapTest, twiceIsNoOp) {
  start();
  auto revision = store_->revision();
  start();
  EXPECT_EQ(store_->revision(), revision);
  EXPECT_TRUE(exists("v1/namespaces", "default"));
  EXPECT_EQ(at("scheduling.k8s.io/v1/priorityclasses", "system-node-critical", {"value"}), "2000001000");
  EXPECT_TRUE(registry_->kinds()->find("kitchen.example", "v1", "ovens"));
}

TEST_F(BootstrapTest, whatWasChangedOrRemovedComesBack) {
  start();
  constexpr const char* kRoles = "rbac.authorization.k8s.io/v1/clusterroles";
  ASSERT_EQ(patch(kRoles, "cluster-admin", R"({"rules":[]})"), "");
  ASSERT_EQ(remove(kRoles, "system:stoker-agent"), "");
  start();
  EXPECT_EQ(get(kRoles, "cluster-admin")["rules"].size(), 2u);
  EXPECT_TRUE(exists(kRoles, "system:stoker-agent"));
}

TEST_F(BootstrapTest, anOlderInstallationGetsTheNewCrd) {
  start();
  std::string newer = kCrds[0];
  newer.replace(newer.find(R"("kind":"Oven"})"), 14, R"("kind":"Oven","shortNames":["ov"]})");
  start({newer});
  EXPECT_EQ(
      at("apiextensions.k8s.io/v1/customresourcedefinitions", "ovens.kitchen.example", {"spec", "names", "shortNames"}),
      R"(["ov"])");
  auto revision = store_->revision();
  start({newer});
  EXPECT_EQ(store_->revision(), revision);
}

TEST_F(BootstrapTest, componentsAndPeopleGetTheirRightsAndNoMore) {
  start();
  auto rbac = RbacAuthorizer::open(*store_);
  ASSERT_TRUE(rbac.ok());
  struct Case {
    User user;
    Attributes attributes;
    bool allowed;
  };
  const User scheduler = serviceAccountUser(kSystemNamespace, kSchedulerAccount),
             agent = serviceAccountUser(kSystemNamespace, kAgentAccount),
             controllers = serviceAccountUser(kSystemNamespace, kControllersAccount);
  const User anybody{.name = "bob", .groups = {"system:authenticated"}},
      nobody{.name = "system:anonymous", .groups = {"system:unauthenticated"}};
  for (const Case& c :
       {Case{scheduler, {.verb = "create", .resource = "pods", .subresource = "binding", .namespace_ = "a"}, true},
        Case{scheduler, {.verb = "create", .resource = "pods", .namespace_ = "a"}, false},
        Case{scheduler, {.verb = "get", .resource = "secrets", .namespace_ = "a"}, false},
        Case{agent, {.verb = "patch", .resource = "pods", .subresource = "status", .namespace_ = "a"}, true},
        Case{agent, {.verb = "create", .resource = "serviceaccounts", .subresource = "token", .namespace_ = "a"}, true},
        Case{agent, {.verb = "create", .resource = "pods", .namespace_ = "a"}, false},
        Case{controllers, {.verb = "create", .resource = "pods", .namespace_ = "a"}, true},
        Case{controllers, {.verb = "delete", .group = "kitchen.example", .resource = "ovens", .namespace_ = "a"}, true},
        Case{controllers,
             {.verb = "create", .group = "rbac.authorization.k8s.io", .resource = "clusterrolebindings"},
             false},
        Case{anybody, {.verb = "get", .path = "/apis/batch/v1"}, true},
        Case{
            anybody, {.verb = "create", .group = "authorization.k8s.io", .resource = "selfsubjectaccessreviews"}, true},
        Case{anybody, {.verb = "list", .resource = "pods", .namespace_ = "a"}, false},
        Case{nobody, {.verb = "get", .path = "/healthz"}, true}, Case{nobody, {.verb = "get", .path = "/api"}, false},
        Case{nobody,
             {.verb = "create", .group = "authorization.k8s.io", .resource = "selfsubjectaccessreviews"},
             false}})
    EXPECT_EQ((*rbac)->allowed(c.user, c.attributes), c.allowed)
        << c.user.name << " " << c.attributes.verb << " " << c.attributes.resource << c.attributes.path;
}

}  // namespace
}  // namespace stoker::apiserver
