// discovery.h: the legacy discovery documents, from the kinds served at the moment. Pure.
#pragma once

#include <map>
#include <optional>

#include "apiserver/registry/registry.h"
#include "apiserver/reviews.h"

namespace stoker::apiserver {

struct DiscoveryInput {
  const KindTable& kinds;
  const std::vector<Review>& reviews;
  /// Further subresources of a kind beyond status and scale ("binding", "log").
  std::function<std::vector<std::string>(const kube::KindInfo&)> subresources;
  std::string serverAddress;  ///< for APIVersions.serverAddressByClientCIDRs
};

json::Value coreVersions(json::Arena& arena, const DiscoveryInput& input);  ///< /api
json::Value groupList(json::Arena& arena, const DiscoveryInput& input);     ///< /apis
std::optional<json::Value> group(json::Arena& arena, const DiscoveryInput& input,
                                 const std::string& name);  ///< /apis/G
/// /api/v1 or /apis/G/V; nullopt when nothing is served there.
std::optional<json::Value> resourceList(json::Arena& arena, const DiscoveryInput& input, const std::string& group,
                                        const std::string& version);

}  // namespace stoker::apiserver
