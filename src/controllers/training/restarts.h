// restarts.h
//
// How often a job's pods have been made again. The count must outlive its evidence, the failed pod: it is written to
// the job's annotation stoker.dev/restarts before that pod is deleted. Each entry names the pod (by uid) it counted
// last, so a plan that was cut between the two writes counts nothing twice:
//
//   {"worker-1":{"count":2,"pod":"<uid>"}}
#pragma once

#include <map>
#include <string>

#include "api/core.h"

namespace stoker::controllers::training {

struct RestartEntry {
  int64_t count = 0;  ///< pods made again, plus the container restarts those pods had seen
  std::string pod;    ///< uid of the last pod counted
  bool operator==(const RestartEntry&) const = default;
  static constexpr auto describe() {
    return std::tuple{api::field("count", &RestartEntry::count), api::field("pod", &RestartEntry::pod)};
  }
};
using Restarts = std::map<std::string, RestartEntry>;  ///< by "<role>-<index>"

/// What the annotation says; empty when there is none or it is unreadable.
Restarts readRestarts(const api::ObjectMeta& job);
std::string writeRestarts(const Restarts& restarts);

/// Restarts of containers and init containers within the pod.
int64_t containerRestarts(const api::Pod& pod);

/// Counts the end of `pod`, the present pod of `slot`, unless it has been counted. True when it was new.
bool countRestart(Restarts& restarts, const std::string& slot, const api::Pod& pod);
int64_t totalRestarts(const Restarts& restarts);

/// Whether a job has used up its backoffLimit. `counted`: totalRestarts, the failures of this round included;
/// `failures`: how many of them are of this round; `inPlace`: container restarts of pods not counted yet.
/// As upstream: a limit of n allows n pods to be made again, and is reached by the n-th restart in place (0: by the
/// first).
bool pastBackoffLimit(int64_t limit, int64_t counted, int64_t failures, int64_t inPlace);

}  // namespace stoker::controllers::training
