// agent_harness.h: an agent over a fake API and simulated processes on virtual time, which can be killed and made anew
// between any two steps. For tests.
#pragma once

#include "node/agent/agent.h"
#include "node/agent/fake_cluster.h"
#include "node/simulated/simulated_runtime.h"

namespace stoker::node::testing {

inline const client::Gvr kPods{"", "v1", "pods"};
inline const client::Gvr kNodes{"", "v1", "nodes"};
inline const client::Gvr kConfigMaps{"", "v1", "configmaps"};
inline const client::Gvr kLeases{"coordination.k8s.io", "v1", "leases"};

class Harness {
 public:
  static Time start() { return *parseTime("2026-01-01T00:00:00Z"); }

  explicit Harness(bool materialise = true) {
    options.nodes.push_back({.name = "n1",
                             .address = "10.0.0.1",
                             .capacity = {{"cpu", "4"}, {"memory", "8Gi"}, {"pods", "10"}, {"nvidia.com/gpu", "8"}},
                             .devices = {{"nvidia.com/gpu", 8}}});
    options.materialise = materialise;
    options.logsDirectory = "/logs";
  }

  void startAgent() {
    agent = std::make_unique<NodeAgent>(cluster, loop, runtime, files, prober, ids, options);
    if (auto started = agent->start(); !started.ok()) throw std::runtime_error(started.error().message);
  }
  /// kill -9: everything that was on its way to the agent is lost.
  void crash() {
    agent.reset();
    loop.clear();
  }

  /// One task of either loop; false when nothing waits.
  bool runOne() { return loop.runOne() || runtimeLoop.runOne(); }
  void settle() {
    while (runOne()) {
    }
  }
  /// Moves time to the next timer before `end`; false when there is none.
  bool advance(Time end) {
    std::optional<Time> next;
    for (client::ManualLoop* one : {&loop, &runtimeLoop})
      if (auto at = one->nextTimer(); at && (!next || *at < *next)) next = at;
    if (!next || *next > end) return false;
    if (*next > clock.now()) clock.set(*next);
    loop.fireTimers();
    runtimeLoop.fireTimers();
    return true;
  }
  void run(Duration time) {
    Time end = clock.now() + time;
    do settle();
    while (advance(end));
    clock.set(end);
  }
  json::Doc pod(const std::string& name) const { return cluster.get(kPods, "default", name); }
  std::string phase(const std::string& name) const { return pod(name)["status"]["phase"].str(); }
  std::string uid(const std::string& name) const { return pod(name)["metadata"]["uid"].str(); }
  json::Value condition(const json::Doc& pod, std::string_view type) const {
    for (json::Value condition : pod["status"]["conditions"].items())
      if (condition["type"].asString() == type) return condition;
    return {};
  }

  /// A pod on n1 with one container that runs for `duration`; `spec` and `container` add members ("\"a\":1,").
  void createPod(const std::string& name, const std::string& duration, const std::string& spec = "",
                 const std::string& container = "", const std::string& metadata = "", int exitCode = 0) {
    cluster.put(kPods, fmt::format(R"({{"apiVersion":"v1","kind":"Pod","metadata":{{{}"name":"{}","namespace":"default",
        "uid":"{}-uid"}},"spec":{{{}"nodeName":"n1","containers":[{}]}}}})",
                                   metadata, name, name, spec, containerText("main", duration, exitCode, container)));
  }
  static std::string containerText(const std::string& name, const std::string& duration, int exitCode = 0,
                                   const std::string& more = "") {
    return fmt::format(
        R"({{{}"name":"{}","image":"img","command":["run"],"env":[{{"name":"STOKER_SIMULATE_DURATION","value":"{}"}},
        {{"name":"STOKER_SIMULATE_EXIT_CODE","value":"{}"}}]}})",
        more, name, duration, exitCode);
  }

  ManualClock clock{start()};
  client::ManualLoop loop{clock}, runtimeLoop{clock};
  FakeCluster cluster{clock};
  SimulatedRuntime runtime{runtimeLoop};
  NoFiles noFiles;
  Files& files = noFiles;
  Prober* prober = nullptr;
  SeededIds ids{1};
  AgentOptions options;
  std::unique_ptr<NodeAgent> agent;
};

}  // namespace stoker::node::testing
