// registry.h
//
// The API without HTTP: authorization, admission, validation, storage and watch for every kind alike. HTTP handlers,
// LocalCluster and the simulator call it; nothing reaches the store by another way.
//
// A write is prepared against the head of the store on the caller's thread (pure but for reading), then committed with
// a guard on what it was derived from. Conflicts of writes that do not name a resourceVersion are prepared again.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <shared_mutex>

#include "apiserver/auth/authorizer.h"
#include "apiserver/registry/strategy.h"
#include "base/ids.h"
#include "client/cluster.h"
#include "kube/kinds.h"
#include "kube/selector.h"
#include "store/store.h"

namespace stoker::apiserver {

enum class FieldValidation { Ignore, Warn, Strict };

struct Caller {
  User user;
  bool dryRun = false;
  FieldValidation fieldValidation = FieldValidation::Ignore;
  std::vector<std::string>* warnings = nullptr;
};

/// Kinds served at one moment; replaced as a whole when a CRD changes.
class KindTable {
 public:
  explicit KindTable(std::vector<kube::KindPtr> kinds);
  const std::vector<kube::KindPtr>& all() const { return kinds_; }
  kube::KindPtr find(std::string_view group, std::string_view version, std::string_view resource) const;
  /// The version objects of this resource are stored in.
  kube::KindPtr storageOf(const kube::KindInfo& kind) const;

 private:
  std::vector<kube::KindPtr> kinds_;
  std::map<std::tuple<std::string, std::string, std::string>, kube::KindPtr, std::less<>> byName_;
  std::map<std::string, kube::KindPtr, std::less<>> storage_;
};

struct Target {
  kube::KindPtr kind;
  std::string namespace_, name, subresource;
};

struct WriteRequest {
  client::Write::Verb verb = client::Write::Verb::Create;
  Target target;
  std::shared_ptr<json::Arena> arena;   ///< owns `body` and everything made on the way
  json::Value body;                     ///< object, patch, or DeleteOptions already read into the fields below
  std::vector<std::string> duplicates;  ///< keys the body gave twice
  client::PatchType patchType = client::PatchType::Merge;
  std::string resourceVersion, uid;  ///< preconditions beside those in the body
  std::optional<int64_t> gracePeriodSeconds;
  std::string propagation;
};

struct Written {
  std::shared_ptr<const std::string> bytes;  ///< the object, or a Status
  uint64_t resourceVersion = 0;
  bool created = false;
  bool accepted = false;  ///< deletion has begun but the object is still there
};
using WriteDone = std::function<void(std::vector<Result<Written>>)>;

struct ListRequest {
  std::string labelSelector, fieldSelector;
  std::string resourceVersion, resourceVersionMatch;
  int64_t limit = 0;
  std::string continueToken;
};
struct ListAnswer {
  std::vector<store::VersionPtr> items;
  uint64_t revision = 0;
  std::string continueToken;
  std::optional<int64_t> remaining;
};

struct WatchRequest {
  std::string labelSelector, fieldSelector;
  std::string resourceVersion;
  bool sendInitialEvents = false;
  std::string resourceVersionMatch;
  bool sendInitialEventsGiven = false;
};
/// As a watcher sees it: `type` differs from event->type when the object enters or leaves the selection.
struct Seen {
  store::Event::Type type;
  store::EventPtr event;  ///< null for initial events: then `object`
  store::VersionPtr object;
  bool initialEnd = false;  ///< everything that existed has been sent (revision below)
  uint64_t revision = 0;
};

class Registry final : public StateReader {
 public:
  Registry(store::Store& store, Ids& ids, const Clock& clock);
  ~Registry() override;

  /// Before the first request.
  void setAuthorizer(std::shared_ptr<const Authorizer> authorizer) { authorizer_ = std::move(authorizer); }
  void addStrategy(const std::string& groupResource, std::unique_ptr<Strategy> strategy);
  void addSubresource(const std::string& groupResource, const std::string& name, SubresourceWrite write);
  void addCall(const std::string& groupResource, const std::string& name, SubresourceCall call);
  /// Reads the CRDs in the store and follows them.
  Result<void> start();

  std::shared_ptr<const KindTable> kinds() const;
  /// Changes whenever kinds() does; for caches derived from it (discovery, OpenAPI).
  uint64_t kindsGeneration() const { return kindsGeneration_; }
  std::vector<std::string> subresourcesOf(const kube::KindInfo& kind) const;
  bool isCall(const Target& target) const;

