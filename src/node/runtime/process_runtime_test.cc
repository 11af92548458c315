// Real pods through a real supervisor: what a container's program experiences and what is reported of it.
#include "node/runtime/process_runtime.h"

#include <sys/vfs.h>

#include <iostream>
#include <thread>

#include "node/runtime/pod_fixture.h"

namespace stoker::node {
namespace {

using ProcessRuntimeTest = PodFixture;

TEST_F(ProcessRuntimeTest, OutputAndExitCodeAreReported) {
  EXPECT_EQ(createPod("p1").rfind("10.", 0), 0U);
  const ContainerExited exited = runToEnd("p1", shell("echo hi; echo oops >&2; printf 'no newline'; exit 3"));
  EXPECT_EQ(exited.exitCode, 3);
  EXPECT_EQ(exited.signal, 0);
  EXPECT_EQ(exited.reason, "Error");
  EXPECT_GT(exited.startedAt, Time{});
  EXPECT_GE(exited.finishedAt, exited.startedAt);
  const std::string text = log();
  EXPECT_NE(text.find("hi\n"), std::string::npos) << text;
  EXPECT_NE(text.find("oops\n"), std::string::npos) << text;
  EXPECT_NE(text.find("no newline\n"), std::string::npos) << text;
  ASSERT_TRUE(waitStart("p1"));
  EXPECT_GT(waitStart("p1")->pid, 0);
}

TEST_F(ProcessRuntimeTest, ZeroIsCompletedAndTheTerminationMessageIsRead) {
  createPod("p1");
  const ContainerExited exited = runToEnd("p1", shell("echo done > /dev/termination-log"));
  EXPECT_EQ(exited.exitCode, 0);
  EXPECT_EQ(exited.reason, "Completed");
  EXPECT_EQ(exited.message, "done\n");
}

TEST_F(ProcessRuntimeTest, ASignalIsReportedAsShellsDo) {
  createPod("p1");
  const ContainerExited exited = runToEnd("p1", shell("kill -SEGV $$"));
  EXPECT_EQ(exited.exitCode, 139);
  EXPECT_EQ(exited.signal, SIGSEGV);
}

TEST_F(ProcessRuntimeTest, AProgramThatCannotRunIsAStartErrorThatSaysWhy) {
  createPod("p1");
  struct Case {
    std::vector<std::string> argv;
    std::string message;
  };
  int attempt = 0;
  for (const Case& c :
       std::vector<Case>{{{"no-such-program"}, "exec: \"no-such-program\": executable file not found in $PATH"},
                         {{"/no/such"}, "exec: \"/no/such\": stat /no/such: no such file or directory"},
                         {{"/etc/passwd"}, "exec: \"/etc/passwd\": permission denied"},
                         {{"/etc"}, "exec: \"/etc\": is a directory"}}) {
    ContainerSpec spec = shell("", "main", attempt++);
    spec.argv = c.argv;
    const ContainerExited exited = runToEnd("p1", spec);
    EXPECT_EQ(exited.reason, "StartError");
    EXPECT_EQ(exited.exitCode, 128);
    EXPECT_EQ(exited.message, c.message);
    EXPECT_EQ(exited.startedAt, Time{});
  }
  EXPECT_EQ(count<ContainerStarted>("p1"), 0U);
}

TEST_F(ProcessRuntimeTest, SigtermReachesTheProgram) {
  createPod("p1");
  runtime_->startContainer("p1", shell("trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.01; done"));
  ASSERT_TRUE(waitLog("up"));
  runtime_->stopContainer("p1", "main", 30);
  const auto exited = waitExit("p1");
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->exitCode, 7);
  EXPECT_NE(log().find("bye"), std::string::npos);
}

TEST_F(ProcessRuntimeTest, ATreeThatIgnoresSigtermIsKilledAfterItsGrace) {
  const std::string marker = "1000." + std::to_string(getpid());
  createPod("p1");
  runtime_->startContainer("p1", shell("trap '' TERM; (trap '' TERM; setsid sh -c \"trap '' TERM; echo deep; sleep " +
                                       marker + "\") & echo up; sleep 1000"));
  ASSERT_TRUE(waitLog("deep"));
  ASSERT_TRUE(waitLog("up"));
  const auto begin = std::chrono::steady_clock::now();
  runtime_->stopContainer("p1", "main", 1);
  const auto exited = waitExit("p1");
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->exitCode, 137);
  EXPECT_EQ(exited->signal, SIGKILL);
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(990));
  EXPECT_NE(std::system(("pgrep -x -f 'sleep " + marker + "' > /dev/null").c_str()), 0)
      << "something of the tree still runs";
}

