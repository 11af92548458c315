#include "controllers/workloads/event_ttl.h"

#include "json/json.h"

namespace stoker::controllers {
namespace {
constexpr Duration kKept = 1h;
constexpr Duration kInterval = 1min;
// Deleted at once at most; the rest goes in the next minute.
constexpr size_t kBatch = 2000;
}  // namespace

std::vector<client::Object> expiredEvents(const std::vector<client::Object>& events, Time before) {
  std::vector<client::Object> out;
  for (const client::Object& event : events) {
    if (out.size() == kBatch) break;
    json::Arena arena;
    auto parsed = json::parse(arena, *event.bytes);
    if (!parsed.ok()) continue;
    std::optional<Time> last;
    for (json::Value text : {(*parsed)["lastTimestamp"], parsed->at({"series", "lastObservedTime"}),
                             (*parsed)["eventTime"], parsed->at({"metadata", "creationTimestamp"})})
      if (!last) last = parseTime(text.asString());
    if (last && *last < before) out.push_back(event);
  }
  return out;
}

void EventJanitor::arm() {
  loop_.at(loop_.now() + kInterval, [this, alive = alive_] {
    if (*alive) sweep();
  });
}

void EventJanitor::sweep() {
  client::Gvr events{"", "v1", "events"};
  cluster_.list(events, {}, [this, alive = alive_, events, &loop = loop_](Result<client::ObjectList> list) {
    loop.post([this, alive, events, list = std::move(list)] {
      if (!*alive) return;
      arm();
      if (!list.ok()) return;
      std::vector<client::Write> deletes;
      for (const client::Object& event : expiredEvents(list->items, loop_.now() - kKept))
        deletes.push_back({.verb = client::Write::Verb::Delete,
                           .resource = events,
                           .namespace_ = event.namespace_,
                           .name = event.name,
                           .resourceVersion = std::to_string(event.resourceVersion)});
      if (!deletes.empty())
        cluster_.write(std::move(deletes), client::Mode::Each, [](const std::vector<Result<client::Object>>&) {});
    });
  });
}

}  // namespace stoker::controllers
