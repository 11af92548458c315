// endpoints.h: EndpointSlices and Endpoints of Services with a selector (kubernetes pkg/controller/endpointslice,
// endpoint).
//
// Beside upstream: both are owned by their Service, so that garbage collection removes them; a headless Service gets
// them with its first endpoint, not before (a job of a thousand replicas would write two thousand empty objects).
#pragma once

#include <map>
#include <memory>
#include <set>

#include "api/discovery.h"
#include "client/manager.h"

namespace stoker::controllers {

/// Endpoints of one slice, as upstream's default.
inline constexpr size_t kMaxEndpointsPerSlice = 100;

/// What to write so that the slices and Endpoints of `service` list those of `candidates` that its selector matches.
client::Plan endpointsPlan(const client::View& view, const api::Service& service,
                           const std::vector<const api::Pod*>& candidates);

/// Label pairs "key=value" -> names, by namespace: finds the pods of a Service and the Services of a pod without
/// looking at all of them. Derived from what the informers tell; nothing but speed depends on it.
class LabelIndex {
 public:
  using Pairs = std::map<std::string, std::string>;
  void put(const std::string& ns, const Pairs& pairs, const std::string& name);
  void drop(const std::string& ns, const Pairs& pairs, const std::string& name);
  /// Names under one pair; null when there are none.
  const std::set<std::string>* find(const std::string& ns, const std::string& key, const std::string& value) const;

 private:
  std::map<std::string, std::set<std::string>> names_;
};

std::unique_ptr<client::Controller> makeEndpointsController();

}  // namespace stoker::controllers
