// log.h
//
// The platform's own log: one line per message on stderr, "2026-11-25T10:00:00.000Z INFO  node: text". Safe from any
// thread.
#pragma once

#include <fmt/format.h>

#include <string_view>

namespace stoker::log {

enum class Level { Debug, Info, Warning, Error };

void setLevel(Level level);
bool enabled(Level level);
void write(Level level, std::string_view component, std::string_view text);

template <class... Args>
void debug(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Debug)) write(Level::Debug, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void info(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Info)) write(Level::Info, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void warn(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Warning)) write(Level::Warning, component, fmt::format(format, std::forward<Args>(args)...));
}
template <class... Args>
void error(std::string_view component, fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Error, component, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace stoker::log
