#include "scheduler/controller.h"

#include <fmt/format.h>

namespace stoker::scheduler {

namespace {

using client::Plan;
using client::Write;

/// The whole status: what is empty must be said, or a merge patch would leave what was there.
std::string statusPatch(const api::GangStatus& status) {
  json::Arena arena;
  json::Value value = api::encode(arena, status);
  value = json::with(arena, value, "placement", api::encode(arena, status.placement));
  return json::print(json::Object(arena).set("status", value).build());
}

/// An event about the job a gang belongs to; about the gang itself when nobody owns it.
void tellOwner(Plan& plan, const api::Gang& gang, const char* type, const char* reason, std::string message) {
  if (const api::OwnerReference* owner = gang.metadata.controller()) {
    plan.events.push_back({owner->apiVersion, owner->kind, gang.metadata.namespace_, owner->name, owner->uid, type,
                           reason, std::move(message)});
  } else {
    plan.event(gang, type, reason, std::move(message));
  }
}

void writeGang(Plan& plan, const GangItem& item, const GangDecision& decision) {
  const api::Gang& gang = *item.gang;
  auto& write =
      plan.patch<api::Gang>(gang.metadata.namespace_, gang.metadata.name, statusPatch(decision.status), "status");
  write.resourceVersion = item.resourceVersion;
  for (const std::string& lost : item.lost) tellOwner(plan, gang, "Warning", "PlaceLost", "lost the place of " + lost);
  if (!decision.verdictChanged && decision.placedNow == 0) return;
  const api::GangVerdict& verdict = decision.status.verdict;
  if (verdict.reason == "Unschedulable")
    tellOwner(plan, gang, "Warning", "FailedScheduling", verdict.message);
  else if (verdict.reason == "Placed" && decision.placedNow > 0)
    tellOwner(
        plan, gang, "Normal", "Scheduled",
        fmt::format("Successfully placed {}/{}: {}", gang.metadata.namespace_, gang.metadata.name, verdict.message));
}

void bind(Plan& plan, const api::Pod& pod, const PodDecision& decision) {
  const api::ObjectMeta& meta = pod.metadata;
  json::Arena arena;
  json::Object metadata(arena);
  metadata.set("name", meta.name).set("namespace", meta.namespace_).set("uid", meta.uid);
  if (!decision.cards.empty())
    metadata.set("annotations", json::Object(arena).set(api::kCardsAnnotation, decision.cards).build());
  json::Value binding =
      json::Object(arena)
          .set("apiVersion", "v1")
          .set("kind", "Binding")
          .set("metadata", metadata.build())
          .set("target",
               json::Object(arena).set("apiVersion", "v1").set("kind", "Node").set("name", decision.node).build())
          .build();
  auto& write = plan.create<api::Pod>(meta.namespace_, meta.name, json::print(binding));
  write.subresource = "binding";
  write.uid = meta.uid;
  plan.event(pod, "Normal", "Scheduled",
             fmt::format("Successfully assigned {}/{} to {}", meta.namespace_, meta.name, decision.node));
}

/// PodScheduled=False, Unschedulable: what autoscalers and kubectl read.
void tellPod(Plan& plan, const api::Pod& pod, const PodDecision& decision, Time now) {
  const api::Condition* known = api::findCondition(pod.status.conditions, "PodScheduled");
  Time since =
      known && known->status == "False" && known->lastTransitionTime != Time{} ? known->lastTransitionTime : now;
  json::Arena arena;
  json::Value condition = json::Object(arena)
                              .set("type", "PodScheduled")
                              .set("status", "False")
                              .set("reason", "Unschedulable")
                              .set("message", decision.message)
                              .set("lastTransitionTime", formatTime(since))
                              .build();
  json::Value status = json::Object(arena).set("conditions", json::array(arena, {condition})).build();
  auto& write = plan.patch<api::Pod>(pod.metadata.namespace_, pod.metadata.name,
                                     json::print(json::Object(arena).set("status", status).build()), "status");
  write.patchType = client::PatchType::Strategic;  // conditions merge by type
  write.uid = pod.metadata.uid;
  plan.event(pod, "Warning", "FailedScheduling", decision.message);
}

}  // namespace

Plan planOf(const Decisions& decisions, const Queues& queues, Time now) {
  Plan plan;
  plan.mode = client::Mode::Each;
  size_t placed = 0, told = 0;
  for (const GangDecision& decision : decisions.gangs)
    if (decision.frees && placed++ < kMaxPlacedPerPass) writeGang(plan, queues.gangs[decision.item], decision);
  for (const GangDecision& decision : decisions.gangs)
    if (decision.placedNow > 0 && !decision.frees && placed++ < kMaxPlacedPerPass)
      writeGang(plan, queues.gangs[decision.item], decision);
  for (const PodDecision& decision : decisions.pods)
    if (!decision.node.empty() && placed++ < kMaxPlacedPerPass) bind(plan, *queues.pods[decision.item].pod, decision);
  for (const GangDecision& decision : decisions.gangs)
    if (decision.placedNow == 0 && !decision.frees && told++ < kMaxVerdictsPerPass)
      writeGang(plan, queues.gangs[decision.item], decision);
  for (const PodDecision& decision : decisions.pods)
    if (decision.node.empty() && told++ < kMaxVerdictsPerPass)
      tellPod(plan, *queues.pods[decision.item].pod, decision, now);
  return plan;
}

void SchedulerController::setup(client::Watches& watches) {
  watches.on<api::Node>(client::singleKey);
  watches.on<api::Gang>(client::singleKey);
  // Follower first: it has seen a change when the handler is asked.
  PodIndex& pods = watches.follow<PodIndex>();
  watches.on<api::Pod>([&pods, seen = uint64_t{0}](const auto&, const auto*, const auto*) mutable {
    return std::exchange(seen, pods.version()) == pods.version() ? std::vector<client::Key>{}
                                                                 : std::vector{client::Key{}};
  });
}

Plan SchedulerController::reconcile(const client::View& view, const client::Key&, Time now) {
  Input input = buildInput(view, {.embedded = options_.embedded});
  if (input.queues.order.empty()) return {};
  Decisions decisions = schedule(*input.snapshot, input.queues, now);
  return planOf(decisions, input.queues, now);
}

}  // namespace stoker::scheduler
