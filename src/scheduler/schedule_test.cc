#include "scheduler/schedule.h"

#include <random>
#include <set>

#include "scheduler/scheduler_test_util.h"
#include "scheduler/why.h"

namespace stoker::scheduler {
namespace {

api::ResourceList gpus(int n) { return {{"nvidia.com/gpu", std::to_string(n)}}; }
api::ResourceList box(int n) { return {{"cpu", "64"}, {"memory", "256Gi"}, {"nvidia.com/gpu", std::to_string(n)}}; }

// ---- gangs
// -----------------------------------------------------------------------------------------------------------

TEST(Schedule, aGangIsPlacedWholeWithItsCards) {
  World w;
  w.addNode("a", box(4));
  w.addNode("b", box(4));
  w.put(w.gang("g", {World::role("master", 1, gpus(2)), World::role("worker", 2, gpus(3))}));
  w.pass();
  EXPECT_EQ(w.places("g"), "") << "master 2 + workers 3 + 3 do not fit on 4 + 4";
  EXPECT_EQ(w.gang("g").status.phase, "Pending");

  w.addNode("c", box(2));
  w.pass(at(200));
  EXPECT_EQ(w.places("g"),
            "master-0@c[nvidia.com/gpu=0,1] worker-0@a[nvidia.com/gpu=0,1,2] worker-1@b[nvidia.com/gpu=0,1,2]");
  const api::GangStatus& status = w.gang("g").status;
  EXPECT_EQ(status.phase, "Placed");
  EXPECT_EQ(status.epoch, 1);
  EXPECT_EQ(status.verdict.reason, "Placed");
  EXPECT_EQ(status.verdict.message, "3 pods on 3 nodes");
  EXPECT_EQ(status.placement[1].pod, "g-worker-0");
  EXPECT_TRUE(w.pass(at(300)).gangs.empty()) << "settled";
}

TEST(Schedule, nothingIsHeldForWhoWaitsAndSmallerOnesPass) {
  World w;
  w.addNode("a", box(4));
  w.put(w.gang("big", {World::role("w", 2, gpus(4))}, 0));
  w.put(w.gang("small", {World::role("w", 1, gpus(4))}, 1));
  w.pass();
  EXPECT_EQ(w.gang("big").status.phase, "Pending");
  EXPECT_EQ(w.places("small"), "w-0@a[nvidia.com/gpu=0,1,2,3]");
  EXPECT_EQ(w.gang("big").status.verdict.message,
            "the nodes hold at most 1 of 2 such pods even when nothing else runs (each wants 4 nvidia.com/gpu)");
}

TEST(Schedule, priorityThenAgeThenName) {
  World w;
  w.addNode("a", box(2));
  w.put(w.gang("old", {World::role("w", 1, gpus(1))}, 0, 0));
  w.put(w.gang("urgent", {World::role("w", 1, gpus(1))}, 9, 5));
  w.put(w.gang("x", {World::role("w", 1, gpus(1))}, 5, 0));
  w.put(w.gang("b", {World::role("w", 1, gpus(1))}, 5, 0));
  w.pass();
  EXPECT_EQ(w.places("urgent"), "w-0@a[nvidia.com/gpu=0]");
  EXPECT_EQ(w.places("old"), "w-0@a[nvidia.com/gpu=1]");
  auto finish = [&](const std::string& name) {
    api::Gang gang = w.gang(name);
    gang.spec.finished = true;
    w.put(gang);
  };
  finish("urgent");
  w.pass();
  EXPECT_EQ(w.gang("urgent").status.phase, "Finished");
  EXPECT_EQ(w.places("b"), "w-0@a[nvidia.com/gpu=0]");
  EXPECT_EQ(w.places("x"), "");
}

TEST(Schedule, lonePodsStandInTheSameLine) {
  World w;
  w.addNode("a", box(2));
  w.put(World::pod("first", gpus(1), 0));
  w.put(w.gang("second", {World::role("w", 1, gpus(1))}, 1));
  w.put(World::pod("third", gpus(1), 2));
  Decisions decisions = w.pass();
  EXPECT_EQ(w.pod("first").spec.nodeName, "a");
  EXPECT_EQ(w.pod("first").metadata.annotation(api::kCardsAnnotation), "nvidia.com/gpu=0");
  EXPECT_EQ(w.places("second"), "w-0@a[nvidia.com/gpu=1]");
  EXPECT_EQ(w.pod("third").spec.nodeName, "");
  EXPECT_EQ(w.pod("third").status.conditions[0].message,
            "0/1 nodes are available: 1 Insufficient nvidia.com/gpu (has 2, free 0, wants 1).");
  EXPECT_TRUE(w.pass().pods.empty()) << "said once";
}

TEST(Schedule, onlyPodsThatAreOursAndWantANode) {
  auto placed = [](auto change, bool embedded = true) {
    World w;
    w.addNode("a", box(1));
    api::Pod pod = World::pod("p", {});
    change(pod);
    w.put(pod);
    Input input = buildInput(w.view, {.embedded = embedded});
    return schedule(*input.snapshot, input.queues, at(0)).pods.size() == 1;
  };
  EXPECT_TRUE(placed([](api::Pod&) {}));
  EXPECT_TRUE(placed([](api::Pod& p) { p.spec.schedulerName = ""; }));
  EXPECT_TRUE(placed([](api::Pod& p) { p.spec.schedulerName = "stoker-scheduler"; }, false));
  EXPECT_FALSE(placed([](api::Pod&) {}, false)) << "another scheduler's";
  EXPECT_FALSE(placed([](api::Pod& p) { p.spec.schedulerName = "volcano"; }));
  EXPECT_FALSE(placed([](api::Pod& p) { p.spec.schedulingGates.push_back({"later"}); }));
  EXPECT_FALSE(placed([](api::Pod& p) { p.status.phase = "Failed"; }));
  EXPECT_FALSE(placed([](api::Pod& p) { p.metadata.deletionTimestamp = at(1); }));
  EXPECT_FALSE(placed([](api::Pod& p) { p.metadata.labels[api::kGangLabel] = "g"; }));
}

TEST(Schedule, elasticGangsTakeTheirMinimumTogetherAndTheRestAsItComes) {
  World w;
  w.addNode("a", box(4));
  w.put(w.gang("e", {World::role("worker", 6, gpus(1), 2)}));
  w.pass();
  EXPECT_EQ(w.gang("e").status.placement.size(), 4u);
  EXPECT_EQ(w.gang("e").status.phase, "Placed");
  EXPECT_EQ(w.gang("e").status.verdict.message,
            "4 of 6 pods on 1 node, 2 needed; worker: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu (has 4, "
            "free 0, wants 1).");
  EXPECT_TRUE(w.pass().gangs.empty());
  w.addNode("b", box(4));
  w.pass();
  EXPECT_EQ(w.gang("e").status.placement.size(), 6u);
  EXPECT_EQ(w.gang("e").status.epoch, 2);
  EXPECT_EQ(w.gang("e").status.verdict.message, "6 pods on 2 nodes");
}

TEST(Schedule, scalingDropsSurplusAndPlacesNewIndices) {
  World w;
  w.addNode("a", box(4));
  w.put(w.gang("g", {World::role("w", 3, gpus(1))}));
  w.pass();
  api::Gang gang = w.gang("g");
  gang.spec.roles[0].count = 1;
  w.put(gang);
  w.pass();
  EXPECT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0]");
  EXPECT_EQ(w.gang("g").status.epoch, 1) << "nothing was placed anew";
  gang = w.gang("g");
  gang.spec.roles[0].count = 2;
  w.put(gang);
  w.pass();
  EXPECT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0] w-1@a[nvidia.com/gpu=1]");
  EXPECT_EQ(w.gang("g").status.epoch, 2);
}

