// agent.h
//
// The node agent: pods that are bound to its nodes become running programs, and what becomes of them is reported. It
// sees a Cluster, a PodRuntime and Files, lives on one Loop, and has no clock or thread of its own, so the simulator
// drives the very same code on virtual time. The decisions are elsewhere: admission.h, lifecycle.h, status.h,
// environment.h, volumes.h.
//
// Killed at any moment and made anew over the same runtime and API it goes on: runs are numbered and start at most
// once, every decision follows from the API's objects and the runtime's records.
//
// One agent serves one real node, or all simulated ones (decision 22): one watch, one runtime, one lease transaction.
#pragma once

#include <deque>
#include <set>
#include <unordered_map>

#include "base/ids.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "node/agent/files.h"
#include "node/agent/image_map.h"
#include "node/agent/lifecycle.h"
#include "node/agent/node_keeper.h"
#include "node/agent/prober.h"
#include "node/agent/reference_store.h"
#include "node/runtime/pod_runtime.h"

namespace stoker::node {

struct AgentOptions {
  std::vector<NodeConfig> nodes;
  ImageMap images = ImageMap::builtin();
  std::string logsDirectory;  ///< <dir>/NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log
  std::string appletProgram;  ///< host path of the program that serves as nslookup; empty: no applets
  std::string clusterDomain = "cluster.local";
  std::string apiHost;  ///< KUBERNETES_SERVICE_HOST; empty: pods are not told where the API is
  int apiPort = 443;
  int64_t podPidsLimit = 0;
  BackOffLimits backOff;
  /// False for simulated nodes: no references, volumes, tokens or environment; only what simulates the run.
  bool materialise = true;
  /// Told when a run begins or ends (also those found running at the start), so that log followers know; may be null.
  /// On the loop; must not block.
  std::function<void(const std::string& podUid, const std::string& container, int attempt, bool running)> onRun;
  std::function<Pressure()> pressure;  ///< asked every ten seconds; null: none ever
};

class NodeAgent {
 public:
  /// `prober` may be null: probed containers count as started and ready, and an event says so.
  NodeAgent(client::Cluster& cluster, client::Loop& loop, PodRuntime& runtime, Files& files, Prober* prober, Ids& ids,
            AgentOptions options);
  /// Pods go on running. The runtime must not report to a loop that is gone; the agent itself may be.
  ~NodeAgent();

  /// Recovers what runs, registers the nodes and begins to watch. On the loop; once. Fails when the runtime cannot be
  /// read.
  Result<void> start();
  /// The pods of the API have been read and compared with the runtime's.
  bool synced() const { return synced_; }
  /// A node that is down does nothing and renews no lease; up again it goes on where the API and its runtime stand. For
  /// simulated nodes.
  void setDown(const std::string& node, bool down);
  /// Pods that the runtime holds something of.
  size_t runningPods() const;

 private:
  struct Token {
    std::string value;
    Time refreshAt{};
    bool asked = false;
  };
  struct Entry {
    std::string uid;
    client::Key key;
    std::string node;
    client::Object object;  ///< as the API has it
    bool inApi = true;
    PodRun run;
    bool inRuntime = false;  ///< the runtime may hold something of it
    bool removing = false;   ///< removePod was commanded
    bool charged = false;    ///< counts in its node's room
    Amounts requests;
    Cards cards;                   ///< the devices it holds
    bool writing = false;          ///< a write about it is under way
    bool deleted = false;          ///< its last delete was acknowledged
    Time writeAfter{};             ///< after a failed write
    std::string patch, lastPatch;  ///< status patch under way, and the last one that was accepted
    Time lastPatchAt{};
    std::optional<Time> timerAt;
    uint64_t timer = 0;
    std::vector<VolumePlan> volumes;
    bool volumesReady = false, volumesStale = false;
    std::map<std::string, Token> tokens;
    std::set<std::string> probing;  ///< "container/kind" with a probe under way or due
    bool probesRefused = false;
  };
  struct NodeState {
    size_t config = 0;
    Amounts allocatable, used;
    int64_t pods = 0;
    std::set<std::string> uids;
  };
  struct Parsed {
    json::Arena arena;
    json::Value object;
    podspec::Pod pod;
  };

