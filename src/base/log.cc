#include "base/log.h"

#include <unistd.h>

#include <atomic>

#include "base/time.h"

namespace stoker::log {
namespace {
// The one process-wide setting: how much the operator wants to read.
std::atomic<Level> threshold{Level::Info};
}  // namespace

void setLevel(Level level) { threshold = level; }
bool enabled(Level level) { return level >= threshold; }

void write(Level level, std::string_view component, std::string_view text) {
  static constexpr std::string_view kNames[] = {"DEBUG", "INFO ", "WARN ", "ERROR"};
  std::string line = fmt::format("{} {} {}: {}\n", formatMicroTime(SystemClock().now()),
                                 kNames[static_cast<int>(level)], component, text);
  // One write per line, so lines of several threads do not mix. A lost log line is not worth failing for.
  [[maybe_unused]] auto n = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace stoker::log
