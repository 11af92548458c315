// environment.h: the variables a container sees, in kubelet's order and with its precedence (makeEnvironmentVariables).
#pragma once

#include "node/agent/facts.h"

namespace stoker::node {

struct Environment {
  std::vector<std::pair<std::string, std::string>> ordered;  ///< envFrom, env, then services; each name once
  Variables byName;                                          ///< what command, args and subPathExpr expand with
  std::vector<std::string> skipped;  ///< keys of envFrom that are no variable names: "configMap/key"
};

/// Service variables, overridden by envFrom in order, overridden by env in order. $(NAME) in a value sees what stands
/// before it. NotFound: a ConfigMap, Secret or key that is not optional is missing (upstream's text); BadRequest: a bad
/// reference.
Result<Environment> containerEnvironment(const podspec::Pod& pod, const podspec::Container& container,
                                         const PodFacts& facts);

/// A name that a shell and execve can carry: no '=', printable ASCII, not empty.
bool isEnvironmentName(std::string_view name);

}  // namespace stoker::node
