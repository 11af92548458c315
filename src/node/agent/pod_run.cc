#include "node/agent/pod_run.h"

#include <algorithm>

namespace stoker::node {
namespace {

using State = ContainerRun::State;
using Sandbox = PodRun::Sandbox;

// Pauses after a failed sandbox or start: the first is short because most causes pass at once.
constexpr Duration kFirstPause = 1s;
constexpr Duration kLongestPause = 64s;
Duration pauseAfter(int failures) {
  return std::min<Duration>(kFirstPause * (1 << std::min(failures - 1, 6)), kLongestPause);
}

void resetProbes(ContainerRun& run, const podspec::Container& spec) {
  run.startupDone = !spec.startupProbe;
  run.ready = !spec.readinessProbe;
}

/// The commanded start did not happen: back to what was before, so that the same number is used again.
void undoStart(ContainerRun& run) {
  run.attempt = run.last ? run.last->attempt : -1;
  run.state = run.last ? State::Exited : State::NotStarted;
}

void ended(ContainerRun& run, ContainerExited exit, const BackOffLimits& limits) {
  if (run.last && run.last->attempt != exit.attempt) run.previous = std::move(run.last);
  run.attempt = exit.attempt;
  run.state = State::Exited;
  run.startedAt = exit.startedAt;
  run.restartAt = exit.finishedAt + run.backOff.ended(exit.startedAt, exit.finishedAt, limits);
  run.done = run.init && !run.sidecar && exit.exitCode == 0;
  run.problem.reset();
  run.stopBy.reset();
  run.last = std::move(exit);
}

ContainerExited lost(const ContainerRun& run, Time now, const char* message) {
  return {.name = run.name,
          .attempt = std::max(run.attempt, 0),
          .exitCode = 137,
          .reason = "ContainerStatusUnknown",
          .message = message,
          .startedAt = run.startedAt,
          .finishedAt = now};
}

}  // namespace

ContainerRun* PodRun::find(const std::string& name) {
  for (auto& container : containers)
    if (container.name == name) return &container;
  return nullptr;
}

bool PodRun::anyActive() const {
  return std::any_of(containers.begin(), containers.end(), [](const ContainerRun& c) { return c.active(); });
}

const podspec::Container& specOf(const podspec::PodSpec& spec, size_t index) {
  return index < spec.initContainers.size() ? spec.initContainers[index]
                                            : spec.containers[index - spec.initContainers.size()];
}

std::string podAddress(const podspec::PodSpec& spec, const PodRun& run, const std::string& hostIp) {
  if (run.sandbox == Sandbox::Absent) return {};
  bool hosts = spec.hostNetwork || (run.ip.empty() && run.sandbox == Sandbox::Ready);
  return hosts ? hostIp : run.ip;
}

bool restarts(const podspec::PodSpec& spec, const ContainerRun& run, int exitCode) {
  if (run.sidecar) return true;
  if (run.init) return exitCode != 0 && spec.restartPolicy != "Never";
  return spec.restartPolicy == "Always" || (spec.restartPolicy == "OnFailure" && exitCode != 0);
}

PodRun newRun(const podspec::PodSpec& spec) {
  PodRun run;
  for (size_t i = 0; i < spec.initContainers.size() + spec.containers.size(); ++i) {
    const auto& container = specOf(spec, i);
    ContainerRun& one = run.containers.emplace_back();
    one.name = container.name;
    one.init = i < spec.initContainers.size();
    one.sidecar = one.init && podspec::isSidecar(container);
    resetProbes(one, container);
  }
  return run;
}

int beginStart(ContainerRun& container) {
  container.state = State::Starting;
  container.problem.reset();
  container.stopBy.reset();
  return ++container.attempt;
}

void beginSandbox(PodRun& run, const podspec::PodSpec& spec, Time now) {
  bool again = run.sandbox == Sandbox::Gone;
  run.sandbox = Sandbox::Creating;
  run.killBy.reset();
  if (!again) return;
  for (ContainerRun& container : run.containers) {
    container.problem.reset();
    container.stopBy.reset();
    // A main container that has done its work is not repeated; initialisation is: the new sandbox saw none of it.
    if (!container.init && container.last && !restarts(spec, container, container.last->exitCode)) continue;
    container.done = false;
    container.state = State::NotStarted;
    container.restartAt = now;
  }
}

bool applyEvent(PodRun& run, const PodEvent& event, const podspec::PodSpec& spec, const BackOffLimits& limits,
                Time now) {
  if (const auto* ready = std::get_if<PodSandboxReady>(&event.what)) {
    if (run.sandbox == Sandbox::Ready && run.ip == ready->ip) return false;
    run.sandbox = Sandbox::Ready;
    run.killBy.reset();
    if (!ready->ip.empty()) run.ip = ready->ip;
    run.failures = 0;
    return true;
  }
  if (const auto* started = std::get_if<ContainerStarted>(&event.what)) {
    ContainerRun* one = run.find(started->name);
    if (!one || started->attempt < one->attempt) return false;
    if (started->attempt == one->attempt && (one->state == State::Running || one->ended())) return false;
    one->attempt = started->attempt;
    one->state = State::Running;
    one->startedAt = started->startedAt;
    one->problem.reset();
    one->stopBy.reset();
    resetProbes(*one, specOf(spec, static_cast<size_t>(one - run.containers.data())));
    return true;
  }
  if (const auto* exited = std::get_if<ContainerExited>(&event.what)) {
    ContainerRun* one = run.find(exited->name);
    if (!one || exited->attempt < one->attempt || (one->last && one->last->attempt >= exited->attempt)) return false;
    ended(*one, *exited, limits);
    return true;
  }
  if (std::holds_alternative<PodGone>(event.what)) {
    if (run.sandbox == Sandbox::Gone) return false;
    run.sandbox = Sandbox::Gone;
    run.killBy.reset();
    for (ContainerRun& one : run.containers) {
      if (one.state == State::Starting)
        undoStart(one);
      else if (one.state == State::Running)
        ended(one, lost(one, now, "The pod's supervisor ended under the container"), limits);
    }
    return true;
  }
  if (const auto* failed = std::get_if<RuntimeFailed>(&event.what)) {
    ++run.failures;
    run.retryAt = now + pauseAfter(run.failures);
    if (failed->what == "ensurePod") {
      if (run.sandbox == Sandbox::Creating) run.sandbox = Sandbox::Gone;
    } else if (failed->what == "startContainer") {
      for (ContainerRun& one : run.containers) {
        if (one.state != State::Starting) continue;
        undoStart(one);
        one.problem = StartProblem{"RunContainerError", failed->message};
        one.restartAt = run.retryAt;
      }
    } else {
      run.killBy.reset();
      for (ContainerRun& one : run.containers) one.stopBy.reset();
    }
    return true;
  }
  return false;
}

namespace {

ContainerExited exitOf(const ContainerRun& run, json::Value terminated, int attempt, Time now) {
  ContainerExited exit{.name = run.name,
                       .attempt = attempt,
                       .exitCode = static_cast<int>(terminated["exitCode"].asInt()),
                       .signal = static_cast<int>(terminated["signal"].asInt()),
                       .reason = terminated["reason"].str(),
                       .message = terminated["message"].str()};
  exit.startedAt = parseTime(terminated["startedAt"].asString()).value_or(Time{});
  exit.finishedAt = parseTime(terminated["finishedAt"].asString()).value_or(now);
  return exit;
}

}  // namespace

PodRun resumeRun(const podspec::PodSpec& spec, json::Value apiStatus) {
  PodRun run = newRun(spec);
  if (auto started = parseTime(apiStatus["startTime"].asString())) {
    run.startTime = *started;
    run.admitted = true;
  }
  run.ip = apiStatus["podIP"].str();
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (json::Value status : apiStatus[list].items()) {
      ContainerRun* one = run.find(status["name"].str());
      if (!one) continue;
      int count = static_cast<int>(status["restartCount"].asInt());
      json::Value now = status["state"];
      if (json::Value last = status.at({"lastState", "terminated"}); last.isObject() && !now["terminated"].isObject())
        ended(*one, exitOf(*one, last, now["running"].isObject() ? count - 1 : count, Time{}), {});
      if (now["terminated"].isObject())
        ended(*one, exitOf(*one, now["terminated"], count, Time{}), {});
      else
        one->state = one->last && !now["running"].isObject() ? State::Exited : State::NotStarted;
    }
  }
  return run;
}

