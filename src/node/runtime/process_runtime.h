// process_runtime.h
//
// Pods as supervised local processes: the PodRuntime of the embedded platform. Each pod has a stoker-supervisor of its
// own (node/supervisor) that outlives this object and this process; here are only connections to them. Destroying the
// runtime leaves every pod running.
//
// One thread ("node-runtime") owns all state and all sockets; a small pool does what may block (spawning, deleting).
// Commands are posted to the thread and return at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "node/runtime/pod_runtime.h"

namespace stoker::node {

struct ProcessRuntimeOptions {
  std::string dataDirectory;   ///< absolute; pods live in dataDirectory/pods/UID
  std::string supervisorPath;  ///< the stoker-supervisor binary
  /// Tells instances on one machine apart: names of bridge, cgroups and nftables table. Empty: derived from the data
  /// directory's real path. At most 12 characters of [a-z0-9].
  std::string instanceId;
  /// Host paths that containers over the host's root cannot see, beyond the data directory and kDefaultMasked.
  std::vector<std::string> maskedPaths;
};

/// Secrets of a host that no container needs: password hashes, keys, kubeconfigs, cloud credentials.
extern const std::vector<std::string> kDefaultMasked;

/// The supervisor beside the running program or in its libexec directory; an error names the places looked at.
Result<std::string> findSupervisor();

class ProcessRuntime final : public PodRuntime {
 public:
  /// Prepares the data directory, the bridge and the cgroups. What the machine refuses is in capabilities().missing; an
  /// error only when no pod could run at all.
  static Result<std::unique_ptr<ProcessRuntime>> create(ProcessRuntimeOptions options);
  ~ProcessRuntime() override;

  void setListener(Listener listener) override;
  Result<std::vector<RecoveredPod>> recover() override;
  const RuntimeCapabilities& capabilities() const override;
  std::string podDirectory(const std::string& podUid) const override;
  std::string memoryDirectory(const std::string& podUid) const override;
  void ensurePod(PodSandboxSpec spec) override;
  void startContainer(const std::string& podUid, ContainerSpec spec) override;
  void stopContainer(const std::string& podUid, const std::string& name, int graceSeconds) override;
  void killPod(const std::string& podUid, int graceSeconds) override;
  void removePod(const std::string& podUid) override;
  Result<PodUsage> usage(const std::string& podUid) const override;

  /// Gives the bridge, cgroups and nftables table back to the machine (`stoker down --purge`); every pod must be gone.
  void releaseMachine();

 private:
  struct Impl;
  explicit ProcessRuntime(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoker::node
