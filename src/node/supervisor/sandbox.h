// sandbox.h: what a pod's containers share: network, IPC and UTS namespaces, address, names, /dev/shm.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "node/runtime/codec.h"
#include "node/supervisor/system.h"

namespace stoker::node {

/// Moves the calling process into new namespaces and sets them up.
Problem createSandbox(const SupervisorSpec& spec);

/// /etc/hosts, /etc/resolv.conf and /etc/hostname as {path, content}.
std::vector<std::pair<std::string, std::string>> nameFiles(const SupervisorSpec& spec);

}  // namespace stoker::node
