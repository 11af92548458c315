// pods.h
//
// Of every pod what a pass needs, kept while pods come and go: a pass reads these few words instead of 100,000 pods,
// and is not even run for a change that does not matter to it (an address, a container's state).
#pragma once

#include "client/cache.h"
#include "scheduler/placement/demand.h"

namespace stoker::scheduler {

/// The node turned the pod down on arrival (kubelet's admission reasons: OutOfcpu, UnexpectedAdmissionError, ...).
bool isRefused(const api::Pod& pod);

/// A pod that takes capacity, carries a gang's label, or wants a node from us. Others are not kept.
struct PodFacts {
  enum class Phase : uint8_t { Active, Succeeded, Failed };
  std::string namespace_, name;
  std::string gang;     ///< of its label; empty: a lone pod
  std::string node;     ///< where it is bound; empty: nowhere
  std::string refusal;  ///< status.reason of a pod that its node refused
  std::string cards;    ///< kCardsAnnotation
  Phase phase = Phase::Active;
  std::shared_ptr<const Amounts> amounts;  ///< what it takes on `node`; null when it is not bound or has ended
  client::EntryPtr<api::Pod> waiting;      ///< the pod itself when it is to be given a node

  bool finished() const { return phase != Phase::Active; }
  bool operator==(const PodFacts&) const = default;
};

class PodIndex final : public client::Follower<api::Pod> {
 public:
  void changed(const client::Key& key, const client::EntryPtr<api::Pod>& entry) override;
  /// Null when there is no such pod, or nothing of it matters.
  const PodFacts* find(std::string_view ns, std::string_view name) const;
  /// All, in no particular order.
  template <class F>
  void forEach(F&& visit) const {
    for (const auto& [id, facts] : facts_) visit(*facts);
  }
  /// Grows with each change that a pass may care about.
  uint64_t version() const { return version_; }
  /// What the ids in `amounts` mean.
  const Resources& resources() const { return resources_; }

 private:
  struct Id {  // into the facts
    std::string_view namespace_, name;
    bool operator==(const Id&) const = default;
  };
  struct IdHash {
    size_t operator()(const Id& id) const {
      return std::hash<std::string_view>()(id.name) * 31 + std::hash<std::string_view>()(id.namespace_);
    }
  };
  std::unique_ptr<PodFacts> read(const client::EntryPtr<api::Pod>& entry);

  Resources resources_;
  Requests requests_{resources_};
  std::unordered_map<Id, std::unique_ptr<PodFacts>, IdHash> facts_;
  uint64_t version_ = 0;
};

}  // namespace stoker::scheduler
