// disk_files.h: Files on this machine's disk.
#pragma once

#include "node/agent/files.h"

namespace stoker::node {

class DiskFiles final : public Files {
 public:
  Result<void> makeDirectory(const std::string& path, unsigned mode, std::optional<int64_t> group) override;
  Result<bool> makeMemoryDirectory(const std::string& path, int64_t sizeBytes, std::optional<int64_t> group) override;
  Result<void> writeVolume(const std::string& directory, const std::vector<VolumeFile>& files,
                           std::optional<int64_t> group) override;
  Result<void> prepareHostPath(const std::string& path, const std::string& type) override;
  Result<std::string> subPath(const std::string& volume, const std::string& relative) override;
  void unmountBelow(const std::string& path) override;
  void removeDirectory(const std::string& path) override;
  void removeFiles(const std::string& directory, const std::string& prefix) override;
  std::vector<std::string> entries(const std::string& directory) override;
  bool isDirectory(const std::string& path) override;
};

/// Whether mounts made at `path` reach mount namespaces made earlier: the mount that holds it is shared. `mountInfo` as
/// in /proc/self/mountinfo.
bool mountIsShared(const std::string& mountInfo, const std::string& path);

}  // namespace stoker::node
