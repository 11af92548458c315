#include "node/agent/resources.h"

#include <algorithm>

namespace stoker::node {
namespace {

void add(Amounts& to, const Amounts& what) {
  for (const auto& [name, amount] : what) to[name] = to[name] + amount;
}
void maximum(Amounts& of, const Amounts& other) {
  for (const auto& [name, amount] : other)
    if (of[name] < amount) of[name] = amount;
}
kube::Quantity amountIn(const api::ResourceList& list, const std::string& name) {
  auto it = list.find(name);
  if (it == list.end()) return {};
  auto parsed = kube::Quantity::parse(it->second);
  return parsed.ok() ? *parsed : kube::Quantity();
}
/// All containers that may run at the same time as the main ones.
std::vector<const podspec::Container*> lasting(const podspec::PodSpec& spec) {
  std::vector<const podspec::Container*> out;
  for (const auto& init : spec.initContainers)
    if (podspec::isSidecar(init)) out.push_back(&init);
  for (const auto& container : spec.containers) out.push_back(&container);
  return out;
}

}  // namespace

Amounts amountsOf(const api::ResourceList& list) {
  Amounts out;
  for (const auto& [name, text] : list)
    if (auto parsed = kube::Quantity::parse(text); parsed.ok()) out[name] = *parsed;
  return out;
}

Amounts containerRequests(const podspec::Container& container) {
  Amounts out = amountsOf(container.resources.limits);
  for (auto& [name, amount] : amountsOf(container.resources.requests)) out[name] = amount;
  return out;
}

Amounts podRequests(const podspec::PodSpec& spec) {
  Amounts sidecars, startup;
  for (const auto& init : spec.initContainers) {
    // An init container runs beside the sidecars that were started before it.
    Amounts moment = containerRequests(init);
    if (podspec::isSidecar(init)) {
      add(sidecars, moment);
      moment = sidecars;
    } else {
      add(moment, sidecars);
    }
    maximum(startup, moment);
  }
  Amounts total = sidecars;
  for (const auto& container : spec.containers) add(total, containerRequests(container));
  maximum(total, startup);
  add(total, amountsOf(spec.overhead));
  return total;
}

std::string qosClass(const podspec::PodSpec& spec) {
  bool any = false, guaranteed = true;
  auto look = [&](const podspec::Container& container) {
    for (const char* name : {"cpu", "memory"}) {
      kube::Quantity limit = amountIn(container.resources.limits, name);
      kube::Quantity request = amountIn(container.resources.requests, name);
      if (request.isZero() && !container.resources.requests.contains(name)) request = limit;
      if (!limit.isZero() || !request.isZero()) any = true;
      if (limit.isZero() || limit != request) guaranteed = false;
    }
  };
  for (const auto& container : spec.initContainers) look(container);
  for (const auto& container : spec.containers) look(container);
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

ResourceLimits containerLimits(const podspec::Container& container) {
  Amounts requests = containerRequests(container);
  ResourceLimits out;
  out.memoryBytes = amountIn(container.resources.limits, "memory").value();
  out.cpuMilliLimit = amountIn(container.resources.limits, "cpu").milliValue();
  out.cpuMilliRequest = requests["cpu"].milliValue();
  return out;
}

ResourceLimits podLimits(const podspec::PodSpec& spec) {
  ResourceLimits out;
  bool allMemory = true, allCpu = true;
  for (const podspec::Container* container : lasting(spec)) {
    ResourceLimits one = containerLimits(*container);
    allMemory = allMemory && one.memoryBytes > 0;
    allCpu = allCpu && one.cpuMilliLimit > 0;
    out.memoryBytes += one.memoryBytes;
    out.cpuMilliLimit += one.cpuMilliLimit;
  }
  for (const auto& init : spec.initContainers) {
    if (podspec::isSidecar(init)) continue;
    ResourceLimits one = containerLimits(init);
    allMemory = allMemory && one.memoryBytes > 0;
    allCpu = allCpu && one.cpuMilliLimit > 0;
    out.memoryBytes = std::max(out.memoryBytes, one.memoryBytes);
    out.cpuMilliLimit = std::max(out.cpuMilliLimit, one.cpuMilliLimit);
  }
  if (!allMemory) out.memoryBytes = 0;
  if (!allCpu) out.cpuMilliLimit = 0;
  out.cpuMilliRequest = podRequests(spec)["cpu"].milliValue();
  return out;
}

int oomScoreAdjust(const podspec::PodSpec& spec, const podspec::Container& container, int64_t memoryCapacity) {
  // kubelet's constants: guaranteed pods die last, best-effort ones first, the rest by how much they asked for.
  constexpr int kGuaranteed = -997, kBestEffort = 1000;
  std::string qos = qosClass(spec);
  if (qos == "Guaranteed") return kGuaranteed;
  if (qos == "BestEffort" || memoryCapacity <= 0) return kBestEffort;
  int64_t request = containerRequests(container)["memory"].value();
  int64_t score =
      1000 - static_cast<int64_t>(1000.0 * static_cast<double>(request) / static_cast<double>(memoryCapacity));
  if (score < 1000 + kGuaranteed) return 1000 + kGuaranteed;
  return score == kBestEffort ? kBestEffort - 1 : static_cast<int>(score);
}

}  // namespace stoker::node
