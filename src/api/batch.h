// batch.h: batch/v1 Job, slim.
#pragma once

#include "api/core.h"

namespace stoker::api {

struct UncountedTerminatedPods {
  std::vector<std::string> succeeded, failed;  ///< uids
  static constexpr auto describe() {
    return std::tuple{field("succeeded", &UncountedTerminatedPods::succeeded),
                      field("failed", &UncountedTerminatedPods::failed)};
  }
};

struct Job {
  static constexpr Gvk gvk{"batch", "v1", "Job", "jobs"};
  struct Spec {
    std::optional<int32_t> parallelism, completions, backoffLimit, ttlSecondsAfterFinished;
    std::optional<int64_t> activeDeadlineSeconds;
    std::string completionMode, podReplacementPolicy, managedBy;
    bool suspend = false;
    Raw template_, podFailurePolicy;
    static constexpr auto describe() {
      return std::tuple{field("parallelism", &Spec::parallelism),
                        field("completions", &Spec::completions),
                        field("backoffLimit", &Spec::backoffLimit),
                        field("ttlSecondsAfterFinished", &Spec::ttlSecondsAfterFinished),
                        field("activeDeadlineSeconds", &Spec::activeDeadlineSeconds),
                        field("completionMode", &Spec::completionMode),
                        field("podReplacementPolicy", &Spec::podReplacementPolicy),
                        field("managedBy", &Spec::managedBy),
                        field("suspend", &Spec::suspend),
                        field("template", &Spec::template_),
                        field("podFailurePolicy", &Spec::podFailurePolicy)};
    }
  };
  struct Status {
    std::vector<Condition> conditions;
    Time startTime{}, completionTime{};
    int32_t active = 0, succeeded = 0, failed = 0;
    std::optional<int32_t> ready, terminating;
    std::string completedIndexes;
    std::optional<UncountedTerminatedPods> uncountedTerminatedPods;
    static constexpr auto describe() {
      return std::tuple{field("conditions", &Status::conditions),
                        field("startTime", &Status::startTime),
                        field("completionTime", &Status::completionTime),
                        field("active", &Status::active),
                        field("succeeded", &Status::succeeded),
                        field("failed", &Status::failed),
                        field("ready", &Status::ready),
                        field("terminating", &Status::terminating),
                        field("completedIndexes", &Status::completedIndexes),
                        field("uncountedTerminatedPods", &Status::uncountedTerminatedPods)};
    }
  };
  ObjectMeta metadata;
  Spec spec;
  Status status;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Job::metadata), field("spec", &Job::spec), field("status", &Job::status)};
  }
};

#define STOKER_BATCH_STRUCTS(X) X(Job::Spec) X(Job::Status) X(Job)
STOKER_BATCH_STRUCTS(STOKER_DECLARE_CODEC)

}  // namespace stoker::api
