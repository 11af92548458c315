#include "scheduler/pods.h"

#include <algorithm>

namespace stoker::scheduler {

namespace {

const std::string kGangLabel = api::kGangLabel;
const std::string kCardsAnnotation = api::kCardsAnnotation;

}  // namespace

bool isRefused(const api::Pod& pod) {
  if (pod.status.phase != "Failed") return false;
  const std::string& reason = pod.status.reason;
  static constexpr std::string_view kReasons[] = {
      "UnexpectedAdmissionError",      "NodeAffinity", "NodeName", "NodePorts", "TopologyAffinityError", "NodeShutdown",
      "UnexpectedPredicateFailureType"};
  return reason.starts_with("OutOf") ||
         std::find(std::begin(kReasons), std::end(kReasons), reason) != std::end(kReasons);
}

const PodFacts* PodIndex::find(std::string_view ns, std::string_view name) const {
  auto it = facts_.find({ns, name});
  return it == facts_.end() ? nullptr : it->second.get();
}

std::unique_ptr<PodFacts> PodIndex::read(const client::EntryPtr<api::Pod>& entry) {
  const api::Pod& pod = entry->object;
  auto facts = std::make_unique<PodFacts>();
  facts->namespace_ = pod.metadata.namespace_;
  facts->name = pod.metadata.name;
  facts->gang = pod.metadata.label(kGangLabel);
  facts->node = pod.spec.nodeName;
  facts->phase = pod.status.phase == "Succeeded" ? PodFacts::Phase::Succeeded
                 : pod.status.phase == "Failed"  ? PodFacts::Phase::Failed
                                                 : PodFacts::Phase::Active;
  if (isRefused(pod)) facts->refusal = pod.status.reason;
  if (!pod.finished() && !facts->node.empty()) {
    facts->amounts = requests_.of(pod.spec);
    facts->cards = pod.metadata.annotation(kCardsAnnotation);
    return facts;
  }
  if (pod.metadata.labels.contains(kGangLabel)) return facts;
  const std::string& scheduler = pod.spec.schedulerName;
  bool maybeOurs = scheduler.empty() || scheduler == api::kSchedulerName || scheduler == api::kDefaultSchedulerName;
  if (!maybeOurs || pod.finished() || pod.metadata.deleting() || !pod.spec.schedulingGates.empty()) return nullptr;
  facts->waiting = entry;
  return facts;
}

void PodIndex::changed(const client::Key& key, const client::EntryPtr<api::Pod>& entry) {
  std::unique_ptr<PodFacts> now = entry ? read(entry) : nullptr;
  auto it = facts_.find({key.namespace_, key.name});
  if (it != facts_.end()) {
    if (now && *now == *it->second) return;
    facts_.erase(it);
  } else if (!now) {
    return;
  }
  ++version_;
  if (!now) return;
  Id id{now->namespace_, now->name};
  facts_.emplace(id, std::move(now));
}

}  // namespace stoker::scheduler
