// resources.h: what a pod asks for, as the scheduler, admission and cgroups count it (component-helpers' PodRequests).
#pragma once

#include <map>

#include "kube/quantity.h"
#include "node/agent/pod_spec.h"
#include "node/runtime/pod_runtime.h"

namespace stoker::node {

using Amounts = std::map<std::string, kube::Quantity>;

/// Quantities that do not parse are left out: the API validates them.
Amounts amountsOf(const api::ResourceList& list);

/// The requests of one container; a limit without a request counts as the request (as the API server's defaulting
/// does).
Amounts containerRequests(const podspec::Container& container);

/// What the whole pod takes: containers and sidecars summed, or the largest moment of initialisation if that is more,
/// plus overhead.
Amounts podRequests(const podspec::PodSpec& spec);

/// Guaranteed, Burstable or BestEffort.
std::string qosClass(const podspec::PodSpec& spec);

/// cgroup limits of a container.
ResourceLimits containerLimits(const podspec::Container& container);
/// cgroup limits of the pod: a limit only when every container has one (kubelet's ResourceConfigForPod).
ResourceLimits podLimits(const podspec::PodSpec& spec);

/// kubelet's GetContainerOOMScoreAdjust; `memoryCapacity` is the node's in bytes.
int oomScoreAdjust(const podspec::PodSpec& spec, const podspec::Container& container, int64_t memoryCapacity);

}  // namespace stoker::node
