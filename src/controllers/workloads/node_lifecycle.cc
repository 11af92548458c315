#include "controllers/workloads/node_lifecycle.h"

#include <fmt/format.h>

namespace stoker::controllers {
namespace {

constexpr const char* kLeaseNamespace = "kube-node-lease";
constexpr const char* kUnreachable = "node.kubernetes.io/unreachable";
constexpr const char* kNotReady = "node.kubernetes.io/not-ready";
/// A pod may be bound to a node whose object is on its way: wait so long before its pods count as orphans.
constexpr Duration kOrphanGrace = 40s;

bool ours(const std::string& taint) { return taint == kUnreachable || taint == kNotReady; }

bool tolerates(const api::Toleration& toleration, const api::Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  if (toleration.operator_ == "Exists") return true;
  return !toleration.key.empty() && toleration.value == taint.value;
}

/// The node's taints as they should be when its readiness is `ready` ("True", "False" or "Unknown").
std::vector<api::Taint> taintsFor(const std::vector<api::Taint>& present, const std::string& ready, Time now) {
  const char* key = ready == "True" ? nullptr : ready == "False" ? kNotReady : kUnreachable;
  std::vector<api::Taint> out;
  std::set<std::string> have;
  for (const api::Taint& taint : present) {
    if (ours(taint.key) && (!key || taint.key != key)) continue;
    if (ours(taint.key)) have.insert(taint.effect);
    out.push_back(taint);
  }
  if (key)
    for (const char* effect : {"NoSchedule", "NoExecute"})
      if (!have.contains(effect)) out.push_back({.key = key, .effect = effect, .timeAdded = now});
  return out;
}

class NodeLifecycle final : public client::Controller {
 public:
  explicit NodeLifecycle(NodeLifecycleOptions options) : options_(options) {}
  std::string name() const override { return "node-lifecycle-controller"; }

  // A key is a node ("", name), whether it exists or not, or a pod (namespace, name).
  void setup(client::Watches& watches) override {
    watches.on<api::Node>(client::selfKey);
    watches.on<api::Lease>([](const client::Key& key, const api::ObjectMeta*, const api::ObjectMeta*) {
      return key.namespace_ == kLeaseNamespace ? std::vector{client::Key{"", key.name}} : std::vector<client::Key>{};
    });
    watches.on<api::Pod>([&view = watches.view()](const client::Key& key, const auto*, const auto* after) {
      return after && concerns(view, key) ? std::vector{key} : std::vector<client::Key>{};
    });
  }

  client::Plan reconcile(const client::View& view, const client::Key& key, Time now) override {
    client::Plan plan;
    plan.mode = client::Mode::Each;
    if (!key.namespace_.empty()) {
      auto pod = view.of<api::Pod>().find(key.namespace_, key.name);
      if (!pod || pod->object.spec.nodeName.empty()) return plan;
      const api::Node* node = view.of<api::Node>().get("", pod->object.spec.nodeName);
      ofPod(*pod, node ? &node->spec.taints : nullptr, now, plan);
      return plan;
    }
    const api::Node* node = view.of<api::Node>().get("", key.name);
    if (!node) {
      seen_.erase(key.name);
      for (const auto& pod : view.of<api::Pod>().onNode(key.name)) ofPod(*pod, nullptr, now, plan);
      return plan;
    }
    ofNode(view, *node, now, plan);
    return plan;
  }

 private:
  /// Pods of a node without fault have nothing to fear; when one is found, the node's key looks at them all.
  static bool concerns(const client::View& view, const client::Key& key) {
    const api::Pod* pod = view.of<api::Pod>().get(key.namespace_, key.name);
    if (!pod || pod->spec.nodeName.empty()) return false;
    const api::Node* node = view.of<api::Node>().get("", pod->spec.nodeName);
    return !node || !node->spec.taints.empty();
  }

