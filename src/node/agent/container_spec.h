// container_spec.h: from a container in a pod's spec to what the runtime starts. Pure but for Files::subPath.
#pragma once

#include <variant>

#include "node/agent/cards.h"
#include "node/agent/image_map.h"
#include "node/agent/volumes.h"
#include "node/runtime/pod_runtime.h"

namespace stoker::node {

/// Where our applets appear in a container whose image rule asks for them.
inline constexpr const char* kAppletDirectory = "/run/stoker/applets";

struct ContainerContext {
  const ImageMap* images = nullptr;
  std::string appletProgram;  ///< host path of the program that answers to the applets' names
  std::string logPath;        ///< of this run
  int64_t nodeMemoryBytes = 0;
  std::map<std::string, int> simulatedDevices;  ///< resource -> count; only the variable is set for these
};

/// Why a container cannot be started now: the waiting reason and message that kubelet would show.
struct StartProblem {
  std::string reason;  ///< CreateContainerConfigError, ErrImagePull, CreateContainerError
  std::string message;
  bool operator==(const StartProblem&) const = default;
};

/// `attempt` is filled in by the caller.
std::variant<ContainerSpec, StartProblem> makeContainerSpec(Files& files, const podspec::Pod& pod,
                                                            const podspec::Container& container, const PodFacts& facts,
                                                            const std::vector<VolumePlan>& volumes,
                                                            const ContainerContext& context);

struct SandboxContext {
  std::string clusterDomain = "cluster.local";
  std::string dnsServer;  ///< the platform's; empty: pods use the host's resolv.conf
  int64_t podPidsLimit = 0;
};

/// The pod's frame: names, DNS by dnsPolicy and dnsConfig, /etc/hosts, limits.
PodSandboxSpec makeSandboxSpec(const podspec::Pod& pod, const SandboxContext& context);

}  // namespace stoker::node
