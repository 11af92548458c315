// jobs.h
//
// One view of a training job, whatever shows it: list, get, top, why and the console read the same status engine. Pure:
// from the job, its pods and its Gang as the API has them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/gang.h"
#include "api/training.h"

namespace stoker::cli {

struct Instance {
  std::string name, status, node, nodeIp, ip;
  bool chief = false;
  int64_t gpus = 0;  ///< requested
  Time created{};
  Duration age{0};
  std::string reason;  ///< why it is not running
};

struct JobView {
  std::string uid, name, namespace_, trainer = "pytorchjob";
  std::string status;  ///< QUEUING, PENDING, RUNNING, SUCCEEDED, FAILED
  std::string reason;  ///< why it waits or failed; empty when there is nothing to explain
  std::string priority;
  std::string node;  ///< chief's host IP, or N/A
  int64_t requestedGpus = 0;
  std::optional<int64_t> allocatedGpus;  ///< while pending or running
  Time created{};
  std::optional<Time> started, ended;
  Duration duration{0};
  std::vector<Instance> instances;
  std::string chief;
};

JobView viewOf(const api::PyTorchJob& job, const std::vector<api::Pod>& pods, const api::Gang* gang, Time now);

/// arena's tables; `wide` adds nothing yet (arena's default is wide).
std::string listTable(const std::vector<JobView>& jobs, bool allNamespaces);
/// arena's `get` page without events.
std::string getPage(const JobView& job, bool gpus);
/// arena's JSON keys, plus "reason".
json::Value jobJson(json::Arena& arena, const JobView& job);

}  // namespace stoker::cli
