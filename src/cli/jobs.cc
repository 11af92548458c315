#include "cli/jobs.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "cli/output.h"

namespace stoker::cli {
namespace {

constexpr const char* kNone = "N/A";

int64_t gpusOf(const api::ResourceRequirements& resources) {
  for (const api::ResourceList* list : {&resources.limits, &resources.requests})
    for (const auto& [name, amount] : *list)
      if (name == "nvidia.com/gpu" || name == "aliyun.com/gpu") return std::atoll(amount.c_str());
  return 0;
}

int64_t gpusOf(const std::vector<api::Container>& containers) {
  int64_t sum = 0;
  for (const api::Container& c : containers) sum += gpusOf(c.resources);
  return sum;
}

/// The word kubectl would show, reduced to arena's five.
std::string podStatus(const api::Pod& pod) {
  if (pod.metadata.deleting()) return "TERMINATING";
  if (pod.status.phase == "Succeeded") return "SUCCEEDED";
  if (pod.status.phase == "Failed") return "FAILED";
  if (pod.status.phase == "Running") return "RUNNING";
  return "PENDING";
}

std::string podReason(const api::Pod& pod) {
  if (pod.status.phase == "Failed") {
    if (!pod.status.reason.empty())
      return pod.status.reason + (pod.status.message.empty() ? "" : ": " + pod.status.message);
    for (const auto* list : {&pod.status.initContainerStatuses, &pod.status.containerStatuses})
      for (const api::ContainerStatus& c : *list)
        if (c.state.terminated && c.state.terminated->exitCode != 0) {
          const auto& t = *c.state.terminated;
          std::string text =
              fmt::format("{}: container {} exited with {}", t.reason.empty() ? "Error" : t.reason, c.name, t.exitCode);
          if (!t.message.empty()) text += ": " + std::string(trim(t.message));
          return text;
        }
    return "failed";
  }
  if (pod.status.phase == "Succeeded") return "";
  for (const auto* list : {&pod.status.initContainerStatuses, &pod.status.containerStatuses})
    for (const api::ContainerStatus& c : *list)
      if (c.state.waiting && c.state.waiting->reason != "PodInitializing" &&
          c.state.waiting->reason != "ContainerCreating") {
        const auto& w = *c.state.waiting;
        return w.message.empty() ? w.reason : w.reason + ": " + w.message;
      }
  if (const api::Condition* scheduled = api::findCondition(pod.status.conditions, "PodScheduled");
      scheduled && scheduled->status == "False")
    return scheduled->message;
  return "";
}

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

}  // namespace

JobView viewOf(const api::PyTorchJob& job, const std::vector<api::Pod>& pods, const api::Gang* gang, Time now) {
  JobView view;
  view.uid = job.metadata.uid;
  view.name = job.metadata.name;
  view.namespace_ = job.metadata.namespace_;
  view.created = job.metadata.creationTimestamp;
  if (job.status.startTime != Time{}) view.started = job.status.startTime;
  if (job.status.completionTime != Time{}) view.ended = job.status.completionTime;
  view.priority = kNone;
  std::string roleOfChief = job.spec.pytorchReplicaSpecs.contains("Master") ? "master" : "worker";
  for (const auto& [type, spec] : job.spec.pytorchReplicaSpecs) {
    api::PodSpec podSpec = api::decode<api::PodSpec>(spec.template_.root["spec"]);
    view.requestedGpus += gpusOf(podSpec.containers) * spec.replicas.value_or(1);
    if (!podSpec.priorityClassName.empty()) view.priority = podSpec.priorityClassName;
  }
  if (job.spec.runPolicy.schedulingPolicy && !job.spec.runPolicy.schedulingPolicy->priorityClass.empty())
    view.priority = job.spec.runPolicy.schedulingPolicy->priorityClass;

  int64_t allocated = 0;
  for (const api::Pod& pod : pods) {
    Instance instance{.name = pod.metadata.name,
                      .status = podStatus(pod),
                      .node = pod.spec.nodeName,
                      .nodeIp = pod.status.hostIP,
                      .ip = pod.status.podIP,
                      .gpus = gpusOf(pod.spec.containers),
                      .created = pod.metadata.creationTimestamp,
                      .age = now - pod.metadata.creationTimestamp,
                      .reason = podReason(pod)};
    instance.chief = pod.metadata.label("training.kubeflow.org/replica-type") == roleOfChief &&
                     pod.metadata.label("training.kubeflow.org/replica-index") == "0";
    if (instance.chief) {
      view.chief = instance.name;
      if (!instance.nodeIp.empty()) view.node = instance.nodeIp;
    }
    if (!pod.finished() && !pod.spec.nodeName.empty()) allocated += instance.gpus;
    view.instances.push_back(std::move(instance));
  }
  if (view.node.empty()) view.node = kNone;

  const auto& conditions = job.status.conditions;
  if (api::isTrue(conditions, "Failed"))
    view.status = "FAILED";
  else if (api::isTrue(conditions, "Succeeded"))
    view.status = "SUCCEEDED";
  else if (api::isTrue(conditions, "Suspended") || job.spec.runPolicy.suspend)
    view.status = "QUEUING";
  else if (api::isTrue(conditions, "Running"))
    view.status = "RUNNING";
  else if (gang && gang->status.phase != "Placed" && !gang->spec.queue.empty())
    view.status = "QUEUING";
  else
    view.status = "PENDING";

  if (view.status == "FAILED") {
    view.reason = api::findCondition(conditions, "Failed")->message;
    for (const Instance& instance : view.instances)
      if (instance.status == "FAILED" && !instance.reason.empty()) {
        view.reason = instance.name + ": " + instance.reason;
        break;
      }
  } else if (job.spec.runPolicy.suspend) {
    view.reason = "suspended by spec.runPolicy.suspend";
  } else if (view.status == "PENDING" || view.status == "QUEUING") {
    if (gang && gang->status.phase != "Placed") view.reason = gang->status.verdict.message;
    for (const Instance& instance : view.instances)
      if (view.reason.empty() && !instance.reason.empty()) view.reason = instance.name + ": " + instance.reason;
    if (view.reason.empty() && !gang) view.reason = "not seen by the scheduler yet";
  } else if (view.status == "RUNNING") {
    for (const Instance& instance : view.instances)
      if (view.reason.empty() && instance.status != "RUNNING" && !instance.reason.empty())
        view.reason = instance.name + ": " + instance.reason;
  }
  if (view.status == "RUNNING" || view.status == "PENDING") view.allocatedGpus = allocated;
  view.duration = view.ended.value_or(now) - view.started.value_or(view.created);
  return view;
}

std::string listTable(const std::vector<JobView>& jobs, bool allNamespaces) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> header{"NAME",           "STATUS",         "TRAINER", "DURATION",
                                  "GPU(Requested)", "GPU(Allocated)", "NODE",    "REASON"};
  if (allNamespaces) header.insert(header.begin(), "NAMESPACE");
  rows.push_back(header);
  for (const JobView& job : jobs) {
    std::vector<std::string> row{job.name,
                                 job.status,
                                 upper(job.trainer),
                                 formatAge(job.duration),
                                 std::to_string(job.requestedGpus),
                                 job.allocatedGpus ? std::to_string(*job.allocatedGpus) : kNone,
                                 job.node,
                                 job.reason};
    if (allNamespaces) row.insert(row.begin(), job.namespace_);
    rows.push_back(std::move(row));
  }
  return alignColumns(rows);
}

