#include "node/agent/container_spec.h"

#include <fmt/format.h>

#include "api/gang.h"
#include "base/strings.h"

namespace stoker::node {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr const char* kGpuResource = "nvidia.com/gpu";

uint32_t idOr(const std::optional<int64_t>& own, const std::optional<int64_t>& pods) {
  return static_cast<uint32_t>(own ? *own : pods.value_or(0));
}

std::string listOf(const std::vector<int>& indices) {
  std::vector<std::string> words;
  for (int index : indices) words.push_back(std::to_string(index));
  return join(words, ",");
}

}  // namespace

std::variant<ContainerSpec, StartProblem> makeContainerSpec(Files& files, const podspec::Pod& pod,
                                                            const podspec::Container& container, const PodFacts& facts,
                                                            const std::vector<VolumePlan>& volumes,
                                                            const ContainerContext& context) {
  auto configError = [](std::string message) { return StartProblem{"CreateContainerConfigError", std::move(message)}; };
  ContainerSpec spec;
  spec.name = container.name;

  const ImageRule& rule = context.images->find(container.image);
  if (rule.root != "host") {
    if (!files.isDirectory(rule.root))
      return StartProblem{"ErrImagePull",
                          fmt::format("image \"{}\": its root {} does not exist; see \"{}\" in images.yaml",
                                      container.image, rule.root, rule.image)};
    spec.root.kind = RootFs::Kind::Directory;
    spec.root.directory = rule.root;
  }
  spec.root.readOnly = container.securityContext.readOnlyRootFilesystem;

  auto environment = containerEnvironment(pod, container, facts);
  if (!environment.ok()) return configError(environment.error().message);
  Variables given = environment->byName;
  for (const auto& [name, value] : rule.env)
    if (!given.contains(name)) spec.env.push_back(name + "=" + value);
  std::string path;
  for (const auto& [name, value] : environment->ordered) {
    if (name == "PATH")
      path = value;
    else
      spec.env.push_back(name + "=" + value);
  }
  if (rule.applets && !context.appletProgram.empty()) {
    if (path.empty()) path = rule.env.contains("PATH") ? rule.env.at("PATH") : kDefaultPath;
    path = std::string(kAppletDirectory) + ":" + path;
    std::erase_if(spec.env, [](const std::string& variable) { return variable.starts_with("PATH="); });
  }
  if (!path.empty()) spec.env.push_back("PATH=" + path);

  auto cards = parseCards(pod.metadata.annotation(api::kCardsAnnotation));
  if (!cards.ok()) return configError(fmt::format("annotation {}: {}", api::kCardsAnnotation, cards.error().message));
  auto mine = cardsOf(pod.spec, container, *cards);
  if (!mine.ok()) return configError(mine.error().message);
  if (auto gpus = mine->find(kGpuResource); gpus != mine->end() && !given.contains("NVIDIA_VISIBLE_DEVICES")) {
    spec.env.push_back("NVIDIA_VISIBLE_DEVICES=" + listOf(gpus->second));
    if (!context.simulatedDevices.contains(kGpuResource)) {
      for (int index : gpus->second) spec.devices.push_back(fmt::format("/dev/nvidia{}", index));
      for (const char* shared : {"/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools"})
        spec.devices.push_back(shared);
    }
  }

  auto words = [&](const std::vector<std::string>& from, bool expanded) {
    for (const auto& word : from) spec.argv.push_back(expanded ? expand(word, given) : word);
  };
  // As with images: command replaces entrypoint and cmd, args alone replaces cmd.
  if (!container.command.empty()) {
    words(container.command, true);
    words(container.args, true);
  } else {
    words(rule.command, false);
    if (container.args.empty())
      words(rule.args, false);
    else
      words(container.args, true);
  }
  if (spec.argv.empty())
    return StartProblem{
        "CreateContainerError",
        fmt::format("image \"{}\": no command specified; give the container a command, or the image one in "
                    "images.yaml",
                    container.image)};
  spec.workingDir = container.workingDir.empty() ? rule.workingDir : container.workingDir;

  auto mounts = containerMounts(files, container, volumes, *environment);
  if (!mounts.ok()) return configError(mounts.error().message);
  spec.mounts = std::move(*mounts);
  // The host's temporary directories start empty in a container. An image that stands for a folder there must have it.
  bool hidden = rule.workingDir.starts_with("/tmp/") || rule.workingDir.starts_with("/var/tmp/") ||
                rule.workingDir.starts_with("/run/");
  if (rule.root == "host" && hidden && files.isDirectory(rule.workingDir))
    spec.mounts.insert(spec.mounts.begin(), {.source = rule.workingDir, .target = rule.workingDir, .readOnly = true});
  if (rule.applets && !context.appletProgram.empty())
    spec.mounts.push_back(
        {.source = context.appletProgram, .target = std::string(kAppletDirectory) + "/nslookup", .readOnly = true});

  const auto& security = container.securityContext;
  const auto& podSecurity = pod.spec.securityContext;
  spec.uid = idOr(security.runAsUser, podSecurity.runAsUser);
  spec.gid = idOr(security.runAsGroup, podSecurity.runAsGroup);
  bool nonRoot = security.runAsNonRoot ? *security.runAsNonRoot : podSecurity.runAsNonRoot.value_or(false);
  if (nonRoot && spec.uid == 0)
    return configError(
        fmt::format("container has runAsNonRoot and image will run as root (pod: \"{}_{}({})\", container: {})",
                    pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid, container.name));
  for (int64_t group : podSecurity.supplementalGroups) spec.supplementaryGroups.push_back(static_cast<uint32_t>(group));
  if (podSecurity.fsGroup) spec.supplementaryGroups.push_back(static_cast<uint32_t>(*podSecurity.fsGroup));
  spec.privileged = security.privileged;
  spec.noNewPrivileges = !security.allowPrivilegeEscalation.value_or(true);
  spec.addCapabilities = security.capabilities.add;
  spec.dropCapabilities = security.capabilities.drop;
  const auto& seccomp = security.seccompProfile ? security.seccompProfile : podSecurity.seccompProfile;
  spec.seccompUnconfined = seccomp && seccomp->type == "Unconfined";

  spec.limits = containerLimits(container);
  spec.oomScoreAdj = oomScoreAdjust(pod.spec, container, context.nodeMemoryBytes);
  spec.logPath = context.logPath;
  if (!container.terminationMessagePath.empty()) spec.terminationMessagePath = container.terminationMessagePath;
  return spec;
}

