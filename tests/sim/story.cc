#include "story.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "api/batch.h"
#include "checker.h"
#include "shapes.h"

namespace stoker::sim {
namespace {

using Verb = client::Write::Verb;

constexpr Duration kStorm = 180s;
/// Longest calm: many times what the longest line of jobs takes one after the other.
constexpr Duration kCalm = 40min;
/// After the last job has come to rest: times to live, graces and retries run out.
constexpr Duration kAftermath = 100s;
/// One in so many steps is followed by a crash, one by a look at the machines.
constexpr uint64_t kStepsPerCrash = 900, kStepsPerLook = 50;
constexpr Duration kToleration = 30s;  // shorter than the real 300 s, so that storms see failovers

class Story {
 public:
  Story(uint64_t seed, bool trace)
      : seed_(seed),
        trace_(trace),
        random_(seed * 0x9e3779b97f4a7c15 + 11),
        nodes_(makeSomeNodes()),
        checker_(nodes_),
        world_({.seed = seed,
                .nodes = nodes_,
                .faults = {.transactions = seed % 2 == 0},
                .toleration = kToleration,
                .onChange = [this](const store::Event& event) { onChange(event); }}) {}

  Outcome run() {
    prepare();
    storm();
    if (out_.problem.empty()) calm();
    if (out_.problem.empty()) judge();
    out_.fingerprint = world_.fingerprint();
    out_.jobs = static_cast<int>(told_.size());
    out_.virtualSeconds = std::chrono::duration_cast<std::chrono::seconds>(world_.now() - start_).count();
    return out_;
  }

 private:
  enum class Kind { Gang, Batch, Pod };
  struct Told {
    Kind kind = Kind::Gang;
    Shape shape;
    bool deleted = false;  ///< by its user, or with its namespace
    bool suspended = false;
    bool disturbed = false;  ///< its pods were deleted or it was scaled or suspended
    bool impossible = false;
  };

  // ---- chance
  // ------------------------------------------------------------------------------------------------------------
  uint64_t upTo(uint64_t n) { return random_() % n; }
  bool oneIn(uint64_t n) { return upTo(n) == 0; }
  template <class T>
  T any(std::initializer_list<T> list) {
    return *(list.begin() + upTo(list.size()));
  }

  std::vector<node::NodeConfig> makeSomeNodes() {
    std::vector<node::NodeConfig> out = makeNodes(static_cast<int>(3 + upTo(3)), 0, 16);
    for (size_t i = 0; i < out.size(); ++i) {
      int gpus = any({0, 4, 4, 8});
      if (i == 0) gpus = 8;
      if (gpus == 0) continue;
      out[i].capacity["nvidia.com/gpu"] = std::to_string(gpus);
      out[i].devices["nvidia.com/gpu"] = gpus;
    }
    return out;
  }

  // ---- telling
  // -----------------------------------------------------------------------------------------------------------
  void say(const std::string& line) {
    if (trace_) std::printf("%10.3f  %s\n", std::chrono::duration<double>(world_.now() - start_).count(), line.c_str());
  }
  void onChange(const store::Event& event) {
    if (trace_) say("    " + checker_.describe(event));
    checker_.onChange(event);
  }
  std::string ask(const std::string& what, Request request) {
    std::string problem = world_.request(std::move(request));
    say(what + (problem.empty() ? "" : ": " + problem));
    return problem;
  }
  void check(bool machines) {
    if (!out_.problem.empty()) return;
    out_.problem = checker_.broken();
    if (out_.problem.empty() && machines) out_.problem = checker_.brokenMachines(world_);
    if (!out_.problem.empty()) out_.problem = fmt::format("after {} steps: {}", out_.steps, out_.problem);
  }

  void prepare() {
    for (auto [name, value] : {std::pair("high", 1000), std::pair("low", 10)})
      world_.request(
          {.resource = client::gvrOf<api::PriorityClass>(),
           .body = fmt::format(
               R"({{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{{"name":"{}"}},"value":{}}})",
               name, value)});
    if (seed_ % 3 == 0)
      world_.request({.resource = client::gvrOf<api::Namespace>(),
                      .body = R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"team"}})"});
    // Pods need their namespace's ServiceAccount, which a controller makes.
    for (const char* ns : {"default", "team"})
      while ((ns == std::string("default") || seed_ % 3 == 0) && out_.problem.empty() && !hasAccount(ns)) {
        if (world_.now() > start_ + 60s)
          out_.problem = fmt::format("namespace {} has no ServiceAccount after a minute", ns);
        run(world_.now() + 1s, false);
      }
    jobsToCome_ = 20 + upTo(15);
    Faults& faults = world_.faults();
    double level = any({0.0, 0.3, 1.0, 1.0});
    faults.breakWatch = 0.004 * level;
    faults.stallWatch = 0.1 * level;
    faults.repeatEvent = 0.02 * level;
    faults.expireWatch = 0.3 * level;
    faults.failWrite = 0.02 * level;
    faults.loseAnswer = 0.02 * level;
    faults.conflict = 0.02 * level;
    faults.cutSequence = 0.1 * level;
    faults.delayWrite = any({0.0, 0.2, 0.5});
    faults.failList = 0.1 * level;
    crashes_ = !oneIn(5);
  }

