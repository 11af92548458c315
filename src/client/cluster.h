// cluster.h
//
// The one door to the API. Controllers, scheduler, node agent and CLI see a Cluster and cannot tell which one:
// LocalCluster (apiserver/local_cluster.h: a call into the registry with the identity of a ServiceAccount) or
// RemoteCluster (HTTPS).
//
// Everything is asynchronous: callbacks run on whatever thread completes the call (for LocalCluster reads: the
// caller's, before the call returns; for writes: the commit thread). Callers that own state post into their Loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/meta.h"
#include "base/result.h"

namespace stoker::client {

struct Gvr {
  std::string group, version, resource;
  auto operator<=>(const Gvr&) const = default;
  std::string groupResource() const { return group.empty() ? resource : resource + "." + group; }
};
template <class T>
Gvr gvrOf() {
  return {T::gvk.group, T::gvk.version, T::gvk.resource};
}
inline std::string apiVersionOf(const api::Gvk& gvk) {
  return *gvk.group ? std::string(gvk.group) + "/" + gvk.version : std::string(gvk.version);
}

/// One state of an object: canonical JSON, shared and immutable.
struct Object {
  std::string namespace_, name;
  uint64_t resourceVersion = 0;
  std::shared_ptr<const std::string> bytes;
};

struct ListOptions {
  std::string namespace_;  ///< empty = all namespaces
  std::string labelSelector, fieldSelector;
  std::string resourceVersion;
  int64_t limit = 0;
  std::string continueToken;
};
struct ObjectList {
  std::vector<Object> items;
  uint64_t resourceVersion = 0;
  std::string continueToken;
};

struct WatchOptions {
  std::string namespace_;
  std::string labelSelector, fieldSelector;
  uint64_t resourceVersion = 0;  ///< events after this one
};
struct WatchEvent {
  enum class Type { Added, Modified, Deleted, Bookmark, Error };
  Type type = Type::Added;
  Object object;  ///< for Bookmark only resourceVersion is set
  Error error;    ///< for Error: Expired/Gone = list again; anything else = watch again. The stream has ended.
};
/// Dropping it ends the watch; no callback runs afterwards.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

enum class PatchType { Json, Merge, Strategic };

struct Write {
  enum class Verb { Create, Update, Patch, Delete };
  Verb verb = Verb::Create;
  Gvr resource;
  std::string namespace_, name;
  std::string subresource;  ///< "status", "binding", "scale"; a binding is a Create
  std::string body;         ///< JSON: the object, or the patch
  PatchType patchType = PatchType::Merge;
  std::string resourceVersion;  ///< precondition, empty = none (Patch: put into the patch; Delete: preconditions)
  std::string uid;              ///< precondition
  std::optional<int64_t> gracePeriodSeconds;
  std::string propagation;  ///< Orphan, Background, Foreground; empty = the kind's default
};

/// How several writes go together.
enum class Mode {
  Each,      ///< independent of each other
  Sequence,  ///< in order; the first failure stops the rest (reported as Aborted). One transaction where the cluster
             ///< has them.
};

template <class T>
using Done = std::function<void(Result<T>)>;

class Cluster {
 public:
  virtual ~Cluster() = default;
  virtual void get(const Gvr& resource, const std::string& ns, const std::string& name, Done<Object> done) = 0;
  virtual void list(const Gvr& resource, const ListOptions& options, Done<ObjectList> done) = 0;
  virtual std::unique_ptr<Subscription> watch(const Gvr& resource, const WatchOptions& options,
                                              std::function<void(const WatchEvent&)> onEvent) = 0;
  /// One result per write, in order: the object as written (for a Delete: its last state).
  virtual void write(std::vector<Write> writes, Mode mode, std::function<void(std::vector<Result<Object>>)> done) = 0;
};

/// The message of writes that were not tried because an earlier one of their sequence failed.
inline constexpr const char* kAborted = "not tried: an earlier write of the same sequence failed";

}  // namespace stoker::client
