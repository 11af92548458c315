// files.h: what the agent does to the file system, as one small interface: disk_files.h does it, NoFiles (simulated
// nodes and the simulator) only says yes. All paths are absolute.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace stoker::node {

struct VolumeFile {
  std::string path;  ///< relative, may have sub-directories
  std::string content;
  unsigned mode = 0644;
  bool operator==(const VolumeFile&) const = default;
};

class Files {
 public:
  virtual ~Files() = default;
  /// mkdir -p with `mode` on the last directory; `group` owns it (setgid) when given.
  virtual Result<void> makeDirectory(const std::string& path, unsigned mode, std::optional<int64_t> group) = 0;
  /// A tmpfs at `path`, once; `sizeBytes` 0: half of the memory. False when containers could not see it (no privilege
  /// to mount, or mounts made here do not reach the pods' namespaces): a plain directory is there instead.
  virtual Result<bool> makeMemoryDirectory(const std::string& path, int64_t sizeBytes,
                                           std::optional<int64_t> group) = 0;
  /// Makes `directory` hold exactly `files`, swapped in at once as kubelet's AtomicWriter does: ..data is a link to the
  /// directory with the present state, every top-level name a link into ..data. Nothing happens when nothing changed.
  virtual Result<void> writeVolume(const std::string& directory, const std::vector<VolumeFile>& files,
                                   std::optional<int64_t> group) = 0;
  /// Checks or creates a hostPath by its type ("", DirectoryOrCreate, Directory, FileOrCreate, File, Socket,
  /// CharDevice, BlockDevice). NotFound with upstream's text ("hostPath type check failed: /x is not a directory").
  virtual Result<void> prepareHostPath(const std::string& path, const std::string& type) = 0;
  /// The path of `relative` within `volume`, made as a directory when missing. Invalid when it leaves the volume.
  virtual Result<std::string> subPath(const std::string& volume, const std::string& relative) = 0;
  /// Unmounts every tmpfs at and below `path`.
  virtual void unmountBelow(const std::string& path) = 0;
  /// Deletes the directory with all it holds; missing is fine.
  virtual void removeDirectory(const std::string& path) = 0;
  /// Deletes the files in `directory` whose names begin with `prefix`.
  virtual void removeFiles(const std::string& directory, const std::string& prefix) = 0;
  /// Names in a directory; empty when it does not exist.
  virtual std::vector<std::string> entries(const std::string& directory) = 0;
  virtual bool isDirectory(const std::string& path) = 0;
};

/// Does nothing and succeeds.
class NoFiles final : public Files {
 public:
  Result<void> makeDirectory(const std::string&, unsigned, std::optional<int64_t>) override { return {}; }
  Result<bool> makeMemoryDirectory(const std::string&, int64_t, std::optional<int64_t>) override { return true; }
  Result<void> writeVolume(const std::string&, const std::vector<VolumeFile>&, std::optional<int64_t>) override {
    return {};
  }
  Result<void> prepareHostPath(const std::string&, const std::string&) override { return {}; }
  Result<std::string> subPath(const std::string& volume, const std::string& relative) override {
    return volume + "/" + relative;
  }
  void unmountBelow(const std::string&) override {}
  void removeDirectory(const std::string&) override {}
  void removeFiles(const std::string&, const std::string&) override {}
  std::vector<std::string> entries(const std::string&) override { return {}; }
  bool isDirectory(const std::string&) override { return true; }
};

}  // namespace stoker::node
