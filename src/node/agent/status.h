// status.h: the pod's status as the API shows it, computed from what is known of its processes (kubelet's status
// manager and getPhase), and the patch that brings the stored object there.
#pragma once

#include "json/json.h"
#include "node/agent/pod_run.h"

namespace stoker::node {

struct StatusFacts {
  std::string hostIp;
  bool over = false;  ///< nothing of the pod will run any more: the phase becomes final
  bool deleting = false;
};

/// Pending, Running, Succeeded or Failed.
std::string podPhase(const podspec::Pod& pod, const PodRun& run, bool over);

/// A strategic merge patch of the status subresource: only what differs from `object` (the pod as the API has it);
/// conditions that others own are not touched. Empty: nothing differs.
std::string statusPatch(json::Value object, const podspec::Pod& pod, const PodRun& run, const StatusFacts& facts,
                        Time now);

/// How long the back-off of a container is, as kubelet words it: "10s", "2m40s", "5m0s".
std::string backOffText(Duration backOff);

}  // namespace stoker::node