  /// When we last saw the node's Lease change, by our own clock. Only what the observer has seen itself counts: a
  /// platform that was down for an hour does not declare its nodes dead.
  struct Seen {
    std::string renewTime;
    Time at{};
  };

  void ofNode(const client::View& view, const api::Node& node, Time now, client::Plan& plan) {
    const std::string& name = node.metadata.name;
    const api::Lease* lease = view.of<api::Lease>().get(kLeaseNamespace, name);
    std::string renewed = lease ? lease->metadata.uid + lease->spec.renewTime : "";
    auto [it, fresh] = seen_.try_emplace(name, Seen{renewed, now});
    if (it->second.renewTime != renewed) it->second = {renewed, now};
    Time due = it->second.at + options_.leaseGrace;
    bool lost = now >= due;
    if (!lost) plan.wake(due);

    const api::Condition* ready = api::findCondition(node.status.conditions, "Ready");
    std::string status = lost ? "Unknown" : ready ? ready->status : "Unknown";
    // A condition that we made Unknown is for the node to correct; until then it stays lost.
    if (lost && ready && ready->status != "Unknown") {
      std::vector<api::Condition> conditions = node.status.conditions;
      for (api::Condition& c : conditions)
        if (c.type == "Ready") {
          c.status = "Unknown";
          c.reason = "NodeStatusUnknown";
          c.message = "Kubelet stopped posting node status.";
          c.lastTransitionTime = now;
        }
      plan.add(conditionsPatch(view, node, conditions));
      plan.event(node, "Normal", "NodeNotReady", fmt::format("Node {} status is now: NodeNotReady", name));
    }
    std::vector<api::Taint> taints = node.spec.taints;
    if (ready) taints = taintsFor(node.spec.taints, status, now);
    if (api::encodeText(taints) != api::encodeText(node.spec.taints)) {
      json::Arena arena;
      client::Write& write = plan.patch<api::Node>(
          "", name, json::print(json::withPath(arena, {}, {"spec", "taints"}, api::encode(arena, taints))));
      // Behind the condition's write the node has another version; taints follow from what is read here either way.
      if (plan.writes.size() == 1) write.resourceVersion = node.metadata.resourceVersion;
    }
    if (taints.empty()) return;  // nothing drives its pods away: none need be read
    for (const auto& pod : view.of<api::Pod>().onNode(name)) ofPod(*pod, &taints, now, plan);
  }

  /// The whole list with one condition changed: lists are replaced by a merge patch. Built from the stored object, so
  /// that members which our struct does not know stay.
  client::Write conditionsPatch(const client::View& view, const api::Node& node,
                                const std::vector<api::Condition>& conditions) {
    json::Arena arena;
    auto entry = view.of<api::Node>().find("", node.metadata.name);
    auto raw = json::parse(arena, *entry->raw.bytes);
    std::vector<json::Value> out;
    if (raw.ok())
      for (json::Value item : raw->at({"status", "conditions"}).items()) {
        for (const api::Condition& c : conditions) {
          if (c.type != "Ready" || item["type"].asString() != "Ready") continue;
          item = json::with(arena, item, "status", json::string(arena, c.status));
          item = json::with(arena, item, "reason", json::string(arena, c.reason));
          item = json::with(arena, item, "message", json::string(arena, c.message));
          item = json::with(arena, item, "lastTransitionTime", json::string(arena, formatTime(c.lastTransitionTime)));
        }
        out.push_back(item);
      }
    return {.verb = client::Write::Verb::Patch,
            .resource = client::gvrOf<api::Node>(),
            .name = node.metadata.name,
            .subresource = "status",
            .body = json::print(json::withPath(arena, {}, {"status", "conditions"}, json::array(arena, out))),
            .resourceVersion = node.metadata.resourceVersion};
  }

