// node_lifecycle.h
//
// What becomes of nodes that stop answering, and of their pods (kubernetes pkg/controller/nodelifecycle, tainteviction,
// podgc).
//
// - A node whose Lease has not changed for 40 s by our own clock gets Ready=Unknown and the taints
//   node.kubernetes.io/unreachable NoSchedule and NoExecute; a node that says it is not ready gets
//   node.kubernetes.io/not-ready.
// - A pod that does not tolerate a NoExecute taint (or no longer, after tolerationSeconds) is marked DisruptionTarget
// and
//   deleted. On a node that cannot be reached nobody would confirm its end: it is removed at once.
// - Pods of a node that is no longer there are removed.
#pragma once

#include <map>
#include <memory>

#include "api/core.h"
#include "client/manager.h"

namespace stoker::controllers {

struct NodeLifecycleOptions {
  Duration leaseGrace = 40s;  ///< kube-controller-manager's node-monitor-grace-period
  /// How long pods that say nothing about it tolerate a lost node (admission's DefaultTolerationSeconds where there is
  /// no such plug-in).
  Duration defaultToleration = 300s;
};

/// When `pod` must leave a node with these taints: the taints' timeAdded plus what it tolerates, at the earliest.
/// Nullopt: never.
std::optional<Time> evictionTime(const api::Pod& pod, const std::vector<api::Taint>& taints,
                                 const NodeLifecycleOptions& options);

std::unique_ptr<client::Controller> makeNodeLifecycleController(NodeLifecycleOptions options);

}  // namespace stoker::controllers
