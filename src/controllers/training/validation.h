// validation.h: what a training job must be beyond what its CRD's schema can say. Pure; the API server asks at
// admission.
#pragma once

#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace stoker::controllers::training {

/// Everything wrong with a PyTorchJob (kubeflow.org/v1), in the order and words of training-operator 1.9's webhook and
/// CEL rules; empty when it is fine. `old` is the stored job on an update, null on a create. Beyond upstream: managedBy
/// is really immutable, a Master without replicas is one Master, and pod names that would be too long are refused here,
/// not later.
std::vector<Cause> validatePyTorchJob(json::Value job, json::Value old = {});

}  // namespace stoker::controllers::training
