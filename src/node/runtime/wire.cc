#include "node/runtime/wire.h"

#include <charconv>

namespace stoker::node {
namespace {

constexpr char kHex[] = "0123456789abcdef";

bool plain(unsigned char c) { return c > ' ' && c != '%' && c != '=' && c != 0x7f; }

void escapeTo(std::string& out, std::string_view text) {
  for (const char ch : text) {
    const auto c = static_cast<unsigned char>(ch);
    if (plain(c)) {
      out += ch;
    } else {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    }
  }
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hexDigit(text[i + 1]);
    const int low = hexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

}  // namespace

const std::string* Record::find(std::string_view key) const {
  for (const auto& [name, value] : fields)
    if (name == key) return &value;
  return nullptr;
}

std::string Record::get(std::string_view key) const {
  const std::string* value = find(key);
  return value == nullptr ? std::string() : *value;
}

int64_t Record::number(std::string_view key) const {
  int64_t number = 0;
  if (const std::string* text = find(key)) std::from_chars(text->data(), text->data() + text->size(), number);
  return number;
}

std::string encode(const Record& record) {
  std::string out;
  escapeTo(out, record.type);
  for (const auto& [key, value] : record.fields) {
    out += ' ';
    escapeTo(out, key);
    out += '=';
    escapeTo(out, value);
  }
  return out;
}

std::optional<Record> parseRecord(std::string_view line) {
  Record record;
  bool first = true;
  while (!line.empty() || first) {
    const size_t space = line.find(' ');
    const std::string_view word = line.substr(0, space);
    line = space == std::string_view::npos ? std::string_view() : line.substr(space + 1);
    if (first) {
      if (word.empty() || word.find('=') != std::string_view::npos) return std::nullopt;
      std::optional<std::string> type = unescape(word);
      if (!type) return std::nullopt;
      record.type = std::move(*type);
      first = false;
      continue;
    }
    const size_t equals = word.find('=');
    if (equals == std::string_view::npos) return std::nullopt;
    std::optional<std::string> key = unescape(word.substr(0, equals));
    std::optional<std::string> value = unescape(word.substr(equals + 1));
    if (!key || !value) return std::nullopt;
    record.add(std::move(*key), std::move(*value));
  }
  return record;
}

std::optional<std::string> LineBuffer::next() {
  const size_t end = bytes_.find('\n', start_);
  if (end == std::string::npos) {
    bytes_.erase(0, start_);
    start_ = 0;
    return std::nullopt;
  }
  std::string line = bytes_.substr(start_, end - start_);
  start_ = end + 1;
  return line;
}

}  // namespace stoker::node
