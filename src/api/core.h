// core.h: core/v1 and coordination.k8s.io/v1, slim: what controllers, scheduler and CLI read. The node agent decodes
// the whole pod spec on demand (node/), nobody writes these structs back: controllers write patches.
#pragma once

#include "api/meta.h"

namespace stoker::api {

using ResourceList = std::map<std::string, std::string>;  ///< resource name -> quantity text

struct ResourceRequirements {
  ResourceList requests, limits;
  static constexpr auto describe() {
    return std::tuple{field("requests", &ResourceRequirements::requests),
                      field("limits", &ResourceRequirements::limits)};
  }
};

struct ContainerPort {
  std::string name, protocol;
  int32_t containerPort = 0, hostPort = 0;
  static constexpr auto describe() {
    return std::tuple{field("name", &ContainerPort::name), field("protocol", &ContainerPort::protocol),
                      field("containerPort", &ContainerPort::containerPort),
                      field("hostPort", &ContainerPort::hostPort)};
  }
};

struct Container {
  std::string name, image, restartPolicy;
  ResourceRequirements resources;
  std::vector<ContainerPort> ports;
  static constexpr auto describe() {
    return std::tuple{field("name", &Container::name), field("image", &Container::image),
                      field("restartPolicy", &Container::restartPolicy), field("resources", &Container::resources),
                      field("ports", &Container::ports)};
  }
};

struct Toleration {
  std::string key, operator_, value, effect;
  std::optional<int64_t> tolerationSeconds;
  static constexpr auto describe() {
    return std::tuple{field("key", &Toleration::key), field("operator", &Toleration::operator_),
                      field("value", &Toleration::value), field("effect", &Toleration::effect),
                      field("tolerationSeconds", &Toleration::tolerationSeconds)};
  }
};

struct PodSchedulingGate {
  std::string name;
  static constexpr auto describe() { return std::tuple{field("name", &PodSchedulingGate::name)}; }
};

struct PodSpec {
  std::vector<Container> containers, initContainers;
  std::vector<PodSchedulingGate> schedulingGates;
  std::string nodeName, schedulerName, restartPolicy, hostname, subdomain, serviceAccountName, priorityClassName;
  std::optional<int32_t> priority;
  std::map<std::string, std::string> nodeSelector;
  Raw affinity;
  std::vector<Toleration> tolerations;
  ResourceList overhead;
  bool hostNetwork = false;
  std::optional<int64_t> terminationGracePeriodSeconds, activeDeadlineSeconds;
  static constexpr auto describe() {
    return std::tuple{field("containers", &PodSpec::containers),
                      field("initContainers", &PodSpec::initContainers),
                      field("schedulingGates", &PodSpec::schedulingGates),
                      field("nodeName", &PodSpec::nodeName),
                      field("schedulerName", &PodSpec::schedulerName),
                      field("restartPolicy", &PodSpec::restartPolicy),
                      field("hostname", &PodSpec::hostname),
                      field("subdomain", &PodSpec::subdomain),
                      field("serviceAccountName", &PodSpec::serviceAccountName),
                      field("priorityClassName", &PodSpec::priorityClassName),
                      field("priority", &PodSpec::priority),
                      field("nodeSelector", &PodSpec::nodeSelector),
                      field("affinity", &PodSpec::affinity),
                      field("tolerations", &PodSpec::tolerations),
                      field("overhead", &PodSpec::overhead),
                      field("hostNetwork", &PodSpec::hostNetwork),
                      field("terminationGracePeriodSeconds", &PodSpec::terminationGracePeriodSeconds),
                      field("activeDeadlineSeconds", &PodSpec::activeDeadlineSeconds)};
  }
};

struct ContainerStateTerminated {
  int32_t exitCode = 0, signal = 0;
  std::string reason, message;
  Time startedAt{}, finishedAt{};
  static constexpr auto describe() {
    return std::tuple{field("exitCode", &ContainerStateTerminated::exitCode),
                      field("signal", &ContainerStateTerminated::signal),
                      field("reason", &ContainerStateTerminated::reason),
                      field("message", &ContainerStateTerminated::message),
                      field("startedAt", &ContainerStateTerminated::startedAt),
                      field("finishedAt", &ContainerStateTerminated::finishedAt)};
  }
};

struct ContainerStateWaiting {
  std::string reason, message;
  static constexpr auto describe() {
    return std::tuple{field("reason", &ContainerStateWaiting::reason),
                      field("message", &ContainerStateWaiting::message)};
  }
};

struct ContainerStateRunning {
  Time startedAt{};
  static constexpr auto describe() { return std::tuple{field("startedAt", &ContainerStateRunning::startedAt)}; }
};

struct ContainerState {
  std::optional<ContainerStateWaiting> waiting;
  std::optional<ContainerStateRunning> running;
  std::optional<ContainerStateTerminated> terminated;
  static constexpr auto describe() {
    return std::tuple{field("waiting", &ContainerState::waiting), field("running", &ContainerState::running),
                      field("terminated", &ContainerState::terminated)};
  }
};

struct ContainerStatus {
  std::string name;
  ContainerState state, lastState;
  bool ready = false;
  int32_t restartCount = 0;
  static constexpr auto describe() {
    return std::tuple{field("name", &ContainerStatus::name), field("state", &ContainerStatus::state),
                      field("lastState", &ContainerStatus::lastState), field("ready", &ContainerStatus::ready),
                      field("restartCount", &ContainerStatus::restartCount)};
  }
};

struct PodStatus {
  std::string phase, reason, message, podIP, hostIP;
  Time startTime{};
  std::vector<Condition> conditions;
  std::vector<ContainerStatus> containerStatuses, initContainerStatuses;
  static constexpr auto describe() {
    return std::tuple{field("phase", &PodStatus::phase),
                      field("reason", &PodStatus::reason),
                      field("message", &PodStatus::message),
                      field("podIP", &PodStatus::podIP),
                      field("hostIP", &PodStatus::hostIP),
                      field("startTime", &PodStatus::startTime),
                      field("conditions", &PodStatus::conditions),
                      field("containerStatuses", &PodStatus::containerStatuses),
                      field("initContainerStatuses", &PodStatus::initContainerStatuses)};
  }
};

struct Pod {
  static constexpr Gvk gvk{"", "v1", "Pod", "pods"};
  static constexpr bool numerous = true;  ///< caches keep its bytes and decode them when read (client/cache.h)
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Pod::metadata), field("spec", &Pod::spec), field("status", &Pod::status)};
  }
  /// Succeeded or Failed: nothing of it runs any more.
  bool finished() const { return status.phase == "Succeeded" || status.phase == "Failed"; }
};

