// The threaded commit: grouping, failing together, back-pressure, readers and watches beside it.
#include <atomic>
#include <random>
#include <thread>

#include "store/store_test_util.h"

namespace stoker::store::test {
namespace {

/// A log whose appends wait for the test and succeed or fail as it says.
class GatedLog final : public Log {
 public:
  Result<void> append(const std::vector<Record>& batch) override {
    std::unique_lock lock(mutex_);
    batches_.push_back(batch.size());
    changed_.notify_all();
    if (!changed_.wait_for(lock, std::chrono::seconds(30), [&] { return permits_ > 0; }))
      return Error(Reason::Timeout, "the gate stayed shut");
    --permits_;
    if (!failure_.empty()) return Error(Reason::InternalError, failure_);
    return inner_->append(batch);
  }
  Result<Recovered> recover() override { return inner_->recover(); }
  uint64_t sizeBytes() const override { return 0; }

  void allow(int count, std::string failure = "") {
    std::lock_guard lock(mutex_);
    permits_ += count;
    failure_ = std::move(failure);
    changed_.notify_all();
  }
  /// Waits until `count` appends have begun.
  bool waitForAppends(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return batches_.size() >= count; });
  }
  std::vector<size_t> batches() {
    std::lock_guard lock(mutex_);
    return batches_;
  }

 private:
  std::unique_ptr<Log> inner_ = makeMemoryLog();
  std::mutex mutex_;
  std::condition_variable changed_;
  int permits_ = 0;
  std::string failure_;
  std::vector<size_t> batches_;
};

/// Outcomes in the order in which they came.
class Outcomes {
 public:
  Done next() {
    std::lock_guard lock(mutex_);
    size_t number = ++issued_;
    return [this, number](Result<Committed> result) {
      std::lock_guard lock(mutex_);
      if (!result.ok()) lastError_ = result.error();
      text_ += (text_.empty() ? "" : " ") + std::to_string(number) +
               (result.ok() ? "ok" : std::string(toString(result.error().reason)));
      ++came_;
      changed_.notify_all();
    };
  }
  std::string wait(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, std::chrono::seconds(30), [&] { return came_ >= count; });
    return text_;
  }
  Error lastError() {
    std::lock_guard lock(mutex_);
    return lastError_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t issued_ = 0, came_ = 0;
  std::string text_;
  Error lastError_;
};

class CommitTest : public testing::Test {
 protected:
  void open(Options options = {}) {
    auto store = Store::open(log_, options);
    ASSERT_TRUE(store.ok());
    store_ = std::move(*store);
  }
  void commit(Transaction transaction) { ASSERT_TRUE(store_->commit(std::move(transaction), outcomes_.next()).ok()); }

  std::shared_ptr<GatedLog> log_ = std::make_shared<GatedLog>();
  Outcomes outcomes_;
  std::unique_ptr<Store> store_;
};

TEST_F(CommitTest, whatWaitsGoesTogether) {
  open();
  commit(transaction(put("a", "1")));
  ASSERT_TRUE(log_->waitForAppends(1));
  for (int i = 0; i < 5; ++i) commit(transaction(put("b", std::to_string(i)), put("c", "1")));
  log_->allow(2);
  EXPECT_EQ(outcomes_.wait(6), "1ok 2ok 3ok 4ok 5ok 6ok");
  EXPECT_EQ(log_->batches(), (std::vector<size_t>{1, 10}));
  EXPECT_EQ(store_->get("b")->revision, 10u);
}

TEST_F(CommitTest, aBatchIsBoundedButATransactionIsNeverSplit) {
  open({.maxBatchOps = 4});
  commit(transaction(put("a", "1")));
  ASSERT_TRUE(log_->waitForAppends(1));
  commit(transaction(put("b", "1"), put("b", "2"), put("b", "3")));
  commit(transaction(put("c", "1"), put("c", "2")));
  commit(transaction(put("d", "1"), put("d", "2"), put("d", "3"), put("d", "4"), put("d", "5")));
  log_->allow(10);
  outcomes_.wait(4);
  EXPECT_EQ(log_->batches(), (std::vector<size_t>{1, 3, 2, 5}));
}

TEST_F(CommitTest, readersSeeDurableStateAndDoNotWait) {
  open();
  log_->allow(1);
  commit(transaction(put("pods/a", "1")));
  outcomes_.wait(1);
  commit(transaction(put("pods/a", "2"), put("pods/b", "1")));
  commit(transaction(remove("pods/a")));
  ASSERT_TRUE(log_->waitForAppends(2));
  // The disk is busy now, and stays so.
  EXPECT_EQ(store_->get("pods/a")->revision, 1u);
  EXPECT_EQ(store_->get("pods/b"), nullptr);
  EXPECT_EQ(keysOf(*store_->list({})), "pods/a@1");
  EXPECT_EQ(store_->revision(), 1u);
  EXPECT_EQ(store_->get("pods/a", Read::Head), nullptr);
  EXPECT_EQ(store_->get("pods/b", Read::Head)->revision, 3u);
  EXPECT_EQ(store_->commit(transaction(put("pods/b", "2", kAbsent)), outcomes_.next()).error().reason,
            Reason::AlreadyExists);
  EXPECT_EQ(store_->commit(transaction(put("pods/b", "2", 3)), outcomes_.next()).ok(), true)
      << "guards look at the head";
  log_->allow(9);
  outcomes_.wait(4);
  EXPECT_EQ(keysOf(*store_->list({})), "pods/b@5");
}

