#include "node/runtime/network.h"

#include <fcntl.h>
#include <net/if.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "node/runtime/wire.h"

namespace stoker::node {
namespace {

Error networkError(const std::string& what, int error) {
  return Error(Reason::InternalError, what + ": " + std::strerror(error));
}

uint64_t hashOf(std::string_view text) {
  const std::string digest = sha256(text);
  uint64_t value = 0;
  std::memcpy(&value, digest.data(), sizeof value);
  return value;
}

void writeSetting(const std::string& path, std::string_view value) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return;
  static_cast<void>(!write(fd, value.data(), value.size()));
  close(fd);
}

/// Feeds `rules` to nft. False when it is not installed or refuses.
bool runNft(const std::string& rules) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  const char* argv[] = {"nft", "-f", "-", nullptr};
  const char* env[] = {"PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin", nullptr};
  pid_t pid = 0;
  int error = ENOENT;
  for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft"}) {
    error = posix_spawn(&pid, path, &actions, nullptr, const_cast<char**>(argv), const_cast<char**>(env));
    if (error == 0) break;
  }
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  // The rules are far below a pipe's capacity: this cannot block.
  if (error == 0) static_cast<void>(!write(ends[1], rules.data(), rules.size()));
  close(ends[1]);
  if (error != 0) return false;
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string tableName(const std::string& instanceId) { return "stoker-" + instanceId; }

}  // namespace

Result<Ipv4Prefix> chooseSubnet(const std::vector<Ipv4Prefix>& routes, uint64_t seed) {
  constexpr Ipv4Prefix kRanges[] = {
      {10U << 24, 8}, {172U << 24 | 16U << 16, 12}, {192U << 24 | 168U << 16, 16}, {100U << 24 | 64U << 16, 10}};
  for (const bool strict : {true, false}) {
    for (const Ipv4Prefix& range : kRanges) {
      const uint32_t count = 1U << (kSubnetLength - range.length);
      for (uint32_t i = 0; i < count; ++i) {
        const uint32_t number = static_cast<uint32_t>((seed + i) % count);
        const Ipv4Prefix candidate{range.address + (number << (32 - kSubnetLength)), kSubnetLength};
        bool taken = false;
        for (const Ipv4Prefix& route : routes) {
          // A default route in two halves (0/1 and 128/1), as VPNs set it, claims nothing.
          if (route.length <= 1) continue;
          taken = taken || (route.overlaps(candidate) && (strict || route.length >= kSubnetLength));
        }
        if (!taken) return candidate;
      }
    }
  }
  return Error(Reason::InternalError,
               "no free private /" + std::to_string(kSubnetLength) + " subnet for pods: every range is routed");
}

Result<uint32_t> IpAllocator::allocate(const std::string& owner, std::optional<uint32_t> wish) {
  if (const auto it = addresses_.find(owner); it != addresses_.end()) return it->second;
  if (wish && reserve(owner, *wish)) return *wish;
  const uint32_t size = ~subnet_.mask() + 1;
  for (uint32_t i = 0; i < size; ++i) {
    const uint32_t ip = next_;
    next_ = next_ + 1 > (subnet_.first() | ~subnet_.mask()) ? subnet_.first() + 2 : next_ + 1;
    if (reserve(owner, ip)) return ip;
  }
  return Error(Reason::TooManyRequests, "no free pod address in " + formatIpv4Prefix(subnet_) + ": " +
                                            std::to_string(owners_.size()) + " pods have one; delete finished pods");
}

bool IpAllocator::reserve(const std::string& owner, uint32_t ip) {
  if (!usable(ip) || owners_.contains(ip) || addresses_.contains(owner)) return false;
  owners_[ip] = owner;
  addresses_[owner] = ip;
  return true;
}

void IpAllocator::release(const std::string& owner) {
  const auto it = addresses_.find(owner);
  if (it == addresses_.end()) return;
  owners_.erase(it->second);
  addresses_.erase(it);
}

