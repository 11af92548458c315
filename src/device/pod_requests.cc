#include "device/pod_requests.h"

#include "kube/quantity.h"

namespace stoker::device {

namespace {

using Totals = std::map<std::string, kube::Quantity>;

void add(Totals& totals, const api::ResourceList& list) {
  for (const auto& [name, text] : list) {
    auto quantity = kube::Quantity::parse(text);
    if (!quantity.ok()) continue;
    auto [it, fresh] = totals.try_emplace(name, *quantity);
    if (!fresh) it->second = it->second + *quantity;
  }
}

/// What one container asks for: a limit without a request is the request, as the API makes it when a pod is created
/// (pod templates have not been through that).
api::ResourceList requestsOf(const api::Container& container) {
  api::ResourceList out = container.resources.requests;
  out.insert(container.resources.limits.begin(), container.resources.limits.end());
  return out;
}

void raise(Totals& totals, const Totals& other) {
  for (const auto& [name, quantity] : other) {
    auto [it, fresh] = totals.try_emplace(name, quantity);
    if (!fresh && it->second < quantity) it->second = quantity;
  }
}

}  // namespace

api::ResourceList podRequests(const api::PodSpec& pod) {
  Totals total, sidecars, init;
  for (const api::Container& container : pod.containers) add(total, requestsOf(container));
  for (const api::Container& container : pod.initContainers) {
    Totals running;
    if (container.restartPolicy == "Always") {
      add(total, requestsOf(container));
      add(sidecars, requestsOf(container));
      running = sidecars;
    } else {
      running = sidecars;
      add(running, requestsOf(container));
    }
    raise(init, running);
  }
  raise(total, init);
  add(total, pod.overhead);
  api::ResourceList out;
  for (const auto& [name, quantity] : total) out[name] = quantity.toString();
  return out;
}

}  // namespace stoker::device
