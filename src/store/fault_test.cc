// Whatever the disk does, at whatever step: what was acknowledged is there, what was not is there wholly or not at all,
// and revisions only go forward.
#include <fmt/format.h>

#include "store/faulty_vfs.h"
#include "store/store_test_util.h"

namespace stoker::store::test {
namespace {

using Fault = FaultyVfs::Fault;
using State = std::map<std::string, std::string>;  // key -> the text of its last write

/// Notes every revision that the store gives to the log, also the ones that fail.
class SpyLog final : public Log {
 public:
  SpyLog(std::unique_ptr<Log> inner, Revision& highest) : inner_(std::move(inner)), highest_(highest) {}
  Result<void> append(const std::vector<Record>& batch) override {
    for (const Record& record : batch) highest_ = std::max(highest_, record.object->revision);
    return inner_->append(batch);
  }
  Result<Recovered> recover() override { return inner_->recover(); }
  uint64_t sizeBytes() const override { return inner_->sizeBytes(); }

 private:
  std::unique_ptr<Log> inner_;
  Revision& highest_;
};

class Machine {
 public:
  explicit Machine(size_t historyEvents) : historyEvents_(historyEvents) {}

  Result<void> boot() {
    store_.reset();
    STOKER_TRY(
        auto log,
        openSqliteLog(
            {.path = dir_.file("state.db"), .vfs = vfs.name(), .historyEvents = historyEvents_, .walPages = 12}));
    STOKER_TRY(store_, Store::open(std::make_shared<SpyLog>(std::move(log), highest_), {.synchronous = true}));
    return {};
  }
  void down() { store_.reset(); }

  struct Saved {
    FaultyVfs::Disk disk;
    State acknowledged;
    Revision highest = 0;
  };
  Saved save() const { return {vfs.contents(), acknowledged_, highest_}; }
  void load(const Saved& saved) {
    vfs.load(saved.disk);
    acknowledged_ = saved.acknowledged;
    highest_ = saved.highest;
    maybe_.reset();
  }
  Store::Stats stats() const { return store_->stats(); }

  /// Commits; the model learns what must and what may be there afterwards.
  bool commit(Transaction transaction) {
    State after = acknowledged_;
    for (const Op& op : transaction.ops) {
      if (op.kind == Op::Kind::Put) after[op.key] = op.index.node;
      if (op.kind == Op::Kind::Delete) after.erase(op.key);
    }
    auto result = commitNow(*store_, std::move(transaction));
    if (result.ok()) {
      acknowledged_ = std::move(after);
      maybe_.reset();
      return true;
    }
    EXPECT_EQ(result.error().reason, Reason::ServiceUnavailable) << result.error().message;
    lastError = result.error().message;
    maybe_ = std::move(after);
    return false;
  }

  /// Runs a fixed mix: new, changed and deleted objects, several in one transaction, some larger than a page.
  void work(int transactions) {
    for (int i = 0; i < transactions && !vfs.dead(); ++i) {
      std::string text = fmt::format("{}", 1000 + i);
      Transaction next;
      next.ops.push_back(put(fmt::format("pods/{}", i % 7), text));
      if (i % 3 == 0) next.ops.push_back(put(fmt::format("jobs/{}", i), i % 2 ? text : std::string(9000, '4')));
      if (i % 4 == 1 && store_->get(fmt::format("pods/{}", (i + 2) % 7)))
        next.ops.push_back(remove(fmt::format("pods/{}", (i + 2) % 7)));
      if (i % 5 == 2) next.ops.push_back(put("pods/seed/7", text));
      commit(std::move(next));
      // Reads go on whatever the disk does.
      EXPECT_EQ(current(), acknowledged_);
    }
  }

  State current() const {
    State out;
    auto listing = store_->list({});
    if (listing.ok())
      for (const VersionPtr& item : listing->items) out[item->key] = item->index.node;
    return out;
  }

  /// The invariants after a recovery.
  void verify(const std::string& what) {
    State state = current();
    bool fits = state == acknowledged_ || (maybe_ && state == *maybe_);
    EXPECT_TRUE(fits) << what << ": neither all that was acknowledged nor that plus the whole transaction in flight";
    EXPECT_GE(store_->revision(), highest_) << what << ": the revision went back";
    acknowledged_ = state;
    maybe_.reset();

    // The history leads from its beginning to the state.
    std::map<std::string, Revision> replayed;
    Revision oldest = store_->oldestRevision();
    if (oldest > 0) {
      auto old = store_->list({.revision = oldest});
      ASSERT_TRUE(old.ok()) << what;
      for (const VersionPtr& item : old->items) replayed[item->key] = item->revision;
    }
    auto id = store_->watch("", oldest, [&](const EventPtr& event) {
      auto before = replayed.find(event->object->key);
      EXPECT_EQ(event->previous ? event->previous->revision : 0, before == replayed.end() ? 0 : before->second) << what;
      if (event->type == Event::Type::Deleted)
        replayed.erase(event->object->key);
      else
        replayed[event->object->key] = event->revision;
      EXPECT_EQ(event->object->revision, event->revision);
    });
    ASSERT_TRUE(id.ok()) << what;
    store_->unwatch(*id);
    std::map<std::string, Revision> now;
    auto listing = store_->list({});
    for (const VersionPtr& item : listing->items) now[item->key] = item->revision;
    EXPECT_EQ(replayed, now) << what;

    Revision before = highest_;
    EXPECT_TRUE(commit(transaction(put("after/recovery", "1")))) << what << ": " << lastError;
    EXPECT_GT(highest_, before) << what << ": a revision was given out twice";
  }

  FaultyVfs vfs;
  std::string lastError;
  bool faultMet = false;

