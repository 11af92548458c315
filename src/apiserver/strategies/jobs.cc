// batch/v1 Jobs: what the pods are found by, and what may change once they run.

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "apiserver/strategies/pod_spec.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"
#include "kube/selector.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kUid = "batch.kubernetes.io/controller-uid";
constexpr const char* kName = "batch.kubernetes.io/job-name";
constexpr int64_t kBackoffLimit = 6;
constexpr int64_t kMaxParallelIndexed = 100000;  // upstream's maxParallelismForIndexedJob

json::Value defaulted(json::Arena& arena, json::Value job) {
  json::Value spec = job["spec"];
  auto number = [&](int64_t n) { return json::number(arena, n); };
  // Neither given: one pod that ends once. (The schema's default has made parallelism 1 in either case; for one pod at
  // a time "until one succeeds" and "until one has succeeded" are the same.)
  if (!spec.has("completions") && spec["parallelism"].asInt(1) == 1 && spec["completionMode"].asString() != "Indexed")
    spec = json::with(arena, spec, "completions", number(1));
  spec = orElse(arena, spec, "backoffLimit", number(spec.has("backoffLimitPerIndex") ? INT32_MAX : kBackoffLimit));
  spec = orElse(arena, spec, "podReplacementPolicy",
                json::string(arena, spec.has("podFailurePolicy") ? "Failed" : "TerminatingOrFailed"));
  if (json::Value pod = spec.at({"template", "spec"}); pod.isObject())
    spec = json::withPath(arena, spec, {"template", "spec"}, podTemplateDefaults(arena, pod));
  return json::with(arena, job, "spec", spec);
}

/// `spec` with what may change put back: equal to `old` when nothing else did.
json::Value putBack(json::Arena& arena, json::Value spec, json::Value old, bool waiting) {
  auto back = [&](json::Value now, json::Value before, std::string_view field) {
    return before.has(field) ? json::with(arena, now, field, before[field]) : json::without(arena, now, field);
  };
  if (!waiting) return spec;
  // Before it has started, a suspended Job may still be told where to run (queueing systems do).
  json::Value pod = spec["spec"], metadata = spec["metadata"];
  for (std::string_view field : {"nodeSelector", "affinity", "tolerations", "schedulingGates"})
    pod = back(pod, old["spec"], field);
  for (std::string_view field : {"labels", "annotations"}) metadata = back(metadata, old["metadata"], field);
  spec = json::with(arena, spec, "spec", pod);
  return metadata.empty() && !old.has("metadata") ? json::without(arena, spec, "metadata")
                                                  : json::with(arena, spec, "metadata", metadata);
}

