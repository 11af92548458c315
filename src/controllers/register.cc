#include "controllers/register.h"

#include "controllers/training/pytorch.h"
#include "controllers/workloads/endpoints.h"
#include "controllers/workloads/job.h"

namespace stoker::controllers {

void registerControllers(client::Manager& manager, const ControllerOptions& options) {
  manager.add(training::makePyTorchJobController());
  if (!options.embedded) return;
  manager.add(makeJobController());
  manager.add(makeEndpointsController());
  manager.add(makeNodeLifecycleController(options.nodes));
}

}  // namespace stoker::controllers