TEST(Schedule, surplusPodsCountUntilTheyAreGone) {
  World w;
  w.addNode("a", box(2));
  w.put(w.gang("g", {World::role("w", 2, gpus(1))}));
  w.pass();
  api::Gang gang = w.gang("g");
  for (const auto& entry : gang.status.placement) w.put(World::podOf(gang, entry));
  gang.spec.roles[0].count = 1;
  w.put(gang);
  w.put(w.gang("next", {World::role("w", 1, gpus(1))}));
  w.pass();
  EXPECT_EQ(w.places("next"), "") << "g-w-1 still runs";
  w.erase<api::Pod>("default", "g-w-1");
  w.pass();
  EXPECT_EQ(w.places("next"), "w-0@a[nvidia.com/gpu=1]");
}

TEST(Schedule, suspendedGangsGiveBackTheirPlacesAndTheirPodsCountWhileTheyStop) {
  World w;
  w.addNode("a", box(2));
  w.put(w.gang("g", {World::role("w", 1, gpus(2))}));
  w.pass();
  api::Gang gang = w.gang("g");
  w.put(World::podOf(gang, gang.status.placement[0]));
  gang.spec.suspended = true;
  w.put(gang);
  w.put(w.gang("next", {World::role("w", 1, gpus(2))}));
  w.pass();
  EXPECT_EQ(w.gang("g").status.verdict.reason, "Suspended");
  EXPECT_EQ(w.places("g"), "");
  EXPECT_EQ(w.places("next"), "") << "the pod of g is still there";
  w.erase<api::Pod>("default", "g-w-0");
  w.pass();
  EXPECT_EQ(w.places("next"), "w-0@a[nvidia.com/gpu=0,1]");
}

