#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>

#include "node/logs/cri_lines.h"
#include "node/logs/pod_log_files.h"
#include "node/runtime/cri_log.h"

namespace stoker::node {
namespace {

std::string filtered(const std::vector<std::string>& chunks, LineOptions options = {}) {
  LineFilter filter(options);
  std::string out;
  for (const auto& chunk : chunks) filter.add(chunk, out);
  return out;
}
const std::string kTwo =
    "2026-01-01T00:00:01.000000000Z stdout F one\n2026-01-01T00:00:02.000000000Z stderr P "
    "tw\n2026-01-01T00:00:02.500000000Z stderr F o\n";

TEST(CriLines, read) {
  EXPECT_EQ(filtered({kTwo}), "one\ntwo\n");
  for (size_t at = 0; at < kTwo.size(); ++at)
    EXPECT_EQ(filtered({kTwo.substr(0, at), kTwo.substr(at)}), "one\ntwo\n") << at;
  EXPECT_EQ(filtered({kTwo}, {.timestamps = true}),
            "2026-01-01T00:00:01.000000000Z one\n2026-01-01T00:00:02.000000000Z two\n");
  EXPECT_EQ(filtered({kTwo}, {.since = *parseTime("2026-01-01T00:00:02Z")}), "two\n");
  EXPECT_EQ(filtered({kTwo}, {.limitBytes = 5}), "one\nt");
  EXPECT_EQ(filtered({"not a log line\n"}), "not a log line\n");
  EXPECT_EQ(filtered({"2026-01-01T00:00:01Z stdout F\n"}), "\n") << "an empty line";
}

TEST(CriLines, filesOfARunInOrder) {
  std::vector<std::string> names{"1.log", "0.log", "10.log", "0.log.20260101-000002", "0.log.20260101-000001", "x"};
  EXPECT_EQ(filesOfRun(names, 0),
            (std::vector<std::string>{"0.log.20260101-000001", "0.log.20260101-000002", "0.log"}));
  EXPECT_EQ(latestAttempt(names), 10);
  EXPECT_EQ(latestAttempt({"x"}), -1);
}

class Sink final : public client::LogSink {
 public:
  bool write(std::string text) override {
    std::lock_guard lock(mutex_);
    text_ += text;
    changed_.notify_all();
    return true;
  }
  void finish() override {
    std::lock_guard lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }
  void onClosed(std::function<void()> callback) override { closed_ = std::move(callback); }
  void close() { closed_(); }
  bool waitFor(const std::string& text) {
    return wait([&] { return text_ == text; });
  }
  bool waitFinished() {
    return wait([&] { return finished_; });
  }
  std::string text() {
    std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  bool wait(const std::function<bool()>& condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), condition);
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  bool finished_ = false;
  std::function<void()> closed_;
};

class PodLogFilesTest : public ::testing::Test {
 protected:
  PodLogFilesTest() : root_(std::filesystem::temp_directory_path() / ("stoker-logs-" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(container());
  }
  ~PodLogFilesTest() override { std::filesystem::remove_all(root_); }
  std::filesystem::path container() const { return root_ / "ns_pod_u1" / "main"; }
  void append(const std::string& file, const std::vector<std::string>& lines) {
    std::ofstream out(container() / file, std::ios::app);
    for (const auto& line : lines) out << "2026-01-01T00:00:01.000000000Z stdout F " << line << "\n";
  }
  std::string read(client::LogOptions options) {
    options.container = "main";
    auto sink = std::make_shared<Sink>();
    auto opened = logs_.open("u1", options, sink);
    if (!opened.ok()) return "error: " + opened.error().message;
    EXPECT_TRUE(sink->waitFinished());
    return sink->text();
  }
  std::filesystem::path root_;
  PodLogFiles logs_{root_.string()};
};

TEST_F(PodLogFilesTest, readsTailsAndPreviousRuns) {
  EXPECT_EQ(read({}), "error: container \"main\" has no log on this node: it has not started here");
  append("0.log", {"old"});
  EXPECT_EQ(read({.previous = true}), "error: previous terminated container \"main\" not found");
  append("1.log.20260101-000001", {"a", "b"});
  append("1.log", {"c", "d"});
  EXPECT_EQ(read({}), "a\nb\nc\nd\n");
  EXPECT_EQ(read({.tailLines = 1}), "d\n");
  EXPECT_EQ(read({.tailLines = 2}), "c\nd\n");
  EXPECT_EQ(read({.tailLines = 3}), "b\nc\nd\n");
  EXPECT_EQ(read({.tailLines = 99}), "a\nb\nc\nd\n");
  EXPECT_EQ(read({.tailLines = 0}), "");
  EXPECT_EQ(read({.previous = true}), "old\n");
}

TEST_F(PodLogFilesTest, followsThroughRotationToTheEnd) {
  logs_.setRunning("u1", "main", 0, true);
  append("0.log", {"a"});
  auto sink = std::make_shared<Sink>();
  ASSERT_TRUE(logs_.open("u1", {.container = "main", .follow = true}, sink).ok());
  EXPECT_TRUE(sink->waitFor("a\n"));
  append("0.log", {"b"});
  EXPECT_TRUE(sink->waitFor("a\nb\n"));
  std::filesystem::rename(container() / "0.log", container() / "0.log.20260101-000001");
  append("0.log", {"c"});
  EXPECT_TRUE(sink->waitFor("a\nb\nc\n"));
  append("0.log", {"d"});
  logs_.setRunning("u1", "main", 0, false);
  EXPECT_TRUE(sink->waitFinished());
  EXPECT_EQ(sink->text(), "a\nb\nc\nd\n");
}

TEST_F(PodLogFilesTest, aReaderThatGoesEndsItsThread) {
  logs_.setRunning("u1", "main", 0, true);
  append("0.log", {"a"});
  auto sink = std::make_shared<Sink>();
  ASSERT_TRUE(logs_.open("u1", {.container = "main", .follow = true}, sink).ok());
  EXPECT_TRUE(sink->waitFor("a\n"));
  sink->close();
  EXPECT_TRUE(sink->waitFinished());
}

}  // namespace
}  // namespace stoker::node
