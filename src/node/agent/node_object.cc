#include "node/agent/node_object.h"

namespace stoker::node {
namespace {

using json::Arena;
using json::Value;

Value stringMap(Arena& arena, const std::map<std::string, std::string>& map) {
  json::Object out(arena);
  for (const auto& [key, value] : map) out.set(key, value);
  return out.build();
}

struct Wanted {
  const char* type;
  bool on;
  const char* reason;
  const char* message;
};

std::vector<Wanted> conditionsOf(const Pressure& pressure) {
  auto choose = [](bool on, const char* bad, const char* good) { return on ? bad : good; };
  return {
      {"MemoryPressure", pressure.memory,
       choose(pressure.memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory"),
       choose(pressure.memory, "kubelet has insufficient memory available", "kubelet has sufficient memory available")},
      {"DiskPressure", pressure.disk, choose(pressure.disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure"),
       choose(pressure.disk, "kubelet has disk pressure", "kubelet has no disk pressure")},
      {"PIDPressure", pressure.pids, choose(pressure.pids, "KubeletHasInsufficientPID", "KubeletHasSufficientPID"),
       choose(pressure.pids, "kubelet has insufficient PID available", "kubelet has sufficient PID available")},
      {"Ready", true, "KubeletReady", "kubelet is posting ready status"},
  };
}

}  // namespace

std::map<std::string, std::string> nodeLabels(const NodeConfig& node) {
  std::map<std::string, std::string> labels{{"kubernetes.io/hostname", node.name}, {"kubernetes.io/os", "linux"}};
#if defined(__aarch64__)
  labels["kubernetes.io/arch"] = "arm64";
#else
  labels["kubernetes.io/arch"] = "amd64";
#endif
  for (const auto& [key, value] : node.labels) labels[key] = value;
  return labels;
}

std::string newNode(const NodeConfig& node) {
  Arena arena;
  json::Object metadata(arena);
  metadata.set("name", node.name).set("labels", stringMap(arena, nodeLabels(node)));
  json::Object spec(arena);
  if (!node.taints.empty()) {
    std::vector<Value> taints;
    for (const auto& taint : node.taints) taints.push_back(api::encode(arena, taint));
    spec.set("taints", json::array(arena, taints));
  }
  return json::print(json::Object(arena)
                         .set("apiVersion", "v1")
                         .set("kind", "Node")
                         .set("metadata", metadata.build())
                         .set("spec", spec.build())
                         .build());
}

std::string nodePatch(Value object, const NodeConfig& node) {
  Arena arena;
  json::Object labels(arena);
  for (const auto& [key, value] : nodeLabels(node)) {
    const Value* have = object["metadata"]["labels"].find(key);
    if (!have || have->asString() != value) labels.set(key, value);
  }
  if (labels.empty()) return {};
  return json::print(json::withPath(arena, Value(), {"metadata", "labels"}, labels.build()));
}

std::string nodeStatusPatch(Value object, const NodeConfig& node, const Pressure& pressure, Time now) {
  Arena arena;
  Value have = object["status"];
  json::Object want(arena);
  want.set("capacity", stringMap(arena, node.capacity)).set("allocatable", stringMap(arena, node.usable()));
  std::vector<Value> addresses;
  auto address = [&](const char* type, const std::string& value) {
    addresses.push_back(json::Object(arena).set("type", type).set("address", value).build());
  };
  if (!node.address.empty()) address("InternalIP", node.address);
  address("Hostname", node.name);
  want.set("addresses", json::array(arena, addresses));
  if (!node.info.empty()) want.set("nodeInfo", stringMap(arena, node.info));

  json::Object patch(arena);
  Value wanted = want.build();
  for (const json::Member& member : wanted.members()) {
    const Value* present = have.find(member.key);
    if (!present || !(*present == member.value)) patch.set(member.key, member.value);
  }
  bool due = false;
  std::vector<Value> conditions;
  for (const Wanted& condition : conditionsOf(pressure)) {
    Value old;
    for (Value candidate : have["conditions"].items())
      if (candidate["type"].asString() == condition.type) old = candidate;
    std::string status = condition.on ? "True" : "False";
    bool same = old["status"].asString() == status;
    auto heartbeat = parseTime(old["lastHeartbeatTime"].asString());
    due = due || !same || old["reason"].asString() != condition.reason || !heartbeat || now - *heartbeat >= kHeartbeat;
    conditions.push_back(json::Object(arena)
                             .set("type", condition.type)
                             .set("status", status)
                             .set("reason", condition.reason)
                             .set("message", condition.message)
                             .set("lastHeartbeatTime", formatTime(now))
                             .set("lastTransitionTime", same && old["lastTransitionTime"].isString()
                                                            ? old["lastTransitionTime"]
                                                            : json::string(arena, formatTime(now)))
                             .build());
  }
  if (patch.empty() && !due) return {};
  patch.set("conditions", json::array(arena, conditions));
  return json::print(json::object(arena, {{"status", patch.build()}}));
}

std::string newLease(const NodeConfig& node, Time now) {
  Arena arena;
  Value spec = json::Object(arena)
                   .set("holderIdentity", node.name)
                   .set("leaseDurationSeconds", kLeaseSeconds)
                   .set("renewTime", formatMicroTime(now))
                   .build();
  return json::print(
      json::Object(arena)
          .set("apiVersion", "coordination.k8s.io/v1")
          .set("kind", "Lease")
          .set("metadata", json::Object(arena).set("name", node.name).set("namespace", kLeaseNamespace).build())
          .set("spec", spec)
          .build());
}

std::string leasePatch(const NodeConfig& node, Time now) {
  Arena arena;
  Value spec = json::Object(arena)
                   .set("holderIdentity", node.name)
                   .set("leaseDurationSeconds", kLeaseSeconds)
                   .set("renewTime", formatMicroTime(now))
                   .build();
  return json::print(json::object(arena, {{"spec", spec}}));
}

}  // namespace stoker::node
