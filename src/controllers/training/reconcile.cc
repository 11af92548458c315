#include "controllers/training/reconcile.h"

#include <fmt/format.h>

#include "controllers/training/pods.h"
#include "controllers/training/restarts.h"
#include "controllers/training/status.h"
#include "kube/patch.h"

namespace stoker::controllers::training {
namespace {

using client::Plan;
using client::Write;
using PodEntry = client::EntryPtr<api::Pod>;

/// How long a pod that its node refused is left as it is, for the scheduler to see it and plan anew, before it is made
/// again at the same place.
constexpr Duration kRefusedPause = 10s;
/// How soon to look again when a pod is placed on a node that is lost: the scheduler will plan anew, or the node is
/// back.
constexpr Duration kLostNodePause = 1s;
/// How soon to look again when a name is taken by an object of somebody else.
constexpr Duration kNameTakenPause = 10s;
/// Exit code of a pod whose default container has none to show (upstream's 0xbeef): counts as retryable.
constexpr int32_t kNoExitCode = 0xbeef;
/// From here on an exit code means a signal or a fault of the machine, not of the program (ExitCode policy).
constexpr int32_t kFirstRetryableExitCode = 128;

struct Slot {
  const Role* role;
  int index;
  std::string name;  // of pod and Service
  PodEntry pod;      // null when there is none
  const api::GangPlacement* place = nullptr;
  const api::Pod* object() const { return pod ? &pod->object : nullptr; }
};

std::string deadlineMessage(const Workload& job) {
  return fmt::format("Job {} has failed because it was active longer than specified deadline", job.metadata.name);
}

int32_t exitCode(const api::Pod& pod, const std::string& container) {
  for (const api::ContainerStatus& s : pod.status.containerStatuses)
    if (s.name == container && s.state.terminated) return s.state.terminated->exitCode;
  return kNoExitCode;
}

class Reconciliation {
 public:
  Reconciliation(const client::View& view, const Workload& job, Time now)
      : view_(view), job_(job), now_(now), status_(job, now), restarts_(readRestarts(job.metadata)) {}

  Plan run() {
    if (job_.metadata.deleting() || managedByOther()) return {};
    observe();
    status_.set(kCreated, true, kCreated, fmt::format("{} {} is created.", job_.kind, job_.metadata.name));
    bool wasSuspended = status_.is(kSuspended);
    if (status_.finished()) {
      // Nothing left to decide.
    } else if (job_.policy.suspend || (wasSuspended && (!slots_.empty() && anyPod()))) {
      // A resumed job waits until the last pod of its earlier run is gone.
      suspend();
    } else {
      if (wasSuspended) {
        status_.status().startTime = now_;
        status_.set(kSuspended, false, "Resumed", fmt::format("{} {} is resumed.", job_.kind, job_.metadata.name),
                    "Normal");
      }
      countReplicas();
      checkLimits();
      if (!status_.finished()) advance();
    }
    if (status_.finished()) finish();
    return assemble();
  }

 private:
  // ---- what is
  // ---------------------------------------------------------------------------------------------------------

  bool managedByOther() const {
    return !job_.policy.managedBy.empty() && job_.policy.managedBy != "kubeflow.org/training-operator";
  }

  void observe() {
    const std::string& ns = job_.metadata.namespace_;
    gang_ = view_.of<api::Gang>().find(ns, job_.gangName);
    if (gang_ && !ours(gang_->object.metadata)) {
      foreignGang_ = true;
      gang_ = nullptr;
    }
    std::map<std::string, PodEntry> pods;
    for (const PodEntry& pod : view_.of<api::Pod>().ownedBy(job_.metadata.uid))
      if (ours(pod->object.metadata)) pods[pod->object.metadata.name] = pod;
    for (const auto& service : view_.of<api::Service>().ownedBy(job_.metadata.uid))
      if (ours(service->object.metadata)) services_[service->object.metadata.name] = service;
    for (const Role& role : job_.roles)
      for (int i = 0; i < role.count; ++i) {
        Slot slot{&role, i, job_.podName(role, i)};
        if (auto it = pods.find(slot.name); it != pods.end()) {
          slot.pod = it->second;
          pods.erase(it);
        }
        slots_.push_back(std::move(slot));
      }
    for (auto& [name, pod] : pods) surplus_.push_back(pod);  // of replicas no longer wanted
    if (!gang_) return;
    std::map<std::pair<std::string_view, int>, const api::GangPlacement*> places;
    for (const api::GangPlacement& place : gang_->object.status.placement)
      if (!place.node.empty())
        places[{place.role, place.index}] = &place;  // without a node: given back by a pod that succeeded
    for (Slot& slot : slots_)
      if (auto it = places.find({slot.role->name, slot.index}); it != places.end()) slot.place = it->second;
  }

