// simulated_nodes.h: the file that `stoker up --simulate-nodes FILE` reads, and scenarios' "nodes": a list of
//
//     - {name: a, cpu: 8, memory: 32Gi}                      # one node
//     - count: 100                                           # gpu-0 ... gpu-99
//       prefix: gpu
//       cpu: 96                                              # default 32
//       memory: 1Ti                                          # default 128Gi
//       pods: 250                                            # default 110
//       gpus: 8xA100                                         # nvidia.com/gpu, with the product as label
//       nvidia.com/gpu.product resources: {rdma/hca: 8}                             # further ones; whole numbers hand
//       out indices labels: {zone: a} taints: [{key: gpu, value: "true", effect: NoSchedule}]
#pragma once

#include <vector>

#include "base/result.h"
#include "json/json.h"
#include "node/agent/node_object.h"

namespace stoker::node {

/// At most this many: more is a slip of the pen, and memory.
inline constexpr size_t kMaxSimulatedNodes = 100'000;

/// The list, or an object with the list under "nodes". Invalid with the path of what is wrong; names must be unique.
Result<std::vector<NodeConfig>> parseSimulatedNodes(json::Value document);
/// Reads a YAML file; errors name it.
Result<std::vector<NodeConfig>> loadSimulatedNodes(const std::string& path);

}  // namespace stoker::node
