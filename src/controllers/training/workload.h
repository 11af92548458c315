// workload.h
//
// The canonical training job: what every front-end (PyTorchJob today; TFJob, MPIJob and others are further front-ends)
// is read into, and all that reconcile.h knows of it. Roles are in the order in which their state decides the job's
// state.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/training.h"
#include "client/cluster.h"

namespace stoker::controllers::training {

/// One replica type.
struct Role {
  std::string type;  ///< "Master": key of the spec and of status.replicaStatuses
  std::string name;  ///< "master": in names and labels
  int32_t count = 1;
  int32_t minCount = 1;       ///< must be placed together
  std::string restartPolicy;  ///< Always, OnFailure, Never or ExitCode
  api::Raw template_;         ///< PodTemplateSpec, the front-end's defaults applied
};

/// The pods of one role as a job's status counts them (training-operator 1.9, pkg/core/status.go).
struct Counts {
  int32_t active = 0;  ///< Running
  int32_t succeeded = 0;
  int32_t failed = 0;   ///< Failed, or Running and being deleted
  int32_t excused = 0;  ///< of the failed: ended by the platform (node lost, refused, moved), not by the program
};

class StatusEditor;
struct Workload;

/// What differs between kinds of training jobs. Implementations are immutable and shared.
class Framework {
 public:
  virtual ~Framework() = default;
  virtual std::string operatorName() const = 0;      ///< value of training.kubeflow.org/operator-name
  virtual std::string defaultContainer() const = 0;  ///< whose ports and exit code count
  virtual bool services() const { return true; }     ///< a headless Service per replica
  /// True for the pod that carries training.kubeflow.org/job-role: master.
  virtual bool isMaster(const Workload& job, const Role& role, int index) const = 0;
  /// Adds environment, init containers and the like to a pod spec.
  virtual json::Value decorate(json::Arena& arena, const Workload& job, const Role& role, int index,
                               json::Value podSpec) const = 0;
  /// Derives conditions from the counts (per role, in the order of job.roles): upstream's UpdateJobStatus.
  virtual void judge(const Workload& job, const std::vector<Counts>& counts, StatusEditor& status) const = 0;
};

struct Workload {
  std::string apiVersion, kind;
  client::Gvr resource;
  api::ObjectMeta metadata;
  api::RunPolicy policy;  ///< cleanPodPolicy defaulted
  api::JobStatus status;
  std::vector<Role> roles;
  std::string gangName;
  std::shared_ptr<const Framework> framework;

  const Role* role(std::string_view name) const {
    for (const Role& r : roles)
      if (r.name == name) return &r;
    return nullptr;
  }
  std::string podName(const Role& r, int index) const {
    return metadata.name + "-" + r.name + "-" + std::to_string(index);
  }
};

inline constexpr const char* kJobNameLabel = "training.kubeflow.org/job-name";
inline constexpr const char* kOperatorNameLabel = "training.kubeflow.org/operator-name";
inline constexpr const char* kReplicaTypeLabel = "training.kubeflow.org/replica-type";
inline constexpr const char* kReplicaIndexLabel = "training.kubeflow.org/replica-index";
inline constexpr const char* kJobRoleLabel = "training.kubeflow.org/job-role";
inline constexpr const char* kQueueLabel = "kueue.x-k8s.io/queue-name";
/// On jobs: restarts.h.
inline constexpr const char* kRestartsAnnotation = "stoker.dev/restarts";
/// On pods: Gang.status.epoch of the placement they were made from.
inline constexpr const char* kEpochAnnotation = "stoker.dev/epoch";

}  // namespace stoker::controllers::training
