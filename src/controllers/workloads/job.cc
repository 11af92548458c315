#include "controllers/workloads/job.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "base/strings.h"
#include "kube/patch.h"

namespace stoker::controllers {
namespace {

using client::Plan;
using PodEntry = client::EntryPtr<api::Pod>;

constexpr int32_t kDefaultBackoffLimit = 6;
// Pause before a failed pod is made again: 10 s, 20 s, ... 10 min (upstream's DefaultJobPodFailureBackOff and its
// maximum).
constexpr Duration kFirstBackoff = 10s;
constexpr Duration kMaxBackoff = 600s;
/// Creations of one plan, as upstream's: a Job of ten thousand pods grows in steps and others have their turn.
constexpr size_t kMaxCreates = 500;
/// Uids that wait to be counted, as upstream's: bounds the status.
constexpr size_t kMaxUncounted = 500;
constexpr const char* kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";

std::string suffix(const std::string& seed) {
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  for (char c : seed) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  std::string out;
  for (int i = 0; i < 5; ++i, hash /= 27) out += kNameAlphabet[hash % 27];
  return out;
}

bool isTracked(const api::ObjectMeta& meta) {
  return std::find(meta.finalizers.begin(), meta.finalizers.end(), kJobTrackingFinalizer) != meta.finalizers.end();
}
bool tracked(const api::Pod& pod) { return isTracked(pod.metadata); }

client::Write untrackWrite(const api::Pod& pod) {
  json::Arena arena;
  std::vector<std::string> left;
  for (const std::string& f : pod.metadata.finalizers)
    if (f != kJobTrackingFinalizer) left.push_back(f);
  return {.verb = client::Write::Verb::Patch,
          .resource = client::gvrOf<api::Pod>(),
          .namespace_ = pod.metadata.namespace_,
          .name = pod.metadata.name,
          .body = json::print(json::withPath(arena, {}, {"metadata", "finalizers"}, api::encode(arena, left))),
          .resourceVersion = pod.metadata.resourceVersion};
}

constexpr const char* kPodKey = "pod:";

/// Takes the finalizer off a deleted pod whose Job is no longer there.
Plan releaseOrphan(const client::View& view, const std::string& ns, const std::string& name) {
  Plan plan;
  const api::Pod* pod = view.of<api::Pod>().get(ns, name);
  if (!pod || !pod->metadata.deleting() || !tracked(*pod)) return plan;
  const api::OwnerReference* owner = pod->metadata.controller();
  const api::Job* job = owner ? view.of<api::Job>().get(ns, owner->name) : nullptr;
  if (!job || job->metadata.uid != owner->uid) plan.add(untrackWrite(*pod));
  return plan;
}

constexpr const char* kGoneKey = "gone:";

/// The same for every pod of a Job that went: their deletion may have been seen before its.
Plan releaseOrphans(const client::View& view, const std::string& ns, const std::string& jobUid) {
  Plan plan;
  plan.mode = client::Mode::Each;
  for (const PodEntry& pod : view.of<api::Pod>().ownedBy(jobUid))
    for (client::Write& write : releaseOrphan(view, ns, pod->object.metadata.name).writes) plan.add(std::move(write));
  return plan;
}

Time endedAt(const api::Pod& pod) {
  Time out{};
  for (const api::ContainerStatus& s : pod.status.containerStatuses)
    if (s.state.terminated) out = std::max(out, s.state.terminated->finishedAt);
  if (out == Time{} && pod.metadata.deletionTimestamp) out = *pod.metadata.deletionTimestamp;
  return out == Time{} ? pod.metadata.creationTimestamp : out;
}

class JobReconciliation {
 public:
  JobReconciliation(const client::View& view, const api::Job& job, Time now) : job_(job), now_(now), next_(job.status) {
    for (const PodEntry& pod : view.of<api::Pod>().ownedBy(job.metadata.uid)) {
      const api::OwnerReference* owner = pod->object.metadata.controller();
      if (owner && owner->uid == job.metadata.uid) pods_.push_back(pod);
    }
    indexed_ = job.spec.completionMode == "Indexed" && job.spec.completions;
  }

