// pod_runtime.h
//
// How pods become running programs: the one interface between the agent core, which decides, and whatever launches
// processes (process_runtime.h: supervised local processes; the simulated nodes: nothing at all; CRI: another issue).
//
// The runtime obeys and reports, it never decides: no restarts, no back-off, no phases. Every command returns at once;
// what came of it arrives as an event. Commands are idempotent, so the agent may repeat any of them after a restart:
//   - a pod is known by its uid; ensurePod of a pod that exists only reports PodSandboxReady again;
//   - a container run is known by (name, attempt): it starts at most once, whatever happens to this process.
//   startContainer
//     of a run that exists reports that run's ContainerStarted or ContainerExited again. A restart is the next attempt.
// One name has at most one run at a time: the agent waits for ContainerExited before it starts the next attempt.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace stoker::node {

// ----------------------------------------------------------------------------------------------------------------
// specs

/// One line of /etc/hosts (spec.hostAliases).
struct HostEntry {
  std::string ip;
  std::vector<std::string> names;
  bool operator==(const HostEntry&) const = default;
};

/// 0 means "no limit" for limits and "nothing asked" for requests.
struct ResourceLimits {
  int64_t memoryBytes = 0;      ///< hard limit; beyond it the kernel kills (OOMKilled)
  int64_t cpuMilliLimit = 0;    ///< CFS quota per 100 ms
  int64_t cpuMilliRequest = 0;  ///< cpu.shares / cpu.weight; 0 gives the kernel's minimum share, as Kubernetes does
  int64_t pids = 0;  ///< most processes and threads; of a pod as a whole (kubelet's podPidsLimit), not per container
  bool operator==(const ResourceLimits&) const = default;
};

struct PodSandboxSpec {
  std::string uid;
  std::string namespaceName;
  std::string name;
  std::string hostname;      ///< at most 63 characters; empty: `name`, cut as Kubernetes cuts it
  std::string fqdn;          ///< written before `hostname` in /etc/hosts when the pod has a subdomain; may be empty
  bool hostNetwork = false;  ///< no network namespace; the pod's IP is the node's
  std::optional<std::string> ip;  ///< a wish (IPv4); empty: the runtime allocates. It stays with the pod for its life
  std::vector<std::string> dnsServers;  ///< resolv.conf; empty: the host's resolv.conf is used as it is
  std::vector<std::string> dnsSearches;
  std::vector<std::string> dnsOptions;  ///< e.g. "ndots:5"
  std::vector<HostEntry> hostEntries;   ///< beyond localhost and the pod's own name
  ResourceLimits limits;                ///< of the whole pod (sums, as kubelet computes them)
  int64_t shmBytes = 64 << 20;          ///< size of the pod's shared /dev/shm unless a mount targets it
  bool operator==(const PodSandboxSpec&) const = default;
};

struct Mount {
  enum class Kind { Bind, Tmpfs };
  Kind kind = Kind::Bind;
  std::string source;  ///< Bind: an absolute host path (file or directory) that exists
  std::string target;  ///< absolute path in the container; created when missing
  bool readOnly = false;
  int64_t sizeBytes = 0;  ///< Tmpfs: 0 means half of the machine's memory
  bool operator==(const Mount&) const = default;
};

/// What the container sees as `/`. Writes go to a layer of the container's own that goes with it.
struct RootFs {
  enum class Kind { Host, Directory };
  Kind kind = Kind::Host;
  std::string directory;  ///< Directory: absolute path of a root file system, used as the lower layer
  bool readOnly = false;  ///< readOnlyRootFilesystem
  bool operator==(const RootFs&) const = default;
};

struct ContainerSpec {
  std::string name;
  int attempt = 0;  ///< restart count; (name, attempt) starts at most once
  std::vector<std::string> argv;
  std::vector<std::string> env;  ///< "NAME=value"; PATH, HOME and HOSTNAME are added when missing
  std::string workingDir;        ///< created when missing; empty: "/"
  RootFs root;
  std::vector<Mount> mounts;  ///< in order; a later one may lie inside an earlier one
  uint32_t uid = 0;
  uint32_t gid = 0;
  std::vector<uint32_t> supplementaryGroups;
  bool privileged = false;                    ///< all capabilities, all host devices, no seccomp filter
  bool noNewPrivileges = false;               ///< allowPrivilegeEscalation: false; always set for a uid other than 0
  std::vector<std::string> addCapabilities;   ///< "NET_ADMIN" or "CAP_NET_ADMIN", or "ALL"
  std::vector<std::string> dropCapabilities;  ///< likewise; applied to Docker's default set
  bool seccompUnconfined = false;
  ResourceLimits limits;
  int oomScoreAdj = 0;
  std::vector<std::string> devices;  ///< host device files that appear at the same path, e.g. "/dev/nvidia0"
  std::string logPath;               ///< CRI log file; its directory is created. Rotated files lie beside it
  int64_t logMaxBytes = 10 << 20;    ///< kubelet's containerLogMaxSize
  int logMaxFiles = 5;               ///< kubelet's containerLogMaxFiles, the current file included
  std::string terminationMessagePath = "/dev/termination-log";  ///< empty: none is read
  bool operator==(const ContainerSpec&) const = default;
};

// ---------------------------------------------------------------------------------------------------------------
// events

/// The pod's namespaces, address and supervisor exist; containers may start. `ip` is empty where the pod has the
/// machine's network (hostNetwork, or capabilities().podNetwork is false): the agent reports the node's address then.
struct PodSandboxReady {
  std::string ip;
};

