// quantity.h: resource.Quantity: "500m", "1.5Gi", "2e3". Exact at nano scale up to 10^28 base units, saturating above.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stoker::kube {

class Quantity {
 public:
  enum class Format { DecimalSI, BinarySI, DecimalExponent };
  constexpr Quantity() = default;
  static Quantity fromInt(int64_t value, Format format = Format::DecimalSI);
  static Quantity fromMilli(int64_t milli, Format format = Format::DecimalSI);
  /// Upstream's error: quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'.
  static Result<Quantity> parse(std::string_view text);

  /// Rounded up, saturating; base units (cores, bytes, cards).
  int64_t value() const;
  /// Rounded up, saturating; thousandths.
  int64_t milliValue() const;
  bool isZero() const;
  int sign() const;
  Format format() const { return format_; }
  /// Canonical form as upstream's MarshalJSON: 1000m -> "1", 1024Mi -> "1Gi", "0.5" -> "500m".
  std::string toString() const;
  std::strong_ordering operator<=>(const Quantity& other) const;
  bool operator==(const Quantity& other) const { return (*this <=> other) == 0; }
  Quantity operator+(const Quantity& other) const;
  Quantity operator-(const Quantity& other) const;

 private:
  // value = units * 10^-9 as a 128-bit integer: upstream keeps at most nano precision (rounding up) as well.
  __int128 nano_ = 0;
  Format format_ = Format::DecimalSI;
};

}  // namespace stoker::kube
