// machine.h: this machine as a node: what it has and what it runs.
#pragma once

#include <map>
#include <string>

#include "node/agent/node_object.h"

namespace stoker::platform {

struct MachineOptions {
  std::string address;                         ///< InternalIP
  int pods = 110;                              ///< kubelet's default
  std::map<std::string, int> simulateDevices;  ///< "nvidia" -> 8
};

/// Name (the host's, lower case), capacity from the kernel, nodeInfo. Simulated devices become extended resources.
Result<node::NodeConfig> thisMachine(const MachineOptions& options, const std::string& dataDir);

/// "nvidia=8,huawei=4" -> resource counts; errors name the vendor that is not known.
Result<std::map<std::string, int>> parseDevices(const std::string& text);

/// The host's own IPv4 address on the default route; 127.0.0.1 when there is none.
std::string hostAddress();

}  // namespace stoker::platform