  // The API and the runtime speak (agent.cc).
  void onPod(const client::Key& key, const client::Object* object);
  void onRuntime(PodEvent event);
  void deliver(const PodEvent& event);
  void reconcileStart();
  Entry& adopt(const std::string& uid, const client::Key& key, const client::Object& object, const Parsed& parsed);
  void charge(Entry& entry, const podspec::Pod& pod);
  bool orphansOn(const NodeState& node) const;
  void uncharge(Entry& entry);
  void touch(const std::string& uid);
  void wakeAt(Entry& entry, Time when);
  void step();
  void flush();
  void forget(Entry& entry);
  std::unique_ptr<Parsed> parse(const client::Object& object) const;

  // One pod (agent_sync.cc).
  void sync(Entry& entry);
  void syncGone(Entry& entry);
  void syncFinished(Entry& entry, const podspec::Pod& pod);
  bool admitPod(Entry& entry, const podspec::Pod& pod);
  void act(Entry& entry, const podspec::Pod& pod, const Decision& decision);
  bool prepare(Entry& entry, const podspec::Pod& pod);
  bool prepareTokens(Entry& entry, const podspec::Pod& pod);
  void gotToken(const std::string& uid, const TokenWish& wish, const Result<client::Object>& result);
  void keepVolumes(Entry& entry, const podspec::Pod& pod);
  void refreshVolumes(Entry& entry, const podspec::Pod& pod);
  void startContainer(Entry& entry, const podspec::Pod& pod, size_t index);
  void mountFailed(Entry& entry, const podspec::Pod& pod, const std::string& message);
  PodFacts factsOf(const Entry& entry, const podspec::Pod& pod) const;
  void writeStatus(Entry& entry, const podspec::Pod& pod, json::Value object, const Decision& decision,
                   const Wish& wish);
  void submit(Entry& entry, client::Write write);
  void written(const std::string& uid, const Result<client::Object>& result, bool wasDelete);
  void giveBack(Entry& entry);

  // Probes (agent_probes.cc).
  struct ProbeRound {
    std::string uid;
    size_t index = 0;
    int attempt = 0;
    ProbeKind kind = ProbeKind::Readiness;
    ProbeCounter counter;
  };
  void beginProbes(Entry& entry, const podspec::Pod& pod);
  void scheduleProbe(ProbeRound round, Time when);
  void probe(ProbeRound round);
  void probed(ProbeRound round, const std::string& failure);

  void event(const podspec::Pod& pod, const std::string& type, const std::string& reason, const std::string& message);
  std::string logDirectory(const podspec::Pod& pod) const;
  std::string volumeRoot(const Entry& entry) const;

  client::Cluster& cluster_;
  client::Loop& loop_;
  PodRuntime& runtime_;
  Files& files_;
  Prober* prober_;
  AgentOptions options_;
  client::EventRecorder events_;
  NodeKeeper keeper_;
  ReferenceStore references_;
  std::unique_ptr<ObjectWatch> pods_;
  client::Cache<api::Service> services_;
  client::Informer serviceInformer_;
  std::unordered_map<std::string, std::unique_ptr<Entry>> entries_;  // by uid
  std::map<client::Key, std::string> byKey_;
  std::map<std::string, NodeState> nodes_;
  std::map<std::string, RecoveredPod> recovered_;
  std::deque<PodEvent> early_;  // events that came before the pods were known
  std::set<std::string> dirty_, down_;
  bool stepPosted_ = false, synced_ = false;
  struct Pending {
    std::string uid;
    client::Write write;
  };
  std::vector<Pending> outbox_;
  /// Keeps callbacks of other threads from reaching a dead agent; read and written on the loop only.
  struct Link {
    NodeAgent* agent;
  };
  std::shared_ptr<Link> link_;
};

}  // namespace stoker::node
