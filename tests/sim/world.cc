#include "world.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "apiserver/bootstrap.h"
#include "apiserver/strategies/strategies.h"
#include "base/strings.h"
#include "controllers/training/validation.h"
#include "net/tls.h"
#include "node/agent/image_map.h"
#include "platform/crds.h"
#include "scheduler/controller.h"

namespace stoker::sim {
namespace {

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "simulation: %s\n", what.c_str());
  std::abort();
}

}  // namespace

World::World(WorldOptions options)
    : options_(std::move(options)), faults_(options_.faults), random_(options_.seed), clock_(*parseTime("2026-01-01T00:00:00Z")),
      ids_(options_.seed * 7919 + 1), log_(store::makeMemoryLog()), controlLoop_(clock_), agentLoop_(clock_), machineLoop_(clock_) {
  runtime_ = std::make_unique<node::SimulatedRuntime>(machineLoop_);
  Faults calm;
  std::swap(calm, faults_);  // the first start is not what is tested
  openServer();
  if (auto made = apiserver::bootstrap(*registry_, platform::ownCrds()); !made.ok()) die(made.error().message);
  std::swap(calm, faults_);
  startControl();
  startAgent();
}

World::~World() {
  stopAgent();
  stopControl();
}

void World::openServer() {
  auto opened = store::Store::open(log_, {.synchronous = true});
  if (!opened.ok()) die(opened.error().message);
  store_ = std::move(*opened);
  registry_ = std::make_unique<apiserver::Registry>(*store_, ids_, clock_);
  apiserver::StrategyOptions strategies;
  strategies.validators["pytorchjobs.kubeflow.org"] = [](json::Value job) { return controllers::training::validatePyTorchJob(job); };
  apiserver::registerStrategies(*registry_, strategies);
  auto authorizer = apiserver::RbacAuthorizer::open(*store_);
  if (!authorizer.ok()) die(authorizer.error().message);
  authorizer_ = std::move(*authorizer);
  registry_->setAuthorizer(authorizer_);
  if (auto started = registry_->start(); !started.ok()) die(started.error().message);
  apiserver::User admin{.name = "admin", .groups = {"system:masters", "system:authenticated"}};
  admin_ = std::make_unique<apiserver::LocalCluster>(*registry_, admin);
  auto account = [&](const char* name) {
    return std::make_unique<apiserver::LocalCluster>(*registry_, apiserver::serviceAccountUser(apiserver::kSystemNamespace, name));
  };
  controllersCluster_ = account(apiserver::kControllersAccount);
  schedulerCluster_ = account(apiserver::kSchedulerAccount);
  agentCluster_ = account(apiserver::kAgentAccount);
}

void World::startControl() {
  controllersNet_ = std::make_unique<FaultyCluster>(*controllersCluster_, controlLoop_, random_, faults_);
  schedulerNet_ = std::make_unique<FaultyCluster>(*schedulerCluster_, controlLoop_, random_, faults_);
  manager_ = std::make_unique<client::Manager>(*controllersNet_, controlLoop_, ids_, client::Manager::Options{});
  controllers::registerControllers(*manager_, {});
  manager_->add(std::make_unique<scheduler::SchedulerController>(), schedulerNet_.get());
  collector_ = std::make_unique<controllers::GarbageCollector>(*controllersNet_, controlLoop_, platform::builtinResources());
  namespaces_ = std::make_unique<controllers::NamespaceKeeper>(*controllersNet_, controlLoop_, platform::builtinResources(), "simulated CA");
  crds_ = std::make_unique<platform::CrdFollower>(*controllersNet_, controlLoop_, [this](const controllers::CollectedResource& resource) {
    collector_->addResource(resource);
    namespaces_->addResource(resource);
  });
  manager_->start();
  crds_->start();
  collector_->start();
  namespaces_->start();
}

void World::stopControl() {
  crds_.reset();
  namespaces_.reset();
  collector_.reset();
  manager_.reset();
  schedulerNet_.reset();
  controllersNet_.reset();
  controlLoop_.clear();
}

void World::startAgent() {
  agentNet_ = std::make_unique<FaultyCluster>(*agentCluster_, agentLoop_, random_, faults_);
  node::AgentOptions options;
  options.materialise = false;
  for (const node::NodeConfig& node : options_.nodes)
    if (!lost_.contains(node.name)) options.nodes.push_back(node);
  agent_ = std::make_unique<node::NodeAgent>(*agentNet_, agentLoop_, *runtime_, files_, nullptr, ids_, std::move(options));
  if (auto started = agent_->start(); !started.ok()) die(started.error().message);
}

void World::stopAgent() {
  agent_.reset();
  agentNet_.reset();
  agentLoop_.clear();
}

void World::crashControl() {
  stopControl();
  startControl();
}