  /// `taints` null: the node is not there.
  void ofPod(const client::Entry<api::Pod>& entry, const std::vector<api::Taint>* taints, Time now,
             client::Plan& plan) {
    const api::Pod& pod = entry.object;
    // Nobody is there to confirm the end of a pod.
    bool gone = !taints || std::any_of(taints->begin(), taints->end(),
                                       [](const auto& t) { return t.key == kUnreachable && t.effect == "NoExecute"; });
    if (pod.finished() && taints) return;
    std::optional<Time> due =
        taints ? evictionTime(pod, *taints, options_) : std::optional(pod.metadata.creationTimestamp + kOrphanGrace);
    if (pod.metadata.deleting()) {
      if (!gone) return;
      // deletionTimestamp is the end of its grace; after that it is taken for dead.
      due = due ? std::min(*due, *pod.metadata.deletionTimestamp) : *pod.metadata.deletionTimestamp;
    }
    if (!due) return;
    if (now < *due) return plan.wake(*due);
    if (!pod.metadata.deleting() && !pod.finished() && !api::isTrue(pod.status.conditions, "DisruptionTarget"))
      plan.add(markDisrupted(entry, taints != nullptr, now));
    plan.remove<api::Pod>(pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid,
                          gone ? std::optional<int64_t>(0) : std::nullopt);
    if (taints)
      plan.event(pod, "Normal", "TaintManagerEviction",
                 fmt::format("Marking for deletion Pod {}/{}", pod.metadata.namespace_, pod.metadata.name));
  }

  static client::Write markDisrupted(const client::Entry<api::Pod>& entry, bool evicted, Time now) {
    json::Arena arena;
    auto raw = json::parse(arena, *entry.raw.bytes);
    std::vector<json::Value> conditions;
    if (raw.ok())
      for (json::Value c : raw->at({"status", "conditions"}).items())
        if (c["type"].asString() != "DisruptionTarget") conditions.push_back(c);
    conditions.push_back(
        json::Object(arena)
            .set("type", "DisruptionTarget")
            .set("status", "True")
            .set("reason", evicted ? "DeletionByTaintManager" : "DeletionByPodGC")
            .set("message", evicted ? "Taint manager: deleting due to NoExecute taint" : "PodGC: node no longer exists")
            .set("lastTransitionTime", formatTime(now))
            .build());
    const api::ObjectMeta& meta = entry.object.metadata;
    return {.verb = client::Write::Verb::Patch,
            .resource = client::gvrOf<api::Pod>(),
            .namespace_ = meta.namespace_,
            .name = meta.name,
            .subresource = "status",
            .body = json::print(json::withPath(arena, {}, {"status", "conditions"}, json::array(arena, conditions))),
            .resourceVersion = meta.resourceVersion};
  }

  NodeLifecycleOptions options_;
  std::map<std::string, Seen> seen_;
};

}  // namespace

std::optional<Time> evictionTime(const api::Pod& pod, const std::vector<api::Taint>& taints,
                                 const NodeLifecycleOptions& options) {
  std::optional<Time> out;
  for (const api::Taint& taint : taints) {
    if (taint.effect != "NoExecute") continue;
    std::optional<Duration> patience;  // the shortest of those that match; none of them limited: for ever
    bool matched = false, forever = false;
    for (const api::Toleration& toleration : pod.spec.tolerations) {
      if (!tolerates(toleration, taint)) continue;
      matched = true;
      if (!toleration.tolerationSeconds) {
        forever = true;
        continue;
      }
      Duration given = std::chrono::seconds(std::clamp<int64_t>(*toleration.tolerationSeconds, 0, 3'000'000'000));
      patience = patience ? std::min(*patience, given) : given;
    }
    if (matched && forever && !patience) continue;
    if (!matched) patience = ours(taint.key) ? options.defaultToleration : Duration(0);
    Time due = taint.timeAdded + *patience;
    out = out ? std::min(*out, due) : due;
  }
  return out;
}

std::unique_ptr<client::Controller> makeNodeLifecycleController(NodeLifecycleOptions options) {
  return std::make_unique<NodeLifecycle>(options);
}

}  // namespace stoker::controllers
