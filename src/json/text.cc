// Parsing and printing.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "json/json.h"

namespace stoker::json {
namespace {

// Parses a private, NUL-terminated copy of the text, so strings are views into it and escapes are decoded in place.
class Parser {
 public:
  Parser(Arena& arena, std::string_view text, const ParseOptions& options)
      : arena_(arena), begin_(arena.copyMutable(text)), at_(begin_), end_(begin_ + text.size()), options_(options) {}

  Result<Value> run() {
    Value root;
    skipSpace();
    if (!value(root, 0)) return error();
    skipSpace();
    if (at_ != end_) {
      fail("unexpected text after the value");
      return error();
    }
    return root;
  }

 private:
  void skipSpace() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  bool fail(std::string_view what) {
    if (what_.empty()) {
      what_ = what;
      failedAt_ = at_;
    }
    return false;
  }

  Error error() const {
    size_t line = 1, column = 1;
    for (const char* p = begin_; p < failedAt_; ++p) {
      if (*p == '\n')
        ++line, column = 1;
      else
        ++column;
    }
    return Error(Reason::BadRequest, fmt::format("invalid JSON at line {}, column {}: {}", line, column, what_));
  }

  bool literal(std::string_view word) {
    if (static_cast<size_t>(end_ - at_) < word.size() || std::memcmp(at_, word.data(), word.size()) != 0)
      return fail("unexpected character");
    at_ += word.size();
    return true;
  }

  bool value(Value& out, size_t depth) {
    if (at_ == end_) return fail("unexpected end of input");
    switch (*at_) {
      case '{':
        return objectValue(out, depth);
      case '[':
        return arrayValue(out, depth);
      case '"': {
        std::string_view text;
        if (!stringText(text)) return false;
        out = Value::rawString(text);
        return true;
      }
      case 't':
        out = Value::boolean(true);
        return literal("true");
      case 'f':
        out = Value::boolean(false);
        return literal("false");
      case 'n':
        out = Value();
        return literal("null");
      default:
        return numberValue(out);
    }
  }

  bool numberValue(Value& out) {
    const char* start = at_;
    auto digit = [&] { return at_ != end_ && *at_ >= '0' && *at_ <= '9'; };
    if (at_ != end_ && *at_ == '-') ++at_;
    if (!digit()) {
      at_ = const_cast<char*>(start);
      return fail("unexpected character");
    }
    if (*at_ == '0')
      ++at_;
    else
      while (digit()) ++at_;
    if (at_ != end_ && *at_ == '.') {
      ++at_;
      if (!digit()) return fail("a digit is missing after the decimal point");
      while (digit()) ++at_;
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      ++at_;
      if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
      if (!digit()) return fail("a digit is missing in the exponent");
      while (digit()) ++at_;
    }
    out = Value::rawNumber({start, static_cast<size_t>(at_ - start)});
    if (!out.real()) return fail("the number is out of range");
    return true;
  }

  bool hex4(uint32_t& code) {
    if (end_ - at_ < 4) return fail("incomplete \\u escape");
    code = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      char c = *at_;
      int d = c >= '0' && c <= '9'   ? c - '0'
              : c >= 'a' && c <= 'f' ? c - 'a' + 10
              : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                     : -1;
      if (d < 0) return fail("invalid \\u escape");
      code = code * 16 + d;
    }
    return true;
  }

