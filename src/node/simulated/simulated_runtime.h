// simulated_runtime.h
//
// A PodRuntime whose processes are timers: they "run" for a while and "exit" with a code, as the variables of
// simulation.h say. It keeps the contract of pod_runtime.h to the letter (runs start at most once, commands are
// idempotent, recover() tells all), so the agent above it is the production one. Virtual when its loop is a ManualLoop.
// All calls on the loop's thread.
#pragma once

#include <map>
#include <memory>

#include "client/loop.h"
#include "node/runtime/pod_runtime.h"

namespace stoker::node {

class SimulatedRuntime final : public PodRuntime {
 public:
  explicit SimulatedRuntime(client::Loop& loop) : loop_(loop) {}
  ~SimulatedRuntime() override { *alive_ = false; }

  /// May be called again: a new agent over the same processes.
  void setListener(Listener listener) override { listener_ = std::move(listener); }
  Result<std::vector<RecoveredPod>> recover() override;
  const RuntimeCapabilities& capabilities() const override { return capabilities_; }
  std::string podDirectory(const std::string& podUid) const override { return "/simulated/pods/" + podUid; }
  void ensurePod(PodSandboxSpec spec) override;
  void startContainer(const std::string& podUid, ContainerSpec spec) override;
  void stopContainer(const std::string& podUid, const std::string& name, int graceSeconds) override;
  void killPod(const std::string& podUid, int graceSeconds) override;
  void removePod(const std::string& podUid) override;
  Result<PodUsage> usage(const std::string& podUid) const override;

  // Faults, for tests.

  /// The supervisor of a pod dies with all its processes.
  void loseSupervisor(const std::string& podUid);
  /// Every pod's processes end as in a reboot; nothing is reported: recover() will tell.
  void reboot();
  /// How often each run was really started: "uid/name/attempt". Always 1 when agent and runtime are right.
  const std::map<std::string, int>& starts() const { return starts_; }
  size_t podCount() const { return pods_.size(); }
  /// Ends a running container now.
  void exitNow(const std::string& podUid, const std::string& name, int exitCode);
  /// The next `count` commands of this kind fail with RuntimeFailed.
  void failNext(const std::string& what, int count) { failures_[what] = count; }
  /// The spec of the latest run of a container, as it was started; null when there is none.
  const ContainerSpec* specOf(const std::string& podUid, const std::string& name) const;

 private:
  struct Process {
    ContainerSpec spec;
    uint64_t timer = 0;
    Time killAt{};
    bool stopping = false;
  };
  struct Pod {
    PodSandboxSpec spec;
    std::string ip;
    bool alive = false, rebooted = false, killing = false;
    std::vector<ContainerRecord> records;
    std::map<std::string, Process> running;
    std::map<std::string, ContainerSpec> latest;
  };
  void emit(const std::string& uid, decltype(PodEvent::what) what);
  bool failsNow(const std::string& uid, const std::string& what);
  void exit(const std::string& uid, const std::string& name, int exitCode, int signal, const std::string& reason);
  void end(const std::string& uid);
  void armTimer(const std::string& uid, Process& process, Duration after, int exitCode, int signal);

  client::Loop& loop_;
  Listener listener_;
  RuntimeCapabilities capabilities_;
  std::map<std::string, Pod> pods_;
  std::map<std::string, int> starts_, failures_;
  uint32_t nextIp_ = 0;
  int64_t nextPid_ = 1000;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::node
