#include "scheduler/placement/snapshot.h"

#include <algorithm>

namespace stoker::scheduler {

namespace {
/// Usage above what any node can have means the same as this: full. Keeps sums of over-committed nodes from
/// overflowing.
constexpr int64_t kMaxUsed = kMaxAmount * 2;
}  // namespace

Snapshot::Column& Snapshot::column(ResourceId resource) {
  if (columns_.size() <= resource) columns_.resize(resource + size_t{1});
  Column& out = columns_[resource];
  if (out.used.size() < nodes_.size()) {
    out.allocatable.resize(nodes_.size());
    out.used.resize(nodes_.size());
    out.pool.resize(nodes_.size());
  }
  return out;
}

NodeId Snapshot::addNode(NodePtr node) {
  auto id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back(std::move(node));
  const api::Node& added = *nodes_.back();
  byName_.emplace(added.metadata.name, id);
  cardsTotal_.push_back(0);
  cardsUsed_.push_back(0);
  for (const auto& [name, quantity] : added.status.allocatable) {
    ResourceId resource = resources_.id(name);
    int64_t amount = Resources::amount(resource, quantity);
    Column& c = column(resource);
    c.allocatable[id] = amount;
    if (!resources_.isCard(resource)) continue;
    cardsTotal_[id] += amount;
    if (amount <= device::kMaxCardsPerNode) c.pool[id] = ledger_.addPool(amount);
  }
  return id;
}

std::optional<NodeId> Snapshot::find(const std::string& name) const {
  auto it = byName_.find(name);
  if (it == byName_.end()) return std::nullopt;
  return it->second;
}

void Snapshot::add(NodeId node, ResourceId resource, int64_t amount) {
  column(resource).used[node] += amount;
  if (resources_.isCard(resource)) cardsUsed_[node] += amount;
}

void Snapshot::hold(NodeId node, const Amounts& amounts, const std::string& cards) {
  for (const Amount& a : amounts) {
    int64_t room = kMaxUsed - used(node, a.resource);
    add(node, a.resource, std::min(a.value, room));
  }
  if (cards.empty()) return;
  auto parsed = device::parseCards(cards);
  if (!parsed.ok()) return;  // the numbers are held; which ones nobody can tell
  for (const device::CardChoice& kind : *parsed) {
    auto& pool = column(resources_.id(kind.resource)).pool[node];
    if (pool) ledger_.hold(*pool, kind.indices);
  }
}

void Snapshot::seal() {
  for (size_t r = 0; r < columns_.size(); ++r) {
    auto resource = static_cast<ResourceId>(r);
    if (!resources_.isCard(resource)) continue;
    Column& c = columns_[r];
    for (NodeId node = 0; node < c.pool.size(); ++node) {
      if (!c.pool[node]) continue;
      int64_t held = ledger_.count(*c.pool[node]) - ledger_.free(*c.pool[node]);
      if (held < c.used[node])
        ledger_.holdAny(*c.pool[node], c.used[node] - held);
      else
        add(node, resource, held - c.used[node]);
    }
  }
}

bool Snapshot::fits(NodeId node, const Amounts& amounts) const {
  for (const Amount& a : amounts)
    if (a.value > free(node, a.resource)) return false;
  return true;
}

std::vector<device::CardChoice> Snapshot::place(NodeId node, const Amounts& amounts) {
  std::vector<device::CardChoice> cards;
  for (const Amount& a : amounts) {
    add(node, a.resource, a.value);
    changes_.push_back({node, a.resource, a.value});
    if (!resources_.isCard(a.resource)) continue;
    if (auto& pool = columns_[a.resource].pool[node])
      if (auto chosen = ledger_.take(*pool, a.value))
        cards.push_back({resources_.name(a.resource), std::move(*chosen)});
  }
  changedNodes_.push_back(node);
  return cards;
}

void Snapshot::rollback(Mark mark) {
  // A node must be noted again even if its last note is the newest: whoever replays the notes may have read that one.
  size_t notedBefore = changedNodes_.size();
  while (changes_.size() > mark.changes) {
    Change change = changes_.back();
    changes_.pop_back();
    add(change.node, change.resource, -change.amount);
    if (changedNodes_.size() == notedBefore || changedNodes_.back() != change.node)
      changedNodes_.push_back(change.node);
  }
  ledger_.rollback(mark.cards);
}

}  // namespace stoker::scheduler
