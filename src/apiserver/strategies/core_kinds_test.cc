// Namespaces, nodes, CRDs, and custom kinds with rules of their own.

#include "apiserver/strategies/strategy_test_util.h"

namespace stoker::apiserver {
namespace {

using NamespaceTest = StrategyTest;

TEST_F(NamespaceTest, beginActiveWithTheirNameAsALabel) {
  EXPECT_EQ(at("v1/namespaces", "ns", {"metadata", "labels"}), R"({"kubernetes.io/metadata.name":"ns"})");
  EXPECT_EQ(at("v1/namespaces", "ns", {"spec", "finalizers"}), R"(["kubernetes"])");
  EXPECT_EQ(at("v1/namespaces", "ns", {"status", "phase"}), "\"Active\"");
  EXPECT_NE(create("v1/namespaces", R"({"metadata":{"name":"a.b"}})").find("metadata.name: Invalid value: \"a.b\": "),
            std::string::npos);
  EXPECT_EQ(patch("v1/namespaces", "ns", R"({"spec":{"finalizers":null},"metadata":{"labels":null}})"), "");
  EXPECT_EQ(at("v1/namespaces", "ns", {"spec", "finalizers"}), R"(["kubernetes"])");
  EXPECT_EQ(at("v1/namespaces", "ns", {"metadata", "labels"}), R"({"kubernetes.io/metadata.name":"ns"})");
}

TEST_F(NamespaceTest, endWhenFinalized) {
  ASSERT_EQ(remove("v1/namespaces", "ns"), "");
  EXPECT_EQ(at("v1/namespaces", "ns", {"status", "phase"}), "\"Terminating\"");
  EXPECT_NE(create("v1/configmaps", R"({"metadata":{"name":"x"}})").find("because it is being terminated"),
            std::string::npos);
  auto finalize = [&](const char* body) {
    return problem(write(Verb::Update, target("v1/namespaces", "ns", "finalize"), body));
  };
  EXPECT_NE(
      finalize(R"({"metadata":{"name":"ns","resourceVersion":"1"},"spec":{}})").find("the object has been modified"),
      std::string::npos);
  EXPECT_NE(finalize(R"({"metadata":{"name":"ns"},"spec":{"finalizers":["a b"]}})")
                .find("spec.finalizers[0]: Invalid value: \"a b\""),
            std::string::npos);
  EXPECT_EQ(finalize(R"({"metadata":{"name":"ns"},"spec":{"finalizers":[]}})"), "");
  EXPECT_FALSE(exists("v1/namespaces", "ns"));
}

TEST_F(NamespaceTest, thePlatformsOwnStay) {
  ASSERT_EQ(create("v1/namespaces", R"({"metadata":{"name":"kube-system"}})"), "");
  EXPECT_EQ(remove("v1/namespaces", "kube-system"),
            "namespaces \"kube-system\" is forbidden: this namespace may not be deleted");
}

using NodeTest = StrategyTest;

TEST_F(NodeTest, comeWithAStatus) {
  ASSERT_EQ(create("v1/nodes", R"({"metadata":{"name":"n1.example"},"status":{"capacity":{"cpu":"2"}}})"), "");
  EXPECT_EQ(at("v1/nodes", "n1.example", {"status", "capacity", "cpu"}), "\"2\"");
  EXPECT_NE(create("v1/nodes", R"({"metadata":{"name":"n2"},"status":{"capacity":{"cpu":"-2"}}})")
                .find("status.capacity[cpu]: Invalid value: \"-2\""),
            std::string::npos);
  EXPECT_NE(patch("v1/nodes", "n1.example",
                  R"({"spec":{"taints":[{"key":"a","effect":"NoSchedule"},{"key":"a","effect":"NoSchedule"}]}})")
                .find("Duplicate value"),
            std::string::npos);
  EXPECT_EQ(patch("v1/nodes", "n1.example", R"({"spec":{"unschedulable":true}})"), "");
}

std::string oven(const std::string& names, const std::string& versions, const std::string& plural = "ovens") {
  return R"({"metadata":{"name":")" + plural +
         R"(.kitchen.example"},"spec":{"group":"kitchen.example","scope":"Namespaced","names":)" + names +
         R"(,"versions":)" + versions + "}}";
}
constexpr const char* kNames = R"({"plural":"ovens","kind":"Oven","shortNames":["ov"]})";
constexpr const char* kSchema =
    R"("schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}})";
std::string v1() { return std::string(R"([{"name":"v1","served":true,"storage":true,)") + kSchema + "}]"; }
constexpr const char* kCrds = "apiextensions.k8s.io/v1/customresourcedefinitions";

class CrdTest : public StrategyTest {
 protected:
  CrdTest()
      : StrategyTest({.validators = {{"ovens.kitchen.example", [](json::Value object) {
                                        std::vector<Cause> causes;
                                        if (object["spec"]["heat"].asInt() > 300)
                                          causes.push_back({"FieldValueInvalid", "too hot", "spec.heat"});
                                        return causes;
                                      }}}}) {}
};