TEST_F(ProcessRuntimeTest, KillPodEndsEverythingInOrder) {
  createPod("p1");
  runtime_->startContainer("p1", shell("echo up; sleep 1000", "a"));
  runtime_->startContainer("p1", shell("trap '' TERM; echo up; sleep 1000", "b"));
  ASSERT_TRUE(waitLog("up", "a"));
  ASSERT_TRUE(waitLog("up", "b"));
  runtime_->killPod("p1", 1);
  EXPECT_EQ(waitExit("p1", "a")->exitCode, 143);
  EXPECT_EQ(waitExit("p1", "b")->exitCode, 137);
  EXPECT_TRUE(waitFor<PodGone>("p1"));
}

TEST_F(ProcessRuntimeTest, ContainersOfAPodShareAddressAndMemoryButNotProcesses) {
  createPod("p1");
  runtime_->startContainer("p1", shell("echo shared > /dev/shm/x; echo up; sleep 1000", "a"));
  ASSERT_TRUE(waitLog("up", "a"));
  runToEnd("p1", shell("cat /dev/shm/x; hostname; test $(ls -d /proc/[0-9]* | wc -l) -lt 8 && echo few; cat "
                       "/sys/class/net/eth0/operstate",
                       "b"));
  EXPECT_EQ(log("b"), "shared\np1\nfew\nup\n") << log("b");
}

TEST_F(ProcessRuntimeTest, TwoPodsTalkOverTheBridge) {
  const std::string server = createPod("server");
  createPod("client");
  runtime_->startContainer("server", shell("exec python3 -u -c \"import socket\n"
                                           "s=socket.create_server(('0.0.0.0',5000))\n"
                                           "print('listening')\n"
                                           "c,a=s.accept()\n"
                                           "c.sendall(('hello '+a[0]).encode())\"",
                                           "server"));
  ASSERT_TRUE(waitLog("listening", "server"));
  const ContainerExited exited = runToEnd(
      "client",
      shell("exec python3 -c \"import socket; print(socket.create_connection(('" + server + "',5000)).recv(99))\"",
            "client"));
  EXPECT_EQ(exited.exitCode, 0) << log("client");
  EXPECT_NE(log("client").find("hello 10."), std::string::npos) << log("client");
}

TEST_F(ProcessRuntimeTest, TwoInstancesOnAMachineDoNotMeet) {
  const std::string server = createPod("server");
  runtime_->startContainer(
      "server", shell("exec python3 -u -c \"import "
                      "socket,time\ns=socket.create_server(('0.0.0.0',5000))\nprint('listening')\ntime.sleep(1000)\"",
                      "server"));
  ASSERT_TRUE(waitLog("listening", "server"));
  // Another data directory is another instance: the events go to the same list, the uids differ.
  const std::string first = std::exchange(directory_, directory_ + "-other");
  std::unique_ptr<ProcessRuntime> mine = std::move(runtime_);
  boot();
  EXPECT_NE(runtime_->capabilities().bridgeAddress, mine->capabilities().bridgeAddress);
  runtime_->ensurePod(podSpec("stranger"));
  runtime_->startContainer("stranger", shell("exec python3 -c \"import socket; socket.create_connection(('" + server +
                                                 "',5000),timeout=0.5)\"",
                                             "client"));
  const auto exited = waitExit("stranger", "client");
  ASSERT_TRUE(exited) << failures();
  EXPECT_EQ(exited->exitCode, 1) << "it reached the other instance's pod";
  runtime_->removePod("stranger");
  EXPECT_TRUE(waitFor<PodRemoved>("stranger"));
  runtime_->releaseMachine();
  std::filesystem::remove_all(directory_);
  directory_ = first;
  runtime_ = std::move(mine);
}

