#include "apiserver/http/discovery.h"

#include <gtest/gtest.h>

namespace stoker::apiserver {
namespace {

class DiscoveryTest : public testing::Test {
 protected:
  static std::vector<kube::KindPtr> kinds() {
    std::vector<kube::KindPtr> out = kube::builtinKinds();
    json::Arena arena;
    auto crd = json::parse(
        arena, R"({"metadata":{"name":"ovens.kitchen.example"},"spec":{"group":"kitchen.example","scope":"Namespaced",
      "names":{"plural":"ovens","kind":"Oven","shortNames":["ov"],"categories":["all"]},"versions":[
      {"name":"v1alpha1","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object"}}},
      {"name":"v1","served":true,"storage":true,"subresources":{"status":{},"scale":{"specReplicasPath":".spec.n","statusReplicasPath":".status.n"}},
       "schema":{"openAPIV3Schema":{"type":"object"}}}]}})");
    auto custom = kube::kindsOfCrd(*crd);
    EXPECT_TRUE(custom.ok());
    out.insert(out.end(), custom->begin(), custom->end());
    return out;
  }
  /// The row of a resource, as JSON.
  std::string row(const std::string& group, const std::string& version, std::string_view name) {
    auto list = resourceList(arena_, input_, group, version);
    if (!list) return "nothing served";
    for (json::Value one : (*list)["resources"].items())
      if (one["name"].asString() == name) return json::print(one);
    return "no such row";
  }

  KindTable table_{kinds()};
  std::vector<Review> reviews_{
      {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", false, {}}};
  DiscoveryInput input_{
      table_, reviews_,
      [](const kube::KindInfo& kind) {
        return kind.resource == "pods" ? std::vector<std::string>{"binding", "log"} : std::vector<std::string>{};
      },
      "127.0.0.1:6443"};
  json::Arena arena_;
};

TEST_F(DiscoveryTest, documentsOfTheRoots) {
  EXPECT_EQ(
      json::print(coreVersions(arena_, input_)),
      R"({"kind":"APIVersions","serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"127.0.0.1:6443"}],"versions":["v1"]})");
  json::Value groups = groupList(arena_, input_);
  std::string names;
  for (json::Value g : groups["groups"].items()) names += g["name"].str() + " ";
  EXPECT_EQ(names,
            "batch rbac.authorization.k8s.io apiextensions.k8s.io scheduling.k8s.io coordination.k8s.io "
            "discovery.k8s.io kitchen.example authorization.k8s.io ");
  EXPECT_EQ(
      json::print(*group(arena_, input_, "kitchen.example")),
      R"({"apiVersion":"v1","kind":"APIGroup","name":"kitchen.example","preferredVersion":{"groupVersion":"kitchen.example/v1","version":"v1"},)"
      R"("versions":[{"groupVersion":"kitchen.example/v1","version":"v1"},{"groupVersion":"kitchen.example/v1alpha1","version":"v1alpha1"}]})");
  EXPECT_FALSE(group(arena_, input_, "nothing.example"));
}

TEST_F(DiscoveryTest, rowsOfResources) {
  EXPECT_EQ(
      row("", "v1", "pods"),
      R"({"categories":["all"],"kind":"Pod","name":"pods","namespaced":true,"shortNames":["po"],"singularName":"pod",)"
      R"("verbs":["create","delete","deletecollection","get","list","patch","update","watch"]})");
  EXPECT_EQ(row("", "v1", "pods/binding"),
            R"({"kind":"Binding","name":"pods/binding","namespaced":true,"singularName":"","verbs":["create"]})");
  EXPECT_EQ(row("", "v1", "pods/log"),
            R"({"kind":"Pod","name":"pods/log","namespaced":true,"singularName":"","verbs":["get"]})");
  EXPECT_EQ(
      row("", "v1", "pods/status"),
      R"({"kind":"Pod","name":"pods/status","namespaced":true,"singularName":"","verbs":["get","patch","update"]})");
  EXPECT_EQ(
      row("kitchen.example", "v1", "ovens/scale"),
      R"({"group":"autoscaling","kind":"Scale","name":"ovens/scale","namespaced":true,"singularName":"","verbs":["get","patch","update"],"version":"v1"})");
  EXPECT_EQ(row("kitchen.example", "v1alpha1", "ovens/scale"), "no such row");
  EXPECT_EQ(
      row("authorization.k8s.io", "v1", "selfsubjectaccessreviews"),
      R"({"kind":"SelfSubjectAccessReview","name":"selfsubjectaccessreviews","namespaced":false,"singularName":"","verbs":["create"]})");
  EXPECT_EQ(row("kitchen.example", "v2", "ovens"), "nothing served");
}

}  // namespace
}  // namespace stoker::apiserver
