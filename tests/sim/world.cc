#include "world.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

#include "apiserver/bootstrap.h"
#include "apiserver/strategies/strategies.h"
#include "controllers/training/validation.h"
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
    : options_(std::move(options)),
      faults_(options_.faults),
      random_(options_.seed),
      clock_(*parseTime("2026-01-01T00:00:00Z")),
      ids_(options_.seed * 7919 + 1),
      log_(store::makeMemoryLog()),
      controlLoop_(clock_) {
  openServer();
  if (auto made = apiserver::bootstrap(*registry_, platform::ownCrds()); !made.ok()) die(made.error().message);
  followed_ = store_->revision();
  following_ = true;
  follow();
  loops_.push_back(&controlLoop_);
  for (const node::NodeConfig& node : options_.nodes) {
    Machine& machine = *machines_.emplace_back(std::make_unique<Machine>(node, clock_));
    machine.runtime = std::make_unique<node::SimulatedRuntime>(machine.hardware);
    loops_.push_back(&machine.hardware);
    loops_.push_back(&machine.loop);
  }
  startControl();
  for (auto& machine : machines_) startAgent(*machine);
}

World::~World() {
  for (auto& machine : machines_) stopAgent(*machine);
  stopControl();
}

void World::openServer() {
  auto opened = store::Store::open(log_, {.synchronous = true});
  if (!opened.ok()) die(opened.error().message);
  store_ = std::move(*opened);
  registry_ = std::make_unique<apiserver::Registry>(*store_, ids_, clock_);
  apiserver::StrategyOptions strategies;
  strategies.validators["pytorchjobs.kubeflow.org"] = [](json::Value job) {
    return controllers::training::validatePyTorchJob(job);
  };
  if (auto registered = apiserver::registerStrategies(*registry_, strategies); !registered.ok())
    die(registered.error().message);
  auto authorizer = apiserver::RbacAuthorizer::open(*store_);
  if (!authorizer.ok()) die(authorizer.error().message);
  authorizer_ = std::move(*authorizer);
  registry_->setAuthorizer(authorizer_);
  if (auto started = registry_->start(); !started.ok()) die(started.error().message);
  apiserver::User admin{.name = "admin", .groups = {"system:masters", "system:authenticated"}};
  admin_ = std::make_unique<apiserver::LocalCluster>(*registry_, admin);
  auto account = [&](const char* name) {
    return std::make_unique<apiserver::LocalCluster>(*registry_,
                                                     apiserver::serviceAccountUser(apiserver::kSystemNamespace, name));
  };
  controllersCluster_ = account(apiserver::kControllersAccount);
  schedulerCluster_ = account(apiserver::kSchedulerAccount);
  agentCluster_ = account(apiserver::kAgentAccount);
  if (following_) follow();
}

void World::follow() {
  auto watched = store_->watch("", followed_, [this](const store::EventPtr& event) {
    followed_ = event->revision;
    mix(event->object->key);
    mix(event->object->bytes);
    if (options_.onChange) options_.onChange(*event);
  });
  if (!watched.ok()) die(watched.error().message);
}

void World::mix(std::string_view text) {
  for (char c : text) fingerprint_ = (fingerprint_ ^ static_cast<unsigned char>(c)) * 0x100000001b3;
}

