#include "json/reader.h"

#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>

#include <bit>
#endif

namespace stoker::json {
namespace {

/// The first quote or backslash in [at, end), or end. Most strings are short: sixteen bytes at a time beat memchr's
/// set-up.
const char* findQuote(const char* at, const char* end) {
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\');
  for (; end - at >= 16; at += 16) {
    __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, slash));
    if (auto mask = static_cast<unsigned>(_mm_movemask_epi8(hit))) return at + std::countr_zero(mask);
  }
#endif
  while (at != end && *at != '"' && *at != '\\') ++at;
  return at;
}

#ifdef __SSE2__
size_t countBits(uint64_t x) {  // std::popcount is a call where the instruction is not assumed
  x -= (x >> 1) & 0x5555555555555555u;
  x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
  return (((x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu) * 0x0101010101010101u) >> 56;
}
#endif

/// Behind the bracket that closes the one at `at`; null when there is none. Only quotes and brackets matter: what
/// stands between them has been checked by whoever stored it. Sixty-four bytes are looked at together, without a branch
/// for each string, because branches that nobody can foresee are what a scan spends its time on.
const char* passContainer(const char* at, const char* end) {
  size_t depth = 0;
  bool inside = false;  // a string
#ifdef __SSE2__
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), lower = _mm_set1_epi8(0x20);
  const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');
  for (; end - at >= 64; at += 64) {
    uint64_t quotes = 0, slashes = 0, opens = 0, closes = 0;
    for (int i = 0; i < 4; ++i) {
      __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at) + i);
      // '[' | 0x20 is '{', ']' | 0x20 is '}', and no other character of JSON outside strings becomes one of them.
      __m128i folded = _mm_or_si128(block, lower);
      auto bits = [i](__m128i hit) {
        return static_cast<uint64_t>(static_cast<unsigned>(_mm_movemask_epi8(hit))) << (16 * i);
      };
      quotes |= bits(_mm_cmpeq_epi8(block, quote));
      slashes |= bits(_mm_cmpeq_epi8(block, slash));
      opens |= bits(_mm_cmpeq_epi8(folded, open));
      closes |= bits(_mm_cmpeq_epi8(folded, close));
    }
    if (slashes != 0) break;  // by hand from here: escapes are rare
    uint64_t within =
        quotes;  // after this, bit i says whether byte i stands in a string: the parity of the quotes up to it
    for (int shift = 1; shift < 64; shift *= 2) within ^= within << shift;
    if (inside) within = ~within;
    opens &= ~within;
    closes &= ~within;
    auto closed = countBits(closes);
    if (closed < depth) {
      depth += countBits(opens) - closed;
    } else {
      for (uint64_t both = opens | closes; both != 0; both &= both - 1) {
        uint64_t bit = both & -both;
        if (opens & bit)
          ++depth;
        else if (--depth == 0)
          return at + std::countr_zero(bit) + 1;
      }
    }
    inside = within >> 63;
  }
#endif
  for (; at != end; ++at) {
    char c = *at;
    if (inside) {
      if (c == '"')
        inside = false;
      else if (c == '\\' && ++at == end)
        return nullptr;
    } else if (c == '"') {
      inside = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      return at + 1;
    }
  }
  return nullptr;
}

}  // namespace

char Reader::next() {
  if (at_ != end_ && *at_ > ' ') return *at_;
  while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  return at_ == end_ ? '\0' : *at_;
}

void Reader::fail() {
  ok_ = false;
  at_ = end_;
}

Type Reader::type() {
  switch (next()) {
    case '{':
      return Type::Object;
    case '[':
      return Type::Array;
    case '"':
      return Type::String;
    case 't':
    case 'f':
      return Type::Bool;
    case 'n':
    case '\0':
      return Type::Null;
    default:
      return Type::Number;
  }
}

void Reader::beginObject() {
  if (next() == '{')
    ++at_;
  else
    fail();
}

void Reader::beginArray() {
  if (next() == '[')
    ++at_;
  else
    fail();
}

bool Reader::more(char close) {
  char c = next();
  if (c == close) {
    ++at_;
    return false;
  }
  if (c == ',') {
    ++at_;
    c = next();
  }
  if (c == '\0') fail();
  return ok_;
}

bool Reader::member(std::string_view& key) {
  if (!more('}')) return false;
  if (*at_ != '"') {
    fail();
    return false;
  }
  key = quoted();
  if (next() != ':') {
    fail();
    return false;
  }
  ++at_;
  return true;
}

bool Reader::element() { return more(']'); }

bool Reader::passString() {
  bool escapes = false;
  for (++at_;;) {
    at_ = findQuote(at_, end_);
    if (at_ == end_) break;
    if (*at_++ == '"') return escapes;
    escapes = true;
    if (at_ == end_) break;
    ++at_;  // what is escaped
  }
  fail();
  return false;
}

std::string_view Reader::quoted() {
  const char* begin = at_;
  bool escapes = passString();
  if (!ok_) return {};
  if (!escapes) return {begin + 1, static_cast<size_t>(at_ - begin - 2)};
  Arena arena;  // escapes are rare, and understood in one place
  auto parsed = parse(arena, std::string_view(begin, static_cast<size_t>(at_ - begin)));
  if (!parsed.ok()) {
    fail();
    return {};
  }
  scratch_ = parsed->asString();
  return scratch_;
}

void Reader::string(std::string& out) {
  if (next() != '"') return fail();
  std::string_view text = quoted();
  out.assign(text);
}

bool Reader::boolean() {
  bool out = next() == 't';
  skip();
  return out;
}

std::string_view Reader::skip() {
  char c = next();
  const char* begin = at_;
  if (c == '"') {
    passString();
  } else if (c == '{' || c == '[') {
    at_ = passContainer(at_, end_);
    if (!at_) fail();
  } else {
    while (at_ != end_ && !std::strchr(",]} \n\t\r", *at_)) ++at_;
    if (at_ == begin) fail();
  }
  return ok_ ? std::string_view(begin, static_cast<size_t>(at_ - begin)) : std::string_view();
}

}  // namespace stoker::json