  bool ours(const api::ObjectMeta& meta) const {
    const api::OwnerReference* owner = meta.controller();
    return owner && owner->uid == job_.metadata.uid;
  }
  bool anyPod() const {
    return !surplus_.empty() ||
           std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.pod != nullptr; });
  }
  bool anyActivePod() const {
    return std::any_of(surplus_.begin(), surplus_.end(), [](const PodEntry& p) { return !p->object.finished(); }) ||
           std::any_of(slots_.begin(), slots_.end(), [](const Slot& s) { return s.pod && !s.pod->object.finished(); });
  }

  /// The pod is where the placement wants it. Finished pods are where they were: nothing moves them.
  static bool inPlace(const Slot& slot) {
    const api::Pod& pod = slot.pod->object;
    return pod.finished() || (slot.place && pod.spec.nodeName == slot.place->node &&
                              pod.metadata.annotation(api::kCardsAnnotation) == slot.place->cards);
  }

  /// All that must be placed together is placed (or has done its work already).
  bool placed() const {
    if (!gang_ || gang_->object.spec.suspended || gang_->object.spec.finished) return false;
    for (const Role& role : job_.roles) {
      int satisfied = 0;
      for (const Slot& slot : slots_)
        if (slot.role == &role && (slot.place || (slot.pod && slot.pod->object.status.phase == "Succeeded")))
          ++satisfied;
      if (satisfied < role.minCount) return false;
    }
    return true;
  }

  void countReplicas() {
    if (status_.status().startTime == Time{}) return;  // not started: nothing to count
    counts_.assign(job_.roles.size(), {});
    for (const Slot& slot : slots_) {
      if (!slot.pod) continue;
      const api::Pod& pod = slot.pod->object;
      Counts& c = counts_[static_cast<size_t>(slot.role - job_.roles.data())];
      if (pod.status.phase == "Succeeded")
        ++c.succeeded;
      else if (pod.status.phase == "Running" && !pod.metadata.deleting())
        ++c.active;
      else if (pod.status.phase == "Running" || pod.status.phase == "Failed") {
        ++c.failed;
        if (disrupted(pod) || refused(pod) || !inPlace(slot)) ++c.excused;
      }
    }
    for (size_t i = 0; i < job_.roles.size(); ++i)
      status_.status().replicaStatuses[job_.roles[i].type] = {.active = counts_[i].active,
                                                              .succeeded = counts_[i].succeeded,
                                                              .failed = counts_[i].failed,
                                                              .selector = roleSelector(job_, job_.roles[i])};
    noteExits();
  }

  // ---- what follows
  // ----------------------------------------------------------------------------------------------------

  void suspend() {
    std::string message = fmt::format("{} {} is suspended.", job_.kind, job_.metadata.name);
    for (auto& [type, replica] : status_.status().replicaStatuses) replica.active = 0;
    if (status_.is(kRunning)) status_.set(kRunning, false, kSuspended, message);
    if (!status_.is(kSuspended)) status_.set(kSuspended, true, kSuspended, message, "Normal");
    removeAll([](const api::Pod&) { return true; });
    // The place is given back when nothing runs there any more.
    suspended_ = !anyPod();
    if (!suspended_ && gang_) suspended_ = gang_->object.spec.suspended;
  }