  bool hasAccount(const char* ns) { return world_.registry().find("serviceaccounts", ns, "default") != nullptr; }

  /// Runs until `until`, looking after each step; in a storm components crash between steps.
  void run(Time until, bool crashing) {
    while (out_.problem.empty() && world_.step(until)) {
      ++out_.steps;
      check(out_.steps % kStepsPerLook == 0);
      if (crashing && oneIn(kStepsPerCrash)) crash();
    }
  }

  void crash() {
    ++out_.crashes;
    size_t machine = upTo(world_.machineCount());
    switch (upTo(8)) {
      case 0:
      case 1:
      case 2:
        say("CRASH of the controllers and the scheduler");
        return world_.crashControl();
      case 3:
      case 4:
      case 5:
        say(fmt::format("CRASH of the agent of node-{}", machine));
        return world_.crashAgent(machine);
      case 6:
        say("CRASH of the server");
        return world_.crashServer();
      default:
        say(fmt::format("REBOOT of node-{}", machine));
        killed_ = true;
        return world_.reboot(machine);
    }
  }

  void storm() {
    Time end = world_.now() + kStorm;
    while (out_.problem.empty() && world_.now() < end) {
      run(world_.now() + std::chrono::milliseconds(upTo(4000)), crashes_);
      act();
    }
  }

  // ---- what users and machines do
  // ------------------------------------------------------------------------------------------
  void act() {
    uint64_t dice = upTo(100);
    if (dice < 48) return submit();
    if (dice < 56) return deleteJob();
    if (dice < 66) return suspendOrResume();
    if (dice < 71) return deletePod();
    if (dice < 76) return scale();
    if (dice < 88) return machineTrouble();
    if (dice < 92) return cordon();
    if (dice < 95) {
      size_t machine = upTo(world_.machineCount());
      const char* what = any({"ensurePod", "startContainer", "removePod"});
      say(fmt::format("the next {} on node-{} fails", what, machine));
      return world_.runtime(machine).failNext(what, 1);
    }
    if (dice < 97 && seed_ % 3 == 0 && world_.now() > start_ + kStorm / 2) return deleteNamespace();
  }

  int64_t roomFor(const Shape& shape) const {
    int64_t pods = 0;
    for (const node::NodeConfig& node : nodes_) {
      int64_t here = 16 / shape.cpus;
      auto devices = node.devices.find("nvidia.com/gpu");
      if (shape.gpus > 0)
        here = std::min<int64_t>(here, devices == node.devices.end() ? 0 : devices->second / shape.gpus);
      pods += here;
    }
    return pods;
  }

