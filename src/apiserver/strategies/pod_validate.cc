// Pod specs beyond the schema: names that refer to each other, quantities, what may be combined.

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/pod_spec.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"
#include "kube/quantity.h"

namespace stoker::apiserver {
namespace {

using kube::duplicate;
using kube::forbidden;
using kube::invalid;
using kube::required;
using kube::shown;
using kube::unsupported;

constexpr size_t kMaxPortName = 15;  // IANA_SVC_NAME

std::string indexed(const std::string& path, size_t i) { return fmt::format("{}[{}]", path, i); }

std::vector<std::string> portName(std::string_view name) {
  std::vector<std::string> problems;
  if (name.size() > kMaxPortName) problems.push_back(fmt::format("must be no more than {} characters", kMaxPortName));
  auto lower = [](char c) { return c >= 'a' && c <= 'z'; };
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::all_of(name.begin(), name.end(), [&](char c) { return lower(c) || digit(c) || c == '-'; }))
    problems.emplace_back("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (std::none_of(name.begin(), name.end(), lower)) problems.emplace_back("must contain at least one letter (a-z)");
  if (name.find("--") != std::string_view::npos) problems.emplace_back("must not contain consecutive hyphens");
  if (name.starts_with('-') || name.ends_with('-')) problems.emplace_back("must not begin or end with a hyphen");
  return problems;
}

bool isExtended(std::string_view resource) {
  return resource.find('/') != std::string_view::npos && resource.find("kubernetes.io/") == std::string_view::npos;
}

class PodSpecChecker {
 public:
  PodSpecChecker(json::Value spec, std::string path) : spec_(spec), path_(std::move(path)) {}

  std::vector<Cause> run() {
    checkVolumes();
    for (const char* list : {"initContainers", "containers"})
      for (size_t i = 0; i < spec_[list].size(); ++i)
        checkContainer(spec_[list][i], indexed(path_ + "." + list, i), list[0] == 'i');
    checkHostPorts();
    checkNames();
    checkTolerations();
    checkNodeAffinity();
    checkSecurity(spec_["securityContext"], path_ + ".securityContext");
    return std::move(causes_);
  }

 private:
  void add(Cause cause) { causes_.push_back(std::move(cause)); }

  // ---- volumes
  // ---------------------------------------------------------------------------------------------------------

  void checkVolumes() {
    json::Value volumes = spec_["volumes"];
    for (size_t i = 0; i < volumes.size(); ++i) {
      std::string at = indexed(path_ + ".volumes", i);
      json::Value volume = volumes[i];
      json::Value name = volume["name"];
      if (!name.asString().empty()) {
        addProblems(causes_, at + ".name", name.asString(), kube::dns1123Label(name.asString()));
        if (!volumes_.insert(name.asString()).second) add(duplicate(at + ".name", name));
      }
      size_t sources = 0;
      for (const json::Member& member : volume.members())
        if (member.key != "name" && ++sources > 1)
          add(forbidden(fmt::format("{}.{}", at, member.key), "may not specify more than 1 volume type"));
      checkHostPath(volume["hostPath"], at + ".hostPath");
      if (json::Value limit = volume["emptyDir"]["sizeLimit"]; limit && negative(limit))
        add(forbidden(at + ".emptyDir.sizeLimit", "SizeLimit field must be a valid resource quantity"));
      for (const char* source : {"configMap", "secret"})
        if (json::Value map = volume[source]) {
          const char* field = source[0] == 'c' ? "name" : "secretName";
          if (map[field].asString().empty()) add(required(fmt::format("{}.{}.{}", at, source, field)));
          checkItems(map["items"], fmt::format("{}.{}.items", at, source), true);
          checkMode(map["defaultMode"], fmt::format("{}.{}.defaultMode", at, source));
        }
      checkDownward(volume["downwardAPI"]["items"], at + ".downwardAPI.items");
      json::Value projections = volume["projected"]["sources"];
      for (size_t j = 0; j < projections.size(); ++j) {
        std::string inner = indexed(at + ".projected.sources", j);
        for (const char* source : {"configMap", "secret"})
          if (json::Value map = projections[j][source]) {
            if (map["name"].asString().empty()) add(required(fmt::format("{}.{}.name", inner, source)));
            checkItems(map["items"], fmt::format("{}.{}.items", inner, source), true);
          }
        checkDownward(projections[j]["downwardAPI"]["items"], inner + ".downwardAPI.items");
        if (json::Value token = projections[j]["serviceAccountToken"]) {
          if (token["expirationSeconds"].asInt(3600) < 600)
            add(invalid(inner + ".serviceAccountToken.expirationSeconds", shown(token["expirationSeconds"]),
                        "may not specify a duration less than 10 minutes"));
          checkLocalPath(token["path"], inner + ".serviceAccountToken.path");
        }
      }
    }
  }

