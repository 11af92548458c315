// expectation.h: what a scenario says an object should be, and whether it is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine.h"

namespace stoker::scenarios {

/// What a name in a scenario stands for.
struct Subject {
  std::string kind;  ///< job, batch, pod, gang, service, node, namespace
  std::string ns, name;
};
/// Resource of a kind; nullopt when there is no such kind.
std::optional<client::Gvr> resourceOf(const std::string& kind);

struct Expectation {
  std::string state;  ///< empty: any
  std::string text;   ///< part of the reason given for the state
  std::optional<Duration> within, lasting;
  std::optional<int64_t> restarts, pods, services;
  std::map<std::string, std::string> podStates, nodes, cards;  ///< by the rest of the pod's name: "worker-0"
  std::vector<std::string> conditions, events;
  bool hasConditions = false;
};
/// `pending "not enough" within 5s`, or an object with state, within, restarts, pods, nodes, cards, services,
/// conditions, events.
Result<Expectation> parseExpectation(json::Value value);

/// Empty when `subject` is as expected, else what it is instead.
std::string mismatch(Engine& engine, const Subject& subject, const Expectation& expected);
/// State and reason as they are: `pending "0/2 nodes are available"`.
std::string stateOf(Engine& engine, const Subject& subject);

}  // namespace stoker::scenarios
