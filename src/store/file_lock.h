// file_lock.h
//
// One owner per data file: an advisory lock on a file beside it, held until the object goes or the process dies,
// however it dies. The owner's process id is written into it, for the message that the second one gets.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"

namespace stoker::store {

class FileLock {
 public:
  /// Locks `path` + ".lock" (`path` with symbolic links resolved, so that two names of one file share a lock). Error
  /// Conflict when somebody holds it, naming the process when it is known; the system's reason otherwise.
  static Result<std::unique_ptr<FileLock>> acquire(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  explicit FileLock(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

}  // namespace stoker::store
