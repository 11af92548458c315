// back_off.h: how long a crashed container rests before its next run: kubelet's CrashLoopBackOff. The first restart is
// immediate, then base, 2 base, 4 base ... up to the maximum; a run that lasted longer than `resetAfter` starts it
// anew.
//
// A pure fold over the ends of runs, so that an agent that was restarted reaches the same answer from the runtime's
// records.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace stoker::node {

struct BackOffLimits {
  Duration base = 10s;
  Duration maximum = 300s;
  Duration resetAfter = 600s;
};

class BackOff {
 public:
  /// A run ended; returns how long after `finishedAt` the next one may start.
  Duration ended(Time startedAt, Time finishedAt, const BackOffLimits& limits) {
    bool healthy = startedAt != Time{} && finishedAt - startedAt > limits.resetAfter;
    if (healthy) next_ = Duration(0);
    current_ = next_;
    next_ = next_ == Duration(0) ? limits.base : std::min(next_ * 2, limits.maximum);
    return current_;
  }
  /// The rest after the latest end.
  Duration current() const { return current_; }

 private:
  Duration current_{0}, next_{0};
};

}  // namespace stoker::node