  void checkHostPath(json::Value hostPath, const std::string& at) {
    if (!hostPath) return;
    if (hasBackstep(hostPath["path"].asString()))
      add(invalid(at + ".path", shown(hostPath["path"]), "must not contain '..'"));
    static const std::vector<std::string> types = {
        "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"};
    std::string_view type = hostPath["type"].asString();
    if (std::find(types.begin(), types.end(), type) == types.end())
      add(unsupported(at + ".type", hostPath["type"], types));
  }

  static bool hasBackstep(std::string_view path) {
    auto parts = split(path, '/');
    return std::find(parts.begin(), parts.end(), "..") != parts.end();
  }

  void checkLocalPath(json::Value path, const std::string& at) {
    if (path.asString().empty()) return add(required(at));
    if (path.asString().starts_with('/')) add(invalid(at, shown(path), "must be a relative path"));
    if (hasBackstep(path.asString())) add(invalid(at, shown(path), "must not contain '..'"));
  }

  void checkMode(json::Value mode, const std::string& at) {
    if (mode && (mode.asInt() < 0 || mode.asInt() > 0777))
      add(invalid(at, shown(mode), "must be a number between 0 and 0777 (octal), both inclusive"));
  }

  void checkItems(json::Value items, const std::string& at, bool keyed) {
    for (size_t i = 0; i < items.size(); ++i) {
      if (keyed && items[i]["key"].asString().empty()) add(required(indexed(at, i) + ".key"));
      checkLocalPath(items[i]["path"], indexed(at, i) + ".path");
      checkMode(items[i]["mode"], indexed(at, i) + ".mode");
    }
  }

  void checkDownward(json::Value items, const std::string& at) {
    checkItems(items, at, false);
    static const std::vector<std::string> fields = {"metadata.annotations", "metadata.labels", "metadata.name",
                                                    "metadata.namespace", "metadata.uid"};
    for (size_t i = 0; i < items.size(); ++i) {
      std::string inner = indexed(at, i);
      bool field = items[i].has("fieldRef"), resource = items[i].has("resourceFieldRef");
      if (field && resource)
        add(invalid(inner, "\"resource\"", "fieldRef and resourceFieldRef can not be specified simultaneously"));
      else if (field)
        checkFieldRef(items[i]["fieldRef"], inner + ".fieldRef", fields);
      else if (resource)
        checkResourceFieldRef(items[i]["resourceFieldRef"], inner + ".resourceFieldRef", true);
      else
        add(required(inner + ".fieldRef", "one of fieldRef and resourceFieldRef is required"));
    }
  }

  // ---- containers
  // ------------------------------------------------------------------------------------------------------