  Plan run() {
    if (job_.metadata.deleting()) {
      // Its pods go with it; nobody will count them.
      for (const PodEntry& pod : pods_)
        if (tracked(pod->object)) untrack(pod->object);
      return assemble();
    }
    if (!job_.spec.managedBy.empty() && job_.spec.managedBy != "kubernetes.io/job-controller") return {};
    if (is("Complete") || is("Failed")) {
      for (const PodEntry& pod : pods_)
        if (tracked(pod->object)) untrack(pod->object);
      expire();
      return assemble();
    }
    if (next_.startTime == Time{} && !job_.spec.suspend) next_.startTime = now_;
    count();
    std::string reason, message;
    if (!is("FailureTarget") && !is("SuccessCriteriaMet") && failed(reason, message))
      set("FailureTarget", "True", reason, message);
    if (is("FailureTarget"))
      end("Failed", *api::findCondition(next_.conditions, "FailureTarget"));
    else if (completed())
      end("Complete", {});
    else
      manage();
    return assemble();
  }

 private:
  bool is(const char* type) const { return api::isTrue(next_.conditions, type); }
  int32_t index(const api::Pod& pod) const {
    std::string text = pod.metadata.annotation(kCompletionIndex);
    int32_t out = -1;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
  }

  // ---- counting
  // --------------------------------------------------------------------------------------------------------

  void count() {
    api::UncountedTerminatedPods uncounted = next_.uncountedTerminatedPods.value_or(api::UncountedTerminatedPods{});
    std::map<std::string, const api::Pod*> byUid;
    for (const PodEntry& pod : pods_) byUid[pod->object.metadata.uid] = &pod->object;
    auto fold = [&](std::vector<std::string>& uids, int32_t& into) {
      std::erase_if(uids, [&](const std::string& uid) {
        auto it = byUid.find(uid);
        bool done = it == byUid.end() || !tracked(*it->second);
        if (done) ++into;
        return done;
      });
    };
    fold(uncounted.succeeded, next_.succeeded);
    fold(uncounted.failed, next_.failed);
    if (indexed_) completedIndexes_ = parseIndexes(next_.completedIndexes, *job_.spec.completions);
    bool onlyFailed = job_.spec.podReplacementPolicy == "Failed" || !job_.spec.podFailurePolicy.root.isNull();
    int32_t active = 0, ready = 0, terminating = 0;
    for (const PodEntry& entry : pods_) {
      const api::Pod& pod = entry->object;
      bool succeeded = pod.status.phase == "Succeeded";
      bool failed = pod.status.phase == "Failed" || (!onlyFailed && pod.metadata.deleting() && !succeeded);
      if (!pod.finished() && pod.metadata.deleting()) ++terminating;
      if (!pod.finished() && !pod.metadata.deleting()) {
        ++active;
        if (api::isTrue(pod.status.conditions, "Ready")) ++ready;
        active_.push_back(entry);
      }
      if (failed) lastFailure_ = std::max(lastFailure_, endedAt(pod));
      if ((!succeeded && !failed) || !tracked(pod)) continue;
      auto& list = succeeded ? uncounted.succeeded : uncounted.failed;
      if (std::find(list.begin(), list.end(), pod.metadata.uid) != list.end()) {
        untrack(pod);
        continue;
      }
      if (uncounted.succeeded.size() + uncounted.failed.size() >= kMaxUncounted) continue;
      if (failed) {
        FailureVerdict verdict = judgeFailure(job_.spec.podFailurePolicy.root, pod);
        if (verdict.action == FailureVerdict::Action::FailJob && policyMessage_.empty())
          policyMessage_ = verdict.message;
        if (verdict.action == FailureVerdict::Action::Ignore) {
          untrack(pod);
          continue;
        }
      }
      if (succeeded && indexed_) {
        int32_t i = index(pod);
        // A second success of an index, or one that is not wanted any more, is no completion.
        if (i < 0 || i >= *job_.spec.completions || !completedIndexes_.insert(i).second) {
          untrack(pod);
          continue;
        }
      }
      list.push_back(pod.metadata.uid);
      untrack(pod);
    }
    next_.active = active;
    next_.ready = ready;
    next_.terminating = terminating;
    if (indexed_) next_.completedIndexes = formatIndexes(completedIndexes_);
    succeeded_ = next_.succeeded + static_cast<int32_t>(uncounted.succeeded.size());
    failed_ = next_.failed + static_cast<int32_t>(uncounted.failed.size());
    waitingToBeCounted_ = !uncounted.succeeded.empty() || !uncounted.failed.empty();
    next_.uncountedTerminatedPods = waitingToBeCounted_ ? std::optional(uncounted) : std::nullopt;
  }

