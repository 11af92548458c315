#include "node/agent/lifecycle.h"

#include <algorithm>

namespace stoker::node {
namespace {

using State = ContainerRun::State;
using Sandbox = PodRun::Sandbox;

constexpr int64_t kDefaultGrace = 30;  // terminationGracePeriodSeconds
// Kills that the node decides on give at least this long, whatever the pod says (kubelet's
// minimumGracePeriodInSeconds).
constexpr int64_t kLeastOwnGrace = 2;

void wake(Decision& decision, Time at) {
  if (!decision.wakeAt || at < *decision.wakeAt) decision.wakeAt = at;
}

/// Seconds from `now` until `by`, rounded up, never negative.
int secondsUntil(Time by, Time now) {
  if (by <= now) return 0;
  return static_cast<int>(std::chrono::ceil<std::chrono::seconds>(by - now).count());
}

/// Ends what still runs: main containers first, then sidecars in reverse order, then the sandbox.
void windDown(Decision& decision, const podspec::PodSpec& spec, const PodRun& run, const Wish& wish, Time now) {
  int grace =
      wish.deleting
          ? secondsUntil(wish.killBy, now)
          : static_cast<int>(std::max(spec.terminationGracePeriodSeconds.value_or(kDefaultGrace), kLeastOwnGrace));
  Time by = plusSeconds(now, grace);
  std::vector<size_t> workers, sidecars;
  for (size_t i = 0; i < run.containers.size(); ++i)
    if (run.containers[i].active()) (run.containers[i].sidecar ? sidecars : workers).push_back(i);

  if (!workers.empty() || !sidecars.empty()) {
    bool kinds = !workers.empty() && !sidecars.empty();
    if (!kinds && (sidecars.size() <= 1)) {
      // One command that the supervisor carries to its end, also when this process dies meanwhile.
      if (!run.killBy || by < *run.killBy) decision.killPod = grace;
      return;
    }
    if (workers.empty()) workers = {sidecars.back()};
    for (size_t i : workers) {
      const auto& stopBy = run.containers[i].stopBy;
      if (!stopBy || by < *stopBy) decision.stop.push_back({i, grace});
    }
    return;
  }
  // A kill that was commanded ends the sandbox too.
  if ((run.sandbox == Sandbox::Ready || run.sandbox == Sandbox::Creating) && !run.killBy) decision.killPod = 0;
  decision.over = true;
  decision.cleared = run.sandbox == Sandbox::Absent || run.sandbox == Sandbox::Gone;
}

/// Starts `index` now, or wakes when it may be.
void startOrWait(Decision& decision, const PodRun& run, size_t index, Time now) {
  const ContainerRun& container = run.containers[index];
  bool waits = (container.state == State::Exited || container.problem) && container.restartAt > now;
  if (waits)
    wake(decision, container.restartAt);
  else
    decision.start.push_back(index);
}

}  // namespace

std::optional<bool> naturalOutcome(const podspec::PodSpec& spec, const PodRun& run) {
  bool allEnded = true, allSucceeded = true;
  for (const ContainerRun& container : run.containers) {
    if (container.init) {
      if (!container.sidecar && container.ended() && container.last->exitCode != 0 &&
          !restarts(spec, container, container.last->exitCode))
        return false;
      continue;
    }
    if (!container.ended() || restarts(spec, container, container.last->exitCode))
      allEnded = false;
    else
      allSucceeded = allSucceeded && container.last->exitCode == 0;
  }
  if (!allEnded) return std::nullopt;
  return allSucceeded;
}

std::optional<Rejection> deadlineFailure(const podspec::PodSpec& spec, const PodRun& run, Time now) {
  if (!spec.activeDeadlineSeconds || run.startTime == Time{}) return std::nullopt;
  Time deadline = plusSeconds(run.startTime, *spec.activeDeadlineSeconds);
  if (now < deadline) return std::nullopt;
  if (naturalOutcome(spec, run)) {
    // Ended by itself in time, only noticed late; ends after the deadline are those of the kill.
    bool inTime = std::all_of(run.containers.begin(), run.containers.end(), [&](const ContainerRun& c) {
      return c.sidecar || !c.last || c.last->finishedAt <= deadline;
    });
    if (inTime) return std::nullopt;
  }
  return Rejection{"DeadlineExceeded", "Pod was active on the node longer than the specified deadline"};
}

Decision decide(const podspec::PodSpec& spec, const PodRun& run, const Wish& wish, Time now) {
  Decision decision;
  if (wish.deleting || run.failure || naturalOutcome(spec, run)) {
    windDown(decision, spec, run, wish, now);
    return decision;
  }
  if (spec.activeDeadlineSeconds && run.startTime != Time{})
    wake(decision, plusSeconds(run.startTime, *spec.activeDeadlineSeconds));

  if (run.sandbox == Sandbox::Creating) return decision;
  if (run.retryAt > now) {
    wake(decision, run.retryAt);
    return decision;
  }
  if (run.sandbox != Sandbox::Ready) {
    decision.ensureSandbox = true;
    return decision;
  }

  bool mainsBegun = std::any_of(run.containers.begin(), run.containers.end(),
                                [](const ContainerRun& c) { return !c.init && c.state != State::NotStarted; });
  for (size_t i = 0; i < run.containers.size(); ++i) {
    const ContainerRun& container = run.containers[i];
    if (container.sidecar) {
      if (container.state == State::NotStarted || container.state == State::Exited) startOrWait(decision, run, i, now);
      bool up = container.state == State::Running && container.startupDone;
      // Once the main containers are under way, a sidecar that crashes is restarted beside them.
      if (!up && !mainsBegun) return decision;
    } else if (container.init) {
      if (container.done) continue;
      if (container.state == State::NotStarted || container.state == State::Exited) startOrWait(decision, run, i, now);
      return decision;
    } else if (container.state == State::NotStarted ||
               (container.ended() && restarts(spec, container, container.last->exitCode))) {
      startOrWait(decision, run, i, now);
    }
  }
  return decision;
}

}  // namespace stoker::node