std::string getPage(const JobView& job, bool gpus) {
  std::string out;
  auto line = [&](const char* key, const std::string& value) {
    out += fmt::format("{:<11}{}\n", fmt::format("{}:", key), value);
  };
  line("Name", job.name);
  line("Status", job.status);
  if (!job.reason.empty()) line("Reason", job.reason);
  line("Namespace", job.namespace_);
  line("Priority", job.priority);
  line("Trainer", upper(job.trainer));
  line("Duration", formatAge(job.duration));
  out += fmt::format("{:<11} {}\n", "CreateTime:", formatTime(job.created));
  out += fmt::format("{:<11} {}\n", "EndTime:", job.ended ? formatTime(*job.ended) : "");
  out += "\nInstances:\n";
  std::vector<std::vector<std::string>> rows{{"NAME", "STATUS", "AGE", "IS_CHIEF", "GPU(Requested)", "NODE", "REASON"},
                                             {"----", "------", "---", "--------", "--------------", "----", "------"}};
  for (const Instance& i : job.instances)
    rows.push_back({i.name, i.status, formatAge(i.age), i.chief ? "true" : "false", std::to_string(i.gpus),
                    i.node.empty()     ? kNone
                    : i.nodeIp.empty() ? i.node
                                       : fmt::format("{}({})", i.node, i.nodeIp),
                    i.reason});
  out += alignColumns(rows, 2);
  if (gpus) {
    out += "\nGPUs:\n";
    std::vector<std::vector<std::string>> cards{{"INSTANCE", "NODE(IP)", "GPU(Requested)"},
                                                {"--------", "--------", "--------------"}};
    for (const Instance& i : job.instances)
      cards.push_back({i.name, i.nodeIp.empty() ? kNone : i.nodeIp, std::to_string(i.gpus)});
    out += alignColumns(cards, 2);
    out += fmt::format("\nAllocated/Requested GPUs of Job: {}/{}\n", job.allocatedGpus.value_or(0), job.requestedGpus);
  }
  return out;
}

json::Value jobJson(json::Arena& arena, const JobView& job) {
  std::vector<json::Value> instances;
  for (const Instance& i : job.instances)
    instances.push_back(json::Object(arena)
                            .set("ip", i.ip)
                            .set("status", i.status)
                            .set("name", i.name)
                            .set("age", formatAge(i.age))
                            .set("node", i.node)
                            .set("nodeIP", i.nodeIp)
                            .set("chief", i.chief)
                            .set("requestGPUs", i.gpus)
                            .set("gpuMetrics", json::object(arena, std::span<const json::Member>()))
                            .set("creationTimestamp",
                                 std::chrono::duration_cast<std::chrono::seconds>(i.created.time_since_epoch()).count())
                            .set("reason", i.reason)
                            .build());
  return json::Object(arena)
      .set("uuid", job.uid)
      .set("name", job.name)
      .set("namespace", job.namespace_)
      .set("duration", formatAge(job.duration))
      .set("status", job.status)
      .set("reason", job.reason)
      .set("trainer", job.trainer)
      .set("tensorboard", "")
      .set("chiefName", job.chief)
      .set("instances", json::array(arena, instances))
      .set("priority", job.priority)
      .set("requestGPUs", job.requestedGpus)
      .set("allocatedGPUs", job.allocatedGpus.value_or(0))
      .set("creationTimestamp",
           std::chrono::duration_cast<std::chrono::seconds>(job.created.time_since_epoch()).count())
      .build();
}

}  // namespace stoker::cli
