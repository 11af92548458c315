// schedule.h
//
// The decision: who goes where, and why the rest waits. Pure: the same snapshot, queues and time give the same
// decisions.
//
// One pass serves the line in order. A gang is placed whole (minCount of every role) or not at all: its pods are placed
// tentatively on the snapshot and undone if one finds no node. Nothing is held for who waits; smaller ones behind may
// pass.
#pragma once

#include "scheduler/placement/snapshot.h"
#include "scheduler/queue/queues.h"

namespace stoker::scheduler {

/// A gang whose status changes.
struct GangDecision {
  uint32_t item = 0;       ///< in queues.gangs
  api::GangStatus status;  ///< as it should be
  int32_t placedNow = 0;   ///< new entries
  bool frees = false;      ///< entries went, or gave back their node
  bool verdictChanged = false;
};

/// A lone pod that got a node, or whose reason to wait changed.
struct PodDecision {
  uint32_t item = 0;        ///< in queues.pods
  std::string node, cards;  ///< empty node: it waits
  std::string message;      ///< why it waits
};

struct Decisions {
  std::vector<GangDecision> gangs;  ///< in serving order
  std::vector<PodDecision> pods;    ///< in serving order
};

/// What is placed stays placed in `snapshot`.
Decisions schedule(Snapshot& snapshot, const Queues& queues, Time now);

}  // namespace stoker::scheduler