TEST(Schedule, succeededMembersGiveBackAndAreNotMadeAgain) {
  World w;
  w.addNode("a", box(2));
  w.put(w.gang("g", {World::role("w", 2, gpus(1))}));
  w.pass();
  api::Gang gang = w.gang("g");
  w.put(World::podOf(gang, gang.status.placement[0], "Succeeded"));
  w.put(World::podOf(gang, gang.status.placement[1], "Failed"));  // its place stays: the job will make it again
  w.put(w.gang("n1", {World::role("w", 1, gpus(1))}, 1));
  w.put(w.gang("n2", {World::role("w", 1, gpus(1))}, 2));
  w.pass();
  EXPECT_EQ(w.places("n1"), "") << "given back on record first";
  EXPECT_EQ(w.places("g"), "w-0@ w-1@a[nvidia.com/gpu=1]");
  w.pass();
  EXPECT_EQ(w.places("n1"), "w-0@a[nvidia.com/gpu=0]");
  EXPECT_EQ(w.places("n2"), "");
  EXPECT_EQ(w.gang("g").status.epoch, 1);
  w.erase<api::Pod>("default", "g-w-0");  // somebody wants it made again: it has no claim to its old place
  w.pass();
  EXPECT_EQ(w.places("g"), "w-1@a[nvidia.com/gpu=1]");
  EXPECT_EQ(w.gang("g").status.phase, "Pending");
}

TEST(Schedule, aResumeThatOvertakesTheSuspendKeepsItsPlace) {
  World w;
  w.addNode("a", box(2));
  w.put(w.gang("g", {World::role("w", 1, gpus(2))}));
  w.pass();
  api::Gang gang = w.gang("g");
  gang.spec.suspended = true;
  w.put(gang);
  w.put(w.gang("next", {World::role("w", 1, gpus(2))}));
  Input input = buildInput(w.view, {});
  Decisions decisions = schedule(*input.snapshot, input.queues, at(0));
  for (const GangDecision& d : decisions.gangs) EXPECT_EQ(d.placedNow, 0) << "not before the record is written";
}

TEST(Schedule, deletedGangsKeepTheirPlacesUntilTheyAreGone) {
  World w;
  w.addNode("a", box(1));
  w.put(w.gang("g", {World::role("w", 1, gpus(1))}));
  w.pass();
  api::Gang gang = w.gang("g");
  gang.metadata.deletionTimestamp = at(5);
  w.put(gang);
  w.put(w.gang("next", {World::role("w", 1, gpus(1))}));
  w.pass();
  EXPECT_EQ(w.places("next"), "");
  w.erase<api::Gang>("default", "g");
  w.pass();
  EXPECT_EQ(w.places("next"), "w-0@a[nvidia.com/gpu=0]");
}

// ---- members that lose their place
// -----------------------------------------------------------------------------------

