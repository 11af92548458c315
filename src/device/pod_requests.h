// pod_requests.h: what one pod takes from its node.
#pragma once

#include "api/core.h"

namespace stoker::device {

/// Requests of a whole pod by the rule of kubelet and kube-scheduler (component-helpers resource.PodRequests): the sum
/// over containers and sidecars (init containers with restartPolicy Always), or the largest init container together
/// with the sidecars started before it, whichever is more, resource by resource; overhead on top. A limit without a
/// request counts as the request. Unparsable quantities count as nothing (validation keeps them out). The same list is
/// what GangRole.requests holds.
api::ResourceList podRequests(const api::PodSpec& pod);

}  // namespace stoker::device
