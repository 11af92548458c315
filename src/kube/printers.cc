#include "kube/printers.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "base/strings.h"
#include "kube/quantity.h"
#include "kube/selector.h"

namespace stoker::kube {

namespace {

using json::Value;

constexpr std::string_view kNone = "<none>";
constexpr std::string_view kUnset = "<unset>";
constexpr std::string_view kUnknown = "<unknown>";

Value text(const CellContext& c, std::string_view t) { return json::string(c.arena, t); }
std::string orElse(Value value, std::string_view otherwise) {
  return value.asString().empty() ? std::string(otherwise) : value.str();
}
std::string joined(const std::vector<std::string>& parts, std::string_view separator, std::string_view otherwise = "") {
  return parts.empty() ? std::string(otherwise) : join(parts, separator);
}
bool isDeleted(const CellContext& c) { return c.object["metadata"].has("deletionTimestamp"); }

/// The condition of a type; null when there is none.
Value condition(const CellContext& c, std::string_view type) {
  for (Value item : c.object.at({"status", "conditions"}).items())
    if (item["type"].asString() == type) return item;
  return {};
}
bool isTrue(const CellContext& c, std::string_view type) { return condition(c, type)["status"].asString() == "True"; }

// "a,b,c + 2 more..."
class ShortList {
 public:
  void add(std::string item) {
    if (list_.size() < kShown) list_.push_back(std::move(item));
    ++count_;
  }
  std::string print(std::string_view whenEmpty) const {
    if (count_ > kShown) return fmt::format("{} + {} more...", join(list_, ","), count_ - kShown);
    std::string out = join(list_, ",");
    return out.empty() ? std::string(whenEmpty) : out;
  }

