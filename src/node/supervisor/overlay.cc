#include "node/supervisor/overlay.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <sstream>

namespace stoker::node {
namespace {

// File systems that hold people's files; everything else below / (proc, sysfs, tmpfs, ...) is not shown.
constexpr const char* kFileSystems[] = {"ext2",     "ext3",    "ext4", "xfs",     "btrfs", "zfs",     "f2fs",
                                        "bcachefs", "nfs",     "nfs4", "ceph",    "cifs",  "lustre",  "beegfs",
                                        "gpfs",     "overlay", "fuse", "fuseblk", "9p",    "virtiofs"};

std::string escaped(const std::string& path) {
  std::string out;
  for (const char c : path) {
    if (c == ':' || c == ',' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// Creates `path` (relative to both) in `upper` with the owner and mode its namesake in `lower` has.
Problem copyParents(const std::string& lower, const std::string& upper, const std::string& path) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    const std::string made = upper + part;
    struct stat info {};
    if (lstat((lower + part).c_str(), &info) != 0) {
      info.st_mode = S_IFDIR | 0755;
      info.st_uid = info.st_gid = 0;
    } else if (!S_ISDIR(info.st_mode)) {
      return {"a parent is not a directory"};
    }
    if (mkdir(made.c_str(), 0700) != 0) {
      if (errno == EEXIST) continue;
      return systemProblem("cannot create " + made);
    }
    static_cast<void>(!chown(made.c_str(), info.st_uid, info.st_gid));
    chmod(made.c_str(), info.st_mode & 07777);
  }
  return {};
}

/// `path` becomes invisible: a whiteout, overlayfs's mark of a deleted entry. Nothing to do where nothing is.
Problem hide(const std::string& lower, const std::string& upper, const std::string& path) {
  struct stat info {};
  if (lstat((lower + path).c_str(), &info) != 0) return {};
  if (copyParents(lower, upper, path))
    return {};  // reached through a link: its real path is masked, or is not below here
  const std::string mark = upper + path;
  if (mknod(mark.c_str(), S_IFCHR, 0) == 0 || errno == EEXIST) return {};
  return systemProblem("cannot hide " + path);
}

Problem hideMatching(const std::string& lower, const std::string& upper, const std::string& pattern) {
  const size_t star = pattern.find("/*/");
  if (star == std::string::npos) return hide(lower, upper, pattern);
  const std::string parent = pattern.substr(0, star);
  DIR* handle = opendir((lower + parent).c_str());
  if (handle == nullptr) return {};
  Problem problem;
  while (const dirent* entry = readdir(handle)) {
    if (entry->d_name[0] == '.') continue;
    problem = hide(lower, upper, parent + "/" + entry->d_name + pattern.substr(star + 2));
    if (problem) break;
  }
  closedir(handle);
  return problem;
}

bool below(const std::string& path, const std::string& directory) {
  return path.size() > directory.size() && path.compare(0, directory.size(), directory) == 0 &&
         (directory == "/" || path[directory.size()] == '/');
}

/// Octal escapes of /proc/self/mountinfo.
std::string unescaped(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

bool holdsFiles(const std::string& type) {
  const std::string base = type.substr(0, type.find('.'));
  return std::find(std::begin(kFileSystems), std::end(kFileSystems), base) != std::end(kFileSystems);
}

/// Mounts lower + upper at target.
Problem mountLayers(const OverlayPlan& plan, const std::string& lower, const std::string& upper,
                    const std::string& work, const std::string& target, const std::string& cover) {
  const unsigned long flags = plan.devices ? 0 : MS_NODEV;
  const std::string below = (cover.empty() ? "" : escaped(cover) + ":") + escaped(lower);
  // xino: a file keeps its inode number when it is first written to, although cover and lower are two file systems.
  const std::string base = "xino=auto,lowerdir=" + below + ",upperdir=" + escaped(upper) + ",workdir=" + escaped(work) +
                           (plan.userNamespace ? ",userxattr" : "");
  // "volatile": the layer goes with its container, so nobody needs its fsyncs to reach the disk.
  if (mount("overlay", target.c_str(), "overlay", flags, (base + ",volatile").c_str()) == 0) return {};
  return systemProblem("cannot mount an overlay over " + lower);
}

}  // namespace

Problem makeCover(const CoverPlan& plan) {
  const std::string lower = plan.lower == "/" ? "" : plan.lower;  // "/" would double the slash
  if (!makeDirs(plan.cover)) return systemProblem("cannot create " + plan.cover);
  chmod(plan.cover.c_str(), 0755);
  struct stat info {};
  for (const std::string& directory : plan.needed) {
    if (lstat((lower + directory).c_str(), &info) != 0) {
      mkdir((plan.cover + directory).c_str(), 0755);
    } else if (!S_ISDIR(info.st_mode)) {
      return {"root directory " + plan.lower + ": " + directory + " must be a directory"};
    }
  }
  for (const std::string& directory : plan.fresh) {
    if (copyParents(lower, plan.cover, directory)) continue;  // below a link: found at its real place
    const std::string path = plan.cover + directory;
    const bool sticky = directory.size() >= 4 && directory.substr(directory.size() - 4) == "/tmp";
    if (mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return systemProblem("cannot create " + path);
    chmod(path.c_str(), sticky ? 01777 : 0755);
    const char* opaque = plan.userNamespace ? "user.overlay.opaque" : "trusted.overlay.opaque";
    if (setxattr(path.c_str(), opaque, "y", 1, 0) != 0) return systemProblem("cannot hide what is in " + directory);
  }
  for (const std::string& path : plan.masked) {
    // A mark in a directory that is not merged with one below would itself be seen, and there is nothing to hide there.
    const bool gone = std::any_of(plan.fresh.begin(), plan.fresh.end(), [&](const auto& f) { return below(path, f); });
    if (gone) continue;
    if (Problem p = hideMatching(lower, plan.cover, path)) return p;
  }
  for (const auto& [path, content] : plan.files) {
    if (copyParents(lower, plan.cover, path)) continue;
    if (Problem p = writeAll(plan.cover + path, content)) return p;
  }
  return {};
}

Problem mountOverlay(const OverlayPlan& plan) {
  const std::string upper = plan.layers + "/upper";
  const std::string work = plan.layers + "/work";
  if (!makeDirs(upper) || !makeDirs(work, 0700)) return systemProblem("cannot create " + upper);
  const Problem problem = mountLayers(plan, plan.lower, upper, work, plan.target, plan.cover);
  if (!problem || plan.inMemory) return problem;
  // The data directory's file system cannot carry an upper layer (itself an overlay, or NFS): keep the layer in memory.
  OverlayPlan inMemory = plan;
  inMemory.inMemory = true;
  inMemory.layers = plan.layers + "/memory";
  if (!makeDirs(inMemory.layers, 0700)) return problem;
  if (mount("tmpfs", inMemory.layers.c_str(), "tmpfs", 0, "mode=700") != 0) return problem;
  if (mountOverlay(inMemory)) return problem;
  return {};
}

Problem mountPieces(const OverlayPlan& plan) {
  if (mount("root", plan.target.c_str(), "tmpfs", MS_NODEV, "mode=755") != 0)
    return systemProblem("cannot mount " + plan.target);
  DIR* handle = opendir(plan.lower.c_str());
  if (handle == nullptr) return systemProblem("cannot read " + plan.lower);
  int number = 0;
  Problem problem;
  while (const dirent* entry = readdir(handle)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string lower = plan.lower + name;
    const std::string target = plan.target + "/" + name;
    struct stat info {};
    if (lstat(lower.c_str(), &info) != 0) continue;
    if (S_ISLNK(info.st_mode)) {
      char link[PATH_MAX] = {};
      if (readlink(lower.c_str(), link, sizeof link - 1) > 0) static_cast<void>(!symlink(link, target.c_str()));
      continue;
    }
    if (!S_ISDIR(info.st_mode)) continue;
    mkdir(target.c_str(), 0755);
    const bool fresh = name == "tmp" || name == "run";
    if (fresh) chmod(target.c_str(), name == "tmp" ? 01777 : 0755);
    if (fresh || name == "proc" || name == "sys" || name == "dev") continue;
    const std::string upper = plan.layers + "/upper-" + std::to_string(++number);
    const std::string work = plan.layers + "/work-" + std::to_string(number);
    if (!makeDirs(upper) || !makeDirs(work, 0700)) problem = systemProblem("cannot create " + upper);
    chmod(upper.c_str(), info.st_mode & 07777);
    const std::string cover = plan.cover + "/" + name;
    // A piece with something mounted in it, or that this user may not read, stays an empty directory.
    static_cast<void>(mountLayers(plan, lower, upper, work, target, access(cover.c_str(), F_OK) == 0 ? cover : ""));
  }
  closedir(handle);
  return problem;
}

Problem mountOverlaysBelow(const OverlayPlan& plan) {
  std::istringstream mounts(readAll("/proc/self/mountinfo"));
  std::string line;
  int number = 0;
  while (std::getline(mounts, line)) {
    std::istringstream words(line);
    std::string id, parent, device, root, point, word, type;
    words >> id >> parent >> device >> root >> point;
    while (words >> word && word != "-") {
    }
    words >> type;
    point = unescaped(point);
    if (!below(point, plan.lower) || !holdsFiles(type)) continue;
    bool hidden = below(point, plan.layers) || below(point, "/proc") || below(point, "/sys") || below(point, "/dev") ||
                  below(point, "/run") || below(point, "/tmp");
    for (const std::string& masked : plan.masked) hidden = hidden || point == masked || below(point, masked);
    if (hidden) continue;
    const std::string target = plan.target + point;
    struct stat info {};
    if (stat(point.c_str(), &info) != 0) continue;
    if (!S_ISDIR(info.st_mode)) {
      // A file bound onto a file (as container engines do with /etc/hosts), unless it is one of ours.
      const bool ours = access((plan.cover + point).c_str(), F_OK) == 0;
      if (!ours && mount(point.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) == 0) {
        mount(nullptr, target.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODEV, nullptr);
      }
      continue;
    }
    const std::string upper = plan.layers + "/upper-" + std::to_string(++number);
    const std::string work = plan.layers + "/work-" + std::to_string(number);
    if (!makeDirs(upper) || !makeDirs(work, 0700)) return systemProblem("cannot create " + upper);
    static_cast<void>(!chown(upper.c_str(), info.st_uid, info.st_gid));
    chmod(upper.c_str(), info.st_mode & 07777);
    for (const std::string& path : plan.masked) {
      const size_t star = path.find("/*/");
      const std::string prefix = star == std::string::npos ? path : path.substr(0, star + 1);
      if (!below(prefix, point)) continue;
      if (Problem p = hideMatching(point, upper, path.substr(point.size()))) return p;
    }
    // A mount that vanished, or a file system overlayfs cannot use: its place stays an empty directory.
    static_cast<void>(mountLayers(plan, point, upper, work, target, ""));
  }
  return {};
}

}  // namespace stoker::node