TEST_F(ProcessRuntimeTest, TooMuchMemoryIsOomKilled) {
  if (!runtime_->capabilities().memoryLimits) GTEST_SKIP() << "no memory cgroup here";
  createPod("p1");
  ContainerSpec spec = shell("exec python3 -c \"b=bytearray(200<<20); print('survived')\"");
  spec.limits.memoryBytes = 64 << 20;
  const ContainerExited exited = runToEnd("p1", spec);
  EXPECT_TRUE(exited.oomKilled);
  EXPECT_EQ(exited.reason, "OOMKilled");
  EXPECT_EQ(exited.exitCode, 137);
  ContainerSpec small = shell("exec python3 -c \"print('fine')\"", "main", 1);
  small.limits.memoryBytes = 64 << 20;
  EXPECT_EQ(runToEnd("p1", small).reason, "Completed");
}

TEST_F(ProcessRuntimeTest, RunAsUserHasNoPrivilegesButItsGroupsAndItsHome) {
  createPod("p1");
  ContainerSpec spec = shell(
      "id -u; id -g; id -G; grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; echo x > /dev/stdout; cd /work/dir "
      "&& pwd");
  spec.uid = 65534;
  spec.gid = 1000;
  spec.supplementaryGroups = {2000};
  spec.workingDir = "/work/dir";
  const ContainerExited exited = runToEnd("p1", spec);
  EXPECT_EQ(exited.exitCode, 0) << log();
  EXPECT_EQ(log(), "65534\n1000\n1000 2000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nx\n/work/dir\n");
}

TEST_F(ProcessRuntimeTest, RootInAContainerHasDockersCapabilitiesOnly) {
  createPod("p1");
  const ContainerExited exited = runToEnd(
      "p1",
      shell("grep CapEff /proc/self/status; mount -t tmpfs x /mnt && echo mounted; unshare -U true && echo unshared; "
            "echo 1 > /proc/sys/kernel/panic && echo wrote; mknod /x b 254 0 && cat /x; ls /sys/fs/cgroup"));
  EXPECT_NE(log().find("CapEff:\t00000000a80425fb\n"), std::string::npos) << log();
  EXPECT_EQ(log().find("mounted"), std::string::npos) << log();
  EXPECT_EQ(log().find("unshared"), std::string::npos) << log();
  EXPECT_EQ(log().find("wrote"), std::string::npos) << log();
  EXPECT_NE(log().find("cat: /x: Permission denied"), std::string::npos) << log();
  EXPECT_EQ(exited.exitCode, 0);
}

TEST_F(ProcessRuntimeTest, TheHostIsSeenButNeitherChangedNorItsSecrets) {
  createPod("p1");
  const std::string marker = "/etc/stoker-test-" + std::to_string(getpid());
  runToEnd(
      "p1",
      shell("echo mine > " + marker + "; cat " + marker + "; ls /usr/bin/env; ls " + directory_ +
            "; cat /etc/shadow; ls /run/systemd; cat /etc/hostname; grep p1 /etc/hosts | cut -f2; ls /tmp | wc -l"));
  EXPECT_NE(access(marker.c_str(), F_OK), 0) << "the container wrote to the host";
  const std::string text = log();
  EXPECT_NE(text.find("mine\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/usr/bin/env\n"), std::string::npos) << text;
  EXPECT_NE(text.find(directory_ + "': No such file"), std::string::npos) << text;
  EXPECT_NE(text.find("/etc/shadow: No such file"), std::string::npos) << text;
  EXPECT_NE(text.find("'/run/systemd': No such file"), std::string::npos) << text;
  EXPECT_NE(text.find("p1\np1\n0\n"), std::string::npos) << text;
}

