// cri_lines.h: lines of a CRI log ("RFC3339Nano stdout|stderr F|P text") turned into what a reader of logs asked for.
// Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace stoker::node {

struct CriLine {
  std::string_view time, stream, text;
  bool partial = false;  ///< its rest follows in the next line of the stream
};
/// nullopt when it is not in CRI format. `line` has no newline.
std::optional<CriLine> parseCriLine(std::string_view line);

struct LineOptions {
  bool timestamps = false;
  std::optional<Time> since;
  std::optional<int64_t> limitBytes;
};

/// Takes raw bytes of log files in order, gives text.
class LineFilter {
 public:
  explicit LineFilter(LineOptions options) : options_(options) {}
  /// Appends the text of all complete lines in pending + `bytes` to `out`.
  void add(std::string_view bytes, std::string& out);
  /// limitBytes is used up: nothing more will come.
  bool full() const { return options_.limitBytes && given_ >= *options_.limitBytes; }

 private:
  void line(std::string_view line, std::string& out);
  LineOptions options_;
  std::string pending_;
  bool reached_ = false;  ///< a line at or after `since` was seen: all later ones count
  bool midLine_ = false;  ///< the last line given was partial
  int64_t given_ = 0;
};

/// Offset in `bytes` where its last `lines` lines begin, and how many it has at most of them. A last line without a
/// newline counts.
size_t tailOffset(std::string_view bytes, int64_t lines, int64_t& found);

}  // namespace stoker::node