TEST(Schedule, aMemberOfALostNodeIsPlacedAnewOnceItsPodIsGone) {
  World w;
  w.addNode("a", box(2));
  w.addNode("b", box(2));
  w.put(w.gang("g", {World::role("w", 2, gpus(2))}));
  w.pass();
  ASSERT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0,1] w-1@b[nvidia.com/gpu=0,1]");
  api::Gang gang = w.gang("g");
  for (const auto& entry : gang.status.placement) w.put(World::podOf(gang, entry));
  w.addNode("c", box(2));
  api::Node down = World::node("b", box(2));
  down.status.conditions[0].status = "Unknown";
  w.put(down);
  EXPECT_TRUE(w.pass().gangs.empty()) << "its pod may still run";
  w.erase<api::Pod>("default", "g-w-1");
  w.pass();
  EXPECT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0,1] w-1@c[nvidia.com/gpu=0,1]");
  EXPECT_EQ(w.gang("g").status.epoch, 2);
}

TEST(Schedule, membersThatRemainKeepTheirPlacesWhileAReplacementWaits) {
  World w;
  w.addNode("a", box(2));
  w.addNode("b", box(2));
  w.put(w.gang("g", {World::role("w", 2, gpus(2))}));
  w.pass();
  w.erase<api::Node>("", "b");
  w.pass();
  EXPECT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0,1]");
  EXPECT_EQ(w.gang("g").status.phase, "Pending");
  EXPECT_EQ(w.gang("g").status.verdict.message,
            "the nodes hold at most 1 of 2 such pods even when nothing else runs (each wants 2 nvidia.com/gpu)");
  w.addNode("c", box(2));
  w.pass();
  EXPECT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0,1] w-1@c[nvidia.com/gpu=0,1]");
}

TEST(Schedule, aRefusedPodGoesElsewhere) {
  World w;
  w.addNode("a", box(2));
  w.addNode("b", box(2));
  w.put(w.gang("g", {World::role("w", 1, gpus(1))}));
  w.pass();
  ASSERT_EQ(w.places("g"), "w-0@a[nvidia.com/gpu=0]");
  api::Gang gang = w.gang("g");
  api::Pod pod = World::podOf(gang, gang.status.placement[0], "Failed");
  pod.status.reason = "OutOfnvidia.com/gpu";
  w.put(pod);
  w.pass();
  EXPECT_EQ(w.places("g"), "w-0@b[nvidia.com/gpu=0]");
  EXPECT_TRUE(w.pass().gangs.empty()) << "the old pod says nothing about the new place";
  w.erase<api::Node>("", "b");
  w.pass();
  EXPECT_EQ(w.places("g"), "");
  EXPECT_EQ(w.gang("g").status.verdict.message,
            "0/1 nodes are available: 1 node(s) refused the pod (OutOfnvidia.com/gpu).");
}

// ---- verdicts
// --------------------------------------------------------------------------------------------------------

TEST(Schedule, verdictsOfGangsCountTheirPods) {
  World w;
  w.addNode("a", box(8));
  w.addNode("b", box(8));
  w.put(w.gang("first", {World::role("w", 1, gpus(6))}, 0));
  w.put(w.gang("g", {World::role("master", 1, gpus(1)), World::role("worker", 3, gpus(4))}, 1));
  w.put(w.gang("impossible", {World::role("w", 2, gpus(16))}, 2));
  w.pass(at(10));
  EXPECT_EQ(w.gang("g").status.verdict.message,
            "2 of 4 pods fit; worker: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu (has 8, free at most 2, "
            "wants 4).");
  EXPECT_EQ(w.gang("impossible").status.verdict.message, "no node has 16 nvidia.com/gpu; the largest has 8");
  EXPECT_EQ(w.gang("g").status.verdict.since, at(10));

  // Numbers move, the cause stays: nothing is written.
  w.put(World::pod("small", gpus(1), 3));
  Decisions decisions = w.pass(at(20));
  EXPECT_EQ(decisions.gangs.size(), 0u);
  EXPECT_EQ(w.gang("g").status.verdict.since, at(10));
  // Another cause: written, with its own time.
  w.addNode("c", box(1));
  w.pass(at(30));
  EXPECT_EQ(w.gang("g").status.verdict.since, at(30));
}