  static char* utf8(char* out, uint32_t code) {
    if (code < 0x80)
      *out++ = static_cast<char>(code);
    else if (code < 0x800) {
      *out++ = static_cast<char>(0xC0 | code >> 6);
      *out++ = static_cast<char>(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
      *out++ = static_cast<char>(0xE0 | code >> 12);
      *out++ = static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      *out++ = static_cast<char>(0x80 | (code & 0x3F));
    } else {
      *out++ = static_cast<char>(0xF0 | code >> 18);
      *out++ = static_cast<char>(0x80 | ((code >> 12) & 0x3F));
      *out++ = static_cast<char>(0x80 | ((code >> 6) & 0x3F));
      *out++ = static_cast<char>(0x80 | (code & 0x3F));
    }
    return out;
  }

  // Length of the valid UTF-8 sequence at p (1..4), 0 when it is none.
  size_t sequence(const char* p) const {
    auto b = [&](int i) { return static_cast<unsigned char>(p[i]); };
    size_t left = end_ - p;
    if (b(0) < 0x80) return 1;
    auto tail = [&](int i) { return (b(i) & 0xC0) == 0x80; };
    if (b(0) >= 0xC2 && b(0) <= 0xDF) return left >= 2 && tail(1) ? 2 : 0;
    if ((b(0) & 0xF0) == 0xE0) {
      if (left < 3 || !tail(1) || !tail(2)) return 0;
      uint32_t code = (b(0) & 0x0F) << 12 | (b(1) & 0x3F) << 6 | (b(2) & 0x3F);
      return code >= 0x800 && !(code >= 0xD800 && code <= 0xDFFF) ? 3 : 0;
    }
    if (b(0) >= 0xF0 && b(0) <= 0xF4) {
      if (left < 4 || !tail(1) || !tail(2) || !tail(3)) return 0;
      uint32_t code = (b(0) & 0x07) << 18 | (b(1) & 0x3F) << 12 | (b(2) & 0x3F) << 6 | (b(3) & 0x3F);
      return code >= 0x10000 && code <= 0x10FFFF ? 4 : 0;
    }
    return 0;
  }

  // Invalid UTF-8 becomes U+FFFD, as in Go. That makes text longer, so such (rare) strings are rebuilt elsewhere.
  bool stringText(std::string_view& out) {
    char* start = ++at_;
    while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20 &&
           static_cast<unsigned char>(*at_) < 0x80)
      ++at_;
    if (at_ != end_ && *at_ == '"') {
      out = {start, static_cast<size_t>(at_ - start)};
      ++at_;
      return true;
    }
    std::string repaired;
    bool broken = false;
    char* write = at_;
    while (true) {
      if (at_ == end_) return fail("unterminated string");
      unsigned char c = *at_;
      if (c == '"') break;
      if (c < 0x20) return fail("control character in a string");
      if (c == '\\') {
        if (!escape(write)) return false;
        continue;
      }
      size_t length = sequence(at_);
      if (length == 0) {
        repaired.append(start, write - start);
        repaired += "\xEF\xBF\xBD";
        broken = true;
        start = write;
        ++at_;
        continue;
      }
      std::memmove(write, at_, length);
      write += length;
      at_ += length;
    }
    if (broken) {
      repaired.append(start, write - start);
      out = arena_.copy(repaired);
    } else {
      out = {start, static_cast<size_t>(write - start)};
    }
    ++at_;
    return true;
  }

  bool escape(char*& write) {
    ++at_;
    if (at_ == end_) return fail("unterminated string");
    char c = *at_++;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        *write++ = c;
        return true;
      case 'b':
        *write++ = '\b';
        return true;
      case 'f':
        *write++ = '\f';
        return true;
      case 'n':
        *write++ = '\n';
        return true;
      case 'r':
        *write++ = '\r';
        return true;
      case 't':
        *write++ = '\t';
        return true;
      case 'u':
        break;
      default:
        --at_;
        return fail("unknown escape in a string");
    }
    uint32_t code;
    if (!hex4(code)) return false;
    if (code >= 0xD800 && code < 0xDC00 && end_ - at_ >= 6 && at_[0] == '\\' && at_[1] == 'u') {
      char* mark = at_;
      at_ += 2;
      uint32_t low;
      if (!hex4(low)) return false;
      if (low >= 0xDC00 && low < 0xE000)
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
      else
        at_ = mark;
    }
    if (code >= 0xD800 && code < 0xE000) code = 0xFFFD;
    write = utf8(write, code);
    return true;
  }

  bool tooDeep(size_t depth) {
    if (depth < options_.maxDepth) return false;
    fail(fmt::format("nested deeper than {} levels", options_.maxDepth));
    return true;
  }

