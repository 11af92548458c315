// verdict.h
//
// Why something waits, in numbers. Texts begin as kube-scheduler's do, because people and autoscalers know them:
//
//   0/2 nodes are available: 1 Insufficient nvidia.com/gpu (has 8, free 3, wants 4), 1 node(s) had untolerated taint
//   {a: b}. no node has 16 nvidia.com/gpu; the largest has 8
//
// A verdict is rewritten only when its cause changes: `causeOf` is the text without the numbers that move while the
// cause stays.
#pragma once

#include "scheduler/placement/placer.h"

namespace stoker::scheduler {

/// A node that turned down a pod it had been given (status.reason of the failed pod).
struct Refusal {
  NodeId node;
  std::string reason;
};

class Diagnoser {
 public:
  Diagnoser(const Snapshot& snapshot, const Demands& demands, Placer& placer)
      : snapshot_(snapshot), demands_(demands), placer_(placer) {}

  /// Why no node takes a pod of `demand` now. First what can never be met, if there is such a thing.
  std::string whyNoNode(DemandId demand, const std::vector<Refusal>& refused = {});
  /// How many pods of `demand` its nodes could hold if nothing else ran; not more than `atMost`.
  int64_t capacityFor(DemandId demand, int64_t atMost);
  /// "" or why a single pod of `demand` fits on no node even when nothing runs: "no node has 16 nvidia.com/gpu; the
  /// largest has 8".
  std::string neverFits(DemandId demand);

 private:
  /// Nodes that the pod may use now, or could once they are ready and open again.
  bool mayUse(DemandId demand, NodeId node);
  struct Cached {
    size_t seen = SIZE_MAX;
    std::string text;
  };
  const Snapshot& snapshot_;
  const Demands& demands_;
  Placer& placer_;
  std::vector<Cached> cache_;  ///< by demand
};

/// The text without what moves: the "(has 8, free 3" of a clause, how many nodes a clause counts, how many pods fit.
std::string causeOf(std::string_view message);
inline bool sameCause(std::string_view a, std::string_view b) { return a == b || causeOf(a) == causeOf(b); }

}  // namespace stoker::scheduler
