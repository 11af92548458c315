#include "scheduler/input.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace stoker::scheduler {

namespace {

using api::Gang;
using api::GangPlacement;
using api::GangRole;

template <class T>
std::shared_ptr<const T> share(const client::EntryPtr<T>& entry) {
  return {entry, &entry->object};
}

class Reader {
 public:
  Reader(const client::View& view, const InputOptions& options)
      : pods_(view.followed<PodIndex>()), gangs_(view.of<Gang>()), nodes_(view.of<api::Node>()), options_(options) {
    input_.snapshot = std::make_unique<Snapshot>(pods_.resources());
    input_.queues.demands = std::make_shared<Demands>(input_.snapshot->resources());
  }

  Input read() {
    for (const auto& entry : nodes_.all()) input_.snapshot->addNode(share(entry));
    pods_.forEach([this](const PodFacts& pod) { readPod(pod); });
    for (const auto& entry : gangs_.all()) readGang(entry);
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
    const GangRole* role;
    const std::string* cards;
    const PodFacts* pod;
  };

  Demands& demands() { return *input_.queues.demands; }

  const PodFacts* podOf(const Gang& gang, std::string_view name) const {
    const PodFacts* pod = pods_.find(gang.metadata.namespace_, name);
    return pod && pod->gang == gang.metadata.name ? pod : nullptr;
  }

  void readGang(const client::EntryPtr<Gang>& entry) {
    const Gang& gang = entry->object;
    auto queue = [&](GangItem item) {
      item.gang = share(entry);
      item.resourceVersion = std::to_string(entry->raw.resourceVersion);
      input_.queues.add(std::move(item));
    };
    if (gang.spec.finished) {
      // The placement stays for the record; it holds nothing any more.
      if (gang.status.phase != "Finished") queue({.kept = gang.status.placement});
      return;
    }
    Record record;
    for (const GangRole& role : gang.spec.roles) record.kept.emplace_back(static_cast<size_t>(std::max(role.count, 0)));
    for (const GangPlacement& place : gang.status.placement) keepOrDrop(gang, place, record);
    if (gang.metadata.deleting()) return;  // keeps what it has until it is gone, gets nothing more
    if (gang.spec.suspended) {
      bool told =
          gang.status.phase == "Pending" && gang.status.verdict.reason == "Suspended" && gang.status.placement.empty();
      if (!told) queue({});
      return;
    }
    size_t entries = gang.status.placement.size(), wanted = 0;
    for (const auto& role : record.kept) wanted += role.size();
    bool settled = record.stay == wanted && record.stay == entries && gang.status.phase == "Placed" &&
                   gang.status.verdict.reason == "Placed";
    // When all have succeeded the job is over, and says so itself a moment later.
    bool releases = record.toRelease > 0 && record.succeeded < entries;
    if (settled && !releases) return;
    GangItem item = itemOf(gang, record, releases);
    if (!settled) return queue(std::move(item));
    item.gang = share(entry);
    item.resourceVersion = std::to_string(entry->raw.resourceVersion);
    releases_.push_back(std::move(item));
  }

  /// What is to be kept of a gang's placement.
  struct Record {
    std::vector<std::vector<const GangPlacement*>> kept;  ///< by role and index; null = missing
    size_t stay = 0, succeeded = 0, toRelease = 0;
    std::vector<std::string> lost;
  };

  GangItem itemOf(const Gang& gang, Record& record, bool releases) {
    GangItem item{.lost = std::move(record.lost)};
    for (size_t role = 0; role < gang.spec.roles.size(); ++role) {
      const GangRole& spec = gang.spec.roles[role];
      RoleWant want{.role = static_cast<uint32_t>(role)};
      // 0 means "not said": all of them. A role that may have no pod at all is said by count.
      want.min = spec.minCount > 0 ? std::min(spec.minCount, spec.count) : spec.count;
      for (size_t index = 0; index < record.kept[role].size(); ++index) {
        const GangPlacement* place = record.kept[role][index];
        if (!place) {
          want.missing.push_back(static_cast<int32_t>(index));
          noteRefusal(gang, spec, want, item);
          continue;
        }
        item.kept.push_back(*place);
        ++want.kept;
        if (!releases || place->node.empty()) continue;
        const PodFacts* pod = podOf(gang, place->pod);
        if (!pod || pod->phase != PodFacts::Phase::Succeeded) continue;
        item.kept.back().node.clear();
        item.kept.back().cards.clear();
      }
      if (want.missing.empty()) continue;
      want.demand = demands().of(spec);
      item.wants.push_back(std::move(want));
    }
    return item;
  }

