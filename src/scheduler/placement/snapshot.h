// snapshot.h
//
// The cluster as the scheduler sees it in one pass: nodes as columns of integers, and which cards are free. Filled from
// the API's objects (input.h), changed by tentative placements, which are undone in O(changes).
//
// NodeIds follow the order in which nodes are added, which is the order of their names: a lower id is a smaller name.
#pragma once

#include <memory>
#include <optional>
#include <unordered_map>

#include "device/cards.h"
#include "device/ledger.h"
#include "scheduler/placement/resources.h"

namespace stoker::scheduler {

using NodeId = uint32_t;

class Snapshot {
 public:
  using NodePtr = std::shared_ptr<const api::Node>;
  struct Mark {
    size_t changes;
    device::CardLedger::Mark cards;
  };

  /// `resources`: ids that are known already; more may come.
  explicit Snapshot(Resources resources = {}) : resources_(std::move(resources)) {}

  // ---- filling ----
  NodeId addNode(NodePtr node);
  /// What something that is already there takes; more than the node has is possible. `cards` (kCardsAnnotation's form)
  /// says which; kinds it does not name, or names too few of, are made good by `seal`.
  void hold(NodeId node, const Amounts& amounts, const std::string& cards);
  /// Ends filling: cards that are held without an index get one, and used counts agree with the ledger.
  void seal();

  // ---- reading ----
  size_t nodeCount() const { return nodes_.size(); }
  const api::Node& node(NodeId id) const { return *nodes_[id]; }
  const std::string& nodeName(NodeId id) const { return nodes_[id]->metadata.name; }
  std::optional<NodeId> find(const std::string& name) const;
  int64_t allocatable(NodeId node, ResourceId resource) const {
    return resource < columns_.size() && node < columns_[resource].allocatable.size()
               ? columns_[resource].allocatable[node]
               : 0;
  }
  int64_t used(NodeId node, ResourceId resource) const {
    return resource < columns_.size() && node < columns_[resource].used.size() ? columns_[resource].used[node] : 0;
  }
  int64_t free(NodeId node, ResourceId resource) const { return allocatable(node, resource) - used(node, resource); }
  int64_t cardsTotal(NodeId node) const { return cardsTotal_[node]; }
  int64_t cardsUsed(NodeId node) const { return cardsUsed_[node]; }
  bool fits(NodeId node, const Amounts& amounts) const;
  Resources& resources() { return resources_; }
  const Resources& resources() const { return resources_; }

  // ---- tentative placement ----
  Mark mark() const { return {changes_.size(), ledger_.mark()}; }
  /// Places one pod that `fits`; returns its cards.
  std::vector<device::CardChoice> place(NodeId node, const Amounts& amounts);
  void rollback(Mark mark);

  /// Nodes whose usage changed (placed on or undone), in order, with repeats: what caches replay from where they
  /// stopped.
  const std::vector<NodeId>& changedNodes() const { return changedNodes_; }

 private:
  struct Column {
    std::vector<int64_t> allocatable, used;  ///< by node; shorter than nodes_ where the rest has none
    std::vector<std::optional<device::CardLedger::Pool>> pool;
  };
  struct Change {
    NodeId node;
    ResourceId resource;
    int64_t amount;
  };
  Column& column(ResourceId resource);
  void add(NodeId node, ResourceId resource, int64_t amount);

  Resources resources_;
  std::vector<NodePtr> nodes_;
  std::unordered_map<std::string_view, NodeId> byName_;
  std::vector<Column> columns_;
  std::vector<int64_t> cardsTotal_, cardsUsed_;
  device::CardLedger ledger_;
  std::vector<Change> changes_;
  std::vector<NodeId> changedNodes_;
};

}  // namespace stoker::scheduler
