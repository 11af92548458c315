// Probes of the agent's pods. agent.cc has the rest of the class; prober.h says what is supported.
#include <fmt/format.h>

#include "node/agent/agent.h"

namespace stoker::node {
namespace {

const std::optional<podspec::Probe>& probeOf(const podspec::Container& container, ProbeKind kind) {
  return kind == ProbeKind::Startup     ? container.startupProbe
         : kind == ProbeKind::Readiness ? container.readinessProbe
                                        : container.livenessProbe;
}

}  // namespace

void NodeAgent::beginProbes(Entry& entry, const podspec::Pod& pod) {
  for (size_t i = 0; i < entry.run.containers.size(); ++i) {
    ContainerRun& run = entry.run.containers[i];
    if (run.state != ContainerRun::State::Running) continue;
    const podspec::Container& container = specOf(pod.spec, i);
    for (ProbeKind kind : {ProbeKind::Startup, ProbeKind::Readiness, ProbeKind::Liveness}) {
      const auto& probe = probeOf(container, kind);
      if (!probe || (kind == ProbeKind::Startup ? run.startupDone : !run.startupDone)) continue;
      if (!entry.probing.insert(fmt::format("{}/{}/{}", run.name, run.attempt, toString(kind))).second) continue;
      auto target = probeTarget(*probe, container, entry.run.ip);
      if (!prober_ || !target.ok() || !*target) {
        std::string why =
            !target.ok() ? target.error().message : "this node carries out httpGet and tcpSocket probes only";
        event(pod, "Warning", "ProbeNotSupported",
              fmt::format("{} probe of container {} is not carried out: {}; the container counts as started and ready",
                          toString(kind), run.name, why));
        if (kind == ProbeKind::Startup) run.startupDone = true;
        if (kind == ProbeKind::Readiness) run.ready = true;
        if (kind != ProbeKind::Liveness) touch(entry.uid);
        continue;
      }
      Time first = std::max(loop_.now(), run.startedAt + std::chrono::seconds(probe->initialDelaySeconds));
      scheduleProbe({entry.uid, i, run.attempt, kind, {}}, first);
    }
  }
}

void NodeAgent::scheduleProbe(ProbeRound round, Time when) {
  loop_.at(when, [link = link_, round = std::move(round)] {
    if (link->agent) link->agent->probe(round);
  });
}

void NodeAgent::probe(ProbeRound round) {
  auto it = entries_.find(round.uid);
  if (it == entries_.end() || !it->second->inApi) return;
  const ContainerRun& run = it->second->run.containers[round.index];
  if (run.state != ContainerRun::State::Running || run.attempt != round.attempt || run.stopBy) return;
  auto parsed = parse(it->second->object);
  if (!parsed) return;
  const podspec::Container& container = specOf(parsed->pod.spec, round.index);
  std::string ip =
      podAddress(parsed->pod.spec, it->second->run, options_.nodes[nodes_.at(it->second->node).config].address);
  auto target = probeTarget(*probeOf(container, round.kind), container, ip);
  if (!target.ok() || !*target) return;
  prober_->probe(**target, [&loop = loop_, link = link_, round](std::string failure) {
    loop.post([link, round, failure = std::move(failure)] {
      if (link->agent) link->agent->probed(round, failure);
    });
  });
}

void NodeAgent::probed(ProbeRound round, const std::string& failure) {
  auto it = entries_.find(round.uid);
  if (it == entries_.end() || !it->second->inApi) return;
  Entry& entry = *it->second;
  ContainerRun& run = entry.run.containers[round.index];
  if (run.state != ContainerRun::State::Running || run.attempt != round.attempt || run.stopBy) return;
  auto parsed = parse(entry.object);
  if (!parsed) return;
  const podspec::Pod& pod = parsed->pod;
  const podspec::Probe& probe = *probeOf(specOf(pod.spec, round.index), round.kind);
  if (!failure.empty())
    event(pod, "Warning", "Unhealthy", fmt::format("{} probe failed: {}", toString(round.kind), failure));
  auto verdict = round.counter.add(failure.empty(), probe);
  touch(entry.uid);
  if (verdict && round.kind == ProbeKind::Readiness) {
    run.ready = *verdict;
  } else if (verdict && *verdict && round.kind == ProbeKind::Startup) {
    run.startupDone = true;
    return;
  } else if (verdict && !*verdict && round.kind != ProbeKind::Readiness) {
    int64_t grace = probe.terminationGracePeriodSeconds.value_or(pod.spec.terminationGracePeriodSeconds.value_or(30));
    run.stopBy = loop_.now() + std::chrono::seconds(grace);
    event(pod, "Normal", "Killing",
          fmt::format("Container {} failed {} probe, will be restarted", run.name,
                      round.kind == ProbeKind::Startup ? "startup" : "liveness"));
    runtime_.stopContainer(entry.uid, run.name, static_cast<int>(grace));
    return;
  }
  scheduleProbe(std::move(round), loop_.now() + std::chrono::seconds(std::max(probe.periodSeconds, 1)));
}

}  // namespace stoker::node
