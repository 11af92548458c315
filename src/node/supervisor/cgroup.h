// cgroup.h
//
// The cgroups of one pod and its containers, version 1 (a directory per controller) or 2. Limits that the kernel does
// not offer here are left out; the platform has said so in its capabilities.
#pragma once

#include <string>
#include <vector>

#include "node/runtime/codec.h"
#include "node/supervisor/system.h"

namespace stoker::node {

class PodCgroups {
 public:
  explicit PodCgroups(PodCgroupSpec spec) : spec_(std::move(spec)) {}

  /// Creates the pod's directories and limits.
  Problem createPod(const ResourceLimits& limits);
  /// Moves the calling process out of reach of the pod's limits and of the platform's own groups.
  Problem leavePlatform();
  /// Creates one container's directories and limits; what a former attempt left is replaced.
  Problem createContainer(const std::string& name, const ResourceLimits& limits);
  /// Moves process `pid` in; before it executes anything of the container's (not needed when it was born inside).
  Problem enter(const std::string& name, int pid) const;
  /// Version 2: a descriptor of the container's directory for CLONE_INTO_CGROUP; -1 otherwise.
  int openForClone(const std::string& name) const;
  /// Processes the kernel killed for want of memory in this container since it was created.
  long oomKills(const std::string& name) const;
  void removeContainer(const std::string& name);
  void removePod();
  /// {controller name, directory} of a container, as it is shown to it read-only under /sys/fs/cgroup.
  std::vector<std::pair<std::string, std::string>> directories(const std::string& name) const;
  int version() const { return spec_.version; }

 private:
  std::vector<std::string> roots() const;
  Problem applyLimits(const std::string& suffix, const ResourceLimits& limits) const;
  PodCgroupSpec spec_;
};

}  // namespace stoker::node
