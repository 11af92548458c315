// One pod of the agent: from what is and what is wished to commands and writes. agent.cc has the rest of the class.
#include <fmt/format.h>

#include "api/gang.h"
#include "base/log.h"
#include "node/agent/agent.h"
#include "node/agent/status.h"
#include "node/simulated/simulation.h"

namespace stoker::node {
namespace {

using client::Write;
using Sandbox = PodRun::Sandbox;

// A container whose configuration is wrong is tried again after this, or as soon as an object that it refers to
// changes.
constexpr Duration kConfigRetry = 10s;
// The same status patch is not sent again before this.
constexpr Duration kSamePatch = 10s;
constexpr int kPodMountFailures = 7;  // pauses between attempts to mount volumes: 1 s doubled up to 64 s

bool isFinal(json::Value object) {
  std::string_view phase = object["status"]["phase"].asString();
  return phase == "Succeeded" || phase == "Failed";
}

Write podWrite(const client::Key& key, const std::string& uid, Write::Verb verb) {
  return {
      .verb = verb, .resource = client::gvrOf<api::Pod>(), .namespace_ = key.namespace_, .name = key.name, .uid = uid};
}

}  // namespace

std::string NodeAgent::logDirectory(const podspec::Pod& pod) const {
  return fmt::format("{}/{}_{}_{}", options_.logsDirectory, pod.metadata.namespace_, pod.metadata.name,
                     pod.metadata.uid);
}

std::string NodeAgent::volumeRoot(const Entry& entry) const { return runtime_.podDirectory(entry.uid) + "/volumes"; }

void NodeAgent::event(const podspec::Pod& pod, const std::string& type, const std::string& reason,
                      const std::string& message) {
  client::EventNote note{"v1",   "Pod",  pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid, type,
                         reason, message};
  events_.record({note}, pod.spec.nodeName);
}

void NodeAgent::giveBack(Entry& entry) {
  if (!entry.inRuntime || entry.removing || entry.writeAfter > loop_.now()) return;
  entry.removing = true;
  files_.unmountBelow(volumeRoot(entry));
  runtime_.removePod(entry.uid);
}

void NodeAgent::syncGone(Entry& entry) {
  if (entry.inRuntime) {
    if (entry.writeAfter > loop_.now()) wakeAt(entry, entry.writeAfter);
    giveBack(entry);
  } else {
    forget(entry);
  }
}

void NodeAgent::syncFinished(Entry& entry, const podspec::Pod& pod) {
  uncharge(entry);
  references_.release(entry.uid);
  if (entry.inRuntime) {
    if (entry.writeAfter > loop_.now()) wakeAt(entry, entry.writeAfter);
    return giveBack(entry);
  }
  // Everything is given back: the last word on a pod that was asked to go. With finalizers it stays, its grace now
  // zero.
  bool waits = pod.metadata.deleting() && pod.metadata.deletionGracePeriodSeconds.value_or(0) != 0;
  if (!waits || entry.deleted || entry.writing) return;
  if (entry.writeAfter > loop_.now()) return wakeAt(entry, entry.writeAfter);
  Write write = podWrite(entry.key, entry.uid, Write::Verb::Delete);
  write.gracePeriodSeconds = 0;
  submit(entry, std::move(write));
}

void NodeAgent::sync(Entry& entry) {
  if (down_.contains(entry.node)) return;
  if (!entry.inApi) return syncGone(entry);
  auto parsed = parse(entry.object);
  if (!parsed) return;
  const podspec::Pod& pod = parsed->pod;
  if (isFinal(parsed->object)) return syncFinished(entry, pod);

  Time now = loop_.now();
  PodRun& run = entry.run;
  Wish wish;
  wish.deleting = pod.metadata.deleting();
  if (wish.deleting) wish.killBy = *pod.metadata.deletionTimestamp;
  if (!run.admitted && !run.failure && !wish.deleting && !admitPod(entry, pod)) return;
  if (run.startTime == Time{} && run.admitted) run.startTime = now;
  if (!run.failure) {
    run.failure = deadlineFailure(pod.spec, run, now);
    if (run.failure) event(pod, "Normal", run.failure->reason, run.failure->message);
  }
  if (options_.materialise && !wish.deleting) keepVolumes(entry, pod);
  if (std::exchange(entry.volumesStale, false)) {
    for (ContainerRun& container : run.containers)
      if (container.problem) container.restartAt = now;
    run.retryAt = now;
  }

  Decision decision = decide(pod.spec, run, wish, now);
  act(entry, pod, decision);
  if (decision.over) uncharge(entry);
  writeStatus(entry, pod, parsed->object, decision, wish);
  beginProbes(entry, pod);
  if (decision.wakeAt) wakeAt(entry, *decision.wakeAt);
}

bool NodeAgent::admitPod(Entry& entry, const podspec::Pod& pod) {
  NodeState& node = nodes_[entry.node];
  // What force-deleted pods held comes free as soon as their processes are dead: that is no reason to turn anybody
  // away.
  if (orphansOn(node)) return false;
  const NodeConfig& config = options_.nodes[node.config];
  NodeRoom room{.allocatable = node.allocatable,
                .used = node.used,
                .pods = node.pods,
                .labels = nodeLabels(config),
                .name = config.name};
  auto rejection = admit(pod.spec, room);
  if (!rejection && entry.cards.empty()) {
    std::map<std::string, std::set<int>> taken;
    if (!config.devices.empty())
      for (const std::string& uid : node.uids)
        if (const Entry& other = *entries_.at(uid); other.charged)
          for (const auto& [resource, indices] : other.cards) taken[resource].insert(indices.begin(), indices.end());
    auto cards = pickCards(pod.spec, config.devices, taken);
    if (!cards.ok())
      rejection = Rejection{"UnexpectedAdmissionError", "Allocate failed due to " + cards.error().message};
    else if (*cards)
      entry.cards = **cards;
  }
  if (rejection) {
    event(pod, "Warning", rejection->reason, rejection->message);
    entry.run.failure = std::move(rejection);
    return true;
  }
  entry.run.admitted = true;
  charge(entry, pod);
  return true;
}

void NodeAgent::act(Entry& entry, const podspec::Pod& pod, const Decision& decision) {
  PodRun& run = entry.run;
  Time now = loop_.now();
  if (decision.ensureSandbox) {
    beginSandbox(run, pod.spec, now);
    entry.inRuntime = true;
    entry.volumesReady = false;
    SandboxContext context{.clusterDomain = options_.clusterDomain,
                           .dnsServer = runtime_.capabilities().bridgeAddress,
                           .podPidsLimit = options_.podPidsLimit};
    PodSandboxSpec spec = makeSandboxSpec(pod, context);
    if (!run.ip.empty() && !spec.hostNetwork) spec.ip = run.ip;
    runtime_.ensurePod(std::move(spec));
  }
  auto killing = [&](const ContainerRun& container) {
    if (container.active()) event(pod, "Normal", "Killing", fmt::format("Stopping container {}", container.name));
  };
  for (const Decision::Stop& stop : decision.stop) {
    ContainerRun& container = run.containers[stop.container];
    if (!container.stopBy) killing(container);
    container.stopBy = now + std::chrono::seconds(stop.graceSeconds);
    runtime_.stopContainer(entry.uid, container.name, stop.graceSeconds);
  }
  if (decision.killPod) {
    if (!run.killBy)
      for (const ContainerRun& container : run.containers)
        if (!container.stopBy) killing(container);
    run.killBy = now + std::chrono::seconds(*decision.killPod);
    runtime_.killPod(entry.uid, *decision.killPod);
  }
  if (decision.start.empty() || !prepare(entry, pod)) return;
  for (size_t index : decision.start) startContainer(entry, pod, index);
}

PodFacts NodeAgent::factsOf(const Entry& entry, const podspec::Pod& pod) const {
  PodFacts facts;
  const NodeState& node = nodes_.at(entry.node);
  facts.hostIp = options_.nodes[node.config].address;
  facts.podIp = podAddress(pod.spec, entry.run, facts.hostIp);
  facts.allocatable = node.allocatable;
  references_.fill(entry.uid, facts.references);
  for (const auto& [key, token] : entry.tokens)
    if (!token.value.empty()) facts.references.tokens[key] = token.value;
  if (pod.spec.enableServiceLinks.value_or(true))
    for (const auto& service : services_.inNamespace(pod.metadata.namespace_)) {
      const auto& spec = service->object.spec;
      addServiceVariables(facts.services, service->object.metadata.name, spec.clusterIP, spec.ports);
    }
  if (!options_.apiHost.empty())
    addServiceVariables(facts.services, "kubernetes", options_.apiHost,
                        {{.name = "https", .protocol = "TCP", .port = options_.apiPort}});
  return facts;
}

bool NodeAgent::prepareTokens(Entry& entry, const podspec::Pod& pod) {
  bool complete = true;
  Time now = loop_.now();
  for (const TokenWish& wish : tokensOf(pod.spec)) {
    Token& token = entry.tokens[wish.key];
    if (!token.value.empty() && now < token.refreshAt) continue;
    complete = complete && !token.value.empty();
    if (token.asked) continue;
    token.asked = true;
    json::Arena arena;
    json::Object spec(arena);
    spec.set("expirationSeconds", wish.expirationSeconds);
    if (!wish.audience.empty()) spec.set("audiences", json::array(arena, {json::string(arena, wish.audience)}));
    spec.set("boundObjectRef", json::Object(arena)
                                   .set("apiVersion", "v1")
                                   .set("kind", "Pod")
                                   .set("name", pod.metadata.name)
                                   .set("uid", pod.metadata.uid)
                                   .build());
    Write write{.verb = Write::Verb::Create,
                .resource = {"", "v1", "serviceaccounts"},
                .namespace_ = pod.metadata.namespace_,
                .name = pod.spec.serviceAccountName.empty() ? "default" : pod.spec.serviceAccountName,
                .subresource = "token"};
    write.body = json::print(json::Object(arena)
                                 .set("apiVersion", "authentication.k8s.io/v1")
                                 .set("kind", "TokenRequest")
                                 .set("spec", spec.build())
                                 .build());
    cluster_.write({std::move(write)}, client::Mode::Each,
                   [&loop = loop_, link = link_, uid = entry.uid, wish](std::vector<Result<client::Object>> results) {
                     loop.post([link, uid, wish, result = std::move(results.at(0))] {
                       if (link->agent) link->agent->gotToken(uid, wish, result);
                     });
                   });
  }
  return complete;
}

void NodeAgent::gotToken(const std::string& uid, const TokenWish& wish, const Result<client::Object>& result) {
  auto it = entries_.find(uid);
  if (it == entries_.end()) return;
  Entry& entry = *it->second;
  Token& token = entry.tokens[wish.key];
  token.asked = false;
  touch(uid);
  std::string failure;
  if (result.ok()) {
    json::Arena arena;
    auto parsed = json::parse(arena, *result->bytes);
    std::string value = parsed.ok() ? (*parsed)["status"]["token"].str() : std::string();
    if (!value.empty()) {
      Time now = loop_.now();
      auto expires = parseTime((*parsed)["status"]["expirationTimestamp"].asString());
      Duration life = expires ? *expires - now : Duration(std::chrono::seconds(wish.expirationSeconds));
      token.value = std::move(value);
      token.refreshAt = now + life * 4 / 5;  // upstream renews at 80 % of the life
      entry.volumesStale = true;
      return;
    }
    failure = "the answer to the token request holds no token";
  } else {
    failure = result.error().message;
  }
  auto parsed = parse(entry.object);
  if (entry.inApi && parsed) mountFailed(entry, parsed->pod, fmt::format("failed to fetch token: {}", failure));
}

void NodeAgent::mountFailed(Entry& entry, const podspec::Pod& pod, const std::string& message) {
  PodRun& run = entry.run;
  run.failures = std::min(run.failures + 1, kPodMountFailures);
  run.retryAt = loop_.now() + std::chrono::seconds(1 << (run.failures - 1));
  event(pod, "Warning", "FailedMount", "MountVolume.SetUp failed: " + message);
  wakeAt(entry, run.retryAt);
}

bool NodeAgent::prepare(Entry& entry, const podspec::Pod& pod) {
  if (!options_.materialise) return true;
  if (!entry.cards.empty() && pod.metadata.annotation(api::kCardsAnnotation).empty()) {
    // Placed by somebody who knows nothing of cards: our choice is written down before it is used.
    if (entry.writing) return false;
    json::Arena arena;
    Write write = podWrite(entry.key, entry.uid, Write::Verb::Patch);
    write.body = json::print(json::withPath(arena, json::Value(), {"metadata", "annotations", api::kCardsAnnotation},
                                            json::string(arena, formatCards(entry.cards))));
    submit(entry, std::move(write));
    return false;
  }
  if (!serviceInformer_.synced()) return false;
  references_.use(entry.uid, pod.metadata.namespace_, referencesOf(pod.spec));
  if (!references_.ready(entry.uid) || !prepareTokens(entry, pod)) return false;
  if (entry.volumesReady) return true;
  auto plans =
      planVolumes(pod, factsOf(entry, pod), volumeRoot(entry), runtime_.memoryDirectory(entry.uid) + "/volumes");
  if (!plans.ok()) {
    mountFailed(entry, pod, plans.error().message);
    return false;
  }
  for (VolumePlan& plan : *plans)
    if (auto done = applyVolume(files_, plan, pod.spec.securityContext.fsGroup); !done.ok()) {
      mountFailed(entry, pod, fmt::format("volume \"{}\": {}", plan.name, done.error().message));
      return false;
    }
  entry.volumes = std::move(*plans);
  entry.volumesReady = true;
  entry.run.failures = 0;
  return true;
}

void NodeAgent::keepVolumes(Entry& entry, const podspec::Pod& pod) {
  // A pod that was found running has its volumes, but nobody keeps them up to date yet.
  if (!entry.volumesReady) {
    if (entry.run.sandbox == Sandbox::Ready && entry.run.anyActive() && entry.run.retryAt <= loop_.now())
      prepare(entry, pod);
    return;
  }
  for (const auto& [key, token] : entry.tokens) {
    if (token.refreshAt <= loop_.now())
      entry.volumesStale = true;
    else
      wakeAt(entry, token.refreshAt);
  }
  if (entry.volumesStale) refreshVolumes(entry, pod);
}

void NodeAgent::refreshVolumes(Entry& entry, const podspec::Pod& pod) {
  if (!prepareTokens(entry, pod)) return;
  auto plans =
      planVolumes(pod, factsOf(entry, pod), volumeRoot(entry), runtime_.memoryDirectory(entry.uid) + "/volumes");
  // An object that went away while the pod runs leaves its last content, as upstream does.
  if (!plans.ok()) return;
  for (VolumePlan& plan : *plans) {
    for (const VolumePlan& before : entry.volumes)
      if (before.name == plan.name) plan.perContainer = before.perContainer;
    if (!hasApiContent(plan)) continue;
    if (auto done = applyVolume(files_, plan, pod.spec.securityContext.fsGroup); !done.ok())
      log::warn("node", "pod {}: volume {}: {}", entry.uid, plan.name, done.error().message);
  }
  entry.volumes = std::move(*plans);
}

void NodeAgent::startContainer(Entry& entry, const podspec::Pod& pod, size_t index) {
  ContainerRun& run = entry.run.containers[index];
  const podspec::Container& container = specOf(pod.spec, index);
  std::string logs = logDirectory(pod) + "/" + container.name;
  int attempt = run.attempt + 1;
  ContainerSpec spec;
  if (options_.materialise) {
    ContainerContext context{.images = &options_.images,
                             .appletProgram = options_.appletProgram,
                             .simulatedDevices = options_.nodes[nodes_[entry.node].config].devices};
    context.logPath = fmt::format("{}/{}.log", logs, attempt);
    auto memory = nodes_[entry.node].allocatable.find("memory");
    if (memory != nodes_[entry.node].allocatable.end()) context.nodeMemoryBytes = memory->second.value();
    auto made = makeContainerSpec(files_, pod, container, factsOf(entry, pod), entry.volumes, context);
    if (auto* problem = std::get_if<StartProblem>(&made)) {
      if (run.problem != *problem) event(pod, "Warning", "Failed", "Error: " + problem->message);
      run.problem = std::move(*problem);
      run.restartAt = loop_.now() + kConfigRetry;
      wakeAt(entry, run.restartAt);
      return;
    }
    spec = std::get<ContainerSpec>(std::move(made));
  } else {
    spec = simulatedContainer(pod, container, run.init, attempt);
  }
  spec.attempt = beginStart(run);
  if (attempt == 0 && (container.lifecycle.postStart.root || container.lifecycle.preStop.root))
    event(pod, "Warning", "LifecycleHookNotSupported",
          fmt::format("postStart and preStop of container {} are not carried out by this node", container.name));
  // The log of the run before this one is kept for `logs --previous`; older ones go.
  if (attempt >= 2) files_.removeFiles(logs, fmt::format("{}.log", attempt - 2));
  runtime_.startContainer(entry.uid, std::move(spec));
}

void NodeAgent::writeStatus(Entry& entry, const podspec::Pod& pod, json::Value object, const Decision& decision,
                            const Wish& wish) {
  if (entry.writing) return;  // asked again when it is acknowledged
  if (entry.writeAfter > loop_.now()) return wakeAt(entry, entry.writeAfter);
  StatusFacts facts{.hostIp = options_.nodes[nodes_[entry.node].config].address,
                    .over = wish.deleting ? decision.cleared : decision.over,
                    .deleting = wish.deleting};
  std::string patch = statusPatch(object, pod, entry.run, facts, loop_.now());
  if (patch.empty()) return;
  // Accepted, and yet it is not there: the API keeps it in another form. Saying it again at once would never end.
  if (Time next = entry.lastPatchAt + kSamePatch; patch == entry.lastPatch && loop_.now() < next)
    return wakeAt(entry, next);
  entry.patch = patch;
  Write write = podWrite(entry.key, entry.uid, Write::Verb::Patch);
  write.subresource = "status";
  write.patchType = client::PatchType::Strategic;
  write.body = std::move(patch);
  submit(entry, std::move(write));
}

}  // namespace stoker::node
