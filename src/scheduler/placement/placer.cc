#include "scheduler/placement/placer.h"

#include <algorithm>

namespace stoker::scheduler {

namespace {
constexpr int64_t kScale = 1000;
}

int32_t packScore(const Snapshot& snapshot, NodeId node, const Demand& demand) {
  int64_t dominant = 0, cards = 0;
  for (const Amount& a : demand.amounts) {
    // A pod slot is no resource worth packing, unless it is all the pod asks for.
    if (a.resource == kPods && demand.amounts.size() > 1) continue;
    int64_t all = std::max<int64_t>(snapshot.allocatable(node, a.resource), 1);
    int64_t share = std::min((snapshot.used(node, a.resource) + a.value) * kScale / all, kScale);
    dominant = std::max(dominant, share);
    if (snapshot.resources().isCard(a.resource)) cards = std::max(cards, share);
  }
  if (!demand.wantsCards) {
    int64_t total = snapshot.cardsTotal(node);
    cards = total == 0 ? kScale : std::min(snapshot.cardsUsed(node) * (kScale - 1) / total, kScale - 1);
  }
  return static_cast<int32_t>(cards * 1024 + dominant);
}

const std::vector<Constraint::Answer>& Placer::answers(ConstraintId id) {
  if (answers_.size() <= id) answers_.resize(demands_.constraintCount());
  auto& out = answers_[id];
  if (out.empty()) {
    out.reserve(snapshot_.nodeCount());
    const Constraint& constraint = demands_.constraint(id);
    for (NodeId node = 0; node < snapshot_.nodeCount(); ++node) out.push_back(constraint.check(snapshot_.node(node)));
  }
  return out;
}

int32_t Placer::scoreOf(NodeId node, DemandId id) {
  const Demand& demand = demands_[id];
  if (answers(demand.constraint)[node].verdict != Constraint::Verdict::Ok) return kUnfit;
  return snapshot_.fits(node, demand.amounts) ? packScore(snapshot_, node, demand) : kUnfit;
}

std::optional<NodeId> Placer::scan(DemandId demand, std::span<const NodeId> excluded) {
  std::optional<NodeId> best;
  int32_t bestScore = kUnfit;
  for (NodeId node = 0; node < snapshot_.nodeCount(); ++node) {
    if (std::find(excluded.begin(), excluded.end(), node) != excluded.end()) continue;
    if (int32_t score = scoreOf(node, demand); score > bestScore) {
      best = node;
      bestScore = score;
    }
  }
  return best;
}

void Placer::recomputeBlock(Scores& scores, size_t block) const {
  auto begin = scores.score.begin() + static_cast<std::ptrdiff_t>(block * kBlock);
  auto end = scores.score.begin() + static_cast<std::ptrdiff_t>(std::min((block + 1) * kBlock, scores.score.size()));
  scores.blockMax[block] = *std::max_element(begin, end);
}

void Placer::refresh(DemandId demand, Scores& scores) {
  const std::vector<NodeId>& changed = snapshot_.changedNodes();
  size_t nodes = snapshot_.nodeCount();
  if (scores.score.empty() || changed.size() - scores.seen > nodes) {
    scores.score.resize(nodes);
    for (NodeId node = 0; node < nodes; ++node) scores.score[node] = scoreOf(node, demand);
    scores.blockMax.assign((nodes + kBlock - 1) / kBlock, kUnfit);
    for (size_t block = 0; block < scores.blockMax.size(); ++block) recomputeBlock(scores, block);
  } else {
    for (size_t i = scores.seen; i < changed.size(); ++i) {
      NodeId node = changed[i];
      int32_t before = scores.score[node];
      int32_t after = scores.score[node] = scoreOf(node, demand);
      int32_t& most = scores.blockMax[node / kBlock];
      if (after >= most)
        most = after;
      else if (before == most)
        recomputeBlock(scores, node / kBlock);
    }
  }
  scores.seen = changed.size();
}

std::optional<NodeId> Placer::best(DemandId demand, std::span<const NodeId> excluded) {
  if (snapshot_.nodeCount() == 0) return std::nullopt;
  if (!excluded.empty()) return scan(demand, excluded);
  if (scores_.size() <= demand) scores_.resize(demands_.size());
  Scores& scores = scores_[demand];
  // Many shapes are asked for once: keeping scores pays from the second time on.
  if (!scores.asked) {
    scores.asked = true;
    return scan(demand, {});
  }
  refresh(demand, scores);
  auto block = std::max_element(scores.blockMax.begin(), scores.blockMax.end());
  if (*block == kUnfit) return std::nullopt;
  auto first = static_cast<NodeId>(static_cast<size_t>(block - scores.blockMax.begin()) * kBlock);
  while (scores.score[first] != *block) ++first;
  return first;
}

}  // namespace stoker::scheduler
