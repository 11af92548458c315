// bootstrap.h: what every installation has from its first start: namespaces, roles, ServiceAccounts, priority classes,
// CRDs.
#pragma once

#include <string>
#include <vector>

#include "apiserver/registry/registry.h"

namespace stoker::apiserver {

inline constexpr const char* kSystemNamespace = "stoker-system";
// ServiceAccounts of the components in this process.
inline constexpr const char* kControllersAccount = "stoker-controllers";
inline constexpr const char* kSchedulerAccount = "stoker-scheduler";
inline constexpr const char* kAgentAccount = "stoker-agent";

/// Creates what is missing and patches what differs from this version's; a second call writes nothing. Blocks until
/// durable. `crds` are CustomResourceDefinition objects as JSON text.
Result<void> bootstrap(Registry& registry, const std::vector<std::string>& crds);

}  // namespace stoker::apiserver
