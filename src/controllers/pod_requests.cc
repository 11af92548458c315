#include "controllers/pod_requests.h"

#include "kube/quantity.h"

namespace stoker::controllers {
namespace {

using Amounts = std::map<std::string, kube::Quantity>;

Amounts read(const api::ResourceList& list) {
  Amounts out;
  for (const auto& [name, text] : list)
    if (auto quantity = kube::Quantity::parse(text); quantity.ok()) out[name] = *quantity;
  return out;
}

Amounts requestsOf(const api::Container& container) {
  Amounts out = read(container.resources.limits);
  for (auto& [name, quantity] : read(container.resources.requests)) out[name] = quantity;
  return out;
}

void add(Amounts& to, const Amounts& what) {
  for (const auto& [name, quantity] : what) {
    auto [it, fresh] = to.emplace(name, quantity);
    if (!fresh) it->second = it->second + quantity;
  }
}

void raise(Amounts& to, const Amounts& what) {
  for (const auto& [name, quantity] : what) {
    auto [it, fresh] = to.emplace(name, quantity);
    if (!fresh && it->second < quantity) it->second = quantity;
  }
}

}  // namespace

api::ResourceList podRequests(const api::PodSpec& spec) {
  Amounts total, sidecars, starting;
  for (const api::Container& c : spec.containers) add(total, requestsOf(c));
  for (const api::Container& c : spec.initContainers) {
    Amounts during = sidecars;
    add(during, requestsOf(c));
    raise(starting, during);
    if (c.restartPolicy == "Always") sidecars = during;
  }
  add(total, sidecars);
  raise(total, starting);
  add(total, read(spec.overhead));
  api::ResourceList out;
  for (const auto& [name, quantity] : total)
    if (!quantity.isZero()) out[name] = quantity.toString();
  return out;
}

}  // namespace stoker::controllers
