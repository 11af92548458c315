// groups.h: the parts registerStrategies is made of, a group of kinds each.
#pragma once

#include "apiserver/strategies/strategies.h"

namespace stoker::apiserver {

void registerPods(Registry& registry);
void registerNamespaces(Registry& registry);
void registerNodes(Registry& registry);
void registerCrds(Registry& registry);
Result<void> registerServices(Registry& registry, const std::string& cidr);
void registerConfig(Registry& registry);  ///< secrets, configmaps
void registerJobs(Registry& registry);
void registerRbac(Registry& registry);     ///< roles and bindings
void registerVolumes(Registry& registry);  ///< persistentvolumes and claims
void registerPriorityClasses(Registry& registry);
void registerRecords(Registry& registry);  ///< events, leases, endpointslices

}  // namespace stoker::apiserver
