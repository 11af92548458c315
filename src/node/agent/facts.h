// facts.h: what a pod's environment and volumes are computed from, besides its own spec. Gathered by the agent, handed
// to pure functions.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "node/agent/expand.h"
#include "node/agent/pod_spec.h"
#include "node/agent/resources.h"

namespace stoker::node {

/// Keys of a ConfigMap or Secret with their bytes (base64 undone).
using ObjectData = std::map<std::string, std::string>;

/// ConfigMaps, Secrets and tokens of one pod, by name. A name that maps to nothing does not exist.
struct References {
  std::map<std::string, std::optional<ObjectData>> configMaps, secrets;
  std::map<std::string, std::string> tokens;  ///< by "volume/path"
};

/// The bytes of a ConfigMap (data, binaryData) or Secret (data).
ObjectData configMapData(json::Value configMap);
ObjectData secretData(json::Value secret);

struct PodFacts {
  std::string podIp, hostIp;
  Amounts allocatable;  ///< of the node: the limit of containers that have none
  Variables services;   ///< service environment (KUBERNETES_SERVICE_HOST, ...)
  References references;
};

/// What a pod refers to: names of ConfigMaps and Secrets in its namespace.
struct ReferenceNames {
  std::set<std::string> configMaps, secrets;
};
ReferenceNames referencesOf(const podspec::PodSpec& spec);

struct TokenWish {
  std::string key;  ///< "volume/path"
  std::string audience;
  int64_t expirationSeconds = 3600;
};
std::vector<TokenWish> tokensOf(const podspec::PodSpec& spec);

/// A fieldRef's value. `forVolume` allows metadata.labels and metadata.annotations as a whole. BadRequest: unsupported
/// path.
Result<std::string> fieldValue(const podspec::Pod& pod, const PodFacts& facts, const std::string& path, bool forVolume);

/// A resourceFieldRef's value; `own` is the container it appears in, or null (volumes name one).
Result<std::string> resourceValue(const podspec::Pod& pod, const podspec::Container* own, const PodFacts& facts,
                                  const podspec::ResourceFieldRef& ref);

/// Service variables of a namespace's services (json of Service objects) and of the API itself, as kubelet's
/// FromServices.
void addServiceVariables(Variables& out, const std::string& serviceName, const std::string& clusterIp,
                         const std::vector<api::ServicePort>& ports);

}  // namespace stoker::node
