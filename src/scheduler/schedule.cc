#include "scheduler/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "scheduler/input.h"
#include "scheduler/placement/placer.h"

namespace stoker::scheduler {

namespace {

using api::GangPlacement;
using api::GangStatus;
using api::GangVerdict;

class Pass {
 public:
  Pass(Snapshot& snapshot, const Queues& queues, Time now)
      : snapshot_(snapshot),
        queues_(queues),
        demands_(*queues.demands),
        now_(now),
        placer_(snapshot, demands_),
        diagnoser_(snapshot, demands_, placer_) {}

  Decisions run() {
    for (const Queues::Place& place : queues_.order) {
      if (place.isPod)
        servePod(place.index);
      else
        serveGang(place.index);
    }
    return std::move(decisions_);
  }

 private:
  // ---- lone pods ----

  void servePod(uint32_t index) {
    const PodItem& item = queues_.pods[index];
    if (auto node = placer_.best(item.demand)) {
      auto cards = snapshot_.place(*node, demands_[item.demand].amounts);
      decisions_.pods.push_back({index, snapshot_.nodeName(*node), device::formatCards(std::move(cards)), ""});
      return;
    }
    std::string why = diagnoser_.whyNoNode(item.demand);
    const api::Condition* known = api::findCondition(item.pod->status.conditions, "PodScheduled");
    bool told = known && known->status == "False" && known->reason == "Unschedulable" && sameCause(known->message, why);
    if (!told) decisions_.pods.push_back({index, "", "", std::move(why)});
  }

  // ---- gangs ----

  /// Where a gang's placing stopped.
  struct Blocked {
    const RoleWant* want = nullptr;
    std::vector<Refusal> refused;
  };

  void serveGang(uint32_t index) {
    const GangItem& item = queues_.gangs[index];
    const api::Gang& gang = *item.gang;
    GangStatus status{.placement = item.kept, .epoch = gang.status.epoch};
    if (gang.spec.finished) {
      status.phase = "Finished";
      return decide(index, std::move(status), "Finished", "the job has ended; nothing is held any more", 0);
    }
    if (gang.spec.suspended) {
      status.phase = "Pending";
      status.placement.clear();
      return decide(index, std::move(status), "Suspended", "the job is suspended; it holds no place", 0);
    }
    std::string shape = shapeOf(item);
    if (auto failed = failedShapes_.find(shape); !shape.empty() && failed != failedShapes_.end()) {
      status.phase = "Pending";
      return decide(index, std::move(status), "Unschedulable", failed->second, 0);
    }

    Snapshot::Mark mark = snapshot_.mark();
    int32_t placedNow = 0, together = 0, fit = 0;
    Blocked blocked;
    for (const api::GangRole& role : gang.spec.roles) together += effectiveMin(role);
    fit = together;
    for (const RoleWant& want : item.wants) fit -= std::max(want.min - want.kept, 0);
    std::vector<const RoleWant*> order = servingOrder(item);
    for (const RoleWant* want : order) {
      for (int32_t k = 0; k < want->min - want->kept && !blocked.want; ++k) {
        if (placeOne(item, *want, want->missing[static_cast<size_t>(k)], status, blocked)) ++placedNow, ++fit;
      }
    }
    if (blocked.want) {
      std::string why = whyBlocked(item, blocked, fit, together);
      snapshot_.rollback(mark);
      status.placement = item.kept;
      status.phase = "Pending";
      if (!shape.empty()) failedShapes_.emplace(std::move(shape), why);
      return decide(index, std::move(status), "Unschedulable", std::move(why), 0);
    }
    // The gang stands; what it may have beyond its minimum it takes one by one.
    std::string lacking;
    for (const RoleWant* want : order) {
      Blocked full;
      for (size_t k = static_cast<size_t>(std::max(want->min - want->kept, 0)); k < want->missing.size() && !full.want;
           ++k)
        if (placeOne(item, *want, want->missing[k], status, full)) ++placedNow;
      if (full.want && lacking.empty())
        lacking = roleName(item, *want) + ": " + diagnoser_.whyNoNode(want->demand, full.refused);
    }
    status.phase = "Placed";
    if (placedNow > 0) ++status.epoch;
    sortPlacement(gang, status.placement);
    std::string message = placedMessage(gang, status, together, lacking);
    decide(index, std::move(status), "Placed", std::move(message), placedNow);
  }

  static int32_t effectiveMin(const api::GangRole& role) {
    return role.minCount > 0 ? std::min(role.minCount, role.count) : role.count;
  }
  static const std::string& roleName(const GangItem& item, const RoleWant& want) {
    return item.gang->spec.roles[want.role].name;
  }

  /// Pods of one class and nothing placed yet: whether they fit depends on their number only, and room only shrinks
  /// within a pass, so a second gang of the same shape need not be tried. "" for all others.
  static std::string shapeOf(const GangItem& item) {
    if (item.wants.empty() || !item.kept.empty() || !item.refused.empty()) return "";
    std::string shape;
    for (const RoleWant& want : item.wants) {
      if (want.demand != item.wants[0].demand) return "";
      shape += fmt::format("{}={}/{};", roleName(item, want), want.min, want.demand);
    }
    return shape + std::to_string(item.gang->spec.roles.size());
  }

