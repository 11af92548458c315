// cri_log.h
//
// A container's log file in the format of the CRI ("RFC3339Nano stdout|stderr F|P text"), as kubectl logs and every log
// collector read it. A line beyond kMaxLogChunk is written in parts marked P. Rotation as kubelet names it:
// N.log.YYYYMMDD-HHMMSS, the oldest deleted. Standard library and system calls only: compiled into the supervisor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace stoker::node {

/// containerd's max_container_log_line_size default.
inline constexpr size_t kMaxLogChunk = 16 << 10;

enum class LogStream { Stdout, Stderr };

/// "2006-01-02T15:04:05.000000000Z" for nanoseconds since 1970.
std::string logTime(int64_t nanos);

/// Cuts one stream into log lines. Bytes without a newline wait for the rest of their line.
class LogFormatter {
 public:
  explicit LogFormatter(LogStream stream) : stream_(stream) {}
  /// Appends the finished lines of pending + `bytes` to `out`, stamped `time` (logTime).
  void add(std::string_view bytes, std::string_view time, std::string& out);
  /// The stream ended: what is pending becomes a last full line.
  void finish(std::string_view time, std::string& out);

 private:
  void emit(std::string_view text, bool partial, std::string_view time, std::string& out) const;
  LogStream stream_;
  std::string pending_;
};

/// The file beneath. Errors are kept (`error`), never thrown at the container: what cannot be written is lost and
/// counted.
class LogFile {
 public:
  LogFile(std::string path, int64_t maxBytes, int maxFiles);
  ~LogFile();
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;

  /// Opens for appending; false with `error` set.
  bool open();
  /// Appends whole lines; rotates before the write that would pass maxBytes.
  void write(std::string_view lines, int64_t nowNanos);
  const std::string& error() const { return error_; }
  uint64_t lostBytes() const { return lost_; }

 private:
  void rotate(int64_t nowNanos);
  std::string path_;
  int64_t maxBytes_;
  int maxFiles_;
  int fd_ = -1;
  int64_t size_ = 0;
  uint64_t lost_ = 0;
  std::string error_;
};

/// The name a log rotated at `nowNanos` gets; `sequence` > 0 tells apart several rotations within one second and sorts
/// after them.
std::string rotatedLogName(const std::string& path, int64_t nowNanos, int sequence);

}  // namespace stoker::node
