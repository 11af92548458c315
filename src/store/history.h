// history.h
//
// The recent events, bounded by number and by the bytes of the states they hold. A watch that starts in the past is
// served from here, and a listing at an old revision is the current state with the events since undone. Not thread-safe
// by itself: the store's mutex guards it.
#pragma once

#include <deque>
#include <map>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace stoker::store {

class History {
 public:
  History(size_t maxEvents, size_t maxBytes) : maxEvents_(maxEvents), maxBytes_(maxBytes) {}

  /// What a log recovered: `events` are all those above `floor`.
  void restore(const std::vector<EventPtr>& events, Revision floor);
  void push(EventPtr event);
  /// Every event with a higher revision is here.
  Revision floor() const { return floor_; }
  size_t size() const { return events_.size(); }

  /// Events of keys under `prefix` with revision in (after, upTo], in order. The caller has checked the floor.
  std::vector<EventPtr> between(std::string_view prefix, Revision after, Revision upTo) const;
  /// What the keys under `prefix` that changed after `revision` were at that revision; null: absent. Views into the
  /// events' keys, valid while the caller holds `held`.
  std::map<std::string_view, VersionPtr> undo(std::string_view prefix, Revision revision,
                                              std::vector<EventPtr>& held) const;

 private:
  size_t indexAfter(Revision revision) const;
  void trim();

  size_t maxEvents_;
  size_t maxBytes_;
  std::deque<EventPtr> events_;
  size_t bytes_ = 0;
  Revision floor_ = 0;
};

}  // namespace stoker::store
