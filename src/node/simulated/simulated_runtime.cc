#include "node/simulated/simulated_runtime.h"

#include <fmt/format.h>

#include <charconv>

#include "node/simulated/simulation.h"

namespace stoker::node {
namespace {

constexpr int kSigKill = 9, kSigTerm = 15;

std::string variable(const ContainerSpec& spec, std::string_view name) {
  for (const std::string& entry : spec.env)
    if (entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=')
      return entry.substr(name.size() + 1);
  return {};
}

int codeOf(const ContainerSpec& spec) {
  std::string text = variable(spec, kExitCodeVariable);
  int code = 0;
  std::from_chars(text.data(), text.data() + text.size(), code);
  return code;
}

}  // namespace

Result<std::vector<RecoveredPod>> SimulatedRuntime::recover() {
  std::vector<RecoveredPod> out;
  for (const auto& [uid, pod] : pods_)
    out.push_back(
        {.spec = pod.spec, .ip = pod.ip, .alive = pod.alive, .rebooted = pod.rebooted, .containers = pod.records});
  return out;
}

void SimulatedRuntime::emit(const std::string& uid, decltype(PodEvent::what) what) {
  loop_.post([this, alive = alive_, event = PodEvent{uid, std::move(what)}] {
    if (*alive && listener_) listener_(event);
  });
}

bool SimulatedRuntime::failsNow(const std::string& uid, const std::string& what) {
  auto it = failures_.find(what);
  if (it == failures_.end() || it->second == 0) return false;
  --it->second;
  emit(uid, RuntimeFailed{what, "simulated failure of " + what});
  return true;
}

void SimulatedRuntime::ensurePod(PodSandboxSpec spec) {
  std::string uid = spec.uid;
  if (failsNow(uid, "ensurePod")) return;
  auto [it, added] = pods_.try_emplace(uid);
  Pod& pod = it->second;
  if (added) {
    pod.spec = std::move(spec);
    ++nextIp_;
    pod.ip = pod.spec.hostNetwork
                 ? ""
                 : fmt::format("10.{}.{}.{}", 128 + (nextIp_ >> 16) % 128, (nextIp_ >> 8) % 256, nextIp_ % 256);
  }
  pod.alive = true;
  emit(uid, PodSandboxReady{pod.ip});
}

void SimulatedRuntime::startContainer(const std::string& uid, ContainerSpec spec) {
  if (failsNow(uid, "startContainer")) return;
  auto it = pods_.find(uid);
  if (it == pods_.end() || !it->second.alive) return emit(uid, RuntimeFailed{"startContainer", "the pod is not up"});
  Pod& pod = it->second;
  std::string name = spec.name;
  for (const ContainerRecord& record : pod.records) {
    if (record.name != name || record.attempt != spec.attempt) continue;
    if (record.running)
      emit(uid, ContainerStarted{name, record.attempt, record.pid, record.startedAt});
    else
      emit(uid, *record.exited);
    return;
  }
  if (pod.running.contains(name)) return emit(uid, RuntimeFailed{"startContainer", name + " runs already"});
  ++starts_[fmt::format("{}/{}/{}", uid, name, spec.attempt)];
  Time now = loop_.now();
  pod.records.push_back({.name = name, .attempt = spec.attempt, .running = true, .pid = nextPid_++, .startedAt = now});
  emit(uid, ContainerStarted{name, spec.attempt, pod.records.back().pid, now});
  pod.latest[name] = spec;
  Process& process = pod.running[name];
  process.spec = std::move(spec);
  std::string duration = variable(process.spec, kDurationVariable);
  if (auto lasts = parseGoDuration(duration)) armTimer(uid, process, *lasts, codeOf(process.spec), 0);
}

void SimulatedRuntime::armTimer(const std::string& uid, Process& process, Duration after, int exitCode, int signal) {
  if (process.timer != 0) loop_.cancel(process.timer);
  process.timer = loop_.at(loop_.now() + after, [this, alive = alive_, uid, name = process.spec.name,
                                                 attempt = process.spec.attempt, exitCode, signal] {
    if (!*alive) return;
    auto pod = pods_.find(uid);
    if (pod == pods_.end()) return;
    auto running = pod->second.running.find(name);
    if (running != pod->second.running.end() && running->second.spec.attempt == attempt)
      exit(uid, name, exitCode, signal, "");
  });
}

void SimulatedRuntime::exit(const std::string& uid, const std::string& name, int exitCode, int signal,
                            const std::string& reason) {
  Pod& pod = pods_.at(uid);
  auto running = pod.running.find(name);
  if (running == pod.running.end()) return;
  if (running->second.timer != 0) loop_.cancel(running->second.timer);
  int attempt = running->second.spec.attempt;
  pod.running.erase(running);
  for (ContainerRecord& record : pod.records) {
    if (record.name != name || record.attempt != attempt) continue;
    record.running = false;
    record.exited = ContainerExited{.name = name,
                                    .attempt = attempt,
                                    .exitCode = exitCode,
                                    .signal = signal,
                                    .reason = !reason.empty() ? reason
                                              : exitCode == 0 ? "Completed"
                                                              : "Error",
                                    .startedAt = record.startedAt,
                                    .finishedAt = loop_.now()};
    emit(uid, *record.exited);
  }
  if (pod.killing && pod.running.empty()) end(uid);
}

void SimulatedRuntime::end(const std::string& uid) {
  Pod& pod = pods_.at(uid);
  pod.killing = false;
  if (!std::exchange(pod.alive, false)) return;
  emit(uid, PodGone{});
}

void SimulatedRuntime::stopContainer(const std::string& uid, const std::string& name, int graceSeconds) {
  if (failsNow(uid, "stopContainer")) return;
  auto it = pods_.find(uid);
  if (it == pods_.end()) return;
  auto running = it->second.running.find(name);
  if (running == it->second.running.end()) return;
  Process& process = running->second;
  Time killAt = loop_.now() + std::chrono::seconds(graceSeconds);
  if (process.stopping && killAt >= process.killAt) return;
  process.killAt = killAt;
  if (graceSeconds == 0) return exit(uid, name, 128 + kSigKill, kSigKill, "");
  Duration grace = std::chrono::seconds(graceSeconds);
  // How long it takes to obey SIGTERM; at once when nothing is said.
  Duration obeys =
      process.stopping ? grace : parseGoDuration(variable(process.spec, kStopVariable)).value_or(Duration(0));
  process.stopping = true;
  if (obeys < grace)
    armTimer(uid, process, obeys, 128 + kSigTerm, kSigTerm);
  else
    armTimer(uid, process, grace, 128 + kSigKill, kSigKill);
}

void SimulatedRuntime::killPod(const std::string& uid, int graceSeconds) {
  if (failsNow(uid, "killPod")) return;
  auto it = pods_.find(uid);
  if (it == pods_.end() || !it->second.alive) return;
  it->second.killing = true;
  std::vector<std::string> names;
  for (const auto& [name, process] : it->second.running) names.push_back(name);
  for (const std::string& name : names) stopContainer(uid, name, graceSeconds);
  if (it->second.running.empty()) end(uid);
}

void SimulatedRuntime::removePod(const std::string& uid) {
  if (failsNow(uid, "removePod")) return;
  killPod(uid, 0);
  pods_.erase(uid);
  emit(uid, PodRemoved{});
}

Result<PodUsage> SimulatedRuntime::usage(const std::string& uid) const {
  return Error(Reason::NotFound, "pod " + uid + " is simulated: it uses nothing");
}

void SimulatedRuntime::loseSupervisor(const std::string& uid) {
  Pod& pod = pods_.at(uid);
  while (!pod.running.empty()) {
    std::string name = pod.running.begin()->first;  // `exit` erases what it stands in
    exit(uid, name, 128 + kSigKill, 0, "ContainerStatusUnknown");
  }
  end(uid);
}

void SimulatedRuntime::reboot() {
  Listener listener = std::exchange(listener_, nullptr);
  for (auto& [uid, pod] : pods_) {
    loseSupervisor(uid);
    pod.rebooted = true;
  }
  listener_ = std::move(listener);
}

void SimulatedRuntime::exitNow(const std::string& uid, const std::string& name, int exitCode) {
  if (pods_.contains(uid)) exit(uid, name, exitCode, 0, "");
}

const ContainerSpec* SimulatedRuntime::specOf(const std::string& uid, const std::string& name) const {
  auto pod = pods_.find(uid);
  if (pod == pods_.end()) return nullptr;
  auto spec = pod->second.latest.find(name);
  return spec == pod->second.latest.end() ? nullptr : &spec->second;
}

}  // namespace stoker::node