  // ---- the end
  // ---------------------------------------------------------------------------------------------------------

  bool failed(std::string& reason, std::string& message) {
    int32_t limit = job_.spec.backoffLimit.value_or(kDefaultBackoffLimit);
    if (!policyMessage_.empty()) {
      reason = "PodFailurePolicy";
      message = policyMessage_;
      return true;
    }
    if (failed_ > limit || pastLimitInPlace(limit)) {
      reason = "BackoffLimitExceeded";
      message = "Job has reached the specified backoff limit";
      return true;
    }
    if (!job_.spec.activeDeadlineSeconds || job_.spec.suspend || next_.startTime == Time{}) return false;
    Time deadline = plusSeconds(next_.startTime, *job_.spec.activeDeadlineSeconds);
    if (now_ < deadline) {
      plan_.wake(deadline);
      return false;
    }
    reason = "DeadlineExceeded";
    message = "Job was active longer than specified deadline";
    return true;
  }

  bool pastLimitInPlace(int32_t limit) const {
    if (job_.spec.template_.root.at({"spec", "restartPolicy"}).asString() != "OnFailure") return false;
    int64_t restarts = 0;
    for (const PodEntry& pod : active_)
      for (const auto* statuses : {&pod->object.status.initContainerStatuses, &pod->object.status.containerStatuses})
        for (const api::ContainerStatus& s : *statuses) restarts += s.restartCount;
    return limit == 0 ? restarts > 0 : restarts >= limit;
  }

  bool completed() const {
    if (is("SuccessCriteriaMet")) return true;
    if (job_.spec.suspend) return false;
    if (job_.spec.completions) return succeeded_ >= *job_.spec.completions;
    // A work queue: done when one has succeeded and none runs any more.
    return succeeded_ > 0 && next_.active == 0 && next_.terminating.value_or(0) == 0;
  }

  void end(const char* type, const api::Condition& cause) {
    std::string reason = cause.reason, message = cause.message;
    if (std::string_view(type) == "Complete") {
      reason = "CompletionsReached";
      message = "Reached expected number of succeeded pods";
      set("SuccessCriteriaMet", "True", reason, message);
    }
    for (const PodEntry& pod : active_) remove(pod->object);
    // The verdict is final when nothing runs and everything is counted.
    if (!active_.empty() || next_.terminating.value_or(0) > 0 || waitingToBeCounted_) return;
    set(type, "True", reason, message);
    if (std::string_view(type) == "Complete") {
      next_.completionTime = now_;
      plan_.event(job_, "Normal", "Completed", "Job completed");
    } else {
      plan_.event(job_, "Warning", reason, message);
    }
  }

  void expire() {
    if (!job_.spec.ttlSecondsAfterFinished) return;
    Time ended{};
    for (const char* type : {"Complete", "Failed"})
      if (const api::Condition* c = api::findCondition(next_.conditions, type); c && c->status == "True")
        ended = c->lastTransitionTime;
    Time due = ended + std::chrono::seconds(*job_.spec.ttlSecondsAfterFinished);
    if (now_ < due) return plan_.wake(due);
    plan_.remove<api::Job>(job_.metadata.namespace_, job_.metadata.name, job_.metadata.uid, std::nullopt, "Foreground")
        .resourceVersion = job_.metadata.resourceVersion;
  }

  // ---- pods
  // ------------------------------------------------------------------------------------------------------------

