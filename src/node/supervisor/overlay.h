// overlay.h
//
// The writable layer of a container over a directory it must not change, and what it must not see of it.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "node/supervisor/system.h"

namespace stoker::node {

struct OverlayPlan {
  std::string lower;   ///< the directory below
  std::string layers;  ///< where upper and work directories are made
  std::string target;  ///< the mount point
  std::vector<std::pair<std::string, std::string>> files;  ///< {absolute path, content} laid over the lower layer
  std::vector<std::string> masked;            ///< absolute paths that do not exist above; a trailing "/*/X" names X in each child
  std::vector<std::string> emptyDirectories;  ///< made when the lower layer lacks them (mount points)
  bool userNamespace = false;
  bool devices = false;  ///< device files on it work
  bool inMemory = false;  ///< `layers` is a tmpfs already
};

Problem mountOverlay(const OverlayPlan& plan);
/// File systems mounted below the lower directory: an overlay each, at the same place below the target.
Problem mountOverlaysBelow(const OverlayPlan& plan);

}  // namespace stoker::node
