#include "node/agent/volumes.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace stoker::node {
namespace {

using podspec::ObjectSource;
constexpr int32_t kDefaultMode = 0644;  // upstream's defaultMode

Error missing(const char* kind, const std::string& name) {
  return {Reason::NotFound, fmt::format("{} \"{}\" not found", kind, name)};
}

Result<void> checkPath(const std::string& volume, const std::string& path) {
  bool bad = path.empty() || path.front() == '/' || path.starts_with("..");
  for (std::string_view part : split(path, '/')) bad = bad || part == "..";
  if (bad)
    return Error(Reason::Invalid, fmt::format("volume \"{}\": path \"{}\" must be relative and stay inside the volume "
                                              "(no \"..\")",
                                              volume, path));
  return {};
}

/// Keys of a ConfigMap or Secret as files: all of them, or those `items` choose.
Result<void> addObject(std::vector<VolumeFile>& out, const std::string& volume, const ObjectSource& source, bool secret,
                       const References& references, int32_t mode) {
  const std::string& name = secret && !source.secretName.empty() ? source.secretName : source.name;
  const auto& objects = secret ? references.secrets : references.configMaps;
  auto it = objects.find(name);
  const ObjectData* data = it != objects.end() && it->second ? &*it->second : nullptr;
  if (!data) {
    if (source.optional) return {};
    return missing(secret ? "secret" : "configmap", name);
  }
  if (source.items.empty()) {
    for (const auto& [key, value] : *data) out.push_back({key, value, static_cast<unsigned>(mode)});
    return {};
  }
  for (const auto& item : source.items) {
    auto value = data->find(item.key);
    if (value == data->end()) {
      if (source.optional) continue;
      return Error(Reason::NotFound,
                   fmt::format("{} references non-existent {} key: {}", secret ? "secret" : "configmap",
                               secret ? "secret" : "config", item.key));
    }
    STOKER_CHECK(checkPath(volume, item.path));
    out.push_back({item.path, value->second, static_cast<unsigned>(item.mode.value_or(mode))});
  }
  return {};
}

Result<void> addDownward(std::vector<VolumeFile>& out, const std::string& volume,
                         const std::vector<podspec::DownwardItem>& items, const podspec::Pod& pod,
                         const PodFacts& facts, int32_t mode) {
  for (const auto& item : items) {
    STOKER_CHECK(checkPath(volume, item.path));
    Result<std::string> value = item.fieldRef           ? fieldValue(pod, facts, item.fieldRef->fieldPath, true)
                                : item.resourceFieldRef ? resourceValue(pod, nullptr, facts, *item.resourceFieldRef)
                                                        : Result<std::string>(std::string());
    if (!value.ok()) return value.error();
    out.push_back({item.path, std::move(*value), static_cast<unsigned>(item.mode.value_or(mode))});
  }
  return {};
}

Result<void> addProjected(std::vector<VolumeFile>& out, const podspec::Volume& volume, const podspec::Pod& pod,
                          const PodFacts& facts) {
  int32_t mode = volume.projected->defaultMode.value_or(kDefaultMode);
  for (const auto& part : volume.projected->sources) {
    if (part.configMap) {
      STOKER_CHECK(addObject(out, volume.name, *part.configMap, false, facts.references, mode));
    } else if (part.secret) {
      STOKER_CHECK(addObject(out, volume.name, *part.secret, true, facts.references, mode));
    } else if (part.downwardAPI) {
      STOKER_CHECK(addDownward(out, volume.name, part.downwardAPI->items, pod, facts, mode));
    } else if (part.serviceAccountToken) {
      const std::string& path = part.serviceAccountToken->path;
      STOKER_CHECK(checkPath(volume.name, path));
      auto token = facts.references.tokens.find(volume.name + "/" + path);
      if (token == facts.references.tokens.end())
        return Error(Reason::NotFound, fmt::format("volume \"{}\": no token for service account \"{}\" yet",
                                                   volume.name, pod.spec.serviceAccountName));
      // Upstream: a token is readable by its owner only, unless a group or another user has to read it.
      bool shared = pod.spec.securityContext.fsGroup.has_value();
      bool otherUser = pod.spec.securityContext.runAsUser.value_or(0) != 0;
      for (const auto& container : pod.spec.containers)
        otherUser = otherUser || container.securityContext.runAsUser.value_or(0) != 0;
      out.push_back({path, token->second, otherUser ? 0644u : shared ? 0640u : 0600u});
    } else {
      return Error(
          Reason::Invalid,
          fmt::format("volume \"{}\": a projected source that this node does not have; it knows configMap, secret, "
                      "downwardAPI and serviceAccountToken",
                      volume.name));
    }
  }
  return {};
}

std::string unsupportedType(const podspec::Volume& volume) {
  if (!volume.persistentVolumeClaim.root.isNull()) return "persistentVolumeClaim";
  if (!volume.ephemeral.root.isNull()) return "ephemeral";
  if (!volume.csi.root.isNull()) return "csi";
  if (!volume.nfs.root.isNull()) return "nfs";
  if (!volume.image.root.isNull()) return "image";
  return "its type";
}

}  // namespace

