#include <fmt/format.h>

#include <charconv>

#include "controllers/training/pytorch.h"

namespace stoker::controllers::training {
namespace {

// The container upstream puts before workers (pytorch/initcontainer.go): image, tries and text as there.
constexpr const char* kInitContainer = R"({
  "name": "init-pytorch", "image": "alpine:3.10", "imagePullPolicy": "IfNotPresent",
  "resources": {"limits": {"cpu": "100m", "memory": "20Mi"}, "requests": {"cpu": "50m", "memory": "10Mi"}}})";
constexpr int kInitContainerTries = 100;

std::string masterName(const api::PyTorchJob& job) { return job.metadata.name + "-master-0"; }

int32_t portOf(const api::PyTorchJob& job, const std::string& type) {
  auto it = job.spec.pytorchReplicaSpecs.find(type);
  if (it != job.spec.pytorchReplicaSpecs.end())
    for (json::Value container : it->second.template_.root.at({"spec", "containers"}).items()) {
      if (container["name"].asString() != kPyTorchContainer) continue;
      for (json::Value port : container["ports"].items())
        if (port["name"].asString() == kPyTorchPortName)
          return static_cast<int32_t>(port["containerPort"].asInt(kPyTorchPort));
    }
  return kPyTorchPort;
}

int64_t totalReplicas(const api::PyTorchJob& job) {
  int64_t sum = 0;
  for (const auto& [type, spec] : job.spec.pytorchReplicaSpecs) sum += spec.replicas.value_or(1);
  return sum;
}

/// 1 unless it is a number: with auto, cpu and gpu the processes count themselves and WORLD_SIZE is not used.
int64_t processesPerNode(const api::PyTorchJob& job) {
  const std::string& text = job.spec.nprocPerNode;
  int64_t n = 1;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc() && end == text.data() + text.size() ? n : 1;
}

void addElastic(std::vector<EnvVar>& env, const api::PyTorchJob& job) {
  const api::ElasticPolicy& policy = *job.spec.elasticPolicy;
  env.push_back({"PET_RDZV_ENDPOINT",
                 fmt::format("{}:{}", policy.rdzvHost.empty() ? job.metadata.name + "-worker-0" : policy.rdzvHost,
                             policy.rdzvPort ? *policy.rdzvPort : portOf(job, "Worker"))});
  env.push_back({"PET_RDZV_BACKEND", policy.rdzvBackend.empty() ? "c10d" : policy.rdzvBackend});
  auto worker = job.spec.pytorchReplicaSpecs.find("Worker");
  int32_t workers = worker == job.spec.pytorchReplicaSpecs.end() ? 0 : worker->second.replicas.value_or(1);
  env.push_back({"PET_NNODES",
                 policy.minReplicas || policy.maxReplicas
                     ? fmt::format("{}:{}", policy.minReplicas.value_or(workers), policy.maxReplicas.value_or(workers))
                     : std::to_string(workers)});
  if (policy.maxRestarts) env.push_back({"PET_MAX_RESTARTS", std::to_string(*policy.maxRestarts)});
  if (policy.nProcPerNode) env.push_back({"PET_NPROC_PER_NODE", std::to_string(*policy.nProcPerNode)});
  if (!policy.rdzvId.empty()) env.push_back({"PET_RDZV_ID", policy.rdzvId});
  if (!policy.rdzvConf.empty()) {
    std::string text;
    for (const auto& conf : policy.rdzvConf) text += (text.empty() ? "" : ",") + conf.key + "=" + conf.value;
    env.push_back({"PET_RDZV_CONF", text});
  }
  if (policy.standalone.value_or(false)) env.push_back({"PET_STANDALONE", ""});
}

}  // namespace

std::vector<EnvVar> pytorchEnv(const api::PyTorchJob& job, const std::string& type, int index) {
  std::vector<EnvVar> env{{"PYTHONUNBUFFERED", "1"}};
  if (job.spec.pytorchReplicaSpecs.contains("Master")) {
    std::string port = std::to_string(portOf(job, "Master")), address = masterName(job);
    env.push_back({"MASTER_PORT", port});
    env.push_back({"PET_MASTER_PORT", port});
    env.push_back({"MASTER_ADDR", address});
    env.push_back({"PET_MASTER_ADDR", address});
    std::string rank = std::to_string(type == "Worker" ? index + 1 : index);
    env.push_back({"WORLD_SIZE", std::to_string(totalReplicas(job) * processesPerNode(job))});
    env.push_back({"RANK", rank});
    env.push_back({"PET_NODE_RANK", rank});
  }
  if (!job.spec.nprocPerNode.empty()) env.push_back({"PET_NPROC_PER_NODE", job.spec.nprocPerNode});
  if (job.spec.elasticPolicy)
    addElastic(env, job);
  else
    env.push_back({"PET_NNODES", std::to_string(totalReplicas(job))});
  return env;
}

json::Value pytorchPodSpec(json::Arena& arena, const api::PyTorchJob& job, const std::string& type, int index,
                           json::Value podSpec) {
  std::vector<EnvVar> env = pytorchEnv(job, type, index);
  std::vector<json::Value> containers;
  for (json::Value container : podSpec["containers"].items()) {
    std::vector<json::Value> all(container["env"].items().begin(), container["env"].items().end());
    for (const EnvVar& e : env) {
      json::Object variable(arena);
      variable.set("name", e.name).setNonEmpty("value", e.value);
      all.push_back(variable.build());
    }
    containers.push_back(json::with(arena, container, "env", json::array(arena, all)));
  }
  podSpec = json::with(arena, podSpec, "containers", json::array(arena, containers));
  if (type != "Worker" || !job.spec.pytorchReplicaSpecs.contains("Master")) return podSpec;

  auto init = json::parse(arena, kInitContainer);
  std::string script = fmt::format(
      "err=1;for i in $(seq {}); do if nslookup {}; then err=0 && break; fi;echo waiting for master; sleep 2; done; "
      "exit $err",
      kInitContainerTries, masterName(job));
  json::Value command =
      json::array(arena, {json::string(arena, "sh"), json::string(arena, "-c"), json::string(arena, script)});
  std::vector<json::Value> all(podSpec["initContainers"].items().begin(), podSpec["initContainers"].items().end());
  all.push_back(json::with(arena, *init, "command", command));
  return json::with(arena, podSpec, "initContainers", json::array(arena, all));
}

}  // namespace stoker::controllers::training
