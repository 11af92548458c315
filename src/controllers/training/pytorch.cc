#include "controllers/training/pytorch.h"

#include <fmt/format.h>

#include "api/gang.h"
#include "base/strings.h"
#include "controllers/training/reconcile.h"
#include "controllers/training/status.h"

namespace stoker::controllers::training {
namespace {

/// The template with the default port in its default container (the first one when none has that name).
api::Raw withDefaultPort(const api::Raw& podTemplate) {
  json::Arena arena;
  auto containers = podTemplate.root.at({"spec", "containers"}).items();
  if (containers.empty()) return podTemplate;
  size_t which = 0;
  for (size_t i = 0; i < containers.size(); ++i)
    if (containers[i]["name"].asString() == kPyTorchContainer) {
      which = i;
      break;
    }
  auto ports = containers[which]["ports"].items();
  for (json::Value port : ports)
    if (port["name"].asString() == kPyTorchPortName) return podTemplate;
  std::vector<json::Value> allPorts(ports.begin(), ports.end());
  allPorts.push_back(json::Object(arena).set("name", kPyTorchPortName).set("containerPort", kPyTorchPort).build());
  std::vector<json::Value> all(containers.begin(), containers.end());
  all[which] = json::with(arena, all[which], "ports", json::array(arena, allPorts));
  return json::makeDoc(json::withPath(arena, podTemplate.root, {"spec", "containers"}, json::array(arena, all)));
}

class PyTorch final : public Framework {
 public:
  explicit PyTorch(api::PyTorchJob job) : job_(std::move(job)) {}
  std::string operatorName() const override { return kPyTorchOperator; }
  std::string defaultContainer() const override { return kPyTorchContainer; }

  bool isMaster(const Workload& job, const Role& role, int index) const override {
    if (job.role("master")) return role.name == "master";
    return role.name == "worker" && index == 0;
  }

  json::Value decorate(json::Arena& arena, const Workload&, const Role& role, int index,
                       json::Value podSpec) const override {
    return pytorchPodSpec(arena, job_, role.type, index, podSpec);
  }

  void judge(const Workload& job, const std::vector<Counts>& counts, StatusEditor& status) const override {
    const std::string& name = job.metadata.name;
    std::string fullName = job.metadata.namespace_ + "/" + name;
    bool hasMaster = job.role("master") != nullptr;
    for (size_t i = 0; i < job.roles.size(); ++i) {
      const Role& role = job.roles[i];
      const Counts& c = counts[i];
      if (hasMaster && role.name == "master") {
        if (c.active > 0) status.set(kRunning, true, kRunning, fmt::format("PyTorchJob {} is running.", name));
        if (c.succeeded == role.count)
          return status.finish(kSucceeded, fmt::format("PyTorchJob {} is successfully completed.", name));
      } else if (!hasMaster && role.name == "worker") {
        if (c.succeeded == role.count || (job_.spec.elasticPolicy && c.succeeded > 0))
          return status.finish(kSucceeded, fmt::format("PyTorchJob {} successfully completed.", fullName));
        if (c.active > 0) status.set(kRunning, true, kRunning, fmt::format("PyTorchJob {} is running.", fullName));
      }
      if (c.failed == 0 || role.count <= c.succeeded + c.active) continue;
      // What the platform ended is made again whatever the policy: the policy speaks of the program's own exits.
      if (role.restartPolicy != "Never" || c.failed == c.excused) {
        status.set(
            kRestarting, true, kRestarting,
            fmt::format("PyTorchJob {} is restarting because {} {} replica(s) failed.", name, c.failed, role.type),
            "Warning");
      } else {
        return status.finish(kFailed, fmt::format("PyTorchJob {} is failed because {} {} replica(s) failed.", name,
                                                  c.failed - c.excused, role.type));
      }
    }
  }

