#include "apiserver/http/logs.h"

#include <gtest/gtest.h>

namespace stoker::apiserver {
namespace {

class LogsTest : public testing::Test {
 protected:
  std::string container(std::string_view pod, std::string_view asked) {
    auto name = resolveContainer(*json::parse(arena_, pod), asked);
    return name.ok() ? *name : name.error().message;
  }
  std::string started(std::string_view pod, std::string_view container, bool previous = false) {
    auto result = hasStarted(*json::parse(arena_, pod), container, previous);
    return result.ok() ? "yes" : result.error().message;
  }
  json::Arena arena_;
};

TEST_F(LogsTest, whichContainerIsMeant) {
  constexpr const char* kOne =
      R"({"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"i"}],"containers":[{"name":"a"}]}})";
  constexpr const char* kTwo = R"({"metadata":{"name":"p"},"spec":{"containers":[{"name":"a"},{"name":"b"}]}})";
  constexpr const char* kTwoAndInit =
      R"({"metadata":{"name":"p"},"spec":{"initContainers":[{"name":"i"}],"containers":[{"name":"a"},{"name":"b"}]}})";
  constexpr const char* kPreferred =
      R"({"metadata":{"name":"p","annotations":{"kubectl.kubernetes.io/default-container":"b"}},"spec":{"containers":[{"name":"a"},{"name":"b"}]}})";
  EXPECT_EQ(container(kOne, ""), "a");
  EXPECT_EQ(container(kOne, "i"), "i");
  EXPECT_EQ(container(kOne, "x"), "container x is not valid for pod p");
  EXPECT_EQ(container(kTwo, ""), "a container name must be specified for pod p, choose one of: [a b]");
  EXPECT_EQ(container(kTwoAndInit, ""),
            "a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]");
  EXPECT_EQ(container(kTwo, "b"), "b");
  EXPECT_EQ(container(kPreferred, ""), "b");
}

TEST_F(LogsTest, whetherThereIsAnythingToRead) {
  auto pod = [](const char* statuses) {
    return std::string(R"({"metadata":{"name":"p"},"spec":{"nodeName":"n"},"status":{"containerStatuses":[)") +
           statuses + "]}}";
  };
  EXPECT_EQ(started(R"({"metadata":{"name":"p"},"spec":{}})", "a"), "pod p does not have a host assigned");
  EXPECT_EQ(started(pod(""), "a"), "container \"a\" in pod \"p\" is waiting to start: ContainerCreating");
  EXPECT_EQ(started(pod(R"({"name":"a","state":{"waiting":{"reason":"ErrImagePull"}}})"), "a"),
            "container \"a\" in pod \"p\" is waiting to start: ErrImagePull");
  EXPECT_EQ(started(pod(R"({"name":"a","state":{"waiting":{}}})"), "a"),
            "container \"a\" in pod \"p\" is waiting to start: ContainerCreating");
  EXPECT_EQ(started(pod(R"({"name":"a","state":{"running":{}}})"), "a"), "yes");
  EXPECT_EQ(started(pod(R"({"name":"a","state":{"terminated":{"exitCode":1}}})"), "a"), "yes");
  EXPECT_EQ(
      started(pod(R"({"name":"a","state":{"waiting":{"reason":"CrashLoopBackOff"}},"lastState":{"terminated":{}}})"),
              "a"),
      "yes");
  EXPECT_EQ(started(pod(R"({"name":"a","state":{"running":{}}})"), "a", true),
            "previous terminated container \"a\" in pod \"p\" not found");
  EXPECT_EQ(started(pod(R"({"name":"a","state":{"running":{}},"lastState":{"terminated":{}}})"), "a", true), "yes");
}

}  // namespace
}  // namespace stoker::apiserver