TEST_F(CommitTest, aFailureFailsAllThatWaitsAndTheNextWorks) {
  open();
  log_->allow(1);
  commit(transaction(put("a", "1")));
  outcomes_.wait(1);
  commit(transaction(put("a", "2")));
  ASSERT_TRUE(log_->waitForAppends(2));
  commit(transaction(put("a", "3", 2)));  // rests on what is about to fail
  commit(transaction(put("b", "1")));
  log_->allow(1, "the disk is full");
  EXPECT_EQ(outcomes_.wait(4), "1ok 2ServiceUnavailable 3ServiceUnavailable 4ServiceUnavailable");
  EXPECT_EQ(outcomes_.lastError().message,
            "the write was not saved: the disk is full; reads go on, and writes are retried automatically with the "
            "next request");
  EXPECT_EQ(store_->stats().lastError, "the disk is full");
  EXPECT_EQ(store_->get("a", Read::Head)->revision, 1u);
  EXPECT_EQ(store_->get("b", Read::Head), nullptr);
  EXPECT_EQ(store_->revision(), 1u);
  log_->allow(9);
  commit(transaction(put("a", "4", 1)));
  outcomes_.wait(5);
  EXPECT_EQ(store_->get("a")->revision, 5u) << "failed revisions are not used again";
  EXPECT_EQ(store_->stats().lastError, "");
}

TEST_F(CommitTest, tooManyWaitingAreTurnedAway) {
  open({.maxPendingOps = 3});
  commit(transaction(put("a", "1"), put("b", "1")));
  ASSERT_TRUE(log_->waitForAppends(1));
  commit(transaction(put("c", "1")));
  auto refused = store_->commit(transaction(put("d", "1")), outcomes_.next());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().reason, Reason::TooManyRequests);
  EXPECT_EQ(refused.error().retryAfterSeconds, 1);
  log_->allow(9);
  outcomes_.wait(2);
  commit(transaction(put("d", "1"), put("e", "1"), put("f", "1"), put("g", "1")));
  EXPECT_NE(outcomes_.wait(3).find("4ok"), std::string::npos)
      << "one larger than the bound still goes when nothing waits";
}

TEST_F(CommitTest, closingWritesWhatWasAccepted) {
  open();
  commit(transaction(put("a", "1")));
  commit(transaction(put("b", "1")));
  log_->allow(9);
  store_.reset();
  EXPECT_EQ(outcomes_.wait(2), "1ok 2ok");
}

/// Sixteen writers, watches that come and go at any moment: each sees every revision after its start once and in order,
/// and none is called after unwatch() returned.
TEST(CommitRaces, watchesMissNothingAndEndWhenTheyEnd) {
  for (bool sqlite : {false, true}) {
    TempDir dir;
    std::shared_ptr<Log> log = makeMemoryLog();
    if (sqlite) log = *openSqliteLog({.path = dir.file("state.db")});
    auto opened = Store::open(log);
    ASSERT_TRUE(opened.ok());
    Store& store = **opened;
    constexpr int kWriters = 8, kWrites = 400;
    std::atomic<int> running = kWriters;
    std::vector<std::thread> threads;
    for (int w = 0; w < kWriters; ++w)
      threads.emplace_back([&, w] {
        for (int i = 0; i < kWrites; ++i) {
          std::string key = (w % 2 ? "pods/" : "jobs/") + std::to_string(w) + "/" + std::to_string(i % 20);
          EXPECT_TRUE(commitNow(store, transaction(put(key, "1"), put("leases/" + std::to_string(w), "1"))).ok());
        }
        --running;
      });
    std::atomic<int> watched = 0;
    for (int w = 0; w < 3; ++w)
      threads.emplace_back([&, w] {
        std::mt19937 random(w);
        while (running > 0) {
          std::atomic<bool> ended = false;
          std::string prefix = std::array{"", "pods/", "leases/"}[w];
          std::map<std::string, Revision> mirror;
          Revision last = 0;
          int calls = 0;
          auto callback = [&](const EventPtr& event) {
            EXPECT_FALSE(ended);
            EXPECT_GT(event->revision, last);
            if (prefix.empty() && last != 0) {
              EXPECT_EQ(event->revision, last + 1);
            }
            // Nothing between: the state before is the one this watch knows.
            auto& known = mirror[event->object->key];
            EXPECT_EQ(known, event->previous ? event->previous->revision : 0);
            known = last = event->revision;
            ++calls;
          };
          auto id = store.listAndWatch(
              {.prefix = prefix},
              [&](const Listing& listing) {
                last = listing.revision;
                for (const VersionPtr& item : listing.items) {
                  EXPECT_LE(item->revision, listing.revision);
                  mirror[item->key] = item->revision;
                }
              },
              callback);
          ASSERT_TRUE(id.ok());
          Revision target = store.revision() + random() % 30;
          while (running > 0 && store.revision() < target) std::this_thread::yield();
          store.unwatch(*id);
          ended = true;
          watched += calls;
        }
      });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(store.revision(), kWriters * kWrites * 2u);
    EXPECT_EQ(store.stats().watches, 0u);
    EXPECT_GT(watched, 0);
  }
}

/// Read-modify-write from many threads loses no update.
TEST(CommitRaces, guardsSerializeCounters) {
  auto opened = Store::open(std::shared_ptr<Log>(makeMemoryLog()));
  ASSERT_TRUE(opened.ok());
  Store& store = **opened;
  ASSERT_TRUE(commitNow(store, transaction(put("counter", "0"))).ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100;) {
        VersionPtr now = store.get("counter", Read::Head);
        int value = std::stoi(now->index.node.substr(5));
        if (commitNow(store, transaction(put("counter", std::to_string(value + 1), now->revision))).ok()) ++i;
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store.get("counter")->index.node, "node-400");
}

}  // namespace
}  // namespace stoker::store::test
