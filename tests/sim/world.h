// world.h
//
// The whole control plane on virtual time: the production registry, informers, manager, controllers, scheduler and agent core
// over an in-memory log and simulated processes. One thread, one seed. Components can be crashed between any two tasks and come
// back with nothing but what the API and the machine remember.
#pragma once

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "api/gang.h"
#include "api/training.h"
#include "apiserver/auth/rbac.h"
#include "apiserver/local_cluster.h"
#include "apiserver/registry/registry.h"
#include "client/manager.h"
#include "controllers/register.h"
#include "faulty_cluster.h"
#include "node/agent/agent.h"
#include "node/simulated/simulated_runtime.h"
#include "platform/resources.h"
#include "store/store.h"

namespace stoker::sim {

struct WorldOptions {
  uint64_t seed = 1;
  std::vector<node::NodeConfig> nodes;
  Faults faults;
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();

  Time now() const { return clock_.now(); }
  std::mt19937_64& random() { return random_; }
  Faults& faults() { return faults_; }

  // What users do: through the API as admin, faults excepted.

  /// Empty when it worked, else the server's message.
  std::string create(const client::Gvr& resource, const std::string& ns, const std::string& body);
  std::string patch(const client::Gvr& resource, const std::string& ns, const std::string& name, const std::string& mergePatch);
  std::string remove(const client::Gvr& resource, const std::string& ns, const std::string& name, std::optional<int64_t> grace = {});
  template <class T>
  std::vector<T> all() {
    std::vector<T> out;
    registry_->forEach(client::gvrOf<T>().groupResource(), "", [&](const store::VersionPtr& version) {
      json::Arena arena;
      out.push_back(api::decode<T>(*json::parse(arena, version->bytes)));
    });
    return out;
  }
  template <class T>
  std::optional<T> find(const std::string& ns, const std::string& name) {
    auto version = registry_->find(client::gvrOf<T>().groupResource(), ns, name);
    if (!version) return std::nullopt;
    json::Arena arena;
    return api::decode<T>(*json::parse(arena, version->bytes));
  }

  // What the machine does.

  /// Runs one task of a random loop; when nothing waits, moves the clock to the next timer. False when nothing is left before
  /// `end` (the clock then stands there).
  bool step(Time end);
  void runUntil(Time end) {
    while (step(end)) {
    }
  }
  /// Runs until `done` holds; false when `limit` of virtual time passed first.
  bool runUntil(const std::function<bool()>& done, Duration limit);

  void crashControl();  ///< controllers and scheduler die and start anew
  void crashAgent();    ///< the node agent dies and starts anew over the same processes
  void crashServer();   ///< everything dies; the store comes back from its log
  /// The node stops answering (its lease is no longer renewed, its pods' fate unknown) / answers again.
  void loseNode(const std::string& name);
  void returnNode(const std::string& name);
  void rebootMachines() { runtime_->reboot(); crashAgent(); }

  node::SimulatedRuntime& runtime() { return *runtime_; }
  const std::vector<node::NodeConfig>& nodes() const { return options_.nodes; }
  bool quiet() const;  ///< no task waits anywhere

 private:
  void openServer();
  void startControl();
  void startAgent();
  void stopControl();
  void stopAgent();
  std::string write(client::Write write);

  WorldOptions options_;
  Faults faults_;
  std::mt19937_64 random_;
  ManualClock clock_;
  SeededIds ids_;
  std::shared_ptr<store::Log> log_;
  std::unique_ptr<store::Store> store_;
  std::shared_ptr<apiserver::RbacAuthorizer> authorizer_;
  std::unique_ptr<apiserver::Registry> registry_;
  std::unique_ptr<apiserver::LocalCluster> admin_, controllersCluster_, schedulerCluster_, agentCluster_;
  std::unique_ptr<FaultyCluster> controllersNet_, schedulerNet_, agentNet_;
  client::ManualLoop controlLoop_, agentLoop_, machineLoop_;
  std::unique_ptr<client::Manager> manager_;
  std::unique_ptr<controllers::GarbageCollector> collector_;
  std::unique_ptr<controllers::NamespaceKeeper> namespaces_;
  std::unique_ptr<platform::CrdFollower> crds_;
  std::unique_ptr<node::SimulatedRuntime> runtime_;
  node::NoFiles files_;
  std::unique_ptr<node::NodeAgent> agent_;
  std::set<std::string> lost_;
};

/// Nodes "node-0".."node-<count-1>" with 64 CPUs, 256Gi and `gpus` nvidia.com/gpu each.
std::vector<node::NodeConfig> makeNodes(int count, int gpus);

struct JobShape {
  std::string name, ns = "default";
  int workers = 1;             ///< pods besides the master
  bool master = true;
  int gpus = 0;                ///< per pod
  std::string cpu = "1";
  std::string duration = "10s", exitCodes = "0";
  std::string restartPolicy = "OnFailure";
  std::string priorityClass, cleanPodPolicy;
  int backoffLimit = -1;
  int64_t deadline = 0, ttl = -1;
  bool suspend = false;
};
/// A PyTorchJob whose pods only pretend to run.
std::string pytorchJobJson(const JobShape& shape);

/// What must hold at every moment; empty when it does, else what is wrong.
std::string brokenInvariant(World& world);

}  // namespace stoker::sim
