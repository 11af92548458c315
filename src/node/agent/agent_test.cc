#include <gtest/gtest.h>

#include "node/agent/agent_harness.h"

namespace stoker::node::testing {
namespace {

TEST(NodeAgent, aPodRunsToItsEnd) {
  Harness h;
  h.startAgent();
  h.createPod("a", "10s", R"("restartPolicy":"Never",)");
  h.run(1s);
  auto pod = h.pod("a");
  EXPECT_EQ(h.phase("a"), "Running") << json::pretty(pod.root);
  EXPECT_EQ(pod["status"]["hostIP"].asString(), "10.0.0.1");
  EXPECT_EQ(pod["status"]["podIP"].asString(), "10.128.0.1");
  EXPECT_EQ(pod["status"]["startTime"].asString(), "2026-01-01T00:00:00Z");
  for (const char* type : {"Ready", "ContainersReady", "Initialized", "PodScheduled", "PodReadyToStartContainers"})
    EXPECT_EQ(h.condition(pod, type)["status"].asString(), "True") << type;
  EXPECT_TRUE(pod.root.at({"status", "containerStatuses"})[0].at({"state", "running"}).isObject());

  h.run(20s);
  pod = h.pod("a");
  EXPECT_EQ(h.phase("a"), "Succeeded");
  json::Value terminated = pod.root.at({"status", "containerStatuses"})[0].at({"state", "terminated"});
  EXPECT_EQ(terminated["reason"].asString(), "Completed");
  EXPECT_EQ(terminated["finishedAt"].asString(), "2026-01-01T00:00:10Z");
  EXPECT_EQ(h.condition(pod, "Ready")["reason"].asString(), "PodCompleted");
  EXPECT_EQ(h.runtime.podCount(), 0u) << "what a finished pod held is given back";
}

TEST(NodeAgent, writesNothingWhenNothingChanges) {
  Harness h;
  h.startAgent();
  h.createPod("a", "forever");
  h.run(1s);
  int before = h.cluster.podStatusWrites;
  EXPECT_LE(before, 3);
  h.run(4min);
  EXPECT_EQ(h.cluster.podStatusWrites, before);
}

TEST(NodeAgent, crashedContainersRestAndRestart) {
  Harness h;
  h.startAgent();
  h.createPod("a", "1s", R"("restartPolicy":"OnFailure",)", "", "", 3);
  h.run(1500ms);  // ended at 1 s, restarted at once
  EXPECT_EQ(h.pod("a").root.at({"status", "containerStatuses"})[0]["restartCount"].asInt(), 1);
  h.run(2s);  // ended at 2 s: rests until 12 s
  auto doc = h.pod("a");
  json::Value status = doc.root.at({"status", "containerStatuses"})[0];
  EXPECT_EQ(status.at({"state", "waiting", "reason"}).asString(), "CrashLoopBackOff");
  EXPECT_EQ(status.at({"state", "waiting", "message"}).asString(),
            "back-off 10s restarting failed container=main pod=a_default(a-uid)");
  EXPECT_EQ(status.at({"lastState", "terminated", "exitCode"}).asInt(), 3);
  EXPECT_EQ(h.phase("a"), "Running");
  h.run(10min);
  // 1 s runs at 0, 1, 12, 33, 74, 155, 316 s; the next comes 300 s after 317 s.
  EXPECT_EQ(h.pod("a").root.at({"status", "containerStatuses"})[0]["restartCount"].asInt(), 6);
}

TEST(NodeAgent, initContainersInOrderThenSidecarsBesideTheRest) {
  Harness h;
  h.startAgent();
  std::string spec =
      fmt::format(R"("restartPolicy":"Never","initContainers":[{},{},{}],)", Harness::containerText("one", "5s"),
                  Harness::containerText("side", "forever", 0, R"("restartPolicy":"Always",)"),
                  Harness::containerText("two", "5s"));
  h.createPod("a", "10s", spec);
  h.run(1s);
  auto pod = h.pod("a");
  EXPECT_EQ(h.phase("a"), "Pending");
  EXPECT_EQ(h.condition(pod, "Initialized")["message"].asString(), "containers with incomplete status: [one side two]");
  EXPECT_EQ(pod.root.at({"status", "containerStatuses"})[0].at({"state", "waiting", "reason"}).asString(),
            "PodInitializing");
  h.run(10s);
  pod = h.pod("a");
  EXPECT_EQ(h.phase("a"), "Running");
  EXPECT_EQ(h.condition(pod, "Initialized")["status"].asString(), "True");
  EXPECT_TRUE(pod.root.at({"status", "initContainerStatuses"})[1].at({"state", "running"}).isObject());
  h.run(30s);
  pod = h.pod("a");
  EXPECT_EQ(h.phase("a"), "Succeeded");
  // The sidecar was told to go and its code does not count.
  EXPECT_EQ(pod.root.at({"status", "initContainerStatuses"})[1].at({"state", "terminated", "exitCode"}).asInt(), 143);
}

TEST(NodeAgent, deletionGivesGraceThenReportsAndRemoves) {
  Harness h;
  h.startAgent();
  h.createPod("a", "forever", R"("terminationGracePeriodSeconds":20,)",
              R"("lifecycle":{"preStop":{"exec":{"command":["x"]}}},)");
  h.run(1s);
  h.cluster.remove(kPods, "default", "a");
  h.run(1s);
  EXPECT_TRUE(h.pod("a").root.isNull());
  EXPECT_EQ(h.runtime.podCount(), 0u);
  EXPECT_EQ(h.agent->runningPods(), 0u);
  auto reasons = h.cluster.eventReasons();
  EXPECT_NE(std::find(reasons.begin(), reasons.end(), "LifecycleHookNotSupported"), reasons.end());
}

TEST(NodeAgent, aStubbornProcessIsKilledAtTheEndOfItsGrace) {
  Harness h(false);
  h.startAgent();
  h.createPod("a", "forever", R"("terminationGracePeriodSeconds":20,)", "",
              R"("annotations":{"stoker.dev/simulate-stop-duration":"1h"},)");
  h.run(1s);
  ASSERT_EQ(h.phase("a"), "Running");
  h.cluster.remove(kPods, "default", "a");
  h.run(15s);
  EXPECT_EQ(h.phase("a"), "Running");
  h.cluster.remove(kPods, "default", "a", 0);  // kubectl delete --force
  h.run(0s);
  EXPECT_EQ(h.runtime.podCount(), 0u);
}

TEST(NodeAgent, aPodWithFinalizersStaysFailedUntilTheyAreGone) {
  Harness h;
  h.startAgent();
  h.createPod("a", "forever", "", "", R"("finalizers":["example.com/keep"],)");
  h.run(1s);
  h.cluster.remove(kPods, "default", "a");
  h.run(1min);
  EXPECT_EQ(h.phase("a"), "Failed");
  EXPECT_EQ(h.pod("a")["metadata"]["deletionGracePeriodSeconds"].asInt(-1), 0);
  EXPECT_EQ(h.runtime.podCount(), 0u);
}

TEST(NodeAgent, whatDoesNotFitIsTurnedAway) {
  Harness h;
  h.startAgent();
  h.createPod("a", "forever", "", R"("resources":{"requests":{"cpu":"3"}},)");
  h.run(1s);
  h.createPod("b", "forever", "", R"("resources":{"requests":{"cpu":"2"}},)");
  h.run(1s);
  auto pod = h.pod("b");
  EXPECT_EQ(h.phase("b"), "Failed");
  EXPECT_EQ(pod["status"]["reason"].asString(), "OutOfcpu");
  EXPECT_EQ(pod["status"]["message"].asString(),
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 2000, used: 3000, capacity: 4000");
  EXPECT_FALSE(pod["status"].has("containerStatuses"));
  h.cluster.remove(kPods, "default", "a", 0);
  h.createPod("c", "forever", "", R"("resources":{"requests":{"cpu":"2"}},)");
  h.run(1s);
  EXPECT_EQ(h.phase("c"), "Running") << "a force-deleted pod's room is waited for";
}

TEST(NodeAgent, deadline) {
  Harness h;
  h.startAgent();
  h.createPod("a", "forever", R"("activeDeadlineSeconds":30,)");
  h.run(29s);
  EXPECT_EQ(h.phase("a"), "Running");
  h.run(5s);
  EXPECT_EQ(h.phase("a"), "Failed");
  EXPECT_EQ(h.pod("a")["status"]["reason"].asString(), "DeadlineExceeded");
}

TEST(NodeAgent, aMissingConfigMapIsWaitedFor) {
  Harness h;
  h.startAgent();
  std::string from = R"("envFrom":[{"configMapRef":{"name":"conf"}}],)";
  h.createPod("a", "forever", "", from);
  h.run(1s);
  auto pod = h.pod("a");
  json::Value waiting = pod.root.at({"status", "containerStatuses"})[0].at({"state", "waiting"});
  EXPECT_EQ(waiting["reason"].asString(), "CreateContainerConfigError");
  EXPECT_EQ(waiting["message"].asString(), "configmap \"conf\" not found");
  h.cluster.put(kConfigMaps, R"({"metadata":{"name":"conf","namespace":"default"},"data":{"A":"1"}})");
  h.run(1s);
  EXPECT_EQ(h.phase("a"), "Running");
  const ContainerSpec* spec = h.runtime.specOf("a-uid", "main");
  ASSERT_TRUE(spec);
  EXPECT_NE(std::find(spec->env.begin(), spec->env.end(), "A=1"), spec->env.end());
}

TEST(NodeAgent, cardsArePickedWrittenDownAndHandedOutWithoutOverlap) {
  Harness h;
  h.startAgent();
  std::string two = R"("resources":{"limits":{"nvidia.com/gpu":"2"}},)";
  h.createPod("a", "forever", "", two);
  h.createPod("b", "forever", "", two);
  h.createPod("c", "forever", "", two, R"("annotations":{"stoker.dev/cards":"nvidia.com/gpu=6,7"},)");
  h.run(1s);
  std::set<std::string> seen;
  for (const char* name : {"a", "b", "c"}) {
    ASSERT_EQ(h.phase(name), "Running");
    const ContainerSpec* spec = h.runtime.specOf(std::string(name) + "-uid", "main");
    for (const auto& variable : spec->env)
      if (variable.starts_with("NVIDIA_VISIBLE_DEVICES=")) seen.insert(variable.substr(23));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"0,1", "2,3", "6,7"}));
}

TEST(NodeAgent, keepsItsNodeAndLease) {
  Harness h;
  h.startAgent();
  h.run(1s);
  auto node = h.cluster.get(kNodes, "", "n1");
  EXPECT_EQ(node["status"]["allocatable"]["cpu"].asString(), "4");
  EXPECT_EQ(node["metadata"]["labels"]["kubernetes.io/hostname"].asString(), "n1");
  bool ready = false;
  for (json::Value condition : node["status"]["conditions"].items())
    ready = ready || (condition["type"].asString() == "Ready" && condition["status"].asString() == "True");
  EXPECT_TRUE(ready);
  h.run(30s);
  auto lease = h.cluster.get(kLeases, "kube-node-lease", "n1");
  EXPECT_EQ(lease["spec"]["renewTime"].asString(), "2026-01-01T00:00:30.000000Z");
  h.cluster.remove(kNodes, "", "n1");
  h.run(11s);
  EXPECT_FALSE(h.cluster.get(kNodes, "", "n1").root.isNull()) << "registered again";
}

TEST(NodeAgent, aLostSupervisorIsReplacedAndInitialisationRepeated) {
  Harness h;
  h.startAgent();
  std::string spec = fmt::format(R"("initContainers":[{}],)", Harness::containerText("one", "5s"));
  h.createPod("a", "forever", spec);
  h.run(10s);
  ASSERT_EQ(h.phase("a"), "Running");
  h.runtime.loseSupervisor("a-uid");
  h.run(1s);
  auto pod = h.pod("a");
  EXPECT_EQ(pod.root.at({"status", "containerStatuses"})[0].at({"lastState", "terminated", "reason"}).asString(),
            "ContainerStatusUnknown");
  h.run(10s);
  pod = h.pod("a");
  EXPECT_EQ(pod.root.at({"status", "initContainerStatuses"})[0]["restartCount"].asInt(), 1);
  EXPECT_TRUE(pod.root.at({"status", "containerStatuses"})[0].at({"state", "running"}).isObject());
}

TEST(NodeAgent, failuresOfRuntimeAndApiAreRetried) {
  Harness h;
  h.runtime.failNext("ensurePod", 2);
  h.runtime.failNext("startContainer", 1);
  h.cluster.failPodWrites = 3;
  h.startAgent();
  h.createPod("a", "5s", R"("restartPolicy":"Never",)");
  h.run(1min);
  EXPECT_EQ(h.phase("a"), "Succeeded");
  auto reasons = h.cluster.eventReasons();
  EXPECT_NE(std::find(reasons.begin(), reasons.end(), "FailedCreatePodSandBox"), reasons.end());
}

/// Answers what the test says.
class ScriptedProber final : public Prober {
 public:
  std::map<int, std::string> failures;  ///< by port; a port that is not there succeeds
  int asked = 0;
  void probe(const ProbeTarget& target, Done done) override {
    ++asked;
    auto it = failures.find(target.port);
    done(it == failures.end() ? "" : it->second);
  }
};

TEST(NodeAgent, probes) {
  Harness h;
  ScriptedProber prober;
  h.prober = &prober;
  prober.failures = {{1, "not yet"}, {2, "not ready"}};
  h.startAgent();
  h.createPod("a", "forever", "", R"("startupProbe":{"tcpSocket":{"port":1},"periodSeconds":1,"failureThreshold":100},
      "readinessProbe":{"tcpSocket":{"port":2},"periodSeconds":1},"livenessProbe":{"tcpSocket":{"port":3},"periodSeconds":1},)");
  h.run(5s);
  auto pod = h.pod("a");
  json::Value status = pod.root.at({"status", "containerStatuses"})[0];
  EXPECT_FALSE(status["started"].asBool(true));
  prober.failures.erase(1);
  h.run(3s);
  pod = h.pod("a");
  status = pod.root.at({"status", "containerStatuses"})[0];
  EXPECT_TRUE(status["started"].asBool());
  EXPECT_FALSE(status["ready"].asBool(true));
  prober.failures.erase(2);
  h.run(3s);
  pod = h.pod("a");
  EXPECT_EQ(h.condition(pod, "Ready")["status"].asString(), "True");
  prober.failures[3] = "dead";
  h.run(5s);
  pod = h.pod("a");
  EXPECT_GE(pod.root.at({"status", "containerStatuses"})[0]["restartCount"].asInt(), 1);
  EXPECT_EQ(pod.root.at({"status", "containerStatuses"})[0].at({"lastState", "terminated", "exitCode"}).asInt(), 143);
}

// ---- killed at every step
// ------------------------------------------------------------------------------------------------

/// What must not depend on crashes: the status without the times and addresses.
std::string essence(const json::Doc& pod) {
  std::string out = pod["status"]["phase"].str() + " " + pod["status"]["reason"].str();
  for (const char* list : {"initContainerStatuses", "containerStatuses"})
    for (json::Value status : pod["status"][list].items()) {
      json::Value terminated = status.at({"state", "terminated"});
      out += fmt::format(" {}:{}:{}:{}", status["name"].asString(), status["restartCount"].asInt(),
                         terminated["reason"].asString(), terminated["exitCode"].asInt(-1));
    }
  for (json::Value condition : pod["status"]["conditions"].items())
    out += fmt::format(" {}={}/{}", condition["type"].asString(), condition["status"].asString(),
                       condition["reason"].asString());
  return out;
}

struct Life {
  const char* name;
  std::string spec, container, metadata;
  int exitCode = 0;
  std::string duration = "3s";
  bool deleteAfter = false;  ///< at 2 s
};
void PrintTo(const Life& life, std::ostream* out) { *out << life.name; }

class CrashedAnywhere : public ::testing::TestWithParam<Life> {};

/// Runs the life with a crash before step `crashAt` (-1: none); returns how it ended and how many steps there were.
std::pair<std::string, int> live(const Life& life, int crashAt) {
  Harness h;
  h.startAgent();
  h.createPod("a", life.duration, life.spec, life.container, life.metadata, life.exitCode);
  int steps = 0;
  bool deleted = false;
  Time end = h.clock.now() + 60s;
  auto perhapsCrash = [&] {
    if (steps++ != crashAt) return;
    h.crash();
    h.startAgent();
  };
  while (true) {
    perhapsCrash();
    if (h.runOne()) continue;
    if (life.deleteAfter && !deleted) {
      if (h.advance(Harness::start() + 2s)) continue;
      deleted = true;
      h.clock.set(Harness::start() + 2s);
      h.cluster.remove(kPods, "default", "a");
      continue;
    }
    if (!h.advance(end)) break;
  }
  for (const auto& [run, count] : h.runtime.starts()) EXPECT_EQ(count, 1) << run;
  auto pod = h.pod("a");
  std::string out = pod.root.isNull() ? "gone" : essence(pod);
  return {out + fmt::format(" | {} left, {} runs", h.runtime.podCount(), h.runtime.starts().size()), steps};
}

TEST_P(CrashedAnywhere, endsAsIfUninterrupted) {
  auto [expected, steps] = live(GetParam(), -1);
  ASSERT_GT(steps, 10);
  for (int at = 0; at < steps; ++at) EXPECT_EQ(live(GetParam(), at).first, expected) << "killed before step " << at;
}

INSTANTIATE_TEST_SUITE_P(
    Lives, CrashedAnywhere,
    ::testing::Values(
        Life{"succeeds", R"("restartPolicy":"Never",)"}, Life{"fails", R"("restartPolicy":"Never",)", "", "", 7},
        Life{"with init container",
             fmt::format(R"("restartPolicy":"Never","initContainers":[{},{}],)", Harness::containerText("one", "2s"),
                         Harness::containerText("two", "2s"))},
        Life{"with sidecar", fmt::format(R"("restartPolicy":"Never","initContainers":[{}],)",
                                         Harness::containerText("side", "forever", 0, R"("restartPolicy":"Always",)"))},
        Life{"crash loop", R"("restartPolicy":"OnFailure",)", "", "", 1, "2s"},
        Life{"deadline", R"("restartPolicy":"Never","activeDeadlineSeconds":4,)", "", "", 0, "forever"},
        Life{"deleted", R"("restartPolicy":"Always",)", "", "", 0, "forever", true},
        Life{"deleted with finalizer", R"("restartPolicy":"Always",)", "", R"("finalizers":["a.b/c"],)", 0, "forever",
             true},
        Life{"turned away", R"("restartPolicy":"Never",)", R"("resources":{"requests":{"cpu":"5"}},)"},
        Life{"with a card", R"("restartPolicy":"Never",)", R"("resources":{"limits":{"nvidia.com/gpu":"1"}},)"}));

}  // namespace
}  // namespace stoker::node::testing
