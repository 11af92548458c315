// groups.h: the parts registerStrategies is made of, a group of kinds each.
#pragma once

#include "apiserver/strategies/strategies.h"

namespace stoker::apiserver {

void registerPods(Registry& registry);
void registerNamespaces(Registry& registry);
void registerNodes(Registry& registry);
void registerCrds(Registry& registry);

}  // namespace stoker::apiserver