TEST(Why, saysPlaceInLineReasonAndRoles) {
  World w;
  w.addNode("a", box(8));
  w.put(w.gang("first", {World::role("w", 1, gpus(8))}, 0));
  w.put(w.gang("second", {World::role("w", 1, gpus(1))}, 1));
  w.put(w.gang("third", {World::role("w", 4, gpus(2), 2)}, 2, 0));
  w.pass(at(100));
  std::vector<api::Gang> all{w.gang("first"), w.gang("second"), w.gang("third")};
  EXPECT_FALSE(queuePlace(all[0], all));
  auto place = queuePlace(all[2], all);
  ASSERT_TRUE(place);
  EXPECT_EQ(place->position, 2);
  EXPECT_EQ(place->waiting, 2);
  EXPECT_EQ(whyText(all[2], at(160), place),
            "Gang:     default/third\n"
            "Phase:    Pending\n"
            "Reason:   Unschedulable for 60s (since " +
                formatTime(at(100)) +
                ")\n"
                "Because:  0 of 2 pods fit; 0/1 nodes are available: 1 Insufficient nvidia.com/gpu (has 8, free 0, "
                "wants 2).\n"
                "Queue:    2 of 2 waiting, priority 0\n"
                "Role:     w: 0 of 4 placed (at least 2); each asks for nvidia.com/gpu=2\n");
  EXPECT_NE(whyText(all[0], at(160)).find("Place:    first-w-0 on a, cards nvidia.com/gpu=0,1,2,3,4,5,6,7\n"),
            std::string::npos);
  w.put(World::pod("p", gpus(1), 3));
  EXPECT_NE(whyText(w.pod("p"), at(160)).find("has not looked at it yet"), std::string::npos);
  w.pass(at(160));
  EXPECT_NE(whyText(w.pod("p"), at(170)).find("Because:  0/1 nodes are available"), std::string::npos);
}

// ---- invariants over random histories
// --------------------------------------------------------------------------------

/// What the objects say is held, counted without any of the scheduler's code; fails on a card held twice or a node
/// overfull.
void checkCapacity(const World& w) {
  std::map<std::string, std::map<std::string, int64_t>> used;
  std::map<std::string, std::set<std::string>> cards;
  auto hold = [&](const std::string& node, const api::ResourceList& requests, const std::string& text,
                  const std::string& who) {
    for (const auto& [name, quantity] : requests) used[node][name] += std::stoll(quantity);
    ++used[node]["pods"];
    auto parsed = device::parseCards(text);
    ASSERT_TRUE(parsed.ok());
    size_t count = 0;
    for (const auto& kind : *parsed)
      for (int32_t index : kind.indices) {
        ++count;
        ASSERT_TRUE(cards[node].insert(kind.resource + "#" + std::to_string(index)).second)
            << "card twice: " << who << " " << text;
      }
    auto gpu = requests.find("nvidia.com/gpu");
    ASSERT_EQ(count, gpu == requests.end() ? 0u : static_cast<size_t>(std::stoll(gpu->second))) << who;
  };
  std::set<std::string> covered;
  for (const auto& entry : w.view.of<api::Gang>().all()) {
    const api::Gang& gang = entry->object;
    if (gang.spec.finished) continue;
    for (const auto& p : gang.status.placement) {
      const api::Pod* pod = w.view.of<api::Pod>().get("default", p.pod);
      if (p.node.empty()) continue;
      if (pod && pod->spec.nodeName == p.node) covered.insert(p.pod);
      for (const auto& role : gang.spec.roles)
        if (role.name == p.role) hold(p.node, role.requests, p.cards, p.pod);
    }
  }
  for (const auto& entry : w.view.of<api::Pod>().all()) {
    const api::Pod& pod = entry->object;
    if (pod.spec.nodeName.empty() || pod.finished() || covered.contains(pod.metadata.name)) continue;
    hold(pod.spec.nodeName, pod.spec.containers[0].resources.requests, pod.metadata.annotation(api::kCardsAnnotation),
         pod.metadata.name);
  }
  for (const auto& [node, amounts] : used) {
    const api::Node* found = w.view.of<api::Node>().get("", node);
    if (!found) continue;
    for (const auto& [name, amount] : amounts)
      ASSERT_LE(amount, std::stoll(found->status.allocatable.at(name))) << node << " " << name;
  }
}