  Result<void> authorize(const Caller& caller, std::string_view verb, const Target& target) const;
  Result<store::VersionPtr> get(const Caller& caller, const Target& target) const;
  /// The object of `version` in the version `kind` asks for (bytes as they are when it is the stored one).
  std::shared_ptr<const std::string> bytesFor(const kube::KindInfo& kind, const store::VersionPtr& version) const;
  Result<ListAnswer> list(const Caller& caller, const Target& target, const ListRequest& request) const;
  /// `onSeen` runs inside watch() for initial and past events, later on the commit thread; it must not block.
  Result<store::WatchId> watch(const Caller& caller, const Target& target, const WatchRequest& request,
                               std::function<void(const Seen&)> onSeen) const;
  void unwatch(store::WatchId id) const { store_.unwatch(id); }

  /// /scale of an object: autoscaling/v1 Scale made from, or written to, the paths its kind declares.
  Result<json::Value> getScale(const Caller& caller, const Target& target, json::Arena& arena) const;

  /// Sequence: in order, as one transaction where possible (never two writes of one object in one); the first failure
  /// stops the rest. Each: independent. `done` runs on the commit thread, or before write() returns when nothing was
  /// committed.
  void write(const Caller& caller, std::vector<WriteRequest> requests, client::Mode mode, WriteDone done);
  /// Deletes all that match; every object with its own guard.
  void deleteCollection(const Caller& caller, const Target& target, const ListRequest& selection,
                        const WriteRequest& options, std::function<void(Result<std::vector<store::VersionPtr>>)> done);
  Result<json::Value> call(const Caller& caller, WriteRequest& request) const;

  store::Store& store() { return store_; }
  const Clock& clock() const { return clock_; }

  // StateReader
  store::VersionPtr find(std::string_view groupResource, std::string_view ns, std::string_view name) const override;
  void forEach(std::string_view groupResource, std::string_view ns,
               const std::function<void(const store::VersionPtr&)>& visit) const override;

 private:
  struct Prepared;
  struct Batch;
  Result<Prepared> prepare(const Caller& caller, WriteRequest& request) const;
  Result<Prepared> prepareCreate(const Caller& caller, WriteRequest& request) const;
  Result<Prepared> prepareUpdate(const Caller& caller, WriteRequest& request) const;
  Result<Prepared> prepareDelete(const Caller& caller, WriteRequest& request) const;
  Result<Prepared> settle(const Caller& caller, WriteRequest& request, const store::VersionPtr& current,
                          json::Value old, json::Value object) const;
  Result<json::Value> readBody(const Caller& caller, WriteRequest& request, json::Value body) const;
  Result<json::Value> patched(const Caller& caller, WriteRequest& request, json::Value current) const;
  Result<void> checkNamespace(const Target& target) const;
  Result<void> validated(const kube::KindInfo& kind, const Strategy& strategy, json::Value object,
                         json::Value old) const;
  void runSequence(std::shared_ptr<Batch> batch);
  void commitPrepared(std::vector<Prepared> prepared, std::function<void(Result<std::vector<Written>>)> done);
  const Strategy& strategyOf(const kube::KindInfo& kind) const;
  void reloadKinds();
  std::function<bool(const store::Version&)> matcher(const kube::LabelSelector& labels,
                                                     const kube::FieldSelector& fields) const;

  store::Store& store_;
  Ids& ids_;
  const Clock& clock_;
  std::shared_ptr<const Authorizer> authorizer_;
  std::map<std::string, std::unique_ptr<Strategy>, std::less<>> strategies_;
  std::map<std::pair<std::string, std::string>, SubresourceWrite> subresources_;
  std::map<std::pair<std::string, std::string>, SubresourceCall> calls_;
  mutable std::shared_mutex kindsMutex_;
  std::shared_ptr<const KindTable> kinds_;
  std::atomic<uint64_t> kindsGeneration_{1};
  std::optional<store::WatchId> crdWatch_;
};

/// Status of kind Failure for an error, as clients receive it.
json::Value statusOf(json::Arena& arena, const Error& error);
/// Status Success about a deleted object.
json::Value successStatus(json::Arena& arena, const Target& target, std::string_view uid);
Error notFound(const kube::KindInfo& kind, std::string_view name);
/// Invalid (422) with upstream's sentence: `Pod "x" is invalid: spec.containers: Required value`.
Error invalid(const kube::KindInfo& kind, std::string_view name, std::vector<Cause> causes);

}  // namespace stoker::apiserver