struct ContainerStarted {
  std::string name;
  int attempt = 0;
  int64_t pid = 0;  ///< on the host
  Time startedAt{};
};

/// A run is over: it ended, was killed, could not be started, or its fate is unknown.
struct ContainerExited {
  std::string name;
  int attempt = 0;
  int exitCode = 0;  ///< 128 + signal when a signal ended it, 128 when it never ran (StartError), 137 when unknown
  int signal = 0;
  bool oomKilled = false;
  /// "Completed", "Error", "OOMKilled", "StartError" (it never ran: `message` says why), or "ContainerStatusUnknown"
  /// (the machine or the supervisor went down under it).
  std::string reason;
  std::string message;  ///< the termination message (at most 4096 bytes), or the error
  Time startedAt{};     ///< zero when it never ran
  Time finishedAt{};
};

/// Nothing of the pod runs any more and its supervisor has ended; its directory stays until removePod.
struct PodGone {};
/// The pod's directory, cgroups and address are given back.
struct PodRemoved {};

/// A command failed outside any container run: no supervisor, no network, a full disk. `what` names the command.
struct RuntimeFailed {
  std::string what;  ///< "ensurePod", "killPod", "removePod", "startContainer", "stopContainer"
  std::string message;
};

struct PodEvent {
  std::string podUid;
  std::variant<PodSandboxReady, ContainerStarted, ContainerExited, PodGone, PodRemoved, RuntimeFailed> what;
};

// -------------------------------------------------------------------------------------------------------------
// recovery

struct ContainerRecord {
  std::string name;
  int attempt = 0;
  bool running = false;
  int64_t pid = 0;
  Time startedAt{};
  std::optional<ContainerExited> exited;  ///< set when not running
};

/// A pod found in the data directory by recover().
struct RecoveredPod {
  PodSandboxSpec spec;
  std::string ip;
  bool alive = false;     ///< its supervisor lives and is connected; otherwise the pod is gone (as after PodGone)
  bool rebooted = false;  ///< the machine was started anew since
  std::vector<ContainerRecord> containers;  ///< every run of every container, in the order they were started
};

/// What this runtime can do here; `missing` says in words what it cannot and why.
struct RuntimeCapabilities {
  bool root = false;
  bool isolation = false;   ///< PID, mount, UTS and IPC namespaces, overlay root
  bool podNetwork = false;  ///< an address per pod on a bridge
  bool masquerade = false;  ///< pods reach beyond the machine
  bool memoryLimits = false;
  bool cpuLimits = false;
  bool pidLimits = false;
  std::string cgroupVersion;  ///< "v1", "v2" or ""
  std::string bridgeAddress;  ///< where the platform's DNS and API answer pods; empty without podNetwork
  std::vector<std::string> missing;
};

/// What a pod uses now, as its cgroup counts it.
struct PodUsage {
  int64_t cpuNanoseconds = 0;  ///< since the pod began
  int64_t memoryBytes = 0;     ///< working set: usage less inactive file pages
};

// --------------------------------------------------------------------------------------------------------------
// runtime

class PodRuntime {
 public:
  using Listener = std::function<void(PodEvent)>;

  virtual ~PodRuntime() = default;

  /// Who hears the events; called once, before recover(). Events come from a thread of the runtime, one at a time,
  /// those of one pod in order; the listener must not block (it posts to the agent's loop).
  virtual void setListener(Listener listener) = 0;

  /// Called once, before any command: every pod in the data directory with all its runs, as exactly as can be known.
  /// May block for some milliseconds per pod. Later changes of these pods arrive as events; nothing is reported twice.
  virtual Result<std::vector<RecoveredPod>> recover() = 0;

  virtual const RuntimeCapabilities& capabilities() const = 0;

  /// The pod's own directory (absolute); it exists once ensurePod has been called and until removePod. The agent keeps
  /// the pod's volumes in `<podDirectory>/volumes`.
  virtual std::string podDirectory(const std::string& podUid) const = 0;
  /// One in memory beside it, for volumes whose content the API gives again: it is not there after a reboot. The same
  /// as podDirectory on a node that cannot.
  virtual std::string memoryDirectory(const std::string& podUid) const { return podDirectory(podUid); }

  /// -> PodSandboxReady, or RuntimeFailed. Also after PodGone: the pod comes up again with the same address and
  /// journal.
  virtual void ensurePod(PodSandboxSpec spec) = 0;
  /// -> ContainerStarted, then ContainerExited; or ContainerExited alone (StartError). The pod must be ready.
  virtual void startContainer(const std::string& podUid, ContainerSpec spec) = 0;
  /// SIGTERM to the container's main process, SIGKILL to its whole tree after `graceSeconds` (0: at once). A second
  /// call may shorten the grace, never prolong it. -> ContainerExited. Nothing happens when it does not run.
  virtual void stopContainer(const std::string& podUid, const std::string& name, int graceSeconds) = 0;
  /// Stops all containers as stopContainer does, then ends the pod. -> ContainerExited each, PodGone.
  virtual void killPod(const std::string& podUid, int graceSeconds) = 0;
  /// Deletes the pod's directory; kills it first (no grace) should it still live. -> PodRemoved. Logs outside the pod
  /// directory are the agent's. Unknown pods are reported removed too.
  virtual void removePod(const std::string& podUid) = 0;

  /// Reads a few cgroup files (microseconds); NotFound when there is no such pod or no cgroup.
  virtual Result<PodUsage> usage(const std::string& podUid) const = 0;
};

}  // namespace stoker::node
