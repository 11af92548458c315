#include "store/watch_hub.h"

#include <algorithm>
#include <atomic>
#include <thread>

namespace stoker::store {

class WatchHub::Watch {
 public:
  Watch(WatchId watchId, std::string_view watchPrefix, Revision seen, WatchCallback watchCallback)
      : id(watchId), prefix(watchPrefix), seen_(seen), callback_(std::move(watchCallback)) {}

  const WatchId id;
  const std::string prefix;

  void deliver(const EventPtr& event) {
    std::lock_guard lock(mutex_);
    if (cancelled_ || event->revision <= seen_) return;
    seen_ = event->revision;
    if (!live_) {
      backlog_.push_back(event);
      return;
    }
    runningOn_ = std::this_thread::get_id();
    callback_(event);
    runningOn_ = std::thread::id();
  }

  void catchUp(const std::vector<EventPtr>& past) {
    for (const EventPtr& event : past) callback_(event);
    for (;;) {
      std::vector<EventPtr> missed;
      {
        std::lock_guard lock(mutex_);
        if (backlog_.empty()) {
          live_ = true;
          return;
        }
        missed.swap(backlog_);
      }
      for (const EventPtr& event : missed) callback_(event);
    }
  }

  void cancel() {
    // A callback that ends its own watch already holds the lock.
    if (runningOn_.load() == std::this_thread::get_id()) {
      cancelled_ = true;
      return;
    }
    std::lock_guard lock(mutex_);
    cancelled_ = true;
  }

 private:
  std::mutex mutex_;  ///< held while the callback runs on the commit thread: cancel() waits for it
  std::atomic<std::thread::id> runningOn_{};
  bool live_ = false;
  bool cancelled_ = false;
  Revision seen_;
  std::vector<EventPtr> backlog_;
  WatchCallback callback_;
};

std::shared_ptr<WatchHub::Watch> WatchHub::add(std::string_view prefix, Revision seen, WatchCallback callback) {
  std::lock_guard lock(mutex_);
  auto watch = std::make_shared<Watch>(++lastId_, prefix, seen, std::move(callback));
  byId_.emplace(watch->id, watch);
  auto at = byPrefix_.find(prefix);
  if (at == byPrefix_.end()) at = byPrefix_.emplace(std::string(prefix), std::vector<std::shared_ptr<Watch>>()).first;
  at->second.push_back(watch);
  return watch;
}

WatchId WatchHub::goLive(const std::shared_ptr<Watch>& watch, const std::vector<EventPtr>& past) {
  watch->catchUp(past);
  return watch->id;
}

void WatchHub::dispatch(const EventPtr& event) {
  {
    std::lock_guard lock(mutex_);
    if (byId_.empty()) return;
    auto collect = [&](std::string_view prefix) {
      if (auto at = byPrefix_.find(prefix); at != byPrefix_.end())
        matched_.insert(matched_.end(), at->second.begin(), at->second.end());
    };
    std::string_view key = event->object->key;
    collect({});
    for (size_t slash = key.find('/'); slash != std::string_view::npos; slash = key.find('/', slash + 1))
      collect(key.substr(0, slash + 1));
  }
  // Not under the lock: callbacks may end watches.
  for (const auto& watch : matched_) watch->deliver(event);
  matched_.clear();
}

void WatchHub::remove(WatchId id) {
  std::shared_ptr<Watch> watch;
  {
    std::lock_guard lock(mutex_);
    auto at = byId_.find(id);
    if (at == byId_.end()) return;
    watch = std::move(at->second);
    byId_.erase(at);
    auto same = byPrefix_.find(watch->prefix);
    std::erase(same->second, watch);
    if (same->second.empty()) byPrefix_.erase(same);
  }
  watch->cancel();
}

size_t WatchHub::size() const {
  std::lock_guard lock(mutex_);
  return byId_.size();
}

}  // namespace stoker::store
