#include "node/agent/admission.h"

#include <fmt/format.h>

#include <charconv>

namespace stoker::node {
namespace {

std::optional<int64_t> toInteger(std::string_view text) {
  int64_t out = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return out;
}

/// One NodeSelectorRequirement.
bool requirementHolds(json::Value requirement, std::optional<std::string_view> value) {
  std::string_view op = requirement["operator"].asString();
  auto listed = [&] {
    for (json::Value item : requirement["values"].items())
      if (value && item.asString() == *value) return true;
    return false;
  };
  if (op == "In") return listed();
  if (op == "NotIn") return !listed();
  if (op == "Exists") return value.has_value();
  if (op == "DoesNotExist") return !value.has_value();
  if (op == "Gt" || op == "Lt") {
    if (!value || requirement["values"].size() != 1) return false;
    auto own = toInteger(*value), other = toInteger(requirement["values"][0].asString());
    if (!own || !other) return false;
    return op == "Gt" ? *own > *other : *own < *other;
  }
  return false;
}

/// cpu counts in thousandths, the rest in base units (upstream's InsufficientResourceError).
int64_t countOf(const std::string& resource, const kube::Quantity& amount) {
  return resource == "cpu" ? amount.milliValue() : amount.value();
}

}  // namespace

bool nodeMatches(const podspec::PodSpec& spec, const std::map<std::string, std::string>& labels,
                 const std::string& nodeName) {
  for (const auto& [key, value] : spec.nodeSelector) {
    auto it = labels.find(key);
    if (it == labels.end() || it->second != value) return false;
  }
  json::Value required = spec.affinity.root.at({"nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
  if (required.isNull()) return true;
  // Terms are alternatives; within one, everything must hold; an empty term selects nothing.
  for (json::Value term : required["nodeSelectorTerms"].items()) {
    if (term["matchExpressions"].empty() && term["matchFields"].empty()) continue;
    bool holds = true;
    for (json::Value requirement : term["matchExpressions"].items()) {
      auto it = labels.find(requirement["key"].str());
      holds = holds && requirementHolds(requirement, it == labels.end() ? std::nullopt
                                                                        : std::optional<std::string_view>(it->second));
    }
    for (json::Value requirement : term["matchFields"].items())
      holds = holds && requirement["key"].asString() == "metadata.name" && requirementHolds(requirement, nodeName);
    if (holds) return true;
  }
  return false;
}

std::optional<Rejection> admit(const podspec::PodSpec& spec, const NodeRoom& room) {
  if (!nodeMatches(spec, room.labels, room.name))
    return Rejection{"NodeAffinity",
                     "Pod was rejected: Predicate NodeAffinity failed: node(s) didn't match Pod's node "
                     "affinity/selector"};
  auto insufficient = [](const std::string& resource, int64_t requested, int64_t used, int64_t capacity) {
    return Rejection{
        "OutOf" + resource,
        fmt::format("Pod was rejected: Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}",
                    resource, requested, used, capacity)};
  };
  auto amountOf = [](const Amounts& amounts, const std::string& name) {
    auto it = amounts.find(name);
    return it == amounts.end() ? int64_t{0} : countOf(name, it->second);
  };
  if (int64_t capacity = amountOf(room.allocatable, "pods"); room.pods + 1 > capacity)
    return insufficient("pods", 1, room.pods, capacity);
  for (const auto& [name, amount] : podRequests(spec)) {
    int64_t requested = countOf(name, amount);
    if (requested == 0) continue;
    int64_t used = amountOf(room.used, name), capacity = amountOf(room.allocatable, name);
    if (requested > capacity - used) return insufficient(name, requested, used, capacity);
  }
  return std::nullopt;
}

}  // namespace stoker::node
