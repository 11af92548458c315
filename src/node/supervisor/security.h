// security.h
//
// What a container's program may do: Docker's default capability set with the container's additions and removals, and a
// seccomp filter that refuses (EPERM) the system calls Docker's default profile refuses. A fence against accidents, not
// a security boundary.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "node/runtime/pod_runtime.h"
#include "node/supervisor/system.h"

namespace stoker::node {

/// A bit per capability. Unknown names are an error that names them.
Problem capabilitySet(const ContainerSpec& spec, uint64_t& set);
/// Everything outside `set` leaves the bounding set; needs CAP_SETPCAP.
Problem limitBoundingSet(uint64_t set);
/// Permitted and effective become `set` (what of it is still permitted).
Problem applyCapabilities(uint64_t set);
/// Installs the filter; system calls that a capability in `set` unlocks (SYS_ADMIN: mount, ...) are left alone.
Problem installSeccomp(uint64_t set);

}  // namespace stoker::node
