// The platform and the supervisors are killed at awkward moments; what is reported afterwards must be what happened.
#include <signal.h>

#include <thread>

#include "base/file.h"
#include "base/strings.h"
#include "node/runtime/journal.h"
#include "node/runtime/pod_fixture.h"
#include "node/runtime/pod_store.h"

namespace stoker::node {
namespace {

class RecoveryTest : public PodFixture {
 protected:
  /// The supervisor of `uid`: the only process with that argument.
  pid_t supervisorOf(const std::string& uid) {
    const std::string argument = runtime_ ? runtime_->podDirectory(uid) : directory_ + "/pods/" + uid;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      const std::string name = entry.path().filename();
      if (name.find_first_not_of("0123456789") != std::string::npos) continue;
      const Result<std::string> command = readFile(entry.path() / "cmdline");
      if (!command || command->find("stoker-supervisor") == std::string::npos) continue;
      if (command->find(std::string(1, '\0') + argument + std::string(1, '\0')) == std::string::npos) continue;
      const Result<std::string> comm = readFile(entry.path() / "comm");
      if (comm && trim(*comm) == "stoker-supervis") return std::stoi(name);
    }
    return -1;
  }

  void waitUntilDead(const std::string& uid) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (supervisorAlive(directory_ + "/pods/" + uid) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
};

TEST_F(RecoveryTest, ARunningContainerGoesOnWhileThePlatformIsAway) {
  const std::string ip = createPod("p1");
  runtime_->startContainer("p1", shell("echo up; read x < /go/fifo; echo $x; exit 5"));
  ASSERT_TRUE(waitExit("p1"));  // no fifo: it fails; the next attempt has one
  const std::string volume = runtime_->podDirectory("p1") + "/volumes/go";
  std::filesystem::create_directories(volume);
  ASSERT_EQ(mkfifo((volume + "/fifo").c_str(), 0600), 0);
  ContainerSpec spec = shell("echo up; read x < /go/fifo; echo $x; exit 5", "main", 1);
  spec.mounts = {{Mount::Kind::Bind, volume, "/go", false, 0}};
  runtime_->startContainer("p1", spec);
  const auto started = waitStart("p1", "main", 1);
  ASSERT_TRUE(started);
  crash();
  boot();
  ASSERT_EQ(recovered_.size(), 1U);
  EXPECT_TRUE(recovered_[0].alive);
  EXPECT_EQ(recovered_[0].ip, ip);
  EXPECT_EQ(recovered_[0].spec.name, "p1");
  ASSERT_EQ(recovered_[0].containers.size(), 2U);
  EXPECT_FALSE(recovered_[0].containers[0].running);
  EXPECT_TRUE(recovered_[0].containers[1].running);
  EXPECT_EQ(recovered_[0].containers[1].pid, started->pid);
  EXPECT_EQ(recovered_[0].containers[1].startedAt, started->startedAt);
  std::ofstream(volume + "/fifo") << "gone on\n";
  const auto exited = waitExit("p1", "main", 1);
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->exitCode, 5);
  EXPECT_EQ(log("main", 1), "up\ngone on\n");
}

TEST_F(RecoveryTest, AnExitWhileThePlatformIsAwayIsFoundExactly) {
  createPod("p1");
  ContainerSpec spec = shell("echo up; echo why > /dev/termination-log; sleep 0.2; exit 9");
  runtime_->startContainer("p1", spec);
  ASSERT_TRUE(waitStart("p1"));
  crash();
  // The journal tells when it has ended.
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  JournalState state;
  while (std::chrono::steady_clock::now() < deadline) {
    state = replayJournal(parseJournal(*readFile(directory_ + "/pods/p1/journal")));
    if (!state.runs.empty() && state.runs[0].exited) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  boot();
  ASSERT_EQ(recovered_.size(), 1U);
  EXPECT_TRUE(recovered_[0].alive);
  ASSERT_EQ(recovered_[0].containers.size(), 1U);
  ASSERT_TRUE(recovered_[0].containers[0].exited);
  EXPECT_EQ(recovered_[0].containers[0].exited->exitCode, 9);
  EXPECT_EQ(recovered_[0].containers[0].exited->reason, "Error");
  EXPECT_EQ(recovered_[0].containers[0].exited->message, "why\n");
  EXPECT_EQ(count<ContainerExited>("p1"), 0U) << "told by recover(), not again as an event";
}

TEST_F(RecoveryTest, AKilledSupervisorTakesItsContainersAlongAndThatIsSaid) {
  createPod("p1");
  runtime_->startContainer("p1", shell("echo up; sleep 1000"));
  const auto started = waitStart("p1");
  ASSERT_TRUE(started);
  const pid_t supervisor = supervisorOf("p1");
  ASSERT_GT(supervisor, 0);
  kill(supervisor, SIGKILL);
  const auto exited = waitExit("p1");
  ASSERT_TRUE(exited);
  EXPECT_EQ(exited->exitCode, 137);
  EXPECT_EQ(exited->reason, "ContainerStatusUnknown");
  EXPECT_TRUE(waitFor<PodGone>("p1"));
  const Result<std::string> stat = readFile("/proc/" + std::to_string(started->pid) + "/stat");
  EXPECT_TRUE(!stat || stat->find(") Z ") != std::string::npos) << "the container outlived its supervisor";

  // It comes up again, with its address, and the next attempt runs.
  const std::string before = waitFor<PodSandboxReady>("p1")->ip;
  {
    std::lock_guard lock(mutex_);
    events_.clear();
  }
  runtime_->ensurePod(podSpec("p1"));
  EXPECT_EQ(waitFor<PodSandboxReady>("p1")->ip, before);
  EXPECT_EQ(runToEnd("p1", shell("exit 4", "main", 1)).exitCode, 4);
  EXPECT_EQ(count<ContainerExited>("p1"), 1U) << "the first attempt's end is not told again";
}

TEST_F(RecoveryTest, ASupervisorKilledWhileThePlatformIsAwayIsFound) {
  createPod("p1");
  runtime_->startContainer("p1", shell("sleep 1000"));
  const auto started = waitStart("p1");
  ASSERT_TRUE(started);
  crash();
  kill(supervisorOf("p1"), SIGKILL);
  waitUntilDead("p1");
  boot();
  ASSERT_EQ(recovered_.size(), 1U);
  EXPECT_FALSE(recovered_[0].alive);
  EXPECT_FALSE(recovered_[0].rebooted);
  ASSERT_EQ(recovered_[0].containers.size(), 1U);
  ASSERT_TRUE(recovered_[0].containers[0].exited);
  EXPECT_EQ(recovered_[0].containers[0].exited->reason, "ContainerStatusUnknown");
  const Time found = recovered_[0].containers[0].exited->finishedAt;
  crash();
  boot();
  EXPECT_EQ(recovered_[0].containers[0].exited->finishedAt, found) << "a second recovery tells the same story";
}

TEST_F(RecoveryTest, ARestartedMachineIsToldFromARestartedPlatform) {
  createPod("p1");
  runtime_->startContainer("p1", shell("sleep 1000"));
  ASSERT_TRUE(waitStart("p1"));
  crash();
  kill(supervisorOf("p1"), SIGKILL);
  waitUntilDead("p1");
  // As after a reboot: the journal names another boot, and its process id may be anybody's now - here, this test's.
  const std::string path = directory_ + "/pods/p1/journal";
  std::string rewritten;
  for (Record record : parseJournal(*readFile(path))) {
    for (auto& [key, value] : record.fields) {
      if (key == "boot") value = "another-boot";
      if (key == "pid") value = std::to_string(getpid());
    }
    rewritten += journalLine(record);
  }
  std::ofstream(path) << rewritten;
  boot();
  ASSERT_EQ(recovered_.size(), 1U);
  EXPECT_TRUE(recovered_[0].rebooted);
  EXPECT_FALSE(recovered_[0].alive);
  ASSERT_TRUE(recovered_[0].containers[0].exited);
  EXPECT_NE(recovered_[0].containers[0].exited->message.find("machine was restarted"), std::string::npos);
}

TEST_F(RecoveryTest, AReusedProcessIdIsNotKilled) {
  createPod("p1");
  runtime_->startContainer("p1", shell("sleep 1000"));
  ASSERT_TRUE(waitStart("p1"));
  crash();
  kill(supervisorOf("p1"), SIGKILL);
  waitUntilDead("p1");
  // Same boot, but the process id now belongs to this test: its start time tells.
  const std::string path = directory_ + "/pods/p1/journal";
  std::string rewritten;
  for (Record record : parseJournal(*readFile(path))) {
    for (auto& [key, value] : record.fields)
      if (key == "pid") value = std::to_string(getpid());
    rewritten += journalLine(record);
  }
  std::ofstream(path) << rewritten;
  boot();  // would be the end of this test
  EXPECT_FALSE(recovered_[0].alive);
}

TEST_F(RecoveryTest, APodThatWasOnlyPreparedIsFoundEmpty) {
  std::filesystem::create_directories(directory_ + "/pods/p1");
  uids_.push_back("p1");
  crash();
  boot();
  ASSERT_EQ(recovered_.size(), 1U);
  EXPECT_FALSE(recovered_[0].alive);
  EXPECT_EQ(recovered_[0].spec.uid, "p1");
  EXPECT_TRUE(recovered_[0].containers.empty());
  EXPECT_FALSE(createPod("p1").empty());
}

TEST_F(RecoveryTest, APodThatASupervisorAlreadyHoldsIsTakenOver) {
  createPod("p1");
  runtime_->startContainer("p1", shell("sleep 1000"));
  ASSERT_TRUE(waitStart("p1"));
  // A platform that died between spawning and noticing knows nothing of the pod; a second one asks for it.
  const std::string hidden = directory_ + "/pods/.p1";
  crash();
  std::filesystem::rename(directory_ + "/pods/p1", hidden);
  boot();
  EXPECT_TRUE(recovered_.empty());
  std::filesystem::rename(hidden, directory_ + "/pods/p1");
  runtime_->ensurePod(podSpec("p1"));
  EXPECT_TRUE(waitFor<PodSandboxReady>("p1")) << failures();
  EXPECT_TRUE(waitStart("p1")) << "the run it found is told";
}

}  // namespace
}  // namespace stoker::node
