#include "controllers/workloads/node_lifecycle.h"

#include <gtest/gtest.h>

#include "controllers/test_world.h"

namespace stoker::controllers {
namespace {

const Time kStart = *parseTime("2026-01-01T00:00:00Z");

struct NodeLifecycle : testing::Test {
  NodeLifecycle() {
    world.serve<api::Node>();
    world.serve<api::Lease>();
    world.serve<api::Pod>();
    world.create<api::Node>(
        R"({"metadata":{"name":"n"},"spec":{},"status":{"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"2026-01-01T00:00:00Z"}]}})");
    renew("2020-01-01T00:00:00Z");  // its own clock does not matter
    pod("p", "");
  }
  void renew(const std::string& at) {
    std::string body =
        R"({"metadata":{"name":"n","namespace":"kube-node-lease"},"spec":{"renewTime":")" + at + R"("}})";
    if (world.get<api::Lease>("kube-node-lease", "n"))
      world.patch<api::Lease>("kube-node-lease", "n", body);
    else
      world.create<api::Lease>(body);
  }
  void pod(const std::string& name, const std::string& tolerations) {
    world.create<api::Pod>(R"({"metadata":{"name":")" + name +
                           R"(","namespace":"ns"},"spec":{"nodeName":"n","tolerations":[)" + tolerations +
                           R"(]},"status":{"phase":"Running"}})");
  }
  void settle(const client::Key& key = {"", "n"}) {
    for (int i = 0; i < 20; ++i) {
      client::Plan plan = controller->reconcile(world.view, key, world.now);
      wakeAt = plan.wakeAt;
      if (plan.writes.empty()) return;
      world.apply(plan);
    }
    FAIL() << "does not settle";
  }
  const api::Node& node() { return *world.get<api::Node>("", "n"); }
  std::string ready() { return api::findCondition(node().status.conditions, "Ready")->status; }
  TestWorld world{kStart};
  std::unique_ptr<client::Controller> controller = makeNodeLifecycleController({});
  std::optional<Time> wakeAt;
};

TEST_F(NodeLifecycle, aNodeIsLostWhenItsLeaseStandsStill) {
  settle();
  EXPECT_EQ(wakeAt, kStart + 40s);
  world.now += 39s;
  renew("2020-01-01T00:00:10Z");
  settle();
  world.now += 39s;
  settle();
  EXPECT_EQ(ready(), "True");
  world.now += 1s;
  settle();
  EXPECT_EQ(ready(), "Unknown");
  ASSERT_EQ(node().spec.taints.size(), 2u);
  EXPECT_EQ(node().spec.taints[1].key, "node.kubernetes.io/unreachable");
  EXPECT_EQ(wakeAt, world.now + 300s) << "the pod's default toleration";
  EXPECT_NE(world.get<api::Pod>("ns", "p"), nullptr);
}

TEST_F(NodeLifecycle, podsOfALostNodeAreRemovedAfterTheirToleration) {
  pod("patient", R"({"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute"})");
  pod("hasty",
      R"({"key":"node.kubernetes.io/unreachable","operator":"Exists","effect":"NoExecute","tolerationSeconds":5})");
  settle();
  world.now += 40s;
  settle();
  world.now += 5s;
  settle();
  EXPECT_EQ(world.get<api::Pod>("ns", "hasty"), nullptr);
  EXPECT_NE(world.get<api::Pod>("ns", "p"), nullptr);
  world.now += 300s;
  settle();
  EXPECT_EQ(world.get<api::Pod>("ns", "p"), nullptr);
  EXPECT_NE(world.get<api::Pod>("ns", "patient"), nullptr);
}

TEST_F(NodeLifecycle, aNodeThatIsBackLosesItsTaints) {
  settle();
  world.now += 40s;
  settle();
  renew("2020-01-01T00:01:00Z");
  settle();
  EXPECT_EQ(node().spec.taints.size(), 2u) << "until it says itself that it is ready";
  world.patch<api::Node>("", "n", R"({"status":{"conditions":[{"type":"Ready","status":"True"}]}})");
  settle();
  EXPECT_TRUE(node().spec.taints.empty());
}

TEST_F(NodeLifecycle, aRestartedObserverCountsFromItsOwnStart) {
  settle();
  controller = makeNodeLifecycleController({});
  world.now += 3600s;
  settle();
  EXPECT_EQ(ready(), "True");
  EXPECT_EQ(wakeAt, world.now + 40s);
}

TEST_F(NodeLifecycle, aNotReadyNodeEndsItsPodsGracefully) {
  world.patch<api::Node>("", "n", R"({"status":{"conditions":[{"type":"Ready","status":"False"}]}})");
  settle();
  EXPECT_EQ(node().spec.taints[0].key, "node.kubernetes.io/not-ready");
  world.now += 30s;
  renew("2020-01-01T00:01:00Z");
  settle();
  world.now += 270s;
  renew("2020-01-01T00:02:00Z");
  settle();
  const api::Pod* pod = world.get<api::Pod>("ns", "p");
  ASSERT_NE(pod, nullptr);
  EXPECT_TRUE(pod->metadata.deleting());
  EXPECT_TRUE(api::isTrue(pod->status.conditions, "DisruptionTarget"));
}

TEST_F(NodeLifecycle, podsOfANodeThatIsGoneAreRemoved) {
  world.remove<api::Node>("", "n");
  settle({"ns", "p"});
  EXPECT_EQ(wakeAt, kStart + 40s);
  world.now += 40s;
  settle({"ns", "p"});
  EXPECT_EQ(world.count<api::Pod>(), 0u);
}

}  // namespace
}  // namespace stoker::controllers