void World::crashAgent() {
  stopAgent();
  startAgent();
}

void World::crashServer() {
  stopAgent();
  stopControl();
  admin_.reset();
  controllersCluster_.reset();
  schedulerCluster_.reset();
  agentCluster_.reset();
  registry_.reset();
  authorizer_.reset();
  store_.reset();
  openServer();
  startControl();
  startAgent();
}

void World::loseNode(const std::string& name) {
  lost_.insert(name);
  crashAgent();
}

void World::returnNode(const std::string& name) {
  lost_.erase(name);
  crashAgent();
}

std::string World::write(client::Write write) {
  std::string problem = "no answer";
  std::vector<client::Write> one;
  one.push_back(std::move(write));
  admin_->write(std::move(one), client::Mode::Each, [&](std::vector<Result<client::Object>> results) {
    problem = results[0].ok() ? "" : results[0].error().message;
  });
  return problem;
}

std::string World::create(const client::Gvr& resource, const std::string& ns, const std::string& body) {
  return write({.verb = client::Write::Verb::Create, .resource = resource, .namespace_ = ns, .body = body});
}
std::string World::patch(const client::Gvr& resource, const std::string& ns, const std::string& name, const std::string& mergePatch) {
  return write({.verb = client::Write::Verb::Patch, .resource = resource, .namespace_ = ns, .name = name, .body = mergePatch});
}
std::string World::remove(const client::Gvr& resource, const std::string& ns, const std::string& name, std::optional<int64_t> grace) {
  return write({.verb = client::Write::Verb::Delete, .resource = resource, .namespace_ = ns, .name = name, .gracePeriodSeconds = grace});
}

bool World::quiet() const { return controlLoop_.pending() + agentLoop_.pending() + machineLoop_.pending() == 0; }

bool World::step(Time end) {
  client::ManualLoop* loops[] = {&controlLoop_, &agentLoop_, &machineLoop_};
  for (client::ManualLoop* loop : loops) loop->fireTimers();
  std::vector<client::ManualLoop*> ready;
  for (client::ManualLoop* loop : loops)
    if (loop->pending() > 0) ready.push_back(loop);
  if (!ready.empty()) {
    ready[random_() % ready.size()]->runOne();
    return true;
  }
  std::optional<Time> next;
  for (client::ManualLoop* loop : loops)
    if (auto timer = loop->nextTimer(); timer && (!next || *timer < *next)) next = timer;
  if (!next || *next > end) {
    if (end > clock_.now()) clock_.set(end);
    return false;
  }
  if (*next > clock_.now()) clock_.set(*next);
  return true;
}

bool World::runUntil(const std::function<bool()>& done, Duration limit) {
  Time end = now() + limit;
  while (!done()) {
    // Looking at the state is dearer than a task: look when everything has settled.
    bool more = true;
    do more = step(end);
    while (more && !quiet());
    if (!more && !done()) return false;
  }
  return true;
}

std::vector<node::NodeConfig> makeNodes(int count, int gpus) {
  std::vector<node::NodeConfig> out;
  for (int i = 0; i < count; ++i) {
    node::NodeConfig node{.name = fmt::format("node-{}", i), .address = fmt::format("10.9.0.{}", i + 1)};
    node.capacity = {{"cpu", "64"}, {"memory", "256Gi"}, {"pods", "110"}};
    if (gpus > 0) {
      node.capacity["nvidia.com/gpu"] = std::to_string(gpus);
      node.devices["nvidia.com/gpu"] = gpus;
    }
    out.push_back(std::move(node));
  }
  return out;
}

std::string pytorchJobJson(const JobShape& shape) {
  json::Arena arena;
  json::Object limits(arena);
  limits.set("cpu", shape.cpu);
  if (shape.gpus > 0) limits.set("nvidia.com/gpu", std::to_string(shape.gpus));
  json::Value container = json::Object(arena)
                              .set("name", "pytorch")
                              .set("image", "simulated")
                              .set("resources", json::Object(arena).set("limits", limits.build()).build())
                              .build();
  json::Object podSpec(arena);
  podSpec.set("containers", json::array(arena, {container})).setNonEmpty("priorityClassName", shape.priorityClass);
  json::Value podTemplate =
      json::Object(arena)
          .set("metadata", json::Object(arena)
                               .set("annotations", json::Object(arena)
                                                       .set(node::kDurationAnnotation, shape.duration)
                                                       .set(node::kExitCodeAnnotation, shape.exitCodes)
                                                       .build())
                               .build())
          .set("spec", podSpec.build())
          .build();
  auto replica = [&](int count) {
    return json::Object(arena).set("replicas", count).set("restartPolicy", shape.restartPolicy).set("template", podTemplate).build();
  };
  json::Object replicas(arena);
  if (shape.master) replicas.set("Master", replica(1));
  if (shape.workers > 0) replicas.set("Worker", replica(shape.workers));
  json::Object runPolicy(arena);
  runPolicy.setNonEmpty("cleanPodPolicy", shape.cleanPodPolicy);
  if (shape.backoffLimit >= 0) runPolicy.set("backoffLimit", shape.backoffLimit);
  if (shape.deadline > 0) runPolicy.set("activeDeadlineSeconds", shape.deadline);
  if (shape.ttl >= 0) runPolicy.set("ttlSecondsAfterFinished", shape.ttl);
  if (shape.suspend) runPolicy.set("suspend", true);
  return json::print(
      json::Object(arena)
          .set("apiVersion", "kubeflow.org/v1")
          .set("kind", "PyTorchJob")
          .set("metadata", json::Object(arena).set("name", shape.name).set("namespace", shape.ns).build())
          .set("spec", json::Object(arena).set("runPolicy", runPolicy.build()).set("pytorchReplicaSpecs", replicas.build()).build())
          .build());
}

