#include "node/agent/event_writer.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace stoker::node {
namespace {
// As client-go's event correlator: what was said longer ago than this many other things is said anew.
constexpr size_t kMaxKnown = 4096;
}  // namespace

client::Write EventWriter::write(const client::EventNote& note, const std::string& host, Time now) {
  client::Gvr events{"", "v1", "events"};
  std::string id = join({note.uid, note.type, note.reason, note.message, note.kind, note.namespace_, note.name}, "\n");
  if (known_.size() >= kMaxKnown) known_.clear();
  Known& known = known_[id];
  std::string ns = note.namespace_.empty() ? "default" : note.namespace_;
  json::Arena arena;
  std::string at = formatTime(now);
  if (++known.count > 1) {
    client::Write patch{.verb = client::Write::Verb::Patch, .resource = events, .namespace_ = ns, .name = known.name};
    patch.body = json::print(json::Object(arena).set("count", known.count).set("lastTimestamp", at).build());
    return patch;
  }
  known.name = fmt::format("{}.{:016x}", note.name, ids_.random());
  json::Value event = json::Object(arena)
                          .set("apiVersion", "v1")
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
                          .set("source", json::Object(arena).set("component", "kubelet").set("host", host).build())
                          .set("reportingComponent", "kubelet")
                          .set("reportingInstance", host)
                          .set("firstTimestamp", at)
                          .set("lastTimestamp", at)
                          .set("count", 1)
                          .build();
  return {.verb = client::Write::Verb::Create,
          .resource = events,
          .namespace_ = ns,
          .name = known.name,
          .body = json::print(event)};
}

}  // namespace stoker::node