  /// Looks at one entry of the record: it holds its place in this pass in any case; whether it may stay is the
  /// question.
  void keepOrDrop(const Gang& gang, const GangPlacement& place, Record& record) {
    auto role = std::find_if(gang.spec.roles.begin(), gang.spec.roles.end(),
                             [&](const auto& r) { return r.name == place.role; });
    if (role == gang.spec.roles.end()) return;
    const PodFacts* pod = podOf(gang, place.pod);
    std::optional<NodeId> node;
    if (!place.node.empty()) node = input_.snapshot->find(place.node);
    if (node) held_.push_back({*node, &*role, &place.cards, pod && pod->node == place.node ? pod : nullptr});

    if (gang.spec.suspended || place.index < 0 || place.index >= role->count) return;  // no longer wanted
    auto& slot = record.kept[static_cast<size_t>(role - gang.spec.roles.begin())][static_cast<size_t>(place.index)];
    if (slot) return;
    auto keep = [&] {
      slot = &place;
      ++record.stay;
    };
    if (pod && pod->phase == PodFacts::Phase::Succeeded) {
      ++record.succeeded;
      if (!place.node.empty()) ++record.toRelease;
      return keep();
    }
    bool over = !pod || pod->finished();     // nothing of it can be running
    if (over && place.node.empty()) return;  // had succeeded and given back, and is to be made again
    if (over && pod && pod->node == place.node && !pod->refusal.empty()) {
      record.lost.push_back(fmt::format("{}: node {} refused it ({})", place.pod, place.node, pod->refusal));
      return;
    }
    if (over && (!node || isLostFor(input_.snapshot->node(*node), role->tolerations))) {
      record.lost.push_back(fmt::format("{}: node {} is {}", place.pod, place.node, node ? "not ready" : "gone"));
      return;
    }
    keep();
  }

  /// The failed pod that a node refused keeps that node from being tried again for as long as the pod is there to tell.
  void noteRefusal(const Gang& gang, const GangRole& role, const RoleWant& want, GangItem& item) {
    if (gang.status.epoch == 0) return;  // never placed: no pod yet
    int32_t index = want.missing.back();
    const PodFacts* pod = podOf(gang, podName(role, index));
    if (!pod || pod->refusal.empty()) return;
    if (auto node = input_.snapshot->find(pod->node)) item.refused[{want.role, index}].push_back({*node, pod->refusal});
  }

  void readPod(const PodFacts& pod) {
    if (pod.amounts) bound_.push_back(&pod);
    if (!pod.waiting) return;
    const api::PodSpec& spec = pod.waiting->object.spec;
    if (options_.embedded || spec.schedulerName == api::kSchedulerName)
      input_.queues.add(PodItem{share(pod.waiting), demands().of(spec)});
  }

  void hold() {
    Snapshot& snapshot = *input_.snapshot;
    std::vector<const PodFacts*> covered;
    covered.reserve(held_.size());
    const GangRole* role = nullptr;
    DemandId demand = 0;
    for (const Held& held : held_) {
      if (held.role != role) demand = demands().of(*(role = held.role));
      snapshot.hold(held.node, demands()[demand].amounts, *held.cards);
      if (held.pod) covered.push_back(held.pod);
    }
    std::sort(covered.begin(), covered.end());
    std::vector<const PodFacts*> others;
    for (const PodFacts* pod : bound_)
      if (!std::binary_search(covered.begin(), covered.end(), pod)) others.push_back(pod);
    // The same order whatever came first: who named no cards gets some in turn.
    std::sort(others.begin(), others.end(), [](const PodFacts* a, const PodFacts* b) {
      return std::tie(a->namespace_, a->name) < std::tie(b->namespace_, b->name);
    });
    for (const PodFacts* pod : others)
      if (std::optional<NodeId> node = snapshot.find(pod->node)) snapshot.hold(*node, *pod->amounts, pod->cards);
    snapshot.seal();
  }

  const PodIndex& pods_;
  const client::Cache<Gang>& gangs_;
  const client::Cache<api::Node>& nodes_;
  const InputOptions& options_;
  Input input_;
  std::vector<Held> held_;
  std::vector<GangItem> releases_;  ///< settled gangs of which some pods have succeeded
  std::vector<const PodFacts*> bound_;
};

}  // namespace

Input buildInput(const client::View& view, const InputOptions& options) { return Reader(view, options).read(); }

std::string podName(const GangRole& role, int32_t index) { return fmt::format("{}-{}", role.podNamePrefix, index); }

}  // namespace stoker::scheduler