Result<std::vector<VolumePlan>> planVolumes(const podspec::Pod& pod, const PodFacts& facts, const std::string& root,
                                            const std::string& memoryRoot) {
  std::vector<VolumePlan> out;
  for (const auto& volume : pod.spec.volumes) {
    VolumePlan plan;
    plan.name = volume.name;
    plan.path = root + "/" + volume.name;
    for (const auto* list : {&pod.spec.initContainers, &pod.spec.containers})
      for (const auto& container : *list)
        plan.users += std::any_of(container.volumeMounts.begin(), container.volumeMounts.end(),
                                  [&](const podspec::VolumeMount& mount) { return mount.name == volume.name; });
    if (volume.emptyDir) {
      bool memory = volume.emptyDir->medium == "Memory";
      if (!memory && !volume.emptyDir->medium.empty() && !volume.emptyDir->medium.starts_with("HugePages"))
        return Error(Reason::Invalid,
                     fmt::format("volume \"{}\": emptyDir medium \"{}\" is not known; use \"\" or \"Memory\"",
                                 volume.name, volume.emptyDir->medium));
      plan.kind = memory ? VolumePlan::Kind::Memory : VolumePlan::Kind::Directory;
      if (!volume.emptyDir->sizeLimit.empty()) {
        STOKER_TRY(kube::Quantity limit, kube::Quantity::parse(volume.emptyDir->sizeLimit));
        plan.sizeBytes = limit.value();
      }
      // Upstream sizes a memory volume by the smaller of its limit and the pod's memory limit.
      int64_t podLimit = podLimits(pod.spec).memoryBytes;
      if (memory && podLimit > 0 && (plan.sizeBytes == 0 || podLimit < plan.sizeBytes)) plan.sizeBytes = podLimit;
    } else if (volume.hostPath) {
      plan.kind = VolumePlan::Kind::HostPath;
      plan.path = volume.hostPath->path;
      plan.hostPathType = volume.hostPath->type;
    } else if (volume.configMap) {
      plan.kind = VolumePlan::Kind::Files;
      STOKER_CHECK(addObject(plan.files, volume.name, *volume.configMap, false, facts.references,
                             volume.configMap->defaultMode.value_or(kDefaultMode)));
    } else if (volume.secret) {
      plan.kind = VolumePlan::Kind::Files;
      STOKER_CHECK(addObject(plan.files, volume.name, *volume.secret, true, facts.references,
                             volume.secret->defaultMode.value_or(kDefaultMode)));
    } else if (volume.downwardAPI) {
      plan.kind = VolumePlan::Kind::Files;
      STOKER_CHECK(addDownward(plan.files, volume.name, volume.downwardAPI->items, pod, facts,
                               volume.downwardAPI->defaultMode.value_or(kDefaultMode)));
    } else if (volume.projected) {
      plan.kind = VolumePlan::Kind::Files;
      STOKER_CHECK(addProjected(plan.files, volume, pod, facts));
    } else {
      return Error(
          Reason::Invalid,
          fmt::format("volume \"{}\": {} is not supported by this node; use emptyDir, hostPath, configMap, secret, "
                      "downwardAPI or projected",
                      volume.name, unsupportedType(volume)));
    }
    if (hasApiContent(plan)) plan.path = memoryRoot + "/" + volume.name;
    out.push_back(std::move(plan));
  }
  return out;
}

bool hasApiContent(const VolumePlan& plan) { return plan.kind == VolumePlan::Kind::Files; }

Result<void> applyVolume(Files& files, VolumePlan& plan, std::optional<int64_t> group) {
  switch (plan.kind) {
    case VolumePlan::Kind::Directory:
      return files.makeDirectory(plan.path, 0777, group);
    case VolumePlan::Kind::Memory: {
      STOKER_TRY(bool shared, files.makeMemoryDirectory(plan.path, plan.sizeBytes, group));
      plan.perContainer = !shared && plan.users <= 1;
      return {};
    }
    case VolumePlan::Kind::HostPath:
      return files.prepareHostPath(plan.path, plan.hostPathType);
    case VolumePlan::Kind::Files:
      return files.writeVolume(plan.path, plan.files, group);
  }
  return {};
}

Result<std::vector<Mount>> containerMounts(Files& files, const podspec::Container& container,
                                           const std::vector<VolumePlan>& volumes, const Environment& environment) {
  std::vector<Mount> out;
  for (const auto& mount : container.volumeMounts) {
    const VolumePlan* volume = nullptr;
    for (const auto& candidate : volumes)
      if (candidate.name == mount.name) volume = &candidate;
    if (!volume)
      return Error(Reason::Invalid, fmt::format("volumeMounts: volume \"{}\" is not in spec.volumes", mount.name));
    std::string sub = mount.subPath;
    if (!mount.subPathExpr.empty()) {
      sub = expand(mount.subPathExpr, environment.byName);
      if (sub.find("$(") != std::string::npos)
        return Error(Reason::Invalid,
                     fmt::format("volumeMounts of \"{}\": subPathExpr \"{}\" names a variable that the "
                                 "container does not have",
                                 mount.name, mount.subPathExpr));
    }
    if (volume->perContainer && sub.empty()) {
      out.push_back({.kind = Mount::Kind::Tmpfs,
                     .target = mount.mountPath,
                     .readOnly = mount.readOnly,
                     .sizeBytes = volume->sizeBytes});
      continue;
    }
    std::string source = volume->path;
    if (!sub.empty()) {
      STOKER_CHECK(checkPath(mount.name, sub));
      if (volume->kind == VolumePlan::Kind::Files)
        source += "/..data/" + sub;
      else {
        STOKER_TRY(source, files.subPath(volume->path, sub));
      }
    }
    // Content from the API is read-only for the container whatever the mount says, as upstream has it.
    bool readOnly = mount.readOnly || volume->kind == VolumePlan::Kind::Files;
    out.push_back({.kind = Mount::Kind::Bind, .source = source, .target = mount.mountPath, .readOnly = readOnly});
  }
  return out;
}

}  // namespace stoker::node
