// Tables after kube-scheduler's plugin tests (tainttoleration, nodeaffinity, nodeunschedulable).
#include "scheduler/placement/constraint.h"

#include <gtest/gtest.h>

namespace stoker::scheduler {
namespace {

struct TolerationCase {
  const char* name;
  api::Toleration toleration;
  api::Taint taint;
  bool tolerated;
};
class Tolerations : public testing::TestWithParam<TolerationCase> {};
TEST_P(Tolerations, areUpstreams) {
  EXPECT_EQ(tolerates(GetParam().toleration, GetParam().taint), GetParam().tolerated) << GetParam().name;
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Tolerations,
    testing::Values(
        TolerationCase{
            "same key, value and effect", {"foo", "Equal", "bar", "NoSchedule"}, {"foo", "bar", "NoSchedule"}, true},
        TolerationCase{"no operator is Equal", {"foo", "", "bar", "NoSchedule"}, {"foo", "bar", "NoSchedule"}, true},
        TolerationCase{"another value", {"foo", "Equal", "baz", "NoSchedule"}, {"foo", "bar", "NoSchedule"}, false},
        TolerationCase{"another key", {"fox", "Equal", "bar", "NoSchedule"}, {"foo", "bar", "NoSchedule"}, false},
        TolerationCase{"another effect", {"foo", "Equal", "bar", "NoExecute"}, {"foo", "bar", "NoSchedule"}, false},
        TolerationCase{"no effect is all effects", {"foo", "Equal", "bar", ""}, {"foo", "bar", "NoExecute"}, true},
        TolerationCase{
            "Exists needs no value", {"foo", "Exists", "", "NoSchedule"}, {"foo", "bar", "NoSchedule"}, true},
        TolerationCase{"Exists without key is everything", {"", "Exists", "", ""}, {"foo", "bar", "NoExecute"}, true},
        TolerationCase{"Equal with empty values", {"foo", "Equal", "", "NoSchedule"}, {"foo", "", "NoSchedule"}, true},
        TolerationCase{
            "Gt compares the taint's value", {"sla", "Gt", "900", "NoSchedule"}, {"sla", "950", "NoSchedule"}, true},
        TolerationCase{"Gt is strict", {"sla", "Gt", "950", "NoSchedule"}, {"sla", "950", "NoSchedule"}, false},
        TolerationCase{"Lt", {"sla", "Lt", "900", "NoSchedule"}, {"sla", "800", "NoSchedule"}, true},
        TolerationCase{"Lt on words", {"sla", "Lt", "900", "NoSchedule"}, {"sla", "low", "NoSchedule"}, false},
        TolerationCase{"unknown operator", {"foo", "Like", "bar", ""}, {"foo", "bar", "NoSchedule"}, false}),
    [](const auto& info) { return std::to_string(info.index); });

api::Node readyNode() {
  api::Node node;
  node.metadata.name = "node-1";
  node.status.conditions.push_back({.type = "Ready", .status = "True"});
  return node;
}

using Verdict = Constraint::Verdict;

TEST(Constraint, taintsThatAreNotTolerated) {
  api::Node node = readyNode();
  node.spec.taints = {
      {"soft", "x", "PreferNoSchedule", {}}, {"gpu", "a", "NoSchedule", {}}, {"bad", "b", "NoExecute", {}}};
  auto answer = Constraint({}, {}, {}).check(node);
  EXPECT_EQ(answer.verdict, Verdict::Taint);
  EXPECT_EQ(answer.taint->key, "gpu");
  answer = Constraint({}, {}, {{"gpu", "Exists", "", ""}}).check(node);
  EXPECT_EQ(answer.taint->key, "bad");
  EXPECT_EQ(Constraint({}, {}, {{"", "Exists", "", ""}}).check(node).verdict, Verdict::Ok);
}

TEST(Constraint, unschedulableAndNotReadyAreTaintsOfTheirOwn) {
  api::Node node = readyNode();
  node.spec.unschedulable = true;
  EXPECT_EQ(Constraint({}, {}, {}).check(node).verdict, Verdict::Unschedulable);
  EXPECT_EQ(Constraint({}, {}, {{kTaintUnschedulable, "Exists", "", "NoSchedule"}}).check(node).verdict, Verdict::Ok);
  node = readyNode();
  node.status.conditions[0].status = "Unknown";
  EXPECT_EQ(Constraint({}, {}, {}).check(node).verdict, Verdict::NotReady);
  EXPECT_EQ(Constraint({}, {}, {{kTaintNotReady, "Exists", "", "NoSchedule"}}).check(node).verdict, Verdict::Ok);
  node.status.conditions.clear();
  EXPECT_EQ(Constraint({}, {}, {}).check(node).verdict, Verdict::NotReady);
}

TEST(Constraint, aPlaceIsLostWhenItsPodCannotStay) {
  api::Node node = readyNode();
  EXPECT_FALSE(isLostFor(node, {}));
  node.spec.taints = {{"x", "y", "NoSchedule", {}}};
  EXPECT_FALSE(isLostFor(node, {}));
  node.spec.taints = {{"x", "y", "NoExecute", {}}};
  EXPECT_TRUE(isLostFor(node, {}));
  EXPECT_FALSE(isLostFor(node, {{"x", "Exists", "", ""}}));
  EXPECT_TRUE(isLostFor(node, {{"x", "Exists", "", "", 300}})) << "tolerated for a while only";
  node = readyNode();
  node.status.conditions[0].status = "False";
  EXPECT_TRUE(isLostFor(node, {}));
}

// nodeaffinity/node_affinity_test.go and component-helpers nodeaffinity_test.go.
struct AffinityCase {
  const char* name;
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> selector;
  const char* terms;  ///< nodeSelectorTerms, or "" for no affinity
  bool matches;
};
class NodeAffinity : public testing::TestWithParam<AffinityCase> {};
TEST_P(NodeAffinity, isUpstreams) {
  const AffinityCase& c = GetParam();
  api::Node node = readyNode();
  node.metadata.labels = c.labels;
  json::Doc affinity;
  if (*c.terms)
    affinity = *json::parseDoc(
        std::string(R"({"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":)") +
        c.terms + "}}}");
  EXPECT_EQ(Constraint(c.selector, affinity.root, {}).check(node).verdict == Verdict::Ok, c.matches) << c.name;
}
INSTANTIATE_TEST_SUITE_P(
    Cases, NodeAffinity,
    testing::Values(
        AffinityCase{"no selector", {}, {}, "", true}, AffinityCase{"missing labels", {}, {{"foo", "bar"}}, "", false},
        AffinityCase{"same labels", {{"foo", "bar"}}, {{"foo", "bar"}}, "", true},
        AffinityCase{"node labels are a superset", {{"foo", "bar"}, {"baz", "blah"}}, {{"foo", "bar"}}, "", true},
        AffinityCase{"node labels are a subset", {{"foo", "bar"}}, {{"foo", "bar"}, {"baz", "blah"}}, "", false},
        AffinityCase{"In",
                     {{"foo", "bar"}},
                     {},
                     R"([{"matchExpressions":[{"key":"foo","operator":"In","values":["bar","value2"]}]}])",
                     true},
        AffinityCase{"Gt",
                     {{"kernel-version", "0206"}},
                     {},
                     R"([{"matchExpressions":[{"key":"kernel-version","operator":"Gt","values":["0204"]}]}])",
                     true},
        AffinityCase{"Gt on equal",
                     {{"v", "204"}},
                     {},
                     R"([{"matchExpressions":[{"key":"v","operator":"Gt","values":["204"]}]}])",
                     false},
        AffinityCase{
            "Lt", {{"v", "9"}}, {}, R"([{"matchExpressions":[{"key":"v","operator":"Lt","values":["10"]}]}])", true},
        AffinityCase{"Gt with a word on the node",
                     {{"v", "new"}},
                     {},
                     R"([{"matchExpressions":[{"key":"v","operator":"Gt","values":["1"]}]}])",
                     false},
        AffinityCase{"Gt with a word wanted matches nothing",
                     {{"v", "5"}},
                     {},
                     R"([{"matchExpressions":[{"key":"v","operator":"Gt","values":["x"]}]}])",
                     false},
        AffinityCase{"NotIn",
                     {{"mem-type", "DDR3"}},
                     {},
                     R"([{"matchExpressions":[{"key":"mem-type","operator":"NotIn","values":["DDR","DDR2"]}]}])",
                     true},
        AffinityCase{"NotIn without the label",
                     {},
                     {},
                     R"([{"matchExpressions":[{"key":"mem-type","operator":"NotIn","values":["DDR"]}]}])",
                     true},
        AffinityCase{"Exists",
                     {{"GPU", "NVIDIA-GRID-K1"}},
                     {},
                     R"([{"matchExpressions":[{"key":"GPU","operator":"Exists"}]}])",
                     true},
        AffinityCase{"DoesNotExist",
                     {{"GPU", "x"}},
                     {},
                     R"([{"matchExpressions":[{"key":"GPU","operator":"DoesNotExist"}]}])",
                     false},
        AffinityCase{"another value",
                     {{"foo", "bar"}},
                     {},
                     R"([{"matchExpressions":[{"key":"foo","operator":"In","values":["value1"]}]}])",
                     false},
        AffinityCase{"no terms match nothing", {{"foo", "bar"}}, {}, "[]", false},
        AffinityCase{"null terms match nothing", {{"foo", "bar"}}, {}, "null", false},
        AffinityCase{"an empty term matches nothing", {{"foo", "bar"}}, {}, R"([{"matchExpressions":[]}])", false},
        AffinityCase{
            "expressions are ANDed",
            {{"GPU", "NVIDIA-GRID-K1"}},
            {},
            R"([{"matchExpressions":[{"key":"GPU","operator":"Exists"},{"key":"GPU","operator":"NotIn","values":["AMD","INTER"]}]}])",
            true},
        AffinityCase{
            "... all of them",
            {{"GPU", "NVIDIA-GRID-K1"}},
            {},
            R"([{"matchExpressions":[{"key":"GPU","operator":"Exists"},{"key":"GPU","operator":"In","values":["AMD","INTER"]}]}])",
            false},
        AffinityCase{
            "terms are ORed",
            {{"foo", "bar"}},
            {},
            R"([{"matchExpressions":[{"key":"foo","operator":"In","values":["bar"]}]},{"matchExpressions":[{"key":"diffkey","operator":"In","values":["wrong"]}]}])",
            true},
        AffinityCase{"selector and affinity both count",
                     {{"foo", "bar"}},
                     {{"foo", "bar"}},
                     R"([{"matchExpressions":[{"key":"foo","operator":"In","values":["nope"]}]}])",
                     false},
        AffinityCase{"matchFields by name",
                     {},
                     {},
                     R"([{"matchFields":[{"key":"metadata.name","operator":"In","values":["node-1"]}]}])",
                     true},
        AffinityCase{"matchFields by another name",
                     {},
                     {},
                     R"([{"matchFields":[{"key":"metadata.name","operator":"In","values":["node-2"]}]}])",
                     false},
        AffinityCase{"matchFields NotIn",
                     {},
                     {},
                     R"([{"matchFields":[{"key":"metadata.name","operator":"NotIn","values":["node-2"]}]}])",
                     true},
        AffinityCase{
            "matchFields and matchExpressions are ANDed",
            {{"foo", "bar"}},
            {},
            R"([{"matchFields":[{"key":"metadata.name","operator":"In","values":["node-1"]}],"matchExpressions":[{"key":"foo","operator":"In","values":["no"]}]}])",
            false},
        AffinityCase{"another field matches nothing",
                     {},
                     {},
                     R"([{"matchFields":[{"key":"metadata.uid","operator":"In","values":["node-1"]}]}])",
                     false}),
    [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace stoker::scheduler
