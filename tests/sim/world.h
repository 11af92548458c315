// world.h
//
// The whole control plane on virtual time: the production registry, informers, manager, controllers, scheduler and
// agent core over an in-memory log and simulated processes. One thread, one seed: every task of every loop, every fault
// and every id is drawn from it. Components can be crashed between any two tasks and come back with nothing but what
// the API and the machines remember.
//
// Each node is a machine of its own with its own agent. The machine's processes go on when the agent dies or its
// network is cut.
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
  /// How long pods that say nothing about it tolerate a lost node.
  Duration toleration = 300s;
  /// Sees every change of the store, in order. Must not write.
  std::function<void(const store::Event&)> onChange;
};

/// What users of the API do to an object.
struct Request {
  client::Write::Verb verb = client::Write::Verb::Create;
  client::Gvr resource;
  std::string ns, name;
  std::string body;  ///< the object, or a merge patch
  std::string subresource;
  std::optional<int64_t> grace;
  std::string propagation;
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Time now() const { return clock_.now(); }
  std::mt19937_64& random() { return random_; }
  Faults& faults() { return faults_; }
  /// Of everything that happened, in its order; the same for the same seed and the same calls.
  uint64_t fingerprint() const { return fingerprint_; }

  // What users do: through the API as admin, faults excepted.

  /// Empty when it worked, else the server's message.
  std::string request(Request request);
  template <class T>
  std::vector<T> all(const std::string& ns = "") {
    std::vector<T> out;
    registry_->forEach(client::gvrOf<T>().groupResource(), ns, [&](const store::VersionPtr& version) {
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
  apiserver::Registry& registry() { return *registry_; }

  // What the machines do.

  /// Runs one task of a random loop; when nothing waits, moves the clock to the next timer. False when nothing is left
  /// before `end` (the clock then stands there).
  bool step(Time end);
  void runUntil(Time end) {
    while (step(end)) {
    }
  }
  bool quiet() const;  ///< no task waits anywhere

  void crashControl();              ///< controllers and scheduler die and start anew
  void crashAgent(size_t machine);  ///< a node agent dies and starts anew over the same processes
  void crashServer();               ///< everything but the pods dies; the store comes back from its log
  void reboot(size_t machine);      ///< its processes end, its agent starts anew
  /// The machine can no longer be reached; its agent and its processes go on.
  void cutOff(size_t machine);
  void reconnect(size_t machine);
  bool isCutOff(size_t machine) const { return machines_[machine]->cut; }

  size_t machineCount() const { return machines_.size(); }
  /// The index of a node by name; machineCount() when there is none.
  size_t machineOf(const std::string& node) const;
  node::SimulatedRuntime& runtime(size_t machine) { return *machines_[machine]->runtime; }
  const std::vector<node::NodeConfig>& nodes() const { return options_.nodes; }

 private:
  struct Machine {
    Machine(node::NodeConfig node, ManualClock& clock) : config(std::move(node)), hardware(clock), loop(clock) {}
    node::NodeConfig config;
    client::ManualLoop hardware, loop;
    std::unique_ptr<node::SimulatedRuntime> runtime;
    std::unique_ptr<FaultyCluster> net;
    std::unique_ptr<node::NodeAgent> agent;
    bool cut = false;
  };
  void openServer();
  void follow();
  void startControl();
  void stopControl();
  void startAgent(Machine& machine);
  void stopAgent(Machine& machine);
  void mix(std::string_view text);

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
  std::unique_ptr<FaultyCluster> controllersNet_, schedulerNet_;
  client::ManualLoop controlLoop_;
  std::unique_ptr<client::Manager> manager_;
  std::unique_ptr<controllers::GarbageCollector> collector_;
  std::unique_ptr<controllers::NamespaceKeeper> namespaces_;
  std::unique_ptr<platform::CrdFollower> crds_;
  node::NoFiles files_;
  std::vector<std::unique_ptr<Machine>> machines_;
  std::vector<client::ManualLoop*> loops_, ready_;
  uint64_t fingerprint_ = 0xcbf29ce484222325;
  store::Revision followed_ = 0;
  bool following_ = false;
};

/// Nodes "node-0".."node-<count-1>" with `cpus` CPUs, 256Gi and `gpus` nvidia.com/gpu each.
std::vector<node::NodeConfig> makeNodes(int count, int gpus, int cpus = 64);

}  // namespace stoker::sim
