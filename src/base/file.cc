#include "base/file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace stoker {

Error systemError(std::string_view action, const std::string& path, int error) {
  Reason reason = error == ENOENT                     ? Reason::NotFound
                  : error == EACCES || error == EPERM ? Reason::Forbidden
                                                      : Reason::InternalError;
  return Error(reason, fmt::format("cannot {} {}: {}", action, path, std::strerror(error)));
}

Result<std::string> readFile(const std::string& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return systemError("open", path, errno);
  std::string out;
  char buffer[65536];
  for (;;) {
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      Error error = systemError("read", path, errno);
      ::close(fd);
      return error;
    }
    if (n == 0) break;
    out.append(buffer, n);
  }
  ::close(fd);
  return out;
}

Result<void> writeFileAtomic(const std::string& path, std::string_view content, unsigned mode) {
  std::string temporary = fmt::format("{}.{}.tmp", path, ::getpid());
  int fd = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  if (fd < 0) return systemError("create", temporary, errno);
  auto fail = [&](std::string_view action) -> Error {
    Error error = systemError(action, temporary, errno);
    ::close(fd);
    ::unlink(temporary.c_str());
    return error;
  };
  // Before a byte is in it: the umask may have taken bits away, and a file left over from a crash may have too many.
  if (::fchmod(fd, mode) < 0) return fail("set the mode of");
  while (!content.empty()) {
    ssize_t n = ::write(fd, content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail("write");
    content.remove_prefix(n);
  }
  if (::fsync(fd) < 0) return fail("sync");
  ::close(fd);
  if (::rename(temporary.c_str(), path.c_str()) < 0) {
    Error error = systemError("rename to", path, errno);
    ::unlink(temporary.c_str());
    return error;
  }
  return {};
}

Result<void> makeDirectories(const std::string& path, unsigned mode) {
  for (size_t at = 1; at <= path.size(); ++at) {
    if (at != path.size() && path[at] != '/') continue;
    std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), mode) < 0 && errno != EEXIST) return systemError("create directory", part, errno);
  }
  return {};
}

}  // namespace stoker
