// shapes.h: jobs and pods whose containers only pretend to run, as JSON.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace stoker::sim {

struct Shape {
  std::string name, ns = "default";
  int workers = 1;  ///< pods besides the master
  bool master = true;
  int gpus = 0;        ///< per pod
  int cpus = 1;        ///< per pod
  std::string memory;  ///< per pod; empty: none asked
  std::string duration = "10s", exitCodes = "0", stopDuration;
  std::string masterDuration;  ///< empty: as the others
  std::string restartPolicy = "OnFailure";
  std::string priorityClass, cleanPodPolicy;
  int backoffLimit = -1;  ///< below zero: not said
  int64_t deadline = 0;   ///< seconds; zero: none
  int64_t ttl = -1;       ///< seconds; below zero: not said
  bool suspend = false;
  int completions = 0;   ///< batch: pods that must succeed
  int parallelism = 2;   ///< batch: at one time
  bool indexed = false;  ///< batch
  std::map<std::string, std::string> nodeSelector;
  std::string tolerations;  ///< JSON list; empty: none
};

/// kubeflow.org/v1 PyTorchJob.
std::string pytorchJobJson(const Shape& shape);
/// batch/v1 Job.
std::string batchJobJson(const Shape& shape);
/// v1 Pod.
std::string podJson(const Shape& shape);

}  // namespace stoker::sim
