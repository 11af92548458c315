#include "scheduler/placement/demand.h"

#include <algorithm>

#include "device/pod_requests.h"

namespace stoker::scheduler {

namespace {

// Keys are texts whose parts end in NUL, so that no two lists run into each other.
void put(std::string& key, std::string_view text) {
  key += text;
  key += '\0';
}
void put(std::string& key, const std::map<std::string, std::string>& map) {
  for (const auto& [name, value] : map) {
    put(key, name);
    put(key, value);
  }
  key += '\1';
}

json::Value nodeAffinity(json::Value affinity) {
  return affinity.at({"nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
}

std::string constraintKey(const std::map<std::string, std::string>& nodeSelector, json::Value affinity,
                          const std::vector<api::Toleration>& tolerations) {
  std::string key;
  put(key, nodeSelector);
  if (json::Value required = nodeAffinity(affinity); !required.isNull()) json::printTo(key, required);
  key += '\1';
  for (const api::Toleration& t : tolerations) {
    put(key, t.key);
    put(key, t.operator_);
    put(key, t.value);
    put(key, t.effect);
    // How long a taint is tolerated matters to who evicts, not here.
  }
  return key;
}

std::string requestsKey(const api::PodSpec& pod) {
  std::string key;
  for (const api::Container& c : pod.containers) put(key, c.resources.requests);
  key += '\2';
  for (const api::Container& c : pod.initContainers) {
    put(key, c.restartPolicy);
    put(key, c.resources.requests);
  }
  key += '\2';
  put(key, pod.overhead);
  return key;
}

}  // namespace

DemandId Demands::intern(Amounts amounts, const std::map<std::string, std::string>& nodeSelector, json::Value affinity,
                         const std::vector<api::Toleration>& tolerations) {
  std::string text = constraintKey(nodeSelector, affinity, tolerations);
  auto [constraint, freshConstraint] =
      constraintByText_.try_emplace(text, static_cast<ConstraintId>(constraints_.size()));
  if (freshConstraint) constraints_.emplace_back(nodeSelector, affinity, tolerations);

  std::string key = std::to_string(constraint->second);
  for (const Amount& a : amounts) key += '/' + std::to_string(a.resource) + '=' + std::to_string(a.value);
  auto [it, fresh] = byMeaning_.try_emplace(std::move(key), static_cast<DemandId>(demands_.size()));
  if (fresh) {
    bool cards =
        std::any_of(amounts.begin(), amounts.end(), [&](const Amount& a) { return resources_.isCard(a.resource); });
    demands_.push_back({std::move(amounts), constraint->second, cards});
  }
  return it->second;
}

DemandId Demands::of(const api::GangRole& role) {
  std::string key = "role\1";
  put(key, role.requests);
  key += constraintKey(role.nodeSelector, role.affinity.root, role.tolerations);
  if (auto it = byText_.find(key); it != byText_.end()) return it->second;
  DemandId id = intern(resources_.ofPod(role.requests), role.nodeSelector, role.affinity.root, role.tolerations);
  return byText_[std::move(key)] = id;
}

DemandId Demands::of(const api::PodSpec& pod) {
  std::string key = requestsKey(pod) + '\3' + constraintKey(pod.nodeSelector, pod.affinity.root, pod.tolerations);
  if (auto it = byText_.find(key); it != byText_.end()) return it->second;
  DemandId id = intern(*requests_.of(pod), pod.nodeSelector, pod.affinity.root, pod.tolerations);
  return byText_[std::move(key)] = id;
}

std::shared_ptr<const Amounts> Requests::of(const api::PodSpec& pod) {
  if (byText_.size() >= kMaxKnown) byText_.clear();
  auto& known = byText_[requestsKey(pod)];
  if (!known) known = std::make_shared<const Amounts>(resources_.ofPod(device::podRequests(pod)));
  return known;
}

}  // namespace stoker::scheduler
