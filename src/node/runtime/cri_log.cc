#include "node/runtime/cri_log.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <vector>

namespace stoker::node {

std::string logTime(int64_t nanos) {
  const time_t seconds = nanos / 1000000000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", parts.tm_year + 1900, parts.tm_mon + 1,
                parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, static_cast<int>(nanos % 1000000000));
  return text;
}

void LogFormatter::emit(std::string_view text, bool partial, std::string_view time, std::string& out) const {
  out.append(time);
  out.append(stream_ == LogStream::Stdout ? " stdout " : " stderr ");
  out.append(partial ? "P " : "F ");
  out.append(text);
  out += '\n';
}

void LogFormatter::add(std::string_view bytes, std::string_view time, std::string& out) {
  while (!bytes.empty()) {
    const size_t newline = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, newline);
    if (newline != std::string_view::npos && pending_.empty() && piece.size() <= kMaxLogChunk) {
      emit(piece, false, time, out);  // the common case copies nothing
      bytes.remove_prefix(newline + 1);
      continue;
    }
    const size_t room = kMaxLogChunk - pending_.size();
    if (piece.size() > room) {
      pending_.append(piece.substr(0, room));
      emit(pending_, true, time, out);
      pending_.clear();
      bytes.remove_prefix(room);
      continue;
    }
    pending_.append(piece);
    bytes.remove_prefix(piece.size());
    if (newline != std::string_view::npos) {
      emit(pending_, false, time, out);
      pending_.clear();
      bytes.remove_prefix(1);
    }
  }
}

void LogFormatter::finish(std::string_view time, std::string& out) {
  if (pending_.empty()) return;
  emit(pending_, false, time, out);
  pending_.clear();
}

std::string rotatedLogName(const std::string& path, int64_t nowNanos, int sequence) {
  const time_t seconds = nowNanos / 1000000000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[80];
  std::snprintf(text, sizeof text, ".%04d%02d%02d-%02d%02d%02d", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                parts.tm_hour, parts.tm_min, parts.tm_sec);
  std::string name = path + text;
  if (sequence > 0) {
    std::snprintf(text, sizeof text, "-%03d", sequence);
    name += text;
  }
  return name;
}

LogFile::LogFile(std::string path, int64_t maxBytes, int maxFiles)
    : path_(std::move(path)), maxBytes_(maxBytes), maxFiles_(std::max(maxFiles, 1)) {}

LogFile::~LogFile() {
  if (fd_ >= 0) ::close(fd_);
}

bool LogFile::open() {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
  struct stat info {};
  if (fd_ < 0 || fstat(fd_, &info) != 0) {
    error_ = "cannot open log " + path_ + ": " + std::strerror(errno);
    return false;
  }
  size_ = info.st_size;
  return true;
}

void LogFile::write(std::string_view lines, int64_t nowNanos) {
  if (maxBytes_ > 0 && size_ > 0 && size_ + static_cast<int64_t>(lines.size()) > maxBytes_) rotate(nowNanos);
  if (fd_ < 0 && !open()) {
    lost_ += lines.size();
    return;
  }
  while (!lines.empty()) {
    const ssize_t n = ::write(fd_, lines.data(), lines.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_ = "cannot write log " + path_ + ": " + std::strerror(errno);
      lost_ += lines.size();
      return;
    }
    size_ += n;
    lines.remove_prefix(static_cast<size_t>(n));
  }
}

void LogFile::rotate(int64_t nowNanos) {
  const size_t slash = path_.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path_.substr(0, slash);
  const std::string base = path_.substr(slash == std::string::npos ? 0 : slash + 1) + ".";
  std::vector<std::string> rotated;
  if (DIR* handle = opendir(directory.c_str())) {
    while (const dirent* entry = readdir(handle))
      if (std::strncmp(entry->d_name, base.c_str(), base.size()) == 0) rotated.emplace_back(entry->d_name);
    closedir(handle);
  }
  std::sort(rotated.begin(), rotated.end());
  std::string target;
  for (int sequence = 0;; ++sequence) {
    target = rotatedLogName(path_, nowNanos, sequence);
    if (access(target.c_str(), F_OK) != 0) break;
  }
  // One file is the current one; a limit of one keeps no rotated file at all.
  const size_t keep = static_cast<size_t>(maxFiles_ - 1);
  const size_t keepOld = keep == 0 ? 0 : keep - 1;
  for (size_t i = 0; i + keepOld < rotated.size(); ++i) unlink((directory + "/" + rotated[i]).c_str());
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  size_ = 0;
  if (keep == 0) {
    unlink(path_.c_str());
  } else if (rename(path_.c_str(), target.c_str()) != 0) {
    error_ = "cannot rotate log " + path_ + ": " + std::strerror(errno);
  }
}

}  // namespace stoker::node
