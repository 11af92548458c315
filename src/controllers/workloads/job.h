// job.h
//
// batch/v1 Job (kubernetes pkg/controller/job): parallel and indexed. Its pods are unbound; the scheduler places them.
//
// Counting is exact although pods may vanish at any time, as upstream: every pod carries a finalizer; an ended pod's
// uid is first written to status.uncountedTerminatedPods, then the finalizer goes, then the uid becomes part of the
// count. Names are derived from the Job's uid, so a cut plan makes no pod twice. Not done here: backoffLimitPerIndex,
// successPolicy.
#pragma once

#include <memory>
#include <set>

#include "api/batch.h"
#include "client/manager.h"

namespace stoker::controllers {

inline constexpr const char* kJobTrackingFinalizer = "batch.kubernetes.io/job-tracking";
inline constexpr const char* kCompletionIndex = "batch.kubernetes.io/job-completion-index";

/// "1,3-5" <-> {1,3,4,5}. Malformed parts are left out, and so are indexes at or above `end`.
std::set<int32_t> parseIndexes(const std::string& text, int32_t end);
std::string formatIndexes(const std::set<int32_t>& indexes);

/// What spec.podFailurePolicy says of a failed pod.
struct FailureVerdict {
  enum class Action { Count, Ignore, FailJob } action = Action::Count;
  std::string message;  ///< for FailJob
};
FailureVerdict judgeFailure(json::Value policy, const api::Pod& pod);

/// Reads Pod of `view`.
client::Plan reconcileJob(const client::View& view, const api::Job& job, Time now);
std::unique_ptr<client::Controller> makeJobController();

}  // namespace stoker::controllers