struct Taint {
  std::string key, value, effect;
  Time timeAdded{};
  static constexpr auto describe() {
    return std::tuple{field("key", &Taint::key), field("value", &Taint::value), field("effect", &Taint::effect),
                      field("timeAdded", &Taint::timeAdded)};
  }
};

struct NodeSpec {
  bool unschedulable = false;
  std::vector<Taint> taints;
  static constexpr auto describe() {
    return std::tuple{field("unschedulable", &NodeSpec::unschedulable), field("taints", &NodeSpec::taints)};
  }
};

struct NodeAddress {
  std::string type, address;
  static constexpr auto describe() {
    return std::tuple{field("type", &NodeAddress::type), field("address", &NodeAddress::address)};
  }
};

struct NodeStatus {
  ResourceList capacity, allocatable;
  std::vector<Condition> conditions;
  std::vector<NodeAddress> addresses;
  static constexpr auto describe() {
    return std::tuple{field("capacity", &NodeStatus::capacity), field("allocatable", &NodeStatus::allocatable),
                      field("conditions", &NodeStatus::conditions), field("addresses", &NodeStatus::addresses)};
  }
};

struct Node {
  static constexpr Gvk gvk{"", "v1", "Node", "nodes"};
  ObjectMeta metadata;
  NodeSpec spec;
  NodeStatus status;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Node::metadata), field("spec", &Node::spec), field("status", &Node::status)};
  }
};

