// simulation.h: how a pod on a simulated node says what its "run" does. Annotations of the pod, which the agent hands
// to the runtime as variables of each container:
//
//   stoker.dev/simulate-duration   "10s" (Go duration) or "forever"; default: forever, until it is deleted
//   stoker.dev/simulate-exit-code  "0", or one per attempt, the last for all later ones: "1,1,0"
//   stoker.dev/simulate-stop-duration  how long it goes on after SIGTERM; default: it ends at once, with 143
//
// Init containers end at once with 0; sidecars run until they are stopped.
#pragma once

#include "node/agent/pod_spec.h"
#include "node/runtime/pod_runtime.h"

namespace stoker::node {

inline constexpr const char* kDurationAnnotation = "stoker.dev/simulate-duration";
inline constexpr const char* kExitCodeAnnotation = "stoker.dev/simulate-exit-code";
inline constexpr const char* kStopAnnotation = "stoker.dev/simulate-stop-duration";
inline constexpr const char* kDurationVariable = "STOKER_SIMULATE_DURATION";
inline constexpr const char* kExitCodeVariable = "STOKER_SIMULATE_EXIT_CODE";
inline constexpr const char* kStopVariable = "STOKER_SIMULATE_STOP";

/// What the simulated runtime starts: only names and the variables. A malformed annotation counts as its default.
ContainerSpec simulatedContainer(const podspec::Pod& pod, const podspec::Container& container, bool init, int attempt);

}  // namespace stoker::node
