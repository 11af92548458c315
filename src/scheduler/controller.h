// controller.h
//
// The scheduler's shell: one key, the whole line. Each pass reads the informers' View, decides (schedule.h) and turns
// the decisions into writes. It keeps no state: what is held is in the API's objects, and a pass does not run again
// before the informers have seen what the last one wrote.
#pragma once

#include "client/manager.h"
#include "scheduler/input.h"
#include "scheduler/schedule.h"

namespace stoker::scheduler {

class SchedulerController final : public client::Controller {
 public:
  struct Options {
    /// Pods of "default-scheduler" are placed too. False where a kube-scheduler runs beside us.
    bool embedded = true;
  };
  explicit SchedulerController(Options options) : options_(options) {}
  SchedulerController() : SchedulerController(Options{}) {}

  std::string name() const override { return "scheduler"; }
  void setup(client::Watches& watches) override;
  client::Plan reconcile(const client::View& view, const client::Key& key, Time now) override;

 private:
  Options options_;
};

/// The writes that carry out `decisions`: what frees places, placements, verdicts; each guarded by what it was decided
/// from; independent of each other (Mode::Each). At most kMaxPlacedPerPass placements and kMaxVerdictsPerPass verdicts:
/// the rest is decided again in the next pass, which these writes bring about.
client::Plan planOf(const Decisions& decisions, const Queues& queues, Time now);

/// A pass is one batch of commits, and nothing else is placed while it is written: about 0.2 s at 5,000 writes a
/// second.
inline constexpr size_t kMaxPlacedPerPass = 1024;
/// Verdicts may wait for placements, not the other way round.
inline constexpr size_t kMaxVerdictsPerPass = 256;

}  // namespace stoker::scheduler
