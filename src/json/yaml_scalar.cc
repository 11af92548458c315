#include "json/yaml_scalar.h"

#include <charconv>
#include <limits>
#include <string>

namespace stoker::json {

namespace {

struct Word {
  std::string_view text;
  ScalarKind kind;
  bool flag;
};
constexpr Word kWords[] = {
    {"", ScalarKind::Null, false},           {"~", ScalarKind::Null, false},
    {"null", ScalarKind::Null, false},       {"Null", ScalarKind::Null, false},
    {"NULL", ScalarKind::Null, false},       {"y", ScalarKind::Bool, true},
    {"Y", ScalarKind::Bool, true},           {"yes", ScalarKind::Bool, true},
    {"Yes", ScalarKind::Bool, true},         {"YES", ScalarKind::Bool, true},
    {"true", ScalarKind::Bool, true},        {"True", ScalarKind::Bool, true},
    {"TRUE", ScalarKind::Bool, true},        {"on", ScalarKind::Bool, true},
    {"On", ScalarKind::Bool, true},          {"ON", ScalarKind::Bool, true},
    {"n", ScalarKind::Bool, false},          {"N", ScalarKind::Bool, false},
    {"no", ScalarKind::Bool, false},         {"No", ScalarKind::Bool, false},
    {"NO", ScalarKind::Bool, false},         {"false", ScalarKind::Bool, false},
    {"False", ScalarKind::Bool, false},      {"FALSE", ScalarKind::Bool, false},
    {"off", ScalarKind::Bool, false},        {"Off", ScalarKind::Bool, false},
    {"OFF", ScalarKind::Bool, false},        {".nan", ScalarKind::NotFinite, false},
    {".NaN", ScalarKind::NotFinite, false},  {".NAN", ScalarKind::NotFinite, false},
    {".inf", ScalarKind::NotFinite, false},  {".Inf", ScalarKind::NotFinite, false},
    {".INF", ScalarKind::NotFinite, false},  {"+.inf", ScalarKind::NotFinite, false},
    {"+.Inf", ScalarKind::NotFinite, false}, {"+.INF", ScalarKind::NotFinite, false},
    {"-.inf", ScalarKind::NotFinite, false}, {"-.Inf", ScalarKind::NotFinite, false},
    {"-.INF", ScalarKind::NotFinite, false},
};
constexpr size_t kLongestWord = 5;

bool isDigit(char c) { return c >= '0' && c <= '9'; }

size_t skipDigits(std::string_view text, size_t at) {
  while (at < text.size() && isDigit(text[at])) ++at;
  return at;
}

// ---- timestamps
// ------------------------------------------------------------------------------------------------------

// Reads up to `most` digits.
std::optional<int> takeNumber(std::string_view& text, size_t most) {
  size_t n = 0;
  int out = 0;
  for (; n < most && n < text.size() && isDigit(text[n]); ++n) out = out * 10 + (text[n] - '0');
  if (n == 0) return std::nullopt;
  text.remove_prefix(n);
  return out;
}
bool take(std::string_view& text, char c) {
  if (!text.starts_with(c)) return false;
  text.remove_prefix(1);
  return true;
}
bool takeBelow(std::string_view& text, int limit) {
  auto n = takeNumber(text, 2);
  return n && *n < limit;
}
// h:m:s with an optional fraction.
bool takeClock(std::string_view& text) {
  if (!takeBelow(text, 24) || !take(text, ':') || !takeBelow(text, 60) || !take(text, ':') || !takeBelow(text, 60))
    return false;
  if (!text.starts_with('.')) return true;
  size_t end = skipDigits(text, 1);
  if (end == 1) return false;
  text.remove_prefix(end);
  return true;
}
bool takeZone(std::string_view& text) {
  if (take(text, 'Z')) return true;
  if (!take(text, '+') && !take(text, '-')) return false;
  return takeBelow(text, 25) && take(text, ':') && takeBelow(text, 60);
}

// 2006-1-2, 2006-1-2 15:4:5.9, 2006-1-2T15:4:5.9Z: the forms that upstream's reader takes for times.
bool isTimestamp(std::string_view text) {
  if (skipDigits(text, 0) != 4) return false;
  text.remove_prefix(4);
  if (!take(text, '-')) return false;
  auto month = takeNumber(text, 2);
  if (!month || *month < 1 || *month > 12 || !take(text, '-')) return false;
  auto day = takeNumber(text, 2);
  if (!day || *day < 1 || *day > 31) return false;
  if (text.empty()) return true;
  if (take(text, ' ')) return takeClock(text) && text.empty();
  if (!take(text, 'T') && !take(text, 't')) return false;
  return takeClock(text) && takeZone(text) && text.empty();
}

// ---- numbers
// ---------------------------------------------------------------------------------------------------------

// Go's strconv.ParseInt and ParseUint with base 0.
std::optional<Value> parseInteger(Arena& arena, std::string_view text) {
  bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    char c = static_cast<char>(text[1] | 0x20);
    base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
    text.remove_prefix(c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
  }
  uint64_t magnitude = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), magnitude, base);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  constexpr uint64_t kMinMagnitude = uint64_t{1} << 63;
  if (negative && magnitude > kMinMagnitude) return std::nullopt;
  std::string digits = (negative && magnitude != 0 ? "-" : "") + std::to_string(magnitude);
  return Value::rawNumber(arena.copy(digits));
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?
std::optional<Value> parseFloat(Arena& arena, std::string_view text) {
  std::string plain;
  size_t at = 0;
  if (text.starts_with('-')) plain = "-";
  if (text.starts_with('-') || text.starts_with('+')) at = 1;
  size_t end = skipDigits(text, at);
  bool digits = end > at;
  plain += digits ? text.substr(at, end - at) : "0";
  at = end;
  if (at < text.size() && text[at] == '.') {
    end = skipDigits(text, ++at);
    if (!digits && end == at) return std::nullopt;
    if (end > at) plain.append(".").append(text.substr(at, end - at));
    digits = true;
    at = end;
  }
  if (!digits) return std::nullopt;
  bool tiny = false;
  if (at < text.size() && (text[at] | 0x20) == 'e') {
    plain += 'e';
    if (++at < text.size() && (text[at] == '-' || text[at] == '+')) {
      tiny = text[at] == '-';
      plain += text[at++];
    }
    end = skipDigits(text, at);
    if (end == at) return std::nullopt;
    plain += text.substr(at, end - at);
    at = end;
  }
  if (at != text.size()) return std::nullopt;
  double out = 0;
  auto [stop, ec] = std::from_chars(plain.data(), plain.data() + plain.size(), out);
  if (ec == std::errc::result_out_of_range) {
    if (!tiny) return std::nullopt;  // too large for a number: it stays a string
    out = 0;
  } else if (ec != std::errc() || stop != plain.data() + plain.size()) {
    return std::nullopt;
  }
  return number(arena, out);
}

// [-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?: a number to older readers of YAML 1.1, so it is printed quoted.
bool isBase60(std::string_view text) {
  if (text.starts_with('-') || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || !isDigit(text[0])) return false;
  size_t colon = text.find_first_not_of("0123456789_");
  if (colon == std::string_view::npos || text[colon] != ':') return false;
  text.remove_prefix(colon);
  while (take(text, ':'))
    if (!takeBelow(text, 60)) return false;
  return text.empty() || (text[0] == '.' && text.find_first_not_of("0123456789_", 1) == std::string_view::npos);
}

// Numbers and timestamps start with one of these; words are short.
bool mayBeTyped(std::string_view text) {
  return text.size() <= kLongestWord || isDigit(text[0]) || text[0] == '+' || text[0] == '-' || text[0] == '.';
}

}  // namespace

Scalar resolveScalar(Arena& arena, std::string_view text) {
  if (text.size() <= kLongestWord) {
    for (const Word& word : kWords)
      if (word.text == text) return {word.kind, word.kind == ScalarKind::Bool ? boolean(word.flag) : Value()};
  }
  Scalar asText{ScalarKind::String, Value::rawString(arena.copy(text))};
  char first = text[0];
  if (first == '.') {
    if (auto v = parseFloat(arena, text)) return {ScalarKind::Float, *v};
  } else if (first == '+' || first == '-' || isDigit(first)) {
    if (isTimestamp(text)) return {ScalarKind::Timestamp, asText.value};
    std::string plain;
    for (char c : text)
      if (c != '_') plain += c;
    if (auto v = parseInteger(arena, plain)) return {ScalarKind::Int, *v};
    if (auto v = parseFloat(arena, plain)) return {ScalarKind::Float, *v};
  }
  return asText;
}

bool readsBackAsString(std::string_view text) {
  if (!mayBeTyped(text)) return true;
  Arena scratch;
  return text != "<<" && resolveScalar(scratch, text).kind == ScalarKind::String && !isBase60(text);
}

}  // namespace stoker::json
