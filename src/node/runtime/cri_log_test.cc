#include "node/runtime/cri_log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace stoker::node {
namespace {

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kNoon = 1764072000 * kSecond;  // 2025-11-25T12:00:00Z

std::string format(const std::vector<std::string>& pieces, bool finish) {
  LogFormatter formatter(LogStream::Stdout);
  std::string out;
  for (const std::string& piece : pieces) formatter.add(piece, "T", out);
  if (finish) formatter.finish("T", out);
  return out;
}

TEST(CriLog, TimesHaveNineDigits) {
  EXPECT_EQ(logTime(kNoon), "2025-11-25T12:00:00.000000000Z");
  EXPECT_EQ(logTime(kNoon + 12345), "2025-11-25T12:00:00.000012345Z");
}

TEST(CriLog, LinesAreCutWhereTheyEnd) {
  struct Case {
    const char* name;
    std::vector<std::string> pieces;
    std::string expected;
  };
  for (const Case& c : std::vector<Case>{{"two lines in one read", {"a\nb\n"}, "T stdout F a\nT stdout F b\n"},
                                         {"a line in two reads", {"he", "llo\n"}, "T stdout F hello\n"},
                                         {"empty lines", {"\n\n"}, "T stdout F \nT stdout F \n"},
                                         {"no newline at the end", {"a\nrest"}, "T stdout F a\nT stdout F rest\n"},
                                         {"nothing", {""}, ""},
                                         {"carriage returns stay", {"a\r\n"}, "T stdout F a\r\n"}}) {
    EXPECT_EQ(format(c.pieces, true), c.expected) << c.name;
  }
}

TEST(CriLog, ALongLineComesInParts) {
  const std::string part(kMaxLogChunk, 'x');
  EXPECT_EQ(format({part + "\n"}, true), "T stdout F " + part + "\n") << "a line of exactly the limit is whole";
  EXPECT_EQ(format({part + "y\n"}, true), "T stdout P " + part + "\nT stdout F y\n");
  EXPECT_EQ(format({part + part + "z", "z\n"}, true),
            "T stdout P " + part + "\nT stdout P " + part + "\nT stdout F zz\n");
  EXPECT_EQ(format({std::string(10, 'a'), std::string(kMaxLogChunk, 'a') + "\n"}, true).size(),
            2 * std::string("T stdout P \n").size() + kMaxLogChunk + 10);
}

TEST(CriLog, StderrIsMarked) {
  LogFormatter formatter(LogStream::Stderr);
  std::string out;
  formatter.add("x\n", "T", out);
  EXPECT_EQ(out, "T stderr F x\n");
}

class LogFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "stoker-log-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) out.push_back(entry.path().filename());
    std::sort(out.begin(), out.end());
    return out;
  }
  std::string directory_;
};

TEST_F(LogFileTest, RotatesBeforeTheWriteThatWouldPassTheLimitAndKeepsSoMany) {
  LogFile log(directory_ + "/0.log", 10, 3);
  ASSERT_TRUE(log.open());
  for (int i = 0; i < 6; ++i) log.write("12345678\n", kNoon + i * kSecond);
  EXPECT_EQ(names(), (std::vector<std::string>{"0.log", "0.log.20251125-120004", "0.log.20251125-120005"}));
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/0.log"), 9U);
}

TEST_F(LogFileTest, RotationsWithinASecondDoNotMeetAndSortByAge) {
  LogFile log(directory_ + "/0.log", 10, 5);
  ASSERT_TRUE(log.open());
  for (int i = 0; i < 4; ++i) log.write(std::to_string(i) + "2345678\n", kNoon);
  EXPECT_EQ(names(), (std::vector<std::string>{"0.log", "0.log.20251125-120000", "0.log.20251125-120000-001",
                                               "0.log.20251125-120000-002"}));
  std::string first;
  std::ifstream(directory_ + "/0.log.20251125-120000") >> first;
  EXPECT_EQ(first, "02345678");
}

TEST_F(LogFileTest, OneFileMeansNoRotatedOnes) {
  LogFile log(directory_ + "/0.log", 10, 1);
  ASSERT_TRUE(log.open());
  for (int i = 0; i < 4; ++i) log.write("12345678\n", kNoon);
  EXPECT_EQ(names(), std::vector<std::string>{"0.log"});
}

TEST_F(LogFileTest, AReopenedLogGoesOn) {
  for (int i = 0; i < 2; ++i) {
    LogFile log(directory_ + "/0.log", 100, 5);
    ASSERT_TRUE(log.open());
    log.write("x\n", kNoon);
  }
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/0.log"), 4U);
}

TEST_F(LogFileTest, WhatCannotBeWrittenIsCounted) {
  LogFile log(directory_ + "/missing/0.log", 100, 5);
  EXPECT_FALSE(log.open());
  EXPECT_NE(log.error().find("missing/0.log"), std::string::npos);
  log.write("lost\n", kNoon);
  EXPECT_EQ(log.lostBytes(), 5U);
}

}  // namespace
}  // namespace stoker::node