  bool arrayValue(Value& out, size_t depth) {
    if (tooDeep(depth)) return false;
    ++at_;
    size_t base = values_.size();
    skipSpace();
    if (at_ != end_ && *at_ == ']')
      ++at_;
    else
      for (size_t index = 0;; ++index) {
        Value item;
        if (options_.duplicates) path_.push_back(fmt::format("[{}]", index));
        skipSpace();
        if (!value(item, depth + 1)) return false;
        if (options_.duplicates) path_.pop_back();
        values_.push_back(item);
        skipSpace();
        if (at_ == end_) return fail("unexpected end of input in an array");
        if (*at_ == ',') {
          ++at_;
          continue;
        }
        if (*at_ != ']') return fail("expected , or ] in an array");
        ++at_;
        break;
      }
    out = json::array(arena_, std::span(values_).subspan(base));
    values_.resize(base);
    return true;
  }

  bool objectValue(Value& out, size_t depth) {
    if (tooDeep(depth)) return false;
    ++at_;
    size_t base = members_.size();
    bool sorted = true;
    skipSpace();
    if (at_ != end_ && *at_ == '}')
      ++at_;
    else
      for (;;) {
        skipSpace();
        if (at_ == end_ || *at_ != '"') return fail("expected a quoted key in an object");
        Member member;
        if (!stringText(member.key)) return false;
        skipSpace();
        if (at_ == end_ || *at_ != ':') return fail("expected : after a key");
        ++at_;
        skipSpace();
        if (options_.duplicates) path_.push_back(std::string(member.key));
        if (!value(member.value, depth + 1)) return false;
        if (options_.duplicates) path_.pop_back();
        if (members_.size() > base && !(members_.back().key < member.key)) sorted = false;
        members_.push_back(member);
        skipSpace();
        if (at_ == end_) return fail("unexpected end of input in an object");
        if (*at_ == ',') {
          ++at_;
          continue;
        }
        if (*at_ != '}') return fail("expected , or } in an object");
        ++at_;
        break;
      }
    auto found = std::span(members_).subspan(base);
    auto* kept = static_cast<Member*>(arena_.allocate(found.size() * sizeof(Member), alignof(Member)));
    std::copy(found.begin(), found.end(), kept);
    size_t count = found.size();
    if (!sorted) {
      std::stable_sort(kept, kept + count, [](const Member& a, const Member& b) { return a.key < b.key; });
      size_t unique = 0;
      for (size_t i = 0; i < count; ++i) {
        if (unique > 0 && kept[unique - 1].key == kept[i].key) {
          noteDuplicate(kept[i].key);
          kept[unique - 1] = kept[i];
        } else {
          kept[unique++] = kept[i];
        }
      }
      count = unique;
    }
    members_.resize(base);
    out = Value::rawObject(kept, count);
    return true;
  }

  void noteDuplicate(std::string_view key) {
    if (!options_.duplicates) return;
    std::string full;
    for (const std::string& step : path_) {
      if (!full.empty() && step[0] != '[') full += '.';
      full += step;
    }
    if (!full.empty()) full += '.';
    full += key;
    if (std::find(options_.duplicates->begin(), options_.duplicates->end(), full) == options_.duplicates->end())
      options_.duplicates->push_back(full);
  }

  Arena& arena_;
  char* begin_;
  char* at_;
  char* end_;
  const ParseOptions& options_;
  // Stacks shared by all levels, so a container's elements are collected without an allocation of its own.
  std::vector<Value> values_;
  std::vector<Member> members_;
  std::vector<std::string> path_;
  std::string what_;
  const char* failedAt_ = nullptr;
};

bool plainInteger(std::string_view text) {
  size_t start = text.starts_with('-') ? 1 : 0;
  if (text.size() - start > 18 || text == "-0") return false;
  return text.find_first_not_of("0123456789", start) == std::string_view::npos;
}

void printNumber(std::string& out, Value value) {
  std::string_view text = value.numberText();
  if (plainInteger(text)) {
    out += text;
  } else if (text.find_first_of(".eE") == std::string_view::npos && value.integer()) {
    fmt::format_to(std::back_inserter(out), "{}", *value.integer());
  } else {
    // Negative zero would be read back as the integer 0: canonical text must be a fixed point.
    double number = value.real().value_or(0);
    out += number == 0 ? "0" : formatDouble(number);
  }
}

