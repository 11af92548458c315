#include "node/agent/status.h"

#include <fmt/format.h>

#include "base/strings.h"

namespace stoker::node {
namespace {

using State = ContainerRun::State;
using json::Arena;
using json::Value;

/// What a container's state shows.
enum class Shown { Waiting, Running, Terminated };

struct View {
  Shown shown = Shown::Waiting;
  std::string reason, message;                ///< Waiting
  std::optional<ContainerExited> terminated;  ///< Terminated
  std::optional<ContainerExited> before;      ///< lastState
  bool ready = false, started = false;
};

std::string fullName(const podspec::Pod& pod) {
  return fmt::format("{}_{}({})", pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid);
}

View viewOf(const podspec::Pod& pod, const ContainerRun& run, bool over, bool initialized) {
  View view;
  if (run.state == State::Running) {
    view.shown = Shown::Running;
    view.before = run.last;
    view.started = run.startupDone;
    view.ready = run.startupDone && run.ready && (!run.init || run.sidecar);
    return view;
  }
  bool ended = run.last && (run.state == State::Exited || run.state == State::Starting || over);
  if (ended) {
    bool again = !over && restarts(pod.spec, run, run.last->exitCode);
    if (again && (run.problem || run.restartAt > run.last->finishedAt)) {
      view.before = run.last;
      if (run.problem) {
        view.reason = run.problem->reason;
        view.message = run.problem->message;
      } else {
        view.reason = "CrashLoopBackOff";
        view.message = fmt::format("back-off {} restarting failed container={} pod={}",
                                   backOffText(run.restartAt - run.last->finishedAt), run.name, fullName(pod));
      }
      return view;
    }
    view.shown = Shown::Terminated;
    view.terminated = run.last;
    view.before = run.previous;
    view.ready = run.init && !run.sidecar && run.last->exitCode == 0;
    return view;
  }
  view.before = run.last;
  if (over && initialized && !run.init && !run.last) {
    // Upstream: once a pod was initialised, a container without a trace counts as lost.
    view.shown = Shown::Terminated;
    view.terminated = ContainerExited{.name = run.name,
                                      .exitCode = 137,
                                      .reason = "ContainerStatusUnknown",
                                      .message = "The container could not be located when the pod was terminated"};
    return view;
  }
  if (run.problem) {
    view.reason = run.problem->reason;
    view.message = run.problem->message;
  } else {
    view.reason = pod.spec.initContainers.empty() ? "ContainerCreating" : "PodInitializing";
  }
  return view;
}

bool regularInitDone(const PodRun& run) {
  for (const ContainerRun& c : run.containers)
    if (c.init && !c.sidecar && !(c.last && c.last->exitCode == 0 && c.state == State::Exited)) return false;
  return true;
}

/// Initialised: every init container succeeded, every sidecar has been up; true for ever once a main container ran.
bool isInitialized(const PodRun& run) {
  for (const ContainerRun& c : run.containers)
    if (!c.init && (c.last || c.active())) return true;
  if (!regularInitDone(run)) return false;
  for (const ContainerRun& c : run.containers)
    if (c.sidecar && !(c.state == State::Running && c.startupDone)) return false;
  return true;
}

std::string containerId(const podspec::Pod& pod, const ContainerExited& exit) {
  return fmt::format("stoker://{}/{}/{}", pod.metadata.uid, exit.name, exit.attempt);
}

Value terminatedState(Arena& arena, const podspec::Pod& pod, const ContainerExited& exit) {
  json::Object out(arena);
  out.set("exitCode", exit.exitCode);
  if (exit.signal != 0) out.set("signal", exit.signal);
  out.setNonEmpty("reason", exit.reason).setNonEmpty("message", exit.message);
  // A run that never began has no times; upstream writes the zero time as null, which says the same as leaving it out.
  if (exit.startedAt != Time{}) out.set("startedAt", formatTime(exit.startedAt));
  if (exit.finishedAt != Time{}) out.set("finishedAt", formatTime(exit.finishedAt));
  if (exit.finishedAt != Time{}) out.set("containerID", containerId(pod, exit));
  return json::object(arena, {{"terminated", out.build()}});
}

Value containerStatus(Arena& arena, const podspec::Pod& pod, const podspec::Container& container,
                      const ContainerRun& run, const View& view) {
  Value state;
  if (view.shown == Shown::Running)
    state = json::object(arena, {{"running", json::Object(arena).set("startedAt", formatTime(run.startedAt)).build()}});
  else if (view.shown == Shown::Terminated)
    state = terminatedState(arena, pod, *view.terminated);
  else
    state = json::object(
        arena, {{"waiting",
                 json::Object(arena).setNonEmpty("reason", view.reason).setNonEmpty("message", view.message).build()}});
  json::Object out(arena);
  out.set("name", run.name).set("image", container.image).set("ready", view.ready).set("started", view.started);
  out.set("state", state);
  out.set("lastState", view.before ? terminatedState(arena, pod, *view.before) : json::Object(arena).build());
  // A start that was only commanded does not count yet.
  int counted = run.state == State::Starting ? run.attempt - 1 : run.attempt;
  out.set("restartCount", std::max(counted, 0));
  bool ran = view.shown == Shown::Running || run.last;
  out.set("imageID", ran ? container.image : std::string());
  if (view.shown == Shown::Running)
    out.set("containerID", fmt::format("stoker://{}/{}/{}", pod.metadata.uid, run.name, run.attempt));
  else if (run.last)
    out.set("containerID", containerId(pod, *run.last));
  return out.build();
}

struct Wanted {
  std::string type, status, reason, message;
};

std::string listed(const std::vector<std::string>& names) { return "[" + join(names, " ") + "]"; }

std::vector<Wanted> conditionsOf(const podspec::Pod& pod, const PodRun& run, const std::vector<View>& views,
                                 const std::string& phase, bool over, Value object) {
  std::vector<Wanted> out;
  bool sandbox = run.sandbox == PodRun::Sandbox::Ready && !over;
  out.push_back({"PodReadyToStartContainers", sandbox ? "True" : "False", "", ""});

  std::vector<std::string> incomplete, unready;
  for (size_t i = 0; i < run.containers.size(); ++i) {
    const ContainerRun& c = run.containers[i];
    if (!c.init) {
      if (!views[i].ready) unready.push_back(c.name);
      continue;
    }
    bool complete = c.sidecar ? views[i].started : views[i].ready;
    if (!complete) incomplete.push_back(c.name);
    if (c.sidecar && !views[i].ready) unready.push_back(c.name);
  }
  bool initialized = isInitialized(run);
  if (phase == "Succeeded")
    out.push_back({"Initialized", "True", "PodCompleted", ""});
  else if (initialized)
    out.push_back({"Initialized", "True", "", ""});
  else
    out.push_back({"Initialized", "False", "ContainersNotInitialized",
                   incomplete.empty() ? "" : "containers with incomplete status: " + listed(incomplete)});

  Wanted containersReady{"ContainersReady", "True", "", ""};
  if (phase == "Succeeded")
    containersReady = {"ContainersReady", "False", "PodCompleted", ""};
  else if (phase == "Failed")
    containersReady = {"ContainersReady", "False", "PodFailed", ""};
  else if (!unready.empty())
    containersReady = {"ContainersReady", "False", "ContainersNotReady",
                       "containers with unready status: " + listed(unready)};
  Wanted ready = containersReady;
  ready.type = "Ready";
  if (ready.status == "True") {
    std::vector<std::string> gates;
    for (const auto& gate : pod.spec.readinessGates) {
      bool open = false, known = false;
      for (Value condition : object.at({"status", "conditions"}).items())
        if (condition["type"].asString() == gate.conditionType) {
          known = true;
          open = condition["status"].asString() == "True";
        }
      if (!known)
        gates.push_back(
            fmt::format("corresponding condition of pod readiness gate \"{}\" does not exist.", gate.conditionType));
      else if (!open)
        gates.push_back(
            fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but False", gate.conditionType));
    }
    if (!gates.empty()) ready = {"Ready", "False", "ReadinessGatesNotReady", join(gates, ", ")};
  }
  out.push_back(ready);
  out.push_back(containersReady);
  return out;
}

Value conditionPatch(Arena& arena, const std::vector<Wanted>& wanted, Value object, int64_t generation, Time now) {
  std::vector<Value> changed;
  for (const Wanted& want : wanted) {
    Value have;
    for (Value condition : object.at({"status", "conditions"}).items())
      if (condition["type"].asString() == want.type) have = condition;
    bool sameStatus = have["status"].asString() == want.status;
    if (sameStatus && have["reason"].asString() == want.reason && have["message"].asString() == want.message &&
        have["observedGeneration"].asInt() == generation)
      continue;
    json::Object out(arena);
    out.set("type", want.type).set("status", want.status).set("lastProbeTime", Value());
    if (!want.reason.empty())
      out.set("reason", want.reason);
    else if (have.has("reason"))
      out.set("reason", Value());
    if (!want.message.empty())
      out.set("message", want.message);
    else if (have.has("message"))
      out.set("message", Value());
    if (generation > 0) out.set("observedGeneration", generation);
    out.set("lastTransitionTime", sameStatus && have["lastTransitionTime"].isString()
                                      ? have["lastTransitionTime"]
                                      : json::string(arena, formatTime(now)));
    changed.push_back(out.build());
  }
  return json::array(arena, changed);
}

}  // namespace

std::string backOffText(Duration backOff) {
  int64_t seconds = std::chrono::round<std::chrono::seconds>(backOff).count();
  if (backOff < 1s) return fmt::format("{}ms", std::chrono::round<std::chrono::milliseconds>(backOff).count());
  return seconds < 60 ? fmt::format("{}s", seconds) : fmt::format("{}m{}s", seconds / 60, seconds % 60);
}

std::string podPhase(const podspec::Pod& pod, const PodRun& run, bool over) {
  if (over) {
    if (run.failure) return "Failed";
    bool succeeded = true;
    for (const ContainerRun& c : run.containers)
      if (!c.init) succeeded = succeeded && c.ended() && c.last->exitCode == 0;
    return succeeded ? "Succeeded" : "Failed";
  }
  bool initialized = isInitialized(run);
  bool mainRan = false, mainWaits = false, initPending = false;
  for (const ContainerRun& c : run.containers) {
    View view = viewOf(pod, c, false, initialized);
    if (c.sidecar) {
      initPending = initPending || (!(view.shown == Shown::Running && view.started) && !c.last);
    } else if (c.init) {
      initPending = initPending || !(view.shown == Shown::Terminated && c.last->exitCode == 0);
    } else {
      mainRan = mainRan || c.last || view.shown == Shown::Running;
      mainWaits = mainWaits || (view.shown == Shown::Waiting && !view.before);
    }
  }
  // Otherwise some run, or all have ended and some will be restarted: that is Running too.
  return (initPending && !mainRan) || mainWaits ? "Pending" : "Running";
}

std::string statusPatch(Value object, const podspec::Pod& pod, const PodRun& run, const StatusFacts& facts, Time now) {
  Arena arena;
  Value have = object["status"];
  std::string phase = podPhase(pod, run, facts.over);
  bool initialized = isInitialized(run);
  std::vector<View> views;
  for (const ContainerRun& c : run.containers) views.push_back(viewOf(pod, c, facts.over, initialized));

  int64_t generation = pod.metadata.generation;
  json::Object want(arena);
  want.set("phase", phase).set("qosClass", qosClass(pod.spec));
  want.setNonEmpty("hostIP", facts.hostIp);
  if (!facts.hostIp.empty())
    want.set("hostIPs", json::array(arena, {json::Object(arena).set("ip", facts.hostIp).build()}));
  if (std::string ip = podAddress(pod.spec, run, facts.hostIp); !ip.empty()) {
    want.set("podIP", ip);
    want.set("podIPs", json::array(arena, {json::Object(arena).set("ip", ip).build()}));
  }
  if (run.startTime != Time{}) want.set("startTime", formatTime(run.startTime));
  if (generation > 0) want.set("observedGeneration", generation);
  if (run.failure) want.set("reason", run.failure->reason).set("message", run.failure->message);

  // A pod that was turned away never had containers here: upstream leaves their statuses out.
  bool rejected = run.failure && !run.admitted;
  std::vector<Wanted> conditions;
  if (!rejected) {
    std::vector<Value> inits, mains;
    for (size_t i = 0; i < run.containers.size(); ++i)
      (run.containers[i].init ? inits : mains)
          .push_back(containerStatus(arena, pod, specOf(pod.spec, i), run.containers[i], views[i]));
    if (!inits.empty()) want.set("initContainerStatuses", json::array(arena, inits));
    want.set("containerStatuses", json::array(arena, mains));
    conditions = conditionsOf(pod, run, views, phase, facts.over, object);
  }
  // A pod that was created bound never met a scheduler.
  bool scheduled = false;
  for (Value condition : have["conditions"].items())
    scheduled = scheduled || condition["type"].asString() == "PodScheduled";
  if (!scheduled) conditions.push_back({"PodScheduled", "True", "", ""});

  json::Object patch(arena);
  Value wanted = want.build();
  for (const json::Member& member : wanted.members()) {
    const Value* present = have.find(member.key);
    if (!present || !(*present == member.value)) patch.set(member.key, member.value);
  }
  for (const char* own : {"reason", "message"})
    if (have.has(own) && !wanted.has(own) && phase != "Failed") patch.set(own, Value());
  Value changed = conditionPatch(arena, conditions, object, generation, now);
  if (!changed.empty()) patch.set("conditions", changed);
  if (patch.empty()) return {};
  Value metadata = json::Object(arena).set("uid", pod.metadata.uid).build();
  return json::print(json::object(arena, {{"metadata", metadata}, {"status", patch.build()}}));
}

}  // namespace stoker::node
