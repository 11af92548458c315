// checker.h
//
// What must hold, judged by its own book-keeping from the store's changes (nothing of the code under test but the
// objects' structs): after every change no card twice, no node beyond its capacity, no partial gang, no pod where its
// gang is not placed, no state that goes back; on the machines, no card under two processes and every run started once;
// at the end, everything given back.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "world.h"

namespace stoker::sim {

class Checker {
 public:
  explicit Checker(const std::vector<node::NodeConfig>& nodes);

  /// Every change of the store, in order.
  void onChange(const store::Event& event);
  /// What is wrong by now; empty when nothing is. Cheap when nothing has changed.
  std::string broken();
  /// The processes on the machines.
  std::string brokenMachines(World& world);
  /// When everything has settled: nothing is held that nobody uses, nothing is left of what is gone.
  std::string leftovers(World& world);

  struct Job {
    std::string ns, name, uid, kind;
    std::string end;         ///< Succeeded or Failed; empty while neither
    std::string message;     ///< of that condition
    bool suspended = false;  ///< by its spec
    bool deleting = false;
    int64_t restarts = 0;                         ///< as its annotation counts them
    int64_t failuresSeen = 0;                     ///< failed pods that were deleted to be made again
    int32_t parallelism = 0;                      ///< batch: most pods at one time
    std::map<std::string, std::string> policies;  ///< replica type (lower case) -> restart policy
  };
  /// By "kind/namespace/name": PyTorchJob, Job.
  const std::map<std::string, Job>& jobs() const { return jobs_; }

  struct Pod {
    std::string ns, name, uid, node, phase, owner, gang, replicaType;
    std::vector<uint32_t> cards;
    int64_t milliCpu = 0, gpus = 0;
    bool deleting = false, excused = false;
    int32_t exitCode = 0;
    bool active() const { return phase != "Succeeded" && phase != "Failed"; }
  };
  const std::map<std::string, Pod>& pods() const { return pods_; }  ///< by "namespace/name"

  struct Gang {
    std::string ns, name, uid, owner, phase, reason, message;
    bool finished = false, suspended = false;
    int64_t epoch = 0;
    struct Role {
      int count = 0, minimum = 0;
      int64_t milliCpu = 0, gpus = 0;
    };
    std::map<std::string, Role> roles;
    struct Entry {
      std::string role, pod, node, cardsText;
      std::vector<uint32_t> cards;
    };
    std::vector<Entry> placement;
  };
  const std::map<std::string, Gang>& gangs() const { return gangs_; }  ///< by "namespace/name"

  /// One line about a change, for a trace.
  std::string describe(const store::Event& event) const;

 private:
  void onPod(const store::Event& event);
  void onGang(const store::Event& event);
  void onJob(const store::Event& event, const std::string& kind);
  void fault(std::string what) {
    if (fault_.empty()) fault_ = std::move(what);
  }
  std::vector<uint32_t> cardsOf(const std::string& node, const std::string& text);
  std::string capacity();

  struct Room {
    int64_t milliCpu = 0, gpus = 0;
  };
  std::map<std::string, Room> nodes_;
  std::map<std::string, Pod> pods_;
  std::map<std::string, Gang> gangs_;
  std::map<std::string, Job> jobs_;
  std::map<std::string, std::string> services_;  ///< "namespace/name" -> uid of the owner
  std::set<std::string> registered_;             ///< nodes whose object is there
  std::set<std::string> uids_;                   ///< of all jobs there are
  std::map<std::string, uint32_t> cardIds_;      ///< "node resource index"
  std::vector<std::string> cardNames_;
  std::map<std::string, std::vector<uint32_t>> cardsByUid_;  ///< of every pod that ever was
  struct Program {
    std::string restartPolicy;
    std::set<std::string> containers;  // without those that initialise: they are repeated in a new sandbox
  };
  std::map<std::string, Program> programs_;  ///< of every pod that ever was, by uid
  std::set<std::string> ending_;             ///< namespaces being deleted
  std::string fault_;
  bool changed_ = false;
};

}  // namespace stoker::sim