TEST_F(CrdTest, areEstablishedAtOnce) {
  ASSERT_EQ(create(kCrds, oven(kNames, v1())), "");
  json::Doc crd = get(kCrds, "ovens.kitchen.example");
  EXPECT_EQ(crd["spec"]["names"]["singular"].asString(), "oven");
  EXPECT_EQ(crd["spec"]["names"]["listKind"].asString(), "OvenList");
  EXPECT_EQ(crd.root.at({"metadata", "generation"}).asInt(), 1);
  EXPECT_EQ(crd["status"]["acceptedNames"], crd["spec"]["names"]);
  EXPECT_EQ(json::print(crd["status"]["storedVersions"]), R"(["v1"])");
  EXPECT_EQ(crd["status"]["conditions"][0]["type"].asString(), "NamesAccepted");
  EXPECT_EQ(crd["status"]["conditions"][1]["type"].asString(), "Established");
  EXPECT_EQ(crd["status"]["conditions"][1]["status"].asString(), "True");
  EXPECT_EQ(create("kitchen.example/v1/ovens", R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
}

TEST_F(CrdTest, refusesWhatCannotBeServed) {
  EXPECT_NE(create(kCrds, oven(kNames, "[]")).find("spec.versions"), std::string::npos);
  EXPECT_NE(
      create(kCrds, oven(kNames, v1(), "pans"))
          .find("metadata.name: Invalid value: \"pans.kitchen.example\": must be spec.names.plural+\".\"+spec.group"),
      std::string::npos);
  std::string twice = create(kCrds, oven(R"({"kind":"Oven"})", v1()));
  EXPECT_EQ(twice.find("spec.names.plural: Required value"), twice.rfind("spec.names.plural: Required value")) << twice;
}

TEST_F(CrdTest, keepTheirNamesAndStoredVersions) {
  ASSERT_EQ(create(kCrds, oven(kNames, v1())), "");
  EXPECT_NE(patch(kCrds, "ovens.kitchen.example", R"({"spec":{"scope":"Cluster"}})")
                .find("spec.scope: Invalid value: \"Cluster\": field is immutable"),
            std::string::npos);
  std::string two = std::string(R"([{"name":"v1","served":true,"storage":false,)") + kSchema +
                    R"(},{"name":"v2","served":true,"storage":true,)" + kSchema + "}]";
  clock_.advance(60s);
  EXPECT_EQ(patch(kCrds, "ovens.kitchen.example", R"({"spec":{"versions":)" + two + "}}"), "");
  EXPECT_EQ(at(kCrds, "ovens.kitchen.example", {"status", "storedVersions"}), R"(["v1","v2"])");
  EXPECT_EQ(at(kCrds, "ovens.kitchen.example", {"metadata", "generation"}), "2");
  EXPECT_EQ(get(kCrds, "ovens.kitchen.example")["status"]["conditions"][0]["lastTransitionTime"].asString(),
            "2026-11-25T10:00:00Z");
  std::string one = std::string(R"([{"name":"v2","served":true,"storage":true,)") + kSchema + "}]";
  EXPECT_NE(patch(kCrds, "ovens.kitchen.example", R"({"spec":{"versions":)" + one + "}}")
                .find("status.storedVersions[0]: Invalid value: \"v1\""),
            std::string::npos);
}

TEST_F(CrdTest, clashingNamesAreTold) {
  ASSERT_EQ(create(kCrds, oven(kNames, v1())), "");
  std::vector<std::string> warnings;
  caller_.warnings = &warnings;
  ASSERT_EQ(create(kCrds, oven(R"({"plural":"overs","kind":"Over","shortNames":["ov"]})", v1(), "overs")), "");
  json::Doc crd = get(kCrds, "overs.kitchen.example");
  EXPECT_EQ(crd["status"]["conditions"][0]["reason"].asString(), "ShortNamesConflict");
  EXPECT_EQ(crd["status"]["conditions"][0]["message"].asString(), "\"ov\" is already in use");
  ASSERT_EQ(warnings.size(), 1u);
}

TEST_F(CrdTest, customKindsCanHaveRulesOfTheirOwn) {
  ASSERT_EQ(create(kCrds, oven(kNames, v1())), "");
  EXPECT_EQ(create("kitchen.example/v1/ovens", R"({"metadata":{"name":"a"},"spec":{"heat":999}})"),
            "Oven.kitchen.example \"a\" is invalid: spec.heat: too hot");
  EXPECT_EQ(create("kitchen.example/v1/ovens", R"({"metadata":{"name":"a"},"spec":{"heat":200}})"), "");
  EXPECT_NE(patch("kitchen.example/v1/ovens", "a", R"({"spec":{"heat":301}})"), "");
}

}  // namespace
}  // namespace stoker::apiserver
