// network.h
//
// The pod network of one instance: a bridge, its subnet and the pods' addresses. Name and subnet are the instance's own
// and recorded in the data directory (DIR/network), so two instances on a machine never meet and pods keep their
// addresses when the platform restarts. The pods' ends are made by their supervisors (supervisor/sandbox.h).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/runtime/netlink.h"

namespace stoker::node {

/// A subnet's prefix length: 4093 pods, and 4096 instances fit into 10.0.0.0/8.
inline constexpr int kSubnetLength = 20;

/// Pure: a subnet that overlaps none of `routes`, private ranges in turn, the search beginning at a place that `seed`
/// picks (so that instances seldom want the same one). A machine whose routes cover all of them gets one that at least
/// no narrower route claims.
Result<Ipv4Prefix> chooseSubnet(const std::vector<Ipv4Prefix>& routes, uint64_t seed);

/// Who has which address. Given out in turn, so that a freed one rests for as long as possible.
class IpAllocator {
 public:
  explicit IpAllocator(Ipv4Prefix subnet) : subnet_(subnet), next_(subnet.first() + 2) {}
  uint32_t gateway() const { return subnet_.first() + 1; }
  /// The address `owner` has, `wish` if it is free, or the next free one.
  Result<uint32_t> allocate(const std::string& owner, std::optional<uint32_t> wish);
  /// Takes note of an address found in use; false when it is another's or outside the subnet.
  bool reserve(const std::string& owner, uint32_t ip);
  void release(const std::string& owner);
  size_t used() const { return owners_.size(); }

 private:
  bool usable(uint32_t ip) const {
    return subnet_.contains(ip) && ip > gateway() && ip != (subnet_.first() | ~subnet_.mask());
  }
  Ipv4Prefix subnet_;
  uint32_t next_;
  std::map<uint32_t, std::string> owners_;
  std::map<std::string, uint32_t> addresses_;
};

class PodNetwork {
 public:
  /// Creates what is missing of the bridge. Needs CAP_NET_ADMIN.
  static Result<std::unique_ptr<PodNetwork>> open(const std::string& dataDirectory, const std::string& instanceId);

  const std::string& bridge() const { return bridge_; }
  const Ipv4Prefix& subnet() const { return subnet_; }
  std::string gateway() const { return formatIpv4(subnet_.first() + 1); }
  /// The host's end of a pod's veth pair (at most 15 characters).
  std::string hostInterface(const std::string& podUid) const;
  /// Pods reach beyond the machine, through nftables; false when nft is not installed or refused.
  bool masquerade() const { return masquerade_; }
  /// Removes the bridge and the nftables table.
  void destroy();

 private:
  PodNetwork() = default;
  bool setUpMasquerade(Netlink& netlink);
  std::string instanceId_;
  std::string bridge_;
  Ipv4Prefix subnet_;
  bool masquerade_ = false;
};

}  // namespace stoker::node
