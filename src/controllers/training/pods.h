// pods.h: the pods and Services of a training job, as JSON texts ready to be created (training-operator 1.9,
// common/pod.go and common/service.go), the pods already bound to the place the scheduler gave them.
#pragma once

#include "api/gang.h"
#include "controllers/training/workload.h"

namespace stoker::controllers::training {

/// operator-name and job-name: what all pods and Services of the job carry.
std::map<std::string, std::string> jobLabels(const Workload& job);
/// jobLabels plus replica-type, as a selector text: status.replicaStatuses.X.selector.
std::string roleSelector(const Workload& job, const Role& role);

/// Pod `index` of `role` at `place`. `epoch` is that of the placement.
std::string podText(const Workload& job, const Role& role, int index, const api::GangPlacement& place, int64_t epoch);
/// The headless Service of pod `index`: ports of the default container.
std::string serviceText(const Workload& job, const Role& role, int index);

/// The Gang's spec for `job`, except suspended and finished. `classes` looks up a PriorityClass's value (nullopt:
/// unknown).
using PriorityOf = std::function<std::optional<int32_t>(const std::string& className)>;
api::GangSpec gangSpec(const Workload& job, const PriorityOf& classes);
/// A new Gang object.
std::string gangText(const Workload& job, const api::GangSpec& spec);

/// Whether the template names a restart policy that the replica spec overrules.
bool templateNamesRestartPolicy(const Role& role);
/// Whether the template asks for a scheduler that will not be asked.
bool templateNamesOtherScheduler(const Role& role);

}  // namespace stoker::controllers::training
