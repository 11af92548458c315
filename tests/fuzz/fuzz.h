// fuzz.h: what the fuzz targets share. A target is a function over bytes; besides not crashing, what it claims must
// hold.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "json/json.h"

/// Ends the run as a finding, saying what was claimed and the two sides.
inline void require(bool holds, std::string_view claim, std::string_view a = {}, std::string_view b = {}) {
  if (holds) return;
  std::fprintf(stderr, "not true: %.*s\n  %.*s\n  %.*s\n", static_cast<int>(claim.size()), claim.data(),
               static_cast<int>(a.size()), a.data(), static_cast<int>(b.size()), b.data());
  std::abort();
}

inline std::string_view text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

/// Inputs of several parts have them one a line, so that corpora can be read and written by hand.
inline std::string_view takeLine(std::string_view& rest) {
  size_t end = rest.find('\n');
  std::string_view line = rest.substr(0, end);
  rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
  return line;
}