  void checkContainer(json::Value container, const std::string& at, bool init) {
    json::Value name = container["name"], image = container["image"];
    if (!name.asString().empty()) {
      addProblems(causes_, at + ".name", name.asString(), kube::dns1123Label(name.asString()));
      if (!containers_.insert(name.asString()).second) add(duplicate(at + ".name", name));
    }
    if (image.asString().empty())
      add(required(at + ".image"));
    else if (trim(image.asString()) != image.asString())
      add(invalid(at + ".image", shown(image), "must not have leading or trailing whitespace"));
    checkPorts(container["ports"], at + ".ports");
    checkEnv(container["env"], at + ".env");
    checkEnvFrom(container["envFrom"], at + ".envFrom");
    checkMounts(container["volumeMounts"], at + ".volumeMounts");
    checkResources(container["resources"], at + ".resources");
    checkSecurity(container["securityContext"], at + ".securityContext");
    bool sidecar = init && container["restartPolicy"].asString() == "Always";
    for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"}) {
      if (!container.has(probe)) continue;
      if (init && !sidecar)
        add(forbidden(fmt::format("{}.{}", at, probe),
                      "may not be set for init containers without restartPolicy=Always"));
      else
        checkProbe(container[probe], fmt::format("{}.{}", at, probe), probe[0] == 'r');
    }
  }

  void checkPorts(json::Value ports, const std::string& at) {
    std::set<std::string_view> names;
    bool hostNetwork = spec_["hostNetwork"].asBool();
    for (size_t i = 0; i < ports.size(); ++i) {
      json::Value name = ports[i]["name"];
      if (!name.asString().empty()) {
        addProblems(causes_, indexed(at, i) + ".name", name.asString(), portName(name.asString()));
        if (!names.insert(name.asString()).second) add(duplicate(indexed(at, i) + ".name", name));
      }
      if (hostNetwork && ports[i]["hostPort"].asInt() != ports[i]["containerPort"].asInt())
        add(invalid(indexed(at, i) + ".containerPort", shown(ports[i]["containerPort"]),
                    "must match `hostPort` when `hostNetwork` is true"));
    }
  }

  void checkHostPorts() {
    std::set<std::string> taken;
    json::Value containers = spec_["containers"];
    for (size_t i = 0; i < containers.size(); ++i) {
      json::Value ports = containers[i]["ports"];
      for (size_t j = 0; j < ports.size(); ++j) {
        int64_t port = ports[j]["hostPort"].asInt();
        if (port == 0) continue;
        std::string key = fmt::format("{}/{}/{}", ports[j]["protocol"].asString(), ports[j]["hostIP"].asString(), port);
        if (!taken.insert(key).second)
          add({"FieldValueDuplicate", "Duplicate value: " + quote(key),
               fmt::format("{}.containers[{}].ports[{}].hostPort", path_, i, j)});
      }
    }
  }

