#include "node/supervisor/system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace stoker::node {

Problem systemProblem(const std::string& what) { return {what + ": " + std::strerror(errno)}; }

std::string readAll(const std::string& path, size_t limit) {
  std::string out;
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return out;
  char buffer[16 << 10];
  while (out.size() < limit) {
    const ssize_t n = read(fd, buffer, std::min(sizeof buffer, limit - out.size()));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    out.append(buffer, static_cast<size_t>(n));
  }
  close(fd);
  return out;
}

Problem writeAll(const std::string& path, std::string_view content, unsigned mode) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return systemProblem("cannot create " + path);
  while (!content.empty()) {
    const ssize_t n = write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const Problem problem = systemProblem("cannot write " + path);
      close(fd);
      return problem;
    }
    content.remove_prefix(static_cast<size_t>(n));
  }
  close(fd);
  return {};
}

bool writeExisting(const std::string& path, std::string_view content) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t n = write(fd, content.data(), content.size());
  const int error = errno;
  close(fd);
  errno = error;
  return n == static_cast<ssize_t>(content.size());
}

bool makeDirs(const std::string& path, unsigned mode) {
  if (mkdir(path.c_str(), mode) == 0) return true;
  if (errno == EEXIST) {
    struct stat info {};
    return stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
  }
  const size_t slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0) return false;
  return makeDirs(path.substr(0, slash), mode) && (mkdir(path.c_str(), mode) == 0 || errno == EEXIST);
}

namespace {

void removeAt(int parent, const char* name, dev_t device) {
  if (unlinkat(parent, name, 0) == 0 || (errno != EISDIR && errno != EPERM)) return;
  const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || fstat(fd, &info) != 0 || (device != 0 && info.st_dev != device)) {
    if (fd >= 0) close(fd);
    return;
  }
  DIR* handle = fdopendir(fd);
  if (handle == nullptr) {
    close(fd);
    return;
  }
  while (const dirent* entry = readdir(handle)) {
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    removeAt(fd, entry->d_name, info.st_dev);
  }
  closedir(handle);
  unlinkat(parent, name, AT_REMOVEDIR);
}

}  // namespace

void removeTree(const std::string& path) { removeAt(AT_FDCWD, path.c_str(), 0); }

long long wallNanos() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

long long monotonicNanos() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

long long processStart(int pid) {
  const std::string stat = readAll("/proc/" + std::to_string(pid) + "/stat", 4096);
  // The command name may hold spaces and brackets; fields are counted from behind it (the state is field 3).
  size_t at = stat.rfind(')');
  if (at == std::string::npos) return 0;
  for (int field = 2; field < 22; ++field) {
    at = stat.find(' ', at + 1);
    if (at == std::string::npos) return 0;
  }
  return std::atoll(stat.c_str() + at + 1);
}

}  // namespace stoker::node
