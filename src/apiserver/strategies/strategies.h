// strategies.h: what is special about each built-in kind (Pod, Namespace, Service, ...), registered in one call.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "apiserver/auth/tokens.h"
#include "apiserver/registry/registry.h"

namespace stoker::apiserver {

struct StrategyOptions {
  /// Checks of custom kinds beyond their schema, by group-resource ("pytorchjobs.kubeflow.org"). Each gets the whole
  /// object when it is created and when its spec changes.
  std::map<std::string, std::function<std::vector<Cause>(json::Value)>> validators;
  /// ClusterIPs are taken from here; IPv4, a prefix of /12 to /28.
  std::string serviceCidr = "10.96.0.0/16";
  /// Signs ServiceAccount tokens. Without a key serviceaccounts/token is not served.
  TokenKeys tokenKeys;
};

/// Before the first request and after the store was opened; the store must outlive the registry. BadRequest names an
/// option that cannot be used.
Result<void> registerStrategies(Registry& registry, const StrategyOptions& options);

}  // namespace stoker::apiserver
