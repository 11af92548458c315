// pytorch.h: PyTorchJob (kubeflow.org/v1, training-operator 1.9) as a front-end of the training engine: its defaults,
// the variables its containers see, its init container, its success rule. All pure; see workload.h for what they plug
// into.
#pragma once

#include "client/manager.h"
#include "controllers/training/workload.h"

namespace stoker::controllers::training {

inline constexpr const char* kPyTorchContainer = "pytorch";
inline constexpr const char* kPyTorchPortName = "pytorchjob-port";
inline constexpr int32_t kPyTorchPort = 23456;
inline constexpr const char* kPyTorchOperator = "pytorchjob-controller";

struct EnvVar {
  std::string name, value;
  bool operator==(const EnvVar&) const = default;
};

/// The job with everything it leaves out filled in (pytorch_defaults.go).
api::PyTorchJob withDefaults(api::PyTorchJob job);

/// Variables of every container of pod `index` of `type` ("Master" or "Worker"), in upstream's order (envvar.go,
/// master.go, elastic.go). `job` has its defaults.
std::vector<EnvVar> pytorchEnv(const api::PyTorchJob& job, const std::string& type, int index);

/// The pod spec with environment and, for workers of a job with a master, the container that waits until the master's
/// name resolves (initcontainer.go).
json::Value pytorchPodSpec(json::Arena& arena, const api::PyTorchJob& job, const std::string& type, int index,
                           json::Value podSpec);

/// The job as a Workload: defaults applied, master before workers.
Workload readPyTorchJob(const api::PyTorchJob& job);

std::unique_ptr<client::Controller> makePyTorchJobController();

}  // namespace stoker::controllers::training