PodSandboxSpec makeSandboxSpec(const podspec::Pod& pod, const SandboxContext& context) {
  const auto& spec = pod.spec;
  PodSandboxSpec out;
  out.uid = pod.metadata.uid;
  out.namespaceName = pod.metadata.namespace_;
  out.name = pod.metadata.name;
  out.hostNetwork = spec.hostNetwork;
  out.hostname = spec.hostname.empty() ? pod.metadata.name : spec.hostname;
  constexpr size_t kMaxHostname = 63;
  if (out.hostname.size() > kMaxHostname) {
    // kubelet's truncatePodHostnameIfNeeded: what is cut must not leave '-' or '.' at the end.
    out.hostname.resize(kMaxHostname);
    while (!out.hostname.empty() && (out.hostname.back() == '-' || out.hostname.back() == '.')) out.hostname.pop_back();
  }
  if (!spec.subdomain.empty())
    out.fqdn = fmt::format("{}.{}.{}.svc.{}", out.hostname, spec.subdomain, out.namespaceName, context.clusterDomain);
  if (spec.setHostnameAsFQDN && !out.fqdn.empty() && out.fqdn.size() <= kMaxHostname) out.hostname = out.fqdn;

  // ClusterFirst on the host's network falls back to Default, as upstream documents it.
  std::string policy = spec.dnsPolicy.empty() ? "ClusterFirst" : spec.dnsPolicy;
  bool cluster = policy == "ClusterFirstWithHostNet" || (policy == "ClusterFirst" && !spec.hostNetwork);
  if (cluster && !context.dnsServer.empty()) {
    out.dnsServers = {context.dnsServer};
    out.dnsSearches = {fmt::format("{}.svc.{}", out.namespaceName, context.clusterDomain),
                       "svc." + context.clusterDomain, context.clusterDomain};
    out.dnsOptions = {"ndots:5"};
  }
  auto addUnique = [](std::vector<std::string>& to, const std::string& word) {
    if (std::find(to.begin(), to.end(), word) == to.end()) to.push_back(word);
  };
  for (const auto& server : spec.dnsConfig.nameservers) addUnique(out.dnsServers, server);
  for (const auto& search : spec.dnsConfig.searches) addUnique(out.dnsSearches, search);
  for (const auto& option : spec.dnsConfig.options) {
    std::erase_if(out.dnsOptions, [&](const std::string& known) {
      return known == option.name || known.starts_with(option.name + ":");
    });
    out.dnsOptions.push_back(option.value ? option.name + ":" + *option.value : option.name);
  }
  for (const auto& alias : spec.hostAliases) out.hostEntries.push_back({alias.ip, alias.hostnames});
  out.limits = podLimits(spec);
  out.limits.pids = context.podPidsLimit;
  return out;
}

}  // namespace stoker::node
