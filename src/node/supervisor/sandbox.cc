#include "node/supervisor/sandbox.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "node/runtime/netlink.h"

namespace stoker::node {
namespace {

constexpr const char* kPodInterface = "eth0";

Problem netProblem(const std::string& what, int error) { return {what + ": " + std::strerror(error)}; }

/// Creates the veth pair from the host's side (`host` was opened there) into the namespace this process is in now.
Problem joinBridge(Netlink& host, const PodNetworkSpec& spec) {
  Netlink pod;
  if (pod.openError() != 0) return netProblem("cannot open netlink", pod.openError());
  if (int error = pod.setUp(1)) return netProblem("cannot bring up lo", error);
  if (spec.bridge.empty()) return {};
  const int bridge = host.linkIndex(spec.bridge);
  if (bridge == 0) return {"no bridge " + spec.bridge + ": it was removed; restart the platform to create it"};
  const int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  if (netns < 0) return systemProblem("cannot open the network namespace");
  int error = host.createVeth(spec.hostInterface, bridge, kPodInterface, netns);
  if (error == EEXIST) {
    // Left by a former supervisor of this pod whose namespace is not yet gone.
    host.deleteLink(spec.hostInterface);
    error = host.createVeth(spec.hostInterface, bridge, kPodInterface, netns);
  }
  close(netns);
  if (error != 0) return netProblem("cannot create the pod's interface " + spec.hostInterface, error);
  const int index = pod.linkIndex(kPodInterface);
  Ipv4Prefix address;
  uint32_t gateway = 0;
  if (!parseIpv4(spec.ip, address.address) || !parseIpv4(spec.gateway, gateway)) {
    return {"bad address " + spec.ip + " or gateway " + spec.gateway};
  }
  address.length = spec.prefixLength;
  if (int e = pod.addAddress(index, address)) return netProblem("cannot set address " + spec.ip, e);
  if (int e = pod.setUpQuietly(index)) return netProblem("cannot bring up eth0", e);
  if (int e = host.setUpQuietly(host.linkIndex(spec.hostInterface)))
    return netProblem("cannot bring up " + spec.hostInterface, e);
  if (int e = pod.addDefaultRoute(gateway, index)) return netProblem("cannot set the default route", e);
  // As container engines do, so that a program without root may listen on port 80 and ping.
  writeExisting("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
  writeExisting("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  return {};
}

Problem becomeNamespaceRoot() {
  const unsigned uid = geteuid();
  const unsigned gid = getegid();
  if (unshare(CLONE_NEWUSER) != 0) return systemProblem("cannot create a user namespace");
  writeExisting("/proc/self/setgroups", "deny");
  if (!writeExisting("/proc/self/uid_map", "0 " + std::to_string(uid) + " 1") ||
      !writeExisting("/proc/self/gid_map", "0 " + std::to_string(gid) + " 1")) {
    return systemProblem("cannot map users");
  }
  return {};
}

}  // namespace

Problem createSandbox(const SupervisorSpec& spec) {
  if (spec.userNamespace) {
    if (Problem p = becomeNamespaceRoot()) return p;
  }
  Netlink host;  // stays in the host's network namespace
  const bool network = !spec.pod.hostNetwork && !spec.userNamespace;
  if (unshare(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | (network ? CLONE_NEWNET : 0)) != 0) {
    return systemProblem("cannot create the pod's namespaces");
  }
  // Slave: unmounting on the host still works, nothing mounted here gets out.
  if (mount("none", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) return systemProblem("cannot detach mounts");
  // In memory and in this mount namespace only: mount points and the thin layers. Nothing to clean up afterwards, and
  // every pod has its own at the same place.
  const std::string& run = spec.runDirectory;
  if (mount("stoker", run.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=700") != 0)
    return systemProblem("cannot mount " + run);
  for (const char* directory : {"/root", "/shm"})
    if (!makeDirs(run + directory)) return systemProblem("cannot create " + run + directory);
  const std::string options = "mode=1777,size=" + std::to_string(spec.pod.shmBytes);
  if (mount("shm", (run + "/shm").c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0) {
    return systemProblem("cannot mount " + run + "/shm");
  }
  if (!spec.pod.hostname.empty() && sethostname(spec.pod.hostname.data(), spec.pod.hostname.size()) != 0) {
    return systemProblem("cannot set hostname " + spec.pod.hostname);
  }
  return network ? joinBridge(host, spec.network) : Problem{};
}

std::vector<std::pair<std::string, std::string>> nameFiles(const SupervisorSpec& spec) {
  const PodSandboxSpec& pod = spec.pod;
  std::string hosts;
  if (pod.hostNetwork || spec.userNamespace) {
    hosts = readAll("/etc/hosts");
    if (!hosts.empty() && hosts.back() != '\n') hosts += '\n';
  } else {
    hosts =
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
        "fe00::0\tip6-localnet\nff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";
    if (!spec.network.ip.empty()) {
      hosts += spec.network.ip + "\t" + (pod.fqdn.empty() ? "" : pod.fqdn + "\t") + pod.hostname + "\n";
    }
  }
  if (!pod.hostEntries.empty()) hosts += "\n# Entries added by HostAliases.\n";
  for (const HostEntry& entry : pod.hostEntries) {
    hosts += entry.ip;
    for (const std::string& name : entry.names) hosts += "\t" + name;
    hosts += "\n";
  }
  std::string resolv;
  if (pod.dnsServers.empty() && pod.dnsSearches.empty() && pod.dnsOptions.empty()) {
    resolv = readAll("/etc/resolv.conf");
  } else {
    if (!pod.dnsSearches.empty()) {
      resolv += "search";
      for (const std::string& domain : pod.dnsSearches) resolv += " " + domain;
      resolv += "\n";
    }
    for (const std::string& server : pod.dnsServers) resolv += "nameserver " + server + "\n";
    if (!pod.dnsOptions.empty()) {
      resolv += "options";
      for (const std::string& option : pod.dnsOptions) resolv += " " + option;
      resolv += "\n";
    }
  }
  return {{"/etc/hosts", hosts}, {"/etc/resolv.conf", resolv}, {"/etc/hostname", pod.hostname + "\n"}};
}

}  // namespace stoker::node
