// Pods: defaults, admission (ServiceAccount, priority, tolerations), what may change, graceful deletion, binding.

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "apiserver/strategies/pod_spec.h"
#include "base/strings.h"
#include "kube/field_error.h"

namespace stoker::apiserver {
namespace {

constexpr std::string_view kClasses = "priorityclasses.scheduling.k8s.io";
constexpr std::string_view kTokenPath = "/var/run/secrets/kubernetes.io/serviceaccount";
constexpr int64_t kTokenSeconds = 3607;  // upstream's, so that it is told apart from a user's 3600
constexpr int64_t kDefaultGrace = 30;
constexpr int64_t kTolerateSeconds = 300;  // DefaultTolerationSeconds
constexpr const char* kImmutable =
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// Five characters of Kubernetes' suffix alphabet from a pod's uid: unique enough within one pod, the same in every
/// replay.
std::string suffixFrom(std::string_view uid, int attempt) {
  constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string hash = sha256(fmt::format("{}/{}", uid, attempt));
  std::string out;
  for (int i = 0; i < 5; ++i) out += kAlphabet[static_cast<unsigned char>(hash[i]) % kAlphabet.size()];
  return out;
}

Error forbiddenPod(json::Value pod, std::string_view why) {
  return refused("", "pods", pod.at({"metadata", "name"}).asString(), why);
}

bool finished(json::Value pod) {
  std::string_view phase = pod.at({"status", "phase"}).asString();
  return phase == "Succeeded" || phase == "Failed";
}

// ---- admission
// -----------------------------------------------------------------------------------------------------------

Result<json::Value> withPriority(const StrategyContext& context, json::Value pod) {
  json::Arena& arena = context.arena;
  json::Value spec = pod["spec"];
  std::string className = spec["priorityClassName"].str();
  json::Value chosen;
  auto read = [&](const store::VersionPtr& version) {
    auto parsed = json::parse(arena, version->bytes);
    return parsed.ok() ? *parsed : json::Value();
  };
  if (!className.empty()) {
    store::VersionPtr version = context.state.find(kClasses, "", className);
    if (!version) return forbiddenPod(pod, fmt::format("no PriorityClass with name {} was found", className));
    chosen = read(version);
  } else {
    // Of several global defaults the lowest counts, as upstream has it.
    context.state.forEach(kClasses, "", [&](const store::VersionPtr& version) {
      if (version->bytes.find("\"globalDefault\":true") == std::string::npos) return;
      json::Value one = read(version);
      if (one["globalDefault"].asBool() && (!chosen || one["value"].asInt() < chosen["value"].asInt())) chosen = one;
    });
  }
  int64_t priority = chosen["value"].asInt();
  std::string policy = chosen["preemptionPolicy"].str();
  if (policy.empty()) policy = "PreemptLowerPriority";
  if (spec.has("priority") && spec["priority"].asInt() != priority)
    return forbiddenPod(
        pod, fmt::format(
                 "the integer value of priority ({}) must not be provided in pod spec; priority admission controller "
                 "computed {} from the given PriorityClass name",
                 spec["priority"].asInt(), priority));
  if (spec.has("preemptionPolicy") && spec["preemptionPolicy"].asString() != policy)
    return forbiddenPod(
        pod,
        fmt::format(
            "the string value of PreemptionPolicy ({}) must not be provided in pod spec; priority admission controller "
            "computed {} from the given PriorityClass name",
            spec["preemptionPolicy"].asString(), policy));
  if (chosen) spec = json::with(arena, spec, "priorityClassName", chosen.at({"metadata", "name"}));
  spec = json::with(arena, spec, "priority", json::number(arena, priority));
  spec = json::with(arena, spec, "preemptionPolicy", json::string(arena, policy));
  return json::with(arena, pod, "spec", spec);
}

json::Value tokenVolume(json::Arena& arena, const std::string& name) {
  auto object = [&] { return json::Object(arena); };
  json::Value token =
      object()
          .set("serviceAccountToken", object().set("expirationSeconds", kTokenSeconds).set("path", "token").build())
          .build();
  json::Value item = object().set("key", "ca.crt").set("path", "ca.crt").build();
  json::Value root =
      object()
          .set("configMap", object().set("name", "kube-root-ca.crt").set("items", json::array(arena, {item})).build())
          .build();
  json::Value field = object().set("apiVersion", "v1").set("fieldPath", "metadata.namespace").build();
  json::Value down = object().set("fieldRef", field).set("path", "namespace").build();
  json::Value place = object().set("downwardAPI", object().set("items", json::array(arena, {down})).build()).build();
  json::Value projected =
      object().set("defaultMode", 420).set("sources", json::array(arena, {token, root, place})).build();
  return object().set("name", name).set("projected", projected).build();
}

json::Value withToken(json::Arena& arena, json::Value spec, std::string_view uid) {
  json::Value volumes = spec["volumes"];
  auto taken = [&](const std::string& name) {
    auto items = volumes.items();
    return std::any_of(items.begin(), items.end(), [&](json::Value v) { return v["name"].asString() == name; });
  };
  std::string name;
  for (int i = 0; name.empty() || taken(name); ++i) name = "kube-api-access-" + suffixFrom(uid, i);
  bool used = false;
  for (std::string_view list : {"initContainers", "containers"})
    spec = mapMember(arena, spec, list, [&](json::Value container) {
      json::Value mounts = container["volumeMounts"];
      auto items = mounts.items();
      if (std::any_of(items.begin(), items.end(),
                      [&](json::Value m) { return m["mountPath"].asString() == kTokenPath; }))
        return container;
      used = true;
      json::Value mount =
          json::Object(arena).set("name", name).set("readOnly", true).set("mountPath", kTokenPath).build();
      return json::with(arena, container, "volumeMounts", appended(arena, mounts, mount));
    });
  return used ? json::with(arena, spec, "volumes", appended(arena, volumes, tokenVolume(arena, name))) : spec;
}

Result<json::Value> withAccount(const StrategyContext& context, json::Value pod) {
  json::Arena& arena = context.arena;
  json::Value spec = pod["spec"];
  std::string name = spec["serviceAccountName"].str();
  if (name.empty()) name = spec["serviceAccount"].str();
  if (name.empty()) name = "default";
  spec = json::with(arena, spec, "serviceAccountName", json::string(arena, name));
  spec = json::with(arena, spec, "serviceAccount", json::string(arena, name));
  std::string ns = pod.at({"metadata", "namespace"}).str();
  store::VersionPtr version = context.state.find("serviceaccounts", ns, name);
  if (!version)
    return forbiddenPod(
        pod, fmt::format("error looking up service account {}/{}: serviceaccount \"{}\" not found", ns, name, name));
  STOKER_TRY(json::Value account, json::parse(arena, version->bytes));
  bool mount = account["automountServiceAccountToken"].asBool(true);
  if (spec["automountServiceAccountToken"].asBool(mount))
    spec = withToken(arena, spec, pod.at({"metadata", "uid"}).asString());
  if (spec["imagePullSecrets"].empty() && !account["imagePullSecrets"].empty())
    spec = json::with(arena, spec, "imagePullSecrets", account["imagePullSecrets"]);
  return json::with(arena, pod, "spec", spec);
}

json::Value withTolerations(json::Arena& arena, json::Value spec) {
  for (std::string_view key : {"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"}) {
    auto items = spec["tolerations"].items();
    bool tolerated = std::any_of(items.begin(), items.end(), [&](json::Value t) {
      std::string_view effect = t["effect"].asString(), name = t["key"].asString();
      return (name == key || name.empty()) && (effect.empty() || effect == "NoExecute");
    });
    if (tolerated) continue;
    json::Value toleration = json::Object(arena)
                                 .set("key", key)
                                 .set("operator", "Exists")
                                 .set("effect", "NoExecute")
                                 .set("tolerationSeconds", kTolerateSeconds)
                                 .build();
    spec = json::with(arena, spec, "tolerations", appended(arena, spec["tolerations"], toleration));
  }
  return spec;
}

/// What holds for a pod's spec whenever it is written.
json::Value specDefaults(json::Arena& arena, json::Value spec) {
  spec = requestsFromLimits(arena, podTemplateDefaults(arena, spec));
  spec = orElse(arena, spec, "enableServiceLinks", json::boolean(true));
  return withTolerations(arena, spec);
}

json::Value scheduled(json::Arena& arena, json::Value pod, Time now) {
  json::Value conditions = withCondition(arena, pod.at({"status", "conditions"}), "PodScheduled", "True", "", "", now);
  return json::withPath(arena, pod, {"status", "conditions"}, conditions);
}

// ---- what may change
// -------------------------------------------------------------------------------------------------------

/// `spec` with everything that may change put back to what it was: equal to `old` when nothing else did.
json::Value putBack(json::Arena& arena, json::Value spec, json::Value old) {
  for (std::string_view list : {"initContainers", "containers"}) {
    json::Value before = old[list];
    if (before.size() != spec[list].size()) continue;
    size_t i = 0;
    spec = mapMember(arena, spec, list, [&](json::Value container) {
      return json::with(arena, container, "image", before[i++]["image"]);
    });
  }
  for (std::string_view field : {"activeDeadlineSeconds", "tolerations", "schedulingGates"})
    spec = old.has(field) ? json::with(arena, spec, field, old[field]) : json::without(arena, spec, field);
  if (old["terminationGracePeriodSeconds"].asInt() < 0 && spec["terminationGracePeriodSeconds"].asInt() == 1)
    spec = json::with(arena, spec, "terminationGracePeriodSeconds", old["terminationGracePeriodSeconds"]);
  // A pod that waits at a gate may still be narrowed down by whoever opens the gate.
  if (!old["schedulingGates"].empty()) {
    bool kept = true;
    for (const json::Member& m : old["nodeSelector"].members()) kept &= spec["nodeSelector"][m.key] == m.value;
    if (kept)
      spec = old.has("nodeSelector") ? json::with(arena, spec, "nodeSelector", old["nodeSelector"])
                                     : json::without(arena, spec, "nodeSelector");
  }
  return spec;
}

std::vector<Cause> validateChange(json::Value spec, json::Value old) {
  std::vector<Cause> causes;
  for (std::string_view list : {"containers", "initContainers"})
    if (spec[list].size() != old[list].size()) {
      causes.push_back(kube::forbidden(fmt::format("spec.{}", list), "pod updates may not add or remove containers"));
      return causes;
    }
  json::Value deadline = spec["activeDeadlineSeconds"], before = old["activeDeadlineSeconds"];
  if (before && !deadline)
    causes.push_back(
        kube::invalid("spec.activeDeadlineSeconds", "null", "must not update from a positive integer to nil value"));
  else if (before && deadline.asInt() > before.asInt())
    causes.push_back(kube::invalid("spec.activeDeadlineSeconds", kube::shown(deadline),
                                   "must be less than or equal to previous value"));
  auto same = [](json::Value a, json::Value b) {  // but for how long
    for (const char* field : {"key", "operator", "value", "effect"})
      if (a[field].asString() != b[field].asString()) return false;
    return true;
  };
  auto now = spec["tolerations"].items();
  for (json::Value had : old["tolerations"].items())
    if (std::none_of(now.begin(), now.end(), [&](json::Value t) { return same(t, had); })) {
      causes.push_back(
          kube::forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
      break;
    }
  auto gates = old["schedulingGates"].items();
  for (size_t i = 0; i < spec["schedulingGates"].size(); ++i) {
    json::Value gate = spec["schedulingGates"][i];
    if (std::none_of(gates.begin(), gates.end(), [&](json::Value g) { return g["name"] == gate["name"]; }))
      causes.push_back(
          kube::forbidden(fmt::format("spec.schedulingGates[{}]", i),
                          "only deletion is allowed, but found new scheduling gate " + quote(gate["name"].asString())));
  }
  json::Arena arena;
  if (!(putBack(arena, spec, old) == old)) causes.push_back(kube::forbidden("spec", kImmutable));
  return causes;
}

class PodStrategy final : public Strategy {
 public:
  bool tracksGeneration() const override { return true; }

  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value pod) const override {
    json::Arena& arena = context.arena;
    // Refused for what it lacks anyway: admission has nothing to work on.
    if (!pod["spec"].isObject()) return pod;
    STOKER_TRY(pod, withAccount(context, pod));
    STOKER_TRY(pod, withPriority(context, pod));
    json::Value spec = specDefaults(arena, pod["spec"]);
    pod = json::with(arena, pod, "spec", spec);
    pod = json::with(arena, pod, "status",
                     json::Object(arena).set("phase", "Pending").set("qosClass", qosClass(spec)).build());
    if (!spec["nodeName"].asString().empty()) return scheduled(arena, pod, context.now);
    if (spec["schedulingGates"].empty()) return pod;
    json::Value gated = withCondition(arena, {}, "PodScheduled", "False", "SchedulingGated",
                                      "Scheduling is blocked due to non-empty scheduling gates", context.now);
    return json::withPath(arena, pod, {"status", "conditions"}, gated);
  }

  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value pod, json::Value old) const override {
    json::Arena& arena = context.arena;
    json::Value spec = pod["spec"], before = old["spec"];
    if (!(spec == before)) {
      spec = specDefaults(arena, spec);
      for (std::string_view field : {"priority", "preemptionPolicy"})
        if (before.has(field)) spec = orElse(arena, spec, field, before[field]);
      pod = json::with(arena, pod, "spec", spec);
      if (!before["schedulingGates"].empty() && spec["schedulingGates"].empty()) {
        // Open: what the gate said about scheduling is over; the scheduler speaks next.
        std::vector<json::Value> rest;
        for (json::Value c : pod.at({"status", "conditions"}).items())
          if (c["type"].asString() != "PodScheduled") rest.push_back(c);
        pod = rest.empty() ? json::withoutPath(arena, pod, {"status", "conditions"})
                           : json::withPath(arena, pod, {"status", "conditions"}, json::array(arena, rest));
      }
    }
    if (old["status"].has("qosClass") && !pod["status"].has("qosClass"))
      pod = json::withPath(arena, pod, {"status", "qosClass"}, old["status"]["qosClass"]);
    return pod;
  }

