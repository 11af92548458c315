#include "node/supervisor/rootfs.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "node/supervisor/overlay.h"

namespace stoker::node {
namespace {

constexpr const char* kDeviceNodes[] = {"null", "zero", "full", "random", "urandom", "tty"};
// Docker's masked and read-only paths in /proc.
constexpr const char* kMaskedProc[] = {"/proc/acpi",       "/proc/asound",        "/proc/interrupts",  "/proc/kcore",
                                       "/proc/keys",       "/proc/latency_stats", "/proc/sched_debug", "/proc/scsi",
                                       "/proc/timer_list", "/proc/timer_stats"};
constexpr const char* kReadOnlyProc[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

Problem mountAt(const std::string& source, const std::string& target, const char* type, unsigned long flags,
                const std::string& data = "") {
  if (mount(source.c_str(), target.c_str(), type, flags, data.empty() ? nullptr : data.c_str()) == 0) return {};
  return systemProblem("cannot mount " + (type != nullptr ? std::string(type) : source) + " at " + target);
}

/// Adds `set` to the flags of the mount at `fdPath`, and of everything below it when `recursive`.
bool restrictMount(const std::string& path, uint64_t set, bool recursive) {
  mount_attr attributes{};
  attributes.attr_set = set;
  return syscall(SYS_mount_setattr, AT_FDCWD, path.c_str(), recursive ? AT_RECURSIVE : 0, &attributes,
                 sizeof attributes) == 0;
}

/// Opens `path` inside `root`: links, absolute ones too, are followed within it and never out of it.
int openInside(int root, const std::string& path, uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(syscall(SYS_openat2, root, path.c_str(), &how, sizeof how));
}

/// The directory `path` inside `root`, created with its parents when missing; -1 with errno.
int makeInside(int root, const std::string& path) {
  int fd = openInside(root, path, O_PATH | O_DIRECTORY);
  if (fd >= 0 || errno != ENOENT) return fd;
  const size_t slash = path.find_last_of('/');
  const std::string parent = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  const int parentFd = makeInside(root, parent);
  if (parentFd < 0) return -1;
  const bool made = name.empty() || mkdirat(parentFd, name.c_str(), 0755) == 0 || errno == EEXIST;
  close(parentFd);
  return made ? openInside(root, path, O_PATH | O_DIRECTORY) : -1;
}

/// A mount point of the right kind at `path` inside `root`; -1 with errno.
int makeTarget(int root, const std::string& path, bool directory) {
  if (directory) return makeInside(root, path);
  int fd = openInside(root, path, O_PATH);
  if (fd >= 0 || errno != ENOENT) return fd;
  const size_t slash = path.find_last_of('/');
  const int parentFd = makeInside(root, slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash));
  if (parentFd < 0) return -1;
  const std::string name = path.substr(slash == std::string::npos ? 0 : slash + 1);
  unlinkat(parentFd, name.c_str(), 0);  // only a dangling link can be there
  const int created = openat(parentFd, name.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
  close(parentFd);
  if (created < 0) return -1;
  close(created);
  return openInside(root, path, O_PATH);
}

std::string descriptorPath(int fd) { return "/proc/self/fd/" + std::to_string(fd); }

Problem mountVolume(int root, const Mount& volume) {
  const bool tmpfs = volume.kind == Mount::Kind::Tmpfs;
  struct stat info {};
  if (!tmpfs && stat(volume.source.c_str(), &info) != 0) return systemProblem("mount source " + volume.source);
  const bool directory = tmpfs || S_ISDIR(info.st_mode);
  const int target = makeTarget(root, volume.target, directory);
  if (target < 0) return systemProblem("cannot create mount point " + volume.target);
  const std::string at = descriptorPath(target);
  Problem problem;
  if (tmpfs) {
    std::string options = "mode=1777";
    if (volume.sizeBytes > 0) options += ",size=" + std::to_string(volume.sizeBytes);
    problem = mountAt("tmpfs", at, "tmpfs", MS_NOSUID | MS_NODEV | (volume.readOnly ? MS_RDONLY : 0), options);
  } else {
    problem = mountAt(volume.source, at, nullptr, MS_BIND | MS_REC);
  }
  close(target);
  if (problem) return {"mounting " + volume.target + ": " + problem.text};
  if (!tmpfs) {
    // Device nodes in a volume are useless to a container, unless the volume is one.
    const bool devices = volume.source.rfind("/dev/", 0) == 0;
    const uint64_t flags = (volume.readOnly ? MOUNT_ATTR_RDONLY : 0) | (devices ? 0 : MOUNT_ATTR_NODEV);
    const int mounted = openInside(root, volume.target, O_PATH);
    const bool restricted = mounted >= 0 && (flags == 0 || restrictMount(descriptorPath(mounted), flags, true));
    const Problem failed = systemProblem("cannot restrict mount " + volume.target);
    if (mounted >= 0) close(mounted);
    if (!restricted) return failed;
  }
  return {};
}

Problem bindFile(int root, const std::string& source, const std::string& target) {
  const int fd = makeTarget(root, target, false);
  if (fd < 0) return systemProblem("cannot create mount point " + target);
  const Problem problem = mountAt(source, descriptorPath(fd), nullptr, MS_BIND);
  close(fd);
  return problem;
}

Problem mountDevices(const std::string& root, const RootPlan& plan, const ContainerSpec& spec) {
  const std::string dev = root + "/dev";
  if (spec.privileged) {
    if (Problem p = mountAt("/dev", dev, nullptr, MS_BIND | MS_REC)) return p;
  } else {
    if (Problem p = mountAt("tmpfs", dev, "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME, "mode=755,size=65536k"))
      return p;
    const int rootFd = open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    Problem problem;
    for (const char* node : kDeviceNodes) {
      const std::string path = std::string("/dev/") + node;
      if (access(path.c_str(), F_OK) != 0) continue;
      if ((problem = bindFile(rootFd, path, path))) break;
    }
    close(rootFd);
    if (problem) return problem;
    mkdir((dev + "/pts").c_str(), 0755);
    mkdir((dev + "/shm").c_str(), 01777);
    mkdir((dev + "/mqueue").c_str(), 01777);
    static_cast<void>(!symlink("/proc/self/fd", (dev + "/fd").c_str()));
    static_cast<void>(!symlink("/proc/self/fd/0", (dev + "/stdin").c_str()));
    static_cast<void>(!symlink("/proc/self/fd/1", (dev + "/stdout").c_str()));
    static_cast<void>(!symlink("/proc/self/fd/2", (dev + "/stderr").c_str()));
    static_cast<void>(!symlink("pts/ptmx", (dev + "/ptmx").c_str()));
  }
  if (Problem p =
          mountAt("devpts", dev + "/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620")) {
    return p;
  }
  if (Problem p = mountAt(plan.shm, dev + "/shm", nullptr, MS_BIND)) return p;
  // Absent from kernels without POSIX message queues; nobody misses it there.
  mount("mqueue", (dev + "/mqueue").c_str(), "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  return {};
}

Problem mountKernelFiles(const std::string& root, const RootPlan& plan, const ContainerSpec& spec) {
  constexpr unsigned long kQuiet = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (Problem p = mountAt("proc", root + "/proc", "proc", kQuiet)) return p;
  if (plan.userNamespace) {
    // A user namespace may mount sysfs only with a network namespace of its own; the host's, read-only, is as good.
    if (Problem p = mountAt("/sys", root + "/sys", nullptr, MS_BIND | MS_REC)) return p;
    restrictMount(root + "/sys", MOUNT_ATTR_RDONLY, true);
    return {};
  }
  if (Problem p = mountAt("sysfs", root + "/sys", "sysfs", kQuiet | (spec.privileged ? 0 : MS_RDONLY))) return p;
  const std::string at = root + "/sys/fs/cgroup";
  if (plan.cgroupVersion == 2 && !plan.cgroups.empty()) {
    if (Problem p = mountAt(plan.cgroups[0].second, at, nullptr, MS_BIND)) return p;
    restrictMount(at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, false);
  } else if (plan.cgroupVersion == 1) {
    if (Problem p = mountAt("tmpfs", at, "tmpfs", kQuiet, "mode=755,size=64k")) return p;
    for (const auto& [name, directory] : plan.cgroups) {
      mkdir((at + "/" + name).c_str(), 0755);
      if (Problem p = mountAt(directory, at + "/" + name, nullptr, MS_BIND)) return p;
    }
    restrictMount(at, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, true);
  }
  return {};
}

/// After the root has changed: hides what Docker hides of /proc.
Problem maskProc(const RootPlan& plan) {
  struct stat info {};
  for (const char* path : kReadOnlyProc) {
    if (stat(path, &info) != 0) continue;
    if (mount(path, path, nullptr, MS_BIND | MS_REC, nullptr) == 0) restrictMount(path, MOUNT_ATTR_RDONLY, true);
  }
  for (const char* path : kMaskedProc) {
    if (stat(path, &info) != 0) continue;
    const bool directory = S_ISDIR(info.st_mode);
    const int failed = directory ? mount("tmpfs", path, "tmpfs", MS_RDONLY, "size=0")
                                 : mount("/dev/null", path, nullptr, MS_BIND, nullptr);
    if (failed != 0 && !plan.userNamespace) return systemProblem(std::string("cannot mask ") + path);
  }
  return {};
}

}  // namespace

Problem prepareCover(const RootFs& root, const std::string& cover,
                     std::vector<std::pair<std::string, std::string>> files, const std::vector<std::string>& masked,
                     bool userNamespace) {
  CoverPlan plan;
  plan.cover = cover;
  plan.files = std::move(files);
  plan.needed = {"/proc", "/sys", "/dev", "/etc"};
  plan.userNamespace = userNamespace;
  if (root.kind == RootFs::Kind::Host) {
    plan.lower = "/";
    plan.masked = masked;
    // The host's sockets (container engines, D-Bus, databases) live in /run.
    if (!userNamespace) plan.fresh = {"/tmp", "/var/tmp", "/run"};  // mountPieces starts them empty
  } else {
    plan.lower = root.directory;
    struct stat info {};
    if (stat(plan.lower.c_str(), &info) != 0) return systemProblem("root directory " + plan.lower);
    if (!S_ISDIR(info.st_mode)) return {"root directory " + plan.lower + " is not a directory"};
    if (lstat((plan.lower + "/tmp").c_str(), &info) != 0) plan.fresh = {"/tmp"};
  }
  return makeCover(plan);
}

Problem enterRoot(const RootPlan& plan, const ContainerSpec& spec) {
  // Nothing mounted here may travel back to the host.
  if (Problem p = mountAt("none", "/", nullptr, MS_REC | MS_PRIVATE)) return p;
  const std::string& root = plan.target;
  const bool host = spec.root.kind == RootFs::Kind::Host;
  OverlayPlan overlay;
  overlay.lower = host ? "/" : spec.root.directory;
  overlay.cover = plan.cover;
  overlay.layers = plan.directory;
  overlay.target = root;
  overlay.masked = plan.masked;
  overlay.userNamespace = plan.userNamespace;
  overlay.devices = spec.privileged;
  const bool pieces = host && plan.userNamespace;
  if (Problem p = pieces ? mountPieces(overlay) : mountOverlay(overlay)) return p;
  if (host && !pieces) {
    if (Problem p = mountOverlaysBelow(overlay)) return p;
  }
  if (Problem p = mountKernelFiles(root, plan, spec)) return p;
  if (Problem p = mountDevices(root, plan, spec)) return p;

  const int rootFd = open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (rootFd < 0) return systemProblem("cannot open " + root);
  for (const std::string& device : spec.privileged ? std::vector<std::string>{} : spec.devices) {
    if (Problem p = bindFile(rootFd, device, device)) return {"device " + device + ": " + p.text};
  }
  for (const Mount& volume : spec.mounts) {
    if (Problem p = mountVolume(rootFd, volume)) return p;
  }
  if (!plan.terminationFile.empty()) {
    if (Problem p = bindFile(rootFd, plan.terminationFile, spec.terminationMessagePath)) return p;
  }
  if (!spec.workingDir.empty() && spec.root.readOnly) {
    const int directory = makeInside(rootFd, spec.workingDir);  // the last moment it can be made
    if (directory >= 0) close(directory);
  }
  close(rootFd);
  if (spec.root.readOnly && !restrictMount(root, MOUNT_ATTR_RDONLY, false)) {
    return systemProblem("cannot make the root read-only");
  }
  if (chdir(root.c_str()) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
    return systemProblem("cannot change the root");
  if (umount2(".", MNT_DETACH) != 0) return systemProblem("cannot leave the host's root");
  if (chdir("/") != 0) return systemProblem("cannot enter /");
  if (!spec.privileged) return maskProc(plan);
  return {};
}

Problem makeWorkingDirectory(const std::string& path, unsigned uid, unsigned gid) {
  struct stat info {};
  if (stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode)) return {};
    return {"working directory " + path + " is not a directory"};
  }
  if (!makeDirs(path)) return systemProblem("cannot create working directory " + path);
  static_cast<void>(!chown(path.c_str(), uid, gid));
  return {};
}

}  // namespace stoker::node