struct Namespace {
  static constexpr Gvk gvk{"", "v1", "Namespace", "namespaces"};
  struct Spec {
    std::vector<std::string> finalizers;
    static constexpr auto describe() { return std::tuple{field("finalizers", &Spec::finalizers)}; }
  };
  struct Status {
    std::string phase;
    static constexpr auto describe() { return std::tuple{field("phase", &Status::phase)}; }
  };
  ObjectMeta metadata;
  Spec spec;
  Status status;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Namespace::metadata), field("spec", &Namespace::spec),
                      field("status", &Namespace::status)};
  }
};

struct ServicePort {
  std::string name, protocol, targetPort, appProtocol;
  int32_t port = 0;
  static constexpr auto describe() {
    return std::tuple{field("name", &ServicePort::name), field("protocol", &ServicePort::protocol),
                      field("targetPort", &ServicePort::targetPort).intOrString(),
                      field("appProtocol", &ServicePort::appProtocol), field("port", &ServicePort::port)};
  }
};

struct Service {
  static constexpr Gvk gvk{"", "v1", "Service", "services"};
  struct Spec {
    std::map<std::string, std::string> selector;
    std::string clusterIP, type;
    bool publishNotReadyAddresses = false;
    std::vector<ServicePort> ports;
    static constexpr auto describe() {
      return std::tuple{field("selector", &Spec::selector), field("clusterIP", &Spec::clusterIP),
                        field("type", &Spec::type), field("publishNotReadyAddresses", &Spec::publishNotReadyAddresses),
                        field("ports", &Spec::ports)};
    }
  };
  ObjectMeta metadata;
  Spec spec;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Service::metadata), field("spec", &Service::spec)};
  }
};

struct Lease {
  static constexpr Gvk gvk{"coordination.k8s.io", "v1", "Lease", "leases"};
  struct Spec {
    std::string holderIdentity;
    int32_t leaseDurationSeconds = 0;
    std::string acquireTime, renewTime;  ///< MicroTime text; compared for change only
    int32_t leaseTransitions = 0;
    static constexpr auto describe() {
      return std::tuple{field("holderIdentity", &Spec::holderIdentity),
                        field("leaseDurationSeconds", &Spec::leaseDurationSeconds),
                        field("acquireTime", &Spec::acquireTime), field("renewTime", &Spec::renewTime),
                        field("leaseTransitions", &Spec::leaseTransitions)};
    }
  };
  ObjectMeta metadata;
  Spec spec;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Lease::metadata), field("spec", &Lease::spec)};
  }
};

struct PriorityClass {
  static constexpr Gvk gvk{"scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses"};
  ObjectMeta metadata;
  int32_t value = 0;
  bool globalDefault = false;
  std::string preemptionPolicy;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &PriorityClass::metadata), field("value", &PriorityClass::value),
                      field("globalDefault", &PriorityClass::globalDefault),
                      field("preemptionPolicy", &PriorityClass::preemptionPolicy)};
  }
};

// clang-format off
#define STOKER_CORE_STRUCTS(X) X(ResourceRequirements) X(ContainerPort) X(Container) X(Toleration) X(PodSpec) \
  X(ContainerState) X(ContainerStatus) X(PodStatus) X(Pod) X(Taint) X(NodeSpec) X(NodeStatus) X(Node) X(Namespace) \
  X(ServicePort) X(Service) X(Lease) X(PriorityClass)
// clang-format on
STOKER_CORE_STRUCTS(STOKER_DECLARE_CODEC)

}  // namespace stoker::api
