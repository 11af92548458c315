// cgroups.h
//
// Which control groups this machine lets us use, and where one instance's are:
// <hierarchy>/stoker-ID/pod-UID/c-CONTAINER. They hang below the root of each hierarchy, not below the platform's own
// group, because they outlive it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "node/runtime/codec.h"

namespace stoker::node {

/// The instance's top directories; empty where a controller is missing. Version 2 has `unified` only.
struct CgroupLayout {
  int version = 0;
  std::string memory, cpu, cpuacct, pids, unified;
  std::vector<std::string> supervisorProcs;
  std::vector<std::string> missing;  ///< what will not work, and why
};

/// The mounts and memberships as the kernel tells them: /proc/self/mountinfo and /proc/self/cgroup.
struct CgroupFacts {
  std::string mountInfo;
  std::string membership;
};

/// Pure: where the instance's groups would be. Version 2 is chosen when `unifiedControllers` (its cgroup.controllers)
/// names memory, else version 1.
CgroupLayout planCgroups(const CgroupFacts& facts, const std::string& unifiedControllers,
                         const std::string& instanceId);

/// Reads the facts, creates the instance's directories, and leaves out what cannot be created.
CgroupLayout openCgroups(const std::string& instanceId);
void removeCgroups(const CgroupLayout& layout);

/// The groups of one pod. `pids` only when a limit asks for it: every group entered costs a fraction of a millisecond.
PodCgroupSpec podCgroups(const CgroupLayout& layout, const std::string& podUid, bool pids);
/// Removes a pod's groups with those of its containers; nothing may run in them any more.
void removePodCgroups(const CgroupLayout& layout, const std::string& podUid);
Result<PodUsage> readUsage(const CgroupLayout& layout, const std::string& podUid);

}  // namespace stoker::node
