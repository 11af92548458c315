// watch_hub.h
//
// Who watches what. Watches are kept by their prefix; an event is looked up once for every '/' boundary of its key, so
// a dispatch costs O(depth of the key) however many watches there are, plus one call for each that matches.
// Thread-safe.
//
// A new watch first catches up: the thread that made it delivers the past while the commit thread leaves newer events
// in the watch's backlog; once the backlog is empty the watch is live. Nobody waits for anybody else's callback but
// unwatch().
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "store/store.h"

namespace stoker::store {

/// Lets maps of std::string be searched by std::string_view.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
};

class WatchHub {
 public:
  class Watch;

  /// Registers a watch that has seen everything up to `seen`; it stays in catch-up until goLive().
  std::shared_ptr<Watch> add(std::string_view prefix, Revision seen, WatchCallback callback);
  /// Delivers `past`, then the backlog, until the watch is level; from then on dispatch() calls it. Returns its id.
  WatchId goLive(const std::shared_ptr<Watch>& watch, const std::vector<EventPtr>& past);
  /// Calls every watch of the event's key. From one thread at a time, in revision order.
  void dispatch(const EventPtr& event);
  void remove(WatchId id);
  size_t size() const;

 private:
  mutable std::mutex mutex_;
  WatchId lastId_ = 0;
  std::unordered_map<WatchId, std::shared_ptr<Watch>> byId_;
  std::unordered_map<std::string, std::vector<std::shared_ptr<Watch>>, StringHash, std::equal_to<>> byPrefix_;
  std::vector<std::shared_ptr<Watch>> matched_;  ///< dispatch()'s own, kept for its capacity
};

}  // namespace stoker::store
