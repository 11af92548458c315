// rootfs.h
//
// Builds what a container sees as `/`, in the mount namespace of its init: an overlay over the host's root or over a
// chosen directory, fresh /proc, /dev, /sys, private /tmp, the pod's /dev/shm, the volumes; then makes it the root.
//
// Over the host's root, what the container must not see (the data directory, keys, password hashes) is hidden by
// entries in a thin layer of the overlay (overlay.h), and file systems mounted below / get an overlay of their own.
// /etc/hosts, resolv.conf and hostname are in that layer too, so they cost no mount.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "node/runtime/codec.h"
#include "node/supervisor/system.h"

namespace stoker::node {

struct RootPlan {
  std::string directory;  ///< the run's own directory in the pod's, for its upper layer
  std::string target;     ///< the root's mount point; several inits may use the same, each in its own mount namespace
  std::string cover;      ///< makeCover's layer for this root
  std::string shm;        ///< the pod's shared /dev/shm
  std::string terminationFile;  ///< bound at the termination message path; empty: none
  std::vector<std::string> masked;
  std::vector<std::pair<std::string, std::string>> cgroups;  ///< shown read-only under /sys/fs/cgroup
  int cgroupVersion = 0;
  bool userNamespace = false;
};

/// Fills `cover` for a root of this kind; `files` are /etc/hosts and its like. Done once per pod for the host's root,
/// once per run for a directory.
Problem prepareCover(const RootFs& root, const std::string& cover,
                     std::vector<std::pair<std::string, std::string>> files, const std::vector<std::string>& masked,
                     bool userNamespace);

/// On success the calling process has the new root as `/` and its working directory.
Problem enterRoot(const RootPlan& plan, const ContainerSpec& spec);

/// mkdir -p inside the current root.
Problem makeWorkingDirectory(const std::string& path, unsigned uid, unsigned gid);

}  // namespace stoker::node
