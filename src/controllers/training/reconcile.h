// reconcile.h
//
// A training job, whatever its kind: what to create, delete and report for it, given the Gang, pods and Services that
// exist.
//
//   job -> Gang (what is wanted) -> [scheduler: Gang.status.placement] -> Services and bound pods -> job.status
//
// Level-triggered and pure: the same input gives the same plan, and a plan cut after any write is continued by the next
// one. Pods are made from the placement only, and only when all that must be placed together is placed. Whatever makes
// or moves pods first checks, by a write that changes nothing but carries their resourceVersions, that job and Gang are
// still as read.
#pragma once

#include "client/cache.h"
#include "client/plan.h"
#include "controllers/training/workload.h"

namespace stoker::controllers::training {

/// Reads Pod, Service, Gang, Node and PriorityClass of `view`.
client::Plan reconcile(const client::View& view, const Workload& job, Time now);

/// Whether the platform, not the program, ended (or is ending) the pod: its node was lost or drained, it was evicted,
/// or its node refused to start it.
bool disrupted(const api::Pod& pod);
bool refused(const api::Pod& pod);

}  // namespace stoker::controllers::training
