// wire.h
//
// The one text format between the platform and its supervisors: a Record is a line "type key=value key=value". It is
// what travels over the socket (protocol version kProtocolVersion) and what the journal and spec files hold, so that a
// person can read both. Values are percent-escaped; a record inside a record is an escaped line. Compiled into the
// supervisor too, so it uses the standard library only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace stoker::node {

/// Raised when an older supervisor would misread a newer platform; the platform refuses to talk to a version it does
/// not know.
inline constexpr int kProtocolVersion = 1;
/// A longer line is an error of the sender; bounds what either side buffers (argv and environment may be large).
inline constexpr size_t kMaxRecordBytes = 4 << 20;

/// What a supervisor answers when the pod's lock is taken; the platform then talks to the one that holds it.
inline constexpr char kPodHeld[] = "another supervisor holds this pod";

struct Record {
  std::string type;
  std::vector<std::pair<std::string, std::string>> fields;

  Record() = default;
  explicit Record(std::string t) : type(std::move(t)) {}

  Record& add(std::string key, std::string value) {
    fields.emplace_back(std::move(key), std::move(value));
    return *this;
  }
  Record& add(std::string key, int64_t value) { return add(std::move(key), std::to_string(value)); }
  /// The first value of `key`; nullptr when there is none.
  const std::string* find(std::string_view key) const;
  /// The first value of `key`; empty when there is none.
  std::string get(std::string_view key) const;
  /// The first value of `key` as a decimal number; 0 when missing or malformed.
  int64_t number(std::string_view key) const;
  bool operator==(const Record&) const = default;
};

/// One line, without the newline.
std::string encode(const Record& record);
/// nullopt when `line` is not a record (no type, a field without '=', a bad escape).
std::optional<Record> parseRecord(std::string_view line);

/// Collects bytes from a socket and hands out whole lines.
class LineBuffer {
 public:
  void append(std::string_view bytes) { bytes_.append(bytes); }
  /// The next whole line without its newline; nullopt when there is none yet.
  std::optional<std::string> next();
  bool overflowing() const { return bytes_.size() - start_ > kMaxRecordBytes; }

 private:
  std::string bytes_;
  size_t start_ = 0;
};

// Structs become records through one description each: `describe(visitor, struct)` names every field once (codec.h).

struct RecordWriter {
  Record& out;
  void operator()(const char* key, const std::string& value) { out.add(key, value); }
  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
  void operator()(const char* key, const T& value) { out.add(key, static_cast<int64_t>(value)); }
  void operator()(const char* key, const std::optional<std::string>& value) {
    if (value) out.add(key, *value);
  }
  template <class T>
  void operator()(const char* key, const std::vector<T>& values) {
    for (const T& value : values) (*this)(key, value);
  }
  template <class T>
  requires(std::is_class_v<T> && !std::is_same_v<T, std::string>) void operator()(const char* key, const T& value) {
    Record inner(key);
    RecordWriter writer{inner};
    describe(writer, const_cast<T&>(value));
    out.add(key, encode(inner));
  }
};

struct RecordReader {
  const Record& in;
  bool ok = true;

  void operator()(const char* key, std::string& value) {
    if (const std::string* text = in.find(key)) value = *text;
  }
  template <class T>
  requires std::is_integral_v<T> || std::is_enum_v<T>
  void operator()(const char* key, T& value) {
    if (in.find(key) != nullptr) value = static_cast<T>(in.number(key));
  }
  void operator()(const char* key, std::optional<std::string>& value) {
    if (const std::string* text = in.find(key)) value = *text;
  }
  template <class T>
  void operator()(const char* key, std::vector<T>& values) {
    values.clear();
    for (const auto& [name, text] : in.fields) {
      if (name != key) continue;
      Record one(key);
      one.add(key, text);
      RecordReader reader{one};
      T value{};
      reader(key, value);
      ok = ok && reader.ok;
      values.push_back(std::move(value));
    }
  }
  template <class T>
  requires(std::is_class_v<T> && !std::is_same_v<T, std::string>) void operator()(const char* key, T& value) {
    const std::string* text = in.find(key);
    if (text == nullptr) return;
    std::optional<Record> inner = parseRecord(*text);
    if (!inner) {
      ok = false;
      return;
    }
    RecordReader reader{*inner};
    describe(reader, value);
    ok = ok && reader.ok;
  }
};

template <class T>
Record toRecord(std::string type, const T& value) {
  Record record(std::move(type));
  RecordWriter writer{record};
  describe(writer, const_cast<T&>(value));
  return record;
}

/// nullopt when a record inside is malformed; missing fields keep their defaults, unknown ones are ignored.
template <class T>
std::optional<T> fromRecord(const Record& record) {
  T value{};
  RecordReader reader{record};
  describe(reader, value);
  if (!reader.ok) return std::nullopt;
  return value;
}

}  // namespace stoker::node
