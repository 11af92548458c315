// Events, Leases and EndpointSlices: written by components in great numbers, so what is checked is cheap.

#include <arpa/inet.h>
#include <fmt/format.h>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr size_t kMaxEndpoints = 1000;  // upstream's maxEndpoints: a slice is one watch event

class EventStrategy final : public Strategy {
 public:
  std::vector<Cause> validate(json::Value event, json::Value) const override {
    json::Value about = event["involvedObject"]["namespace"];
    std::string_view ns = event.at({"metadata", "namespace"}).asString();
    bool fits = about.asString().empty() ? ns == "default"
                                         : about.asString() == ns;  // events of cluster-wide objects are in default
    if (fits) return {};
    return {kube::invalid("involvedObject.namespace", quote(about.asString()), "does not match event.namespace")};
  }
};

class LeaseStrategy final : public Strategy {
 public:
  std::vector<Cause> validate(json::Value lease, json::Value) const override {
    std::vector<Cause> causes;
    json::Value spec = lease["spec"];
    if (json::Value seconds = spec["leaseDurationSeconds"]; seconds && seconds.asInt() <= 0)
      causes.push_back(kube::invalid("spec.leaseDurationSeconds", kube::shown(seconds), "must be greater than 0"));
    if (json::Value transitions = spec["leaseTransitions"]; transitions && transitions.asInt() < 0)
      causes.push_back(
          kube::invalid("spec.leaseTransitions", kube::shown(transitions), "must be greater than or equal to 0"));
    if (spec.has("holderIdentity") && spec["holderIdentity"].asString().empty())
      causes.push_back(kube::invalid("spec.holderIdentity", "\"\"", "must not be empty"));
    return causes;
  }
};

class EndpointSliceStrategy final : public Strategy {
 public:
  bool tracksGeneration() const override { return true; }

  std::vector<Cause> validate(json::Value slice, json::Value old) const override {
    std::vector<Cause> causes;
    if (old) mustStay(causes, "addressType", slice["addressType"], old["addressType"]);
    json::Value endpoints = slice["endpoints"];
    if (endpoints.size() > kMaxEndpoints)
      causes.push_back({"FieldValueTooMany",
                        fmt::format("Too many: {}: must have at most {} items", endpoints.size(), kMaxEndpoints),
                        "endpoints"});
    std::string_view type = slice["addressType"].asString();
    for (size_t i = 0; i < endpoints.size(); ++i) {
      json::Value addresses = endpoints[i]["addresses"];
      for (size_t j = 0; j < addresses.size(); ++j) {
        std::string path = fmt::format("endpoints[{}].addresses[{}]", i, j);
        std::string address = addresses[j].str();
        unsigned char parsed[sizeof(in6_addr)];
        if (type == "FQDN")
          addProblems(causes, path, address, kube::dns1123Subdomain(address));
        else if (inet_pton(type == "IPv6" ? AF_INET6 : AF_INET, address.c_str(), parsed) != 1)
          causes.push_back(kube::invalid(path, quote(address), fmt::format("must be an {} address", type)));
      }
    }
    return causes;
  }
};

}  // namespace

void registerRecords(Registry& registry) {
  registry.addStrategy("events", std::make_unique<EventStrategy>());
  registry.addStrategy("leases.coordination.k8s.io", std::make_unique<LeaseStrategy>());
  registry.addStrategy("endpointslices.discovery.k8s.io", std::make_unique<EndpointSliceStrategy>());
}

}  // namespace stoker::apiserver
