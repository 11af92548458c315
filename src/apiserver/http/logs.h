// logs.h: pods/log: which container, whether it has started, then whatever the PodLogs has.
#pragma once

#include "apiserver/http/handler.h"
#include "client/pod_logs.h"

namespace stoker::apiserver {

/// The container the request means: the one named, or the only one, or the default-container annotation. Errors as
/// kubectl shows them ("a container name must be specified for pod x, choose one of: [a b]").
Result<std::string> resolveContainer(json::Value pod, std::string_view asked);
/// BadRequest when there is nothing to read yet ("container \"x\" in pod \"y\" is waiting to start:
/// ContainerCreating").
Result<void> hasStarted(json::Value pod, std::string_view container, bool previous);

ConnectHandler podLogHandler(client::PodLogs& logs, const Clock& clock);

}  // namespace stoker::apiserver
