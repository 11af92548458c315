#include "scheduler/controller.h"

#include "scheduler/scheduler_test_util.h"

namespace stoker::scheduler {
namespace {

client::Plan planFor(World& w, Time now = at(100)) { return SchedulerController().reconcile(w.view, {}, now); }

TEST(SchedulerController, aPlacementIsOneGuardedStatusPatch) {
  World w;
  w.addNode("a", {{"cpu", "8"}, {"nvidia.com/gpu", "2"}});
  api::Gang gang = w.gang("train", {World::role("worker", 2, {{"nvidia.com/gpu", "1"}})});
  gang.metadata.ownerReferences.push_back({"kubeflow.org/v1", "PyTorchJob", "train", "job-uid", true, true});
  w.put(gang);
  client::Plan plan = planFor(w);
  ASSERT_EQ(plan.writes.size(), 1u);
  EXPECT_EQ(plan.mode, client::Mode::Each);
  const client::Write& write = plan.writes[0];
  EXPECT_EQ(write.verb, client::Write::Verb::Patch);
  EXPECT_EQ(write.resource.groupResource(), "gangs.stoker.dev");
  EXPECT_EQ(write.subresource, "status");
  EXPECT_EQ(write.namespace_ + "/" + write.name, "default/train");
  EXPECT_EQ(write.resourceVersion, std::to_string(w.revision));
  EXPECT_EQ(
      write.body,
      R"({"status":{"epoch":1,"phase":"Placed","placement":[{"cards":"nvidia.com/gpu=0","node":"a","pod":"train-worker-0","role":"worker"},)"
      R"({"cards":"nvidia.com/gpu=1","index":1,"node":"a","pod":"train-worker-1","role":"worker"}],)"
      R"("verdict":{"message":"2 pods on 1 node","reason":"Placed","since":")" +
          formatTime(at(100)) + R"("}}})");
  ASSERT_EQ(plan.events.size(), 1u);
  EXPECT_EQ(plan.events[0].kind, "PyTorchJob");
  EXPECT_EQ(plan.events[0].uid, "job-uid");
  EXPECT_EQ(plan.events[0].reason, "Scheduled");
}

TEST(SchedulerController, clearedPlacementsAreSaid) {
  World w;
  w.addNode("a", {{"cpu", "8"}});
  w.put(w.gang("g", {World::role("w", 1, {})}));
  w.pass();
  api::Gang gang = w.gang("g");
  gang.spec.suspended = true;
  w.put(gang);
  client::Plan plan = planFor(w);
  ASSERT_EQ(plan.writes.size(), 1u);
  EXPECT_NE(plan.writes[0].body.find(R"("placement":[])"), std::string::npos) << plan.writes[0].body;
  EXPECT_TRUE(plan.events.empty());
}

TEST(SchedulerController, lonePodsAreBoundWithTheirCards) {
  World w;
  w.addNode("a", {{"cpu", "8"}, {"nvidia.com/gpu", "2"}});
  w.put(World::pod("p", {{"nvidia.com/gpu", "2"}}));
  client::Plan plan = planFor(w);
  ASSERT_EQ(plan.writes.size(), 1u);
  const client::Write& write = plan.writes[0];
  EXPECT_EQ(write.verb, client::Write::Verb::Create);
  EXPECT_EQ(write.subresource, "binding");
  EXPECT_EQ(write.resource.resource, "pods");
  EXPECT_EQ(
      write.body,
      R"({"apiVersion":"v1","kind":"Binding","metadata":{"annotations":{"stoker.dev/cards":"nvidia.com/gpu=0,1"},"name":"p",)"
      R"("namespace":"default","uid":"uid-p"},"target":{"apiVersion":"v1","kind":"Node","name":"a"}})");
  ASSERT_EQ(plan.events.size(), 1u);
  EXPECT_EQ(plan.events[0].reason, "Scheduled");
  EXPECT_EQ(plan.events[0].message, "Successfully assigned default/p to a");
}

TEST(SchedulerController, whoWaitsIsToldOnce) {
  World w;
  w.addNode("a", {{"cpu", "1"}});
  w.put(World::pod("p", {{"cpu", "2"}}));
  w.put(w.gang("g", {World::role("w", 1, {{"cpu", "4"}})}));
  client::Plan plan = planFor(w);
  ASSERT_EQ(plan.writes.size(), 2u);
  EXPECT_EQ(plan.writes[0].resource.resource, "gangs");
  EXPECT_EQ(plan.writes[1].patchType, client::PatchType::Strategic);
  EXPECT_EQ(
      plan.writes[1].body,
      R"({"status":{"conditions":[{"lastTransitionTime":")" + formatTime(at(100)) +
          R"(","message":"no node has 2 cpu; the largest has 1","reason":"Unschedulable","status":"False","type":"PodScheduled"}]}})");
  ASSERT_EQ(plan.events.size(), 2u);
  for (const auto& event : plan.events) {
    EXPECT_EQ(event.type, "Warning");
    EXPECT_EQ(event.reason, "FailedScheduling");
  }
  EXPECT_EQ(plan.events[0].kind, "Gang") << "nobody owns it";
  w.pass();
  EXPECT_TRUE(planFor(w).empty());
}

TEST(SchedulerController, aPassIsBoundedAndPlacementsGoFirst) {
  World w;
  w.addNode("a", {{"cpu", "2000"}, {"pods", "5000"}});
  for (int i = 0; i < 1500; ++i) w.put(w.gang(fmt::format("g{:04}", i), {World::role("w", 1, {{"cpu", "1"}})}));
  for (int i = 0; i < 500; ++i) w.put(w.gang(fmt::format("z{:04}", i), {World::role("w", 1, {{"cpu", "5000"}})}));
  client::Plan plan = planFor(w);
  ASSERT_EQ(plan.writes.size(), kMaxPlacedPerPass + kMaxVerdictsPerPass);
  EXPECT_EQ(plan.writes.front().name, "g0000");
  EXPECT_EQ(plan.writes[kMaxPlacedPerPass].name, "z0000");
}

TEST(SchedulerController, lostPlacesAreTold) {
  World w;
  w.addNode("a", {{"cpu", "8"}});
  w.put(w.gang("g", {World::role("w", 1, {{"cpu", "1"}})}));
  w.pass();
  w.erase<api::Node>("", "a");
  w.addNode("b", {{"cpu", "8"}});
  client::Plan plan = planFor(w);
  ASSERT_EQ(plan.events.size(), 2u);
  EXPECT_EQ(plan.events[0].reason, "PlaceLost");
  EXPECT_EQ(plan.events[0].message, "lost the place of g-w-0: node a is gone");
  EXPECT_EQ(plan.events[1].reason, "Scheduled");
}

}  // namespace
}  // namespace stoker::scheduler
