#include "client/event_recorder.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace stoker::client {
namespace {
// As client-go's event correlator: what was said longer ago than this many other things is said anew.
constexpr size_t kMaxKnown = 4096;
}  // namespace

EventRecorder::EventRecorder(Cluster& cluster, Loop& loop, Ids& ids, std::string component)
    : cluster_(cluster), loop_(loop), ids_(ids), component_(std::move(component)) {}

void EventRecorder::record(const std::vector<EventNote>& notes, const std::string& host) {
  std::vector<Write> writes;
  std::vector<std::string> ids;
  for (const EventNote& note : notes) {
    ids.push_back(join({note.uid, note.type, note.reason, note.message, note.kind, note.namespace_, note.name}, "\n"));
    writes.push_back(write(note, ids.back(), host));
  }
  cluster_.write(
      std::move(writes), Mode::Each,
      [this, &loop = loop_, alive = alive_, ids = std::move(ids)](const std::vector<Result<Object>>& results) {
        std::vector<std::string> lost;
        for (size_t i = 0; i < results.size() && i < ids.size(); ++i)
          if (!results[i].ok()) lost.push_back(ids[i]);
        if (lost.empty()) return;
        // Never written, or deleted since: there is nothing to count up, so the next one is a new object.
        loop.post([this, alive, lost = std::move(lost)] {
          if (!*alive) return;
          for (const std::string& id : lost) known_.erase(id);
        });
      });
}

Write EventRecorder::write(const EventNote& note, const std::string& id, const std::string& host) {
  Gvr events{"", "v1", "events"};
  std::string ns = note.namespace_.empty() ? "default" : note.namespace_;
  std::string now = formatTime(loop_.now());
  json::Arena arena;
  if (known_.size() >= kMaxKnown) known_.clear();
  Known& known = known_[id];
  if (++known.count > 1) {
    Write patch{.verb = Write::Verb::Patch, .resource = events, .namespace_ = ns, .name = known.name};
    patch.body = json::print(json::Object(arena).set("count", known.count).set("lastTimestamp", now).build());
    return patch;
  }
  known.name = fmt::format("{}.{:016x}", note.name, ids_.random());
  json::Object event(arena);
  event.set("apiVersion", "v1")
      .set("kind", "Event")
      .set("metadata", json::Object(arena).set("name", known.name).set("namespace", ns).build())
      .set("involvedObject", json::Object(arena)
                                 .set("apiVersion", note.apiVersion)
                                 .set("kind", note.kind)
                                 .setNonEmpty("namespace", note.namespace_)
                                 .set("name", note.name)
                                 .setNonEmpty("uid", note.uid)
                                 .build())
      .set("type", note.type)
      .set("reason", note.reason)
      .set("message", note.message)
      .set("source", json::Object(arena).set("component", component_).setNonEmpty("host", host).build())
      .set("firstTimestamp", now)
      .set("lastTimestamp", now)
      .set("count", 1);
  if (!host.empty()) event.set("reportingComponent", component_).set("reportingInstance", host);
  return {.verb = Write::Verb::Create,
          .resource = events,
          .namespace_ = ns,
          .name = known.name,
          .body = json::print(event.build())};
}

}  // namespace stoker::client
