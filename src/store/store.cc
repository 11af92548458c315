#include "store/store.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <future>
#include <map>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "base/log.h"
#include "store/head.h"
#include "store/history.h"
#include "store/version_tree.h"
#include "store/watch_hub.h"

namespace stoker::store {
namespace {

Error expired(Revision wanted, Revision oldest) {
  return Error(Reason::Expired,
               fmt::format("too old resource version: {} ({}); list again and go on from the revision of the list",
                           wanted, oldest));
}

Error tooLarge(Revision wanted, Revision current) {
  // As apimachinery's NewTooLargeResourceVersionError.
  Error error(Reason::Timeout, fmt::format("Too large resource version: {}, current: {}", wanted, current));
  error.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  error.retryAfterSeconds = 1;
  return error;
}

/// The keys are sorted where they lie side by side: each lies in a cache line of its own otherwise, and with 100,000
/// objects that is most of the time.
void sortByKey(std::vector<VersionPtr>& versions) {
  std::string keys;
  std::vector<std::pair<size_t, size_t>> at;  // offset, length
  at.reserve(versions.size());
  for (const VersionPtr& version : versions) {
    at.emplace_back(keys.size(), version->key.size());
    keys += version->key;
  }
  std::vector<std::pair<std::string_view, uint32_t>> order;
  order.reserve(versions.size());
  for (uint32_t i = 0; i < versions.size(); ++i)
    order.emplace_back(std::string_view(keys).substr(at[i].first, at[i].second), i);
  auto middle = order.begin() + static_cast<ptrdiff_t>(order.size() / 2);
  auto policy = order.size() < 10'000 ? std::launch::deferred : std::launch::async | std::launch::deferred;
  auto half = std::async(policy, [&] { std::sort(middle, order.end()); });
  std::sort(order.begin(), middle);
  half.get();
  std::inplace_merge(order.begin(), middle, order.end());
  std::vector<VersionPtr> sorted;
  sorted.reserve(versions.size());
  for (const auto& [key, index] : order) sorted.push_back(std::move(versions[index]));
  versions = std::move(sorted);
}

class StoreImpl final : public Store {
 public:
  StoreImpl(std::shared_ptr<Log> log, Options options)
      : options_(options), log_(std::move(log)), history_(options.historyEvents, options.historyBytes) {}

  ~StoreImpl() override {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_one();
    thread_.join();  // what was accepted is still written
  }

  Result<void> start() {
    STOKER_TRY(Log::Recovered recovered, log_->recover());
    sortByKey(recovered.objects);
    for (size_t i = 0; i < recovered.objects.size(); ++i) {
      objectBytes_ += recovered.objects[i]->bytes.size();
      if (i > 0 && recovered.objects[i - 1]->key == recovered.objects[i]->key)
        return Error(Reason::InternalError,
                     fmt::format("the stored data is damaged: {} is there twice; restore it from a backup",
                                 recovered.objects[i]->key));
    }
    tree_.build(std::move(recovered.objects));
    history_.restore(recovered.history, recovered.floor);
    allocated_ = published_ = recovered.revision;
    delivered_ = recovered.revision;
    if (!options_.synchronous) thread_ = std::thread([this] { run(); });
    return {};
  }

  Result<void> commit(Transaction transaction, Done done) override {
    // Recursive: in synchronous mode `done` may commit again.
    std::unique_lock<std::recursive_mutex> turn(synchronous_, std::defer_lock);
    if (options_.synchronous) turn.lock();
    {
      std::lock_guard lock(mutex_);
      size_t count = transaction.ops.size();
      if (pendingOps_ > 0 && pendingOps_ + count > options_.maxPendingOps) {
        Error error(Reason::TooManyRequests,
                    fmt::format("{} writes wait for the disk, and no more than {} may; try again", pendingOps_,
                                options_.maxPendingOps));
        error.retryAfterSeconds = 1;
        return error;
      }
      STOKER_TRY(Accepted accepted,
                 accept(
                     transaction.ops, [&](std::string_view key) { return headOf(key); }, allocated_));
      allocated_ += accepted.events.size();
      for (const EventPtr& event : accepted.events)
        head_.insert_or_assign(event->object->key,
                               Head{event->type == Event::Type::Deleted ? nullptr : event->object, event->revision});
      pendingOps_ += count;
      queue_.push_back({std::move(accepted), std::move(done), count});
    }
    if (options_.synchronous)
      while (writeBatch()) {
      }
    else
      wake_.notify_one();
    return {};
  }