  /// Roles with the largest pods first: they have the fewest nodes to choose from.
  std::vector<const RoleWant*> servingOrder(const GangItem& item) const {
    std::vector<const RoleWant*> order;
    for (const RoleWant& want : item.wants) order.push_back(&want);
    auto size = [&](const RoleWant* want) {
      int64_t cards = 0, cpu = 0, memory = 0;
      for (const Amount& a : demands_[want->demand].amounts) {
        if (snapshot_.resources().isCard(a.resource)) cards = std::max(cards, a.value);
        if (a.resource == kCpu) cpu = a.value;
        if (a.resource == kMemory) memory = a.value;
      }
      return std::tuple(cards, cpu, memory);
    };
    std::stable_sort(order.begin(), order.end(), [&](const auto* a, const auto* b) { return size(a) > size(b); });
    return order;
  }

  bool placeOne(const GangItem& item, const RoleWant& want, int32_t index, GangStatus& status, Blocked& blocked) {
    std::vector<NodeId> excluded;
    auto refused = item.refused.find({want.role, index});
    if (refused != item.refused.end())
      for (const Refusal& refusal : refused->second) excluded.push_back(refusal.node);
    auto node = placer_.best(want.demand, excluded);
    if (!node) {
      blocked.want = &want;
      if (refused != item.refused.end()) blocked.refused = refused->second;
      return false;
    }
    auto cards = snapshot_.place(*node, demands_[want.demand].amounts);
    const api::GangRole& role = item.gang->spec.roles[want.role];
    status.placement.push_back(
        {role.name, index, podName(role, index), snapshot_.nodeName(*node), device::formatCards(std::move(cards))});
    return true;
  }

  static void sortPlacement(const api::Gang& gang, std::vector<GangPlacement>& placement) {
    auto rank = [&](const GangPlacement& p) {
      auto role =
          std::find_if(gang.spec.roles.begin(), gang.spec.roles.end(), [&](const auto& r) { return r.name == p.role; });
      return std::pair(role - gang.spec.roles.begin(), p.index);
    };
    std::stable_sort(placement.begin(), placement.end(),
                     [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  }

  std::string whyBlocked(const GangItem& item, const Blocked& blocked, int32_t fit, int32_t together) {
    const RoleWant& want = *blocked.want;
    std::string role = item.gang->spec.roles.size() > 1 ? roleName(item, want) + ": " : "";
    if (std::string never = diagnoser_.neverFits(want.demand); !never.empty()) return role + never;
    int64_t capacity = snapshot_.nodeCount() == 0 ? want.min : diagnoser_.capacityFor(want.demand, want.min);
    if (capacity < want.min && capacity > 0)
      return fmt::format("{}the nodes hold at most {} of {} such pods even when nothing else runs (each wants {})",
                         role, capacity, want.min, wishText(want.demand));
    std::string why = diagnoser_.whyNoNode(want.demand, blocked.refused);
    if (together == 1) return why;
    return fmt::format("{} of {} pods {}; {}{}", fit, together, item.kept.empty() ? "fit" : "fit or keep their place",
                       role, why);
  }

  std::string wishText(DemandId demand) const {
    std::vector<std::string> parts;
    for (const Amount& a : demands_[demand].amounts)
      if (a.resource != kPods)
        parts.push_back(snapshot_.resources().text(a.resource, a.value) + " " + snapshot_.resources().name(a.resource));
    return parts.empty() ? "a pod slot" : fmt::format("{}", fmt::join(parts, ", "));
  }

  static std::string placedMessage(const api::Gang& gang, const GangStatus& status, int32_t together,
                                   const std::string& lacking) {
    std::set<std::string_view> nodes;
    for (const GangPlacement& p : status.placement)
      if (!p.node.empty()) nodes.insert(p.node);
    size_t pods = status.placement.size(), wanted = 0;
    for (const api::GangRole& role : gang.spec.roles) wanted += static_cast<size_t>(std::max(role.count, 0));
    auto plural = [](size_t n, std::string_view what) { return fmt::format("{} {}{}", n, what, n == 1 ? "" : "s"); };
    if (pods >= wanted)
      return pods == 0 ? "no pods are wanted" : plural(pods, "pod") + " on " + plural(nodes.size(), "node");
    return fmt::format("{} of {} pods on {}, {} needed; {}", pods, wanted, plural(nodes.size(), "node"), together,
                       lacking);
  }

  /// Records the status if it differs from what the gang says. A cause that goes on keeps its text and its time.
  void decide(uint32_t index, GangStatus status, std::string reason, std::string message, int32_t placedNow) {
    const GangStatus& known = queues_.gangs[index].gang->status;
    bool moved = status.placement != known.placement;
    bool goesOn = known.verdict.reason == reason &&
                  (known.verdict.message == message || (!moved && sameCause(known.verdict.message, message)));
    status.verdict = goesOn ? known.verdict : GangVerdict{std::move(reason), std::move(message), now_};
    if (goesOn && !moved && known.phase == status.phase) return;
    auto heldBy = [](const std::vector<GangPlacement>& placement) {
      return std::count_if(placement.begin(), placement.end(), [](const auto& p) { return !p.node.empty(); });
    };
    bool frees = heldBy(status.placement) - placedNow < heldBy(known.placement);
    decisions_.gangs.push_back({index, std::move(status), placedNow, frees, !goesOn});
  }

  Snapshot& snapshot_;
  const Queues& queues_;
  const Demands& demands_;
  Time now_;
  Placer placer_;
  Diagnoser diagnoser_;
  Decisions decisions_;
  std::map<std::string, std::string> failedShapes_;  ///< shape -> why
};

}  // namespace

Decisions schedule(Snapshot& snapshot, const Queues& queues, Time now) { return Pass(snapshot, queues, now).run(); }

}  // namespace stoker::scheduler
