// The simulator's runs. STOKER_SIM_SEEDS=n: how many seeds (default 200); STOKER_SIM_SEED=s replays one, with
// STOKER_SIM_TRACE=1 printing every step of it.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "story.h"

namespace stoker::sim {
namespace {

uint64_t number(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

std::string howToReplay(uint64_t seed) {
  return fmt::format("replay: STOKER_SIM_SEED={} STOKER_SIM_TRACE=1 sim_test --gtest_filter=Simulator.everythingHolds",
                     seed);
}

class Simulator : public testing::Test {
 protected:
  // What is injected makes components complain all the time.
  static void SetUpTestSuite() { log::setLevel(log::Level::Error); }
};

TEST_F(Simulator, everythingHolds) {
  if (uint64_t seed = number("STOKER_SIM_SEED", 0)) {
    if (number("STOKER_SIM_LOG", 0)) log::setLevel(log::Level::Debug);
    Outcome outcome = tell(seed, number("STOKER_SIM_TRACE", 0) != 0);
    std::printf("seed %lu: %d jobs, %d crashes, %lu steps, %ld s of virtual time\n", seed, outcome.jobs,
                outcome.crashes, outcome.steps, outcome.virtualSeconds);
    EXPECT_EQ(outcome.problem, "") << howToReplay(seed);
    return;
  }
  uint64_t seeds = number("STOKER_SIM_SEEDS", 200);
  std::atomic<uint64_t> next{1};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < std::max(std::thread::hardware_concurrency(), 1u); ++i)
    threads.emplace_back([&] {
      while (!failed) {
        uint64_t seed = next++;
        if (seed > seeds) return;
        Outcome outcome = tell(seed);
        if (outcome.problem.empty()) continue;
        failed = true;
        std::lock_guard lock(mutex);
        ADD_FAILURE() << "seed " << seed << ": " << outcome.problem << "\n" << howToReplay(seed);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Simulator, theSameSeedIsTheSameRun) {
  for (uint64_t seed : {4, 7}) {
    Outcome once = tell(seed), again = tell(seed);
    EXPECT_EQ(once.fingerprint, again.fingerprint) << "seed " << seed;
    EXPECT_EQ(once.steps, again.steps) << "seed " << seed;
    EXPECT_NE(once.fingerprint, tell(seed + 2).fingerprint);
  }
}

}  // namespace
}  // namespace stoker::sim