  void checkLimits() {
    const api::RunPolicy& policy = job_.policy;
    int64_t failures = 0, inPlace = 0;
    for (const Slot& slot : slots_) {
      const api::Pod* pod = slot.object();
      if (!pod || slot.role->restartPolicy == "Never") continue;
      std::string key = fmt::format("{}-{}", slot.role->name, slot.index);
      if (restartable(slot) && countRestart(restarts_, key, *pod)) {
        ++failures;
        restartsChanged_ = true;
      } else if (auto it = restarts_.find(key); it == restarts_.end() || it->second.pod != pod->metadata.uid) {
        if (pod->status.phase == "Running") inPlace += containerRestarts(*pod);
      } else if (restartable(slot)) {
        ++failures;  // counted by a plan that was cut before it was judged
      }
    }
    if (policy.backoffLimit && pastBackoffLimit(*policy.backoffLimit, totalRestarts(restarts_), failures, inPlace)) {
      status_.finish(kFailed, fmt::format("Job {} has failed because it has reached the specified backoff limit",
                                          job_.metadata.name));
      return;
    }
    Time start = status_.status().startTime;
    if (policy.activeDeadlineSeconds && start != Time{}) {
      Time deadline = plusSeconds(start, *policy.activeDeadlineSeconds);
      if (now_ >= deadline)
        status_.finish(kFailed, deadlineMessage(job_));
      else
        plan_.wake(deadline);
    }
  }

  /// A failed pod that the restart policy makes again.
  bool restartable(const Slot& slot) const {
    const api::Pod& pod = slot.pod->object;
    if (pod.status.phase != "Failed" || disrupted(pod) || refused(pod)) return false;
    const std::string& policy = slot.role->restartPolicy;
    return policy == "OnFailure" || policy == "Always" || (policy == "ExitCode" && retryableExit(pod));
  }
  bool retryableExit(const api::Pod& pod) const {
    return exitCode(pod, job_.framework->defaultContainer()) >= kFirstRetryableExitCode;
  }

  void advance() {
    if (foreignGang_) {
      nameTaken("Gang", job_.gangName, job_.gangName);
      return;
    }
    bool ready = placed();
    if (ready && status_.status().startTime == Time{}) {
      status_.status().startTime = now_;
      if (job_.policy.activeDeadlineSeconds) plan_.wake(plusSeconds(now_, *job_.policy.activeDeadlineSeconds));
    }
    if (status_.status().startTime == Time{}) return;  // still waiting for its first place
    if (counts_.empty()) countReplicas();
    restartFailed();
    if (status_.finished()) return;
    job_.framework->judge(job_, counts_, status_);
    if (status_.finished()) return;
    moveAndScaleIn();
    if (ready) createMissing();
  }

  void restartFailed() {
    for (Slot& slot : slots_) {
      const api::Pod* pod = slot.object();
      if (!pod || pod->status.phase != "Failed" || pod->metadata.deleting()) continue;
      if (refused(*pod)) {
        // The scheduler plans anew when it sees the refusal; until then the same place would refuse again.
        bool replanned =
            slot.place && pod->metadata.annotation(kEpochAnnotation) != std::to_string(gang_->object.status.epoch);
        Time due = pod->metadata.creationTimestamp + kRefusedPause;
        if (replanned || now_ >= due)
          removePod(slot.pod);
        else
          plan_.wake(due);
      } else if (disrupted(*pod)) {
        removePod(slot.pod);
      } else if (restartable(slot)) {
        removePod(slot.pod);
        status_.set(
            kRestarting, true, kRestarting,
            fmt::format("job {} is restarting because {} replica(s) failed.", job_.metadata.name, slot.role->type),
            "Warning");
      } else if (slot.role->restartPolicy == "ExitCode") {
        status_.finish(kFailed, fmt::format("job \"{}\" is failing because \"{}\" replica(s) failed.",
                                            job_.metadata.name, slot.role->type));
        return;
      }
    }
  }

  void moveAndScaleIn() {
    for (const Slot& slot : slots_)
      // Without a Gang in sight there is no telling where pods belong.
      if (slot.pod && gang_ && !inPlace(slot) && !slot.pod->object.metadata.deleting()) removePod(slot.pod);
    for (const PodEntry& pod : surplus_)
      if (!pod->object.metadata.deleting()) removePod(pod);
    for (const auto& [name, service] : services_)
      if (std::none_of(slots_.begin(), slots_.end(), [&](const Slot& s) { return s.name == name; }))
        removeService(service);
  }

  /// The node is there and says that it is ready. A pod made on a lost node would keep its place there.
  bool nodeReady(const std::string& name) const {
    const api::Node* node = view_.of<api::Node>().get("", name);
    return node && !node->metadata.deleting() && api::isTrue(node->status.conditions, "Ready");
  }