TEST_F(ProcessRuntimeTest, VolumesAreMountedReadWriteReadOnlyAndInMemory) {
  createPod("p1");
  const std::string volume = runtime_->podDirectory("p1") + "/volumes/data";
  std::filesystem::create_directories(volume);
  std::ofstream(volume + "/given") << "from outside\n";
  ContainerSpec spec = shell(
      "cat /data/given; echo new > /data/made; echo no > /frozen/x; cat /one-file; df --output=size -B1 /mem | tail "
      "-1");
  spec.mounts = {{Mount::Kind::Bind, volume, "/data", false, 0},
                 {Mount::Kind::Bind, volume, "/frozen", true, 0},
                 {Mount::Kind::Bind, volume + "/given", "/one-file", true, 0},
                 {Mount::Kind::Tmpfs, "", "/mem", false, 1 << 20}};
  runToEnd("p1", spec);
  const std::string text = log();
  EXPECT_NE(text.find("from outside\n"), std::string::npos) << text;
  EXPECT_NE(text.find("Read-only file system"), std::string::npos) << text;
  EXPECT_NE(text.find("1048576"), std::string::npos) << text;
  std::string made;
  std::ifstream(volume + "/made") >> made;
  EXPECT_EQ(made, "new");
}

TEST_F(ProcessRuntimeTest, WhatTheApiGivesLiesInMemoryAndGoesWithThePod) {
  createPod("p1");
  const std::string memory = runtime_->memoryDirectory("p1");
  ASSERT_NE(memory, runtime_->podDirectory("p1"));
  std::filesystem::create_directories(memory + "/volumes/token");
  std::ofstream(memory + "/volumes/token/token") << "secret\n";
  struct statfs info {};
  ASSERT_EQ(statfs(memory.c_str(), &info), 0);
  EXPECT_EQ(info.f_type, 0x01021994) << "a tmpfs";
  ContainerSpec spec = shell("cat /token/token");
  spec.mounts = {{Mount::Kind::Bind, memory + "/volumes/token", "/token", true, 0}};
  runToEnd("p1", spec);
  EXPECT_EQ(log(), "secret\n");
  runtime_->removePod("p1");
  EXPECT_TRUE(waitFor<PodRemoved>("p1"));
  std::erase(uids_, "p1");
  EXPECT_NE(access(memory.c_str(), F_OK), 0);
}

TEST_F(ProcessRuntimeTest, AReadOnlyRootStaysReadOnly) {
  createPod("p1");
  ContainerSpec spec = shell("echo x > /x || echo refused; echo x > /dev/shm/y && echo shm");
  spec.root.readOnly = true;
  runToEnd("p1", spec);
  EXPECT_NE(log().find("refused\n"), std::string::npos) << log();
  EXPECT_NE(log().find("shm\n"), std::string::npos) << log();
}

TEST_F(ProcessRuntimeTest, ADirectoryCanBeTheRoot) {
  createPod("p1");
  // A root made of the host's /usr by links, as small as it gets.
  const std::string root = directory_ + "/image";
  std::filesystem::create_directories(root + "/etc");
  for (const char* link : {"bin", "lib", "lib64"})
    std::filesystem::create_symlink(std::string("usr/") + link, root + "/" + link);
  std::ofstream(root + "/etc/passwd") << "root:x:0:0:root:/home/of-root:/bin/sh\n";
  std::ofstream(root + "/hello") << "image\n";
  ContainerSpec spec = shell("cat /hello; echo $HOME; ls /; echo y > /hello");
  spec.root.kind = RootFs::Kind::Directory;
  spec.root.directory = root;
  spec.mounts = {{Mount::Kind::Bind, "/usr", "/usr", true, 0}};
  EXPECT_EQ(runToEnd("p1", spec).exitCode, 0) << log();
  EXPECT_EQ(log().rfind("image\n/home/of-root\n", 0), 0U) << log();
  EXPECT_EQ(log().find("home\n"), std::string::npos) << log();
  std::string kept;
  std::ifstream(root + "/hello") >> kept;
  EXPECT_EQ(kept, "image");
}

