// demand.h
//
// What a pod wants, as a class: pods that ask for the same amounts under the same constraint are one DemandId, looked
// at once per node and not once per pod.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <unordered_map>

#include "api/gang.h"
#include "scheduler/placement/constraint.h"
#include "scheduler/placement/resources.h"

namespace stoker::scheduler {

using DemandId = uint32_t;
using ConstraintId = uint32_t;

struct Demand {
  Amounts amounts;
  ConstraintId constraint = 0;
  bool wantsCards = false;
};

/// What pods take, each set of requests read once.
class Requests {
 public:
  explicit Requests(Resources& resources) : resources_(resources) {}
  std::shared_ptr<const Amounts> of(const api::PodSpec& pod);

 private:
  static constexpr size_t kMaxKnown = 4096;  ///< then all are forgotten: it only costs reading them again
  Resources& resources_;
  std::unordered_map<std::string, std::shared_ptr<const Amounts>> byText_;
};

class Demands {
 public:
  explicit Demands(Resources& resources) : resources_(resources), requests_(resources) {}
  DemandId of(const api::GangRole& role);
  DemandId of(const api::PodSpec& pod);

  size_t size() const { return demands_.size(); }
  const Demand& operator[](DemandId id) const { return demands_[id]; }
  size_t constraintCount() const { return constraints_.size(); }
  const Constraint& constraint(ConstraintId id) const { return constraints_[id]; }

 private:
  DemandId intern(Amounts amounts, const std::map<std::string, std::string>& nodeSelector, json::Value affinity,
                  const std::vector<api::Toleration>& tolerations);
  Resources& resources_;
  Requests requests_;
  std::deque<Demand> demands_;
  std::deque<Constraint> constraints_;
  std::unordered_map<std::string, DemandId> byText_;     ///< raw texts of a pod or role -> class
  std::unordered_map<std::string, DemandId> byMeaning_;  ///< amounts and constraint -> class
  std::unordered_map<std::string, ConstraintId> constraintByText_;
};

}  // namespace stoker::scheduler
