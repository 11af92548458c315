#include "kube/quantity.h"

#include <algorithm>
#include <limits>

namespace stoker::kube {

namespace {

using Int128 = __int128;

constexpr Int128 kNano = 1'000'000'000;
constexpr int64_t kMaxInt64 = std::numeric_limits<int64_t>::max();

constexpr Int128 powerOfTen(int exponent) {
  Int128 out = 1;
  for (int i = 0; i < exponent; ++i) out *= 10;
  return out;
}

// 10^28 base units. Upstream's decimals have no bound; ours stop at the largest power of ten of which two can be added
// in 128 bits at nano scale, far above anything a cluster holds.
constexpr int kMaxNanoDigits = 37;
constexpr Int128 kLimit = powerOfTen(kMaxNanoDigits);
// Binary suffixes are capped where upstream caps them.
constexpr Int128 kBinaryLimit = Int128{kMaxInt64} * kNano;

constexpr std::string_view kFormatWrong =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr std::string_view kSuffixWrong = "unable to parse quantity's suffix";

struct Suffix {
  std::string_view text;
  int base;
  int exponent;
};
constexpr Suffix kSuffixes[] = {
    {"Ki", 2, 10}, {"Mi", 2, 20}, {"Gi", 2, 30}, {"Ti", 2, 40}, {"Pi", 2, 50}, {"Ei", 2, 60},
    {"n", 10, -9}, {"u", 10, -6}, {"m", 10, -3}, {"", 10, 0},   {"k", 10, 3},  {"M", 10, 6},
    {"G", 10, 9},  {"T", 10, 12}, {"P", 10, 15}, {"E", 10, 18},
};

const Suffix* suffixOf(int base, int exponent) {
  for (const Suffix& s : kSuffixes)
    if (s.base == base && s.exponent == exponent) return &s;
  return nullptr;
}

bool isDigit(char c) { return c >= '0' && c <= '9'; }

size_t skipDigits(std::string_view text, size_t at) {
  while (at < text.size() && isDigit(text[at])) ++at;
  return at;
}

// An exponent beyond every useful size, saturated so that arithmetic with lengths of texts cannot overflow.
constexpr int64_t kHugeExponent = 1'000'000'000'000;

int64_t parseExponent(std::string_view digits) {
  int64_t out = 0;
  for (char c : digits) out = std::min(out * 10 + (c - '0'), kHugeExponent);
  return out;
}

// whole.fraction * 10^exponent in nano units, rounded up, saturated.
Int128 decimalNano(std::string_view whole, std::string_view fraction, int64_t exponent) {
  auto digitAt = [&](size_t i) { return i < whole.size() ? whole[i] : fraction[i - whole.size()]; };
  size_t count = whole.size() + fraction.size(), first = 0;
  while (first < count && digitAt(first) == '0') ++first;
  if (first == count) return 0;
  // The number of digits that stand before the decimal point of the nano value.
  int64_t before = static_cast<int64_t>(whole.size()) - static_cast<int64_t>(first) + exponent + 9;
  if (before > kMaxNanoDigits) return kLimit;
  Int128 out = 0;
  size_t i = first;
  for (int64_t n = 0; n < before; ++n) out = out * 10 + (i < count ? digitAt(i++) - '0' : 0);
  for (; i < count; ++i)
    if (digitAt(i) != '0') return out + 1;
  return out;
}

// whole.fraction * 2^exponent in nano units, rounded up, capped at 2^63-1 units.
Int128 binaryNano(std::string_view whole, std::string_view fraction, int exponent) {
  Int128 factor = Int128{1} << exponent;
  Int128 units = 0;
  for (char c : whole) {
    units = units * 10 + (c - '0');
    if (units * factor > kMaxInt64) return kBinaryLimit;
  }
  // Long division from the last digit on: floor((d + floor(rest)) / 10) is exact, and any remainder rounds up.
  factor *= kNano;
  Int128 rest = 0;
  bool inexact = false;
  for (size_t i = fraction.size(); i-- > 0;) {
    Int128 sum = (fraction[i] - '0') * factor + rest;
    inexact |= sum % 10 != 0;
    rest = sum / 10;
  }
  return std::min(units * factor + rest + (inexact ? 1 : 0), kBinaryLimit);
}

int64_t saturate(Int128 value) {
  constexpr Int128 kMin = std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(std::clamp(value, kMin, Int128{kMaxInt64}));
}

// Away from zero, as upstream: who asks for a little gets a little.
Int128 divideRoundingUp(Int128 value, Int128 by) {
  Int128 quotient = value / by;
  if (value % by == 0) return quotient;
  return value > 0 ? quotient + 1 : quotient - 1;
}

std::string digits(Int128 value) {
  bool negative = value < 0;
  if (negative) value = -value;
  std::string out;
  do out += static_cast<char>('0' + static_cast<int>(value % 10));
  while ((value /= 10) != 0);
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

Int128 clampToLimit(Int128 value) { return std::clamp(value, -kLimit, kLimit); }

}  // namespace

Quantity Quantity::fromInt(int64_t value, Format format) {
  Quantity q;
  q.nano_ = Int128{value} * kNano;
  q.format_ = format;
  return q;
}

Quantity Quantity::fromMilli(int64_t milli, Format format) {
  Quantity q;
  q.nano_ = Int128{milli} * (kNano / 1000);
  q.format_ = format;
  return q;
}

Result<Quantity> Quantity::parse(std::string_view text) {
  auto formatWrong = [] { return Error(Reason::BadRequest, std::string(kFormatWrong)); };
  size_t at = 0;
  bool negative = !text.empty() && text[0] == '-';
  if (negative || (!text.empty() && text[0] == '+')) at = 1;
  size_t end = skipDigits(text, at);
  std::string_view whole = text.substr(at, end - at), fraction;
  if (end < text.size() && text[end] == '.') {
    at = end + 1;
    end = skipDigits(text, at);
    fraction = text.substr(at, end - at);
  }
  // Upstream reads a lone sign or point as zero; a slip of the keyboard is no zero here.
  if (whole.empty() && fraction.empty()) return formatWrong();

  std::string_view suffix = text.substr(end);
  size_t letters = std::min(suffix.find_first_not_of("eEinumkKMGTP"), suffix.size());
  size_t tail = letters;
  if (tail < suffix.size() && (suffix[tail] == '-' || suffix[tail] == '+')) ++tail;
  if (skipDigits(suffix, tail) != suffix.size()) return formatWrong();

  Quantity q;
  const Suffix* known =
      std::find_if(std::begin(kSuffixes), std::end(kSuffixes), [&](auto& s) { return s.text == suffix; });
  if (known != std::end(kSuffixes) && known->base == 2) {
    q.format_ = Format::BinarySI;
    q.nano_ = binaryNano(whole, fraction, known->exponent);
    if (q.nano_ > 0 && q.nano_ < kNano) q.format_ = Format::DecimalSI;  // a fraction reads better as 500m
  } else if (known != std::end(kSuffixes)) {
    q.nano_ = decimalNano(whole, fraction, known->exponent);
  } else if (letters == 1 && (suffix[0] == 'e' || suffix[0] == 'E') && tail < suffix.size()) {
    int64_t exponent = parseExponent(suffix.substr(tail));
    q.format_ = Format::DecimalExponent;
    q.nano_ = decimalNano(whole, fraction, suffix[1] == '-' ? -exponent : exponent);
  } else {
    return Error(Reason::BadRequest, std::string(kSuffixWrong));
  }
  if (negative) q.nano_ = -q.nano_;
  return q;
}

int64_t Quantity::value() const { return saturate(divideRoundingUp(nano_, kNano)); }
int64_t Quantity::milliValue() const { return saturate(divideRoundingUp(nano_, kNano / 1000)); }
bool Quantity::isZero() const { return nano_ == 0; }
int Quantity::sign() const { return nano_ > 0 ? 1 : nano_ < 0 ? -1 : 0; }

std::string Quantity::toString() const {
  if (nano_ == 0) return "0";
  Format format = format_;
  // What is small or not whole has no exact form in powers of 1024.
  if (format == Format::BinarySI && ((nano_ > -1024 * kNano && nano_ < 1024 * kNano) || nano_ % kNano != 0))
    format = Format::DecimalSI;
  if (format == Format::BinarySI) {
    Int128 units = nano_ / kNano;
    int exponent = 0;
    for (; exponent < 60 && units % 1024 == 0; exponent += 10) units /= 1024;
    return digits(units) + (exponent == 0 ? std::string() : std::string(suffixOf(2, exponent)->text));
  }
  Int128 mantissa = nano_;
  int exponent = -9;
  for (; mantissa % 1000 == 0; exponent += 3) mantissa /= 1000;
  std::string out = digits(mantissa);
  const Suffix* suffix = format == Format::DecimalSI ? suffixOf(10, exponent) : nullptr;
  if (suffix) return out.append(suffix->text);
  return exponent == 0 ? out : out + "e" + digits(exponent);  // also where SI ends: "1000E" is 1e21
}

std::strong_ordering Quantity::operator<=>(const Quantity& other) const {
  return nano_ < other.nano_   ? std::strong_ordering::less
         : nano_ > other.nano_ ? std::strong_ordering::greater
                               : std::strong_ordering::equal;
}

// Zero has no format of its own: 0 + 1Gi is 1Gi, not 1073741824.
Quantity Quantity::operator+(const Quantity& other) const {
  Quantity out;
  out.nano_ = clampToLimit(nano_ + other.nano_);
  out.format_ = nano_ == 0 ? other.format_ : format_;
  return out;
}

Quantity Quantity::operator-(const Quantity& other) const {
  Quantity out;
  out.nano_ = clampToLimit(nano_ - other.nano_);
  out.format_ = nano_ == 0 ? other.format_ : format_;
  return out;
}

}  // namespace stoker::kube
