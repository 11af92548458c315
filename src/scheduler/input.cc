#include "scheduler/input.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace stoker::scheduler {

namespace {

using api::Gang;
using api::GangPlacement;
using api::GangRole;
using api::Pod;

template <class T>
std::shared_ptr<const T> share(const client::EntryPtr<T>& entry) {
  return {entry, &entry->object};
}

class Reader {
 public:
  Reader(const client::View& view, const InputOptions& options)
      : pods_(view.of<Pod>()), gangs_(view.of<Gang>()), nodes_(view.of<api::Node>()), options_(options) {
    input_.snapshot = std::make_unique<Snapshot>();
    input_.queues.demands = std::make_shared<Demands>(input_.snapshot->resources());
  }

  Input read() {
    for (const auto& [key, entry] : nodes_.all()) input_.snapshot->addNode(share(entry));
    for (const auto& [key, entry] : gangs_.all()) readGang(entry);
    for (const auto& [key, entry] : pods_.all()) readPod(entry);
    // Who waits may have what succeeded pods gave back, once that is on record; nobody waits, nothing to write.
    if (!input_.queues.order.empty())
      for (GangItem& item : releases_) input_.queues.add(std::move(item));
    if (!input_.queues.order.empty()) hold();
    input_.queues.sort();
    return std::move(input_);
  }

 private:
  /// An entry that holds capacity, and the pod that it stands for.
  struct Held {
    NodeId node;
    DemandId demand;
    const std::string* cards;
    const Pod* pod;
  };

  Demands& demands() { return *input_.queues.demands; }

  const Pod* podOf(const Gang& gang, const std::string& name) const {
    const Pod* pod = pods_.get(gang.metadata.namespace_, name);
    if (!pod) return nullptr;
    auto label = pod->metadata.labels.find(api::kGangLabel);
    return label != pod->metadata.labels.end() && label->second == gang.metadata.name ? pod : nullptr;
  }

  void readGang(const client::EntryPtr<Gang>& entry) {
    const Gang& gang = entry->object;
    GangItem item{.gang = share(entry), .resourceVersion = std::to_string(entry->raw.resourceVersion)};
    if (gang.spec.finished) {
      item.kept = gang.status.placement;  // for the record; it holds nothing any more
      if (gang.status.phase != "Finished") input_.queues.add(std::move(item));
      return;
    }
    std::vector<std::vector<const GangPlacement*>> kept(gang.spec.roles.size());
    std::vector<DemandId> roleDemands;
    for (size_t role = 0; role < gang.spec.roles.size(); ++role) {
      kept[role].resize(static_cast<size_t>(std::max(gang.spec.roles[role].count, 0)));
      roleDemands.push_back(demands().of(gang.spec.roles[role]));
    }
    size_t succeeded = 0;
    for (const GangPlacement& place : gang.status.placement) keepOrDrop(gang, place, roleDemands, kept, item, succeeded);
    if (gang.metadata.deleting()) return;  // keeps what it has until it is gone, gets nothing more
    if (gang.spec.suspended) {
      bool told = gang.status.phase == "Pending" && gang.status.verdict.reason == "Suspended" && gang.status.placement.empty();
      if (!told) input_.queues.add(std::move(item));
      return;
    }

    size_t placed = 0;
    for (size_t role = 0; role < gang.spec.roles.size(); ++role) {
      const GangRole& spec = gang.spec.roles[role];
      RoleWant want{.role = static_cast<uint32_t>(role), .demand = roleDemands[role]};
      // 0 means "not said": all of them. A role that may have no pod at all is said by count.
      want.min = spec.minCount > 0 ? std::min(spec.minCount, spec.count) : spec.count;
      for (size_t index = 0; index < kept[role].size(); ++index) {
        if (kept[role][index]) {
          const GangPlacement& place = *kept[role][index];
          item.kept.push_back(place);
          ++want.kept;
          ++placed;
          const Pod* pod = place.node.empty() ? nullptr : podOf(gang, place.pod);
          // When all have succeeded the job is over, and says so itself a moment later.
          if (!pod || pod->status.phase != "Succeeded" || succeeded == gang.status.placement.size()) continue;
          item.kept.back().node.clear();
          item.kept.back().cards.clear();
          item.released = true;
        } else {
          want.missing.push_back(static_cast<int32_t>(index));
          noteRefusal(gang, spec, want, item);
        }
      }
      if (!want.missing.empty()) item.wants.push_back(std::move(want));
    }
    bool settled = item.wants.empty() && placed == gang.status.placement.size() && gang.status.phase == "Placed" &&
                   gang.status.verdict.reason == "Placed";
    if (!settled) input_.queues.add(std::move(item));
    else if (item.released) releases_.push_back(std::move(item));
  }

