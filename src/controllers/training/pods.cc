#include "controllers/training/pods.h"

#include "base/strings.h"
#include "device/pod_requests.h"

namespace stoker::controllers::training {
namespace {

json::Value ownerReferences(json::Arena& arena, const Workload& job) {
  json::Value owner = json::Object(arena)
                          .set("apiVersion", job.apiVersion)
                          .set("kind", job.kind)
                          .set("name", job.metadata.name)
                          .set("uid", job.metadata.uid)
                          .set("controller", true)
                          .set("blockOwnerDeletion", true)
                          .build();
  return json::array(arena, {owner});
}

std::map<std::string, std::string> replicaLabels(const Workload& job, const Role& role, int index) {
  auto labels = jobLabels(job);
  labels[kReplicaTypeLabel] = role.name;
  labels[kReplicaIndexLabel] = std::to_string(index);
  return labels;
}

/// `object` with the given string members added or replaced.
json::Value withAll(json::Arena& arena, json::Value object, const std::map<std::string, std::string>& members) {
  std::vector<json::Member> all(object.members().begin(), object.members().end());
  for (const auto& [key, value] : members) all.push_back({key, json::string(arena, value)});
  return json::object(arena, all);  // a later duplicate replaces an earlier one
}

const json::Value* containerNamed(json::Value podSpec, const std::string& name) {
  for (const json::Value& c : podSpec["containers"].items())
    if (c["name"].asString() == name) return &c;
  return nullptr;
}

std::string podRestartPolicy(const Role& role) {
  return role.restartPolicy == "ExitCode" ? "Never" : role.restartPolicy;
}

/// The pod spec as it will be created, without its place.
json::Value podSpec(json::Arena& arena, const Workload& job, const Role& role, int index) {
  json::Value spec = job.framework->decorate(arena, job, role, index, role.template_["spec"]);
  spec = json::with(arena, spec, "restartPolicy", json::string(arena, podRestartPolicy(role)));
  if (spec["schedulerName"].asString().empty())
    spec = json::with(arena, spec, "schedulerName", json::string(arena, api::kSchedulerName));
  return spec;
}

}  // namespace

std::map<std::string, std::string> jobLabels(const Workload& job) {
  return {{kOperatorNameLabel, job.framework->operatorName()}, {kJobNameLabel, job.metadata.name}};
}

std::string roleSelector(const Workload& job, const Role& role) {
  auto labels = jobLabels(job);
  labels[kReplicaTypeLabel] = role.name;
  std::vector<std::string> terms;
  for (const auto& [key, value] : labels) terms.push_back(key + "=" + value);
  return join(terms, ",");
}

std::string podText(const Workload& job, const Role& role, int index, const api::GangPlacement& place, int64_t epoch) {
  json::Arena arena;
  auto labels = replicaLabels(job, role, index);
  if (job.framework->isMaster(job, role, index)) labels[kJobRoleLabel] = "master";
  labels[api::kGangLabel] = job.gangName;
  labels[api::kRoleLabel] = role.name;
  std::map<std::string, std::string> annotations{{kEpochAnnotation, std::to_string(epoch)}};
  if (!place.cards.empty()) annotations[api::kCardsAnnotation] = place.cards;

  json::Value templateMeta = role.template_["metadata"];
  json::Object metadata(arena);
  metadata.set("name", job.podName(role, index))
      .set("namespace", job.metadata.namespace_)
      .set("labels", withAll(arena, templateMeta["labels"], labels))
      .set("annotations", withAll(arena, templateMeta["annotations"], annotations))
      .set("ownerReferences", ownerReferences(arena, job));
  if (!templateMeta["finalizers"].empty()) metadata.set("finalizers", templateMeta["finalizers"]);

  json::Value spec = podSpec(arena, job, role, index);
  spec = json::with(arena, spec, "nodeName", json::string(arena, place.node));
  return json::print(json::Object(arena)
                         .set("apiVersion", "v1")
                         .set("kind", "Pod")
                         .set("metadata", metadata.build())
                         .set("spec", spec)
                         .build());
}

std::string serviceText(const Workload& job, const Role& role, int index) {
  json::Arena arena;
  json::Value labels = withAll(arena, {}, replicaLabels(job, role, index));
  std::vector<json::Value> ports;
  if (const json::Value* container = containerNamed(role.template_["spec"], job.framework->defaultContainer()))
    for (const json::Value& port : (*container)["ports"].items())
      ports.push_back(
          json::Object(arena).setNonEmpty("name", port["name"].asString()).set("port", port["containerPort"]).build());
  json::Object spec(arena);
  spec.set("clusterIP", "None").set("selector", labels);
  if (!ports.empty()) spec.set("ports", json::array(arena, ports));
  return json::print(json::Object(arena)
                         .set("apiVersion", "v1")
                         .set("kind", "Service")
                         .set("metadata", json::Object(arena)
                                              .set("name", job.podName(role, index))
                                              .set("namespace", job.metadata.namespace_)
                                              .set("labels", labels)
                                              .set("ownerReferences", ownerReferences(arena, job))
                                              .build())
                         .set("spec", spec.build())
                         .build());
}

api::GangSpec gangSpec(const Workload& job, const PriorityOf& classes) {
  api::GangSpec out;
  out.queue = job.metadata.label(kQueueLabel);
  if (job.policy.schedulingPolicy) {
    if (out.queue.empty()) out.queue = job.policy.schedulingPolicy->queue;
    out.priorityClassName = job.policy.schedulingPolicy->priorityClass;
  }
  for (const Role& role : job.roles) {
    json::Arena arena;
    auto spec = api::decode<api::PodSpec>(podSpec(arena, job, role, 0));
    if (out.priorityClassName.empty()) out.priorityClassName = spec.priorityClassName;
    out.roles.push_back({.name = role.name,
                         .count = role.count,
                         .minCount = role.minCount,
                         .podNamePrefix = job.metadata.name + "-" + role.name,
                         .requests = device::podRequests(spec),
                         .nodeSelector = spec.nodeSelector,
                         .affinity = spec.affinity,
                         .tolerations = spec.tolerations});
  }
  out.priority = classes(out.priorityClassName).value_or(0);
  return out;
}

std::string gangText(const Workload& job, const api::GangSpec& spec) {
  json::Arena arena;
  return json::print(json::Object(arena)
                         .set("apiVersion", client::apiVersionOf(api::Gang::gvk))
                         .set("kind", api::Gang::gvk.kind)
                         .set("metadata", json::Object(arena)
                                              .set("name", job.gangName)
                                              .set("namespace", job.metadata.namespace_)
                                              .set("labels", withAll(arena, {}, jobLabels(job)))
                                              .set("ownerReferences", ownerReferences(arena, job))
                                              .build())
                         .set("spec", api::encode(arena, spec))
                         .build());
}

bool templateNamesRestartPolicy(const Role& role) {
  return !role.template_["spec"]["restartPolicy"].asString().empty();
}

bool templateNamesOtherScheduler(const Role& role) {
  std::string_view name = role.template_["spec"]["schedulerName"].asString();
  return !name.empty() && name != api::kSchedulerName && name != api::kDefaultSchedulerName;
}

}  // namespace stoker::controllers::training
