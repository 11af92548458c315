// lifecycle.h: what happens next to a pod: the agent's one decision, a pure function of the spec, what is known of its
// processes, and the time (kubelet's SyncPod and computePodActions). Level-triggered: after every event it is asked
// anew.
#pragma once

#include "node/agent/pod_run.h"

namespace stoker::node {

struct Wish {
  bool deleting = false;
  Time killBy{};  ///< when deleting: SIGKILL then
};

struct Decision {
  bool ensureSandbox = false;
  std::vector<size_t> start;  ///< indices in run.containers
  struct Stop {
    size_t container;
    int graceSeconds;
  };
  std::vector<Stop> stop;
  std::optional<int> killPod;  ///< grace in seconds
  std::optional<Time> wakeAt;
  bool over = false;     ///< nothing of it runs or will run: the final status may be written
  bool cleared = false;  ///< over, and the sandbox has gone as well
};

/// How the pod ended by itself: true when it succeeded, nullopt while it lives.
std::optional<bool> naturalOutcome(const podspec::PodSpec& spec, const PodRun& run);

/// activeDeadlineSeconds has passed before the pod ended.
std::optional<Rejection> deadlineFailure(const podspec::PodSpec& spec, const PodRun& run, Time now);

Decision decide(const podspec::PodSpec& spec, const PodRun& run, const Wish& wish, Time now);

}  // namespace stoker::node
