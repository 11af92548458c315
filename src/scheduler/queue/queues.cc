#include "scheduler/queue/queues.h"

#include <algorithm>
#include <tuple>

namespace stoker::scheduler {

namespace {
// Tuples compare in serving order. On equal names the gang goes before the pod.
auto rank(const Queues::Place& p) { return std::tuple(-int64_t{p.priority}, p.created, p.namespace_, p.name, p.isPod); }
}  // namespace

void Queues::add(GangItem item) {
  gangs.push_back(std::move(item));
  const api::Gang& g = *gangs.back().gang;
  order.push_back({g.spec.priority, g.metadata.creationTimestamp, g.metadata.namespace_, g.metadata.name, false,
                   static_cast<uint32_t>(gangs.size() - 1)});
}

void Queues::add(PodItem item) {
  pods.push_back(std::move(item));
  const api::Pod& p = *pods.back().pod;
  order.push_back({p.spec.priority.value_or(0), p.metadata.creationTimestamp, p.metadata.namespace_, p.metadata.name,
                   true, static_cast<uint32_t>(pods.size() - 1)});
}

void Queues::sort() {
  std::sort(order.begin(), order.end(), [](const Place& a, const Place& b) { return rank(a) < rank(b); });
}

bool servedBefore(const api::Gang& a, const api::Gang& b) {
  return std::tuple(-int64_t{a.spec.priority}, a.metadata.creationTimestamp, a.metadata.namespace_, a.metadata.name) <
         std::tuple(-int64_t{b.spec.priority}, b.metadata.creationTimestamp, b.metadata.namespace_, b.metadata.name);
}

}  // namespace stoker::scheduler