  void checkEnv(json::Value env, const std::string& at) {
    static const std::vector<std::string> fields = {
        "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
        "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};
    for (size_t i = 0; i < env.size(); ++i) {
      json::Value one = env[i], from = one["valueFrom"];
      std::string inner = indexed(at, i);
      if (!one["name"].asString().empty())
        addProblems(causes_, inner + ".name", one["name"].asString(), kube::envVarName(one["name"].asString()));
      if (!from) continue;
      std::string source = inner + ".valueFrom";
      if (!one["value"].asString().empty())
        add(invalid(source, "\"\"", "may not be specified when `value` is not empty"));
      size_t count = 0;
      for (const char* field : {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"})
        count += from.has(field);
      if (count == 0)
        add(invalid(
            source, "\"\"",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"));
      if (count > 1) add(invalid(source, "\"\"", "may not have more than one field specified at a time"));
      if (from.has("fieldRef")) checkFieldRef(from["fieldRef"], source + ".fieldRef", fields);
      if (from.has("resourceFieldRef"))
        checkResourceFieldRef(from["resourceFieldRef"], source + ".resourceFieldRef", false);
      for (const char* field : {"configMapKeyRef", "secretKeyRef"}) {
        if (!from.has(field)) continue;
        if (from[field]["name"].asString().empty()) add(required(fmt::format("{}.{}.name", source, field)));
        json::Value key = from[field]["key"];
        std::string path = fmt::format("{}.{}.key", source, field);
        if (key.asString().empty())
          add(required(path));
        else
          addProblems(causes_, path, key.asString(), kube::configMapKey(key.asString()));
      }
    }
  }

  void checkFieldRef(json::Value ref, const std::string& at, const std::vector<std::string>& allowed) {
    json::Value path = ref["fieldPath"];
    std::string_view text = path.asString();
    if (text.empty()) return add(required(at + ".fieldPath"));
    for (std::string_view map : {"metadata.labels['", "metadata.annotations['"}) {
      if (!text.starts_with(map) || !text.ends_with("']")) continue;
      std::string_view key = text.substr(map.size(), text.size() - map.size() - 2);
      return addProblems(causes_, at, key, kube::qualifiedName(map[9] == 'a' ? toLower(key) : key));
    }
    if (std::find(allowed.begin(), allowed.end(), text) == allowed.end())
      add(unsupported(at + ".fieldPath", path, allowed));
  }

  void checkResourceFieldRef(json::Value ref, const std::string& at, bool volume) {
    static const std::vector<std::string> allowed = {"limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
                                                     "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
    json::Value resource = ref["resource"];
    std::string_view text = resource.asString();
    if (volume && ref["containerName"].asString().empty()) add(required(at + ".containerName"));
    if (text.empty()) return add(required(at + ".resource"));
    bool huge = text.starts_with("limits.hugepages-") || text.starts_with("requests.hugepages-");
    if (!huge && std::find(allowed.begin(), allowed.end(), text) == allowed.end())
      add(unsupported(at + ".resource", resource, allowed));
  }

  void checkEnvFrom(json::Value list, const std::string& at) {
    for (size_t i = 0; i < list.size(); ++i) {
      std::string inner = indexed(at, i);
      size_t count = 0;
      for (const char* source : {"configMapRef", "secretRef"}) {
        if (!list[i].has(source)) continue;
        ++count;
        if (list[i][source]["name"].asString().empty()) add(required(fmt::format("{}.{}.name", inner, source)));
      }
      if (count == 0) add(invalid(inner, "\"\"", "must specify one of: `configMapRef` or `secretRef`"));
      if (count > 1) add(invalid(inner, "\"\"", "may not have more than one field specified at a time"));
    }
  }

  void checkMounts(json::Value mounts, const std::string& at) {
    std::set<std::string_view> paths;
    for (size_t i = 0; i < mounts.size(); ++i) {
      std::string inner = indexed(at, i);
      json::Value name = mounts[i]["name"], path = mounts[i]["mountPath"];
      if (!name.asString().empty() && !volumes_.contains(name.asString()))
        add(notFoundCause(inner + ".name", name.asString()));
      if (!path.asString().empty() && !paths.insert(path.asString()).second)
        add(invalid(inner + ".mountPath", shown(path), "must be unique"));
      if (path.asString().find(':') != std::string_view::npos)
        add(invalid(inner + ".mountPath", shown(path), "must not contain ':'"));
      for (const char* field : {"subPath", "subPathExpr"})
        if (!mounts[i][field].asString().empty()) checkLocalPath(mounts[i][field], fmt::format("{}.{}", inner, field));
      if (!mounts[i]["subPath"].asString().empty() && !mounts[i]["subPathExpr"].asString().empty())
        add(invalid(inner + ".subPathExpr", shown(mounts[i]["subPathExpr"]),
                    "subPathExpr and subPath are mutually exclusive"));
    }
  }

  static std::optional<kube::Quantity> quantity(json::Value value) {
    auto parsed = kube::Quantity::parse(value.isString() ? value.asString() : value.numberText());
    return parsed.ok() ? std::optional(*parsed) : std::nullopt;
  }
  static bool negative(json::Value value) {
    auto parsed = quantity(value);
    return parsed && parsed->sign() < 0;
  }

  void checkResources(json::Value resources, const std::string& at) {
    json::Value limits = resources["limits"], requests = resources["requests"];
    for (const char* list : {"limits", "requests"})
      for (const json::Member& one : resources[list].members()) {
        std::string inner = fmt::format("{}.{}[{}]", at, list, one.key);
        bool standard = one.key == "cpu" || one.key == "memory" || one.key == "ephemeral-storage" ||
                        one.key.starts_with("hugepages-");
        if (!standard) {
          if (one.key.find('/') == std::string_view::npos) {
            add(invalid(inner, quote(one.key), "must be a standard resource type or fully qualified"));
            add(invalid(inner, quote(one.key), "must be a standard resource for containers"));
          }
          addProblems(causes_, inner, one.key, kube::qualifiedName(one.key));
        }
        auto amount = quantity(one.value);
        if (!amount) continue;
        if (amount->sign() < 0)
          add(invalid(inner, shown(one.value), "must be greater than or equal to 0"));
        else if (isExtended(one.key) && kube::Quantity::fromInt(amount->value()) != *amount)
          add(invalid(inner, shown(one.value), "must be an integer"));
      }
    for (const json::Member& request : requests.members()) {
      auto amount = quantity(request.value), limit = quantity(limits[request.key]);
      if (!amount || !limits.has(request.key)) {
        if (amount && isExtended(request.key))
          add(required(at + ".limits", "Limit must be set for non overcommitable resources"));
        continue;
      }
      if (!limit) continue;
      if (isExtended(request.key) && *amount != *limit)
        add(invalid(at + ".requests", shown(request.value),
                    fmt::format("must be equal to {} limit of {}", request.key, limit->toString())));
      else if (*amount > *limit)
        add(invalid(at + ".requests", shown(request.value),
                    fmt::format("must be less than or equal to {} limit of {}", request.key, limit->toString())));
    }
  }

  void checkProbe(json::Value probe, const std::string& at, bool mayNeedSeveral) {
    size_t handlers = 0;
    for (const char* handler : {"exec", "httpGet", "tcpSocket", "grpc"})
      if (probe.has(handler) && ++handlers > 1)
        add(forbidden(fmt::format("{}.{}", at, handler), "may not specify more than 1 handler type"));
    if (handlers == 0) add(required(at, "must specify a handler type"));
    if (!mayNeedSeveral && probe["successThreshold"].asInt(1) != 1)
      add(invalid(at + ".successThreshold", shown(probe["successThreshold"]), "must be 1"));
    if (probe.has("exec") && probe["exec"]["command"].empty()) add(required(at + ".exec.command"));
  }

  void checkSecurity(json::Value context, const std::string& at) {
    for (const char* field : {"runAsUser", "runAsGroup", "fsGroup"}) {
      if (!context.has(field)) continue;
      int64_t id = context[field].asInt();
      if (id < 0 || id > INT32_MAX)
        add(invalid(fmt::format("{}.{}", at, field), shown(context[field]),
                    "must be between 0 and 2147483647, inclusive"));
    }
  }

  // ---- the pod as a whole
  // ----------------------------------------------------------------------------------------------

  void checkNames() {
    auto check = [&](const char* field, std::vector<std::string> (*rule)(std::string_view)) {
      std::string_view value = spec_[field].asString();
      if (!value.empty()) addProblems(causes_, fmt::format("{}.{}", path_, field), value, rule(value));
    };
    check("serviceAccountName", kube::dns1123Subdomain);
    check("nodeName", kube::dns1123Subdomain);
    check("priorityClassName", kube::dns1123Subdomain);
    check("hostname", kube::dns1123Label);
    check("subdomain", kube::dns1123Label);
    check("schedulerName", kube::qualifiedName);
    for (const json::Member& label : spec_["nodeSelector"].members()) {
      addProblems(causes_, path_ + ".nodeSelector", label.key, kube::qualifiedName(label.key));
      addProblems(causes_, path_ + ".nodeSelector", label.value.asString(), kube::labelValue(label.value.asString()));
    }
    json::Value gates = spec_["schedulingGates"];
    std::set<std::string_view> seen;
    for (size_t i = 0; i < gates.size(); ++i) {
      json::Value name = gates[i]["name"];
      std::string at = indexed(path_ + ".schedulingGates", i);
      addProblems(causes_, at, name.asString(), kube::qualifiedName(name.asString()));
      if (!seen.insert(name.asString()).second) add(duplicate(at, name));
    }
    if (!gates.empty() && !spec_["nodeName"].asString().empty())
      add(forbidden(path_ + ".nodeName", "cannot be set until all schedulingGates have been cleared"));
  }

  void checkTolerations() {
    json::Value list = spec_["tolerations"];
    for (size_t i = 0; i < list.size(); ++i) {
      json::Value one = list[i];
      std::string at = indexed(path_ + ".tolerations", i);
      std::string_view key = one["key"].asString(), op = one["operator"].asString();
      if (!key.empty())
        addProblems(causes_, at + ".key", key, kube::qualifiedName(key));
      else if (op != "Exists")
        add(invalid(at + ".operator", quote(op),
                    "operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
      if (one.has("tolerationSeconds") && one["effect"].asString() != "NoExecute")
        add(invalid(at + ".effect", shown(one["effect"] ? one["effect"] : json::Value::rawString("")),
                    "effect must be 'NoExecute' when `tolerationSeconds` is set"));
      if (op == "Exists" && !one["value"].asString().empty())
        add(invalid(at + ".operator", shown(one["value"]), "value must be empty when `operator` is 'Exists'"));
    }
  }

  void checkTerm(json::Value term, const std::string& at) {
    static const std::vector<std::string> operators = {"DoesNotExist", "Exists", "Gt", "In", "Lt", "NotIn"};
    json::Value expressions = term["matchExpressions"];
    for (size_t i = 0; i < expressions.size(); ++i) {
      std::string inner = indexed(at + ".matchExpressions", i);
      json::Value one = expressions[i];
      std::string_view op = one["operator"].asString();
      addProblems(causes_, inner + ".key", one["key"].asString(), kube::qualifiedName(one["key"].asString()));
      if ((op == "In" || op == "NotIn") && one["values"].empty())
        add(required(inner + ".values", "must be specified when `operator` is 'In' or 'NotIn'"));
      else if ((op == "Exists" || op == "DoesNotExist") && !one["values"].empty())
        add(forbidden(inner + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
      else if ((op == "Gt" || op == "Lt") && one["values"].size() != 1)
        add(required(inner + ".values", "must be specified single value when `operator` is 'Lt' or 'Gt'"));
      else if (std::find(operators.begin(), operators.end(), op) == operators.end())
        add(invalid(inner + ".operator", quote(op), "not a valid selector operator"));
    }
  }

  void checkNodeAffinity() {
    json::Value affinity = spec_["affinity"]["nodeAffinity"];
    std::string at = path_ + ".affinity.nodeAffinity.";
    if (json::Value needed = affinity["requiredDuringSchedulingIgnoredDuringExecution"]) {
      std::string inner = at + "requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
      json::Value terms = needed["nodeSelectorTerms"];
      if (terms.empty()) add(required(inner, "must have at least one node selector term"));
      for (size_t i = 0; i < terms.size(); ++i) checkTerm(terms[i], indexed(inner, i));
    }
    json::Value wished = affinity["preferredDuringSchedulingIgnoredDuringExecution"];
    for (size_t i = 0; i < wished.size(); ++i) {
      std::string inner = indexed(at + "preferredDuringSchedulingIgnoredDuringExecution", i);
      if (int64_t weight = wished[i]["weight"].asInt(); weight < 1 || weight > 100)
        add(invalid(inner + ".weight", std::to_string(weight), "must be in the range 1-100"));
      checkTerm(wished[i]["preference"], inner + ".preference");
    }
  }

  json::Value spec_;
  std::string path_;
  std::vector<Cause> causes_;
  std::set<std::string_view> volumes_, containers_;
};

}  // namespace

std::vector<Cause> validatePodSpec(json::Value spec, const std::string& path) {
  return PodSpecChecker(spec, path).run();
}

}  // namespace stoker::apiserver
