#include "node/agent/disk_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"

namespace stoker::node {
namespace {

namespace fs = std::filesystem;
constexpr long kTmpfsMagic = 0x01021994;
constexpr const char* kData = "..data";

Error system(std::string_view action, const std::string& path) { return systemError(action, path, errno); }

/// Mode beyond the umask, and the group with the setgid bit so that what is made inside belongs to it too.
Result<void> own(const std::string& path, unsigned mode, std::optional<int64_t> group, bool directory) {
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*group)) != 0 && errno != EPERM)
    return system("change the group of", path);
  if (group) mode |= directory ? 02070u : 0040u;
  if (::chmod(path.c_str(), mode) != 0 && errno != EPERM) return system("change the mode of", path);
  return {};
}

bool isTmpfs(const std::string& path) {
  struct statfs own {};
  struct stat self {
  }, parent{};
  if (::statfs(path.c_str(), &own) != 0 || own.f_type != kTmpfsMagic) return false;
  return ::stat(path.c_str(), &self) == 0 && ::stat((path + "/..").c_str(), &parent) == 0 &&
         self.st_dev != parent.st_dev;
}

Result<void> writeNew(const std::string& path, std::string_view content, unsigned mode) {
  int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return system("write", path);
  while (!content.empty()) {
    ssize_t count = ::write(fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      Error error = system("write", path);
      ::close(fd);
      return error;
    }
    content.remove_prefix(static_cast<size_t>(count));
  }
  ::fchmod(fd, mode);
  ::close(fd);
  return {};
}

/// Whether `directory` holds exactly these files with these contents and modes.
bool holds(const std::string& directory, const std::vector<VolumeFile>& files, std::optional<int64_t> group) {
  std::error_code error;
  size_t count = 0;
  for (auto it = fs::recursive_directory_iterator(directory, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error))
    count += it->is_regular_file(error);
  if (error || count != files.size()) return false;
  for (const VolumeFile& file : files) {
    struct stat info {};
    std::string path = directory + "/" + file.path;
    unsigned mode = file.mode | (group ? 0040u : 0u);
    if (::stat(path.c_str(), &info) != 0 || (info.st_mode & 07777u) != mode) return false;
    auto content = readFile(path);
    if (!content.ok() || *content != file.content) return false;
  }
  return true;
}

}  // namespace

Result<void> DiskFiles::makeDirectory(const std::string& path, unsigned mode, std::optional<int64_t> group) {
  STOKER_CHECK(makeDirectories(path, 0755));
  return own(path, mode, group, true);
}

bool mountIsShared(const std::string& mountInfo, const std::string& path) {
  size_t longest = 0;
  bool shared = false;
  for (std::string_view line : split(mountInfo, '\n')) {
    // "36 35 98:0 /root /mount/point options optional... - type source options"; optional fields name the peer group.
    auto words = split(line, ' ');
    if (words.size() < 7) continue;
    std::string_view point = words[4];
    bool holds = point == "/" || path == point || (path.starts_with(point) && path[point.size()] == '/');
    if (!holds || point.size() < longest) continue;
    longest = point.size();
    shared = false;
    for (size_t i = 6; i < words.size() && words[i] != "-"; ++i) shared = shared || words[i].starts_with("shared:");
  }
  return shared;
}

Result<bool> DiskFiles::makeMemoryDirectory(const std::string& path, int64_t sizeBytes, std::optional<int64_t> group) {
  STOKER_CHECK(makeDirectories(path, 0755));
  bool mounted = isTmpfs(path);
  if (!mounted) {
    STOKER_TRY(std::string mounts, readFile("/proc/self/mountinfo"));
    if (mountIsShared(mounts, path)) {
      std::string data = "mode=0777";
      if (sizeBytes > 0) data += fmt::format(",size={}", sizeBytes);
      mounted = ::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, data.c_str()) == 0;
      if (!mounted && errno != EPERM) return system("mount a tmpfs at", path);
    }
  }
  STOKER_CHECK(own(path, 0777, group, true));
  return mounted;
}

