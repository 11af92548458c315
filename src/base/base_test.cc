#include <gtest/gtest.h>

#include "base/ids.h"
#include "base/result.h"
#include "base/strings.h"
#include "base/time.h"

namespace stoker {
namespace {

TEST(Time, roundTripsAndRejects) {
  EXPECT_EQ(formatTime(*parseTime("2026-11-25T10:00:01Z")), "2026-11-25T10:00:01Z");
  EXPECT_EQ(formatMicroTime(*parseTime("2026-11-25T10:00:01.25+02:00")), "2026-11-25T08:00:01.250000Z");
  for (const char* bad : {"", "2026-11-25", "2026-13-25T10:00:01Z", "2026-11-25T10:00:01", "2026-11-25T10:00:01.Z",
                          "2026-11-25T10:00:01Zx"})
    EXPECT_FALSE(parseTime(bad)) << bad;
}

TEST(Time, beyondWhatTimeHolds) {
  EXPECT_EQ(formatTime(*parseTime("0001-01-01T00:00:00Z")), "1678-01-01T00:00:00Z");
  EXPECT_EQ(formatTime(*parseTime("9999-12-31T23:59:59Z")), "2261-12-31T23:59:59Z");
  EXPECT_EQ(canonicalTime("0001-01-01T00:00:00Z", false), "0001-01-01T00:00:00Z");
  EXPECT_EQ(canonicalTime("9999-12-31T23:59:59.5+01:00", true), "9999-12-31T22:59:59.500000Z");
  EXPECT_EQ(canonicalTime("2026-11-25t10:00:01.25+02:00", false), "2026-11-25T08:00:01Z");
  EXPECT_EQ(canonicalTime("9999-12-31T23:59:59-01:00", false), std::nullopt);
  EXPECT_EQ(canonicalTime("soon", false), std::nullopt);
  Time now = *parseTime("2026-11-25T10:00:00Z");
  EXPECT_EQ(plusSeconds(now, 60), now + 60s);
  EXPECT_GT(plusSeconds(now, INT64_MAX), now + 24h * 365 * 100);
  EXPECT_LT(plusSeconds(now, INT64_MIN), now - 24h * 365 * 100);
}

TEST(Time, agesAsKubectlPrintsThem) {
  EXPECT_EQ(humanDuration(119s), "119s");
  EXPECT_EQ(humanDuration(192s), "3m12s");
  EXPECT_EQ(humanDuration(11h), "11h");
  EXPECT_EQ(humanDuration(51h), "2d3h");
  EXPECT_EQ(humanDuration(24h * 400), "400d");
  EXPECT_EQ(formatAge(95s), "1m");
  EXPECT_EQ(formatAge(-5s), "0s");
}

TEST(Time, goDurations) {
  EXPECT_EQ(parseGoDuration("1h30m"), Duration(90min));
  EXPECT_EQ(parseGoDuration("1.5s"), Duration(1500ms));
  EXPECT_EQ(parseGoDuration("-2m"), Duration(-2min));
  for (const char* bad : {"", "5", "1x", "s", "1h-3m"}) EXPECT_FALSE(parseGoDuration(bad)) << bad;
}

TEST(Strings, base64) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("ab"), std::string("abc"), std::string("\0\xff\x10", 3)}) {
    EXPECT_EQ(base64Decode(base64Encode(text)), text);
    EXPECT_EQ(base64UrlDecode(base64UrlEncode(text)), text);
  }
  for (const char* bad : {"a", "ab=c", "a===", "!!!!"}) EXPECT_FALSE(base64Decode(bad)) << bad;
}

TEST(Strings, didYouMeanFindsTyposOnly) {
  EXPECT_EQ(didYouMean("--worker", {"--workers", "--gpus"}), "--workers");
  EXPECT_EQ(didYouMean("--completely", {"--workers", "--gpus"}), std::nullopt);
}

TEST(Ids, seededIdsRepeat) {
  SeededIds a(7), b(7);
  EXPECT_EQ(a.uid(), b.uid());
  std::string uid = a.uid();
  EXPECT_EQ(uid.size(), 36u);
  EXPECT_EQ(uid[14], '4');
  EXPECT_EQ(a.suffix(5).find_first_not_of("bcdfghjklmnpqrstvwxz2456789"), std::string::npos);
}

TEST(Result, reasonsMapBothWays) {
  EXPECT_EQ(reasonFromString("AlreadyExists"), Reason::AlreadyExists);
  EXPECT_EQ(toString(Reason::Expired), "Expired");
  EXPECT_EQ(httpCode(Reason::Invalid), 422);
}

}  // namespace
}  // namespace stoker