  void createMissing() {
    for (const Slot& slot : slots_)
      if (!slot.pod && slot.place && !nodeReady(slot.place->node)) return plan_.wake(now_ + kLostNodePause);
    for (const Slot& slot : slots_) {
      if (!slot.pod && slot.place && taken<api::Pod>("Pod", slot.name)) return;
      if (!services_.contains(slot.name) && job_.framework->services() && taken<api::Service>("Service", slot.name))
        return;
    }
    for (const Slot& slot : slots_) {
      if (services_.contains(slot.name) || !job_.framework->services()) continue;
      if (!slot.place && !slot.pod) continue;
      creates_.push_back({.verb = Write::Verb::Create,
                          .resource = client::gvrOf<api::Service>(),
                          .namespace_ = job_.metadata.namespace_,
                          .name = slot.name,
                          .body = serviceText(job_, *slot.role, slot.index)});
      status_.event("Normal", "SuccessfulCreateService", "Created service: " + slot.name);
    }
    for (const Slot& slot : slots_) {
      if (slot.pod || !slot.place) continue;
      if (templateNamesRestartPolicy(*slot.role))
        status_.event("Warning", "SetPodTemplateRestartPolicy",
                      "Restart policy in pod template will be overwritten by restart policy in replica spec");
      if (templateNamesOtherScheduler(*slot.role))
        status_.event("Warning", "SetPodTemplateSchedulerName",
                      "Another scheduler is specified when gang-scheduling is enabled and it will not be overwritten");
      creates_.push_back({.verb = Write::Verb::Create,
                          .resource = client::gvrOf<api::Pod>(),
                          .namespace_ = job_.metadata.namespace_,
                          .name = slot.name,
                          .body = podText(job_, *slot.role, slot.index, *slot.place, gang_->object.status.epoch)});
      status_.event("Normal", "SuccessfulCreatePod", "Created pod: " + slot.name);
    }
  }

  /// An object of somebody else (an earlier job of that name that is not gone yet, for one) has the name.
  template <class T>
  bool taken(const char* kind, const std::string& name) {
    const T* found = view_.of<T>().get(job_.metadata.namespace_, name);
    if (!found || ours(found->metadata)) return false;
    nameTaken(kind, name, found->metadata.controller() ? found->metadata.controller()->name : "");
    return true;
  }
  void nameTaken(const char* kind, const std::string& name, const std::string& owner) {
    status_.event(
        "Warning", fmt::format("FailedCreate{}", kind),
        fmt::format("Error creating: {} \"{}\" already exists and belongs to {}; it must go before this job can start",
                    kind, name, owner.empty() ? "nobody" : owner));
    plan_.wake(now_ + kNameTakenPause);
  }

  /// Upstream's events about exit codes and containers in trouble; told when the status moves, not on every look.
  void noteExits() {
    if (!status_.changed()) return;
    for (const Slot& slot : slots_) {
      if (!slot.pod) continue;
      const api::Pod& pod = slot.pod->object;
      for (const api::ContainerStatus& s : pod.status.containerStatuses) {
        if (s.name == job_.framework->defaultContainer() && s.state.terminated)
          status_.event("Normal", "ExitedWithCode",
                        fmt::format("Pod: {}.{} exited with code {}", pod.metadata.namespace_, pod.metadata.name,
                                    s.state.terminated->exitCode));
        if (pod.finished()) continue;
        if (s.state.terminated && s.state.terminated->exitCode != 0)
          status_.event("Warning", s.state.terminated->reason,
                        fmt::format("Error pod {} container {} exitCode: {} terminated message: {}", pod.metadata.name,
                                    s.name, s.state.terminated->exitCode, s.state.terminated->message));
        if (s.state.waiting && !s.state.waiting->message.empty())
          status_.event("Warning", s.state.waiting->reason,
                        fmt::format("Error pod {} container {} waiting message: {}", pod.metadata.name, s.name,
                                    s.state.waiting->message));
      }
    }
  }

