// rootfs.h
//
// Builds what a container sees as `/`, in the mount namespace of its init: an overlay over the host's root or over a chosen
// directory, fresh /proc, /dev, /sys, private /tmp, the pod's /dev/shm, the volumes; then makes it the root.
//
// Over the host's root, what the container must not see (the data directory, keys, password hashes) is hidden by entries in
// the overlay's upper layer, and file systems mounted below / get an overlay of their own. /etc/hosts, resolv.conf and
// hostname are written into the upper layer, so they cost no mount.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "node/runtime/codec.h"
#include "node/supervisor/system.h"

namespace stoker::node {

struct RootPlan {
  std::string directory;     ///< the run's own directory in the pod's: upper layers, /tmp, the root's mount point
  std::string podDirectory;  ///< DIR/pods/UID
  std::string shm;           ///< the pod's shared /dev/shm
  std::string terminationFile;  ///< bound at the termination message path; empty: none
  std::vector<std::pair<std::string, std::string>> files;  ///< {path, content}: /etc/hosts and its like
  std::vector<std::string> masked;
  std::vector<std::pair<std::string, std::string>> cgroups;  ///< shown read-only under /sys/fs/cgroup
  int cgroupVersion = 0;
  bool userNamespace = false;
  bool hostNetwork = false;
};

/// On success the calling process has the new root as `/` and its working directory.
Problem enterRoot(const RootPlan& plan, const ContainerSpec& spec);

/// mkdir -p inside the current root.
Problem makeWorkingDirectory(const std::string& path, unsigned uid, unsigned gid);

}  // namespace stoker::node
