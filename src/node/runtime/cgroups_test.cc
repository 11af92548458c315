#include "node/runtime/cgroups.h"

#include <gtest/gtest.h>

namespace stoker::node {
namespace {

const char* kVersion1 =
    "30 20 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "31 20 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "32 20 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n"
    "33 20 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"
    "34 20 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

TEST(Cgroups, Version1HasADirectoryPerController) {
  const CgroupLayout layout =
      planCgroups({kVersion1, "4:memory:/\n3:cpu,cpuacct:/\n2:pids:/\n1:name=systemd:/\n0::/\n"}, "", "ab");
  EXPECT_EQ(layout.version, 1);
  EXPECT_EQ(layout.memory, "/sys/fs/cgroup/memory/stoker-ab");
  EXPECT_EQ(layout.cpu, "/sys/fs/cgroup/cpu,cpuacct/stoker-ab");
  EXPECT_EQ(layout.cpuacct, "") << "the same hierarchy is entered once";
  EXPECT_EQ(layout.pids, "/sys/fs/cgroup/pids/stoker-ab");
  EXPECT_TRUE(layout.supervisorProcs.empty()) << "the root has no limits to flee from";
  EXPECT_TRUE(layout.missing.empty());
}

TEST(Cgroups, SupervisorsLeaveTheServiceAndItsLimits) {
  const CgroupLayout layout =
      planCgroups({kVersion1,
                   "4:memory:/system.slice/stoker.service\n3:cpu,cpuacct:/\n2:pids:/\n1:name=systemd:/system.slice/"
                   "stoker.service\n0::/system.slice/stoker.service\n"},
                  "", "ab");
  EXPECT_EQ(layout.supervisorProcs,
            (std::vector<std::string>{"/sys/fs/cgroup/memory/stoker-ab/supervisors/cgroup.procs",
                                      "/sys/fs/cgroup/systemd/stoker-ab/supervisors/cgroup.procs",
                                      "/sys/fs/cgroup/unified/stoker-ab/supervisors/cgroup.procs"}));
}

TEST(Cgroups, Version2IsTakenWhenItHasTheMemoryController) {
  const std::string mount = "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  const CgroupLayout layout = planCgroups({mount, "0::/user.slice\n"}, "cpuset cpu io memory pids\n", "ab");
  EXPECT_EQ(layout.version, 2);
  EXPECT_EQ(layout.unified, "/sys/fs/cgroup/stoker-ab");
  EXPECT_EQ(podCgroups(layout, "u1", false).unified, "/sys/fs/cgroup/stoker-ab/pod-u1");
  EXPECT_EQ(planCgroups({mount, "0::/\n"}, "cpuset io\n", "ab").version, 0);
}

TEST(Cgroups, WhatIsMissingIsNamed) {
  const CgroupLayout layout =
      planCgroups({"31 20 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", "3:cpu:/\n"}, "", "ab");
  EXPECT_EQ(layout.version, 1);
  EXPECT_EQ(layout.memory, "");
  EXPECT_EQ(layout.missing, (std::vector<std::string>{"cgroup controller memory is not mounted",
                                                      "cgroup controller pids is not mounted"}));
}

TEST(Cgroups, PidsAreCountedOnlyWhenLimited) {
  const CgroupLayout layout = planCgroups({kVersion1, ""}, "", "ab");
  EXPECT_EQ(podCgroups(layout, "u1", false).pids, "");
  EXPECT_EQ(podCgroups(layout, "u1", true).pids, "/sys/fs/cgroup/pids/stoker-ab/pod-u1");
}

}  // namespace
}  // namespace stoker::node