void prettyTo(std::string& out, Value value, int indent) {
  auto newline = [&](int levels) {
    out += '\n';
    out.append(levels * 2, ' ');
  };
  if (value.isArray() && !value.empty()) {
    out += '[';
    for (const Value& item : value.items()) {
      if (&item != value.items().data()) out += ',';
      newline(indent + 1);
      prettyTo(out, item, indent + 1);
    }
    newline(indent);
    out += ']';
  } else if (value.isObject() && !value.empty()) {
    out += '{';
    for (const Member& m : value.members()) {
      if (&m != value.members().data()) out += ',';
      newline(indent + 1);
      printString(out, m.key);
      out += ": ";
      prettyTo(out, m.value, indent + 1);
    }
    newline(indent);
    out += '}';
  } else {
    printTo(out, value);
  }
}

}  // namespace

Result<Value> parse(Arena& arena, std::string_view text, const ParseOptions& options) {
  // Sizes are 32 bit; requests are bounded far below.
  if (text.size() >= UINT32_MAX) return Error(Reason::RequestEntityTooLarge, "JSON text is larger than 4 GiB");
  return Parser(arena, text, options).run();
}

Result<Doc> parseDoc(std::string_view text, const ParseOptions& options) {
  auto arena = std::make_shared<Arena>();
  STOKER_TRY(Value root, parse(*arena, text, options));
  return Doc{std::move(arena), root};
}

void printString(std::string& out, std::string_view text) {
  out += '"';
  size_t clean = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned char c = text[i];
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    out += text.substr(clean, i - clean);
    clean = i + 1;
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\b':
        out += "\\b";
        break;
      case '\f':
        out += "\\f";
        break;
      default:
        fmt::format_to(std::back_inserter(out), "\\u{:04x}", c);
    }
  }
  out += text.substr(clean);
  out += '"';
}

std::string formatDouble(double value) {
  // encoding/json: shortest text that reads back; exponent form below 1e-6 and from 1e21 on, with e-09 written e-9.
  if (value == 0) return std::signbit(value) ? "-0" : "0";
  double magnitude = std::fabs(value);
  char buffer[400];
  bool scientific = magnitude < 1e-6 || magnitude >= 1e21;
  // std::to_chars prints large fixed numbers exactly; Go prints the shortest digits and pads with zeros.
  bool padded = !scientific && magnitude >= 1e15;
  auto format = scientific || padded ? std::chars_format::scientific : std::chars_format::fixed;
  auto [end, ec] = std::to_chars(buffer, buffer + sizeof buffer, value, format);
  std::string out(buffer, end);
  size_t e = out.find('e');
  if (scientific && out.size() - e == 4 && out[e + 1] == '-' && out[e + 2] == '0') out.erase(e + 2, 1);
  if (padded) {
    size_t exponent = static_cast<size_t>(std::atoi(out.c_str() + e + 1));
    out.resize(e);
    size_t point = out.find('.');
    size_t decimals = point == std::string::npos ? 0 : out.size() - point - 1;
    if (point != std::string::npos) out.erase(point, 1);
    out.append(exponent > decimals ? exponent - decimals : 0, '0');
  }
  return out;
}

void printTo(std::string& out, Value value) {
  switch (value.type()) {
    case Type::Null:
      out += "null";
      return;
    case Type::Bool:
      out += value.asBool() ? "true" : "false";
      return;
    case Type::Number:
      printNumber(out, value);
      return;
    case Type::String:
      printString(out, value.asString());
      return;
    case Type::Array: {
      out += '[';
      bool first = true;
      for (const Value& item : value.items()) {
        if (!first) out += ',';
        first = false;
        printTo(out, item);
      }
      out += ']';
      return;
    }
    case Type::Object: {
      out += '{';
      bool first = true;
      for (const Member& m : value.members()) {
        if (!first) out += ',';
        first = false;
        printString(out, m.key);
        out += ':';
        printTo(out, m.value);
      }
      out += '}';
      return;
    }
  }
}

std::string print(Value value) {
  std::string out;
  printTo(out, value);
  return out;
}

std::string pretty(Value value) {
  std::string out;
  prettyTo(out, value, 0);
  return out;
}

}  // namespace stoker::json