  VersionPtr get(std::string_view key, Read read) const override {
    std::lock_guard lock(mutex_);
    return read == Read::Head ? headOf(key) : tree_.find(key);
  }

  Result<Listing> list(const ListOptions& options) const override {
    std::unique_lock lock(mutex_);
    STOKER_TRY(Snapshot snapshot, take(options));
    lock.unlock();
    return finish(options, std::move(snapshot));
  }

  Revision revision() const override { return delivered_; }

  Revision oldestRevision() const override {
    std::lock_guard lock(mutex_);
    return history_.floor();
  }

  Result<WatchId> watch(std::string_view prefix, Revision from, WatchCallback callback) override {
    STOKER_CHECK(checkPrefix(prefix));
    std::shared_ptr<WatchHub::Watch> added;
    std::vector<EventPtr> past;
    {
      std::lock_guard lock(mutex_);
      if (from < history_.floor()) return expired(from, history_.floor());
      past = history_.between(prefix, from, published_);
      added = hub_.add(prefix, std::max(from, published_), std::move(callback));
    }
    return hub_.goLive(added, past);
  }

  Result<WatchId> listAndWatch(const ListOptions& options, const std::function<void(const Listing&)>& initial,
                               WatchCallback callback) override {
    STOKER_CHECK(checkPrefix(options.prefix));
    std::unique_lock lock(mutex_);
    STOKER_TRY(Snapshot snapshot, take(options));
    std::vector<EventPtr> past = history_.between(options.prefix, snapshot.revision, published_);
    auto added = hub_.add(options.prefix, published_, std::move(callback));
    lock.unlock();
    initial(finish(options, std::move(snapshot)));
    return hub_.goLive(added, past);
  }

  void unwatch(WatchId id) override { hub_.remove(id); }

  Stats stats() const override {
    Stats out;
    out.watches = hub_.size();
    out.diskBytes = log_->sizeBytes();
    std::lock_guard lock(mutex_);
    out.objects = tree_.size();
    out.objectBytes = objectBytes_;
    out.historyEvents = history_.size();
    out.lastError = lastError_;
    return out;
  }

 private:
  struct Head {
    VersionPtr version;  ///< null: deleted
    Revision revision = 0;
  };
  struct Pending {
    Accepted accepted;
    Done done;
    size_t ops = 0;
  };
  struct Snapshot {
    VersionTree::Range range;
    Revision revision = 0;
    std::map<std::string_view, VersionPtr> undo;
    std::vector<EventPtr> held;  ///< keeps the keys in `undo` alive
  };

  static Result<void> checkPrefix(std::string_view prefix) {
    if (prefix.empty() || prefix.ends_with('/')) return {};
    return Error(Reason::BadRequest,
                 fmt::format("watch prefix \"{}\" does not end with '/'; watch its folder and filter", prefix));
  }

  VersionPtr headOf(std::string_view key) const {
    if (!head_.empty())
      if (auto at = head_.find(key); at != head_.end()) return at->second.version;
    return tree_.find(key);
  }

  Result<Snapshot> take(const ListOptions& options) const {
    Snapshot out;
    bool old = options.revision != 0 && options.revision < published_;
    if (options.revision > published_) return tooLarge(options.revision, published_);
    out.revision = old ? options.revision : published_;
    if (old) {
      if (options.revision < history_.floor()) return expired(options.revision, history_.floor());
      out.undo = history_.undo(options.prefix, options.revision, out.held);
    }
    // The limit counts what was there then, which is known only after the undo.
    out.range = tree_.range(options.prefix, options.startAfter, out.undo.empty() ? options.limit : 0);
    return out;
  }

  static Listing finish(const ListOptions& options, Snapshot snapshot) {
    Listing out;
    out.revision = snapshot.revision;
    out.remaining = snapshot.range.remaining;
    out.items = snapshot.range.slice.items();
    if (!snapshot.undo.empty()) {
      std::vector<VersionPtr> then;
      auto undone = options.startAfter.empty() ? snapshot.undo.begin() : snapshot.undo.upper_bound(options.startAfter);
      auto keepUndone = [&] {
        if (undone->second) then.push_back(undone->second);
        ++undone;
      };
      for (VersionPtr& item : out.items) {
        while (undone != snapshot.undo.end() && undone->first < item->key) keepUndone();
        if (undone != snapshot.undo.end() && undone->first == item->key)
          keepUndone();
        else
          then.push_back(std::move(item));
      }
      while (undone != snapshot.undo.end()) keepUndone();
      if (options.limit != 0 && then.size() > options.limit) {
        out.remaining = then.size() - options.limit;
        then.resize(options.limit);
      }
      out.items = std::move(then);
    }
    out.more = out.remaining > 0;
    return out;
  }

