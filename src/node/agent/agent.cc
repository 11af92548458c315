#include "node/agent/agent.h"

#include <fmt/format.h>

#include "api/gang.h"
#include "base/log.h"

namespace stoker::node {
namespace {

client::Gvr podsGvr() { return client::gvrOf<api::Pod>(); }

/// Quantities as the API stores them, so that a patch is not written again and again over their spelling.
void canonical(api::ResourceList& list) {
  for (auto& [name, text] : list)
    if (auto parsed = kube::Quantity::parse(text); parsed.ok()) text = parsed->toString();
}

AgentOptions prepared(AgentOptions options) {
  for (NodeConfig& node : options.nodes) {
    canonical(node.capacity);
    canonical(node.allocatable);
  }
  return options;
}

bool finalPhase(json::Value object) {
  std::string_view phase = object["status"]["phase"].asString();
  return phase == "Succeeded" || phase == "Failed";
}

}  // namespace

NodeAgent::NodeAgent(client::Cluster& cluster, client::Loop& loop, PodRuntime& runtime, Files& files, Prober* prober,
                     Ids& ids, AgentOptions options)
    : cluster_(cluster),
      loop_(loop),
      runtime_(runtime),
      files_(files),
      prober_(prober),
      options_(prepared(std::move(options))),
      events_(cluster, loop, ids, "kubelet"),
      keeper_(cluster, loop, options_.nodes, options_.pressure),
      references_(cluster, loop,
                  [this](const std::string& uid) {
                    auto it = entries_.find(uid);
                    if (it == entries_.end()) return;
                    it->second->volumesStale = true;
                    touch(uid);
                  }),
      serviceInformer_(cluster, loop, client::gvrOf<api::Service>(), services_),
      link_(std::make_shared<Link>(Link{this})) {
  for (size_t i = 0; i < options_.nodes.size(); ++i) {
    NodeState& state = nodes_[options_.nodes[i].name];
    state.config = i;
    state.allocatable = amountsOf(options_.nodes[i].usable());
  }
}

NodeAgent::~NodeAgent() { link_->agent = nullptr; }

Result<void> NodeAgent::start() {
  runtime_.setListener([&loop = loop_, link = link_](PodEvent event) {
    loop.post([link, event = std::move(event)]() mutable {
      if (link->agent) link->agent->onRuntime(std::move(event));
    });
  });
  STOKER_TRY(std::vector<RecoveredPod> recovered, runtime_.recover());
  for (RecoveredPod& pod : recovered) {
    std::string uid = pod.spec.uid;
    recovered_[uid] = std::move(pod);
  }
  keeper_.start();
  if (options_.materialise) {
    serviceInformer_.onSynced([this] {
      for (const auto& [uid, entry] : entries_) touch(uid);
    });
    serviceInformer_.start();
  }
  ObjectWatch::Scope scope;
  scope.fieldSelector = options_.nodes.size() == 1 ? "spec.nodeName=" + options_.nodes[0].name : "spec.nodeName!=";
  pods_ = std::make_unique<ObjectWatch>(
      cluster_, loop_, podsGvr(), scope,
      [this](const client::Key& key, const client::Object* after) { onPod(key, after); }, [this] { reconcileStart(); });
  pods_->start();
  return {};
}

void NodeAgent::setDown(const std::string& node, bool down) {
  keeper_.setDown(node, down);
  if (down) {
    down_.insert(node);
    return;
  }
  down_.erase(node);
  if (auto state = nodes_.find(node); state != nodes_.end())
    for (const std::string& uid : state->second.uids) touch(uid);
}

size_t NodeAgent::runningPods() const {
  size_t count = 0;
  for (const auto& [uid, entry] : entries_) count += entry->inRuntime;
  return count;
}

std::unique_ptr<NodeAgent::Parsed> NodeAgent::parse(const client::Object& object) const {
  auto out = std::make_unique<Parsed>();
  auto parsed = json::parse(out->arena, *object.bytes);
  if (!parsed.ok()) {
    log::error("node", "pod {}/{} does not parse: {}", object.namespace_, object.name, parsed.error().message);
    return nullptr;
  }
  out->object = *parsed;
  out->pod = api::decode<podspec::Pod>(*parsed);
  return out;
}

void NodeAgent::reconcileStart() {
  for (const auto& [key, object] : pods_->objects()) {
    auto parsed = parse(object);
    if (parsed && nodes_.contains(parsed->pod.spec.nodeName)) adopt(parsed->pod.metadata.uid, key, object, *parsed);
  }
  // Pods that were deleted from the API while nobody looked.
  for (const auto& [uid, record] : recovered_) {
    auto entry = std::make_unique<Entry>();
    entry->uid = uid;
    entry->key = {record.spec.namespaceName, record.spec.name};
    entry->inApi = false;
    entry->inRuntime = true;
    if (options_.nodes.size() == 1) {
      entry->node = options_.nodes[0].name;
      nodes_[entry->node].uids.insert(uid);
    }
    entries_[uid] = std::move(entry);
  }
  recovered_.clear();
  if (!options_.logsDirectory.empty())
    for (const std::string& name : files_.entries(options_.logsDirectory)) {
      std::string uid = name.substr(name.rfind('_') + 1);
      if (!entries_.contains(uid)) files_.removeDirectory(options_.logsDirectory + "/" + name);
    }
  synced_ = true;
  for (PodEvent& event : std::exchange(early_, {})) deliver(event);
  for (const auto& [uid, entry] : entries_) touch(uid);
}

NodeAgent::Entry& NodeAgent::adopt(const std::string& uid, const client::Key& key, const client::Object& object,
                                   const Parsed& parsed) {
  auto owned = std::make_unique<Entry>();
  Entry& entry = *owned;
  entry.uid = uid;
  entry.key = key;
  entry.object = object;
  entry.node = parsed.pod.spec.nodeName;
  auto record = recovered_.find(uid);
  const RecoveredPod* known = record == recovered_.end() ? nullptr : &record->second;
  entry.inRuntime = known != nullptr;
  json::Value status = parsed.object["status"];
  // A virtual process that its runtime forgot did not fail: nothing ran. It begins its run again.
  entry.run = known || options_.materialise ? recoverRun(parsed.pod.spec, status, known, options_.backOff, loop_.now())
                                            : resumeRun(parsed.pod.spec, status);
  if (known) recovered_.erase(record);
  if (options_.onRun)
    for (const ContainerRun& one : entry.run.containers)
      if (one.state == ContainerRun::State::Running) options_.onRun(uid, one.name, one.attempt, true);
  nodes_[entry.node].uids.insert(uid);
  byKey_[key] = uid;
  if (auto cards = parseCards(parsed.pod.metadata.annotation(api::kCardsAnnotation)); cards.ok()) entry.cards = *cards;
  if (entry.run.admitted && !finalPhase(parsed.object)) charge(entry, parsed.pod);
  entries_[uid] = std::move(owned);
  return entry;
}

void NodeAgent::charge(Entry& entry, const podspec::Pod& pod) {
  if (std::exchange(entry.charged, true)) return;
  entry.requests = podRequests(pod.spec);
  NodeState& node = nodes_[entry.node];
  for (const auto& [name, amount] : entry.requests) node.used[name] = node.used[name] + amount;
  ++node.pods;
}

void NodeAgent::uncharge(Entry& entry) {
  if (!std::exchange(entry.charged, false)) return;
  NodeState& node = nodes_[entry.node];
  for (const auto& [name, amount] : entry.requests) node.used[name] = node.used[name] - amount;
  --node.pods;
}

bool NodeAgent::orphansOn(const NodeState& node) const {
  for (const std::string& uid : node.uids) {
    const Entry& entry = *entries_.at(uid);
    if (!entry.inApi && entry.inRuntime) return true;
  }
  return false;
}

void NodeAgent::onPod(const client::Key& key, const client::Object* object) {
  if (!synced_) return;  // reconcileStart reads the watch's objects itself
  auto known = byKey_.find(key);
  Entry* entry = known == byKey_.end() ? nullptr : entries_.at(known->second).get();
  auto leave = [&] {
    if (!entry) return;
    entry->inApi = false;
    byKey_.erase(key);
    touch(entry->uid);
  };
  if (!object) return leave();
  auto parsed = parse(*object);
  if (!parsed) return;
  const std::string& uid = parsed->pod.metadata.uid;
  if (entry && entry->uid != uid) {
    leave();  // deleted and made again under the same name
    entry = nullptr;
  }
  if (!entry) {
    if (!nodes_.contains(parsed->pod.spec.nodeName)) return;
    entry = &adopt(uid, key, *object, *parsed);
  } else if (object->resourceVersion > entry->object.resourceVersion) {
    entry->object = *object;
  }
  touch(entry->uid);
}

void NodeAgent::onRuntime(PodEvent event) {
  if (!synced_)
    early_.push_back(std::move(event));
  else
    deliver(event);
}

void NodeAgent::deliver(const PodEvent& podEvent) {
  auto it = entries_.find(podEvent.podUid);
  if (it == entries_.end()) return;
  Entry& entry = *it->second;
  touch(entry.uid);
  if (std::holds_alternative<PodRemoved>(podEvent.what)) {
    entry.inRuntime = entry.removing = false;
    entry.run.sandbox = PodRun::Sandbox::Gone;
    return;
  }
  if (const auto* failed = std::get_if<RuntimeFailed>(&podEvent.what); failed && failed->what == "removePod") {
    log::warn("node", "pod {}: {}", entry.uid, failed->message);
    entry.removing = false;
    entry.writeAfter = loop_.now() + 1s;
    return;
  }
  if (!entry.inApi) return;
  auto parsed = parse(entry.object);
  if (!parsed || !applyEvent(entry.run, podEvent, parsed->pod.spec, options_.backOff, loop_.now())) return;
  const podspec::Pod& pod = parsed->pod;
  if (const auto* started = std::get_if<ContainerStarted>(&podEvent.what)) {
    if (options_.onRun) options_.onRun(entry.uid, started->name, started->attempt, true);
    event(pod, "Normal", "Started", fmt::format("Started container {}", started->name));
  } else if (const auto* exited = std::get_if<ContainerExited>(&podEvent.what)) {
    const ContainerRun& one = *entry.run.find(exited->name);
    if (options_.onRun) options_.onRun(entry.uid, exited->name, exited->attempt, false);
    if (exited->reason == "StartError") event(pod, "Warning", "Failed", "Error: " + exited->message);
    if (restarts(pod.spec, one, exited->exitCode) && one.restartAt > exited->finishedAt)
      event(pod, "Warning", "BackOff",
            fmt::format("Back-off restarting failed container {} in pod {}_{}({})", exited->name, pod.metadata.name,
                        pod.metadata.namespace_, pod.metadata.uid));
  } else if (const auto* failed = std::get_if<RuntimeFailed>(&podEvent.what)) {
    bool sandbox = failed->what == "ensurePod";
    event(pod, "Warning", sandbox ? "FailedCreatePodSandBox" : "Failed",
          sandbox ? "Failed to create pod sandbox: " + failed->message : "Error: " + failed->message);
    log::warn("node", "pod {}/{}: {}: {}", pod.metadata.namespace_, pod.metadata.name, failed->what, failed->message);
  }
}

void NodeAgent::touch(const std::string& uid) {
  dirty_.insert(uid);
  if (!synced_ || std::exchange(stepPosted_, true)) return;
  loop_.post([link = link_] {
    if (link->agent) link->agent->step();
  });
}

void NodeAgent::wakeAt(Entry& entry, Time when) {
  if (entry.timerAt && *entry.timerAt <= when) return;
  if (entry.timerAt) loop_.cancel(entry.timer);
  entry.timerAt = when;
  entry.timer = loop_.at(when, [link = link_, uid = entry.uid] {
    if (!link->agent) return;
    auto it = link->agent->entries_.find(uid);
    if (it == link->agent->entries_.end()) return;
    it->second->timerAt.reset();
    link->agent->touch(uid);
  });
}

void NodeAgent::step() {
  stepPosted_ = false;
  for (const std::string& uid : std::exchange(dirty_, {}))
    if (auto it = entries_.find(uid); it != entries_.end()) sync(*it->second);
  flush();
}

void NodeAgent::flush() {
  if (outbox_.empty()) return;
  std::vector<client::Write> writes;
  std::vector<std::pair<std::string, bool>> waiting;
  for (Pending& pending : std::exchange(outbox_, {})) {
    waiting.emplace_back(pending.uid, pending.write.verb == client::Write::Verb::Delete);
    writes.push_back(std::move(pending.write));
  }
  cluster_.write(
      std::move(writes), client::Mode::Each,
      [&loop = loop_, link = link_, waiting = std::move(waiting)](std::vector<Result<client::Object>> results) mutable {
        loop.post([link, waiting = std::move(waiting), results = std::move(results)] {
          if (!link->agent) return;
          for (size_t i = 0; i < waiting.size() && i < results.size(); ++i)
            link->agent->written(waiting[i].first, results[i], waiting[i].second);
        });
      });
}

void NodeAgent::submit(Entry& entry, client::Write write) {
  entry.writing = true;
  outbox_.push_back({entry.uid, std::move(write)});
}

void NodeAgent::written(const std::string& uid, const Result<client::Object>& result, bool wasDelete) {
  auto it = entries_.find(uid);
  if (it == entries_.end()) return;
  Entry& entry = *it->second;
  entry.writing = false;
  if (result.ok()) {
    entry.deleted = entry.deleted || wasDelete;
    entry.lastPatch = std::move(entry.patch);
    entry.lastPatchAt = loop_.now();
    if (result->bytes && result->resourceVersion > entry.object.resourceVersion) entry.object = *result;
  } else {
    // Gone or replaced: the watch is about to say so. Anything else may pass.
    constexpr Duration kPause = 1s;
    entry.writeAfter = loop_.now() + kPause;
    if (result.error().reason != Reason::NotFound && result.error().reason != Reason::Conflict)
      log::warn("node", "pod {}/{}: {}", entry.key.namespace_, entry.key.name, result.error().message);
    wakeAt(entry, entry.writeAfter);
  }
  touch(uid);
}

void NodeAgent::forget(Entry& entry) {
  if (entry.timerAt) loop_.cancel(entry.timer);
  references_.release(entry.uid);
  uncharge(entry);
  if (options_.onRun)
    for (const ContainerRun& one : entry.run.containers)
      if (one.active()) options_.onRun(entry.uid, one.name, one.attempt, false);
  if (!options_.logsDirectory.empty())
    files_.removeDirectory(
        fmt::format("{}/{}_{}_{}", options_.logsDirectory, entry.key.namespace_, entry.key.name, entry.uid));
  if (auto node = nodes_.find(entry.node); node != nodes_.end()) {
    node->second.uids.erase(entry.uid);
    for (const std::string& other : node->second.uids)
      if (!entries_.at(other)->run.admitted) touch(other);
  }
  entries_.erase(entry.uid);
}

}  // namespace stoker::node