Result<std::unique_ptr<PodNetwork>> PodNetwork::open(const std::string& dataDirectory, const std::string& instanceId) {
  Netlink netlink;
  if (netlink.openError() != 0) return networkError("cannot open netlink", netlink.openError());
  std::unique_ptr<PodNetwork> network(new PodNetwork());
  network->instanceId_ = instanceId;
  network->bridge_ = ("stk" + instanceId).substr(0, IFNAMSIZ - 1);

  const std::string path = dataDirectory + "/network";
  bool known = false;
  if (Result<std::string> text = readFile(path)) {
    const std::optional<Record> record = parseRecord(trim(*text));
    known =
        record && record->get("bridge") == network->bridge_ && parseIpv4Prefix(record->get("subnet"), network->subnet_);
  }
  int index = netlink.linkIndex(network->bridge_);
  if (index == 0) {
    std::vector<Netlink::Route> routes;
    if (int error = netlink.listRoutes(routes)) return networkError("cannot list routes", error);
    std::vector<Ipv4Prefix> taken;
    bool conflict = false;
    for (const Netlink::Route& route : routes) {
      taken.push_back(route.destination);
      conflict = conflict || (known && route.destination.length > 1 && route.destination.overlaps(network->subnet_));
    }
    if (!known || conflict) {
      STOKER_TRY(network->subnet_, chooseSubnet(taken, hashOf(instanceId)));
      known = false;
    }
    if (int error = netlink.createBridge(network->bridge_)) {
      return networkError("cannot create bridge " + network->bridge_, error);
    }
    index = netlink.linkIndex(network->bridge_);
  } else if (!known) {
    // The bridge of a data directory that was emptied beneath it: start anew.
    if (int error = netlink.deleteLink(network->bridge_))
      return networkError("cannot remove bridge " + network->bridge_, error);
    return open(dataDirectory, instanceId);
  }
  if (!known) {
    Record record("network");
    record.add("bridge", network->bridge_).add("subnet", formatIpv4Prefix(network->subnet_));
    STOKER_CHECK(writeFileAtomic(path, encode(record) + "\n", 0600));
  }
  const int address = netlink.addAddress(index, {network->subnet_.first() + 1, network->subnet_.length});
  if (address != 0 && address != EEXIST) return networkError("cannot set the address of " + network->bridge_, address);
  if (int error = netlink.setUpQuietly(index)) return networkError("cannot bring up " + network->bridge_, error);
  network->masquerade_ = network->setUpMasquerade(netlink);
  return network;
}

std::string PodNetwork::hostInterface(const std::string& podUid) const {
  return "stv" + hexEncode(sha256(instanceId_ + "/" + podUid)).substr(0, 12);
}

bool PodNetwork::setUpMasquerade(Netlink& netlink) {
  const std::string table = tableName(instanceId_);
  // Replaced as a whole, in one transaction. Packets from elsewhere enter only as answers: that keeps instances apart.
  const std::string rules =
      "table inet " + table + "\ndelete table inet " + table + "\ntable inet " + table +
      " {\n chain forward { type filter hook forward priority 0; policy accept;\n  oifname \"" + bridge_ +
      "\" iifname != \"" + bridge_ + "\" ct state established,related accept\n  oifname \"" + bridge_ +
      "\" iifname != \"" + bridge_ +
      "\" drop\n }\n chain postrouting { type nat hook postrouting priority 100; policy accept;\n  ip saddr " +
      formatIpv4Prefix({subnet_.first(), subnet_.length}) + " oifname != \"" + bridge_ + "\" masquerade\n }\n}\n";
  if (!runNft(rules)) {
    log::debug("node", "no masquerading for pods: nft is missing or refused the rules");
    return false;
  }
  // Only the two interfaces concerned forward; the machine's own setting stays.
  writeSetting("/proc/sys/net/ipv4/conf/" + bridge_ + "/forwarding", "1");
  char uplink[IFNAMSIZ] = {};
  if (const int index = netlink.defaultInterface();
      index != 0 && if_indextoname(static_cast<unsigned>(index), uplink) != nullptr) {
    writeSetting(std::string("/proc/sys/net/ipv4/conf/") + uplink + "/forwarding", "1");
  }
  return true;
}

void PodNetwork::destroy() {
  Netlink netlink;
  netlink.deleteLink(bridge_);
  if (masquerade_) {
    const std::string table = tableName(instanceId_);
    static_cast<void>(runNft("table inet " + table + "\ndelete table inet " + table + "\n"));
  }
}

}  // namespace stoker::node