 private:
  api::PyTorchJob job_;
};

class PyTorchJobController final : public client::Controller {
 public:
  std::string name() const override { return kPyTorchOperator; }
  void setup(client::Watches& watches) override {
    watches.on<api::PyTorchJob>(client::selfKey);
    watches.on<api::Gang>(client::controllerKey(api::PyTorchJob::gvk.kind));
    watches.on<api::Pod>(client::controllerKey(api::PyTorchJob::gvk.kind));
    watches.on<api::Service>(client::controllerKey(api::PyTorchJob::gvk.kind));
    watches.read<api::Node>();
    watches.read<api::PriorityClass>();
  }
  client::Plan reconcile(const client::View& view, const client::Key& key, Time now) override {
    const api::PyTorchJob* job = view.of<api::PyTorchJob>().get(key.namespace_, key.name);
    return job ? training::reconcile(view, readPyTorchJob(*job), now) : client::Plan{};
  }
};

}  // namespace

api::PyTorchJob withDefaults(api::PyTorchJob job) {
  api::PyTorchJobSpec& spec = job.spec;
  if (spec.runPolicy.cleanPodPolicy.empty()) spec.runPolicy.cleanPodPolicy = "None";
  for (const char* type : {"Master", "Worker"}) {
    if (spec.pytorchReplicaSpecs.contains(type)) continue;
    for (const auto& [key, value] : spec.pytorchReplicaSpecs)
      if (toLower(key) == toLower(type)) {
        auto node = spec.pytorchReplicaSpecs.extract(key);
        node.key() = type;
        spec.pytorchReplicaSpecs.insert(std::move(node));
        break;
      }
  }
  for (auto& [type, replica] : spec.pytorchReplicaSpecs) {
    if (!replica.replicas) replica.replicas = 1;
    if (replica.restartPolicy.empty()) replica.restartPolicy = "OnFailure";
    replica.template_ = withDefaultPort(replica.template_);
  }
  if (spec.elasticPolicy) {
    api::ElasticPolicy& elastic = *spec.elasticPolicy;
    auto worker = spec.pytorchReplicaSpecs.find("Worker");
    if (!elastic.minReplicas && !elastic.maxReplicas && worker != spec.pytorchReplicaSpecs.end())
      elastic.minReplicas = elastic.maxReplicas = worker->second.replicas;
    if (!elastic.minReplicas) elastic.minReplicas = elastic.maxReplicas;
    if (!elastic.maxReplicas) elastic.maxReplicas = elastic.minReplicas;
  }
  bool elasticSaysProcesses = spec.elasticPolicy && spec.elasticPolicy->nProcPerNode;
  if (spec.nprocPerNode.empty() && !elasticSaysProcesses) spec.nprocPerNode = "auto";
  return job;
}

Workload readPyTorchJob(const api::PyTorchJob& given) {
  api::PyTorchJob job = withDefaults(given);
  Workload out{.apiVersion = client::apiVersionOf(api::PyTorchJob::gvk),
               .kind = api::PyTorchJob::gvk.kind,
               .resource = client::gvrOf<api::PyTorchJob>(),
               .metadata = job.metadata,
               .policy = job.spec.runPolicy,
               .status = job.status,
               .gangName = "pytorchjob-" + job.metadata.name};
  std::optional<int32_t> together =
      job.spec.runPolicy.schedulingPolicy ? job.spec.runPolicy.schedulingPolicy->minAvailable : std::nullopt;
  for (const char* type : {"Master", "Worker"}) {
    auto it = job.spec.pytorchReplicaSpecs.find(type);
    if (it == job.spec.pytorchReplicaSpecs.end()) continue;
    int32_t count = *it->second.replicas, minCount = count;
    if (it->first == "Worker" && job.spec.elasticPolicy)
      minCount = std::min(count, job.spec.elasticPolicy->minReplicas.value_or(count));
    if (together) {
      // minAvailable counts pods of the whole job: the master goes first.
      minCount = std::clamp(*together, 0, minCount);
      *together -= minCount;
    }
    out.roles.push_back({.type = type,
                         .name = toLower(type),
                         .count = count,
                         .minCount = minCount,
                         .restartPolicy = it->second.restartPolicy,
                         .template_ = it->second.template_});
  }
  out.framework = std::make_shared<PyTorch>(std::move(job));
  return out;
}

std::unique_ptr<client::Controller> makePyTorchJobController() { return std::make_unique<PyTorchJobController>(); }

}  // namespace stoker::controllers::training