  void manage() {
    if (job_.spec.suspend) {
      if (!is("Suspended")) {
        set("Suspended", "True", "JobSuspended", "Job suspended");
        plan_.event(job_, "Normal", "Suspended", "Job suspended");
      }
      next_.startTime = Time{};
      for (const PodEntry& pod : active_) withdraw(pod->object);
      return;
    }
    if (is("Suspended")) {
      set("Suspended", "False", "JobResumed", "Job resumed");
      next_.startTime = now_;
      plan_.event(job_, "Normal", "Resumed", "Job resumed");
    }
    int32_t parallelism = job_.spec.parallelism.value_or(1);
    int32_t active = next_.active + (job_.spec.podReplacementPolicy == "Failed" ? next_.terminating.value_or(0) : 0);
    int32_t wanted = job_.spec.completions ? std::min(*job_.spec.completions - succeeded_, parallelism)
                                           : (succeeded_ > 0 ? std::min(active, parallelism) : parallelism);
    wanted = std::max(wanted, 0);

    std::set<int32_t> running;
    if (indexed_) {
      std::vector<PodEntry> kept;
      for (const PodEntry& pod : active_) {
        int32_t i = index(pod->object);
        if (i < 0 || i >= *job_.spec.completions || completedIndexes_.contains(i) || !running.insert(i).second) {
          withdraw(pod->object);
          --active;
        } else {
          kept.push_back(pod);
        }
      }
      active_ = std::move(kept);
    }
    if (active > wanted) {
      // Those that have done least go first.
      std::stable_sort(active_.begin(), active_.end(), [](const PodEntry& a, const PodEntry& b) {
        bool ra = a->object.status.phase == "Running", rb = b->object.status.phase == "Running";
        return ra != rb ? !ra : a->object.metadata.creationTimestamp > b->object.metadata.creationTimestamp;
      });
      for (int32_t i = 0; i < active - wanted && i < static_cast<int32_t>(active_.size()); ++i)
        withdraw(active_[static_cast<size_t>(i)]->object);
      return;
    }
    if (active == wanted) return;
    if (Time due = backoffEnd(); now_ < due) return plan_.wake(due);
    create(static_cast<size_t>(wanted - active), running);
  }

  Time backoffEnd() const {
    if (failed_ == 0 || lastFailure_ == Time{}) return {};
    Duration pause = kFirstBackoff;
    for (int32_t i = 1; i < failed_ && pause < kMaxBackoff; ++i) pause *= 2;
    return lastFailure_ + std::min(pause, kMaxBackoff);
  }

  void create(size_t missing, const std::set<int32_t>& running) {
    std::set<std::string> names;
    for (const PodEntry& pod : pods_) names.insert(pod->object.metadata.name);
    size_t creates = std::min(missing, kMaxCreates);
    int32_t next = 0;
    int32_t number = next_.succeeded + next_.failed;  // names of pods that are gone are not used again soon
    for (size_t i = 0; i < creates; ++i) {
      std::string name;
      int32_t at = -1;
      if (indexed_) {
        while (next < *job_.spec.completions && (completedIndexes_.contains(next) || running.contains(next))) ++next;
        if (next >= *job_.spec.completions) return;
        at = next++;
        int32_t attempt = next_.failed;
        do
          name = fmt::format("{}-{}-{}", job_.metadata.name, at,
                             suffix(fmt::format("{}/{}/{}", job_.metadata.uid, at, attempt++)));
        while (names.contains(name));
      } else {
        do name = fmt::format("{}-{}", job_.metadata.name, suffix(fmt::format("{}/{}", job_.metadata.uid, number++)));
        while (names.contains(name));
      }
      names.insert(name);
      creates_.push_back({.verb = client::Write::Verb::Create,
                          .resource = client::gvrOf<api::Pod>(),
                          .namespace_ = job_.metadata.namespace_,
                          .name = name,
                          .body = podText(name, at)});
      plan_.event(job_, "Normal", "SuccessfulCreate", "Created pod: " + name);
    }
  }