  /// Looks at one entry of the record: it holds its place in this pass in any case; whether it may stay is the question.
  void keepOrDrop(const Gang& gang, const GangPlacement& place, const std::vector<DemandId>& roleDemands,
                  std::vector<std::vector<const GangPlacement*>>& kept, GangItem& item, size_t& succeeded) {
    auto role = std::find_if(gang.spec.roles.begin(), gang.spec.roles.end(), [&](const auto& r) { return r.name == place.role; });
    if (role == gang.spec.roles.end()) return;
    auto roleIndex = static_cast<size_t>(role - gang.spec.roles.begin());
    const Pod* pod = podOf(gang, place.pod);
    std::optional<NodeId> node;
    if (!place.node.empty()) node = input_.snapshot->find(place.node);
    if (node) held_.push_back({*node, roleDemands[roleIndex], &place.cards, pod && pod->spec.nodeName == place.node ? pod : nullptr});

    if (gang.spec.suspended || place.index < 0 || place.index >= role->count) return;  // no longer wanted
    auto& slot = kept[roleIndex][static_cast<size_t>(place.index)];
    if (slot) return;
    if (pod && pod->status.phase == "Succeeded") {
      slot = &place;
      ++succeeded;
      return;
    }
    bool over = !pod || pod->finished();  // nothing of it can be running
    if (over && place.node.empty()) return;  // had succeeded and given back, and is to be made again
    if (over && pod && pod->spec.nodeName == place.node && isRefused(*pod)) {
      item.lost.push_back(fmt::format("{}: node {} refused it ({})", place.pod, place.node, pod->status.reason));
      return;
    }
    if (over && (!node || isLostFor(input_.snapshot->node(*node), role->tolerations))) {
      item.lost.push_back(fmt::format("{}: node {} is {}", place.pod, place.node, node ? "not ready" : "gone"));
      return;
    }
    slot = &place;
  }

  /// The failed pod that a node refused keeps that node from being tried again for as long as the pod is there to tell.
  void noteRefusal(const Gang& gang, const GangRole& role, const RoleWant& want, GangItem& item) {
    if (gang.status.epoch == 0) return;  // never placed: no pod yet
    int32_t index = want.missing.back();
    const Pod* pod = podOf(gang, podName(role, index));
    if (!pod || !isRefused(*pod)) return;
    if (auto node = input_.snapshot->find(pod->spec.nodeName))
      item.refused[{want.role, index}].push_back({*node, pod->status.reason});
  }

  void readPod(const client::EntryPtr<Pod>& entry) {
    const Pod& pod = entry->object;
    if (pod.finished()) return;
    if (!pod.spec.nodeName.empty()) {
      bound_.push_back(&pod);
      return;
    }
    if (pod.metadata.deleting() || !pod.spec.schedulingGates.empty()) return;
    const std::string& scheduler = pod.spec.schedulerName;
    bool ours = scheduler == api::kSchedulerName ||
                (options_.embedded && (scheduler.empty() || scheduler == api::kDefaultSchedulerName));
    if (!ours || pod.metadata.labels.contains(api::kGangLabel)) return;
    input_.queues.add(PodItem{share(entry), demands().of(pod.spec)});
  }

  void hold() {
    Snapshot& snapshot = *input_.snapshot;
    std::unordered_set<const Pod*> covered;
    covered.reserve(held_.size());
    for (const Held& held : held_) {
      snapshot.hold(held.node, demands()[held.demand].amounts, *held.cards);
      if (held.pod) covered.insert(held.pod);
    }
    static const std::string kNoCards;
    for (const Pod* pod : bound_) {
      if (covered.contains(pod)) continue;
      std::optional<NodeId> node = snapshot.find(pod->spec.nodeName);
      if (!node) continue;
      auto cards = pod->metadata.annotations.find(api::kCardsAnnotation);
      snapshot.hold(*node, demands().amountsOf(pod->spec), cards == pod->metadata.annotations.end() ? kNoCards : cards->second);
    }
    snapshot.seal();
  }

  const client::Cache<Pod>& pods_;
  const client::Cache<Gang>& gangs_;
  const client::Cache<api::Node>& nodes_;
  const InputOptions& options_;
  Input input_;
  std::vector<Held> held_;
  std::vector<GangItem> releases_;  ///< settled gangs of which some pods have succeeded
  std::vector<const Pod*> bound_;
};

}  // namespace

Input buildInput(const client::View& view, const InputOptions& options) { return Reader(view, options).read(); }

bool isRefused(const Pod& pod) {
  if (pod.status.phase != "Failed") return false;
  const std::string& reason = pod.status.reason;
  static constexpr std::string_view kReasons[] = {"UnexpectedAdmissionError", "NodeAffinity", "NodeName", "NodePorts",
                                                  "TopologyAffinityError", "NodeShutdown", "UnexpectedPredicateFailureType"};
  return reason.starts_with("OutOf") || std::find(std::begin(kReasons), std::end(kReasons), reason) != std::end(kReasons);
}

std::string podName(const GangRole& role, int32_t index) { return fmt::format("{}-{}", role.podNamePrefix, index); }

}  // namespace stoker::scheduler
