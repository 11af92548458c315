// input.h
//
// From the API's objects, as the informers hold them, to what `schedule` reads: a Snapshot of what is taken, and the
// Queues of what wants a place. Pure and O(objects); nothing is decoded again.
//
// What takes capacity, by the record of decision 8:
//  - every entry of a Gang's placement that names a node, until the record no longer has it or spec.finished is true or
//  the
//    Gang is gone. A suspend, a scale-down, a lost node or a succeeded pod frees nothing by itself: the pass that sees
//    it writes the record, and the pass after that gives the place away. So a lost race or a failed write never gives a
//    card twice;
//  - any bound pod that has not ended and is not the pod of such an entry: lone pods, pods of others, and pods of gangs
//  that
//    outlive their entry (still stopping after a suspend, a scale-down or a move).
#pragma once

#include "client/cache.h"
#include "scheduler/placement/snapshot.h"
#include "scheduler/pods.h"
#include "scheduler/queue/queues.h"

namespace stoker::scheduler {

struct InputOptions {
  /// Whether pods of "default-scheduler" are ours too: yes where no other scheduler runs.
  bool embedded = true;
};

struct Input {
  std::unique_ptr<Snapshot> snapshot;
  Queues queues;
};

/// Reads Node, Gang and PodIndex (pods.h). When nothing is queued the snapshot's usage is left out: there is nothing to
/// decide with it.
Input buildInput(const client::View& view, const InputOptions& options);

/// "<podNamePrefix>-<index>".
std::string podName(const api::GangRole& role, int32_t index);

}  // namespace stoker::scheduler
