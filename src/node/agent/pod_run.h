// pod_run.h: what the agent knows about one pod's processes: the fold of the runtime's events, or of its records after
// a restart of the agent. It holds nothing that could not be found again from the runtime's journal and the API.
#pragma once

#include "node/agent/admission.h"
#include "node/agent/back_off.h"
#include "node/agent/container_spec.h"
#include "node/agent/pod_spec.h"

namespace stoker::node {

struct ContainerRun {
  enum class State {
    NotStarted,  ///< in this sandbox
    Starting,    ///< commanded, not reported
    Running,
    Exited,
  };
  std::string name;
  bool init = false, sidecar = false;
  State state = State::NotStarted;
  int attempt = -1;  ///< of the latest run, also of one that is only commanded
  Time startedAt{};
  std::optional<ContainerExited> last;      ///< how the latest finished run ended
  std::optional<ContainerExited> previous;  ///< and the one before
  BackOff backOff;
  Time restartAt{};                       ///< not before
  bool done = false;                      ///< an init container that has succeeded in this sandbox
  std::optional<StartProblem> problem;    ///< why it could not be started just now
  std::optional<Time> stopBy;             ///< a stop was commanded, with SIGKILL then
  bool startupDone = true, ready = true;  ///< by probes; without probes both are true

  bool active() const { return state == State::Starting || state == State::Running; }
  /// Its latest end is what its state shows (not an end in an earlier sandbox).
  bool ended() const { return state == State::Exited && last; }
};

struct PodRun {
  enum class Sandbox { Absent, Creating, Ready, Gone };
  Sandbox sandbox = Sandbox::Absent;
  std::string ip;
  int failures = 0;                      ///< of the sandbox or its volumes, in a row
  Time retryAt{};                        ///< after a failure, not before
  std::optional<Time> killBy;            ///< killPod was commanded, with SIGKILL then
  std::vector<ContainerRun> containers;  ///< init containers first, both in the spec's order
  Time startTime{};
  bool admitted = false;
  std::optional<Rejection> failure;  ///< the pod fails with this, whatever its containers do

  ContainerRun* find(const std::string& name);
  bool anyActive() const;
};

/// A pod that nothing is known of but its spec. Probed containers begin neither started nor ready.
PodRun newRun(const podspec::PodSpec& spec);

/// One event of the runtime. False when it tells nothing new (a repetition, an older run).
bool applyEvent(PodRun& run, const PodEvent& event, const podspec::PodSpec& spec, const BackOffLimits& limits,
                Time now);

/// After a restart of the agent: from the runtime's records (null: it has none) and the status in the API, which knows
/// of runs that the runtime lost. Those ended as ContainerStatusUnknown.
PodRun recoverRun(const podspec::PodSpec& spec, json::Value apiStatus, const RecoveredPod* record,
                  const BackOffLimits& limits, Time now);

/// A simulated pod whose virtual processes are gone: those that ran begin the same run again, ends stay ends.
PodRun resumeRun(const podspec::PodSpec& spec, json::Value apiStatus);

/// The sandbox is about to be made (again): what has to run in the new one starts over.
void beginSandbox(PodRun& run, const podspec::PodSpec& spec, Time now);

/// `container` is about to be started: the number of the run.
int beginStart(ContainerRun& container);

/// The pod's address: the node's where the pod has the machine's network; empty until it has one.
std::string podAddress(const podspec::PodSpec& spec, const PodRun& run, const std::string& hostIp);

/// The spec of run.containers[index].
const podspec::Container& specOf(const podspec::PodSpec& spec, size_t index);

/// Whether this container runs again after ending with `exitCode`.
bool restarts(const podspec::PodSpec& spec, const ContainerRun& run, int exitCode);

}  // namespace stoker::node
