// constraint.h
//
// Which nodes a pod may use whatever is free on them: ready, unschedulable, taints, node selector, required node
// affinity. Meaning and order of the tests are kube-scheduler's (NodeUnschedulable, TaintToleration, NodeAffinity).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/core.h"
#include "kube/selector.h"

namespace stoker::scheduler {

inline constexpr const char* kTaintNotReady = "node.kubernetes.io/not-ready";
inline constexpr const char* kTaintUnreachable = "node.kubernetes.io/unreachable";
inline constexpr const char* kTaintUnschedulable = "node.kubernetes.io/unschedulable";

/// core/v1 helper ToleratesTaint: empty effect = all effects, empty key with Exists = all taints; Gt and Lt compare
/// integers.
bool tolerates(const api::Toleration& toleration, const api::Taint& taint);
bool tolerates(const std::vector<api::Toleration>& tolerations, const api::Taint& taint);

/// The node says it is ready (condition Ready is True).
bool isReady(const api::Node& node);

/// A pod that runs there may not go on: the node is not ready or carries a NoExecute taint that it does not tolerate
/// for ever.
bool isLostFor(const api::Node& node, const std::vector<api::Toleration>& tolerations);

class Constraint {
 public:
  Constraint() = default;
  /// `affinity` is a pod's spec.affinity; only the required node affinity is read.
  Constraint(std::map<std::string, std::string> nodeSelector, json::Value affinity,
             std::vector<api::Toleration> tolerations);

  enum class Verdict : uint8_t { Ok, NotReady, Unschedulable, Taint, Affinity };
  struct Answer {
    Verdict verdict = Verdict::Ok;
    const api::Taint* taint = nullptr;  ///< the first that is not tolerated; lives in the node
  };
  Answer check(const api::Node& node) const;
  bool matchesAffinity(const api::Node& node) const;
  const std::vector<api::Toleration>& tolerations() const { return tolerations_; }

 private:
  struct Term {
    std::vector<kube::LabelSelector::Requirement> labels, fields;  ///< all must hold
    bool never = false;                                            ///< empty or malformed: matches no node
  };
  static Term readTerm(json::Value term);
  std::map<std::string, std::string> nodeSelector_;
  bool hasAffinity_ = false;
  std::vector<Term> terms_;  ///< one must hold
  std::vector<api::Toleration> tolerations_;
};

}  // namespace stoker::scheduler
