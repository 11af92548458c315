#include "node/runtime/cgroups.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::node {
namespace {

struct Hierarchy {
  std::string mountPoint;
  std::string own;  ///< our group's path within it
};

std::string podName(const std::string& podUid) { return "/pod-" + podUid; }

bool lists(std::string_view options, std::string_view controller) {
  for (const std::string_view option : split(options, ','))
    if (option == controller) return true;
  return false;
}

/// The hierarchy that has `controller` ("" for version 2, "name=systemd" for systemd's own).
Hierarchy find(const CgroupFacts& facts, std::string_view controller) {
  Hierarchy found;
  for (const std::string_view line : split(facts.mountInfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::vector<std::string_view> tail = split(line.substr(dash + 3), ' ');
    const std::vector<std::string_view> head = split(line.substr(0, dash), ' ');
    if (tail.size() < 3 || head.size() < 5) continue;
    const bool match = controller.empty() ? tail[0] == "cgroup2" : tail[0] == "cgroup" && lists(tail[2], controller);
    if (match && head[3] == "/") found.mountPoint = std::string(head[4]);
  }
  for (const std::string_view line : split(facts.membership, '\n')) {
    const std::vector<std::string_view> parts = split(line, ':');
    if (parts.size() < 3) continue;
    if (controller.empty() ? parts[0] == "0" : lists(parts[1], controller)) found.own = std::string(parts[2]);
  }
  return found;
}

std::string readText(const std::string& path) {
  Result<std::string> text = readFile(path);
  return text ? *std::move(text) : std::string();
}

int64_t numberIn(const std::string& path) {
  const std::string text = readText(path);
  int64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

/// The number behind `key` in a file of "key number" lines.
int64_t valueOf(const std::string& text, std::string_view key) {
  for (const std::string_view line : split(text, '\n')) {
    if (line.size() <= key.size() || line.substr(0, key.size()) != key || line[key.size()] != ' ') continue;
    int64_t value = 0;
    std::from_chars(line.data() + key.size() + 1, line.data() + line.size(), value);
    return value;
  }
  return 0;
}

std::vector<std::string> roots(const CgroupLayout& layout) {
  std::vector<std::string> out;
  for (const std::string& root : {layout.memory, layout.cpu, layout.cpuacct, layout.pids, layout.unified})
    if (!root.empty()) out.push_back(root);
  return out;
}

/// rmdir of a group and those below it.
void removeGroup(const std::string& path) {
  if (rmdir(path.c_str()) == 0 || errno != EBUSY) return;
  if (DIR* handle = opendir(path.c_str())) {
    while (const dirent* entry = readdir(handle))
      if (entry->d_type == DT_DIR && entry->d_name[0] != '.') removeGroup(path + "/" + entry->d_name);
    closedir(handle);
  }
  rmdir(path.c_str());
}

bool enable(const std::string& directory) {
  const int fd = open((directory + "/cgroup.subtree_control").c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) return false;
  constexpr std::string_view kControllers = "+memory +cpu +pids";
  const bool done = write(fd, kControllers.data(), kControllers.size()) == static_cast<ssize_t>(kControllers.size());
  close(fd);
  return done;
}

bool endsWithTheService(const std::string& own) {
  return own.find(".service") != std::string::npos || own.find(".scope") != std::string::npos;
}

}  // namespace

CgroupLayout planCgroups(const CgroupFacts& facts, const std::string& unifiedControllers,
                         const std::string& instanceId) {
  CgroupLayout layout;
  const std::string name = "/stoker-" + instanceId;
  const Hierarchy unified = find(facts, "");
  bool memoryInUnified = false;
  for (const std::string_view controller : split(trim(unifiedControllers), ' '))
    memoryInUnified = memoryInUnified || controller == "memory";
  if (!unified.mountPoint.empty() && memoryInUnified) {
    layout.version = 2;
    layout.unified = unified.mountPoint + name;
    layout.supervisorProcs.push_back(layout.unified + "/supervisors/cgroup.procs");
    return layout;
  }
  layout.version = 1;
  const auto place = [&](std::string_view controller) {
    const Hierarchy hierarchy = find(facts, controller);
    if (hierarchy.mountPoint.empty()) {
      layout.missing.push_back("cgroup controller " + std::string(controller) + " is not mounted");
      return std::string();
    }
    const std::string top = hierarchy.mountPoint + name;
    // The platform's own group may have a limit, or be ended as a whole.
    const std::string procs = top + "/supervisors/cgroup.procs";
    const bool listed =
        std::find(layout.supervisorProcs.begin(), layout.supervisorProcs.end(), procs) != layout.supervisorProcs.end();
    if (hierarchy.own != "/" && !hierarchy.own.empty() && !listed) layout.supervisorProcs.push_back(procs);
    return top;
  };
  layout.memory = place("memory");
  layout.cpu = place("cpu");
  layout.pids = place("pids");
  const Hierarchy accounting = find(facts, "cpuacct");
  if (!accounting.mountPoint.empty() && accounting.mountPoint + name != layout.cpu) layout.cpuacct = place("cpuacct");
  for (const char* keeper : {"name=systemd", ""}) {
    const Hierarchy hierarchy = find(facts, keeper);
    if (hierarchy.mountPoint.empty() || !endsWithTheService(hierarchy.own)) continue;
    layout.supervisorProcs.push_back(hierarchy.mountPoint + name + "/supervisors/cgroup.procs");
  }
  if (layout.memory.empty() && layout.cpu.empty() && layout.pids.empty()) layout.version = 0;
  return layout;
}

CgroupLayout openCgroups(const std::string& instanceId) {
  CgroupFacts facts{readText("/proc/self/mountinfo"), readText("/proc/self/cgroup")};
  const Hierarchy unified = find(facts, "");
  const std::string controllers =
      unified.mountPoint.empty() ? std::string() : readText(unified.mountPoint + "/cgroup.controllers");
  CgroupLayout layout = planCgroups(facts, controllers, instanceId);
  for (const std::string& procs : layout.supervisorProcs) {
    static_cast<void>(makeDirectories(procs.substr(0, procs.rfind('/'))));
  }
  std::erase_if(layout.supervisorProcs, [](const std::string& procs) { return access(procs.c_str(), W_OK) != 0; });
  for (std::string* root : {&layout.memory, &layout.cpu, &layout.cpuacct, &layout.pids, &layout.unified}) {
    if (root->empty()) continue;
    if (Result<void> made = makeDirectories(*root); !made) {
      layout.missing.push_back("limits: " + made.error().message);
      root->clear();
    }
  }
  if (!layout.unified.empty() && !(enable(unified.mountPoint) && enable(layout.unified))) {
    layout.missing.push_back("limits: cannot enable the controllers memory, cpu and pids in " + unified.mountPoint +
                             "/cgroup.subtree_control");
    layout.unified.clear();
  }
  if (roots(layout).empty()) layout.version = 0;
  return layout;
}

void removeCgroups(const CgroupLayout& layout) {
  for (const std::string& root : roots(layout)) removeGroup(root);
  for (const std::string& procs : layout.supervisorProcs) {
    const std::string supervisors = procs.substr(0, procs.rfind('/'));
    rmdir(supervisors.c_str());
    rmdir(supervisors.substr(0, supervisors.rfind('/')).c_str());
  }
}

PodCgroupSpec podCgroups(const CgroupLayout& layout, const std::string& podUid, bool pids) {
  PodCgroupSpec spec;
  spec.version = layout.version;
  const auto pod = [&](const std::string& root) { return root.empty() ? std::string() : root + podName(podUid); };
  spec.memory = pod(layout.memory);
  spec.cpu = pod(layout.cpu);
  spec.cpuacct = pod(layout.cpuacct);
  if (pids) spec.pids = pod(layout.pids);
  spec.unified = pod(layout.unified);
  spec.supervisorProcs = layout.supervisorProcs;
  return spec;
}

void removePodCgroups(const CgroupLayout& layout, const std::string& podUid) {
  for (const std::string& root : roots(layout)) removeGroup(root + podName(podUid));
}

Result<PodUsage> readUsage(const CgroupLayout& layout, const std::string& podUid) {
  PodUsage usage;
  if (!layout.unified.empty()) {
    const std::string pod = layout.unified + podName(podUid);
    const std::string cpu = readText(pod + "/cpu.stat");
    if (!cpu.empty()) {
      usage.cpuNanoseconds = valueOf(cpu, "usage_usec") * 1000;
      const int64_t inactive = valueOf(readText(pod + "/memory.stat"), "inactive_file");
      usage.memoryBytes = std::max<int64_t>(0, numberIn(pod + "/memory.current") - inactive);
      return usage;
    }
  } else if (!layout.memory.empty()) {
    const std::string pod = layout.memory + podName(podUid);
    const std::string stat = readText(pod + "/memory.stat");
    if (!stat.empty()) {
      usage.memoryBytes =
          std::max<int64_t>(0, numberIn(pod + "/memory.usage_in_bytes") - valueOf(stat, "total_inactive_file"));
      const std::string& accounting = layout.cpuacct.empty() ? layout.cpu : layout.cpuacct;
      if (!accounting.empty()) usage.cpuNanoseconds = numberIn(accounting + podName(podUid) + "/cpuacct.usage");
      return usage;
    }
  }
  return Error(Reason::NotFound, "pod " + podUid + " has no cgroup on this node");
}

}  // namespace stoker::node