  std::string podText(const std::string& name, int32_t at) const {
    json::Arena arena;
    json::Value podTemplate = job_.spec.template_.root, spec = podTemplate["spec"];
    auto withAll = [&](json::Value object, const std::map<std::string, std::string>& more) {
      std::vector<json::Member> all(object.members().begin(), object.members().end());
      for (const auto& [key, value] : more) all.push_back({key, json::string(arena, value)});
      return json::object(arena, all);
    };
    std::map<std::string, std::string> labels{{"batch.kubernetes.io/controller-uid", job_.metadata.uid},
                                              {"controller-uid", job_.metadata.uid},
                                              {"batch.kubernetes.io/job-name", job_.metadata.name},
                                              {"job-name", job_.metadata.name}};
    std::map<std::string, std::string> annotations;
    if (at >= 0) {
      labels[kCompletionIndex] = annotations[kCompletionIndex] = std::to_string(at);
      if (spec["hostname"].asString().empty())
        spec = json::with(arena, spec, "hostname", json::string(arena, fmt::format("{}-{}", job_.metadata.name, at)));
      json::Value variable = *json::parse(
          arena,
          fmt::format(
              R"({{"name":"JOB_COMPLETION_INDEX","valueFrom":{{"fieldRef":{{"fieldPath":"metadata.labels['{}']"}}}}}})",
              kCompletionIndex));
      for (const char* list : {"containers", "initContainers"}) {
        std::vector<json::Value> containers;
        for (json::Value container : spec[list].items()) {
          std::vector<json::Value> env(container["env"].items().begin(), container["env"].items().end());
          if (std::none_of(env.begin(), env.end(),
                           [](json::Value e) { return e["name"].asString() == "JOB_COMPLETION_INDEX"; }))
            env.push_back(variable);
          containers.push_back(json::with(arena, container, "env", json::array(arena, env)));
        }
        if (!containers.empty()) spec = json::with(arena, spec, list, json::array(arena, containers));
      }
    }
    api::OwnerReference owner{.apiVersion = "batch/v1",
                              .kind = "Job",
                              .name = job_.metadata.name,
                              .uid = job_.metadata.uid,
                              .controller = true,
                              .blockOwnerDeletion = true};
    json::Value meta = podTemplate["metadata"];
    std::vector<json::Value> finalizers(meta["finalizers"].items().begin(), meta["finalizers"].items().end());
    finalizers.push_back(json::string(arena, kJobTrackingFinalizer));
    json::Object metadata(arena);
    metadata.set("name", name)
        .set("namespace", job_.metadata.namespace_)
        .set("labels", withAll(meta["labels"], labels));
    metadata.set("ownerReferences", api::encode(arena, std::vector<api::OwnerReference>{owner}))
        .set("finalizers", json::array(arena, finalizers));
    json::Value allAnnotations = withAll(meta["annotations"], annotations);
    if (!allAnnotations.empty()) metadata.set("annotations", allAnnotations);
    return json::print(json::Object(arena)
                           .set("apiVersion", "v1")
                           .set("kind", "Pod")
                           .set("metadata", metadata.build())
                           .set("spec", spec)
                           .build());
  }

  // ---- writes
  // ----------------------------------------------------------------------------------------------------------

  void untrack(const api::Pod& pod) { podWrites_.push_back(untrackWrite(pod)); }
  void remove(const api::Pod& pod) {
    podWrites_.push_back({.verb = client::Write::Verb::Delete,
                          .resource = client::gvrOf<api::Pod>(),
                          .namespace_ = pod.metadata.namespace_,
                          .name = pod.metadata.name,
                          .uid = pod.metadata.uid});
    plan_.event(job_, "Normal", "SuccessfulDelete", "Deleted pod: " + pod.metadata.name);
  }
  /// Deletes a pod that is to be neither a success nor a failure.
  void withdraw(const api::Pod& pod) {
    if (tracked(pod)) untrack(pod);
    remove(pod);
  }

  void set(const char* type, const char* status, const std::string& reason, const std::string& message) {
    for (api::Condition& c : next_.conditions)
      if (c.type == type) {
        if (c.status != status) c.lastTransitionTime = now_;
        c.status = status;
        c.reason = reason;
        c.message = message;
        return;
      }
    next_.conditions.push_back(
        {.type = type, .status = status, .reason = reason, .message = message, .lastTransitionTime = now_});
  }

  Plan assemble() {
    // The status first: an uid is written down before its pod may go. It guards what follows, unchanged as well.
    json::Arena arena;
    json::Value difference = kube::makeMergePatch(arena, api::encode(arena, job_.status), api::encode(arena, next_));
    bool counts = !creates_.empty() || !podWrites_.empty();
    if (!difference.empty())
      plan_
          .patch<api::Job>(job_.metadata.namespace_, job_.metadata.name,
                           json::print(json::object(arena, {{"status", difference}})), "status")
          .resourceVersion = job_.metadata.resourceVersion;
    else if (counts && !job_.metadata.deleting())
      plan_.patch<api::Job>(job_.metadata.namespace_, job_.metadata.name, "{}").resourceVersion =
          job_.metadata.resourceVersion;
    for (client::Write& write : podWrites_) plan_.add(std::move(write));
    for (client::Write& write : creates_) plan_.add(std::move(write));
    return std::move(plan_);
  }

