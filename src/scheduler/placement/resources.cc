#include "scheduler/placement/resources.h"

#include <algorithm>

#include "device/cards.h"
#include "kube/quantity.h"

namespace stoker::scheduler {

Resources::Resources() {
  for (const char* name : {"cpu", "memory", "ephemeral-storage", "pods"}) id(name);
}

ResourceId Resources::id(std::string_view name) {
  auto it = ids_.find(name);
  if (it != ids_.end()) return it->second;
  auto id = static_cast<ResourceId>(names_.size());
  names_.emplace_back(name);
  cards_.push_back(device::isCardResource(name));
  ids_.emplace(name, id);
  return id;
}

int64_t Resources::amount(ResourceId id, const std::string& quantity) {
  auto parsed = kube::Quantity::parse(quantity);
  if (!parsed.ok()) return 0;
  return std::clamp<int64_t>(id == kCpu ? parsed->milliValue() : parsed->value(), 0, kMaxAmount);
}

std::string Resources::text(ResourceId id, int64_t amount) const {
  if (id == kCpu) return kube::Quantity::fromMilli(amount).toString();
  bool bytes = id == kMemory || id == kStorage || names_[id].starts_with("hugepages-");
  if (!bytes) return std::to_string(amount);
  return kube::Quantity::fromInt(amount, kube::Quantity::Format::BinarySI).toString();
}

Amounts Resources::ofPod(const api::ResourceList& requests) {
  Amounts out{{kPods, 1}};
  for (const auto& [name, quantity] : requests) {
    ResourceId resource = id(name);
    if (resource == kPods) continue;
    int64_t value = amount(resource, quantity);
    if (value >= kMaxAmount) value = kMaxAmount + 1;
    if (value > 0) out.push_back({resource, value});
  }
  std::sort(out.begin(), out.end(), [](const Amount& a, const Amount& b) { return a.resource < b.resource; });
  return out;
}

}  // namespace stoker::scheduler
