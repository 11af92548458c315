// pod_fixture.h: a runtime over a data directory of its own, and what it has reported; for tests that run real pods.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "node/runtime/process_runtime.h"

namespace stoker::node {

/// Longer than anything here takes on a loaded machine; a test that waits this long has failed.
inline constexpr auto kPatience = std::chrono::seconds(30);

class PodFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "real pods with network and limits need root";
    std::string pattern = (std::filesystem::temp_directory_path() / "stoker-runtime-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    boot();
  }

  void TearDown() override {
    if (!runtime_) return;
    for (const std::string& uid : uids_) runtime_->removePod(uid);
    for (const std::string& uid : uids_) EXPECT_TRUE(waitFor<PodRemoved>(uid)) << uid << " was not removed";
    runtime_->releaseMachine();
    runtime_.reset();
    std::filesystem::remove_all(directory_);
  }

  /// The platform starts (again): recovered_ is what it finds.
  void boot() {
    ProcessRuntimeOptions options;
    options.dataDirectory = directory_;
    options.supervisorPath = STOKER_SUPERVISOR;
    auto made = ProcessRuntime::create(options);
    ASSERT_TRUE(made.ok()) << made.error().message;
    runtime_ = *std::move(made);
    runtime_->setListener([this](PodEvent event) {
      std::lock_guard lock(mutex_);
      events_.push_back(std::move(event));
      changed_.notify_all();
    });
    auto found = runtime_->recover();
    ASSERT_TRUE(found.ok()) << found.error().message;
    recovered_ = *std::move(found);
  }

  /// kill -9 of the platform, as far as pods can tell: connections close, nothing is said.
  void crash() {
    runtime_.reset();
    std::lock_guard lock(mutex_);
    events_.clear();
  }

  PodSandboxSpec podSpec(const std::string& uid) {
    PodSandboxSpec spec;
    spec.uid = uid;
    spec.namespaceName = "default";
    spec.name = uid;
    return spec;
  }

  /// Creates the pod and waits for its address.
  std::string createPod(const PodSandboxSpec& spec) {
    uids_.push_back(spec.uid);
    runtime_->ensurePod(spec);
    const auto ready = waitFor<PodSandboxReady>(spec.uid);
    EXPECT_TRUE(ready.has_value()) << "pod " << spec.uid << " is not ready: " << failures();
    return ready ? ready->ip : "";
  }
  std::string createPod(const std::string& uid) { return createPod(podSpec(uid)); }

  ContainerSpec shell(const std::string& script, const std::string& name = "main", int attempt = 0) {
    ContainerSpec spec;
    spec.name = name;
    spec.attempt = attempt;
    spec.argv = {"sh", "-c", script};
    spec.logPath = directory_ + "/logs/" + name + "-" + std::to_string(attempt) + ".log";
    return spec;
  }

  ContainerExited runToEnd(const std::string& uid, ContainerSpec spec) {
    const std::string name = spec.name;
    const int attempt = spec.attempt;
    runtime_->startContainer(uid, std::move(spec));
    const auto exited = waitExit(uid, name, attempt);
    EXPECT_TRUE(exited.has_value()) << name << " did not end: " << failures();
    return exited.value_or(ContainerExited{});
  }

  template <class T, class Predicate>
  std::optional<T> waitFor(const std::string& uid, Predicate accept) {
    std::unique_lock lock(mutex_);
    std::optional<T> found;
    changed_.wait_for(lock, kPatience, [&] {
      for (const PodEvent& event : events_) {
        const T* candidate = event.podUid == uid ? std::get_if<T>(&event.what) : nullptr;
        if (candidate != nullptr && accept(*candidate)) {
          found = *candidate;
          return true;
        }
      }
      return false;
    });
    return found;
  }
  template <class T>
  std::optional<T> waitFor(const std::string& uid) {
    return waitFor<T>(uid, [](const T&) { return true; });
  }
  std::optional<ContainerExited> waitExit(const std::string& uid, const std::string& name = "main", int attempt = 0) {
    return waitFor<ContainerExited>(uid, [&](const auto& e) { return e.name == name && e.attempt == attempt; });
  }
  std::optional<ContainerStarted> waitStart(const std::string& uid, const std::string& name = "main", int attempt = 0) {
    return waitFor<ContainerStarted>(uid, [&](const auto& e) { return e.name == name && e.attempt == attempt; });
  }

  template <class T>
  size_t count(const std::string& uid) {
    std::lock_guard lock(mutex_);
    return static_cast<size_t>(std::count_if(events_.begin(), events_.end(), [&](const PodEvent& event) {
      return event.podUid == uid && std::holds_alternative<T>(event.what);
    }));
  }

  std::string failures() {
    std::lock_guard lock(mutex_);
    std::string text;
    for (const PodEvent& event : events_)
      if (const auto* failed = std::get_if<RuntimeFailed>(&event.what))
        text += failed->what + ": " + failed->message + "\n";
    return text;
  }

  /// The texts of a log's lines, without time, stream and tag.
  std::string log(const std::string& name = "main", int attempt = 0) {
    std::ifstream file(directory_ + "/logs/" + name + "-" + std::to_string(attempt) + ".log");
    std::string text;
    for (std::string line; std::getline(file, line);) {
      size_t at = 0;
      for (int field = 0; field < 3; ++field) at = line.find(' ', at) + 1;
      text += line.substr(at) + "\n";
    }
    return text;
  }

  /// Waits until the container has written `text`; programs say so when they are where the test wants them.
  bool waitLog(const std::string& text, const std::string& name = "main", int attempt = 0) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (log(name, attempt).find(text) != std::string::npos) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return false;
  }

  std::string directory_;
  std::unique_ptr<ProcessRuntime> runtime_;
  std::vector<RecoveredPod> recovered_;
  std::vector<std::string> uids_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<PodEvent> events_;
};

}  // namespace stoker::node