  void submit() {
    if (told_.size() >= jobsToCome_) return;
    Told told;
    Shape& shape = told.shape;
    shape.ns = seed_ % 3 == 0 && !teamGone_ && oneIn(4) ? "team" : "default";
    shape.gpus = any({0, 1, 1, 2, 4});
    shape.cpus = any({1, 1, 2, 4});
    shape.workers = static_cast<int>(upTo(5));
    shape.duration = fmt::format("{}s", 1 + upTo(40));
    shape.priorityClass = any({"", "", "high", "low"});
    shape.stopDuration = any({"", "", "2s"});
    uint64_t dice = upTo(10);
    told.kind = dice < 6 ? Kind::Gang : dice < 8 ? Kind::Batch : Kind::Pod;
    if (oneIn(15)) shape.gpus = 16;  // more than any node has
    switch (told.kind) {
      case Kind::Gang:
        shape.name = fmt::format("job-{}", told_.size());
        shape.master = shape.workers == 0 || !oneIn(4);
        shape.cleanPodPolicy = any({"", "None", "Running", "All"});
        switch (upTo(8)) {
          case 0:
            shape.exitCodes = "1";
            shape.restartPolicy = "Never";
            break;
          case 1:
            shape.exitCodes = "3";
            shape.restartPolicy = "ExitCode";
            break;
          case 2:
            shape.exitCodes = "130";
            shape.restartPolicy = "ExitCode";
            shape.backoffLimit = static_cast<int>(upTo(3));
            break;
          case 3:
            shape.exitCodes = "1,0";
            break;
          case 4:
            shape.duration = "forever";
            shape.deadline = static_cast<int64_t>(5 + upTo(30));
            break;
          default:
            break;
        }
        if (oneIn(4)) shape.ttl = static_cast<int64_t>(upTo(20));
        shape.suspend = oneIn(10);
        break;
      case Kind::Batch:
        shape.name = fmt::format("batch-{}", told_.size());
        shape.workers = 0;
        shape.completions = 1 + static_cast<int>(upTo(4));
        shape.indexed = oneIn(3);
        shape.restartPolicy = any({"Never", "OnFailure"});
        if (oneIn(4)) shape.exitCodes = "1", shape.restartPolicy = "Never", shape.backoffLimit = 1;
        if (oneIn(4)) shape.ttl = static_cast<int64_t>(upTo(20));
        break;
      case Kind::Pod:
        shape.name = fmt::format("pod-{}", told_.size());
        shape.workers = 0;
        shape.restartPolicy = any({"Never", "OnFailure"});
        break;
    }
    told.suspended = shape.suspend;
    int64_t together = told.kind == Kind::Gang ? shape.workers + (shape.master ? 1 : 0) : 1;
    told.impossible = roomFor(shape) < together;
    std::string body = told.kind == Kind::Gang    ? pytorchJobJson(shape)
                       : told.kind == Kind::Batch ? batchJobJson(shape)
                                                  : podJson(shape);
    std::string problem =
        ask(fmt::format("SUBMIT {}/{}: {} pods, {} gpus, {} cpus, {}, exit {}, {}{}{}", shape.ns, shape.name, together,
                        shape.gpus, shape.cpus, shape.duration, shape.exitCodes, shape.restartPolicy,
                        shape.cleanPodPolicy.empty() ? "" : ", clean ", shape.cleanPodPolicy),
            {.resource = gvr(told.kind), .ns = shape.ns, .body = body});
    if (!problem.empty() && !teamGone_) out_.problem = fmt::format("{} was refused: {}", shape.name, problem);
    if (problem.empty()) told_.push_back(std::move(told));
    // A node that goes between a gang's placement and its pods' creation.
    if (oneIn(6)) {
      run(world_.now() + std::chrono::milliseconds(upTo(400)), false);
      deleteNode();
    }
  }

  /// As an administrator may: its agent registers it again.
  void deleteNode() {
    std::string node = nodes_[upTo(nodes_.size())].name;
    cordoned_.erase(node);
    ask("DELETE " + node, {.verb = Verb::Delete, .resource = client::gvrOf<api::Node>(), .name = node});
  }

  static client::Gvr gvr(Kind kind) {
    switch (kind) {
      case Kind::Gang:
        return client::gvrOf<api::PyTorchJob>();
      case Kind::Batch:
        return client::gvrOf<api::Job>();
      default:
        return client::gvrOf<api::Pod>();
    }
  }

  Told* anyTold() { return told_.empty() ? nullptr : &told_[upTo(told_.size())]; }

  void deleteJob() {
    Told* told = anyTold();
    if (!told || told->deleted) return;
    Request request{.verb = Verb::Delete, .resource = gvr(told->kind), .ns = told->shape.ns, .name = told->shape.name};
    request.propagation = told->kind == Kind::Pod ? "" : any({"Background", "Background", "Foreground"});
    ask(fmt::format("DELETE {} {}", told->shape.name, request.propagation), std::move(request));
    told->deleted = true;
  }

  void suspendOrResume() {
    Told* told = anyTold();
    if (!told || told->deleted || told->kind == Kind::Pod) return;
    bool suspend = !told->suspended;
    std::string flag = fmt::format(R"("suspend":{})", suspend);
    std::string body = told->kind == Kind::Gang ? fmt::format(R"({{"spec":{{"runPolicy":{{{}}}}}}})", flag)
                                                : fmt::format(R"({{"spec":{{{}}}}})", flag);
    std::string problem =
        ask(fmt::format("{} {}", suspend ? "SUSPEND" : "RESUME", told->shape.name), {.verb = Verb::Patch,
                                                                                     .resource = gvr(told->kind),
                                                                                     .ns = told->shape.ns,
                                                                                     .name = told->shape.name,
                                                                                     .body = body});
    if (!problem.empty()) return;
    told->suspended = suspend;
    told->disturbed = true;
  }

