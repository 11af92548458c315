// discovery.h: discovery.k8s.io/v1 EndpointSlice and its elder, core/v1 Endpoints.
#pragma once

#include "api/core.h"

namespace stoker::api {

struct ObjectReference {
  std::string kind, namespace_, name, uid;
  static constexpr auto describe() {
    return std::tuple{field("kind", &ObjectReference::kind), field("namespace", &ObjectReference::namespace_),
                      field("name", &ObjectReference::name), field("uid", &ObjectReference::uid)};
  }
};

struct EndpointConditions {
  std::optional<bool> ready, serving, terminating;
  static constexpr auto describe() {
    return std::tuple{field("ready", &EndpointConditions::ready), field("serving", &EndpointConditions::serving),
                      field("terminating", &EndpointConditions::terminating)};
  }
};

struct Endpoint {
  std::vector<std::string> addresses;
  EndpointConditions conditions;
  std::string hostname, nodeName;
  std::optional<ObjectReference> targetRef;
  static constexpr auto describe() {
    return std::tuple{field("addresses", &Endpoint::addresses), field("conditions", &Endpoint::conditions),
                      field("hostname", &Endpoint::hostname), field("nodeName", &Endpoint::nodeName),
                      field("targetRef", &Endpoint::targetRef)};
  }
};

/// Of both kinds. In a slice the name is always stated, also when it is empty.
struct EndpointPort {
  std::optional<std::string> name;
  int32_t port = 0;
  std::string protocol, appProtocol;
  static constexpr auto describe() {
    return std::tuple{field("name", &EndpointPort::name), field("port", &EndpointPort::port),
                      field("protocol", &EndpointPort::protocol), field("appProtocol", &EndpointPort::appProtocol)};
  }
};

struct EndpointSlice {
  static constexpr Gvk gvk{"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"};
  ObjectMeta metadata;
  std::string addressType;
  std::vector<Endpoint> endpoints;
  std::vector<EndpointPort> ports;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &EndpointSlice::metadata), field("addressType", &EndpointSlice::addressType),
                      field("endpoints", &EndpointSlice::endpoints), field("ports", &EndpointSlice::ports)};
  }
};

struct EndpointAddress {
  std::string ip, hostname, nodeName;
  std::optional<ObjectReference> targetRef;
  static constexpr auto describe() {
    return std::tuple{field("ip", &EndpointAddress::ip), field("hostname", &EndpointAddress::hostname),
                      field("nodeName", &EndpointAddress::nodeName), field("targetRef", &EndpointAddress::targetRef)};
  }
};

struct EndpointSubset {
  std::vector<EndpointAddress> addresses, notReadyAddresses;
  std::vector<EndpointPort> ports;
  static constexpr auto describe() {
    return std::tuple{field("addresses", &EndpointSubset::addresses),
                      field("notReadyAddresses", &EndpointSubset::notReadyAddresses),
                      field("ports", &EndpointSubset::ports)};
  }
};

struct Endpoints {
  static constexpr Gvk gvk{"", "v1", "Endpoints", "endpoints"};
  ObjectMeta metadata;
  std::vector<EndpointSubset> subsets;
  static constexpr auto describe() {
    return std::tuple{field("metadata", &Endpoints::metadata), field("subsets", &Endpoints::subsets)};
  }
};

#define STOKER_DISCOVERY_STRUCTS(X) \
  X(ObjectReference)                \
  X(EndpointConditions) X(Endpoint) X(EndpointPort) X(EndpointSlice) X(EndpointAddress) X(EndpointSubset) X(Endpoints)
STOKER_DISCOVERY_STRUCTS(STOKER_DECLARE_CODEC)

}  // namespace stoker::api