class JobStrategy final : public Strategy {
 public:
  bool tracksGeneration() const override { return true; }

  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value job) const override {
    json::Arena& arena = context.arena;
    if (!job["spec"].isObject()) return job;
    job = defaulted(arena, job);
    json::Value labels = job.at({"spec", "template", "metadata", "labels"});
    bool named = !job.at({"metadata", "labels"}).empty();
    if (!named && !labels.empty()) {
      job = json::withPath(arena, job, {"metadata", "labels"}, labels);
      named = true;
    }
    if (job.at({"spec", "manualSelector"}).asBool()) return job;
    json::Value uid = job.at({"metadata", "uid"}), name = job.at({"metadata", "name"});
    for (const char* key : {kUid, "controller-uid"}) labels = json::with(arena, labels, key, uid);
    for (const char* key : {kName, "job-name"}) labels = json::with(arena, labels, key, name);
    job = json::withPath(arena, job, {"spec", "template", "metadata", "labels"}, labels);
    job = json::withPath(arena, job, {"spec", "selector", "matchLabels", kUid}, uid);
    return named ? job : json::withPath(arena, job, {"metadata", "labels"}, labels);
  }

  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value job, json::Value old) const override {
    json::Arena& arena = context.arena;
    if (job["spec"] == old["spec"] || !job["spec"].isObject()) return job;
    job = defaulted(arena, job);
    // kubectl replace with the file the Job came from: what was generated is no change.
    if (!job["spec"].has("selector"))
      job = json::withPath(arena, job, {"spec", "selector"}, old.at({"spec", "selector"}));
    if (!job.at({"spec", "manualSelector"}).asBool())
      for (const char* key : {kUid, kName, "controller-uid", "job-name"}) {
        json::Value before = old.at({"spec", "template", "metadata", "labels", key});
        if (before && !job.at({"spec", "template", "metadata", "labels", key}))
          job = json::withPath(arena, job, {"spec", "template", "metadata", "labels", key}, before);
      }
    return job;
  }

  std::vector<Cause> validate(json::Value job, json::Value old) const override {
    json::Value spec = job["spec"];
    if (old && spec == old["spec"]) return {};
    std::vector<Cause> causes;
    if (!spec.isObject()) return causes;
    validateSpec(causes, job);
    if (old) validateChange(causes, job, old);
    return causes;
  }

 private:
  static void validateSpec(std::vector<Cause>& causes, json::Value job) {
    json::Value spec = job["spec"], pod = spec["template"]["spec"];
    bool indexed = spec["completionMode"].asString() == "Indexed";
    if (indexed) {
      if (!spec.has("completions"))
        causes.push_back(kube::required("spec.completions", "when completion mode is Indexed"));
      if (spec["parallelism"].asInt() > kMaxParallelIndexed)
        causes.push_back(kube::invalid(
            "spec.parallelism", kube::shown(spec["parallelism"]),
            fmt::format("must be less than or equal to {} when completion mode is Indexed", kMaxParallelIndexed)));
      std::string last = fmt::format("{}-{}", job.at({"metadata", "name"}).asString(),
                                     std::max<int64_t>(0, spec["completions"].asInt() - 1));
      if (!kube::dns1123Label(last).empty())
        causes.push_back(kube::invalid("metadata.name", quote(job.at({"metadata", "name"}).asString()),
                                       "will not able to create pod with invalid DNS label: " + last));
    } else if (spec.has("backoffLimitPerIndex")) {
      causes.push_back(kube::invalid("spec.backoffLimitPerIndex", kube::shown(spec["backoffLimitPerIndex"]),
                                     "requires indexed completion mode"));
    }
    if (spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex"))
      causes.push_back(kube::required("spec.backoffLimitPerIndex", "when maxFailedIndexes is specified"));
    validateSelector(causes, job);
    constexpr const char* kPolicies = "valid values: \"OnFailure\", \"Never\"";
    if (!pod.isObject()) {
      causes.push_back(kube::required("spec.template.spec.containers"));
      causes.push_back(kube::required("spec.template.spec.restartPolicy", kPolicies));
      return;
    }
    for (Cause& cause : validatePodSpec(pod, "spec.template.spec")) causes.push_back(std::move(cause));
    std::string_view policy = pod["restartPolicy"].asString();
    if (policy == "Always")
      causes.push_back(kube::required("spec.template.spec.restartPolicy", kPolicies));
    else if (spec.has("podFailurePolicy") && policy != "Never")
      causes.push_back(kube::invalid("spec.template.spec.restartPolicy", quote(policy),
                                     "only \"Never\" is supported when podFailurePolicy is specified"));
  }

  static void validateSelector(std::vector<Cause>& causes, json::Value job) {
    json::Value spec = job["spec"], selector = spec["selector"];
    if (!spec["manualSelector"].asBool()) {
      json::Value uid = job.at({"metadata", "uid"});
      bool generated = selector.size() == 1 && selector["matchLabels"].size() == 1 &&
                       (selector["matchLabels"][kUid] == uid || selector["matchLabels"]["controller-uid"] == uid);
      if (!generated)
        causes.push_back(kube::invalid("spec.selector", json::print(selector), "`selector` not auto-generated"));
      return;
    }
    if (!selector) return causes.push_back(kube::required("spec.selector"));
    auto parsed = kube::LabelSelector::fromJson(selector);
    if (!parsed.ok())
      return causes.push_back(kube::invalid("spec.selector", json::print(selector), parsed.error().message));
    json::Value labels = spec.at({"template", "metadata", "labels"});
    if (!parsed->matches(labels))
      causes.push_back(kube::invalid("spec.template.metadata.labels", json::print(labels),
                                     "`selector` does not match template `labels`"));
  }

  static void validateChange(std::vector<Cause>& causes, json::Value job, json::Value old) {
    json::Value spec = job["spec"], before = old["spec"];
    // An elastic Job: indexed, with as many pods as completions before and after.
    bool elastic = before["completionMode"].asString() == "Indexed" && spec["completions"] == spec["parallelism"] &&
                   before["completions"] == before["parallelism"];
    if (!elastic) mustStay(causes, "spec.completions", spec["completions"], before["completions"]);
    for (const char* field : {"selector", "completionMode", "podFailurePolicy", "backoffLimitPerIndex", "successPolicy",
                              "managedBy", "podReplacementPolicy"})
      mustStay(causes, fmt::format("spec.{}", field), spec[field], before[field]);
    bool waiting = before["suspend"].asBool() && !old["status"].has("startTime");
    json::Arena arena;
    json::Value settled = putBack(arena, spec["template"], before["template"], waiting);
    if (!(settled == before["template"]))
      causes.push_back(kube::invalid("spec.template", json::print(spec["template"]), "field is immutable"));
  }
};

}  // namespace

void registerJobs(Registry& registry) { registry.addStrategy("jobs.batch", std::make_unique<JobStrategy>()); }

}  // namespace stoker::apiserver
