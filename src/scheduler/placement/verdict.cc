#include "scheduler/placement/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace stoker::scheduler {

bool Diagnoser::mayUse(DemandId demand, NodeId node) {
  auto verdict = placer_.answers(demands_[demand].constraint)[node].verdict;
  return verdict != Constraint::Verdict::Taint && verdict != Constraint::Verdict::Affinity;
}

std::string Diagnoser::neverFits(DemandId id) {
  const Resources& names = snapshot_.resources();
  for (const Amount& a : demands_[id].amounts) {
    int64_t largest = 0, largestUsable = 0;
    bool usable = false;
    for (NodeId node = 0; node < snapshot_.nodeCount(); ++node) {
      int64_t has = snapshot_.allocatable(node, a.resource);
      largest = std::max(largest, has);
      if (!mayUse(id, node)) continue;
      usable = true;
      largestUsable = std::max(largestUsable, has);
    }
    const std::string& name = names.name(a.resource);
    auto describe = [&](std::string_view which, std::string_view of, int64_t most) {
      if (most == 0) return fmt::format("{} has any {}", which, name);
      return fmt::format("{} has {} {}; the largest{} has {}", which, names.text(a.resource, a.value), name, of,
                         names.text(a.resource, most));
    };
    if (a.value > largest) return describe("no node", "", largest);
    if (usable && a.value > largestUsable) return describe("no node that the pod may use", " of them", largestUsable);
  }
  return "";
}

int64_t Diagnoser::capacityFor(DemandId id, int64_t atMost) {
  int64_t total = 0;
  for (NodeId node = 0; node < snapshot_.nodeCount() && total < atMost; ++node) {
    if (!mayUse(id, node)) continue;
    int64_t here = atMost;
    for (const Amount& a : demands_[id].amounts)
      here = std::min(here, snapshot_.allocatable(node, a.resource) / a.value);
    total += here;
  }
  return std::min(total, atMost);
}

std::string Diagnoser::whyNoNode(DemandId id, const std::vector<Refusal>& refused) {
  size_t nodes = snapshot_.nodeCount();
  if (nodes == 0) return "no nodes available to schedule pods";
  if (cache_.size() <= id) cache_.resize(demands_.size());
  Cached& cached = cache_[id];
  if (refused.empty() && cached.seen == snapshot_.changedNodes().size()) return cached.text;

  std::string text = neverFits(id);
  if (text.empty()) {
    struct Clause {
      int nodes = 0;
      int64_t has = 0, free = 0, wants = -1;
      ResourceId resource = 0;
    };
    std::map<std::string, Clause> clauses;  // sorted by text, so that counts do not reorder them
    const Demand& demand = demands_[id];
    const auto& answers = placer_.answers(demand.constraint);
    for (NodeId node = 0; node < nodes; ++node) {
      auto turned = std::find_if(refused.begin(), refused.end(), [&](const Refusal& r) { return r.node == node; });
      if (turned != refused.end()) {
        ++clauses[fmt::format("node(s) refused the pod ({})", turned->reason)].nodes;
        continue;
      }
      switch (answers[node].verdict) {
        case Constraint::Verdict::NotReady:
          ++clauses["node(s) were not ready"].nodes;
          continue;
        case Constraint::Verdict::Unschedulable:
          ++clauses["node(s) were unschedulable"].nodes;
          continue;
        case Constraint::Verdict::Taint:
          ++clauses[fmt::format("node(s) had untolerated taint {{{}: {}}}", answers[node].taint->key,
                                answers[node].taint->value)]
                .nodes;
          continue;
        case Constraint::Verdict::Affinity:
          ++clauses["node(s) didn't match Pod's node affinity/selector"].nodes;
          continue;
        case Constraint::Verdict::Ok:
          break;
      }
      for (const Amount& a : demand.amounts) {
        int64_t free = std::max<int64_t>(snapshot_.free(node, a.resource), 0);
        if (a.value <= free) continue;
        const std::string& name = snapshot_.resources().name(a.resource);
        Clause& clause = clauses[a.resource == kPods ? std::string("Too many pods") : "Insufficient " + name];
        int64_t has = snapshot_.allocatable(node, a.resource);
        if (clause.nodes++ == 0 || free > clause.free || (free == clause.free && has > clause.has)) {
          clause.has = has;
          clause.free = free;
        }
        clause.wants = a.value;
        clause.resource = a.resource;
      }
    }
    text = fmt::format("0/{} nodes are available: ", nodes);
    bool first = true;
    for (const auto& [what, clause] : clauses) {
      if (!std::exchange(first, false)) text += ", ";
      text += fmt::format("{} {}", clause.nodes, what);
      if (clause.wants < 0) continue;
      auto amount = [&](int64_t value) { return snapshot_.resources().text(clause.resource, value); };
      text += fmt::format(" (has {}, free {}{}, wants {})", amount(clause.has), clause.nodes > 1 ? "at most " : "",
                          amount(clause.free), amount(clause.wants));
    }
    text += '.';
  }
  if (refused.empty()) cached = {snapshot_.changedNodes().size(), text};
  return text;
}

std::string causeOf(std::string_view message) {
  // One pass over the text; each rule looks at what starts here.
  std::string out;
  bool clauseStart = false;
  for (size_t at = 0; at < message.size();) {
    std::string_view rest = message.substr(at);
    if (rest.starts_with("(has ")) {
      if (size_t wants = rest.find(", wants "); wants != std::string_view::npos) {
        out += "(";
        at += wants + 2;
        continue;
      }
    }
    size_t digits = 0;
    while (digits < rest.size() && std::isdigit(static_cast<unsigned char>(rest[digits]))) ++digits;
    if (digits > 0) {
      std::string_view after = rest.substr(digits);
      bool counted = clauseStart && (after.starts_with(" Insufficient ") || after.starts_with(" node(s) ") ||
                                     after.starts_with(" Too many pods"));
      bool fit = (out.empty() || clauseStart) && after.starts_with(" of ");
      if (!counted && !fit) out += rest.substr(0, digits);
      at += digits;
      clauseStart = false;
      continue;
    }
    clauseStart = out.ends_with(':') || out.ends_with(',') || out.ends_with(';') ? rest[0] == ' ' : false;
    out += rest[0];
    ++at;
  }
  return out;
}

}  // namespace stoker::scheduler