Result<void> DiskFiles::writeVolume(const std::string& directory, const std::vector<VolumeFile>& files,
                                    std::optional<int64_t> group) {
  STOKER_CHECK(makeDirectories(directory, 0755));
  std::string link = directory + "/" + kData;
  std::error_code error;
  std::string current = fs::read_symlink(link, error).string();
  if (!current.empty() && holds(directory + "/" + current, files, group)) return {};

  // AtomicWriter: a new directory beside the old one, the link renamed over, the old one deleted.
  // A directory of that name may have been left by a crash.
  std::string stamped = current == "..1" ? "..2" : "..1";
  removeDirectory(directory + "/" + stamped);
  std::string target = directory + "/" + stamped;
  STOKER_CHECK(makeDirectories(target, 0755));
  std::set<std::string> tops;
  for (const VolumeFile& file : files) {
    std::string path = target + "/" + file.path;
    STOKER_CHECK(makeDirectories(path.substr(0, path.rfind('/')), 0755));
    STOKER_CHECK(writeNew(path, file.content, file.mode));
    STOKER_CHECK(own(path, file.mode, group, false));
    tops.insert(file.path.substr(0, file.path.find('/')));
  }
  std::string temporary = directory + "/..data_tmp";
  ::unlink(temporary.c_str());
  if (::symlink(stamped.c_str(), temporary.c_str()) != 0) return system("link", temporary);
  if (::rename(temporary.c_str(), link.c_str()) != 0) return system("rename over", link);
  for (const std::string& name : tops) {
    std::string visible = directory + "/" + name;
    std::string to = std::string(kData) + "/" + name;
    if (fs::read_symlink(visible, error).string() == to) continue;
    if (::symlink(to.c_str(), visible.c_str()) != 0) return system("link", visible);
  }
  for (const std::string& name : entries(directory)) {
    if (name == kData || name == stamped) continue;
    if (name.starts_with(".."))
      removeDirectory(directory + "/" + name);
    else if (!tops.contains(name))
      ::unlink((directory + "/" + name).c_str());
  }
  return {};
}

Result<void> DiskFiles::prepareHostPath(const std::string& path, const std::string& type) {
  struct stat info {};
  bool exists = ::stat(path.c_str(), &info) == 0;
  auto wrong = [&](const char* what) {
    return Error(Reason::NotFound, fmt::format("hostPath type check failed: {} is not {}", path, what));
  };
  if (type.empty()) {
    // Upstream leaves this to the runtime, which makes a directory where nothing is.
    if (!exists) return makeDirectories(path, 0755);
    return {};
  }
  if (type == "DirectoryOrCreate") {
    if (!exists) return makeDirectories(path, 0755);
    if (!S_ISDIR(info.st_mode)) return wrong("a directory");
    return {};
  }
  if (type == "FileOrCreate") {
    if (!exists) return writeNew(path, "", 0644);
    if (!S_ISREG(info.st_mode)) return wrong("a file");
    return {};
  }
  if (type == "Directory" && !(exists && S_ISDIR(info.st_mode))) return wrong("a directory");
  if (type == "File" && !(exists && S_ISREG(info.st_mode))) return wrong("a file");
  if (type == "Socket" && !(exists && S_ISSOCK(info.st_mode))) return wrong("a socket file");
  if (type == "CharDevice" && !(exists && S_ISCHR(info.st_mode))) return wrong("a character device");
  if (type == "BlockDevice" && !(exists && S_ISBLK(info.st_mode))) return wrong("a block device");
  return {};
}

Result<std::string> DiskFiles::subPath(const std::string& volume, const std::string& relative) {
  // The pod may have put links into the volume: none of them may lead out of it.
  std::error_code error;
  fs::path root = fs::canonical(volume, error);
  if (error) return Error(Reason::NotFound, fmt::format("{} does not exist: {}", volume, error.message()));
  fs::path target = fs::weakly_canonical(root / relative, error);
  std::string text = target.string();
  if (error || (text != root.string() && !text.starts_with(root.string() + "/")))
    return Error(Reason::Invalid, fmt::format("subPath \"{}\" leads out of its volume", relative));
  if (!fs::exists(target, error)) {
    STOKER_CHECK(makeDirectories(text, 0755));
    // As its volume: a pod of another user may write there.
    struct stat info {};
    if (::stat(volume.c_str(), &info) == 0) {
      ::chmod(text.c_str(), info.st_mode & 07777u);
      (void)!::chown(text.c_str(), info.st_uid, info.st_gid);
    }
  }
  return text;
}

void DiskFiles::unmountBelow(const std::string& path) {
  auto mounts = readFile("/proc/self/mounts");
  if (!mounts.ok()) return;
  std::vector<std::string> targets;
  for (std::string_view line : split(*mounts, '\n')) {
    auto words = split(line, ' ');
    if (words.size() > 2 && words[2] == "tmpfs" && (words[1] == path || words[1].starts_with(path + "/")))
      targets.emplace_back(words[1]);
  }
  for (auto it = targets.rbegin(); it != targets.rend(); ++it)
    if (::umount2(it->c_str(), MNT_DETACH) != 0) log::warn("node", "cannot unmount {}: {}", *it, std::strerror(errno));
}

void DiskFiles::removeDirectory(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) log::warn("node", "cannot delete {}: {}", path, error.message());
}

void DiskFiles::removeFiles(const std::string& directory, const std::string& prefix) {
  for (const std::string& name : entries(directory))
    if (name.starts_with(prefix)) ::unlink((directory + "/" + name).c_str());
}

std::vector<std::string> DiskFiles::entries(const std::string& directory) {
  std::vector<std::string> out;
  DIR* dir = ::opendir(directory.c_str());
  if (!dir) return out;
  while (dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name;
    if (name != "." && name != "..") out.push_back(std::move(name));
  }
  ::closedir(dir);
  return out;
}

bool DiskFiles::isDirectory(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

}  // namespace stoker::node
