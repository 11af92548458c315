// reader.h
//
// JSON text read front to back, without a tree: what is not asked for is skipped at the speed of a scan. For texts that
// are known to be JSON (what the API stores or answers), where a struct wants a tenth of the members: a pod of 4 KB is
// decoded in 3 us instead of 20. What is skipped is not checked beyond its brackets and quotes; `ok` says whether
// reading failed.
//
//     for (reader.beginObject(); reader.member(key);) key == "name" ? reader.string(name) : reader.skip();
#pragma once

#include <string>
#include <string_view>

#include "json/json.h"

namespace stoker::json {

class Reader {
 public:
  explicit Reader(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  /// No malformed text has been met. After a failure every call answers "no more" or empty.
  bool ok() const { return ok_; }
  /// The type of the value that comes next; Null after a failure.
  Type type();

  /// The value that comes next must be an object; then `member` moves to each of its members in turn, whose value is to
  /// be read or skipped. `key` is valid until the next call.
  void beginObject();
  bool member(std::string_view& key);
  /// The same for an array.
  void beginArray();
  bool element();

  /// The value that comes next, which must be a string; replaces `out`.
  void string(std::string& out);
  bool boolean();
  /// Passes over the value that comes next; its text.
  std::string_view skip();

 private:
  char next();  // after white space; NUL at the end
  void fail();
  bool more(char close);
  std::string_view quoted();  // at the opening quote -> behind the closing one; without escapes
  bool passString();          // the same; whether there were escapes

  const char* at_;
  const char* end_;
  bool ok_ = true;
  std::string scratch_;
};

}  // namespace stoker::json
