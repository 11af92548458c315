#include "node/agent/facts.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace stoker::node {
namespace {

using podspec::Container;

Error unsupported(const std::string& path) {
  return {Reason::BadRequest, fmt::format("unsupported fieldPath: {}", path)};
}

/// "labels['x']" -> x, when `path` is metadata.<what>['x'].
std::optional<std::string> subscript(std::string_view path, std::string_view what) {
  std::string head = fmt::format("metadata.{}['", what);
  if (!path.starts_with(head) || !path.ends_with("']") || path.size() < head.size() + 2) return std::nullopt;
  return std::string(path.substr(head.size(), path.size() - head.size() - 2));
}

/// key="escaped" lines sorted by key, without a last newline (fieldpath.FormatMap).
std::string formatMap(const std::map<std::string, std::string>& map) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : map) lines.push_back(key + "=" + quote(value));
  return join(lines, "\n");
}

int64_t divideUp(int64_t value, int64_t by) { return by <= 0 ? value : (value + by - 1) / by; }

void addObject(ReferenceNames& names, const std::optional<podspec::ObjectSource>& configMap,
               const std::optional<podspec::ObjectSource>& secret) {
  if (configMap) names.configMaps.insert(configMap->name);
  if (secret) names.secrets.insert(secret->secretName.empty() ? secret->name : secret->secretName);
}

}  // namespace

ObjectData configMapData(json::Value configMap) {
  ObjectData out;
  for (const auto& member : configMap["data"].members()) out[std::string(member.key)] = member.value.str();
  for (const auto& member : configMap["binaryData"].members())
    if (auto bytes = base64Decode(member.value.asString())) out[std::string(member.key)] = std::move(*bytes);
  return out;
}

ObjectData secretData(json::Value secret) {
  ObjectData out;
  for (const auto& member : secret["data"].members())
    if (auto bytes = base64Decode(member.value.asString())) out[std::string(member.key)] = std::move(*bytes);
  return out;
}

ReferenceNames referencesOf(const podspec::PodSpec& spec) {
  ReferenceNames names;
  for (const auto* list : {&spec.initContainers, &spec.containers}) {
    for (const auto& container : *list) {
      for (const auto& from : container.envFrom) {
        if (from.configMapRef) names.configMaps.insert(from.configMapRef->name);
        if (from.secretRef) names.secrets.insert(from.secretRef->name);
      }
      for (const auto& var : container.env) {
        if (!var.valueFrom) continue;
        if (var.valueFrom->configMapKeyRef) names.configMaps.insert(var.valueFrom->configMapKeyRef->name);
        if (var.valueFrom->secretKeyRef) names.secrets.insert(var.valueFrom->secretKeyRef->name);
      }
    }
  }
  for (const auto& volume : spec.volumes) {
    addObject(names, volume.configMap, volume.secret);
    if (!volume.projected) continue;
    for (const auto& part : volume.projected->sources) addObject(names, part.configMap, part.secret);
  }
  return names;
}

std::vector<TokenWish> tokensOf(const podspec::PodSpec& spec) {
  std::vector<TokenWish> out;
  for (const auto& volume : spec.volumes) {
    if (!volume.projected) continue;
    for (const auto& part : volume.projected->sources)
      if (const auto& token = part.serviceAccountToken)
        out.push_back({volume.name + "/" + token->path, token->audience, token->expirationSeconds});
  }
  return out;
}

Result<std::string> fieldValue(const podspec::Pod& pod, const PodFacts& facts, const std::string& path,
                               bool forVolume) {
  const auto& meta = pod.metadata;
  if (path == "metadata.name") return meta.name;
  if (path == "metadata.namespace") return meta.namespace_;
  if (path == "metadata.uid") return meta.uid;
  if (auto key = subscript(path, "labels")) return meta.label(*key);
  if (auto key = subscript(path, "annotations")) return meta.annotation(*key);
  if (forVolume) {
    if (path == "metadata.labels") return formatMap(meta.labels);
    if (path == "metadata.annotations") return formatMap(meta.annotations);
    return unsupported(path);
  }
  if (path == "spec.nodeName") return pod.spec.nodeName;
  if (path == "spec.serviceAccountName") return pod.spec.serviceAccountName;
  if (path == "status.hostIP" || path == "status.hostIPs") return facts.hostIp;
  if (path == "status.podIP" || path == "status.podIPs") return facts.podIp;
  return unsupported(path);
}

Result<std::string> resourceValue(const podspec::Pod& pod, const Container* own, const PodFacts& facts,
                                  const podspec::ResourceFieldRef& ref) {
  const Container* container = own;
  if (!ref.containerName.empty()) {
    container = nullptr;
    for (const auto* list : {&pod.spec.initContainers, &pod.spec.containers})
      for (const auto& candidate : *list)
        if (candidate.name == ref.containerName) container = &candidate;
  }
  if (!container)
    return Error(Reason::BadRequest, fmt::format("resourceFieldRef {}: container \"{}\" is not in the pod",
                                                 ref.resource, ref.containerName));
  bool isLimit = ref.resource.starts_with("limits.");
  if (!isLimit && !ref.resource.starts_with("requests."))
    return Error(Reason::BadRequest,
                 fmt::format("resourceFieldRef {}: must begin with \"limits.\" or \"requests.\"", ref.resource));
  std::string name = ref.resource.substr(ref.resource.find('.') + 1);
  Amounts amounts = isLimit ? amountsOf(container->resources.limits) : containerRequests(*container);
  // A container without a limit may use what the node has to give.
  auto found = amounts.find(name);
  kube::Quantity amount;
  if (found != amounts.end())
    amount = found->second;
  else if (auto node = facts.allocatable.find(name); isLimit && node != facts.allocatable.end())
    amount = node->second;
  kube::Quantity divisor = kube::Quantity::fromInt(1);
  if (!ref.divisor.empty()) {
    STOKER_TRY(kube::Quantity parsed, kube::Quantity::parse(ref.divisor));
    if (!parsed.isZero()) divisor = parsed;
  }
  if (name == "cpu") return std::to_string(divideUp(amount.milliValue(), divisor.milliValue()));
  return std::to_string(divideUp(amount.value(), divisor.value()));
}

void addServiceVariables(Variables& out, const std::string& serviceName, const std::string& clusterIp,
                         const std::vector<api::ServicePort>& ports) {
  if (clusterIp.empty() || clusterIp == "None" || ports.empty()) return;
  auto envName = [](std::string_view text) {
    std::string name;
    for (char c : text) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return name;
  };
  std::string prefix = envName(serviceName);
  out[prefix + "_SERVICE_HOST"] = clusterIp;
  out[prefix + "_SERVICE_PORT"] = std::to_string(ports[0].port);
  for (const auto& port : ports)
    if (!port.name.empty()) out[prefix + "_SERVICE_PORT_" + envName(port.name)] = std::to_string(port.port);
  for (size_t i = 0; i < ports.size(); ++i) {
    std::string protocol = ports[i].protocol.empty() ? "TCP" : ports[i].protocol;
    std::string lower = toLower(protocol);
    std::string url = fmt::format("{}://{}:{}", lower, clusterIp, ports[i].port);
    std::string portPrefix = fmt::format("{}_PORT_{}_{}", prefix, ports[i].port, protocol);
    if (i == 0) out[prefix + "_PORT"] = url;
    out[portPrefix] = url;
    out[portPrefix + "_PROTO"] = lower;
    out[portPrefix + "_PORT"] = std::to_string(ports[i].port);
    out[portPrefix + "_ADDR"] = clusterIp;
  }
}

}  // namespace stoker::node