 private:
  static constexpr size_t kShown = 3;
  std::vector<std::string> list_;
  size_t count_ = 0;
};

std::string formatLabels(Value labels) {
  std::vector<std::string> out;
  for (const json::Member& label : labels.members())
    out.push_back(fmt::format("{}={}", label.key, label.value.asString()));
  return joined(out, ",", kNone);
}

std::string formatSelector(Value selector) {
  auto parsed = LabelSelector::fromJson(selector);
  if (!parsed.ok()) return "<error>";
  std::string out = parsed->toString();
  return out.empty() ? std::string(kNone) : out;
}

std::string formatQuantity(Value value) {
  auto parsed = Quantity::parse(value.isNumber() ? value.numberText() : value.asString());
  return parsed.ok() ? parsed->toString() : "0";
}

std::string accessModes(Value modes) {
  static constexpr std::pair<std::string_view, std::string_view> kModes[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  std::vector<std::string> out;
  auto items = modes.items();
  for (auto& [mode, brief] : kModes)
    if (std::any_of(items.begin(), items.end(), [&](Value v) { return v.asString() == mode; })) out.emplace_back(brief);
  return join(out, ",");
}

std::string storageClass(const CellContext& c) {
  Value beta = c.object.at({"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"});
  return beta.isString() ? beta.str() : c.object.at({"spec", "storageClassName"}).str();
}

Value phaseOrTerminating(const CellContext& c) {
  return text(c, isDeleted(c) ? "Terminating" : c.object.at({"status", "phase"}).asString());
}

// One member of every element, joined by commas.
std::string column(Value list, std::string_view member) {
  std::vector<std::string> out;
  for (Value item : list.items()) out.push_back(item[member].str());
  return join(out, ",");
}

// ---- pods
// ------------------------------------------------------------------------------------------------------------

struct PodSummary {
  size_t ready = 0, total = 0;
  std::string reason;
  int64_t restarts = 0;
  std::string lastRestart;  ///< RFC 3339 in UTC, so that texts compare as times do; empty: never
};

void countRestarts(Value status, int64_t& restarts, std::string& last) {
  restarts += status["restartCount"].asInt();
  last = std::max(last, status.at({"lastState", "terminated", "finishedAt"}).str());
}

// Why a container is not running, or "" when it is.
std::string containerReason(Value status) {
  Value waiting = status.at({"state", "waiting"}), terminated = status.at({"state", "terminated"});
  if (!waiting["reason"].asString().empty()) return waiting["reason"].str();
  if (!terminated.isObject()) return "";
  if (!terminated["reason"].asString().empty()) return terminated["reason"].str();
  if (terminated["signal"].asInt() != 0) return fmt::format("Signal:{}", terminated["signal"].asInt());
  return fmt::format("ExitCode:{}", terminated["exitCode"].asInt());
}

// Walks the init containers up to the first that is not done. Returns whether one is not.
bool summarizeInit(Value pod, PodSummary& out, int64_t& sidecarRestarts, std::string& sidecarLast) {
  std::set<std::string_view> sidecars;
  auto specs = pod.at({"spec", "initContainers"}).items();
  for (Value spec : specs)
    if (spec["restartPolicy"].asString() == "Always") sidecars.insert(spec["name"].asString());
  out.total += sidecars.size();
  size_t done = 0;
  for (Value status : pod.at({"status", "initContainerStatuses"}).items()) {
    bool sidecar = sidecars.contains(status["name"].asString());
    countRestarts(status, out.restarts, out.lastRestart);
    if (sidecar) countRestarts(status, sidecarRestarts, sidecarLast);
    Value terminated = status.at({"state", "terminated"});
    bool succeeded = terminated.isObject() && terminated["exitCode"].asInt() == 0;
    bool started = sidecar && status["started"].asBool();
    if (!succeeded && started && status["ready"].asBool()) ++out.ready;
    if (!succeeded && !started) {
      std::string why = containerReason(status);
      bool progress = why.empty() || (why == "PodInitializing" && !terminated.isObject());
      out.reason = progress ? fmt::format("Init:{}/{}", done, specs.size()) : "Init:" + why;
      return true;
    }
    ++done;
  }
  return false;
}

PodSummary summarize(const CellContext& c) {
  Value pod = c.object, status = pod["status"];
  PodSummary out;
  out.total = pod.at({"spec", "containers"}).size();
  out.reason = orElse(status["reason"], status["phase"].asString());
  if (condition(c, "PodScheduled")["reason"].asString() == "SchedulingGated") out.reason = "SchedulingGated";

  int64_t sidecarRestarts = 0;
  std::string sidecarLast;
  bool initializing = summarizeInit(pod, out, sidecarRestarts, sidecarLast);
  if (!initializing || isTrue(c, "Initialized")) {
    out.restarts = sidecarRestarts;
    out.lastRestart = sidecarLast;
    bool running = false;
    auto containers = status["containerStatuses"].items();
    for (size_t i = containers.size(); i-- > 0;) {
      countRestarts(containers[i], out.restarts, out.lastRestart);
      std::string why = containerReason(containers[i]);
      if (!why.empty()) {
        out.reason = why;
      } else if (containers[i]["ready"].asBool() && containers[i].at({"state", "running"}).isObject()) {
        running = true;
        ++out.ready;
      }
    }
    if (out.reason == "Completed" && running) out.reason = isTrue(c, "Ready") ? "Running" : "NotReady";
  }
  bool terminal = status["phase"].asString() == "Succeeded" || status["phase"].asString() == "Failed";
  if (isDeleted(c) && status["reason"].asString() == "NodeLost")
    out.reason = "Unknown";
  else if (isDeleted(c) && !terminal)
    out.reason = "Terminating";
  return out;
}

Value podReady(const CellContext& c) {
  PodSummary s = summarize(c);
  return text(c, fmt::format("{}/{}", s.ready, s.total));
}
Value podStatus(const CellContext& c) { return text(c, summarize(c).reason); }
Value podRestarts(const CellContext& c) {
  PodSummary s = summarize(c);
  if (s.restarts == 0 || s.lastRestart.empty()) return text(c, std::to_string(s.restarts));
  return text(c, fmt::format("{} ({} ago)", s.restarts, ageOf(json::string(c.arena, s.lastRestart), c.now)));
}
Value podIp(const CellContext& c) {
  Value first = c.object.at({"status", "podIPs"})[0]["ip"];
  return text(c, orElse(first.isString() ? first : c.object.at({"status", "podIP"}), kNone));
}
Value podReadinessGates(const CellContext& c) {
  auto gates = c.object.at({"spec", "readinessGates"}).items();
  if (gates.empty()) return text(c, kNone);
  auto open = std::count_if(gates.begin(), gates.end(),
                            [&](Value gate) { return isTrue(c, gate["conditionType"].asString()); });
  return text(c, fmt::format("{}/{}", open, gates.size()));
}

// ---- nodes
// -----------------------------------------------------------------------------------------------------------

Value nodeStatus(const CellContext& c) {
  std::string out = condition(c, "Ready").isNull() ? "Unknown" : isTrue(c, "Ready") ? "Ready" : "NotReady";
  if (c.object.at({"spec", "unschedulable"}).asBool()) out += ",SchedulingDisabled";
  return text(c, out);
}
Value nodeRoles(const CellContext& c) {
  constexpr std::string_view kPrefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const json::Member& label : c.object.at({"metadata", "labels"}).members()) {
    if (label.key.starts_with(kPrefix) && label.key.size() > kPrefix.size())
      roles.emplace(label.key.substr(kPrefix.size()));
    if (label.key == "kubernetes.io/role" && !label.value.asString().empty()) roles.insert(label.value.str());
  }
  return text(c, joined({roles.begin(), roles.end()}, ",", kNone));
}
Value nodeAddress(const CellContext& c, std::string_view type) {
  for (Value address : c.object.at({"status", "addresses"}).items())
    if (address["type"].asString() == type) return text(c, address["address"].asString());
  return text(c, kNone);
}
Value nodeInternalIp(const CellContext& c) { return nodeAddress(c, "InternalIP"); }
Value nodeExternalIp(const CellContext& c) { return nodeAddress(c, "ExternalIP"); }

// ---- services and endpoints
// ------------------------------------------------------------------------------------------

Value serviceClusterIp(const CellContext& c) {
  Value first = c.object.at({"spec", "clusterIPs"})[0];
  return text(c, orElse(first.isString() ? first : c.object.at({"spec", "clusterIP"}), kNone));
}
Value serviceExternalIp(const CellContext& c) {
  Value spec = c.object["spec"];
  std::string_view type = spec["type"].asString();
  if (type == "ExternalName") return text(c, spec["externalName"].asString());
  std::vector<std::string> ips;
  if (type == "LoadBalancer") {
    std::set<std::string> balancer;
    for (Value ingress : c.object.at({"status", "loadBalancer", "ingress"}).items())
      if (auto ip = orElse(ingress["ip"], ingress["hostname"].asString()); !ip.empty()) balancer.insert(ip);
    ips.assign(balancer.begin(), balancer.end());
  } else if (type != "ClusterIP" && type != "NodePort") {
    return text(c, kUnknown);
  }
  for (Value ip : spec["externalIPs"].items()) ips.push_back(ip.str());
  return text(c, joined(ips, ",", type == "LoadBalancer" ? "<pending>" : kNone));
}
Value servicePorts(const CellContext& c) {
  std::vector<std::string> out;
  for (Value port : c.object.at({"spec", "ports"}).items()) {
    std::string node = port["nodePort"].asInt() > 0 ? fmt::format(":{}", port["nodePort"].asInt()) : "";
    out.push_back(fmt::format("{}{}/{}", port["port"].asInt(), node, orElse(port["protocol"], "TCP")));
  }
  return text(c, joined(out, ",", kNone));
}
Value serviceSelector(const CellContext& c) { return text(c, formatLabels(c.object.at({"spec", "selector"}))); }

Value endpointsList(const CellContext& c) {
  auto subsets = c.object["subsets"].items();
  if (subsets.empty()) return text(c, kNone);
  ShortList list;
  auto bracketed = [](std::string_view ip) {
    return ip.find(':') == std::string_view::npos ? std::string(ip) : fmt::format("[{}]", ip);
  };
  for (Value subset : subsets) {
    if (subset["ports"].empty())
      for (Value address : subset["addresses"].items()) list.add(address["ip"].str());
    for (Value port : subset["ports"].items())
      for (Value address : subset["addresses"].items())
        list.add(fmt::format("{}:{}", bracketed(address["ip"].asString()), port["port"].asInt()));
  }
  return text(c, list.print(""));
}
Value slicePorts(const CellContext& c) {
  ShortList list;
  for (Value port : c.object["ports"].items())
    list.add(port.has("port") && !port["port"].isNull() ? std::to_string(port["port"].asInt())
                                                        : orElse(port["name"], "*"));
  return text(c, list.print(kUnset));
}
Value sliceEndpoints(const CellContext& c) {
  ShortList list;
  for (Value endpoint : c.object["endpoints"].items())
    for (Value address : endpoint["addresses"].items()) list.add(address.str());
  return text(c, list.print(kUnset));
}

// ---- configuration
// ---------------------------------------------------------------------------------------------------

Value configMapData(const CellContext& c) {
  return json::number(c.arena, static_cast<int64_t>(c.object["data"].size() + c.object["binaryData"].size()));
}
Value secretData(const CellContext& c) { return json::number(c.arena, static_cast<int64_t>(c.object["data"].size())); }
Value serviceAccountSecrets(const CellContext& c) {
  return json::number(c.arena, static_cast<int64_t>(c.object["secrets"].size()));
}
Value priorityValue(const CellContext& c) { return json::number(c.arena, c.object["value"].asInt()); }
Value priorityDefault(const CellContext& c) { return json::boolean(c.object["globalDefault"].asBool()); }

// ---- events
// ---------------------------------------------------------------------------------------------------------- core/v1
// and events.k8s.io/v1 name the same fields differently.

Value either(const CellContext& c, std::string_view core, std::string_view events) {
  Value value = c.object[core];
  return value.isNull() ? c.object[events] : value;
}
Value eventSubject(const CellContext& c) { return either(c, "involvedObject", "regarding"); }
Value eventFirst(const CellContext& c) {
  Value first = either(c, "firstTimestamp", "deprecatedFirstTimestamp");
  return first.isNull() ? c.object["eventTime"] : first;
}
Value eventFirstSeen(const CellContext& c) { return text(c, ageOf(eventFirst(c), c.now)); }
Value eventLastSeen(const CellContext& c) {
  Value last = c.object["series"]["lastObservedTime"];
  if (!c.object["series"].isObject()) last = either(c, "lastTimestamp", "deprecatedLastTimestamp");
  if (last.isNull() && !c.object["series"].isObject()) last = eventFirst(c);
  return text(c, ageOf(last, c.now));
}
Value eventObject(const CellContext& c) {
  Value subject = eventSubject(c);
  std::string out = toLower(subject["kind"].asString());
  if (!subject["name"].asString().empty()) out += "/" + subject["name"].str();
  return text(c, out);
}
Value eventSubobject(const CellContext& c) { return text(c, eventSubject(c)["fieldPath"].asString()); }
Value eventSource(const CellContext& c) {
  Value source = either(c, "source", "deprecatedSource");
  std::string component = source["component"].str(), host = source["host"].str();
  if (component.empty()) {
    component = either(c, "reportingComponent", "reportingController").str();
    host = c.object["reportingInstance"].str();
  }
  return text(c, host.empty() ? component : component + ", " + host);
}
Value eventMessage(const CellContext& c) { return text(c, trim(either(c, "message", "note").asString())); }
Value eventCount(const CellContext& c) {
  // A series starts from one event of its own, which its count leaves out.
  int64_t count = c.object["series"].isObject() ? c.object["series"]["count"].asInt() + 1
                                                : either(c, "count", "deprecatedCount").asInt();
  return json::number(c.arena, std::max<int64_t>(count, 1));
}

// ---- volumes
// ---------------------------------------------------------------------------------------------------------

Value volumeCapacity(const CellContext& c) {
  return text(c, formatQuantity(c.object.at({"spec", "capacity", "storage"})));
}
Value volumeAccessModes(const CellContext& c) { return text(c, accessModes(c.object.at({"spec", "accessModes"}))); }
Value volumeClaim(const CellContext& c) {
  Value claim = c.object.at({"spec", "claimRef"});
  return text(c, claim.isObject() ? claim["namespace"].str() + "/" + claim["name"].str() : "");
}
Value volumeClass(const CellContext& c) { return text(c, storageClass(c)); }
bool isBound(const CellContext& c) { return !c.object.at({"spec", "volumeName"}).asString().empty(); }
Value claimCapacity(const CellContext& c) {
  return text(c, isBound(c) ? formatQuantity(c.object.at({"status", "capacity", "storage"})) : "");
}
Value claimAccessModes(const CellContext& c) {
  return text(c, isBound(c) ? accessModes(c.object.at({"status", "accessModes"})) : "");
}

// ---- rbac
// ------------------------------------------------------------------------------------------------------------

Value bindingRole(const CellContext& c) {
  Value role = c.object["roleRef"];
  return text(c, role["kind"].str() + "/" + role["name"].str());
}
Value bindingSubjects(const CellContext& c, std::string_view kind) {
  std::vector<std::string> out;
  for (Value subject : c.object["subjects"].items()) {
    if (subject["kind"].asString() != kind) continue;
    out.push_back(kind == "ServiceAccount" ? subject["namespace"].str() + "/" + subject["name"].str()
                                           : subject["name"].str());
  }
  return text(c, join(out, ", "));
}
Value bindingUsers(const CellContext& c) { return bindingSubjects(c, "User"); }
Value bindingGroups(const CellContext& c) { return bindingSubjects(c, "Group"); }
Value bindingServiceAccounts(const CellContext& c) { return bindingSubjects(c, "ServiceAccount"); }

// ---- jobs
// ------------------------------------------------------------------------------------------------------------

Value jobStatus(const CellContext& c) {
  for (std::string_view end : {"Complete", "Failed"})
    if (isTrue(c, end)) return text(c, end);
  if (isDeleted(c)) return text(c, "Terminating");
  for (std::string_view state : {"Suspended", "FailureTarget", "SuccessCriteriaMet"})
    if (isTrue(c, state)) return text(c, state);
  return text(c, "Running");
}
Value jobCompletions(const CellContext& c) {
  int64_t succeeded = c.object.at({"status", "succeeded"}).asInt();
  if (auto wanted = c.object.at({"spec", "completions"}).integer())
    return text(c, fmt::format("{}/{}", succeeded, *wanted));
  int64_t parallelism = c.object.at({"spec", "parallelism"}).asInt();
  return text(c, fmt::format("{}/1{}", succeeded, parallelism > 1 ? fmt::format(" of {}", parallelism) : ""));
}
Value jobDuration(const CellContext& c) {
  auto start = parseTime(c.object.at({"status", "startTime"}).asString());
  auto end = parseTime(c.object.at({"status", "completionTime"}).asString());
  return text(c, start ? humanDuration(end.value_or(c.now) - *start) : "");
}
Value templateContainers(const CellContext& c) {
  return text(c, column(c.object.at({"spec", "template", "spec", "containers"}), "name"));
}
Value templateImages(const CellContext& c) {
  return text(c, column(c.object.at({"spec", "template", "spec", "containers"}), "image"));
}
Value specSelector(const CellContext& c) { return text(c, formatSelector(c.object.at({"spec", "selector"}))); }

// ---- every kind
// ------------------------------------------------------------------------------------------------------

Value name(const CellContext& c) { return text(c, c.object.at({"metadata", "name"}).asString()); }
Value age(const CellContext& c) { return text(c, ageOf(c.object.at({"metadata", "creationTimestamp"}), c.now)); }
Value createdAt(const CellContext& c) {
  return text(c, orElse(c.object.at({"metadata", "creationTimestamp"}), kUnknown));
}

// A cell that is just the text at a path.
template <const auto& kPath, const std::string_view& kOtherwise>
Value at(const CellContext& c) {
  Value value = c.object;
  for (std::string_view step : kPath) value = value[step];
  return text(c, orElse(value, kOtherwise));
}

using Path1 = std::array<std::string_view, 1>;
using Path2 = std::array<std::string_view, 2>;
using Path3 = std::array<std::string_view, 3>;
constexpr std::string_view kBlank = "";
constexpr Path1 kType{"type"}, kReason{"reason"}, kAddressType{"addressType"}, kPreemption{"preemptionPolicy"};
constexpr Path2 kPhase{"status", "phase"}, kNodeName{"spec", "nodeName"}, kNominated{"status", "nominatedNodeName"},
    kServiceType{"spec", "type"}, kVolumeName{"spec", "volumeName"}, kVolumeMode{"spec", "volumeMode"},
    kReclaim{"spec", "persistentVolumeReclaimPolicy"}, kAttributesClass{"spec", "volumeAttributesClassName"},
    kStatusReason{"status", "reason"}, kHolder{"spec", "holderIdentity"};
constexpr Path3 kKubelet{"status", "nodeInfo", "kubeletVersion"}, kOsImage{"status", "nodeInfo", "osImage"},
    kKernel{"status", "nodeInfo", "kernelVersion"}, kRuntime{"status", "nodeInfo", "containerRuntimeVersion"};

using Cells = std::map<std::string_view, CellFunction>;

Cells bindingCells() {
  return {{"Role", bindingRole},
          {"Users", bindingUsers},
          {"Groups", bindingGroups},
          {"ServiceAccounts", bindingServiceAccounts}};
}
Cells eventCells() {
  return {{"Last Seen", eventLastSeen}, {"Type", at<kType, kBlank>},    {"Reason", at<kReason, kBlank>},
          {"Object", eventObject},      {"Subobject", eventSubobject},  {"Source", eventSource},
          {"Message", eventMessage},    {"First Seen", eventFirstSeen}, {"Count", eventCount}};
}

const std::map<std::string_view, Cells>& cellTable() {
  static const std::map<std::string_view, Cells> table = {
      {"", {{"Name", name}, {"Age", age}, {"Created At", createdAt}}},  // what every kind has
      {"namespaces", {{"Status", at<kPhase, kBlank>}}},
      {"nodes",
       {{"Status", nodeStatus},
        {"Roles", nodeRoles},
        {"Version", at<kKubelet, kBlank>},
        {"Internal-IP", nodeInternalIp},
        {"External-IP", nodeExternalIp},
        {"OS-Image", at<kOsImage, kUnknown>},
        {"Kernel-Version", at<kKernel, kUnknown>},
        {"Container-Runtime", at<kRuntime, kUnknown>}}},
      {"pods",
       {{"Ready", podReady},
        {"Status", podStatus},
        {"Restarts", podRestarts},
        {"IP", podIp},
        {"Node", at<kNodeName, kNone>},
        {"Nominated Node", at<kNominated, kNone>},
        {"Readiness Gates", podReadinessGates}}},
      {"services",
       {{"Type", at<kServiceType, kBlank>},
        {"Cluster-IP", serviceClusterIp},
        {"External-IP", serviceExternalIp},
        {"Port(s)", servicePorts},
        {"Selector", serviceSelector}}},
      {"endpoints", {{"Endpoints", endpointsList}}},
      {"endpointslices.discovery.k8s.io",
       {{"AddressType", at<kAddressType, kBlank>}, {"Ports", slicePorts}, {"Endpoints", sliceEndpoints}}},
      {"configmaps", {{"Data", configMapData}}},
      {"secrets", {{"Type", at<kType, kBlank>}, {"Data", secretData}}},
      {"serviceaccounts", {{"Secrets", serviceAccountSecrets}}},
      {"events", eventCells()},
      {"events.events.k8s.io", eventCells()},
      {"persistentvolumes",
       {{"Capacity", volumeCapacity},
        {"Access Modes", volumeAccessModes},
        {"Reclaim Policy", at<kReclaim, kBlank>},
        {"Status", phaseOrTerminating},
        {"Claim", volumeClaim},
        {"StorageClass", volumeClass},
        {"VolumeAttributesClass", at<kAttributesClass, kUnset>},
        {"Reason", at<kStatusReason, kBlank>},
        {"VolumeMode", at<kVolumeMode, kUnset>}}},
      {"persistentvolumeclaims",
       {{"Status", phaseOrTerminating},
        {"Volume", at<kVolumeName, kBlank>},
        {"Capacity", claimCapacity},
        {"Access Modes", claimAccessModes},
        {"StorageClass", volumeClass},
        {"VolumeAttributesClass", at<kAttributesClass, kUnset>},
        {"VolumeMode", at<kVolumeMode, kUnset>}}},
      {"leases.coordination.k8s.io", {{"Holder", at<kHolder, kBlank>}}},
      {"rolebindings.rbac.authorization.k8s.io", bindingCells()},
      {"clusterrolebindings.rbac.authorization.k8s.io", bindingCells()},
      {"priorityclasses.scheduling.k8s.io",
       {{"Value", priorityValue}, {"Global-Default", priorityDefault}, {"PreemptionPolicy", at<kPreemption, kBlank>}}},
      {"jobs.batch",
       {{"Status", jobStatus},
        {"Completions", jobCompletions},
        {"Duration", jobDuration},
        {"Containers", templateContainers},
        {"Images", templateImages},
        {"Selector", specSelector}}},
  };
  return table;
}

}  // namespace

CellFunction builtinCell(std::string_view groupResource, std::string_view columnName) {
  for (std::string_view key : {groupResource, std::string_view()}) {
    auto kind = cellTable().find(key);
    if (kind == cellTable().end()) continue;
    if (auto cell = kind->second.find(columnName); cell != kind->second.end()) return cell->second;
  }
  return nullptr;
}

std::string ageOf(json::Value timestamp, Time now) {
  auto time = parseTime(timestamp.asString());
  return time ? humanDuration(now - *time) : std::string(kUnknown);
}

}  // namespace stoker::kube
