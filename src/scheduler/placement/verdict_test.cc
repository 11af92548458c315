#include "scheduler/placement/verdict.h"

#include "scheduler/scheduler_test_util.h"

namespace stoker::scheduler {
namespace {

struct Bench {
  Snapshot snapshot;
  Demands demands{snapshot.resources()};
  Bench(std::vector<api::Node> nodes) {
    for (api::Node& node : nodes) snapshot.addNode(std::make_shared<api::Node>(std::move(node)));
  }
  std::string why(api::GangRole role, const std::vector<Refusal>& refused = {}) {
    DemandId id = demands.of(role);
    Placer placer(snapshot, demands);
    return Diagnoser(snapshot, demands, placer).whyNoNode(id, refused);
  }
  void use(NodeId node, api::ResourceList requests) {
    snapshot.place(node, demands[demands.of(World::role("u", 1, requests))].amounts);
  }
};

api::GangRole wants(api::ResourceList requests) { return World::role("worker", 1, std::move(requests)); }

TEST(Verdict, readsAsUpstreamsWithNumbers) {
  api::Node tainted = World::node("b", {{"cpu", "8"}, {"nvidia.com/gpu", "8"}});
  tainted.spec.taints.push_back({"key", "value", "NoSchedule", {}});
  Bench b({World::node("a", {{"cpu", "8"}, {"nvidia.com/gpu", "8"}}), tainted});
  b.use(0, {{"nvidia.com/gpu", "5"}});
  EXPECT_EQ(b.why(wants({{"nvidia.com/gpu", "4"}})),
            "0/2 nodes are available: 1 Insufficient nvidia.com/gpu (has 8, free 3, wants 4), 1 node(s) had "
            "untolerated taint {key: value}.");
}

TEST(Verdict, whatCanNeverBeMetComesFirst) {
  Bench b({World::node("a", {{"cpu", "8"}, {"memory", "64Gi"}, {"nvidia.com/gpu", "8"}})});
  EXPECT_EQ(b.why(wants({{"nvidia.com/gpu", "16"}})), "no node has 16 nvidia.com/gpu; the largest has 8");
  EXPECT_EQ(b.why(wants({{"memory", "100Gi"}})), "no node has 100Gi memory; the largest has 64Gi");
  EXPECT_EQ(b.why(wants({{"cpu", "8500m"}})), "no node has 8500m cpu; the largest has 8");
  EXPECT_EQ(b.why(wants({{"huawei.com/Ascend910", "1"}})), "no node has any huawei.com/Ascend910");
  EXPECT_EQ(Bench({}).why(wants({{"cpu", "1"}})), "no nodes available to schedule pods");
}

TEST(Verdict, theLargestOfThoseItMayUse) {
  api::Node big = World::node("a", {{"nvidia.com/gpu", "8"}});
  api::Node small = World::node("b", {{"nvidia.com/gpu", "2"}});
  small.metadata.labels["pool"] = "dev";
  Bench b({big, small});
  api::GangRole role = wants({{"nvidia.com/gpu", "4"}});
  role.nodeSelector["pool"] = "dev";
  EXPECT_EQ(b.why(role), "no node that the pod may use has 4 nvidia.com/gpu; the largest of them has 2");
  role.nodeSelector["pool"] = "none";
  EXPECT_EQ(b.why(role), "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.");
}

TEST(Verdict, everyReasonIsCounted) {
  api::Node down = World::node("b", {{"cpu", "8"}});
  down.status.conditions[0].status = "Unknown";
  api::Node cordoned = World::node("c", {{"cpu", "8"}});
  cordoned.spec.unschedulable = true;
  Bench b({World::node("a", {{"cpu", "8"}, {"memory", "8Gi"}, {"pods", "1"}}), down, cordoned,
           World::node("d", {{"cpu", "16"}, {"memory", "8Gi"}}), World::node("e", {{"cpu", "8"}, {"memory", "8Gi"}})});
  b.use(0, {{"cpu", "7"}});
  b.use(3, {{"cpu", "14"}, {"memory", "8Gi"}});
  EXPECT_EQ(b.why(wants({{"cpu", "4"}, {"memory", "1Gi"}}), {{4, "OutOfcpu"}}),
            "0/5 nodes are available: 2 Insufficient cpu (has 16, free at most 2, wants 4), 1 Insufficient memory (has "
            "8Gi, free 0, wants 1Gi), "
            "1 Too many pods (has 1, free 0, wants 1), 1 node(s) refused the pod (OutOfcpu), 1 node(s) were not ready, "
            "1 node(s) were unschedulable.");
}

TEST(Verdict, causeIsWhatStaysWhileNumbersMove) {
  auto same = [](const char* a, const char* b) { return sameCause(a, b); };
  EXPECT_TRUE(same("0/3 nodes are available: 3 Insufficient nvidia.com/gpu (has 8, free at most 3, wants 4).",
                   "0/3 nodes are available: 2 Insufficient nvidia.com/gpu (has 8, free 1, wants 4)."))
      << "how many nodes, and what is free on them";
  EXPECT_TRUE(same("1 of 4 pods fit; worker: 0/1 nodes are available: 1 Insufficient cpu (has 8, free 500m, wants 4).",
                   "3 of 4 pods fit; worker: 0/1 nodes are available: 1 Insufficient cpu (has 8, free 2, wants 4)."));
  EXPECT_FALSE(same("0/3 nodes are available: 3 Insufficient cpu (has 8, free 3, wants 4).",
                    "0/4 nodes are available: 3 Insufficient cpu (has 8, free 3, wants 4)."))
      << "a node came";
  EXPECT_FALSE(same("0/3 nodes are available: 3 Insufficient cpu (has 8, free 3, wants 4).",
                    "0/3 nodes are available: 3 Insufficient cpu (has 8, free 3, wants 5)."))
      << "another wish";
  EXPECT_FALSE(
      same("no node has 16 nvidia.com/gpu; the largest has 8", "no node has 16 nvidia.com/gpu; the largest has 12"));
  EXPECT_FALSE(same("1 of 4 pods fit; worker: x", "1 of 5 pods fit; worker: x"));
  EXPECT_TRUE(same("0/2 nodes are available: 1 Insufficient cpu (has 4, free 0, wants 1), 1 node(s) were not ready.",
                   "0/2 nodes are available: 2 Insufficient cpu (has 4, free 0, wants 1), 3 node(s) were not ready."));
}

}  // namespace
}  // namespace stoker::scheduler
