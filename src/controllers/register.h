// register.h: the controllers of this folder, put together.
#pragma once

#include "client/manager.h"
#include "controllers/workloads/garbage_collector.h"
#include "controllers/workloads/namespaces.h"
#include "controllers/workloads/node_lifecycle.h"

namespace stoker::controllers {

struct ControllerOptions {
  /// The workload controllers as well: false beside a real kube-controller-manager, which has its own.
  bool embedded = true;
  NodeLifecycleOptions nodes;
};

/// Adds all Controllers to `manager`. Beside them, an embedded control plane runs a GarbageCollector and a
/// NamespaceKeeper (both take the list of kinds, and addResource when a CRD appears).
void registerControllers(client::Manager& manager, const ControllerOptions& options);

}  // namespace stoker::controllers
