// placer.h
//
// The best node for a demand, now. All nodes are looked at, none is sampled: scores are kept per demand class and only
// the nodes that changed since the class was last asked are scored again. The answer is the one that a scan of all
// nodes by `scoreOf` gives (tests compare them): highest score, then smallest node name.
#pragma once

#include <span>

#include "scheduler/placement/demand.h"
#include "scheduler/placement/snapshot.h"

namespace stoker::scheduler {

/// Below every score: the node cannot take the pod.
inline constexpr int32_t kUnfit = -1;

/// How well a node that `fits` suits a demand, in fixed integer steps. Packs: fuller is better. Cards go first, because
/// they are what is scarce: a demand for cards goes where most cards are in use; one without cards goes to a node
/// without cards, else where its cards are used anyway. Then the fullest by its dominant resource.
int32_t packScore(const Snapshot& snapshot, NodeId node, const Demand& demand);

class Placer {
 public:
  Placer(const Snapshot& snapshot, const Demands& demands) : snapshot_(snapshot), demands_(demands) {}

  /// kUnfit, or packScore.
  int32_t scoreOf(NodeId node, DemandId demand);
  /// The best node outside `excluded`.
  std::optional<NodeId> best(DemandId demand, std::span<const NodeId> excluded = {});
  /// Whether a node may be used whatever is free on it; computed once per constraint.
  const std::vector<Constraint::Answer>& answers(ConstraintId constraint);

 private:
  static constexpr size_t kBlock = 64;  ///< nodes per block maximum: 16 blocks at 1,000 nodes, 1,600 at 100,000
  struct Scores {
    bool asked = false;
    std::vector<int32_t> score, blockMax;
    size_t seen = 0;  ///< of snapshot.changedNodes()
  };
  void refresh(DemandId demand, Scores& scores);
  void recomputeBlock(Scores& scores, size_t block) const;
  std::optional<NodeId> scan(DemandId demand, std::span<const NodeId> excluded);

  const Snapshot& snapshot_;
  const Demands& demands_;
  std::vector<Scores> scores_;                            ///< by demand
  std::vector<std::vector<Constraint::Answer>> answers_;  ///< by constraint, then node
};

}  // namespace stoker::scheduler
