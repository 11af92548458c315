// informer.h
//
// List, then watch for ever, kept in a Cache. A broken watch is taken up again where it stopped; an expired one is
// listed again, and the difference is reported as if it had been watched. Events of an older state than the cached one
// (repeated by a reconnect) are dropped.
#pragma once

#include "client/cache.h"
#include "client/loop.h"

namespace stoker::client {

/// What changed. `before`: metadata of the previous state, `after`: of the new one; null when there is none.
using ChangeHandler = std::function<void(const Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after)>;

class Informer {
 public:
  Informer(Cluster& cluster, Loop& loop, Gvr resource, CacheBase& cache);
  ~Informer();
  Informer(const Informer&) = delete;
  Informer& operator=(const Informer&) = delete;

  void onChange(ChangeHandler handler) { handlers_.push_back(std::move(handler)); }
  void start();
  /// The first list has arrived.
  bool synced() const { return synced_; }
  /// Everything up to this revision has been applied to the cache.
  uint64_t seen() const { return seen_; }
  const Gvr& resource() const { return resource_; }
  void onSynced(std::function<void()> callback);
  /// Called whenever `seen` has grown.
  void onProgress(std::function<void()> callback) { progress_.push_back(std::move(callback)); }

 private:
  struct Link;  // keeps callbacks of other threads from reaching a dead informer
  void list();
  void watch();
  void apply(const WatchEvent& event);
  void replace(const ObjectList& list);
  void retry(const Error& error, void (Informer::*next)());

  Cluster& cluster_;
  Loop& loop_;
  Gvr resource_;
  CacheBase& cache_;
  std::vector<ChangeHandler> handlers_;
  std::vector<std::function<void()>> syncedCallbacks_, progress_;
  std::shared_ptr<Link> link_;
  std::unique_ptr<Subscription> subscription_;
  bool synced_ = false;
  uint64_t seen_ = 0;
  int failures_ = 0;
  Time watchedSince_{};
};

}  // namespace stoker::client
