#include "client/loop.h"

#include <gtest/gtest.h>

#include <future>

namespace stoker::client {
namespace {

const Time kStart = *parseTime("2026-11-25T10:00:00Z");

TEST(ManualLoop, runsTasksInOrderAndOnlyWhenTold) {
  ManualClock clock(kStart);
  ManualLoop loop(clock);
  std::string order;
  loop.post([&] {
    order += 'a';
    loop.post([&] { order += 'c'; });
  });
  loop.post([&] { order += 'b'; });
  EXPECT_EQ(order, "");
  EXPECT_EQ(loop.pending(), 2u);
  EXPECT_TRUE(loop.runOne());
  EXPECT_EQ(order, "a");
  loop.runAll();
  EXPECT_EQ(order, "abc");
  EXPECT_FALSE(loop.runOne());
}

TEST(ManualLoop, timersFireInTheOrderOfTheirTimes) {
  ManualClock clock(kStart);
  ManualLoop loop(clock);
  std::vector<std::pair<char, Duration>> fired;
  auto note = [&](char name) { return [&, name] { fired.emplace_back(name, loop.now() - kStart); }; };
  loop.at(kStart + 2s, note('b'));
  loop.at(kStart + 1s, note('a'));
  loop.at(kStart + 2s, note('c'));
  uint64_t cancelled = loop.at(kStart + 1500ms, note('x'));
  loop.at(kStart + 9s, note('z'));
  loop.cancel(cancelled);
  loop.cancel(cancelled);  // twice is harmless
  EXPECT_EQ(*loop.nextTimer(), kStart + 1s);
  loop.runUntil(kStart + 5s);
  EXPECT_EQ(fired, (std::vector<std::pair<char, Duration>>{{'a', 1s}, {'b', 2s}, {'c', 2s}}));
  EXPECT_EQ(loop.now(), kStart + 5s);
  loop.clear();
  EXPECT_FALSE(loop.nextTimer());
}

TEST(ManualLoop, aTimerOfThePastRunsAtOnceAndTimeNeverGoesBack) {
  ManualClock clock(kStart);
  ManualLoop loop(clock);
  bool ran = false;
  loop.at(kStart - 1h, [&] { ran = true; });
  loop.runUntil(kStart);
  EXPECT_TRUE(ran);
  EXPECT_EQ(loop.now(), kStart);
}

TEST(ThreadLoop, runsTasksInOrderOnItsOwnThread) {
  SystemClock clock;
  ThreadLoop loop("test", clock);
  std::vector<int> order;
  std::thread::id where;
  for (int i = 0; i < 100; ++i) loop.post([&, i] { order.push_back(i); });
  loop.call([&] { where = std::this_thread::get_id(); });
  EXPECT_NE(where, std::this_thread::get_id());
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(ThreadLoop, callFromTheLoopItselfRunsAtOnce) {
  SystemClock clock;
  ThreadLoop loop("test", clock);
  bool inner = false;
  loop.call([&] { loop.call([&] { inner = true; }); });
  EXPECT_TRUE(inner);
}

TEST(ThreadLoop, timersFireInOrderAndCancelledOnesDoNot) {
  SystemClock clock;
  ThreadLoop loop("test", clock);
  std::promise<std::string> done;
  std::string order;
  loop.call([&] {
    Time now = loop.now();
    loop.at(now + 20ms, [&] { done.set_value(order); });
    loop.at(now + 10ms, [&] { order += 'b'; });
    loop.at(now - 1s, [&] { order += 'a'; });
    loop.cancel(loop.at(now + 5ms, [&] { order += 'x'; }));
  });
  auto result = done.get_future();
  ASSERT_EQ(result.wait_for(10s), std::future_status::ready);
  EXPECT_EQ(result.get(), "ab");
}

TEST(ThreadLoop, aTimerBeyondAllTimeDoesNotKeepTheLoopFromItsWork) {
  SystemClock clock;
  ThreadLoop loop("test", clock);
  loop.at(Time::max(), [] { FAIL() << "this is not due in our lifetime"; });
  bool ran = false;
  loop.call([&] { ran = true; });
  EXPECT_TRUE(ran);
}

TEST(ThreadLoop, stopDropsWhatWaitsAndWhatComesLater) {
  SystemClock clock;
  ThreadLoop loop("test", clock);
  std::promise<void> release;
  int later = 0;
  // What a dropped task owns may use the loop when it is destroyed: that must not deadlock.
  struct Poster {
    ThreadLoop& loop;
    ~Poster() {
      loop.post([] {});
    }
  };
  auto poster = std::make_shared<Poster>(loop);
  loop.post([&] {
    release.get_future().wait();
    loop.stop();
  });
  loop.post([&, poster] { ++later; });
  loop.at(kStart, [&, poster] { ++later; });
  loop.at(loop.now() + 1h, [poster] {});
  poster.reset();
  // A call that stands behind all this returns, too.
  std::thread calling([&] { loop.call([&] { ++later; }); });
  release.set_value();
  calling.join();
  loop.stop();
  loop.post([&] { ++later; });
  EXPECT_EQ(later, 0);
}

TEST(ThreadLoop, callOnAStoppedLoopReturns) {
  SystemClock clock;
  ThreadLoop loop("test", clock);
  loop.stop();
  loop.stop();
  bool ran = false;
  loop.call([&] { ran = true; });
  EXPECT_FALSE(ran);
}

}  // namespace
}  // namespace stoker::client
