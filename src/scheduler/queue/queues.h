// queues.h
//
// What wants a place, in the order in which it is served: priority (high first), then age, then name. Gangs and lone
// pods stand in one line; a lone pod is a gang of one.
#pragma once

#include <memory>

#include "api/gang.h"
#include "scheduler/placement/demand.h"
#include "scheduler/placement/verdict.h"

namespace stoker::scheduler {

/// What one role of a gang lacks.
struct RoleWant {
  uint32_t role = 0;  ///< in gang->spec.roles
  DemandId demand = 0;
  int32_t min = 0;               ///< pods that must be placed together; effective (never above count)
  int32_t kept = 0;              ///< entries that stay
  std::vector<int32_t> missing;  ///< indices to place, ascending
};

/// A gang whose status has to be looked at: it lacks pods, or its record is not what it should be.
struct GangItem {
  std::shared_ptr<const api::Gang> gang;
  std::string resourceVersion;
  std::vector<api::GangPlacement> kept;  ///< entries that stay, by (role order, index); released ones without node
  std::vector<RoleWant> wants;           ///< roles with missing pods; empty when finished or suspended
  std::vector<std::string> lost;         ///< for people: "worker-1: node b is not ready"; entries that were given up
  std::map<std::pair<uint32_t, int32_t>, std::vector<Refusal>> refused;  ///< (role, index): nodes not to be tried again
};

struct PodItem {
  std::shared_ptr<const api::Pod> pod;
  DemandId demand = 0;
};

struct Queues {
  std::vector<GangItem> gangs;
  std::vector<PodItem> pods;
  struct Place {
    int32_t priority = 0;
    Time created{};
    std::string_view namespace_, name;  ///< live in the item's object
    bool isPod = false;
    uint32_t index = 0;  ///< in gangs or pods
  };
  std::vector<Place> order;
  std::shared_ptr<Demands> demands;

  void add(GangItem item);
  void add(PodItem item);
  /// Puts `order` into serving order; called once, after the last add.
  void sort();
};

/// The order itself, for gangs that wait: who is served first.
bool servedBefore(const api::Gang& a, const api::Gang& b);

}  // namespace stoker::scheduler