 private:
  TempDir dir_;  // for the lock file only
  size_t historyEvents_;
  std::unique_ptr<Store> store_;
  Revision highest_ = 0;
  State acknowledged_;
  std::optional<State> maybe_;
};

/// Eighteen transactions of work, several checkpoints and history trims among them.
constexpr int kTransactions = 18;

class FaultTest : public testing::Test {
 protected:
  // The store says at each failure that writes fail, as it should; thousands of such lines help nobody here.
  void SetUp() override { testing::internal::CaptureStderr(); }
  void TearDown() override { testing::internal::GetCapturedStderr(); }

  /// A file with enough history that the work trims it.
  void seed() {
    ASSERT_TRUE(machine_.boot().ok());
    Transaction many;
    for (int i = 0; i < 255; ++i) many.ops.push_back(put(fmt::format("pods/seed/{}", i % 20), "1"));
    ASSERT_TRUE(machine_.commit(std::move(many)));
    machine_.work(3);
    machine_.down();
    start_ = machine_.save();
  }

  /// Runs `attempt(step)` from the same start for every step, until one run is through without meeting the fault.
  long sweep(const std::function<void(long)>& attempt) {
    long step = 0;
    do {
      machine_.load(start_);
      attempt(++step);
    } while (machine_.faultMet && !HasFailure());
    return step;
  }

  /// The power goes at every step of opening, working and closing; with bad luck again while the recovery runs.
  void powerLoss(Fault fault, int seeds, bool onlyProcess) {
    long steps = sweep([&](long step) {
      for (int round = 0; round < seeds; ++round) {
        std::string what = fmt::format("step {}, seed {}", step, round);
        if (round > 0) machine_.load(start_);
        machine_.vfs.arm(fault, step);
        if (machine_.boot().ok()) machine_.work(kTransactions);
        machine_.down();
        machine_.faultMet = machine_.vfs.struck();
        auto back = [&] { onlyProcess ? machine_.vfs.restartProcess() : machine_.vfs.powerOn(step * 31 + round); };
        back();
        if (round % 2 == 1) {
          machine_.vfs.arm(fault, 1 + step % 9);
          (void)machine_.boot();
          machine_.down();
          back();
        }
        auto booted = machine_.boot();
        ASSERT_TRUE(booted.ok()) << what << ": " << booted.error().message;
        machine_.verify(what);
        machine_.down();
        if (HasFailure()) return;
      }
    });
    EXPECT_GT(steps, 300) << "the work was meant to take many steps";
  }

  Machine machine_{16};
  Machine::Saved start_;
};

TEST_F(FaultTest, powerLossAtEveryStep) {
  seed();
  powerLoss(Fault::PowerLoss, 2, false);
}

TEST_F(FaultTest, powerLossInTheMiddleOfEveryWrite) {
  seed();
  powerLoss(Fault::TornWrite, 2, false);
}

TEST_F(FaultTest, theProcessDiesAtEveryStep) {
  seed();
  powerLoss(Fault::TornWrite, 1, true);
}

TEST_F(FaultTest, powerLossAtEveryStepOfANewFile) {
  sweep([&](long step) {
    std::string what = fmt::format("step {}", step);
    machine_.vfs.arm(Fault::PowerLoss, step);
    if (machine_.boot().ok()) machine_.work(2);
    machine_.down();
    machine_.faultMet = machine_.vfs.struck();
    machine_.vfs.powerOn(step);
    auto booted = machine_.boot();
    ASSERT_TRUE(booted.ok()) << what << ": " << booted.error().message;
    machine_.verify(what);
    machine_.down();
  });
}

/// One failing write, sync, creation, truncation or read: that commit fails, the next works, and so does the next
/// start.
TEST_F(FaultTest, oneErrorAtEveryStep) {
  seed();
  for (Fault fault : {Fault::IoError, Fault::ReadError}) {
    long steps = sweep([&](long step) {
      std::string what = fmt::format("{} {}", fault == Fault::IoError ? "step" : "read", step);
      ASSERT_TRUE(machine_.boot().ok());
      machine_.vfs.arm(fault, step);
      machine_.work(kTransactions);
      machine_.faultMet = machine_.vfs.struck();
      machine_.vfs.disarm();
      EXPECT_TRUE(machine_.commit(transaction(put("after/error", "1")))) << what << ": " << machine_.lastError;
      machine_.down();
      machine_.vfs.powerOn(step);
      auto booted = machine_.boot();
      ASSERT_TRUE(booted.ok()) << what << ": " << booted.error().message;
      machine_.verify(what);
      machine_.down();
    });
    EXPECT_GT(steps, fault == Fault::IoError ? 300 : 10);
  }
}

TEST_F(FaultTest, aFullDiskAtEveryStepHealsWithoutARestart) {
  seed();
  sweep([&](long step) {
    std::string what = fmt::format("full from step {}", step);
    ASSERT_TRUE(machine_.boot().ok());
    machine_.lastError.clear();
    machine_.vfs.arm(Fault::Full, step);
    machine_.work(kTransactions);
    machine_.faultMet = machine_.vfs.struck();
    if (!machine_.lastError.empty()) {
      EXPECT_NE(machine_.lastError.find("the disk is full"), std::string::npos) << machine_.lastError;
      EXPECT_EQ(machine_.stats().lastError.find("cannot write "), 0u) << machine_.stats().lastError;
    }
    machine_.vfs.disarm();
    EXPECT_TRUE(machine_.commit(transaction(put("after/full", "1")))) << what << ": " << machine_.lastError;
    EXPECT_EQ(machine_.stats().lastError, "");
    machine_.down();
    ASSERT_TRUE(machine_.boot().ok()) << what;
    machine_.verify(what);
    machine_.down();
  });
}

}  // namespace
}  // namespace stoker::store::test
