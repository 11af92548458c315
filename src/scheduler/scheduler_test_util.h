// scheduler_test_util.h: a cluster of API objects for tests: put nodes, gangs and pods in, schedule, and have the
// decisions written back as the API server would.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "scheduler/controller.h"
#include "scheduler/input.h"
#include "scheduler/schedule.h"

namespace stoker::scheduler {

inline Time at(int seconds) { return Time{} + std::chrono::seconds(1'700'000'000 + seconds); }

class World {
 public:
  World() {
    view.add<api::Node>();
    view.add<api::Gang>();
    view.follow<PodIndex>();
  }

  template <class T>
  void put(const T& object) {
    auto bytes = std::make_shared<std::string>(api::encodeText(object));
    view.add<T>().put({object.metadata.namespace_, object.metadata.name, ++revision, std::move(bytes)});
  }
  template <class T>
  void erase(const std::string& ns, const std::string& name) {
    view.add<T>().erase({ns, name});
  }

  static api::Node node(const std::string& name, api::ResourceList allocatable) {
    api::Node node;
    node.metadata.name = name;
    allocatable.try_emplace("pods", "110");
    node.status.allocatable = node.status.capacity = std::move(allocatable);
    node.status.conditions.push_back({.type = "Ready", .status = "True"});
    return node;
  }
  void addNode(const std::string& name, api::ResourceList allocatable) { put(node(name, std::move(allocatable))); }

  api::Gang gang(const std::string& name, std::vector<api::GangRole> roles, int created = 0, int priority = 0) {
    api::Gang gang;
    gang.metadata.namespace_ = "default";
    gang.metadata.name = name;
    gang.metadata.uid = "uid-" + name;
    gang.metadata.creationTimestamp = at(created);
    gang.spec.priority = priority;
    for (api::GangRole& role : roles)
      if (role.podNamePrefix.empty()) role.podNamePrefix = name + "-" + role.name;
    gang.spec.roles = std::move(roles);
    return gang;
  }
  static api::GangRole role(const std::string& name, int count, api::ResourceList requests, int minCount = 0) {
    api::GangRole role;
    role.name = name;
    role.count = count;
    role.minCount = minCount;
    role.requests = std::move(requests);
    return role;
  }
  static api::Pod pod(const std::string& name, api::ResourceList requests, int created = 0) {
    api::Pod pod;
    pod.metadata.namespace_ = "default";
    pod.metadata.name = name;
    pod.metadata.uid = "uid-" + name;
    pod.metadata.creationTimestamp = at(created);
    pod.spec.schedulerName = "default-scheduler";
    pod.spec.containers.emplace_back().resources.requests = std::move(requests);
    pod.status.phase = "Pending";
    return pod;
  }
  /// The pod that a front-end makes of an entry.
  static api::Pod podOf(const api::Gang& gang, const api::GangPlacement& entry, const std::string& phase = "Running") {
    api::Pod out;
    for (const api::GangRole& role : gang.spec.roles)
      if (role.name == entry.role) out = pod(entry.pod, role.requests);
    out.metadata.labels[api::kGangLabel] = gang.metadata.name;
    out.metadata.labels[api::kRoleLabel] = entry.role;
    if (!entry.cards.empty()) out.metadata.annotations[api::kCardsAnnotation] = entry.cards;
    out.spec.nodeName = entry.node;
    out.status.phase = phase;
    return out;
  }

  const api::Gang& gang(const std::string& name) const { return *view.of<api::Gang>().get("default", name); }
  const api::Pod& pod(const std::string& name) const { return *view.of<api::Pod>().get("default", name); }

  /// One pass, decisions written back. Returns them.
  Decisions pass(Time now = at(100)) {
    Input input = buildInput(view, {});
    Decisions decisions = schedule(*input.snapshot, input.queues, now);
    for (const GangDecision& d : decisions.gangs) {
      api::Gang gang = *input.queues.gangs[d.item].gang;
      gang.status = d.status;
      put(gang);
    }
    for (const PodDecision& d : decisions.pods) {
      api::Pod pod = *input.queues.pods[d.item].pod;
      if (d.node.empty()) {
        pod.status.conditions = {
            {.type = "PodScheduled", .status = "False", .reason = "Unschedulable", .message = d.message}};
      } else {
        pod.spec.nodeName = d.node;
        pod.status.conditions.clear();
        if (!d.cards.empty()) pod.metadata.annotations[api::kCardsAnnotation] = d.cards;
      }
      put(pod);
    }
    return decisions;
  }

  /// "worker-0@a[nvidia.com/gpu=0,1] ..." for a gang, without its name as prefix.
  std::string places(const std::string& name) const {
    std::string out;
    for (const api::GangPlacement& p : gang(name).status.placement) {
      if (!out.empty()) out += ' ';
      out += p.role + "-" + std::to_string(p.index) + "@" + p.node;
      if (!p.cards.empty()) out += "[" + p.cards + "]";
    }
    return out;
  }

  client::View view;
  uint64_t revision = 0;
};

}  // namespace stoker::scheduler
