#include "node/runtime/netlink.h"

#include <arpa/inet.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace stoker::node {

std::string formatIpv4(uint32_t ip) {
  char text[16];
  std::snprintf(text, sizeof text, "%u.%u.%u.%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
  return text;
}

bool parseIpv4(std::string_view text, uint32_t& ip) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return false;
  ip = ntohl(address.s_addr);
  return true;
}

bool parseIpv4Prefix(std::string_view text, Ipv4Prefix& prefix) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash + 1 == text.size() || text.size() - slash > 3) return false;
  int length = 0;
  for (const char c : text.substr(slash + 1)) {
    if (c < '0' || c > '9') return false;
    length = length * 10 + (c - '0');
  }
  if (length > 32 || !parseIpv4(text.substr(0, slash), prefix.address)) return false;
  prefix.length = length;
  return true;
}

std::string formatIpv4Prefix(const Ipv4Prefix& prefix) {
  return formatIpv4(prefix.address) + "/" + std::to_string(prefix.length);
}

/// A request under construction: a header, a fixed part, attributes (some nested).
class Netlink::Message {
 public:
  Message(uint16_t type, uint16_t flags) {
    auto* h = header();
    h->nlmsg_len = NLMSG_LENGTH(0);
    h->nlmsg_type = type;
    h->nlmsg_flags = static_cast<uint16_t>(NLM_F_REQUEST | flags);
  }
  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(buffer_); }
  template <class T>
  void fixed(const T& part) {
    std::memcpy(buffer_ + header()->nlmsg_len, &part, sizeof part);
    header()->nlmsg_len += NLMSG_ALIGN(sizeof part);
  }
  void attribute(uint16_t type, const void* data, size_t size) {
    auto* a = reinterpret_cast<rtattr*>(buffer_ + header()->nlmsg_len);
    a->rta_type = type;
    a->rta_len = static_cast<uint16_t>(RTA_LENGTH(size));
    if (size > 0) std::memcpy(RTA_DATA(a), data, size);
    header()->nlmsg_len += RTA_ALIGN(a->rta_len);
  }
  void attribute(uint16_t type, const std::string& text) { attribute(type, text.c_str(), text.size() + 1); }
  void attribute(uint16_t type, uint32_t value) { attribute(type, &value, sizeof value); }
  uint32_t begin(uint16_t type) {
    const uint32_t at = header()->nlmsg_len;
    attribute(type, nullptr, 0);
    return at;
  }
  void end(uint32_t at) {
    reinterpret_cast<rtattr*>(buffer_ + at)->rta_len = static_cast<uint16_t>(header()->nlmsg_len - at);
  }

 private:
  // The largest request here (a veth pair) is under 200 bytes.
  alignas(nlmsghdr) char buffer_[1024] = {};
};

Netlink::Netlink() {
  fd_ = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd_ < 0) openError_ = errno;
}

Netlink::~Netlink() {
  if (fd_ >= 0) close(fd_);
}

int Netlink::request(Message& message) {
  nlmsghdr* header = message.header();
  header->nlmsg_flags |= NLM_F_ACK;
  header->nlmsg_seq = ++sequence_;
  if (send(fd_, header, header->nlmsg_len, 0) < 0) return errno;
  alignas(nlmsghdr) char reply[4096];
  for (;;) {
    const ssize_t n = recv(fd_, reply, sizeof reply, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    auto* h = reinterpret_cast<nlmsghdr*>(reply);
    if (h->nlmsg_seq != sequence_ || h->nlmsg_type != NLMSG_ERROR) continue;
    return -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(h))->error;
  }
}

