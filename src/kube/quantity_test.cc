#include "kube/quantity.h"

#include <gtest/gtest.h>

#include <limits>

namespace stoker::kube {
namespace {

Quantity must(std::string_view text) {
  auto q = Quantity::parse(text);
  EXPECT_TRUE(q.ok()) << text;
  return q.ok() ? *q : Quantity();
}

struct CanonicalCase {
  const char* text;
  const char* expected;
};
class QuantityCanonical : public testing::TestWithParam<CanonicalCase> {};
TEST_P(QuantityCanonical, asUpstreamPrintsIt) {
  EXPECT_EQ(must(GetParam().text).toString(), GetParam().expected);
  EXPECT_EQ(must(GetParam().expected).toString(), GetParam().expected) << "the canonical form must be a fixed point";
}
INSTANTIATE_TEST_SUITE_P(
    Upstream, QuantityCanonical,
    testing::Values(
        CanonicalCase{"0", "0"}, CanonicalCase{"00", "0"}, CanonicalCase{"0n", "0"}, CanonicalCase{"0Ki", "0"},
        CanonicalCase{"-0", "0"}, CanonicalCase{"0.0m", "0"}, CanonicalCase{"0e5", "0"}, CanonicalCase{"1n", "1n"},
        CanonicalCase{"1u", "1u"}, CanonicalCase{"1m", "1m"}, CanonicalCase{"1", "1"}, CanonicalCase{"1k", "1k"},
        CanonicalCase{"1M", "1M"}, CanonicalCase{"1E", "1E"}, CanonicalCase{"1Ki", "1Ki"}, CanonicalCase{"8Ki", "8Ki"},
        CanonicalCase{"7Mi", "7Mi"}, CanonicalCase{"1Ei", "1Ei"}, CanonicalCase{"1024Mi", "1Gi"},
        CanonicalCase{"307200Ki", "300Mi"}, CanonicalCase{"1025024Mi", "1001Gi"}, CanonicalCase{"1024Gi", "1Ti"},
        CanonicalCase{"5000m", "5"}, CanonicalCase{"0.5", "500m"}, CanonicalCase{".5", "500m"},
        CanonicalCase{"1000M", "1G"}, CanonicalCase{"0.001T", "1G"}, CanonicalCase{"1000u", "1m"},
        CanonicalCase{"1.08", "1080m"}, CanonicalCase{"1080000000n", "1080m"}, CanonicalCase{"1234567M", "1234567M"},
        CanonicalCase{"1025", "1025"}, CanonicalCase{".001e12", "1e9"}, CanonicalCase{"0.001e0", "1e-3"},
        CanonicalCase{"1000e-12", "1e-9"}, CanonicalCase{"80e-3", "80e-3"}, CanonicalCase{"300e6", "300e6"},
        CanonicalCase{"3E3", "3e3"}, CanonicalCase{"1e+9", "1e9"}, CanonicalCase{"12e2", "1200"},
        CanonicalCase{"1.5Gi", "1536Mi"}, CanonicalCase{"0.1Ki", "102400m"}, CanonicalCase{"0.5Ki", "512"},
        CanonicalCase{"0.5Mi", "512Ki"}, CanonicalCase{"2000Ki", "2000Ki"}, CanonicalCase{"1.", "1"},
        CanonicalCase{"1.G", "1G"}, CanonicalCase{"+1", "1"}, CanonicalCase{"-1", "-1"}, CanonicalCase{"-0.5", "-500m"},
        CanonicalCase{"-1024Mi", "-1Gi"}, CanonicalCase{"0001.500", "1500m"}, CanonicalCase{"100k", "100k"},
        CanonicalCase{".0001k", "100m"}, CanonicalCase{"9223372036854775807", "9223372036854775807"},
        CanonicalCase{"18446744073709551616", "18446744073709551616"}, CanonicalCase{"1000E", "1e21"},
        CanonicalCase{"12345678901234567890123m", "12345678901234567890123m"}));

INSTANTIATE_TEST_SUITE_P(RoundsUp, QuantityCanonical,
                         testing::Values(CanonicalCase{"0.0000000001", "1n"},
                                         CanonicalCase{"1.0000000001", "1000000001n"},
                                         CanonicalCase{"-0.0000000001", "-1n"}, CanonicalCase{"1e-100", "1e-9"},
                                         CanonicalCase{"0.9n", "1n"}, CanonicalCase{"0.000000000001Ki", "2n"},
                                         CanonicalCase{"0.000000000000000000001Ei", "1152922n"},
                                         CanonicalCase{"1e-99999999999999999999", "1e-9"}));

INSTANTIATE_TEST_SUITE_P(
    Saturates, QuantityCanonical,
    testing::Values(CanonicalCase{"8Ei", "9223372036854775807"}, CanonicalCase{"100Ei", "9223372036854775807"},
                    CanonicalCase{"-100Ei", "-9223372036854775807"},
                    CanonicalCase{"9223372036854775807Ki", "9223372036854775807"}, CanonicalCase{"1e100", "10e27"},
                    CanonicalCase{"1e99999999999999999999", "10e27"}, CanonicalCase{"-1e100", "-10e27"}));

TEST(Quantity, hugeTextsStayBounded) {
  std::string nines(100'000, '9');
  EXPECT_EQ(must(nines).toString(), "10e27");
  EXPECT_EQ(must(nines + "Ki").value(), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(must("0." + std::string(100'000, '0') + "1").toString(), "1n");
  EXPECT_EQ(must("0." + std::string(100'000, '9') + "Ki").toString(), "1Ki");
  EXPECT_EQ(must(std::string(100'000, '0') + "7").toString(), "7");
}

struct BadCase {
  const char* text;
  const char* message;
};
constexpr const char* kFormat =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
constexpr const char* kSuffix = "unable to parse quantity's suffix";
class QuantityMalformed : public testing::TestWithParam<BadCase> {};
TEST_P(QuantityMalformed, isRefused) {
  auto q = Quantity::parse(GetParam().text);
  ASSERT_FALSE(q.ok());
  EXPECT_EQ(q.error().reason, Reason::BadRequest);
  EXPECT_EQ(q.error().message, GetParam().message);
}
INSTANTIATE_TEST_SUITE_P(Upstream, QuantityMalformed,
                         testing::Values(BadCase{"", kFormat}, BadCase{"1.1.M", kFormat}, BadCase{"1+1.0M", kFormat},
                                         BadCase{"0.1mi", kSuffix}, BadCase{"0.1am", kFormat}, BadCase{"aoeu", kFormat},
                                         BadCase{".5i", kSuffix}, BadCase{"1i", kSuffix}, BadCase{"-3.01i", kSuffix},
                                         BadCase{"-3.01e-", kSuffix}, BadCase{" 1", kFormat}, BadCase{"1 ", kFormat},
                                         BadCase{"1K", kSuffix}, BadCase{"+", kFormat}, BadCase{".", kFormat},
                                         BadCase{"e3", kFormat}, BadCase{"--1", kFormat}, BadCase{"1e", kSuffix},
                                         BadCase{"1e+", kSuffix}, BadCase{"1kk", kSuffix}, BadCase{"1m3", kSuffix},
                                         BadCase{"1GB", kFormat}, BadCase{"0x10", kFormat}));

struct NumberCase {
  const char* text;
  int64_t value, milli;
};
class QuantityNumbers : public testing::TestWithParam<NumberCase> {};
TEST_P(QuantityNumbers, roundUpAndSaturate) {
  EXPECT_EQ(must(GetParam().text).value(), GetParam().value);
  EXPECT_EQ(must(GetParam().text).milliValue(), GetParam().milli);
}
constexpr int64_t kMax = std::numeric_limits<int64_t>::max(), kMin = std::numeric_limits<int64_t>::min();
INSTANTIATE_TEST_SUITE_P(Cases, QuantityNumbers,
                         testing::Values(NumberCase{"0", 0, 0}, NumberCase{"1", 1, 1000}, NumberCase{"100m", 1, 100},
                                         NumberCase{"1500m", 2, 1500}, NumberCase{"1n", 1, 1},
                                         NumberCase{"-1n", -1, -1}, NumberCase{"-1500m", -2, -1500},
                                         NumberCase{"1Ki", 1024, 1024000}, NumberCase{"1.1Ki", 1127, 1126400},
                                         NumberCase{"1E", 1000000000000000000, kMax},
                                         NumberCase{"9223372036854775807", kMax, kMax}, NumberCase{"1e20", kMax, kMax},
                                         NumberCase{"-1e20", kMin, kMin}));

TEST(Quantity, ordersByValueWhateverTheFormat) {
  EXPECT_EQ(must("1024"), must("1Ki"));
  EXPECT_EQ(must("1000m"), must("1e0"));
  EXPECT_LT(must("1k"), must("1Ki"));
  EXPECT_GT(must("-1"), must("-2"));
  EXPECT_EQ(must("-2").sign(), -1);
  EXPECT_EQ(must("0Mi").sign(), 0);
  EXPECT_TRUE(must("0Mi").isZero());
}

struct SumCase {
  const char *a, *b, *sum, *difference;
};
class QuantitySum : public testing::TestWithParam<SumCase> {};
TEST_P(QuantitySum, keepsTheFormatOfTheFirst) {
  EXPECT_EQ((must(GetParam().a) + must(GetParam().b)).toString(), GetParam().sum);
  EXPECT_EQ((must(GetParam().a) - must(GetParam().b)).toString(), GetParam().difference);
}
INSTANTIATE_TEST_SUITE_P(Cases, QuantitySum,
                         testing::Values(SumCase{"10", "10", "20", "0"}, SumCase{"10", "1m", "10001m", "9999m"},
                                         SumCase{"10Ki", "1Ki", "11Ki", "9Ki"}, SumCase{"10Ki", "1", "10241", "10239"},
                                         SumCase{"0", "1Ki", "1Ki", "-1Ki"}, SumCase{"1e100", "1e100", "10e27", "0"},
                                         SumCase{"-1e100", "1e100", "0", "-10e27"}, SumCase{"500m", "500m", "1", "0"},
                                         SumCase{"9E", "9E", "18E", "0"}));

TEST(Quantity, fromNumbers) {
  EXPECT_EQ(Quantity::fromInt(1 << 30, Quantity::Format::BinarySI).toString(), "1Gi");
  EXPECT_EQ(Quantity::fromInt(1000).toString(), "1k");
  EXPECT_EQ(Quantity::fromMilli(1500).toString(), "1500m");
  EXPECT_EQ(Quantity::fromInt(kMin).value(), kMin);
  EXPECT_EQ(Quantity::fromMilli(kMax).milliValue(), kMax);
  EXPECT_EQ(must("2Gi").format(), Quantity::Format::BinarySI);
  EXPECT_EQ(must("2e3").format(), Quantity::Format::DecimalExponent);
}

}  // namespace
}  // namespace stoker::kube
