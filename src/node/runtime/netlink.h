// netlink.h
//
// The few rtnetlink requests a pod network needs, without a subprocess: each is one system call round trip (tens of
// microseconds; a veth pair about a millisecond). A Netlink acts on the network namespace it was opened in, whatever
// namespace the caller is in later. Standard library only: compiled into the supervisor too.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stoker::node {

/// An IPv4 prefix in host byte order.
struct Ipv4Prefix {
  uint32_t address = 0;
  int length = 0;
  uint32_t mask() const { return length == 0 ? 0 : ~uint32_t{0} << (32 - length); }
  uint32_t first() const { return address & mask(); }
  bool contains(uint32_t ip) const { return (ip & mask()) == first(); }
  bool overlaps(const Ipv4Prefix& other) const {
    return length < other.length ? contains(other.address) : other.contains(address);
  }
  bool operator==(const Ipv4Prefix&) const = default;
};

std::string formatIpv4(uint32_t ip);
/// Host byte order; false when `text` is not a dotted quad.
bool parseIpv4(std::string_view text, uint32_t& ip);
/// "10.1.2.3/20"; false when malformed.
bool parseIpv4Prefix(std::string_view text, Ipv4Prefix& prefix);
std::string formatIpv4Prefix(const Ipv4Prefix& prefix);

class Netlink {
 public:
  Netlink();
  ~Netlink();
  Netlink(const Netlink&) = delete;
  Netlink& operator=(const Netlink&) = delete;

  // Each returns 0 or an errno.
  int openError() const { return openError_; }
  int createBridge(const std::string& name);
  /// A veth pair, down: `name` here, attached to bridge `masterIndex`; `peerName` in the network namespace of
  /// `peerNetns` (an open descriptor).
  int createVeth(const std::string& name, int masterIndex, const std::string& peerName, int peerNetns);
  int deleteLink(const std::string& name);
  int setUp(int index);
  /// The same without an IPv6 address of its own making: nobody uses it, and its duplicate address detection and
  /// multicast reports, flooded to every port of the bridge, would cost more than the pod's process.
  int setUpQuietly(int index);
  int addAddress(int index, const Ipv4Prefix& address);
  int addDefaultRoute(uint32_t gateway, int index);
  /// The interface index of `name`; 0 when there is none.
  int linkIndex(const std::string& name);
  /// Names of all interfaces.
  int listLinks(std::vector<std::string>& names);
  /// Every IPv4 destination routed here (all tables, the default route left out), with its output interface.
  struct Route {
    Ipv4Prefix destination;
    int interfaceIndex = 0;
  };
  int listRoutes(std::vector<Route>& routes);
  /// The interface of the default route; 0 when there is none.
  int defaultInterface();

 private:
  class Message;
  int request(Message& message);
  template <class Handler>
  int dump(Message& message, Handler handler);
  int fd_ = -1;
  int openError_ = 0;
  uint32_t sequence_ = 0;
};

}  // namespace stoker::node