std::string brokenInvariant(World& world) {
  auto pods = world.all<api::Pod>();
  auto gangs = world.all<api::Gang>();
  std::map<std::string, const node::NodeConfig*> nodes;
  for (const node::NodeConfig& node : world.nodes()) nodes[node.name] = &node;

  // No card twice: neither in the record nor among pods that live.
  std::map<std::string, std::string> holder;  // "node resource index" -> who
  std::set<std::pair<std::string, std::string>> recorded;  // pods covered by an entry, by (namespace, name)
  auto take = [&](const std::string& node, const std::string& cards, const std::string& who) -> std::string {
    for (std::string_view part : split(cards, ';')) {
      size_t equals = part.find('=');
      if (equals == std::string_view::npos) continue;
      for (std::string_view index : split(part.substr(equals + 1), ',')) {
        std::string key = fmt::format("{} {} {}", node, part.substr(0, equals), index);
        auto [it, fresh] = holder.emplace(key, who);
        if (!fresh && it->second != who) return fmt::format("card {} belongs to {} and to {}", key, it->second, who);
      }
    }
    return {};
  };
  for (const api::Gang& gang : gangs) {
    if (gang.spec.finished) continue;
    for (const api::GangPlacement& entry : gang.status.placement) {
      if (entry.node.empty()) continue;
      recorded.emplace(gang.metadata.namespace_, entry.pod);
      if (auto problem = take(entry.node, entry.cards, gang.metadata.namespace_ + "/" + entry.pod); !problem.empty()) return problem;
    }
    // No partial gang: what is placed has at least its minimum of every role.
    if (gang.status.phase == "Placed") {
      std::map<std::string, int> have;
      for (const api::GangPlacement& entry : gang.status.placement) ++have[entry.role];
      for (const api::GangRole& role : gang.spec.roles) {
        int minimum = role.minCount > 0 ? role.minCount : role.count;
        if (have[role.name] < std::min(minimum, role.count) && !gang.spec.suspended)
          return fmt::format("gang {} is Placed with {} of {} pods of role {}", gang.metadata.name, have[role.name], minimum, role.name);
      }
    }
  }
  std::map<std::string, int64_t> podsOn, gpusOn;
  for (const api::Pod& pod : pods) {
    if (pod.spec.nodeName.empty() || pod.finished()) continue;
    std::string who = pod.metadata.namespace_ + "/" + pod.metadata.name;
    if (auto problem = take(pod.spec.nodeName, pod.metadata.annotation(api::kCardsAnnotation), who); !problem.empty()) return problem;
    for (const api::Container& c : pod.spec.containers) {
      auto it = c.resources.limits.find("nvidia.com/gpu");
      if (it != c.resources.limits.end()) gpusOn[pod.spec.nodeName] += std::atoll(it->second.c_str());
    }
    // A pod of a gang exists only because the gang was placed.
    std::string gangName = pod.metadata.label(api::kGangLabel);
    if (!gangName.empty()) {
      auto gang = world.find<api::Gang>(pod.metadata.namespace_, gangName);
      if (gang && gang->status.epoch == 0) return fmt::format("pod {} exists but its gang was never placed", who);
    }
  }
  for (const auto& [name, gpus] : gpusOn) {
    auto it = nodes.find(name);
    int64_t has = it == nodes.end() || !it->second->devices.contains("nvidia.com/gpu") ? 0 : it->second->devices.at("nvidia.com/gpu");
    if (gpus > has) return fmt::format("node {} has {} nvidia.com/gpu but its pods hold {}", name, has, gpus);
  }
  // Every run starts at most once.
  for (const auto& [run, count] : world.runtime().starts())
    if (count > 1) return fmt::format("run {} was started {} times", run, count);
  return {};
}

}  // namespace stoker::sim
