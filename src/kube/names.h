// names.h: what names, labels and the like must look like; upstream's messages (apimachinery/pkg/util/validation).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace stoker::kube {

/// Empty when valid; else upstream's messages.
std::vector<std::string> dns1123Label(std::string_view value);
std::vector<std::string> dns1123Subdomain(std::string_view value);
std::vector<std::string> dns1035Label(std::string_view value);
std::vector<std::string> qualifiedName(std::string_view value);  ///< label and annotation keys
std::vector<std::string> labelValue(std::string_view value);
std::vector<std::string> envVarName(std::string_view value);
std::vector<std::string> configMapKey(std::string_view value);
/// RBAC-style names: no '/', no '%', not '.' or '..' (path segments).
std::vector<std::string> pathSegmentName(std::string_view value);

}  // namespace stoker::kube
