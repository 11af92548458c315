// why.h: the scheduler's verdict as text for people (`stoker why`). Reads objects only; works anywhere the objects are
// at hand.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "api/gang.h"

namespace stoker::scheduler {

/// Where a waiting gang stands among those that wait.
struct QueuePlace {
  int position = 0;  ///< 1 = next
  int waiting = 0;
};
/// nullopt when the gang does not wait (placed, suspended, finished). `all`: every gang of the cluster, this one
/// included or not.
std::optional<QueuePlace> queuePlace(const api::Gang& gang, std::span<const api::Gang> all);

/// Phase, reason and since when, place in the line, and what each role asks for and has; one fact per line.
std::string whyText(const api::Gang& gang, Time now, std::optional<QueuePlace> place = std::nullopt);

/// The same for a pod that belongs to no gang.
std::string whyText(const api::Pod& pod, Time now);

}  // namespace stoker::scheduler
