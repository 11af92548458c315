#include "scheduler/placement/placer.h"

#include <random>

#include "scheduler/scheduler_test_util.h"

namespace stoker::scheduler {
namespace {

struct Bench {
  Snapshot snapshot;
  Demands demands{snapshot.resources()};
  void add(api::Node node) { snapshot.addNode(std::make_shared<api::Node>(std::move(node))); }
  DemandId want(api::ResourceList requests) { return demands.of(World::role("r", 1, std::move(requests))); }
};

TEST(Demands, podsAndRolesOfOneShapeAreOneClass) {
  Bench b;
  DemandId role = b.want({{"cpu", "1"}, {"memory", "1Gi"}});
  EXPECT_EQ(b.demands.of(World::pod("p", {{"cpu", "1000m"}, {"memory", "1024Mi"}}).spec), role);
  EXPECT_NE(b.demands.of(World::pod("p", {{"cpu", "2"}, {"memory", "1Gi"}}).spec), role);
  api::Pod picky = World::pod("p", {{"cpu", "1"}, {"memory", "1Gi"}});
  picky.spec.nodeSelector["zone"] = "a";
  EXPECT_NE(b.demands.of(picky.spec), role);
  api::Pod soft = World::pod("p", {{"cpu", "1"}, {"memory", "1Gi"}});
  soft.spec.affinity = *json::parseDoc(R"({"nodeAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[]}})");
  EXPECT_EQ(b.demands.of(soft.spec), role);
}

TEST(Snapshot, amountsAreExactAndUndone) {
  Bench b;
  b.add(World::node("a", {{"cpu", "4"}, {"nvidia.com/gpu", "4"}, {"pods", "2"}}));
  DemandId want = b.want({{"cpu", "1500m"}, {"nvidia.com/gpu", "2"}});
  const Amounts& amounts = b.demands[want].amounts;
  auto gpu = b.snapshot.resources().id("nvidia.com/gpu");
  EXPECT_TRUE(b.snapshot.fits(0, amounts));
  auto mark = b.snapshot.mark();
  EXPECT_EQ(device::formatCards(b.snapshot.place(0, amounts)), "nvidia.com/gpu=0,1");
  EXPECT_EQ(device::formatCards(b.snapshot.place(0, amounts)), "nvidia.com/gpu=2,3");
  EXPECT_FALSE(b.snapshot.fits(0, amounts));
  EXPECT_EQ(b.snapshot.free(0, kCpu), 1000);
  EXPECT_EQ(b.snapshot.free(0, kPods), 0);
  EXPECT_EQ(b.snapshot.free(0, gpu), 0);
  b.snapshot.rollback(mark);
  EXPECT_EQ(b.snapshot.free(0, kCpu), 4000);
  EXPECT_EQ(b.snapshot.cardsUsed(0), 0);
  EXPECT_EQ(device::formatCards(b.snapshot.place(0, amounts)), "nvidia.com/gpu=0,1");
}

TEST(Snapshot, holdersWithoutCardsAndDoubleHoldersNeverFreeACard) {
  Bench b;
  b.add(World::node("a", {{"cpu", "64"}, {"nvidia.com/gpu", "8"}}));
  auto gpu = b.snapshot.resources().id("nvidia.com/gpu");
  Amounts two = b.demands[b.want({{"nvidia.com/gpu", "2"}})].amounts;
  b.snapshot.hold(0, two, "nvidia.com/gpu=0,1");
  b.snapshot.hold(0, two, "");                      // somebody else's pod: two unknown cards
  b.snapshot.hold(0, two, "nvidia.com/gpu=1,2,3");  // claims a held one, and more than it asked for
  b.snapshot.seal();
  EXPECT_EQ(b.snapshot.free(0, gpu), 2);
  EXPECT_EQ(device::formatCards(b.snapshot.place(0, two)), "nvidia.com/gpu=4,5");
}

TEST(Snapshot, hugeQuantitiesAreCountedWithoutIndices) {
  Bench b;
  b.add(World::node("a", {{"example.com/bytes", "8Ei"}}));
  DemandId want = b.want({{"example.com/bytes", "1Gi"}});
  EXPECT_TRUE(b.snapshot.fits(0, b.demands[want].amounts));
  EXPECT_TRUE(b.snapshot.place(0, b.demands[want].amounts).empty());
  EXPECT_FALSE(b.snapshot.fits(0, b.demands[b.want({{"example.com/bytes", "7Ei"}})].amounts))
      << "above the bound nothing fits";
}

