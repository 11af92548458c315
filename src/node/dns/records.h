// records.h: what names mean inside the cluster (Kubernetes' DNS specification 1.1), computed from Services and
// EndpointSlices. Updated piece by piece, looked up by the parts of the name: no table is ever rebuilt. Pure; server.h
// serves it.
#pragma once

#include <map>
#include <set>

#include "api/discovery.h"
#include "node/dns/wire.h"

namespace stoker::node::dns {

inline constexpr uint32_t kTtl = 5;  ///< seconds; CoreDNS' default for cluster names
inline constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";

struct Answer {
  bool inZone = false;       ///< ours to answer; otherwise forward
  uint8_t rcode = kNoError;  ///< NXDOMAIN: no such name; NoError without records: the name exists, the type does not
  std::vector<Record> records;
};

class Records {
 public:
  explicit Records(std::string domain = "cluster.local") : domain_(std::move(domain)) {}

  void setService(const std::string& ns, const std::string& name, const api::Service* service);
  void setSlice(const std::string& ns, const std::string& name, const api::EndpointSlice* slice);
  /// A name with a fixed address, whatever the API says ("kubernetes.default.svc.cluster.local").
  void setFixed(const std::string& name, const std::string& address);

  Answer resolve(const std::string& name, uint16_t type) const;
  const std::string& domain() const { return domain_; }

 private:
  struct Endpoint {
    std::string address;  ///< 4 bytes
    std::string host;     ///< its own label: the hostname, or the address with dashes
  };
  struct Port {
    std::string name, protocol;
    uint16_t port = 0;
  };
  struct Service {
    std::string clusterIp;  ///< 4 bytes; empty: headless
    std::vector<Port> ports;
    bool publishNotReady = false;
  };
  struct Slice {
    std::string service;
    std::vector<std::pair<Endpoint, bool>> endpoints;  ///< and whether it is ready
    std::vector<Port> ports;
  };
  using Key = std::pair<std::string, std::string>;  // namespace, name

  std::vector<Endpoint> endpointsOf(const Key& service, const Service& of) const;
  Answer resolveService(const std::vector<std::string>& labels, const std::string& name, uint16_t type) const;

  std::string domain_;
  std::map<Key, Service> services_;
  std::map<Key, Slice> slices_;
  std::map<Key, std::set<std::string>> slicesOf_;  // by service: names of its slices
  std::map<std::string, std::string> fixed_;
};

}  // namespace stoker::node::dns
