// volumes.h: what a pod's volumes consist of, as a plan: directories, tmpfs and files with their content. Pure; files.h
// carries it out.
#pragma once

#include "node/agent/environment.h"
#include "node/agent/files.h"

namespace stoker::node {

struct VolumePlan {
  enum class Kind { Directory, Memory, HostPath, Files };
  std::string name;
  Kind kind = Kind::Directory;
  std::string path;           ///< on the host
  std::string hostPathType;   ///< HostPath
  int64_t sizeBytes = 0;      ///< Memory; 0: half of the machine's memory
  int users = 0;              ///< containers that mount it
  bool perContainer = false;  ///< Memory that could not be mounted for the pod: a tmpfs of its only container's own
  std::vector<VolumeFile> files;
};

/// The volumes of a pod under `root`, in order; those with content from the API under `memoryRoot`. NotFound: a
/// ConfigMap, Secret or key that is not optional is missing; Invalid: a volume type that this node does not have, a
/// path that leaves its volume.
Result<std::vector<VolumePlan>> planVolumes(const podspec::Pod& pod, const PodFacts& facts, const std::string& root,
                                            const std::string& memoryRoot);

/// Only volumes whose content comes from the API, for refreshing them while the pod runs.
bool hasApiContent(const VolumePlan& plan);

/// Carries out one plan. `group` is the pod's fsGroup. Memory that cannot be shared becomes the container's own when
/// only one uses it (it then goes with a restart), otherwise a directory on disk.
Result<void> applyVolume(Files& files, VolumePlan& plan, std::optional<int64_t> group);

/// The mounts of one container. Invalid: an unknown volume, a bad subPath.
Result<std::vector<Mount>> containerMounts(Files& files, const podspec::Container& container,
                                           const std::vector<VolumePlan>& volumes, const Environment& environment);

}  // namespace stoker::node
