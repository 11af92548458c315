// plan.h
//
// What a decision wants done. A plan is correct if it is cut after any write: names are deterministic, so the next
// reconcile continues where it stopped; what was derived from state that may be stale carries its resourceVersion.
#pragma once

#include "client/cluster.h"

namespace stoker::client {

/// A core/v1 Event about an object; repeated ones are counted, not multiplied.
struct EventNote {
  std::string apiVersion, kind, namespace_, name, uid;
  std::string type = "Normal";  ///< or Warning
  std::string reason, message;
};

struct Plan {
  std::vector<Write> writes;
  std::vector<EventNote> events;
  std::optional<Time> wakeAt;  ///< reconcile this key again then, whatever happens
  Mode mode = Mode::Sequence;

  bool empty() const { return writes.empty() && events.empty(); }
  void wake(Time at) {
    if (!wakeAt || at < *wakeAt) wakeAt = at;
  }

  template <class T>
  Write& create(const std::string& ns, const std::string& name, std::string body) {
    return add(
        {.verb = Write::Verb::Create, .resource = gvrOf<T>(), .namespace_ = ns, .name = name, .body = std::move(body)});
  }
  template <class T>
  Write& patch(const std::string& ns, const std::string& name, std::string mergePatch,
               const std::string& subresource = "") {
    return add({.verb = Write::Verb::Patch,
                .resource = gvrOf<T>(),
                .namespace_ = ns,
                .name = name,
                .subresource = subresource,
                .body = std::move(mergePatch)});
  }
  template <class T>
  Write& remove(const std::string& ns, const std::string& name, const std::string& uid,
                std::optional<int64_t> grace = std::nullopt, const std::string& propagation = "") {
    return add({.verb = Write::Verb::Delete,
                .resource = gvrOf<T>(),
                .namespace_ = ns,
                .name = name,
                .uid = uid,
                .gracePeriodSeconds = grace,
                .propagation = propagation});
  }
  /// An event about a typed object.
  template <class T>
  void event(const T& object, std::string type, std::string reason, std::string message) {
    events.push_back({apiVersionOf(T::gvk), T::gvk.kind, object.metadata.namespace_, object.metadata.name,
                      object.metadata.uid, std::move(type), std::move(reason), std::move(message)});
  }
  Write& add(Write write) {
    writes.push_back(std::move(write));
    return writes.back();
  }
};

}  // namespace stoker::client
