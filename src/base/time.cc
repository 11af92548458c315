#include "base/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace stoker {
namespace {

struct Parts {
  int year;
  unsigned month, day;
  int hour, minute, second;
  long nanos;
};

/// A time as far as it can be written: years 0 to 9999, where Time ends in 2262.
struct Instant {
  std::chrono::sys_seconds seconds;
  long nanos = 0;
};

Parts split(Instant instant) {
  using namespace std::chrono;
  auto day = floor<days>(instant.seconds);
  year_month_day ymd{day};
  hh_mm_ss hms{instant.seconds - day};
  return {static_cast<int>(ymd.year()),
          static_cast<unsigned>(ymd.month()),
          static_cast<unsigned>(ymd.day()),
          static_cast<int>(hms.hours().count()),
          static_cast<int>(hms.minutes().count()),
          static_cast<int>(hms.seconds().count()),
          instant.nanos};
}

Parts split(Time time) {
  auto whole = std::chrono::floor<std::chrono::seconds>(time);
  return split(Instant{whole, static_cast<long>((time - whole).count())});
}

std::string formatSeconds(const Parts& p) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", p.year, p.month, p.day, p.hour, p.minute, p.second);
}
std::string formatMicros(const Parts& p) {
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", p.year, p.month, p.day, p.hour, p.minute, p.second,
                     p.nanos / 1000);
}

bool digits(std::string_view text, size_t at, size_t count, int& out) {
  if (at + count > text.size()) return false;
  out = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return false;
    out = out * 10 + (text[i] - '0');
  }
  return true;
}

}  // namespace

std::string formatTime(Time time) { return formatSeconds(split(time)); }

std::string formatMicroTime(Time time) { return formatMicros(split(time)); }

std::string formatNanoTime(Time time) {
  Parts p = split(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", p.year, p.month, p.day, p.hour, p.minute, p.second,
                     p.nanos);
}

namespace {

std::optional<Instant> parseInstant(std::string_view t) {
  using namespace std::chrono;
  int y, mo, d, h, mi, s;
  if (!digits(t, 0, 4, y) || t.size() < 20 || t[4] != '-' || !digits(t, 5, 2, mo) || t[7] != '-' ||
      !digits(t, 8, 2, d) || (t[10] != 'T' && t[10] != 't') || !digits(t, 11, 2, h) || t[13] != ':' ||
      !digits(t, 14, 2, mi) || t[16] != ':' || !digits(t, 17, 2, s))
    return std::nullopt;
  year_month_day ymd{year{y}, month{static_cast<unsigned>(mo)}, day{static_cast<unsigned>(d)}};
  if (!ymd.ok() || h > 23 || mi > 59 || s > 60) return std::nullopt;
  size_t at = 19;
  long nanos = 0;
  if (t[at] == '.') {
    ++at;
    long scale = 100'000'000;
    size_t start = at;
    while (at < t.size() && t[at] >= '0' && t[at] <= '9') {
      nanos += (t[at] - '0') * scale;
      scale /= 10;
      ++at;
    }
    if (at == start) return std::nullopt;
  }
  if (at >= t.size()) return std::nullopt;
  seconds offset{0};
  if (t[at] == 'Z' || t[at] == 'z') {
    if (at + 1 != t.size()) return std::nullopt;
  } else {
    int oh, om;
    if ((t[at] != '+' && t[at] != '-') || at + 6 != t.size() || !digits(t, at + 1, 2, oh) || t[at + 3] != ':' ||
        !digits(t, at + 4, 2, om) || oh > 23 || om > 59)
      return std::nullopt;
    offset = hours{oh} + minutes{om};
    if (t[at] == '-') offset = -offset;
  }
  return Instant{sys_days{ymd} + hours{h} + minutes{mi} + seconds{s} - offset, nanos};
}

}  // namespace

std::optional<Time> parseTime(std::string_view text) {
  using namespace std::chrono;
  constexpr sys_seconds kFirst = sys_days{year{1678} / 1 / 1}, kLast = sys_days{year{2262} / 1 / 1} - seconds{1};
  auto instant = parseInstant(text);
  if (!instant) return std::nullopt;
  if (instant->seconds < kFirst) return kFirst;
  if (instant->seconds > kLast) return kLast;
  return instant->seconds + nanoseconds{instant->nanos};
}

std::optional<std::string> canonicalTime(std::string_view text, bool micro) {
  auto instant = parseInstant(text);
  if (!instant) return std::nullopt;
  Parts parts = split(*instant);
  if (parts.year < 0 || parts.year > 9999) return std::nullopt;  // its offset leads beyond what can be written
  return micro ? formatMicros(parts) : formatSeconds(parts);
}

Time plusSeconds(Time time, int64_t seconds) {
  // 200 years are for ever, and far from where the sum overflows.
  constexpr int64_t kLongest = 200LL * 365 * 24 * 3600;
  return time + std::chrono::seconds(std::clamp(seconds, -kLongest, kLongest));
}

std::string formatAge(Duration age) {
  auto s = std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(age).count());
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m", s / 60);
  if (s < 86400) return fmt::format("{}h", s / 3600);
  if (s < 86400 * 365) return fmt::format("{}d", s / 86400);
  return fmt::format("{}y", s / (86400 * 365));
}

std::string humanDuration(Duration age) {
  auto s = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  if (s < -1) return "<invalid>";
  if (s < 0) return "0s";
  if (s < 120) return fmt::format("{}s", s);
  int64_t m = s / 60;
  if (m < 10) return s % 60 == 0 ? fmt::format("{}m", m) : fmt::format("{}m{}s", m, s % 60);
  if (m < 180) return fmt::format("{}m", m);
  int64_t h = m / 60;
  if (h < 8) return m % 60 == 0 ? fmt::format("{}h", h) : fmt::format("{}h{}m", h, m % 60);
  if (h < 48) return fmt::format("{}h", h);
  if (h < 24 * 8) return h % 24 == 0 ? fmt::format("{}d", h / 24) : fmt::format("{}d{}h", h / 24, h % 24);
  if (h < 24 * 365 * 2) return fmt::format("{}d", h / 24);
  if (h < 24 * 365 * 8) {
    int64_t dy = h / 24 % 365;
    return dy == 0 ? fmt::format("{}y", h / 24 / 365) : fmt::format("{}y{}d", h / 24 / 365, dy);
  }
  return fmt::format("{}y", h / 24 / 365);
}

std::optional<Duration> parseGoDuration(std::string_view text) {
  if (text == "0") return Duration{0};
  bool negative = false;
  if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.empty()) return std::nullopt;
  double total = 0;
  while (!text.empty()) {
    double value = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
    if (ec != std::errc() || value < 0) return std::nullopt;
    text.remove_prefix(end - text.data());
    size_t unit = 0;
    while (unit < text.size() && !(text[unit] >= '0' && text[unit] <= '9') && text[unit] != '.') ++unit;
    std::string_view name = text.substr(0, unit);
    double scale;
    if (name == "ns")
      scale = 1;
    else if (name == "us" || name == "µs")
      scale = 1e3;
    else if (name == "ms")
      scale = 1e6;
    else if (name == "s")
      scale = 1e9;
    else if (name == "m")
      scale = 60e9;
    else if (name == "h")
      scale = 3600e9;
    else
      return std::nullopt;
    total += value * scale;
    text.remove_prefix(unit);
  }
  if (total > 9.2e18) return std::nullopt;
  return Duration{static_cast<int64_t>(negative ? -total : total)};
}

}  // namespace stoker
