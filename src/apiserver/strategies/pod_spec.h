// pod_spec.h: what pods and pod templates have in common (core/v1/defaults.go, validation.go).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

namespace stoker::apiserver {

/// Defaults that depend on other fields, for pods and templates alike: imagePullPolicy by tag, volumes without a
/// source, host ports of pods in the host's network.
json::Value podTemplateDefaults(json::Arena& arena, json::Value spec);

/// Requests that are missing where there are limits; for pods only.
json::Value requestsFromLimits(json::Arena& arena, json::Value spec);

/// Guaranteed, Burstable or BestEffort.
std::string_view qosClass(json::Value spec);

/// Problems beyond the schema's, in upstream's words; `path` is that of the spec ("spec", "spec.template.spec").
std::vector<Cause> validatePodSpec(json::Value spec, const std::string& path);

/// "Always" when the tag is latest or missing, else "IfNotPresent".
std::string_view pullPolicyFor(std::string_view image);

}  // namespace stoker::apiserver
