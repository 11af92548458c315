// reference_store.h: the ConfigMaps and Secrets that this agent's pods refer to, each watched by name while a pod uses
// it (kubelet's way: a node sees nothing it has no pod for). Lives on the agent's loop.
#pragma once

#include <set>

#include "node/agent/facts.h"
#include "node/agent/object_watch.h"

namespace stoker::node {

class ReferenceStore {
 public:
  /// `onChange` is called with the uid of every pod that uses an object that appeared, changed or went.
  ReferenceStore(client::Cluster& cluster, client::Loop& loop, std::function<void(const std::string& podUid)> onChange)
      : cluster_(cluster), loop_(loop), onChange_(std::move(onChange)) {}

  /// The pod needs these from now on; repeated calls change nothing.
  void use(const std::string& podUid, const std::string& ns, const ReferenceNames& names);
  void release(const std::string& podUid);
  /// All that the pod uses has been read once.
  bool ready(const std::string& podUid) const;
  /// Copies the pod's objects into `out`; those that do not exist as empty.
  void fill(const std::string& podUid, References& out) const;

 private:
  struct Id {
    bool secret = false;
    std::string ns, name;
    auto operator<=>(const Id&) const = default;
  };
  struct Slot {
    std::unique_ptr<ObjectWatch> watch;
    std::set<std::string> users;
  };
  client::Cluster& cluster_;
  client::Loop& loop_;
  std::function<void(const std::string&)> onChange_;
  std::map<Id, Slot> slots_;
  std::map<std::string, std::set<Id>> byPod_;
};

}  // namespace stoker::node
