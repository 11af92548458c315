#include "checker.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/batch.h"
#include "base/strings.h"
#include "kube/quantity.h"

namespace stoker::sim {
namespace {

constexpr const char* kGpu = "nvidia.com/gpu";

int64_t amount(const api::ResourceList& list, const std::string& name, int64_t scale) {
  auto it = list.find(name);
  if (it == list.end()) return 0;
  auto parsed = kube::Quantity::parse(it->second);
  if (!parsed.ok()) return 0;
  return scale == 1000 ? parsed->milliValue() : parsed->value();
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// "pods/default/web-0" -> "default/web-0".
std::string idOf(const store::Event& event) { return event.object->key.substr(event.object->key.find('/') + 1); }
std::string resourceOf(const store::Event& event) { return event.object->key.substr(0, event.object->key.find('/')); }

template <class T>
T decode(const store::Event& event) {
  json::Arena arena;
  return api::decode<T>(*json::parse(arena, event.object->bytes));
}

std::string ownerUid(const api::ObjectMeta& meta) {
  const api::OwnerReference* owner = meta.controller();
  return owner ? owner->uid : "";
}

struct MetaOf {
  api::ObjectMeta metadata;
  static constexpr auto describe() { return std::tuple{api::field("metadata", &MetaOf::metadata)}; }
};

}  // namespace

Checker::Checker(const std::vector<node::NodeConfig>& nodes) {
  for (const node::NodeConfig& node : nodes)
    nodes_[node.name] = {amount(node.usable(), "cpu", 1000), amount(node.usable(), kGpu, 1)};
}

std::vector<uint32_t> Checker::cardsOf(const std::string& node, const std::string& text) {
  std::vector<uint32_t> out;
  for (std::string_view part : split(text, ';')) {
    size_t equals = part.find('=');
    if (equals == std::string_view::npos) continue;
    for (std::string_view index : split(part.substr(equals + 1), ',')) {
      std::string key = fmt::format("{} {} {}", node, part.substr(0, equals), index);
      auto [it, fresh] = cardIds_.emplace(key, static_cast<uint32_t>(cardNames_.size()));
      if (fresh) cardNames_.push_back(std::move(key));
      out.push_back(it->second);
    }
  }
  return out;
}

void Checker::onChange(const store::Event& event) {
  std::string resource = resourceOf(event);
  if (resource == "pods")
    onPod(event);
  else if (resource == "gangs.stoker.dev")
    onGang(event);
  else if (resource == "pytorchjobs.kubeflow.org")
    onJob(event, "PyTorchJob");
  else if (resource == "jobs.batch")
    onJob(event, "Job");
  else if (resource == "namespaces") {
    if (decode<MetaOf>(event).metadata.deleting()) ending_.insert(idOf(event));
  } else if (resource == "nodes") {
    if (event.type == store::Event::Type::Deleted)
      registered_.erase(idOf(event));
    else
      registered_.insert(idOf(event));
  } else if (resource == "services") {
    if (event.type == store::Event::Type::Deleted)
      services_.erase(idOf(event));
    else
      services_[idOf(event)] = ownerUid(decode<MetaOf>(event).metadata);
  }
}

void Checker::onPod(const store::Event& event) {
  changed_ = true;
  std::string id = idOf(event);
  api::Pod object = decode<api::Pod>(event);
  auto known = pods_.find(id);
  if (event.type == store::Event::Type::Deleted) {
    if (known == pods_.end()) return;
    const Pod& pod = known->second;
    // A pod that failed and is to be made again: counted before the evidence goes (decision 10). Pods of a node that is
    // not there are collected, counted or not.
    if (pod.phase == "Failed" && registered_.contains(pod.node) && !pod.excused && !pod.replicaType.empty())
      for (auto& [key, job] : jobs_) {
        if (job.uid != pod.owner || job.deleting || job.suspended || !job.end.empty()) continue;
        auto policy = job.policies.find(pod.replicaType);
        bool again = policy != job.policies.end() && (policy->second == "OnFailure" || policy->second == "Always" ||
                                                      (policy->second == "ExitCode" && pod.exitCode >= 128));
        if (again && ++job.failuresSeen > job.restarts)
          fault(fmt::format("job {} lost count: {} failed pods were deleted to be made again, it counts {} restarts",
                            job.name, job.failuresSeen, job.restarts));
      }
    pods_.erase(known);
    return;
  }
  Pod pod{.ns = object.metadata.namespace_,
          .name = object.metadata.name,
          .uid = object.metadata.uid,
          .node = object.spec.nodeName,
          .phase = object.status.phase,
          .owner = ownerUid(object.metadata),
          .gang = object.metadata.label(api::kGangLabel),
          .replicaType = lower(object.metadata.label("training.kubeflow.org/replica-type")),
          .deleting = object.metadata.deleting()};
  std::string cardsText = object.metadata.annotation(api::kCardsAnnotation);
  pod.cards = cardsOf(pod.node, cardsText);
  cardsByUid_[pod.uid] = pod.cards;
  Program& program = programs_[pod.uid];
  program.restartPolicy = object.spec.restartPolicy;
  for (const api::Container& c : object.spec.containers) program.containers.insert(c.name);
  for (const api::Container& c : object.spec.containers) {
    pod.milliCpu += amount(c.resources.limits, "cpu", 1000);
    pod.gpus += amount(c.resources.limits, kGpu, 1);
  }
  const std::string& reason = object.status.reason;
  pod.excused = api::isTrue(object.status.conditions, "DisruptionTarget") || reason.starts_with("OutOf") ||
                reason == "UnexpectedAdmissionError" || reason == "NodeAffinity";
  // Asked to go while it ran: that it then ended with an error is not a failure of its own.
  pod.excused = pod.excused || (pod.deleting && pod.active());
  for (const api::ContainerStatus& s : object.status.containerStatuses)
    if (s.state.terminated) pod.exitCode = s.state.terminated->exitCode;
  if (known != pods_.end() && known->second.uid == pod.uid) {
    const Pod& before = known->second;
    if (!before.active() && before.phase != pod.phase)
      fault(fmt::format("pod {} went from {} to {}", id, before.phase, pod.phase));
    pod.excused = pod.excused || before.excused;
    if (!before.node.empty() && before.node != pod.node)
      fault(fmt::format("pod {} moved from {} to {}", id, before.node, pod.node));
  } else if (known != pods_.end()) {
    fault(fmt::format("pod {} was made again before the deletion of the one before it was seen", id));
  } else if (pod.gang.empty()) {
    for (const auto& [key, job] : jobs_) {
      if (job.kind != "Job" || job.uid != pod.owner) continue;
      auto beside = std::count_if(pods_.begin(), pods_.end(), [&](const auto& p) {
        return p.second.owner == job.uid && p.second.active() && !p.second.deleting;
      });
      if (beside >= job.parallelism)
        fault(fmt::format("pod {} is one too many: job {} has {} already and wants {} at a time", id, key, beside,
                          job.parallelism));
    }
  } else {
    // Made from the record, and only from it.
    auto gang = gangs_.find(pod.ns + "/" + pod.gang);
    bool recorded = gang != gangs_.end() &&
                    std::any_of(gang->second.placement.begin(), gang->second.placement.end(), [&](const auto& e) {
                      return e.pod == pod.name && e.node == pod.node && e.cardsText == cardsText;
                    });
    if (!recorded)
      fault(fmt::format("pod {} was made on {} with cards \"{}\", but its gang is not placed there", id, pod.node,
                        cardsText));
  }
  pods_[id] = std::move(pod);
}

void Checker::onGang(const store::Event& event) {
  changed_ = true;
  std::string id = idOf(event);
  if (event.type == store::Event::Type::Deleted) {
    if (auto known = gangs_.find(id); known != gangs_.end() && !ending_.contains(known->second.ns))
      for (const auto& [key, job] : jobs_)
        if (job.uid == known->second.owner && !job.deleting)
          fault(fmt::format("gang {} was deleted under its living job", id));
    gangs_.erase(id);
    return;
  }
  api::Gang object = decode<api::Gang>(event);
  Gang gang{.ns = object.metadata.namespace_,
            .name = object.metadata.name,
            .uid = object.metadata.uid,
            .owner = ownerUid(object.metadata),
            .phase = object.status.phase,
            .reason = object.status.verdict.reason,
            .message = object.status.verdict.message,
            .finished = object.spec.finished,
            .suspended = object.spec.suspended,
            .epoch = object.status.epoch};
  for (const api::GangRole& role : object.spec.roles)
    gang.roles[role.name] = {role.count, role.minCount > 0 ? std::min(role.minCount, role.count) : role.count,
                             amount(role.requests, "cpu", 1000), amount(role.requests, kGpu, 1)};
  for (const api::GangPlacement& entry : object.status.placement)
    gang.placement.push_back({entry.role, entry.pod, entry.node, entry.cards, cardsOf(entry.node, entry.cards)});
  auto known = gangs_.find(id);
  bool fresh = known == gangs_.end() || known->second.uid != gang.uid;
  if (!fresh && gang.epoch < known->second.epoch)
    fault(fmt::format("gang {}: its epoch went from {} to {}", id, known->second.epoch, gang.epoch));
  // All or nothing. A spec that grew waits for the scheduler; what the scheduler itself writes must be whole.
  if (gang.phase == "Placed" && !fresh && (gang.epoch != known->second.epoch || known->second.phase != "Placed")) {
    std::map<std::string, int> have;
    for (const Gang::Entry& entry : gang.placement) ++have[entry.role];
    for (const auto& [name, role] : gang.roles)
      if (have[name] < role.minimum)
        fault(fmt::format("partial gang: {} is Placed with {} of the {} pods of role {} that belong together", id,
                          have[name], role.minimum, name));
  }
  gangs_[id] = std::move(gang);
}

void Checker::onJob(const store::Event& event, const std::string& kind) {
  std::string id = kind + "/" + idOf(event);
  if (event.type == store::Event::Type::Deleted) {
    if (auto it = jobs_.find(id); it != jobs_.end()) {
      uids_.erase(it->second.uid);
      jobs_.erase(it);
    }
    return;
  }
  Job job{.kind = kind};
  std::vector<api::Condition> conditions;
  auto read = [&](const auto& object) {
    job.ns = object.metadata.namespace_;
    job.name = object.metadata.name;
    job.uid = object.metadata.uid;
    job.deleting = object.metadata.deleting();
    conditions = object.status.conditions;
  };
  if (kind == "PyTorchJob") {
    api::PyTorchJob object = decode<api::PyTorchJob>(event);
    read(object);
    job.suspended = object.spec.runPolicy.suspend;
    for (const auto& [type, replica] : object.spec.pytorchReplicaSpecs)
      job.policies[lower(type)] = replica.restartPolicy;
    if (std::string text = object.metadata.annotation("stoker.dev/restarts"); !text.empty()) {
      json::Arena arena;
      if (auto parsed = json::parse(arena, text); parsed.ok())
        for (const json::Member& m : parsed->members()) job.restarts += m.value["count"].asInt();
    }
  } else {
    api::Job object = decode<api::Job>(event);
    read(object);
    job.suspended = object.spec.suspend;
    job.parallelism = object.spec.parallelism.value_or(1);
  }
  for (const api::Condition& c : conditions) {
    if (c.status != "True") continue;
    std::string end = c.type == "Complete" ? "Succeeded" : c.type;
    if (end != "Succeeded" && end != "Failed") continue;
    if (!job.end.empty()) fault(fmt::format("job {} both succeeded and failed", id));
    job.end = end;
    job.message = c.message;
  }
  if (auto known = jobs_.find(id); known != jobs_.end() && known->second.uid == job.uid) {
    if (!known->second.end.empty() && known->second.end != job.end)
      fault(fmt::format("job {} was {} and is no longer", id, known->second.end));
    if (job.restarts < known->second.restarts)
      fault(fmt::format("job {}: its count of restarts went from {} to {}", id, known->second.restarts, job.restarts));
    job.failuresSeen = known->second.failuresSeen;
  }
  uids_.insert(job.uid);
  jobs_[id] = std::move(job);
}

std::string Checker::capacity() {
  std::vector<const std::string*> holders(cardNames_.size(), nullptr);
  std::map<std::string_view, Room> used;
  std::string problem;
  auto hold = [&](const std::string& node, const std::vector<uint32_t>& cards, int64_t milliCpu, int64_t gpus,
                  const std::string& who) {
    Room& room = used[node];
    room.milliCpu += milliCpu;
    room.gpus += gpus;
    for (uint32_t card : cards) {
      if (holders[card])
        problem = fmt::format("card {} belongs to {} and to {}", cardNames_[card], *holders[card], who);
      holders[card] = &who;
    }
  };
  std::set<std::pair<std::string_view, std::string>> covered;  // pods that an entry stands for: node, namespace/name
  std::vector<std::unique_ptr<std::string>> names;
  for (const auto& [id, gang] : gangs_) {
    if (gang.finished) continue;
    for (const Gang::Entry& entry : gang.placement) {
      if (entry.node.empty()) continue;
      auto role = gang.roles.find(entry.role);
      Gang::Role demand = role == gang.roles.end() ? Gang::Role{} : role->second;
      names.push_back(std::make_unique<std::string>(gang.ns + "/" + entry.pod));
      hold(entry.node, entry.cards, demand.milliCpu, demand.gpus, *names.back());
      covered.emplace(entry.node, *names.back());
    }
  }
  for (const auto& [id, pod] : pods_)
    if (!pod.node.empty() && pod.active() && !covered.contains({pod.node, id}))
      hold(pod.node, pod.cards, pod.milliCpu, pod.gpus, id);
  for (const auto& [name, room] : used) {
    auto has = nodes_.find(std::string(name));
    if (has == nodes_.end()) return fmt::format("something is placed on {}, which is no node", name);
    if (room.milliCpu > has->second.milliCpu)
      return fmt::format("node {} has {} m of CPU, and {} m are given out", name, has->second.milliCpu, room.milliCpu);
    if (room.gpus > has->second.gpus)
      return fmt::format("node {} has {} cards, and {} are given out", name, has->second.gpus, room.gpus);
  }
  return problem;
}

std::string Checker::broken() {
  if (!fault_.empty()) return fault_;
  if (!std::exchange(changed_, false)) return {};
  fault_ = capacity();
  return fault_;
}

std::string Checker::brokenMachines(World& world) {
  for (size_t i = 0; i < world.machineCount(); ++i) {
    for (const auto& [run, count] : world.runtime(i).starts())
      if (count > 1) return fmt::format("run {} was started {} times", run, count);
    auto pods = world.runtime(i).recover();
    if (!pods.ok()) return pods.error().message;
    std::map<uint32_t, std::string> users;
    // A run that ended well is not repeated, whatever crashed since; under Never no run is.
    for (const node::RecoveredPod& pod : *pods) {
      const auto& [policy, containers] = programs_[pod.spec.uid];
      std::map<std::string, bool> over;  // container -> nothing may follow
      for (const node::ContainerRecord& run : pod.containers) {
        if (!containers.contains(run.name)) continue;
        if (over[run.name])
          return fmt::format("pod {} {}: container {} was run again (attempt {})", pod.spec.name, pod.spec.uid,
                             run.name, run.attempt);
        over[run.name] = policy == "Never" || (policy == "OnFailure" && run.exited && run.exited->exitCode == 0);
      }
    }
    for (const node::RecoveredPod& pod : *pods) {
      if (std::none_of(pod.containers.begin(), pod.containers.end(), [](const auto& c) { return c.running; })) continue;
      auto cards = cardsByUid_.find(pod.spec.uid);
      if (cards == cardsByUid_.end()) return fmt::format("a pod {} runs that never was in the API", pod.spec.name);
      for (uint32_t card : cards->second) {
        auto [it, fresh] = users.emplace(card, pod.spec.name + " " + pod.spec.uid);
        if (!fresh)
          return fmt::format("processes of {} and {} {} use card {} at the same time", it->second, pod.spec.name,
                             pod.spec.uid, cardNames_[card]);
      }
    }
  }
  return {};
}

std::string Checker::leftovers(World& world) {
  for (const auto& [id, pod] : pods_) {
    if (!pod.owner.empty() && !uids_.contains(pod.owner))
      return fmt::format("pod {} is left of a job that is gone", id);
    if (pod.deleting) return fmt::format("pod {} is being deleted for ever", id);
  }
  for (const auto& [id, owner] : services_)
    if (!owner.empty() && !uids_.contains(owner)) return fmt::format("service {} is left of a job that is gone", id);
  std::map<std::string, const Job*> byUid;
  for (const auto& [id, job] : jobs_) {
    byUid[job.uid] = &job;
    if (job.deleting) return fmt::format("{} is being deleted for ever", id);
  }
  for (const auto& [id, gang] : gangs_) {
    auto job = byUid.find(gang.owner);
    if (job == byUid.end()) return fmt::format("gang {} is left of a job that is gone", id);
    if (!job->second->end.empty()) {
      if (!gang.finished || gang.phase != "Finished")
        return fmt::format("job {} has {} but its gang is {}{}", job->second->name, lower(job->second->end), gang.phase,
                           gang.finished ? "" : " and not told");
    } else if (job->second->suspended) {
      if (!gang.suspended || !gang.placement.empty())
        return fmt::format("job {} is suspended but its gang holds a place", job->second->name);
      if (gang.reason != "Suspended")
        return fmt::format("job {} is suspended; its verdict says {}", job->second->name, gang.reason);
    }
    if (gang.message.empty()) return fmt::format("gang {} has no verdict", id);
  }
  for (const auto& [id, pod] : pods_) {
    auto job = byUid.find(pod.owner);
    if (job == byUid.end() || !pod.active()) continue;
    if (!job->second->end.empty())
      return fmt::format("job {} has {} but its pod {} is {}", job->second->name, lower(job->second->end), id,
                         pod.phase);
    if (job->second->suspended)
      return fmt::format("job {} is suspended but its pod {} is {}", job->second->name, id, pod.phase);
  }
  // On the machines: what the API shows as active, and nothing else.
  std::set<std::string> active;
  for (const auto& [id, pod] : pods_)
    if (pod.active() && !pod.node.empty()) active.insert(pod.uid);
  for (size_t i = 0; i < world.machineCount(); ++i) {
    auto pods = world.runtime(i).recover();
    if (!pods.ok()) return pods.error().message;
    for (const node::RecoveredPod& pod : *pods)
      if (!active.contains(pod.spec.uid))
        return fmt::format("machine {} still has pod {} {}", i, pod.spec.name, pod.spec.uid);
  }
  return {};
}

std::string Checker::describe(const store::Event& event) const {
  static constexpr const char* kTypes[] = {"+", "~", "-"};
  std::string line = fmt::format("{} {}", kTypes[static_cast<int>(event.type)], event.object->key);
  json::Arena arena;
  auto parsed = json::parse(arena, event.object->bytes);
  if (!parsed.ok()) return line;
  auto add = [&](std::string_view name, json::Value value) {
    if (value.isString() && !value.asString().empty()) line += fmt::format(" {}={}", name, value.asString());
  };
  if (parsed->at({"metadata", "deletionTimestamp"})) line += " deleting";
  add("phase", parsed->at({"status", "phase"}));
  add("node", parsed->at({"spec", "nodeName"}));
  add("reason", parsed->at({"status", "reason"}));
  add("verdict", parsed->at({"status", "verdict", "message"}));
  add("event", (*parsed)["reason"]);
  add("message", (*parsed)["message"]);
  add("cards", parsed->at({"metadata", "annotations", api::kCardsAnnotation}));
  add("restarts", parsed->at({"metadata", "annotations", "stoker.dev/restarts"}));
  for (json::Value place : parsed->at({"status", "placement"}).items())
    line += fmt::format(" [{} on {} {}]", place["pod"].asString(), place["node"].asString(), place["cards"].asString());
  for (json::Value c : parsed->at({"status", "conditions"}).items())
    if (c["status"].asString() == "True") line += fmt::format(" {}", c["type"].asString());
  for (std::string_view flag : {"suspended", "finished", "suspend"})
    if ((*parsed)["spec"][flag].asBool()) line += fmt::format(" {}", flag);
  return line;
}

}  // namespace stoker::sim