  const api::Job& job_;
  Time now_;
  api::Job::Status next_;
  std::vector<PodEntry> pods_, active_;
  bool indexed_ = false, waitingToBeCounted_ = false;
  std::set<int32_t> completedIndexes_;
  int32_t succeeded_ = 0, failed_ = 0;
  Time lastFailure_{};
  std::string policyMessage_;
  std::vector<client::Write> podWrites_, creates_;
  Plan plan_;
};

class JobController final : public client::Controller {
 public:
  std::string name() const override { return "job-controller"; }
  void setup(client::Watches& watches) override {
    watches.on<api::Job>([](const client::Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after) {
      std::vector<client::Key> keys{key};
      if (before && (!after || after->uid != before->uid)) keys.push_back({key.namespace_, kGoneKey + before->uid});
      return keys;
    });
    auto ofJob = client::controllerKey("Job");
    watches.on<api::Pod>([ofJob](const client::Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after) {
      std::vector<client::Key> keys = ofJob(key, before, after);
      // Whose Job is gone has nobody else to take its finalizer away. No name contains a colon.
      if (after && after->deleting() && isTracked(*after)) keys.push_back({key.namespace_, kPodKey + key.name});
      return keys;
    });
  }
  Plan reconcile(const client::View& view, const client::Key& key, Time now) override {
    if (key.name.starts_with(kPodKey))
      return releaseOrphan(view, key.namespace_, key.name.substr(std::strlen(kPodKey)));
    if (key.name.starts_with(kGoneKey))
      return releaseOrphans(view, key.namespace_, key.name.substr(std::strlen(kGoneKey)));
    const api::Job* job = view.of<api::Job>().get(key.namespace_, key.name);
    return job ? reconcileJob(view, *job, now) : Plan{};
  }
};

}  // namespace

std::set<int32_t> parseIndexes(const std::string& text, int32_t end) {
  std::set<int32_t> out;
  for (std::string_view part : split(text, ',')) {
    int32_t first = 0, last = 0;
    auto [at, error] = std::from_chars(part.data(), part.data() + part.size(), first);
    if (error != std::errc()) continue;
    last = first;
    if (at != part.data() + part.size() && *at == '-') std::from_chars(at + 1, part.data() + part.size(), last);
    for (int32_t i = std::max(first, 0); i <= last && i < end; ++i) out.insert(i);
  }
  return out;
}

std::string formatIndexes(const std::set<int32_t>& indexes) {
  std::vector<std::string> parts;
  for (auto it = indexes.begin(); it != indexes.end();) {
    int32_t first = *it, last = first;
    for (++it; it != indexes.end() && *it == last + 1; ++it) last = *it;
    parts.push_back(first == last ? std::to_string(first)
                                  : fmt::format("{}{}{}", first, last == first + 1 ? "," : "-", last));
  }
  return join(parts, ",");
}

FailureVerdict judgeFailure(json::Value policy, const api::Pod& pod) {
  auto action = [](json::Value rule) {
    std::string_view text = rule["action"].asString();
    return text == "FailJob"  ? FailureVerdict::Action::FailJob
           : text == "Ignore" ? FailureVerdict::Action::Ignore
                              : FailureVerdict::Action::Count;
  };
  auto rules = policy["rules"].items();
  for (size_t i = 0; i < rules.size(); ++i) {
    if (json::Value codes = rules[i]["onExitCodes"]; !codes.isNull()) {
      std::string_view only = codes["containerName"].asString();
      bool in = codes["operator"].asString() == "In";
      for (const auto* statuses : {&pod.status.containerStatuses, &pod.status.initContainerStatuses})
        for (const api::ContainerStatus& s : *statuses) {
          if ((!only.empty() && s.name != only) || !s.state.terminated || s.state.terminated->exitCode == 0) continue;
          int32_t code = s.state.terminated->exitCode;
          auto values = codes["values"].items();
          bool listed = std::any_of(values.begin(), values.end(), [&](json::Value v) { return v.asInt() == code; });
          if (listed == in)
            return {action(rules[i]),
                    fmt::format("Container {} for pod {}/{} failed with exit code {} matching FailJob rule at index {}",
                                s.name, pod.metadata.namespace_, pod.metadata.name, code, i)};
        }
    }
    for (json::Value pattern : rules[i]["onPodConditions"].items())
      for (const api::Condition& c : pod.status.conditions) {
        std::string_view status = pattern["status"].asString();
        if (c.type == pattern["type"].asString() && c.status == (status.empty() ? "True" : status))
          return {action(rules[i]), fmt::format("Pod {}/{} has condition {} matching FailJob rule at index {}",
                                                pod.metadata.namespace_, pod.metadata.name, c.type, i)};
      }
  }
  return {};
}

Plan reconcileJob(const client::View& view, const api::Job& job, Time now) {
  return JobReconciliation(view, job, now).run();
}
std::unique_ptr<client::Controller> makeJobController() { return std::make_unique<JobController>(); }

}  // namespace stoker::controllers