PodRun recoverRun(const podspec::PodSpec& spec, json::Value apiStatus, const RecoveredPod* record,
                  const BackOffLimits& limits, Time now) {
  PodRun run = newRun(spec);
  if (auto started = parseTime(apiStatus["startTime"].asString())) run.startTime = *started;
  run.ip = apiStatus["podIP"].str();
  if (record) {
    run.admitted = true;
    run.sandbox = record->alive ? Sandbox::Ready : Sandbox::Gone;
    if (!record->ip.empty()) run.ip = record->ip;
    // Records stand in the order of their starts. Initialisation that goes backwards began in a new sandbox.
    size_t stage = 0;
    for (const ContainerRecord& past : record->containers) {
      ContainerRun* one = run.find(past.name);
      if (!one) continue;
      size_t index = one->init ? static_cast<size_t>(one - run.containers.data()) : spec.initContainers.size();
      if (!one->sidecar) {
        if (index < stage || (one->init && one->done))
          for (ContainerRun& other : run.containers) other.done = false;
        stage = index;
      }
      if (past.exited) {
        ended(*one, *past.exited, limits);
      } else {
        one->attempt = past.attempt;
        one->state = State::Running;
        one->startedAt = past.startedAt;
      }
    }
  }
  // What the runtime has no record of, but the API has seen running.
  for (const char* list : {"initContainerStatuses", "containerStatuses"}) {
    for (json::Value status : apiStatus[list].items()) {
      ContainerRun* one = run.find(status["name"].str());
      int count = static_cast<int>(status["restartCount"].asInt());
      bool ran = status.at({"state", "running"}).isObject() || status.at({"state", "terminated"}).isObject() ||
                 status.at({"lastState", "terminated"}).isObject();
      if (!one || !ran || count <= one->attempt) continue;
      run.admitted = true;
      json::Value past = status.at({"state", "terminated"});
      if (past.isNull()) past = status.at({"lastState", "terminated"});
      if (status.at({"state", "running"}).isObject() || past.isNull()) {
        one->attempt = count;
        one->startedAt = parseTime(status.at({"state", "running", "startedAt"}).asString()).value_or(Time{});
        ended(*one, lost(*one, now, "The container could not be located when the node agent was restarted"), limits);
      } else {
        ended(*one, exitOf(*one, past, count, now), limits);
      }
      if (!record) run.sandbox = Sandbox::Gone;
    }
  }
  if (!apiStatus["startTime"].isNull()) run.admitted = true;
  return run;
}

}  // namespace stoker::node
