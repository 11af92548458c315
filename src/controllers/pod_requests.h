// pod_requests.h: what one pod takes from its node (kubernetes.io resource helpers, PodRequests).
#pragma once

#include "api/core.h"

namespace stoker::controllers {

/// Sum over containers and restartable init containers (sidecars), or what any other init container needs together with the
/// sidecars started before it, whichever is more, per resource; plus overhead. A limit without a request is the request.
/// Quantities that do not parse count as nothing. Canonical quantity texts; resources that come to zero are left out.
api::ResourceList podRequests(const api::PodSpec& spec);

}  // namespace stoker::controllers