void World::startControl() {
  controllersNet_ = std::make_unique<FaultyCluster>(*controllersCluster_, controlLoop_, random_, faults_);
  schedulerNet_ = std::make_unique<FaultyCluster>(*schedulerCluster_, controlLoop_, random_, faults_);
  manager_ = std::make_unique<client::Manager>(*controllersNet_, controlLoop_, ids_, client::Manager::Options{});
  controllers::ControllerOptions options;
  options.nodes.defaultToleration = options_.toleration;
  controllers::registerControllers(*manager_, options);
  manager_->add(std::make_unique<scheduler::SchedulerController>(), schedulerNet_.get());
  collector_ =
      std::make_unique<controllers::GarbageCollector>(*controllersNet_, controlLoop_, platform::builtinResources());
  namespaces_ = std::make_unique<controllers::NamespaceKeeper>(*controllersNet_, controlLoop_,
                                                               platform::builtinResources(), "simulated CA");
  crds_ = std::make_unique<platform::CrdFollower>(*controllersNet_, controlLoop_,
                                                  [this](const controllers::CollectedResource& resource) {
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

void World::startAgent(Machine& machine) {
  machine.net = std::make_unique<FaultyCluster>(*agentCluster_, machine.loop, random_, faults_);
  machine.net->cut(machine.cut);
  node::AgentOptions options;
  options.materialise = false;
  options.nodes = {machine.config};
  machine.agent = std::make_unique<node::NodeAgent>(*machine.net, machine.loop, *machine.runtime, files_, nullptr, ids_,
                                                    std::move(options));
  if (auto started = machine.agent->start(); !started.ok()) die(started.error().message);
}

void World::stopAgent(Machine& machine) {
  machine.agent.reset();
  machine.net.reset();
  machine.loop.clear();
}

void World::crashControl() {
  stopControl();
  startControl();
}

void World::crashAgent(size_t machine) {
  stopAgent(*machines_[machine]);
  startAgent(*machines_[machine]);
}

void World::reboot(size_t machine) {
  stopAgent(*machines_[machine]);
  machines_[machine]->runtime->reboot();
  startAgent(*machines_[machine]);
}

void World::crashServer() {
  for (auto& machine : machines_) stopAgent(*machine);
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
  for (auto& machine : machines_) startAgent(*machine);
}

void World::cutOff(size_t machine) {
  machines_[machine]->cut = true;
  machines_[machine]->net->cut(true);
}

void World::reconnect(size_t machine) {
  machines_[machine]->cut = false;
  machines_[machine]->net->cut(false);
}

size_t World::machineOf(const std::string& node) const {
  for (size_t i = 0; i < machines_.size(); ++i)
    if (machines_[i]->config.name == node) return i;
  return machines_.size();
}

std::string World::request(Request request) {
  std::string problem = "no answer";
  std::vector<client::Write> one;
  one.push_back({.verb = request.verb,
                 .resource = std::move(request.resource),
                 .namespace_ = std::move(request.ns),
                 .name = std::move(request.name),
                 .subresource = std::move(request.subresource),
                 .body = std::move(request.body),
                 .gracePeriodSeconds = request.grace,
                 .propagation = std::move(request.propagation)});
  admin_->write(std::move(one), client::Mode::Each, [&](std::vector<Result<client::Object>> results) {
    problem = results[0].ok() ? "" : results[0].error().message;
  });
  return problem;
}

bool World::quiet() const {
  for (const client::ManualLoop* loop : loops_)
    if (loop->pending() > 0) return false;
  return true;
}

bool World::step(Time end) {
  ready_.clear();
  for (client::ManualLoop* loop : loops_) {
    loop->fireTimers();
    if (loop->pending() > 0) ready_.push_back(loop);
  }
  if (!ready_.empty()) {
    ready_[random_() % ready_.size()]->runOne();
    return true;
  }
  std::optional<Time> next;
  for (client::ManualLoop* loop : loops_)
    if (auto timer = loop->nextTimer(); timer && (!next || *timer < *next)) next = timer;
  if (!next || *next > end) {
    if (end > clock_.now()) clock_.set(end);
    return false;
  }
  if (*next > clock_.now()) clock_.set(*next);
  return true;
}

std::vector<node::NodeConfig> makeNodes(int count, int gpus, int cpus) {
  std::vector<node::NodeConfig> out;
  for (int i = 0; i < count; ++i) {
    node::NodeConfig node{.name = fmt::format("node-{}", i), .address = fmt::format("10.9.0.{}", i + 1)};
    node.capacity = {{"cpu", std::to_string(cpus)}, {"memory", "256Gi"}, {"pods", "110"}};
    if (gpus > 0) {
      node.capacity["nvidia.com/gpu"] = std::to_string(gpus);
      node.devices["nvidia.com/gpu"] = gpus;
    }
    out.push_back(std::move(node));
  }
  return out;
}

}  // namespace stoker::sim
