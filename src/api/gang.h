// gang.h: stoker.dev/v1alpha1 Gang, the persisted form of the canonical workload (decisions 7, 8, 11).
//
// A front-end controller (training, ...) writes the spec from its job; the scheduler alone writes the status: where
// every pod goes and with which cards, or why it waits. The placement is the only record that holds capacity:
//
//   an entry holds its node's capacity until it is gone from the record, or spec.finished is true, or the Gang is gone.
//
// When a pod has Succeeded while others of its gang go on and somebody waits, the scheduler releases its entry: node
// and cards become empty. A failed pod that its job will make again finds its place still free. Pods are made by the
// front-end from entries that have a node, already bound, with the cards in the annotation kCardsAnnotation.
#pragma once

#include "api/core.h"

namespace stoker::api {

inline constexpr const char* kGangLabel = "stoker.dev/gang";             ///< on pods: name of their Gang
inline constexpr const char* kRoleLabel = "stoker.dev/role";             ///< on pods: role within it
inline constexpr const char* kCardsAnnotation = "stoker.dev/cards";      ///< on pods: "nvidia.com/gpu=0,1;rdma/hca=2"
inline constexpr const char* kVerdictAnnotation = "stoker.dev/verdict";  ///< on lone pods that wait: why
inline constexpr const char* kSchedulerName = "stoker-scheduler";
inline constexpr const char* kDefaultSchedulerName =
    "default-scheduler";  ///< lone pods with it are placed too when embedded

struct GangRole {
  std::string name;
  int32_t count = 0;
  int32_t minCount = 0;  ///< pods of this role that must be placed together; count when not elastic
  std::string podNamePrefix;
  ResourceList requests;  ///< of one pod, sidecar and init rules applied
  std::map<std::string, std::string> nodeSelector;
  Raw affinity;
  std::vector<Toleration> tolerations;
  static constexpr auto describe() {
    return std::tuple{
        field("name", &GangRole::name, "Role, e.g. master or worker.").required(),
        field("count", &GangRole::count, "Pods wanted.").minimum(0),
        field("minCount", &GangRole::minCount, "Pods that must be placed together.").minimum(0),
        field("podNamePrefix", &GangRole::podNamePrefix, "Pod i of the role is named <prefix>-<i>."),
        field("requests", &GangRole::requests, "What one pod takes: resource name to quantity.").intOrString(),
        field("nodeSelector", &GangRole::nodeSelector, "Labels a node must have."),
        field("affinity", &GangRole::affinity, "The pods' affinity.").builtin("k8s.io.api.core.v1.Affinity"),
        field("tolerations", &GangRole::tolerations, "Taints the pods tolerate.")};
  }
};

struct GangSpec {
  std::string queue;  ///< LocalQueue in the same namespace; empty = no queue
  int32_t priority = 0;
  std::string priorityClassName;
  bool suspended = false;  ///< wants no place (now)
  bool finished = false;   ///< its job has ended: nothing is held any more
  std::vector<GangRole> roles;
  static constexpr auto describe() {
    return std::tuple{field("queue", &GangSpec::queue, "LocalQueue that admits it; empty means none."),
                      field("priority", &GangSpec::priority, "Higher goes first."),
                      field("priorityClassName", &GangSpec::priorityClassName, "Where the priority came from."),
                      field("suspended", &GangSpec::suspended, "Wants no place for now; gives back what it holds."),
                      field("finished", &GangSpec::finished, "The job has ended; nothing is held any more."),
                      field("roles", &GangSpec::roles, "Groups of equal pods.").keyedBy("name")};
  }
};

struct GangPlacement {
  std::string role;
  int32_t index = 0;
  std::string pod, node;
  std::string cards;  ///< kCardsAnnotation's form; empty when no devices
  bool operator==(const GangPlacement&) const = default;
  static constexpr auto describe() {
    return std::tuple{field("role", &GangPlacement::role, "Role of the pod.").required(),
                      field("index", &GangPlacement::index, "Index within the role.").minimum(0),
                      field("pod", &GangPlacement::pod, "Name of the pod."),
                      field("node", &GangPlacement::node, "Node it is placed on."),
                      field("cards", &GangPlacement::cards, "Devices by index: nvidia.com/gpu=0,1")};
  }
};

struct GangVerdict {
  std::string reason;   ///< one word: Placed, Unschedulable, QuotaExceeded, Suspended, Finished
  std::string message;  ///< in numbers, for people
  Time since{};         ///< when this cause began
  static constexpr auto describe() {
    return std::tuple{field("reason", &GangVerdict::reason, "One word: why."),
                      field("message", &GangVerdict::message, "Why, in numbers."),
                      field("since", &GangVerdict::since, "Since when.")};
  }
};

struct GangStatus {
  std::string phase;  ///< Pending, Placed, Finished
  std::vector<GangPlacement> placement;
  GangVerdict verdict;
  int64_t epoch = 0;  ///< how often it was placed anew
  static constexpr auto describe() {
    return std::tuple{
        field("phase", &GangStatus::phase, "Pending, Placed or Finished."),
        field("placement", &GangStatus::placement, "Where each pod goes; this record alone holds capacity."),
        field("verdict", &GangStatus::verdict, "Why it waits, or that it does not."),
        field("epoch", &GangStatus::epoch, "Raised by one with every new placement.")};
  }
};

struct Gang {
  static constexpr Gvk gvk{"stoker.dev", "v1alpha1", "Gang", "gangs"};
  ObjectMeta metadata;
  GangSpec spec;
  GangStatus status;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Gang::metadata), field("spec", &Gang::spec, "What is wanted."),
                      field("status", &Gang::status, "What the scheduler decided.")};
  }
};

#define STOKER_GANG_STRUCTS(X) X(GangRole) X(GangSpec) X(GangPlacement) X(GangVerdict) X(GangStatus) X(Gang)
STOKER_GANG_STRUCTS(STOKER_DECLARE_CODEC)

}  // namespace stoker::api