  void finish() {
    api::JobStatus& status = status_.status();
    if (status_.is(kSucceeded))
      for (auto& [type, replica] : status.replicaStatuses) {
        replica.succeeded += replica.active;
        replica.active = 0;
      }
    const std::string& clean = job_.policy.cleanPodPolicy;
    const api::Condition* failed = api::findCondition(status.conditions, kFailed);
    // A deadline is there to end what runs; logs of pods that have ended stay.
    bool pastDeadline = failed && failed->status == "True" && failed->message == deadlineMessage(job_);
    if (clean == "All")
      removeAll([](const api::Pod&) { return true; });
    else if (clean == "Running" || pastDeadline)
      removeAll([](const api::Pod& pod) { return !pod.finished(); });
    // None keeps what has something to show. A pod that has not begun has nothing, and its init container would wait
    // with its cards in hand for a master that is gone (pytorch-operator#352).
    else
      removeAll([](const api::Pod& pod) { return pod.status.phase.empty() || pod.status.phase == "Pending"; });
    if (clean != "None" || pastDeadline)
      for (auto& [type, replica] : status.replicaStatuses) replica.active = 0;
    // What still runs still holds its place.
    finished_ = !anyActivePod() || (gang_ && gang_->object.spec.finished);
    expire(status);
  }

  void expire(const api::JobStatus& status) {
    if (!job_.policy.ttlSecondsAfterFinished || job_.policy.suspend) return;
    Time ended = status.completionTime;
    if (ended == Time{})
      for (const api::Condition& c : status.conditions)
        if (c.type == kSucceeded || c.type == kFailed) ended = std::max(ended, c.lastTransitionTime);
    Time due = ended + std::chrono::seconds(*job_.policy.ttlSecondsAfterFinished);
    if (now_ < due) return plan_.wake(due);
    if (!isFinished(job_.status)) return plan_.wake(now_);  // first let the end be seen
    expired_ = true;
    status_.event("Normal", "SuccessfulDeletePod", "Deleted job: " + job_.metadata.name);
  }

  // ---- writes
  // ----------------------------------------------------------------------------------------------------------

  void removePod(const PodEntry& pod) {
    const api::ObjectMeta& meta = pod->object.metadata;
    if (std::any_of(deletes_.begin(), deletes_.end(), [&](const Write& w) { return w.uid == meta.uid; })) return;
    deletes_.push_back({.verb = Write::Verb::Delete,
                        .resource = client::gvrOf<api::Pod>(),
                        .namespace_ = meta.namespace_,
                        .name = meta.name,
                        .uid = meta.uid});
    status_.event("Normal", "SuccessfulDeletePod", "Deleted pod: " + meta.name);
  }
  void removeService(const client::EntryPtr<api::Service>& service) {
    const api::ObjectMeta& meta = service->object.metadata;
    if (meta.deleting()) return;
    deletes_.push_back({.verb = Write::Verb::Delete,
                        .resource = client::gvrOf<api::Service>(),
                        .namespace_ = meta.namespace_,
                        .name = meta.name,
                        .uid = meta.uid});
    status_.event("Normal", "SuccessfulDeleteService", "Deleted service: " + meta.name);
  }
  /// Pods for which `which` holds, and Services without a pod that stays.
  void removeAll(const std::function<bool(const api::Pod&)>& which) {
    std::set<std::string> staying;
    auto consider = [&](const PodEntry& pod) {
      if (!which(pod->object))
        staying.insert(pod->object.metadata.name);
      else if (!pod->object.metadata.deleting())
        removePod(pod);
    };
    for (const Slot& slot : slots_)
      if (slot.pod) consider(slot.pod);
    for (const PodEntry& pod : surplus_) consider(pod);
    for (const auto& [name, service] : services_)
      if (!staying.contains(name)) removeService(service);
  }

  Write jobWrite(Write::Verb verb, std::string body, const std::string& subresource = "") {
    Write write{.verb = verb,
                .resource = job_.resource,
                .namespace_ = job_.metadata.namespace_,
                .name = job_.metadata.name,
                .subresource = subresource,
                .body = std::move(body)};
    // The first write of a plan guards the others.
    if (std::none_of(plan_.writes.begin(), plan_.writes.end(),
                     [&](const Write& w) { return w.resource == job_.resource; }))
      write.resourceVersion = job_.metadata.resourceVersion;
    return write;
  }

