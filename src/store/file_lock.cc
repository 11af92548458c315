#include "store/file_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::store {
namespace {

std::string resolved(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  if (!real) return path;  // it does not exist yet
  std::string out = real;
  ::free(real);
  return out;
}

}  // namespace

Result<std::unique_ptr<FileLock>> FileLock::acquire(const std::string& path) {
  std::string name = resolved(path) + ".lock";
  int descriptor = ::open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return systemError("open", name, errno);
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    int error = errno;
    ::close(descriptor);
    if (error != EWOULDBLOCK) return systemError("lock", name, error);
    std::string holder;
    if (auto content = readFile(name); content.ok()) holder = trim(*content);
    return Error(Reason::Conflict,
                 fmt::format("{} is held by another instance{}; stop that one first, or use another data directory",
                             path, holder.empty() ? "" : fmt::format(" (process {})", holder)));
  }
  // The id only serves the message, so that it could not be written is no reason to stop.
  std::string id = fmt::format("{}\n", ::getpid());
  if (::ftruncate(descriptor, 0) == 0) (void)!::pwrite(descriptor, id.data(), id.size(), 0);
  return std::unique_ptr<FileLock>(new FileLock(descriptor));
}

FileLock::~FileLock() {
  // The file stays: removing it would let a third process lock a new one while a second still waits for this.
  (void)!::ftruncate(descriptor_, 0);
  ::close(descriptor_);
}

}  // namespace stoker::store
