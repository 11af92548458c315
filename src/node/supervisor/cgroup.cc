#include "node/supervisor/cgroup.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

namespace stoker::node {
namespace {

constexpr int64_t kPeriodMicros = 100000;  // Kubernetes' CFS period
constexpr int64_t kMinShares = 2;          // Kubernetes' share of a container that asks for nothing
constexpr int64_t kMinQuotaMicros = 1000;  // the kernel's least quota

int64_t shares(int64_t milli) { return std::max(kMinShares, milli * 1024 / 1000); }
int64_t quota(int64_t milli) { return std::max(kMinQuotaMicros, milli * kPeriodMicros / 1000); }
/// Kubernetes' mapping of cpu.shares [2, 262144] to cpu.weight [1, 10000].
int64_t weight(int64_t milli) { return 1 + (std::min<int64_t>(shares(milli), 262144) - 2) * 9999 / 262142; }

std::string containerSuffix(const std::string& name) { return "/c-" + name; }

bool makeCgroup(const std::string& path) { return makeDirs(path); }

}  // namespace

std::vector<std::string> PodCgroups::roots() const {
  std::vector<std::string> out;
  for (const std::string& root : {spec_.memory, spec_.cpu, spec_.cpuacct, spec_.pids, spec_.unified})
    if (!root.empty()) out.push_back(root);
  return out;
}

Problem PodCgroups::applyLimits(const std::string& suffix, const ResourceLimits& limits) const {
  const auto set = [](const std::string& path, const std::string& value) -> Problem {
    if (writeExisting(path, value)) return {};
    return systemProblem("cannot write " + value + " to " + path);
  };
  if (spec_.version == 2) {
    const std::string base = spec_.unified + suffix;
    if (limits.memoryBytes > 0) {
      if (Problem p = set(base + "/memory.max", std::to_string(limits.memoryBytes))) return p;
      writeExisting(base + "/memory.swap.max", "0");  // no such file without swap
    }
    if (limits.cpuMilliLimit > 0) {
      const std::string value = std::to_string(quota(limits.cpuMilliLimit)) + " " + std::to_string(kPeriodMicros);
      if (Problem p = set(base + "/cpu.max", value)) return p;
    }
    writeExisting(base + "/cpu.weight", std::to_string(weight(limits.cpuMilliRequest)));
    if (limits.pids > 0) return set(base + "/pids.max", std::to_string(limits.pids));
    return {};
  }
  if (!spec_.memory.empty() && limits.memoryBytes > 0) {
    const std::string base = spec_.memory + suffix;
    if (Problem p = set(base + "/memory.limit_in_bytes", std::to_string(limits.memoryBytes))) return p;
    writeExisting(base + "/memory.memsw.limit_in_bytes", std::to_string(limits.memoryBytes));
  }
  if (!spec_.cpu.empty()) {
    const std::string base = spec_.cpu + suffix;
    if (limits.cpuMilliLimit > 0) {
      if (Problem p = set(base + "/cpu.cfs_quota_us", std::to_string(quota(limits.cpuMilliLimit)))) return p;
    }
    writeExisting(base + "/cpu.shares", std::to_string(shares(limits.cpuMilliRequest)));
  }
  if (!spec_.pids.empty() && limits.pids > 0)
    return set(spec_.pids + suffix + "/pids.max", std::to_string(limits.pids));
  return {};
}

Problem PodCgroups::leavePlatform() {
  for (const std::string& procs : spec_.supervisorProcs) {
    if (!writeExisting(procs, "0")) return systemProblem("cannot join cgroup " + procs);
  }
  return {};
}

Problem PodCgroups::createPod(const ResourceLimits& limits) {
  for (const std::string& root : roots())
    if (!makeCgroup(root)) return systemProblem("cannot create cgroup " + root);
  if (spec_.version == 2) writeExisting(spec_.unified + "/cgroup.subtree_control", "+memory +cpu +pids");
  return applyLimits("", limits);
}

Problem PodCgroups::createContainer(const std::string& name, const ResourceLimits& limits) {
  const std::string suffix = containerSuffix(name);
  for (const std::string& root : roots()) {
    if (mkdir((root + suffix).c_str(), 0755) == 0) continue;
    // A fresh directory, so that counters (OOM kills) start at zero.
    if (errno == EEXIST && rmdir((root + suffix).c_str()) == 0 && mkdir((root + suffix).c_str(), 0755) == 0) continue;
    return systemProblem("cannot create cgroup " + root + suffix);
  }
  return applyLimits(suffix, limits);
}

Problem PodCgroups::enter(const std::string& name, int pid) const {
  for (const std::string& root : roots()) {
    const std::string procs = root + containerSuffix(name) + "/cgroup.procs";
    if (!writeExisting(procs, std::to_string(pid))) return systemProblem("cannot enter cgroup " + procs);
  }
  return {};
}

int PodCgroups::openForClone(const std::string& name) const {
  if (spec_.version != 2) return -1;
  return open((spec_.unified + containerSuffix(name)).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

long PodCgroups::oomKills(const std::string& name) const {
  const bool v2 = spec_.version == 2;
  const std::string& root = v2 ? spec_.unified : spec_.memory;
  if (root.empty()) return 0;
  const std::string text =
      readAll(root + containerSuffix(name) + (v2 ? "/memory.events" : "/memory.oom_control"), 4096);
  const size_t at = text.find("oom_kill ");
  return at == std::string::npos ? 0 : std::atol(text.c_str() + at + 9);
}

void PodCgroups::removeContainer(const std::string& name) {
  for (const std::string& root : roots()) rmdir((root + containerSuffix(name)).c_str());
}

void PodCgroups::removePod() {
  for (const std::string& root : roots()) rmdir(root.c_str());
}

std::vector<std::pair<std::string, std::string>> PodCgroups::directories(const std::string& name) const {
  std::vector<std::pair<std::string, std::string>> out;
  const std::string suffix = containerSuffix(name);
  if (!spec_.memory.empty()) out.emplace_back("memory", spec_.memory + suffix);
  if (!spec_.cpu.empty()) out.emplace_back("cpu", spec_.cpu + suffix);
  if (!spec_.pids.empty()) out.emplace_back("pids", spec_.pids + suffix);
  if (!spec_.unified.empty()) out.emplace_back("", spec_.unified + suffix);
  return out;
}

}  // namespace stoker::node