  void deletePod() {
    std::vector<const Checker::Pod*> running;
    for (const auto& [id, pod] : checker_.pods())
      if (pod.phase == "Running" && !pod.deleting) running.push_back(&pod);
    if (running.empty()) return;
    Checker::Pod pod = *running[upTo(running.size())];
    for (Told& told : told_) {
      if (told.kind == Kind::Pod ? told.shape.name != pod.name : !pod.name.starts_with(told.shape.name + "-")) continue;
      told.disturbed = true;
      if (told.kind == Kind::Pod) told.deleted = true;
    }
    Request request{.verb = Verb::Delete, .resource = client::gvrOf<api::Pod>(), .ns = pod.ns, .name = pod.name};
    if (oneIn(3)) request.grace = 0;
    ask(fmt::format("DELETE pod {}{}", pod.name, request.grace ? " by force" : ""), std::move(request));
  }

  void scale() {
    Told* told = anyTold();
    if (!told || told->deleted || told->kind != Kind::Gang || told->shape.workers == 0 || told->impossible) return;
    Shape wanted = told->shape;
    wanted.workers = 1 + static_cast<int>(upTo(5));
    if (roomFor(wanted) < wanted.workers + 1) return;
    std::string problem =
        ask(fmt::format("SCALE {} to {} workers", wanted.name, wanted.workers),
            {.verb = Verb::Patch,
             .resource = gvr(told->kind),
             .ns = wanted.ns,
             .name = wanted.name,
             .body = fmt::format(R"({{"spec":{{"pytorchReplicaSpecs":{{"Worker":{{"replicas":{}}}}}}}}})",
                                 wanted.workers)});
    if (!problem.empty()) return;
    told->shape = wanted;
    told->disturbed = true;
  }

  void machineTrouble() {
    size_t machine = upTo(world_.machineCount());
    bool cut = world_.isCutOff(machine);
    say(fmt::format("node-{} {}", machine, cut ? "can be reached again" : "can no longer be reached"));
    if (cut)
      world_.reconnect(machine);
    else
      world_.cutOff(machine);
  }

  void cordon() {
    std::string node = nodes_[upTo(nodes_.size())].name;
    bool off = !cordoned_.contains(node);
    setCordon(node, off);
  }
  void setCordon(const std::string& node, bool off) {
    if (off)
      cordoned_.insert(node);
    else
      cordoned_.erase(node);
    ask(fmt::format("{} {}", off ? "CORDON" : "UNCORDON", node),
        {.verb = Verb::Patch,
         .resource = client::gvrOf<api::Node>(),
         .name = node,
         .body = fmt::format(R"({{"spec":{{"unschedulable":{}}}}})", off ? "true" : "null")});
  }

  void deleteNamespace() {
    if (std::exchange(teamGone_, true)) return;
    for (Told& told : told_)
      if (told.shape.ns == "team") told.deleted = true;
    ask("DELETE namespace team", {.verb = Verb::Delete, .resource = client::gvrOf<api::Namespace>(), .name = "team"});
  }

  // ---- the calm
  // ------------------------------------------------------------------------------------------------------------
  void calm() {
    say("CALM");
    world_.faults() = {.transactions = seed_ % 2 == 0};
    for (size_t i = 0; i < world_.machineCount(); ++i) {
      if (world_.isCutOff(i)) world_.reconnect(i);
      for (const char* what : {"ensurePod", "startContainer", "removePod"}) world_.runtime(i).failNext(what, 0);
    }
    for (const std::string& node : std::set(cordoned_)) setCordon(node, false);
    Time limit = world_.now() + kCalm;
    std::string unrest;
    while (out_.problem.empty()) {
      unrest = restless();
      if (unrest.empty() || world_.now() >= limit) break;
      run(world_.now() + 5s, false);
    }
    if (!unrest.empty() && out_.problem.empty()) {
      out_.problem = fmt::format("no rest {} s into the calm: {}",
                                 std::chrono::duration_cast<std::chrono::seconds>(kCalm).count(), unrest);
      return;
    }
    run(world_.now() + kAftermath, false);
    check(true);
    if (out_.problem.empty()) out_.problem = checker_.leftovers(world_);
  }

