// training.h: kubeflow.org/v1 (training-operator 1.9): the common types and PyTorchJob.
#pragma once

#include "api/core.h"

namespace stoker::api {

struct ReplicaSpec {
  std::optional<int32_t> replicas;
  Raw template_;
  std::string restartPolicy;
  static constexpr auto describe() {
    return std::tuple{
        field("replicas", &ReplicaSpec::replicas, "How many pods of this type; default 1.").minimum(0),
        field("template", &ReplicaSpec::template_, "The pod template.").builtin("k8s.io.api.core.v1.PodTemplateSpec"),
        field("restartPolicy", &ReplicaSpec::restartPolicy, "What to do when a pod ends.")
            .oneOf("Always|OnFailure|Never|ExitCode")};
  }
};

struct SchedulingPolicy {
  std::optional<int32_t> minAvailable, scheduleTimeoutSeconds;
  std::string queue, priorityClass;
  ResourceList minResources;
  static constexpr auto describe() {
    return std::tuple{
        field("minAvailable", &SchedulingPolicy::minAvailable, "Pods that must be placed together; default all."),
        field("queue", &SchedulingPolicy::queue, "Queue of the gang."),
        field("minResources", &SchedulingPolicy::minResources, "Least resources of the gang.").intOrString(),
        field("priorityClass", &SchedulingPolicy::priorityClass, "PriorityClass of the gang."),
        field("scheduleTimeoutSeconds", &SchedulingPolicy::scheduleTimeoutSeconds, "How long placing may take.")};
  }
};

struct RunPolicy {
  std::string cleanPodPolicy, managedBy;
  std::optional<int32_t> ttlSecondsAfterFinished, backoffLimit;
  std::optional<int64_t> activeDeadlineSeconds;
  std::optional<SchedulingPolicy> schedulingPolicy;
  bool suspend = false;
  static constexpr auto describe() {
    return std::tuple{
        field("cleanPodPolicy", &RunPolicy::cleanPodPolicy, "Pods to delete when the job ends; default None.")
            .oneOf("None|Running|All"),
        field("ttlSecondsAfterFinished", &RunPolicy::ttlSecondsAfterFinished,
              "Seconds after which a finished job is deleted."),
        field("activeDeadlineSeconds", &RunPolicy::activeDeadlineSeconds, "Seconds the job may be active."),
        field("backoffLimit", &RunPolicy::backoffLimit, "Restarts before the job counts as failed."),
        field("schedulingPolicy", &RunPolicy::schedulingPolicy, "Gang wishes."),
        field("suspend", &RunPolicy::suspend, "True: no pods; existing ones are deleted.").defaults("false"),
        field("managedBy", &RunPolicy::managedBy, "Who reconciles the job.")};
  }
};

struct ReplicaStatus {
  int32_t active = 0, succeeded = 0, failed = 0;
  std::string selector;
  static constexpr auto describe() {
    return std::tuple{field("active", &ReplicaStatus::active, "Pods not finished."),
                      field("succeeded", &ReplicaStatus::succeeded, "Pods that succeeded."),
                      field("failed", &ReplicaStatus::failed, "Pods that failed."),
                      field("selector", &ReplicaStatus::selector, "Label selector of these pods.")};
  }
};

struct JobStatus {
  std::vector<Condition> conditions;
  std::map<std::string, ReplicaStatus> replicaStatuses;
  Time startTime{}, completionTime{}, lastReconcileTime{};
  static constexpr auto describe() {
    return std::tuple{
        field("conditions", &JobStatus::conditions, "Created, Running, Restarting, Suspended, Succeeded, Failed."),
        field("replicaStatuses", &JobStatus::replicaStatuses, "Counts per replica type."),
        field("startTime", &JobStatus::startTime, "When it was first acted on."),
        field("completionTime", &JobStatus::completionTime, "When it ended."),
        field("lastReconcileTime", &JobStatus::lastReconcileTime, "When its status was last written.")};
  }
};

struct ElasticPolicy {
  std::optional<int32_t> minReplicas, maxReplicas, rdzvPort, nProcPerNode, maxRestarts;
  std::string rdzvBackend, rdzvHost, rdzvId;
  struct RdzvConf {
    std::string key, value;
    static constexpr auto describe() {
      return std::tuple{field("key", &RdzvConf::key), field("value", &RdzvConf::value)};
    }
  };
  std::vector<RdzvConf> rdzvConf;
  std::optional<bool> standalone;
  Raw metrics;
  static constexpr auto describe() {
    return std::tuple{
        field("minReplicas", &ElasticPolicy::minReplicas, "Fewest workers."),
        field("maxReplicas", &ElasticPolicy::maxReplicas, "Most workers."),
        field("rdzvBackend", &ElasticPolicy::rdzvBackend, "Rendezvous backend.").oneOf("c10d|etcd|etcd-v2"),
        field("rdzvPort", &ElasticPolicy::rdzvPort, "Rendezvous port."),
        field("rdzvHost", &ElasticPolicy::rdzvHost, "Rendezvous host; default worker 0."),
        field("rdzvId", &ElasticPolicy::rdzvId, "Rendezvous id."),
        field("rdzvConf", &ElasticPolicy::rdzvConf, "Further rendezvous settings."),
        field("standalone", &ElasticPolicy::standalone, "Single-node rendezvous."),
        field("nProcPerNode", &ElasticPolicy::nProcPerNode, "Deprecated: use nprocPerNode."),
        field("maxRestarts", &ElasticPolicy::maxRestarts, "Restarts of the worker group."),
        field("metrics", &ElasticPolicy::metrics, "Metrics to scale on (autoscaling/v2).")};
  }
};

struct PyTorchJobSpec {
  RunPolicy runPolicy;
  std::map<std::string, ReplicaSpec> pytorchReplicaSpecs;
  std::optional<ElasticPolicy> elasticPolicy;
  std::string nprocPerNode;
  static constexpr auto describe() {
    return std::tuple{
        field("runPolicy", &PyTorchJobSpec::runPolicy, "Lifetime, retries, cleaning up."),
        field("pytorchReplicaSpecs", &PyTorchJobSpec::pytorchReplicaSpecs, "Master and Worker.").required(),
        field("elasticPolicy", &PyTorchJobSpec::elasticPolicy, "Makes the job elastic."),
        field("nprocPerNode", &PyTorchJobSpec::nprocPerNode, "Processes per pod: auto, cpu, gpu or a number.")};
  }
};

struct PyTorchJob {
  static constexpr Gvk gvk{"kubeflow.org", "v1", "PyTorchJob", "pytorchjobs"};
  ObjectMeta metadata;
  PyTorchJobSpec spec;
  JobStatus status;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &PyTorchJob::metadata), field("spec", &PyTorchJob::spec, "What is wanted."),
                      field("status", &PyTorchJob::status, "What is observed.")};
  }
};

#define STOKER_TRAINING_STRUCTS(X) \
  X(ReplicaSpec)                   \
  X(SchedulingPolicy) X(RunPolicy) X(ReplicaStatus) X(JobStatus) X(ElasticPolicy) X(PyTorchJobSpec) X(PyTorchJob)
STOKER_TRAINING_STRUCTS(STOKER_DECLARE_CODEC)

}  // namespace stoker::api
