// codec.h
//
// The supervisor's own configuration, and the description of every struct that goes over the wire (wire.h). Adding a
// field to a spec means naming it here once. Compiled into the supervisor too.
#pragma once

#include <string>
#include <vector>

#include "node/runtime/pod_runtime.h"
#include "node/runtime/wire.h"

namespace stoker::node {

/// How the supervisor joins its pod to the instance's bridge; an empty bridge means the host's network.
struct PodNetworkSpec {
  std::string ip;
  int prefixLength = 0;
  std::string gateway;
  std::string bridge;
  std::string hostInterface;  ///< the veth's end on the bridge
  bool operator==(const PodNetworkSpec&) const = default;
};

/// Where the pod's cgroups are. Version 1 has a directory per controller (empty: not available), version 2 only
/// `unified`.
struct PodCgroupSpec {
  int version = 0;  ///< 0: none
  std::string memory;
  std::string cpu;
  std::string cpuacct;  ///< only where it is a hierarchy of its own
  std::string pids;
  std::string unified;
  /// cgroup.procs files the supervisor writes itself to, so that neither the pod's limits nor the end of the platform's
  /// own cgroup reach it.
  std::vector<std::string> supervisorProcs;
  bool operator==(const PodCgroupSpec&) const = default;
};

/// DIR/pods/UID/spec: all a supervisor needs to know about its pod.
struct SupervisorSpec {
  int version = kProtocolVersion;
  PodSandboxSpec pod;
  PodNetworkSpec network;
  PodCgroupSpec cgroup;
  std::vector<std::string> masked;  ///< host paths no container over the host's root may see
  std::string runDirectory;         ///< an empty directory, each supervisor's private mount point
  bool userNamespace = false;       ///< without root: become root of a user namespace first
  bool operator==(const SupervisorSpec&) const = default;
};

template <class V>
void describe(V& v, HostEntry& s) {
  v("ip", s.ip);
  v("names", s.names);
}

template <class V>
void describe(V& v, ResourceLimits& s) {
  v("memory", s.memoryBytes);
  v("cpu", s.cpuMilliLimit);
  v("cpuRequest", s.cpuMilliRequest);
  v("pids", s.pids);
}

template <class V>
void describe(V& v, PodSandboxSpec& s) {
  v("uid", s.uid);
  v("namespace", s.namespaceName);
  v("name", s.name);
  v("hostname", s.hostname);
  v("fqdn", s.fqdn);
  v("hostNetwork", s.hostNetwork);
  v("ip", s.ip);
  v("dnsServers", s.dnsServers);
  v("dnsSearches", s.dnsSearches);
  v("dnsOptions", s.dnsOptions);
  v("hostEntries", s.hostEntries);
  v("limits", s.limits);
  v("shmBytes", s.shmBytes);
}

template <class V>
void describe(V& v, Mount& s) {
  v("kind", s.kind);
  v("source", s.source);
  v("target", s.target);
  v("readOnly", s.readOnly);
  v("size", s.sizeBytes);
}

template <class V>
void describe(V& v, RootFs& s) {
  v("kind", s.kind);
  v("directory", s.directory);
  v("readOnly", s.readOnly);
}

template <class V>
void describe(V& v, ContainerSpec& s) {
  v("name", s.name);
  v("attempt", s.attempt);
  v("argv", s.argv);
  v("env", s.env);
  v("workingDir", s.workingDir);
  v("root", s.root);
  v("mounts", s.mounts);
  v("uid", s.uid);
  v("gid", s.gid);
  v("groups", s.supplementaryGroups);
  v("privileged", s.privileged);
  v("noNewPrivileges", s.noNewPrivileges);
  v("addCapabilities", s.addCapabilities);
  v("dropCapabilities", s.dropCapabilities);
  v("seccompUnconfined", s.seccompUnconfined);
  v("limits", s.limits);
  v("oomScoreAdj", s.oomScoreAdj);
  v("devices", s.devices);
  v("logPath", s.logPath);
  v("logMaxBytes", s.logMaxBytes);
  v("logMaxFiles", s.logMaxFiles);
  v("terminationMessagePath", s.terminationMessagePath);
}

template <class V>
void describe(V& v, PodNetworkSpec& s) {
  v("ip", s.ip);
  v("prefix", s.prefixLength);
  v("gateway", s.gateway);
  v("bridge", s.bridge);
  v("hostInterface", s.hostInterface);
}

template <class V>
void describe(V& v, PodCgroupSpec& s) {
  v("version", s.version);
  v("memory", s.memory);
  v("cpu", s.cpu);
  v("cpuacct", s.cpuacct);
  v("pids", s.pids);
  v("unified", s.unified);
  v("supervisorProcs", s.supervisorProcs);
}

template <class V>
void describe(V& v, SupervisorSpec& s) {
  v("version", s.version);
  v("pod", s.pod);
  v("network", s.network);
  v("cgroup", s.cgroup);
  v("masked", s.masked);
  v("runDirectory", s.runDirectory);
  v("userNamespace", s.userNamespace);
}

}  // namespace stoker::node
