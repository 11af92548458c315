// admission.h: whether a pod that is bound here can run here: kubelet's admit handlers. The scheduler counts the same;
// this is the last look, for pods that others bound and for nodes that have shrunk.
#pragma once

#include "node/agent/resources.h"

namespace stoker::node {

struct NodeRoom {
  Amounts allocatable;
  Amounts used;      ///< by pods that were admitted and have not ended
  int64_t pods = 0;  ///< how many those are
  std::map<std::string, std::string> labels;
  std::string name;
};

struct Rejection {
  std::string reason, message;  ///< status.reason and status.message of the failed pod
};

/// nullopt: it may run. Order and texts as upstream: node selection first ("NodeAffinity"), then pods, then resources
/// ("OutOfcpu": "Node didn't have enough resource: cpu, requested: 2000, used: 500, capacity: 2000").
std::optional<Rejection> admit(const podspec::PodSpec& spec, const NodeRoom& room);

/// spec.nodeSelector and the required node affinity against a node.
bool nodeMatches(const podspec::PodSpec& spec, const std::map<std::string, std::string>& labels,
                 const std::string& nodeName);

}  // namespace stoker::node
