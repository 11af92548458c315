// overlay.h
//
// The writable layer of a container over a directory it must not change, and a thin layer between the two: the files
// the platform puts over what is below, and marks that hide what the container must not see of it. The thin layer is in
// memory and shared by a pod's containers over the same directory.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "node/supervisor/system.h"

namespace stoker::node {

struct CoverPlan {
  std::string lower;                                       ///< what it will cover
  std::string cover;                                       ///< the directory to fill
  std::vector<std::pair<std::string, std::string>> files;  ///< {absolute path, content}
  std::vector<std::string> masked;  ///< absolute paths that shall not exist; in "A/*/B" the star is each entry of A
  std::vector<std::string> fresh;   ///< directories that begin empty, whatever is below
  std::vector<std::string> needed;  ///< directories made when there is none (mount points)
  bool userNamespace = false;
};

Problem makeCover(const CoverPlan& plan);

struct OverlayPlan {
  std::string lower;                ///< the directory below
  std::string cover;                ///< makeCover's; empty: none
  std::string layers;               ///< where upper and work directories are made
  std::string target;               ///< the mount point
  std::vector<std::string> masked;  ///< as in CoverPlan; for mountOverlaysBelow
  bool userNamespace = false;
  bool devices = false;   ///< device files on it work
  bool inMemory = false;  ///< `layers` is a tmpfs already
};

Problem mountOverlay(const OverlayPlan& plan);
/// For the host's root in a user namespace, where the kernel refuses an overlay over anything that has mounts below: a
/// root in memory with an overlay over each directory of `lower`.
Problem mountPieces(const OverlayPlan& plan);
/// File systems mounted below the lower directory: an overlay each, at the same place below the target.
Problem mountOverlaysBelow(const OverlayPlan& plan);

}  // namespace stoker::node
