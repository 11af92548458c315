#include "scheduler/why.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "scheduler/queue/queues.h"

namespace stoker::scheduler {

namespace {

bool waits(const api::Gang& gang) {
  return !gang.spec.finished && !gang.spec.suspended && !gang.metadata.deleting() && gang.status.phase != "Placed" &&
         gang.status.phase != "Finished";
}

void line(std::string& out, std::string_view label, std::string_view text) {
  out += fmt::format("{:<10}{}\n", label, text);
}

std::string wishes(const api::GangRole& role) {
  std::vector<std::string> parts;
  for (const auto& [name, quantity] : role.requests) parts.push_back(name + "=" + quantity);
  return parts.empty() ? "nothing" : join(parts, ", ");
}

}  // namespace

std::optional<QueuePlace> queuePlace(const api::Gang& gang, std::span<const api::Gang> all) {
  if (!waits(gang)) return std::nullopt;
  QueuePlace place{1, 1};
  for (const api::Gang& other : all) {
    bool self = other.metadata.namespace_ == gang.metadata.namespace_ && other.metadata.name == gang.metadata.name;
    if (self || !waits(other)) continue;
    ++place.waiting;
    if (servedBefore(other, gang)) ++place.position;
  }
  return place;
}

std::string whyText(const api::Gang& gang, Time now, std::optional<QueuePlace> place) {
  const api::GangStatus& status = gang.status;
  std::string out;
  line(out, "Gang:", gang.metadata.namespace_ + "/" + gang.metadata.name);
  line(out, "Phase:", status.phase.empty() ? "Pending" : status.phase);
  if (status.verdict.reason.empty()) {
    line(out, "Reason:", "the scheduler has not looked at it yet");
  } else {
    line(out, "Reason:",
         fmt::format("{} for {} (since {})", status.verdict.reason, humanDuration(now - status.verdict.since),
                     formatTime(status.verdict.since)));
    line(out, "Because:", status.verdict.message);
  }
  if (place)
    line(out,
         "Queue:", fmt::format("{} of {} waiting, priority {}", place->position, place->waiting, gang.spec.priority));
  for (const api::GangRole& role : gang.spec.roles) {
    auto placed = std::count_if(status.placement.begin(), status.placement.end(),
                                [&](const auto& p) { return p.role == role.name; });
    std::string least =
        role.minCount > 0 && role.minCount < role.count ? fmt::format(" (at least {})", role.minCount) : "";
    line(out, "Role:",
         fmt::format("{}: {} of {} placed{}; each asks for {}", role.name, placed, role.count, least, wishes(role)));
  }
  for (const api::GangPlacement& p : status.placement)
    line(out, "Place:", fmt::format("{} on {}{}", p.pod, p.node, p.cards.empty() ? "" : ", cards " + p.cards));
  return out;
}

std::string whyText(const api::Pod& pod, Time now) {
  std::string out;
  line(out, "Pod:", pod.metadata.namespace_ + "/" + pod.metadata.name);
  line(out, "Phase:", pod.status.phase.empty() ? "Pending" : pod.status.phase);
  if (!pod.spec.nodeName.empty()) {
    line(out, "Place:", pod.spec.nodeName);
    if (std::string cards = pod.metadata.annotation(api::kCardsAnnotation); !cards.empty()) line(out, "Cards:", cards);
    return out;
  }
  if (!pod.spec.schedulingGates.empty()) {
    line(out, "Reason:",
         fmt::format("SchedulingGated: waits until gate {} is removed", quote(pod.spec.schedulingGates[0].name)));
    return out;
  }
  const api::Condition* verdict = api::findCondition(pod.status.conditions, "PodScheduled");
  if (!verdict) {
    line(out, "Reason:", "the scheduler has not looked at it yet");
    return out;
  }
  line(out, "Reason:",
       fmt::format("{} for {} (since {})", verdict->reason, humanDuration(now - verdict->lastTransitionTime),
                   formatTime(verdict->lastTransitionTime)));
  line(out, "Because:", verdict->message);
  return out;
}

}  // namespace stoker::scheduler