TEST(Schedule, neverOverfullNeverPartialOverManySeeds) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    auto pick = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
    World w;
    for (int i = 0; i < 2 + pick(6); ++i)
      w.addNode("n" + std::to_string(i),
                {{"cpu", "32"}, {"nvidia.com/gpu", std::to_string(1 + pick(8))}, {"pods", "20"}});
    std::set<std::string> everLost;
    int made = 0;
    for (int step = 0; step < 40; ++step) {
      std::vector<std::string> gangs, pods;
      for (const auto& e : w.view.of<api::Gang>().all()) gangs.push_back(e->raw.name);
      for (const auto& e : w.view.of<api::Pod>().all()) pods.push_back(e->raw.name);
      std::string some = gangs.empty() ? "" : gangs[static_cast<size_t>(pick(static_cast<int>(gangs.size())))];
      switch (pick(8)) {
        case 0:
        case 1: {
          int count = 1 + pick(5);
          std::vector<api::GangRole> roles{World::role("w", count,
                                                       {{"cpu", "1"}, {"nvidia.com/gpu", std::to_string(1 + pick(4))}},
                                                       pick(2) ? 1 + pick(count) : 0)};
          if (pick(2)) roles.insert(roles.begin(), World::role("m", 1, {{"cpu", "4"}}));
          w.put(w.gang("g" + std::to_string(made++), std::move(roles), step, pick(3)));
          break;
        }
        case 2:
          w.put(World::pod("p" + std::to_string(made++), pick(2) ? api::ResourceList{{"cpu", "2"}} : gpus(1 + pick(2)),
                           step));
          break;
        case 3:
          if (!some.empty()) {
            api::Gang gang = w.gang(some);
            if (pick(2))
              gang.spec.finished = true;
            else
              gang.spec.suspended = !gang.spec.suspended;
            w.put(gang);
          }
          break;
        case 4:  // a front-end makes missing pods
          if (!some.empty() && !w.gang(some).spec.finished && !w.gang(some).spec.suspended)
            for (const auto& p : w.gang(some).status.placement)
              if (!p.node.empty() && !w.view.of<api::Pod>().get("default", p.pod)) w.put(World::podOf(w.gang(some), p));
          break;
        case 5:
          if (!pods.empty()) {
            api::Pod pod = w.pod(pods[static_cast<size_t>(pick(static_cast<int>(pods.size())))]);
            if (pod.spec.nodeName.empty()) break;
            pod.status.phase = pick(2) ? "Succeeded" : "Failed";
            if (pod.status.phase == "Failed" && pick(2))
              pod.status.reason = "OutOfcpu", everLost.insert(pod.metadata.label(api::kGangLabel));
            w.put(pod);
          }
          break;
        case 6:
          if (!pods.empty()) {
            std::string name = pods[static_cast<size_t>(pick(static_cast<int>(pods.size())))];
            everLost.insert(w.pod(name).metadata.label(api::kGangLabel));
            w.erase<api::Pod>("default", name);
          }
          break;
        default: {
          api::Node node = w.view.of<api::Node>().all().front()->object;
          bool ready = isReady(node);
          node.status.conditions[0].status = ready ? "False" : "True";
          w.put(node);
          for (const auto& name : gangs) everLost.insert(name);
        }
      }
      int passes = 0;
      for (bool settled = false; !settled; ++passes) {
        ASSERT_LT(passes, 6) << "passes that find nothing new must write nothing";
        Decisions decisions = w.pass(at(step));
        settled = decisions.gangs.empty() && decisions.pods.empty();
        checkCapacity(w);
        if (HasFatalFailure()) return;
      }
      for (const auto& e : w.view.of<api::Gang>().all()) {
        const api::Gang& gang = e->object;
        if (gang.spec.suspended || gang.spec.finished || everLost.contains(e->raw.name) ||
            gang.status.placement.empty())
          continue;
        for (const auto& role : gang.spec.roles) {
          auto have = std::count_if(gang.status.placement.begin(), gang.status.placement.end(),
                                    [&](const auto& p) { return p.role == role.name; });
          EXPECT_GE(have, role.minCount > 0 ? role.minCount : role.count) << e->raw.name << " is placed in part";
        }
      }
    }
  }
}

}  // namespace
}  // namespace stoker::scheduler
