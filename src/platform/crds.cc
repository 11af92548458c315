#include "platform/crds.h"

#include "api/gang.h"
#include "api/training.h"
#include "kube/crd_of.h"

namespace stoker::platform {

std::vector<std::string> ownCrds() {
  json::Arena arena;
  kube::Column age{.name = "Age", .type = "date", .jsonPath = ".metadata.creationTimestamp"};
  std::vector<std::string> out;
  out.push_back(json::print(kube::crdOf<api::PyTorchJob>(
      arena, {.singular = "pytorchjob",
              .columns = {{.name = "State", .jsonPath = ".status.conditions[-1:].type"}, age},
              .scale = {".spec.pytorchReplicaSpecs.Worker.replicas", ".status.replicaStatuses.Worker.active",
                        ".status.replicaStatuses.Worker.selector"}})));
  out.push_back(json::print(
      kube::crdOf<api::Gang>(arena, {.singular = "gang",
                                     .columns = {{.name = "Phase", .jsonPath = ".status.phase"},
                                                 {.name = "Queue", .priority = 1, .jsonPath = ".spec.queue"},
                                                 {.name = "Priority", .type = "integer", .jsonPath = ".spec.priority"},
                                                 {.name = "Reason", .jsonPath = ".status.verdict.reason"},
                                                 {.name = "Message", .jsonPath = ".status.verdict.message"},
                                                 age}})));
  return out;
}

}  // namespace stoker::platform