  const Checker::Job* jobOf(const Told& told) const {
    auto it = checker_.jobs().find(
        fmt::format("{}/{}/{}", told.kind == Kind::Gang ? "PyTorchJob" : "Job", told.shape.ns, told.shape.name));
    return it == checker_.jobs().end() ? nullptr : &it->second;
  }
  const Checker::Pod* podOf(const Told& told) const {
    auto it = checker_.pods().find(told.shape.ns + "/" + told.shape.name);
    return it == checker_.pods().end() ? nullptr : &it->second;
  }

  /// Who has neither ended nor gone nor a reason to wait; "" when nobody.
  std::string restless() const {
    for (const Told& told : told_) {
      if (told.kind == Kind::Pod) {
        const Checker::Pod* pod = podOf(told);
        if (pod && pod->active() && !(told.impossible && pod->node.empty()))
          return fmt::format("pod {} is {} on \"{}\"", told.shape.name, pod->phase, pod->node);
        continue;
      }
      const Checker::Job* job = jobOf(told);
      if (!job) continue;
      if (told.deleted) return told.shape.name + " is not gone";
      if (!job->end.empty() || job->suspended || told.impossible) continue;
      std::string text = fmt::format("{} has not ended", told.shape.name);
      for (const auto& [id, gang] : checker_.gangs())
        if (gang.owner == job->uid) text += fmt::format("; gang {} ({}: {})", gang.phase, gang.reason, gang.message);
      for (const auto& [id, pod] : checker_.pods())
        if (pod.owner == job->uid) text += fmt::format("; pod {} {} on \"{}\"", pod.name, pod.phase, pod.node);
      return text;
    }
    return {};
  }

  /// Every job ended as its program says.
  void judge() {
    for (const Told& told : told_) {
      std::string problem = told.kind == Kind::Pod ? judgePod(told) : judgeJob(told);
      if (problem.empty()) continue;
      out_.problem = fmt::format("{}: {}", told.shape.name, problem);
      return;
    }
  }

  std::string judgePod(const Told& told) const {
    const Checker::Pod* pod = podOf(told);
    if (told.deleted) return pod ? "it was deleted and is still there" : "";
    // Nobody makes a lone pod again: node loss and reboots may have ended it.
    if (!pod || killed_ || told.impossible) return "";
    return pod->phase == "Succeeded" ? "" : fmt::format("its program exits with 0 but it is {}", pod->phase);
  }

  std::string judgeJob(const Told& told) const {
    const Checker::Job* job = jobOf(told);
    const Shape& shape = told.shape;
    if (told.deleted) return job ? "it was deleted and is still there" : "";
    if (!job) return shape.ttl >= 0 ? "" : "it is gone, and nobody deleted it";
    if (job->end.empty()) {
      if (job->suspended) return "";
      if (!told.impossible) return "it has not ended";
      for (const auto& [id, gang] : checker_.gangs())
        if (gang.owner == job->uid)
          return gang.reason == "Unschedulable" && !gang.message.empty()
                     ? ""
                     : "it cannot run and its verdict does not say so: " + gang.reason;
      return told.kind == Kind::Batch ? "" : "it waits without a gang";
    }
    // As upstream: who is suspended is not cleaned up.
    if (shape.ttl >= 0 && !job->suspended) return "its time to live is over and it is still there";
    if (told.impossible)
      return told.disturbed ? "" : fmt::format("it cannot run but has {}: {}", job->end, job->message);
    if (told.disturbed) return "";
    std::string expected;
    if (shape.deadline > 0)
      expected = "Failed";
    else if (shape.exitCodes == "0" || shape.exitCodes == "1,0")
      expected = killed_ && shape.restartPolicy == "Never" ? "" : "Succeeded";
    else
      expected = "Failed";
    if (killed_ && told.kind == Kind::Batch)
      return "";  // its pods may have been killed more often than backoffLimit allows
    return expected.empty() || expected == job->end
               ? ""
               : fmt::format("it should have {} but has {}: {}", expected, job->end, job->message);
  }

  uint64_t seed_;
  bool trace_;
  std::mt19937_64 random_;
  std::vector<node::NodeConfig> nodes_;
  Checker checker_;
  Time start_ = *parseTime("2026-01-01T00:00:00Z");  // where the world's clock begins
  World world_;
  Outcome out_;
  std::vector<Told> told_;
  size_t jobsToCome_ = 0;
  bool crashes_ = true, killed_ = false, teamGone_ = false;
  std::set<std::string> cordoned_;
};

}  // namespace

Outcome tell(uint64_t seed, bool trace) { return Story(seed, trace).run(); }

}  // namespace stoker::sim
