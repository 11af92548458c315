// time.h
//
// Time comes in as an argument: domain code takes `Time now`; only the shells own a Clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace stoker {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::sys_time<Duration>;
using namespace std::chrono_literals;

/// metav1.Time: "2006-01-02T15:04:05Z" (seconds, UTC).
std::string formatTime(Time time);
/// metav1.MicroTime: "2006-01-02T15:04:05.000000Z".
std::string formatMicroTime(Time time);
/// RFC 3339 with nine digits, as CRI log lines carry it.
std::string formatNanoTime(Time time);
/// Any RFC 3339 time, with or without fraction, any offset; nullopt when it is not one. Before 1678 and after 2261,
/// which Time cannot hold, the nearest it can.
std::optional<Time> parseTime(std::string_view text);
/// The same time as formatTime (or formatMicroTime) writes it, also where Time cannot hold it; nullopt when it is none.
std::optional<std::string> canonicalTime(std::string_view text, bool micro);
/// For seconds that users give (deadlines, graces): any number of them; beyond 200 years counts as 200 years.
Time plusSeconds(Time time, int64_t seconds);
/// kubectl's and arena's one-unit age: 45s, 5m, 3h, 2d, 1y. Negative ages print as 0s.
std::string formatAge(Duration age);
/// apimachinery duration.HumanDuration, as kubectl's AGE columns: 95s, 3m12s, 5h13m, 2d3h, 400d.
std::string humanDuration(Duration age);
/// Go's time.ParseDuration ("1h30m", "1.5s", "300ms"); nullopt when malformed.
std::optional<Duration> parseGoDuration(std::string_view text);

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time now() const = 0;
};

class SystemClock final : public Clock {
 public:
  Time now() const override { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }
};

/// A clock that stands still until it is moved; for tests and the simulator.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Time start) : now_(start) {}
  Time now() const override { return now_; }
  void set(Time now) { now_ = now; }
  void advance(Duration by) { now_ += by; }

 private:
  Time now_;
};

}  // namespace stoker