  void run() {
    pthread_setname_np(pthread_self(), "store-commit");
    for (;;) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || !queue_.empty(); });
        if (queue_.empty()) return;
      }
      writeBatch();
    }
  }

  /// Takes what waits, makes it durable, publishes it. False when nothing waited.
  bool writeBatch() {
    std::vector<Pending> batch;
    std::vector<Log::Record> records;
    {
      std::lock_guard lock(mutex_);
      size_t ops = 0;
      while (!queue_.empty() && (batch.empty() || ops + queue_.front().ops <= options_.maxBatchOps)) {
        ops += queue_.front().ops;
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
    }
    if (batch.empty()) return false;
    for (const Pending& pending : batch)
      for (const EventPtr& event : pending.accepted.events)
        records.push_back({event->type, event->object, event->previous ? event->previous->revision : 0});
    Result<void> written = records.empty() ? Result<void>() : log_->append(records);
    if (!written.ok()) {
      fail(std::move(batch), written.error());
      return true;
    }
    publish(batch);
    for (Pending& pending : batch)
      if (pending.done) pending.done(std::move(pending.accepted.results));
    return true;
  }

  void publish(const std::vector<Pending>& batch) {
    {
      std::lock_guard lock(mutex_);
      for (const Pending& pending : batch) {
        pendingOps_ -= pending.ops;
        for (const EventPtr& event : pending.accepted.events) apply(event);
      }
      if (!lastError_.empty()) log::info("store", "writes work again");
      lastError_.clear();
    }
    Revision last = delivered_;
    for (const Pending& pending : batch)
      for (const EventPtr& event : pending.accepted.events) {
        hub_.dispatch(event);
        last = event->revision;
      }
    delivered_ = last;
  }

  void apply(const EventPtr& event) {
    const std::string& key = event->object->key;
    if (event->type == Event::Type::Deleted) {
      tree_.erase(key);
    } else {
      objectBytes_ += event->object->bytes.size();
      tree_.put(event->object);
    }
    if (event->previous) objectBytes_ -= event->previous->bytes.size();
    if (auto at = head_.find(key); at != head_.end() && at->second.revision == event->revision) head_.erase(at);
    history_.push(event);
    published_ = event->revision;
  }

  /// Everything accepted may rest on what failed, so all of it fails. Its revisions stay used up.
  void fail(std::vector<Pending> batch, const Error& cause) {
    {
      std::lock_guard lock(mutex_);
      while (!queue_.empty()) {
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      head_.clear();
      pendingOps_ = 0;
      if (lastError_ != cause.message) log::error("store", "writes fail: {}", cause.message);
      lastError_ = cause.message;
    }
    Error error(
        Reason::ServiceUnavailable,
        fmt::format(
            "the write was not saved: {}; reads go on, and writes are retried automatically with the next request",
            cause.message));
    error.retryAfterSeconds = 1;
    for (Pending& pending : batch)
      if (pending.done) pending.done(error);
  }

  const Options options_;
  const std::shared_ptr<Log> log_;
  WatchHub hub_;

  mutable std::mutex mutex_;  ///< guards all below but the atomic; never held over I/O or a callback
  mutable VersionTree tree_;  ///< published; mutable because a slice marks the blocks it shares
  History history_;
  Revision published_ = 0;                                                   ///< of tree_ and history_
  std::unordered_map<std::string, Head, StringHash, std::equal_to<>> head_;  ///< accepted, not durable, over tree_
  Revision allocated_ = 0;
  std::deque<Pending> queue_;
  size_t pendingOps_ = 0;  ///< queued and being written
  size_t objectBytes_ = 0;
  std::string lastError_;
  bool stop_ = false;
  std::condition_variable wake_;

  std::atomic<Revision> delivered_ = 0;  ///< published_ once every watch has been called
  std::recursive_mutex synchronous_;
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<Store>> Store::open(std::shared_ptr<Log> log, Options options) {
  auto store = std::make_unique<StoreImpl>(std::move(log), options);
  STOKER_CHECK(store->start());
  return std::unique_ptr<Store>(std::move(store));
}

}  // namespace stoker::store