  void assemble(const api::GangSpec& wanted) {
    if (!gang_) {
      plan_.create<api::Gang>(job_.metadata.namespace_, job_.gangName, gangText(job_, wanted));
      return;
    }
    json::Arena arena;
    json::Value difference =
        kube::makeMergePatch(arena, api::encode(arena, gang_->object.spec), api::encode(arena, wanted));
    if (!difference.empty()) {
      plan_
          .patch<api::Gang>(job_.metadata.namespace_, job_.gangName,
                            json::print(json::object(arena, {{"spec", difference}})))
          .resourceVersion = gang_->object.metadata.resourceVersion;
    } else if (!creates_.empty() || (!deletes_.empty() && !status_.finished() && !suspended_)) {
      plan_.patch<api::Gang>(job_.metadata.namespace_, job_.gangName, "{}").resourceVersion =
          gang_->object.metadata.resourceVersion;
    }
  }

  Plan assemble() {
    if (expired_) {
      plan_.add(jobWrite(Write::Verb::Delete, "")).uid = job_.metadata.uid;
      plan_.events = std::move(status_.events());
      return std::move(plan_);
    }
    if (restartsChanged_) {
      json::Arena arena;
      json::Value annotations =
          json::object(arena, {{kRestartsAnnotation, json::string(arena, writeRestarts(restarts_))}});
      plan_.add(jobWrite(Write::Verb::Patch,
                         json::print(json::withPath(arena, {}, {"metadata", "annotations"}, annotations))));
    }
    if (status_.changed())
      plan_.add(jobWrite(Write::Verb::Patch, status_.patch(), "status"));
    else if (plan_.writes.empty() && (!creates_.empty() || !deletes_.empty()))
      plan_.add(jobWrite(Write::Verb::Patch, "{}"));
    if (!foreignGang_ && (gang_ || !status_.finished())) {
      api::GangSpec wanted = gangSpec(job_, [this](const std::string& name) { return priorityOf(name); });
      wanted.suspended = suspended_;
      wanted.finished = finished_;
      assemble(wanted);
    }
    for (Write& write : deletes_) plan_.add(std::move(write));
    for (Write& write : creates_) plan_.add(std::move(write));
    plan_.events = std::move(status_.events());
    return std::move(plan_);
  }

  std::optional<int32_t> priorityOf(const std::string& name) const {
    if (name == "system-node-critical") return 2000001000;
    if (name == "system-cluster-critical") return 2000000000;
    const auto& classes = view_.of<api::PriorityClass>();
    if (!name.empty()) {
      const api::PriorityClass* found = classes.get("", name);
      return found ? std::optional(found->value) : std::nullopt;
    }
    for (const auto& entry : classes.all())
      if (entry->object.globalDefault) return entry->object.value;
    return std::nullopt;
  }

  const client::View& view_;
  const Workload& job_;
  Time now_;
  StatusEditor status_;
  Restarts restarts_;
  bool restartsChanged_ = false;
  client::EntryPtr<api::Gang> gang_;
  bool foreignGang_ = false;
  std::vector<Slot> slots_;
  std::vector<Counts> counts_;  // per role, as of now
  std::vector<PodEntry> surplus_;
  std::map<std::string, client::EntryPtr<api::Service>> services_;
  bool suspended_ = false, finished_ = false, expired_ = false;
  std::vector<Write> deletes_, creates_;
  Plan plan_;
};

}  // namespace

bool disrupted(const api::Pod& pod) { return api::isTrue(pod.status.conditions, "DisruptionTarget"); }

bool refused(const api::Pod& pod) {
  // The kubelet's admission reasons: nothing of the pod has run.
  static constexpr std::string_view kReasons[] = {
      "UnexpectedAdmissionError",      "NodeAffinity", "NodeName", "NodePorts", "TopologyAffinityError", "NodeShutdown",
      "UnexpectedPredicateFailureType"};
  const std::string& reason = pod.status.reason;
  return pod.status.phase == "Failed" &&
         (reason.starts_with("OutOf") ||
          std::find(std::begin(kReasons), std::end(kReasons), reason) != std::end(kReasons));
}

client::Plan reconcile(const client::View& view, const Workload& job, Time now) {
  return Reconciliation(view, job, now).run();
}

}  // namespace stoker::controllers::training