template <class Handler>
int Netlink::dump(Message& message, Handler handler) {
  nlmsghdr* header = message.header();
  header->nlmsg_flags |= NLM_F_DUMP;
  header->nlmsg_seq = ++sequence_;
  if (send(fd_, header, header->nlmsg_len, 0) < 0) return errno;
  std::vector<char> reply(64 << 10);
  for (;;) {
    const ssize_t n = recv(fd_, reply.data(), reply.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    auto left = static_cast<unsigned>(n);
    for (auto* h = reinterpret_cast<nlmsghdr*>(reply.data()); NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
      if (h->nlmsg_seq != sequence_) continue;
      if (h->nlmsg_type == NLMSG_DONE) return 0;
      if (h->nlmsg_type == NLMSG_ERROR) return -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(h))->error;
      handler(h);
    }
  }
}

int Netlink::createBridge(const std::string& name) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.fixed(ifinfomsg{});
  message.attribute(IFLA_IFNAME, name);
  // An address of its own: otherwise a bridge takes the lowest of its ports', and changes it as pods come and go.
  uint64_t hash = 14695981039346656037U;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  uint8_t mac[6];
  std::memcpy(mac, &hash, sizeof mac);
  mac[0] = static_cast<uint8_t>((mac[0] & 0xfc) | 0x02);  // locally administered, unicast
  message.attribute(IFLA_ADDRESS, mac, sizeof mac);
  const uint32_t info = message.begin(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, std::string("bridge"));
  message.end(info);
  return request(message);
}

int Netlink::createVeth(const std::string& name, int masterIndex, const std::string& peerName, int peerNetns) {
  Message message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
  message.fixed(ifinfomsg{});
  message.attribute(IFLA_IFNAME, name);
  message.attribute(IFLA_MASTER, static_cast<uint32_t>(masterIndex));
  const uint32_t info = message.begin(IFLA_LINKINFO);
  message.attribute(IFLA_INFO_KIND, std::string("veth"));
  const uint32_t data = message.begin(IFLA_INFO_DATA);
  const uint32_t peer = message.begin(VETH_INFO_PEER);
  message.fixed(ifinfomsg{});
  message.attribute(IFLA_IFNAME, peerName);
  message.attribute(IFLA_NET_NS_FD, static_cast<uint32_t>(peerNetns));
  message.end(peer);
  message.end(data);
  message.end(info);
  return request(message);
}

int Netlink::deleteLink(const std::string& name) {
  Message message(RTM_DELLINK, 0);
  message.fixed(ifinfomsg{});
  message.attribute(IFLA_IFNAME, name);
  return request(message);
}

int Netlink::setUp(int index) {
  Message message(RTM_NEWLINK, 0);
  ifinfomsg link{};
  link.ifi_index = index;
  link.ifi_flags = IFF_UP;
  link.ifi_change = IFF_UP;
  message.fixed(link);
  return request(message);
}

int Netlink::setUpQuietly(int index) {
  // Flags are applied before this attribute, so it needs a message of its own.
  Message message(RTM_SETLINK, 0);
  ifinfomsg link{};
  link.ifi_index = index;
  message.fixed(link);
  const uint32_t families = message.begin(IFLA_AF_SPEC);
  const uint32_t family = message.begin(AF_INET6);
  const uint8_t mode = IN6_ADDR_GEN_MODE_NONE;
  message.attribute(IFLA_INET6_ADDR_GEN_MODE, &mode, sizeof mode);
  message.end(family);
  message.end(families);
  static_cast<void>(request(message));  // fails where the kernel has no IPv6, which is as quiet
  return setUp(index);
}

int Netlink::addAddress(int index, const Ipv4Prefix& address) {
  Message message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
  ifaddrmsg part{};
  part.ifa_family = AF_INET;
  part.ifa_prefixlen = static_cast<uint8_t>(address.length);
  part.ifa_scope = RT_SCOPE_UNIVERSE;
  part.ifa_index = static_cast<uint32_t>(index);
  message.fixed(part);
  message.attribute(IFA_LOCAL, htonl(address.address));
  message.attribute(IFA_ADDRESS, htonl(address.address));
  message.attribute(IFA_BROADCAST, htonl(address.address | ~address.mask()));
  return request(message);
}