  std::vector<Cause> validate(json::Value pod, json::Value old) const override {
    json::Value spec = pod["spec"];
    if (old && spec == old["spec"]) return validateStatus(pod, old);
    std::vector<Cause> causes = validatePodSpec(spec, "spec");
    if (old && causes.empty()) causes = validateChange(spec, old["spec"]);
    return causes;
  }

  std::optional<int64_t> gracePeriod(json::Value pod, std::optional<int64_t> requested) const override {
    json::Value spec = pod["spec"];
    if (spec["nodeName"].asString().empty() || finished(pod)) return 0;  // nobody has anything to wind down
    int64_t grace = requested ? *requested : spec["terminationGracePeriodSeconds"].asInt(kDefaultGrace);
    return grace < 0 ? 1 : grace;
  }

 private:
  static std::vector<Cause> validateStatus(json::Value pod, json::Value old) {
    std::vector<Cause> causes;
    json::Value now = pod["status"]["qosClass"], before = old["status"]["qosClass"];
    if (before) mustStay(causes, "status.qosClass", now, before);
    return causes;
  }
};

// ---- pods/binding
// ----------------------------------------------------------------------------------------------------------

Result<json::Value> bind(const StrategyContext& context, json::Value pod, json::Value binding) {
  json::Arena& arena = context.arena;
  json::Value metadata = pod["metadata"], given = binding["metadata"], target = binding["target"];
  std::string_view name = metadata["name"].asString(), node = target["name"].asString();
  auto refuse = [&](std::string_view why) { return conflicting("", "pods/binding", name, why); };
  if (std::string_view wanted = given["name"].asString(); !wanted.empty() && wanted != name)
    return Error(Reason::BadRequest,
                 fmt::format("name in URL does not match name in Binding object: {} and {}", name, wanted));
  if (json::Value kind = target["kind"]; !kind.asString().empty() && kind.asString() != "Node")
    return invalidObject("", "Binding", name, kube::unsupported("target.kind", kind, {"Node", "<empty>"}));
  if (node.empty()) return invalidObject("", "Binding", name, kube::required("target.name"));
  std::string_view uid = metadata["uid"].asString(), wantedUid = given["uid"].asString();
  if (!wantedUid.empty() && wantedUid != uid)
    return refuse(fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", wantedUid, uid));
  std::string_view revision = metadata["resourceVersion"].asString(),
                   wantedRevision = given["resourceVersion"].asString();
  if (!wantedRevision.empty() && wantedRevision != revision)
    return refuse(
        fmt::format("Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}",
                    wantedRevision, revision));
  if (metadata.has("deletionTimestamp"))
    return refuse(fmt::format("pod {} is being deleted, cannot be assigned to a host", name));
  if (std::string_view there = pod["spec"]["nodeName"].asString(); !there.empty())
    return refuse(fmt::format("pod {} is already assigned to node \"{}\"", name, there));
  if (!pod["spec"]["schedulingGates"].empty())
    return refuse(fmt::format("pod {} has non-empty .spec.schedulingGates", name));

  json::Value annotations = metadata["annotations"];
  for (const json::Member& m : given["annotations"].members())
    annotations = json::with(arena, annotations, m.key, m.value);
  if (!annotations.empty()) metadata = json::with(arena, metadata, "annotations", annotations);
  pod = json::with(arena, pod, "metadata", metadata);
  pod = json::withPath(arena, pod, {"spec", "nodeName"}, json::string(arena, node));
  pod = json::withoutPath(arena, pod, {"status", "nominatedNodeName"});
  return scheduled(arena, pod, context.now);
}

}  // namespace

void registerPods(Registry& registry) {
  registry.addStrategy("pods", std::make_unique<PodStrategy>());
  registry.addSubresource("pods", "binding", {.verbs = {"create"}, .apply = bind, .answersStatus = true});
}

}  // namespace stoker::apiserver
