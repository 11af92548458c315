// system.h: small wrappers around files and errno, for a program that has only libc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stoker::node {

/// Empty text: all is well. Otherwise what went wrong, where, and the system's reason.
struct [[nodiscard]] Problem {
  std::string text;
  explicit operator bool() const { return !text.empty(); }
};

/// "WHAT: strerror(errno)".
Problem systemProblem(const std::string& what);

std::string readAll(const std::string& path, size_t limit = 1 << 20);
/// Creates or truncates.
Problem writeAll(const std::string& path, std::string_view content, unsigned mode = 0644);
/// Writes to a file that exists (proc, sysfs, cgroups). False with errno set.
bool writeExisting(const std::string& path, std::string_view content);
bool makeDirs(const std::string& path, unsigned mode = 0755);
/// rm -rf; stays on one file system and never follows links.
void removeTree(const std::string& path);
/// Nanoseconds since 1970, and of the monotonic clock.
long long wallNanos();
long long monotonicNanos();
/// Process start time in clock ticks since boot (/proc/PID/stat field 22); 0 when there is no such process.
long long processStart(int pid);

}  // namespace stoker::node