int Netlink::addDefaultRoute(uint32_t gateway, int index) {
  Message message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
  rtmsg route{};
  route.rtm_family = AF_INET;
  route.rtm_table = RT_TABLE_MAIN;
  route.rtm_protocol = RTPROT_STATIC;
  route.rtm_scope = RT_SCOPE_UNIVERSE;
  route.rtm_type = RTN_UNICAST;
  message.fixed(route);
  message.attribute(RTA_GATEWAY, htonl(gateway));
  message.attribute(RTA_OIF, static_cast<uint32_t>(index));
  return request(message);
}

int Netlink::linkIndex(const std::string& name) {
  // if_nametoindex would ask the caller's namespace; this asks the socket's.
  Message message(RTM_GETLINK, 0);
  message.fixed(ifinfomsg{});
  message.attribute(IFLA_IFNAME, name);
  nlmsghdr* header = message.header();
  header->nlmsg_seq = ++sequence_;
  if (send(fd_, header, header->nlmsg_len, 0) < 0) return 0;
  alignas(nlmsghdr) char reply[16 << 10];
  for (;;) {
    const ssize_t n = recv(fd_, reply, sizeof reply, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 0;
    auto* h = reinterpret_cast<nlmsghdr*>(reply);
    if (h->nlmsg_seq != sequence_) continue;
    if (h->nlmsg_type != RTM_NEWLINK) return 0;
    return reinterpret_cast<ifinfomsg*>(NLMSG_DATA(h))->ifi_index;
  }
}

int Netlink::listLinks(std::vector<std::string>& names) {
  Message message(RTM_GETLINK, 0);
  message.fixed(ifinfomsg{});
  return dump(message, [&](nlmsghdr* h) {
    auto* link = reinterpret_cast<ifinfomsg*>(NLMSG_DATA(h));
    auto left = static_cast<int>(IFLA_PAYLOAD(h));
    for (rtattr* a = IFLA_RTA(link); RTA_OK(a, left); a = RTA_NEXT(a, left))
      if (a->rta_type == IFLA_IFNAME) names.emplace_back(static_cast<const char*>(RTA_DATA(a)));
  });
}

int Netlink::listRoutes(std::vector<Route>& routes) {
  Message message(RTM_GETROUTE, 0);
  rtmsg part{};
  part.rtm_family = AF_INET;
  message.fixed(part);
  return dump(message, [&](nlmsghdr* h) {
    auto* route = reinterpret_cast<rtmsg*>(NLMSG_DATA(h));
    Route found;
    found.destination.length = route->rtm_dst_len;
    auto left = static_cast<int>(RTM_PAYLOAD(h));
    for (rtattr* a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
      uint32_t value = 0;
      if (a->rta_type != RTA_DST && a->rta_type != RTA_OIF) continue;
      std::memcpy(&value, RTA_DATA(a), sizeof value);
      if (a->rta_type == RTA_DST) found.destination.address = ntohl(value);
      if (a->rta_type == RTA_OIF) found.interfaceIndex = static_cast<int>(value);
    }
    if (found.destination.length > 0) routes.push_back(found);
  });
}

int Netlink::defaultInterface() {
  int index = 0;
  Message message(RTM_GETROUTE, 0);
  rtmsg part{};
  part.rtm_family = AF_INET;
  message.fixed(part);
  dump(message, [&](nlmsghdr* h) {
    auto* route = reinterpret_cast<rtmsg*>(NLMSG_DATA(h));
    if (route->rtm_dst_len != 0 || route->rtm_type != RTN_UNICAST || index != 0) return;
    auto left = static_cast<int>(RTM_PAYLOAD(h));
    for (rtattr* a = RTM_RTA(route); RTA_OK(a, left); a = RTA_NEXT(a, left))
      if (a->rta_type == RTA_OIF) std::memcpy(&index, RTA_DATA(a), sizeof index);
  });
  return index;
}

}  // namespace stoker::node