TEST(Placer, packsAndKeepsCardsForWhoNeedsThem) {
  Bench b;
  b.add(World::node("a", {{"cpu", "16"}, {"memory", "64Gi"}, {"nvidia.com/gpu", "8"}}));
  b.add(World::node("b", {{"cpu", "16"}, {"memory", "64Gi"}, {"nvidia.com/gpu", "8"}}));
  b.add(World::node("c", {{"cpu", "16"}, {"memory", "64Gi"}}));
  DemandId cpu = b.want({{"cpu", "4"}}), one = b.want({{"cpu", "1"}, {"nvidia.com/gpu", "1"}}),
           eight = b.want({{"nvidia.com/gpu", "8"}});
  Placer placer(b.snapshot, b.demands);
  EXPECT_EQ(placer.best(cpu), 2u) << "no cards wanted: the node without cards";
  EXPECT_EQ(placer.best(one), 0u) << "equal: the smaller name";
  b.snapshot.place(1, b.demands[one].amounts);
  EXPECT_EQ(placer.best(one), 1u) << "where cards are in use already";
  EXPECT_EQ(placer.best(eight), 0u);
  std::vector<NodeId> excluded{1};
  EXPECT_EQ(placer.best(one, excluded), 0u);
  for (int i = 0; i < 4; ++i) b.snapshot.place(2, b.demands[cpu].amounts);
  EXPECT_EQ(placer.best(cpu), 1u) << "c is full: the node whose cards are used anyway";
}

// Whatever happens in between, the cached answer is the one of a scan of all nodes, and fits agrees with plain sums.
TEST(Placer, agreesWithANaiveScanOverManySeeds) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    std::mt19937_64 random(seed);
    auto pick = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
    Bench b;
    int nodes = 1 + pick(200);
    for (int i = 0; i < nodes; ++i) {
      api::Node node = World::node(fmt::format("n{:04}", i), {{"cpu", std::to_string(1 + pick(32))},
                                                              {"memory", std::to_string(1 + pick(64)) + "Gi"},
                                                              {"pods", std::to_string(1 + pick(20))}});
      if (pick(2)) node.status.allocatable["nvidia.com/gpu"] = std::to_string(pick(9));
      if (pick(5) == 0) node.spec.unschedulable = true;
      node.metadata.labels["zone"] = std::to_string(pick(3));
      b.add(std::move(node));
    }
    std::vector<DemandId> wants;
    for (int i = 0; i < 6; ++i) {
      api::GangRole role =
          World::role("r", 1, {{"cpu", std::to_string(1 + pick(6))}, {"memory", std::to_string(pick(8)) + "Gi"}});
      if (pick(2)) role.requests["nvidia.com/gpu"] = std::to_string(1 + pick(4));
      if (pick(3) == 0) role.nodeSelector["zone"] = std::to_string(pick(3));
      wants.push_back(b.demands.of(role));
    }
    b.snapshot.seal();
    Placer placer(b.snapshot, b.demands);
    std::vector<std::vector<std::pair<NodeId, DemandId>>> marks;  // what was placed since each mark
    std::vector<Snapshot::Mark> undo;
    std::vector<std::pair<NodeId, DemandId>> placed;
    for (int step = 0; step < 400; ++step) {
      DemandId want = wants[static_cast<size_t>(pick(6))];
      std::optional<NodeId> naive;
      int32_t best = kUnfit;
      for (NodeId n = 0; n < b.snapshot.nodeCount(); ++n) {
        std::map<ResourceId, int64_t> used;
        for (auto [where, what] : placed)
          if (where == n)
            for (const Amount& a : b.demands[what].amounts) used[a.resource] += a.value;
        bool fits = b.demands.constraint(b.demands[want].constraint).check(b.snapshot.node(n)).verdict ==
                    Constraint::Verdict::Ok;
        for (const Amount& a : b.demands[want].amounts)
          fits = fits && used[a.resource] + a.value <= b.snapshot.allocatable(n, a.resource);
        int32_t score = fits ? packScore(b.snapshot, n, b.demands[want]) : kUnfit;
        ASSERT_EQ(score, placer.scoreOf(n, want));
        if (score > best) {
          best = score;
          naive = n;
        }
      }
      auto got = placer.best(want);
      ASSERT_EQ(got, naive) << "seed " << seed << " step " << step;
      if (got && pick(4)) {
        b.snapshot.place(*got, b.demands[want].amounts);
        placed.emplace_back(*got, want);
      }
      if (pick(10) == 0) {
        undo.push_back(b.snapshot.mark());
        marks.push_back(placed);
      } else if (pick(10) == 0 && !undo.empty()) {
        b.snapshot.rollback(undo.back());
        placed = marks.back();
        undo.pop_back();
        marks.pop_back();
      }
    }
  }
}

}  // namespace
}  // namespace stoker::scheduler
