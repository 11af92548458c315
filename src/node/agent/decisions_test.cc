// Tables for the agent's pure decisions: resources, admission, cards, back-off, images, lifecycle, status.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "node/agent/image_map.h"
#include "node/agent/lifecycle.h"
#include "node/agent/prober.h"
#include "node/agent/status.h"

namespace stoker::node {
namespace {

podspec::PodSpec specFrom(const std::string& text) {
  auto doc = json::parseDoc(text);
  EXPECT_TRUE(doc.ok()) << text;
  return api::decode<podspec::PodSpec>(doc->root);
}
std::string resources(const std::string& requests, const std::string& limits = "{}") {
  return R"("resources":{"requests":)" + requests + R"(,"limits":)" + limits + "}";
}

struct QosCase {
  const char* name;
  std::string containers, expected;
  int oom;
};
void PrintTo(const QosCase& c, std::ostream* out) { *out << c.name; }
class Qos : public ::testing::TestWithParam<QosCase> {};
TEST_P(Qos, asKubelet) {
  auto spec = specFrom(R"({"containers":[)" + GetParam().containers + "]}");
  EXPECT_EQ(qosClass(spec), GetParam().expected);
  EXPECT_EQ(oomScoreAdjust(spec, spec.containers[0], int64_t{8} << 30), GetParam().oom);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Qos,
    ::testing::Values(QosCase{"nothing", R"({"name":"a"})", "BestEffort", 1000},
                      QosCase{"requests", "{" + resources(R"({"cpu":"1","memory":"4Gi"})") + "}", "Burstable", 500},
                      QosCase{"tiny request", "{" + resources(R"({"memory":"1Mi"})") + "}", "Burstable", 999},
                      QosCase{"all of it", "{" + resources(R"({"memory":"8Gi"})") + "}", "Burstable", 3},
                      QosCase{"limits only", "{" + resources("{}", R"({"cpu":"1","memory":"1Gi"})") + "}", "Guaranteed",
                              -997},
                      QosCase{"limits above requests",
                              "{" + resources(R"({"cpu":"1","memory":"1Gi"})", R"({"cpu":"2","memory":"1Gi"})") + "}",
                              "Burstable", 875}));

TEST(Requests, initContainersAndSidecars) {
  auto cpu = [](const std::string& text) { return podRequests(specFrom(text))["cpu"].milliValue(); };
  auto one = [](const char* amount, const char* more = "") {
    return fmt::format(R"({{{}"resources":{{"requests":{{"cpu":"{}"}}}}}})", more, amount);
  };
  const char* sidecar = R"("restartPolicy":"Always",)";
  EXPECT_EQ(cpu(fmt::format(R"({{"containers":[{},{}]}})", one("1"), one("2"))), 3000);
  EXPECT_EQ(cpu(fmt::format(R"({{"initContainers":[{}],"containers":[{}]}})", one("5"), one("2"))), 5000);
  EXPECT_EQ(
      cpu(fmt::format(R"({{"initContainers":[{},{}],"containers":[{}]}})", one("1", sidecar), one("3"), one("2"))),
      4000);
  EXPECT_EQ(cpu(fmt::format(R"({{"initContainers":[{}],"containers":[{}],"overhead":{{"cpu":"250m"}}}})",
                            one("1", sidecar), one("2"))),
            3250);
}

struct AdmitCase {
  const char* name;
  std::string spec, reason, message = {};
};
void PrintTo(const AdmitCase& c, std::ostream* out) { *out << c.name; }
class Admit : public ::testing::TestWithParam<AdmitCase> {};
TEST_P(Admit, asKubelet) {
  NodeRoom room{.allocatable = amountsOf({{"cpu", "4"}, {"memory", "8Gi"}, {"pods", "2"}, {"nvidia.com/gpu", "2"}}),
                .used = amountsOf({{"cpu", "3"}, {"nvidia.com/gpu", "1"}}),
                .pods = 1,
                .labels = {{"zone", "a"}, {"n", "5"}},
                .name = "n1"};
  auto rejection = admit(specFrom(GetParam().spec), room);
  EXPECT_EQ(rejection ? rejection->reason : "", GetParam().reason);
  if (!GetParam().message.empty()) {
    EXPECT_EQ(rejection->message, GetParam().message);
  }
}
std::string affinity(const std::string& terms) {
  return R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[)" +
         terms + "]}}}}";
}
std::string expression(const char* key, const char* op, const std::string& values) {
  return fmt::format(R"({{"matchExpressions":[{{"key":"{}","operator":"{}","values":[{}]}}]}})", key, op, values);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Admit,
    ::testing::Values(
        AdmitCase{"fits", "{\"containers\":[{" + resources(R"({"cpu":"1"})") + "}]}", ""},
        AdmitCase{
            "cpu", "{\"containers\":[{" + resources(R"({"cpu":"1500m"})") + "}]}", "OutOfcpu",
            "Pod was rejected: Node didn't have enough resource: cpu, requested: 1500, used: 3000, capacity: 4000"},
        AdmitCase{"memory", "{\"containers\":[{" + resources(R"({"memory":"9Gi"})") + "}]}", "OutOfmemory"},
        AdmitCase{"cards", "{\"containers\":[{" + resources("{}", R"({"nvidia.com/gpu":"2"})") + "}]}",
                  "OutOfnvidia.com/gpu"},
        AdmitCase{"unknown resource", "{\"containers\":[{" + resources(R"({"a/b":"1"})") + "}]}", "OutOfa/b"},
        AdmitCase{"selector", R"({"nodeSelector":{"zone":"b"}})", "NodeAffinity"},
        AdmitCase{"affinity holds", affinity(expression("zone", "In", R"("b","a")")), ""},
        AdmitCase{"affinity fails", affinity(expression("zone", "NotIn", R"("a")")), "NodeAffinity"},
        AdmitCase{"one term suffices", affinity(expression("zone", "Exists", "") + "," + expression("x", "Exists", "")),
                  ""},
        AdmitCase{"numbers", affinity(expression("n", "Gt", R"("4")")), ""},
        AdmitCase{"not above itself", affinity(expression("n", "Gt", R"("5")")), "NodeAffinity"},
        AdmitCase{"empty terms select nothing", affinity("{}"), "NodeAffinity"},
        AdmitCase{"by name", affinity(R"({"matchFields":[{"key":"metadata.name","operator":"In","values":["n1"]}]})"),
                  ""}));

TEST(Admit, fullNode) {
  NodeRoom room{.allocatable = amountsOf({{"pods", "1"}}), .pods = 1};
  EXPECT_EQ(admit({}, room)->message,
            "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 1, capacity: 1");
}

TEST(CardLists, readAndWritten) {
  auto cards = parseCards("nvidia.com/gpu=0,3;rdma/hca=2");
  ASSERT_TRUE(cards.ok());
  EXPECT_EQ(formatCards(*cards), "nvidia.com/gpu=0,3;rdma/hca=2");
  for (const char* bad : {"x", "=1", "a=", "a=1,1", "a=-1", "a=1x"}) EXPECT_FALSE(parseCards(bad).ok()) << bad;
}

TEST(CardLists, splitInOrder) {
  auto gpu = [](int n, const char* name, const char* more = "") {
    return fmt::format(R"({{"name":"{}",{}"resources":{{"limits":{{"g/g":"{}"}}}}}})", name, more, n);
  };
  auto spec =
      specFrom(fmt::format(R"({{"initContainers":[{},{}],"containers":[{},{}]}})",
                           gpu(1, "side", R"("restartPolicy":"Always",)"), gpu(2, "init"), gpu(1, "a"), gpu(2, "b")));
  Cards all{{"g/g", {4, 5, 6, 7}}};
  auto of = [&](const podspec::Container& c) { return cardsOf(spec, c, all)->at("g/g"); };
  EXPECT_EQ(of(spec.initContainers[0]), (std::vector<int>{4}));
  EXPECT_EQ(of(spec.initContainers[1]), (std::vector<int>{5, 6}));
  EXPECT_EQ(of(spec.containers[0]), (std::vector<int>{5}));
  EXPECT_EQ(of(spec.containers[1]), (std::vector<int>{6, 7}));
}

TEST(BackOffs, doubleAndForget) {
  BackOffLimits limits;
  BackOff backOff;
  Time at{};
  std::vector<int64_t> seconds;
  for (int i = 0; i < 8; ++i)
    seconds.push_back(std::chrono::round<std::chrono::seconds>(backOff.ended(at + 1s, at + 2s, limits)).count());
  EXPECT_EQ(seconds, (std::vector<int64_t>{0, 10, 20, 40, 80, 160, 300, 300}));
  EXPECT_EQ(backOff.ended(at + 1s, at + 602s, limits), 0s) << "healthy for more than ten minutes";
  EXPECT_EQ(backOff.ended(at + 1s, at + 2s, limits), 10s);
}

TEST(Globs, match) {
  for (auto [pattern, text, yes] : std::vector<std::tuple<const char*, const char*, bool>>{{"*", "", true},
                                                                                           {"a*c", "abbc", true},
                                                                                           {"a*c", "abbd", false},
                                                                                           {"a?c", "abc", true},
                                                                                           {"a?c", "ac", false},
                                                                                           {"*a*b*", "xxaxxbxx", true},
                                                                                           {"py:*", "py", false},
                                                                                           {"", "", true},
                                                                                           {"a**b", "ab", true}})
    EXPECT_EQ(globMatch(pattern, text), yes) << pattern << " " << text;
}

TEST(Images, badDocumentsSayWhere) {
  auto message = [](const char* text) { return ImageMap::fromJson(json::parseDoc(text)->root).error().message; };
  EXPECT_EQ(message(R"({"images":[{"image":"x","rot":"/"}]})"),
            "images[0]: unknown field \"rot\"; did you mean \"root\"?");
  EXPECT_EQ(message(R"({"images":[{"image":"x","root":"y"}]})"),
            "images[0].root: \"y\" must be \"host\" or an absolute directory");
  EXPECT_EQ(message(R"([{"image":"x"}])"),
            "the file holds one list: \"images:\", then \"- image: PATTERN\" for each rule");
  EXPECT_EQ(message(R"({"images":{"image":"x"}})"), message("[]"));
  EXPECT_EQ(message(R"({"images":["x"]})"),
            "images[0]: must be a rule such as {image: \"pytorch/*\", root: /roots/pytorch}");
}

TEST(ProbeTargets, portsByNameAndNumber) {
  podspec::Container container;
  container.name = "c";
  container.ports = {{.name = "web", .containerPort = 8080}};
  podspec::Probe probe;
  probe.httpGet = podspec::HttpGetAction{.path = "ok", .port = "web"};
  auto target = probeTarget(probe, container, "10.0.0.9");
  ASSERT_TRUE(target.ok() && *target);
  EXPECT_EQ((*target)->port, 8080);
  EXPECT_EQ((*target)->path, "/ok");
  EXPECT_EQ((*target)->host, "10.0.0.9");
  probe.httpGet->port = "nope";
  EXPECT_FALSE(probeTarget(probe, container, "").ok());
  probe.httpGet.reset();
  EXPECT_FALSE(probeTarget(probe, container, "")->has_value());
}

TEST(ProbeCounters, thresholds) {
  podspec::Probe probe;
  probe.failureThreshold = 2;
  ProbeCounter counter;
  EXPECT_EQ(counter.add(false, probe), std::nullopt);
  EXPECT_EQ(counter.add(false, probe), false);
  EXPECT_EQ(counter.add(true, probe), true);
}

// ---- phases: getPhase's table in kubelet_pods_test.go
// ----------------------------------------------------------------------

struct PhaseCase {
  const char* name;
  std::string policy;
  std::string states;  ///< per main container: r running, s succeeded, f failed, w waiting, b waiting after a failure
  std::string expected;
};
void PrintTo(const PhaseCase& c, std::ostream* out) { *out << c.name << " " << c.policy; }
class Phases : public ::testing::TestWithParam<PhaseCase> {};
TEST_P(Phases, asKubelet) {
  podspec::Pod pod;
  pod.spec.restartPolicy = GetParam().policy;
  for (size_t i = 0; i < GetParam().states.size(); ++i)
    pod.spec.containers.push_back({.name = std::string(1, static_cast<char>('A' + i))});
  PodRun run = newRun(pod.spec);
  run.sandbox = PodRun::Sandbox::Ready;
  for (size_t i = 0; i < GetParam().states.size(); ++i) {
    ContainerRun& c = run.containers[i];
    char state = GetParam().states[i];
    if (state == 'w') continue;
    c.attempt = 0;
    if (state == 'r') {
      c.state = ContainerRun::State::Running;
      continue;
    }
    c.state = ContainerRun::State::Exited;
    c.last = ContainerExited{.name = c.name, .exitCode = state == 's' ? 0 : 1, .finishedAt = Time{} + 1s};
    c.restartAt = c.last->finishedAt + (state == 'b' ? 10s : 0s);
  }
  bool over = naturalOutcome(pod.spec, run).has_value();
  EXPECT_EQ(podPhase(pod, run, over), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Phases,
    ::testing::Values(
        PhaseCase{"waiting", "Always", "ww", "Pending"}, PhaseCase{"all running", "Always", "rr", "Running"},
        PhaseCase{"all stopped", "Always", "ss", "Running"}, PhaseCase{"mixed", "Always", "rs", "Running"},
        PhaseCase{"partial", "Always", "rw", "Pending"}, PhaseCase{"crash loop", "Always", "rb", "Running"},
        PhaseCase{"all running", "Never", "rr", "Running"}, PhaseCase{"all succeeded", "Never", "ss", "Succeeded"},
        PhaseCase{"all failed", "Never", "ff", "Failed"}, PhaseCase{"one failed", "Never", "rf", "Running"},
        PhaseCase{"mixed ends", "Never", "sf", "Failed"}, PhaseCase{"partial", "Never", "rw", "Pending"},
        PhaseCase{"all running", "OnFailure", "rr", "Running"},
        PhaseCase{"all succeeded", "OnFailure", "ss", "Succeeded"},
        PhaseCase{"all failed", "OnFailure", "ff", "Running"}, PhaseCase{"mixed", "OnFailure", "rs", "Running"},
        PhaseCase{"crash loop", "OnFailure", "rb", "Running"}));

// ---- recovery
// ----------------------------------------------------------------------------------------------------------------

TEST(Recovery, initialisationThatWentBackwardsBeganInANewSandbox) {
  auto spec = specFrom(R"({"initContainers":[{"name":"a"},{"name":"b"}],"containers":[{"name":"m"}]})");
  auto ended = [](const char* name, int attempt, int code) {
    return ContainerRecord{.name = name,
                           .attempt = attempt,
                           .exited = ContainerExited{.name = name, .attempt = attempt, .exitCode = code}};
  };
  RecoveredPod pod{.alive = true,
                   .containers = {ended("a", 0, 0), ended("b", 0, 0), ended("m", 0, 137), ended("a", 1, 0)}};
  PodRun run = recoverRun(spec, {}, &pod, {}, Time{} + 1h);
  EXPECT_TRUE(run.find("a")->done);
  EXPECT_FALSE(run.find("b")->done);
}

TEST(Recovery, runsThatOnlyTheApiKnowsAreLost) {
  auto spec = specFrom(R"({"containers":[{"name":"m"}]})");
  auto status = json::parseDoc(
      R"({"startTime":"2026-01-01T00:00:00Z","containerStatuses":[{"name":"m","restartCount":2,"state":{"running":{"startedAt":"2026-01-01T00:00:01Z"}}}]})");
  PodRun run = recoverRun(spec, status->root, nullptr, {}, *parseTime("2026-01-01T01:00:00Z"));
  EXPECT_EQ(run.find("m")->last->reason, "ContainerStatusUnknown");
  EXPECT_EQ(run.find("m")->last->exitCode, 137);
  EXPECT_EQ(run.find("m")->attempt, 2);
}

TEST(StatusPatches, onlyWhatDiffers) {
  podspec::Pod pod;
  pod.metadata.uid = "u";
  pod.spec.containers.push_back({.name = "m", .image = "i"});
  PodRun run = newRun(pod.spec);
  auto object = json::parseDoc(
      R"({"status":{"phase":"Pending","qosClass":"BestEffort","conditions":[{"type":"PodScheduled","status":"True"},{"type":"mine","status":"True"}]}})");
  std::string patch = statusPatch(object->root, pod, run, {}, Time{} + 1s);
  auto parsed = json::parseDoc(patch);
  EXPECT_FALSE((*parsed)["status"].has("phase"));
  EXPECT_EQ((*parsed)["metadata"]["uid"].asString(), "u");
  for (json::Value condition : (*parsed)["status"]["conditions"].items())
    EXPECT_TRUE(condition["type"].asString() != "mine" && condition["type"].asString() != "PodScheduled");
  EXPECT_EQ((*parsed)["status"]["containerStatuses"][0].at({"state", "waiting", "reason"}).asString(),
            "ContainerCreating");
}

}  // namespace
}  // namespace stoker::node