TEST_F(ProcessRuntimeTest, ARunStartsOnceHoweverOftenItIsAsked) {
  createPod("p1");
  for (int i = 0; i < 3; ++i) runtime_->startContainer("p1", shell("echo once"));
  ASSERT_TRUE(waitExit("p1"));
  const size_t before = count<ContainerExited>("p1");
  runtime_->startContainer("p1", shell("echo once"));
  runToEnd("p1", shell("true", "other"));  // by then the repeated command has been answered
  EXPECT_EQ(log(), "once\n");
  EXPECT_EQ(count<ContainerExited>("p1"), before + 2) << "the repeat tells the end again, the other container its own";
}

TEST_F(ProcessRuntimeTest, FortyPodsAtOnce) {
  constexpr int kPods = 40;
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < kPods; ++i) {
    const std::string uid = "many-" + std::to_string(i);
    uids_.push_back(uid);
    runtime_->ensurePod(podSpec(uid));
    runtime_->startContainer(uid, shell("sleep 1000", "c" + std::to_string(i)));
  }
  std::set<std::string> addresses;
  for (int i = 0; i < kPods; ++i) {
    const std::string uid = "many-" + std::to_string(i);
    ASSERT_TRUE(waitStart(uid, "c" + std::to_string(i))) << failures();
    addresses.insert(waitFor<PodSandboxReady>(uid)->ip);
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  RecordProperty("milliseconds", static_cast<int>(took.count()));
  std::cout << "[ measured ] " << kPods << " pods running after " << took.count() << " ms\n";
  EXPECT_EQ(addresses.size(), static_cast<size_t>(kPods));
  EXPECT_LT(took, std::chrono::seconds(10));
}

TEST_F(ProcessRuntimeTest, OnePodAfterTheOtherStartsFast) {
  constexpr int kRounds = 20;
  std::vector<int64_t> micros;
  for (int i = 0; i < kRounds; ++i) {
    const std::string uid = "one-" + std::to_string(i);
    uids_.push_back(uid);
    const auto begin = std::chrono::steady_clock::now();
    runtime_->ensurePod(podSpec(uid));
    runtime_->startContainer(uid, shell("true", "c" + std::to_string(i)));
    ASSERT_TRUE(waitStart(uid, "c" + std::to_string(i))) << failures();
    micros.push_back((std::chrono::steady_clock::now() - begin) / std::chrono::microseconds(1));
  }
  std::sort(micros.begin(), micros.end());
  std::cout << "[ measured ] pod create to exec: median " << micros[kRounds / 2] << " us, slowest " << micros.back()
            << " us\n";
  EXPECT_LT(micros[kRounds / 2], 1000000);
}

TEST_F(ProcessRuntimeTest, UsageCountsTheWholePod) {
  if (!runtime_->capabilities().memoryLimits) GTEST_SKIP() << "no memory cgroup here";
  createPod("p1");
  runtime_->startContainer(
      "p1", shell("exec python3 -u -c \"b=bytearray(50<<20)\nprint('up')\nimport time; time.sleep(1000)\""));
  ASSERT_TRUE(waitLog("up"));
  const Result<PodUsage> usage = runtime_->usage("p1");
  ASSERT_TRUE(usage.ok());
  EXPECT_GT(usage->memoryBytes, 50 << 20);
  EXPECT_GT(usage->cpuNanoseconds, 1000000);
  EXPECT_EQ(runtime_->usage("nobody").error().reason, Reason::NotFound);
}

}  // namespace
}  // namespace stoker::node
