// node_object.h: a node as the API shows it: its Node object, its status and its Lease, as JSON and patches. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/core.h"
#include "base/time.h"
#include "json/json.h"
#include "node/agent/resources.h"

namespace stoker::node {

/// What a node is: given at start, or read from a file of simulated nodes.
struct NodeConfig {
  std::string name;
  std::string address;                        ///< InternalIP; empty: none
  api::ResourceList capacity;                 ///< cpu, memory, ephemeral-storage, pods, devices
  api::ResourceList allocatable;              ///< empty: as capacity
  std::map<std::string, std::string> labels;  ///< beside kubernetes.io/hostname, os and arch
  std::vector<api::Taint> taints;
  std::map<std::string, std::string> info;  ///< status.nodeInfo
  std::map<std::string, int> devices;       ///< extended resources whose indices are handed out

  const api::ResourceList& usable() const { return allocatable.empty() ? capacity : allocatable; }
};

/// What weighs on a machine now.
struct Pressure {
  bool memory = false, disk = false, pids = false;
  bool operator==(const Pressure&) const = default;
};

std::map<std::string, std::string> nodeLabels(const NodeConfig& node);

/// The object to create.
std::string newNode(const NodeConfig& node);
/// A merge patch that gives an existing Node our labels; empty when it has them. Others' labels and taints stay.
std::string nodePatch(json::Value object, const NodeConfig& node);
/// A strategic merge patch of the status: capacity, addresses, nodeInfo, conditions. Heartbeat times are written when
/// something else changes or the last is older than kHeartbeat; empty when nothing is to be written.
std::string nodeStatusPatch(json::Value object, const NodeConfig& node, const Pressure& pressure, Time now);

/// Upstream's nodeStatusReportFrequency: an unchanged status is written again this often.
inline constexpr Duration kHeartbeat = 5min;
/// Leases are renewed this often and last kLeaseSeconds.
inline constexpr Duration kLeaseInterval = 10s;
inline constexpr int64_t kLeaseSeconds = 40;
inline constexpr const char* kLeaseNamespace = "kube-node-lease";

std::string newLease(const NodeConfig& node, Time now);
std::string leasePatch(const NodeConfig& node, Time now);

}  // namespace stoker::node
