#include "node/agent/environment.h"

#include <fmt/format.h>

namespace stoker::node {
namespace {

using Objects = std::map<std::string, std::optional<ObjectData>>;

const ObjectData* find(const Objects& objects, const std::string& name) {
  auto it = objects.find(name);
  return it != objects.end() && it->second ? &*it->second : nullptr;
}

/// The value under `ref`, nullopt when it is optional and missing.
Result<std::optional<std::string>> keyValue(const Objects& objects, const podspec::ObjectKeyRef& ref, const char* kind,
                                            const std::string& ns) {
  const ObjectData* data = find(objects, ref.name);
  if (!data) {
    if (ref.optional) return std::optional<std::string>();
    return Error(Reason::NotFound, fmt::format("{} \"{}\" not found", kind, ref.name));
  }
  auto value = data->find(ref.key);
  if (value != data->end()) return std::optional<std::string>(value->second);
  if (ref.optional) return std::optional<std::string>();
  return Error(Reason::NotFound,
               fmt::format("couldn't find key {} in {} {}/{}", ref.key,
                           std::string_view(kind) == "secret" ? "Secret" : "ConfigMap", ns, ref.name));
}

}  // namespace

bool isEnvironmentName(std::string_view name) {
  if (name.empty()) return false;
  for (char c : name)
    if (c == '=' || c < 0x20 || c > 0x7e) return false;
  return true;
}

Result<Environment> containerEnvironment(const podspec::Pod& pod, const podspec::Container& container,
                                         const PodFacts& facts) {
  Environment out;
  std::map<std::string, size_t> places;
  auto put = [&](const std::string& name, std::string value) {
    out.byName[name] = value;
    auto [it, added] = places.emplace(name, out.ordered.size());
    if (added)
      out.ordered.emplace_back(name, std::move(value));
    else
      out.ordered[it->second].second = std::move(value);
  };
  const std::string& ns = pod.metadata.namespace_;

  for (const auto& from : container.envFrom) {
    const podspec::ObjectKeyRef* ref = from.configMapRef ? &*from.configMapRef
                                       : from.secretRef  ? &*from.secretRef
                                                         : nullptr;
    if (!ref) continue;
    bool secret = !from.configMapRef;
    const char* kind = secret ? "secret" : "configmap";
    const ObjectData* data = find(secret ? facts.references.secrets : facts.references.configMaps, ref->name);
    if (!data) {
      if (ref->optional) continue;
      return Error(Reason::NotFound, fmt::format("{} \"{}\" not found", kind, ref->name));
    }
    for (const auto& [key, value] : *data) {
      if (isEnvironmentName(from.prefix + key))
        put(from.prefix + key, value);
      else
        out.skipped.push_back(ref->name + "/" + key);
    }
  }

  // $(NAME) sees services too, but a service's variable goes into the environment only where nothing else has its name.
  auto lookup = [&](const std::string& name) -> std::optional<std::string> {
    if (auto it = out.byName.find(name); it != out.byName.end()) return it->second;
    if (auto it = facts.services.find(name); it != facts.services.end()) return it->second;
    return std::nullopt;
  };
  for (const auto& var : container.env) {
    if (!var.valueFrom) {
      put(var.name, expand(var.value, lookup));
      continue;
    }
    const auto& source = *var.valueFrom;
    if (source.fieldRef) {
      STOKER_TRY(std::string value, fieldValue(pod, facts, source.fieldRef->fieldPath, false));
      put(var.name, std::move(value));
    } else if (source.resourceFieldRef) {
      STOKER_TRY(std::string value, resourceValue(pod, &container, facts, *source.resourceFieldRef));
      put(var.name, std::move(value));
    } else if (source.configMapKeyRef) {
      STOKER_TRY(auto value, keyValue(facts.references.configMaps, *source.configMapKeyRef, "configmap", ns));
      if (value) put(var.name, std::move(*value));
    } else if (source.secretKeyRef) {
      STOKER_TRY(auto value, keyValue(facts.references.secrets, *source.secretKeyRef, "secret", ns));
      if (value) put(var.name, std::move(*value));
    } else {
      return Error(Reason::BadRequest, fmt::format("env {}: valueFrom names no source that this node knows (fieldRef, "
                                                   "resourceFieldRef, configMapKeyRef, secretKeyRef)",
                                                   var.name));
    }
  }
  for (const auto& [name, value] : facts.services)
    if (!out.byName.contains(name)) put(name, value);
  return out;
}

}  // namespace stoker::node
