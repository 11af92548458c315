#include "store/history.h"

#include <algorithm>

namespace stoker::store {
namespace {

// Encodings are worth keeping while watchers are still at the event; the slowest live one is rarely this far behind.
constexpr size_t kEncodedEvents = 1024;

// Every state is the object of one event, so counting objects counts each once. The state before an event is counted
// too: the history may be all that still holds it.
size_t cost(const Event& event) {
  constexpr size_t kFixed = 512;  // the event, its slots, and a version beyond its bytes
  return kFixed + event.object->bytes.size() + (event.previous ? event.previous->bytes.size() : 0);
}

}  // namespace

void History::restore(const std::vector<EventPtr>& events, Revision floor) {
  events_.assign(events.begin(), events.end());
  floor_ = floor;
  bytes_ = 0;
  for (const EventPtr& event : events_) bytes_ += cost(*event);
  trim();
}

void History::push(EventPtr event) {
  bytes_ += cost(*event);
  events_.push_back(std::move(event));
  if (events_.size() > kEncodedEvents) events_[events_.size() - 1 - kEncodedEvents]->dropEncodings();
  trim();
}

void History::trim() {
  while (!events_.empty() && (events_.size() > maxEvents_ || bytes_ > maxBytes_)) {
    floor_ = events_.front()->revision;
    bytes_ -= cost(*events_.front());
    events_.pop_front();
  }
}

size_t History::indexAfter(Revision revision) const {
  return std::partition_point(events_.begin(), events_.end(),
                              [&](const EventPtr& event) { return event->revision <= revision; }) -
         events_.begin();
}

std::vector<EventPtr> History::between(std::string_view prefix, Revision after, Revision upTo) const {
  std::vector<EventPtr> out;
  for (size_t i = indexAfter(after); i < events_.size() && events_[i]->revision <= upTo; ++i)
    if (events_[i]->object->key.starts_with(prefix)) out.push_back(events_[i]);
  return out;
}

std::map<std::string_view, VersionPtr> History::undo(std::string_view prefix, Revision revision,
                                                     std::vector<EventPtr>& held) const {
  held = between(prefix, revision, UINT64_MAX);
  std::map<std::string_view, VersionPtr> before;
  // The first change after the revision knows the state that it ended.
  for (const EventPtr& event : held) before.emplace(event->object->key, event->previous);
  return before;
}

}  // namespace stoker::store
