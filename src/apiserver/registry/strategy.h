// strategy.h
//
// What is special about a kind, registered for its group-resource. The registry itself knows no kind by name: whatever
// cannot be said in the schema tables is said here, and a kind without a strategy is complete without one.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "apiserver/auth/authorizer.h"
#include "base/time.h"
#include "json/json.h"
#include "kube/kinds.h"
#include "store/store.h"

namespace stoker::apiserver {

/// What a strategy may look at beyond its object: the head of the store, by group-resource.
class StateReader {
 public:
  virtual ~StateReader() = default;
  virtual store::VersionPtr find(std::string_view groupResource, std::string_view ns, std::string_view name) const = 0;
  virtual void forEach(std::string_view groupResource, std::string_view ns,
                       const std::function<void(const store::VersionPtr&)>& visit) const = 0;
};

struct StrategyContext {
  json::Arena& arena;
  const StateReader& state;
  const User& user;
  Time now;
  bool dryRun = false;
  std::vector<std::string>* warnings = nullptr;
};

class Strategy {
 public:
  virtual ~Strategy() = default;

  /// Objects of this kind may come with a status (nodes); otherwise status is dropped on create.
  virtual bool statusOnCreate() const { return false; }
  /// metadata.generation counts changes of the spec (custom kinds always do).
  virtual bool tracksGeneration() const { return false; }
  /// PUT without resourceVersion is allowed (built-ins: yes unless said otherwise).
  virtual bool unconditionalUpdate() const { return true; }

  /// After schema defaults, before validation. May read other objects (admission) and may refuse.
  virtual Result<json::Value> prepareCreate(const StrategyContext&, json::Value object) const { return object; }
  /// `object` is the new state with metadata and status already settled.
  virtual Result<json::Value> prepareUpdate(const StrategyContext&, json::Value object, json::Value old) const {
    (void)old;
    return object;
  }
  /// Problems beyond the schema's. `old` is null on create.
  virtual std::vector<Cause> validate(json::Value object, json::Value old) const {
    (void)object, (void)old;
    return {};
  }
  /// Messages about a bad metadata.name; the default is a DNS-1123 subdomain.
  virtual std::vector<std::string> validateName(std::string_view name) const;

  /// Seconds to wait before the object may go, for kinds that end gracefully (pods); nullopt: goes at once.
  virtual std::optional<int64_t> gracePeriod(json::Value object, std::optional<int64_t> requested) const {
    (void)object, (void)requested;
    return std::nullopt;
  }
  /// True while something other than finalizers keeps a deleted object (spec.finalizers of a namespace).
  virtual bool heldBack(json::Value object) const {
    (void)object;
    return false;
  }
  /// What else changes when deletion begins (a namespace becomes Terminating).
  virtual json::Value onDeletionStart(json::Arena&, json::Value object) const { return object; }
  /// Refuses deletion (403/409), e.g. of the namespaces the platform needs.
  virtual Result<void> mayDelete(json::Value object) const {
    (void)object;
    return {};
  }
};

/// A write to a subresource that changes its parent object (pods/binding, namespaces/finalize).
struct SubresourceWrite {
  std::vector<std::string> verbs;  ///< create or update or patch
  /// The parent after the write.
  std::function<Result<json::Value>(const StrategyContext&, json::Value parent, json::Value body)> apply;
  bool answersStatus = false;  ///< answered by Status Success (binding) instead of the object
};

/// A subresource that is a function of its own (serviceaccounts/token): the answer is returned, nothing is stored.
using SubresourceCall =
    std::function<Result<json::Value>(const StrategyContext&, json::Value parent, json::Value body)>;

}  // namespace stoker::apiserver
