// Without root: pods run in a user namespace, and the runtime says what is missing.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <sstream>

#include "node/runtime/privileges.h"
#include "node/runtime/process_runtime.h"

namespace stoker::node {
namespace {

constexpr int kNobody = 65534;
constexpr int kSkipped = 77;

/// In a process of its own, as another user. Exit code 0: all is as it should be; otherwise stderr says what is not.
int runAsNobody(const std::string& directory) {
  if (setresgid(kNobody, kNobody, kNobody) != 0 || setresuid(kNobody, kNobody, kNobody) != 0) return kSkipped;
  if (access(STOKER_SUPERVISOR, X_OK) != 0 || !readPrivileges().userNamespace) return kSkipped;
  ProcessRuntimeOptions options;
  options.dataDirectory = directory + "/data";
  options.supervisorPath = STOKER_SUPERVISOR;
  auto runtime = ProcessRuntime::create(options);
  if (!runtime) {
    std::cerr << runtime.error().message << "\n";
    return 1;
  }
  const RuntimeCapabilities& can = (*runtime)->capabilities();
  if (can.root || can.podNetwork || can.memoryLimits || !can.isolation || can.missing.size() < 3) {
    std::cerr << "wrong capabilities\n";
    return 1;
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool removed = false;
  std::optional<ContainerExited> exited;
  (*runtime)->setListener([&](PodEvent event) {
    std::lock_guard lock(mutex);
    if (const auto* e = std::get_if<ContainerExited>(&event.what)) exited = *e;
    if (const auto* e = std::get_if<RuntimeFailed>(&event.what)) std::cerr << e->what << ": " << e->message << "\n";
    removed = removed || std::holds_alternative<PodRemoved>(event.what);
    changed.notify_all();
  });
  if (!(*runtime)->recover()) return 1;
  PodSandboxSpec pod;
  pod.uid = pod.name = "p1";
  (*runtime)->ensurePod(pod);
  ContainerSpec spec;
  spec.name = "main";
  spec.argv = {"sh", "-c",
               "id -u; echo x > /etc/stoker-new && cat /etc/stoker-new; hostname; ls /proc | grep -c '^[0-9]'; exit 6"};
  spec.logPath = directory + "/data/log";
  (*runtime)->startContainer("p1", spec);
  std::unique_lock lock(mutex);
  if (!changed.wait_for(lock, std::chrono::seconds(30), [&] { return exited.has_value(); })) return 1;
  std::ifstream file(spec.logPath);
  std::stringstream log;
  log << file.rdbuf();
  if (exited->exitCode != 6 || log.str().find(" F x\n") == std::string::npos ||
      log.str().find(" F p1\n") == std::string::npos) {
    std::cerr << exited->exitCode << " " << exited->message << "\n" << log.str();
    return 1;
  }
  lock.unlock();
  (*runtime)->removePod("p1");
  lock.lock();
  if (!changed.wait_for(lock, std::chrono::seconds(30), [&] { return removed; })) return 1;
  if (std::filesystem::exists(directory + "/data/pods/p1")) {
    std::cerr << "the pod's directory is still there\n";
    return 1;
  }
  return 0;
}

TEST(UserNamespace, PodsRunIsolatedWithoutRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "becomes another user first, which takes root";
  std::string pattern = (std::filesystem::temp_directory_path() / "stoker-nobody-XXXXXX").string();
  const std::string directory = mkdtemp(pattern.data());
  ASSERT_EQ(chown(directory.c_str(), kNobody, kNobody), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(runAsNobody(directory));
  int status = 0;
  waitpid(child, &status, 0);
  std::filesystem::remove_all(directory);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == kSkipped)
    GTEST_SKIP() << "no unprivileged user namespaces, or the build is not readable by others";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace stoker::node
