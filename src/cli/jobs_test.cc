#include "cli/jobs.h"

#include <gtest/gtest.h>

namespace stoker::cli {
namespace {

const Time kNow = *parseTime("2026-11-25T10:10:00Z");

template <class T>
T read(const std::string& text) {
  auto doc = json::parseDoc(text);
  EXPECT_TRUE(doc.ok()) << text;
  return api::decode<T>(doc->root);
}

api::PyTorchJob job(const std::string& conditions = "", const std::string& runPolicy = "{}") {
  return read<api::PyTorchJob>(
      R"({"metadata":{"name":"j","namespace":"default","uid":"u","creationTimestamp":"2026-11-25T10:00:00Z"},
    "spec":{"runPolicy":)" +
      runPolicy + R"(,"pytorchReplicaSpecs":{
      "Master":{"template":{"spec":{"containers":[{"name":"pytorch","resources":{"limits":{"nvidia.com/gpu":"2"}}}]}}},
      "Worker":{"replicas":3,"template":{"spec":{"priorityClassName":"high","containers":[{"name":"pytorch","resources":{"limits":{"nvidia.com/gpu":"2"}}}]}}}}},
    "status":{"conditions":[)" +
      conditions + "]}}");
}
std::string condition(const std::string& type, const std::string& message = "") {
  return R"({"type":")" + type + R"(","status":"True","message":")" + message + R"("})";
}
api::Pod pod(const std::string& name, const std::string& status, const std::string& type = "worker",
             const std::string& spec = R"("nodeName":"n1")") {
  return read<api::Pod>(
      R"({"metadata":{"name":")" + name + R"(","creationTimestamp":"2026-11-25T10:05:00Z","labels":{
    "training.kubeflow.org/replica-type":")" +
      type + R"(","training.kubeflow.org/replica-index":"0"}},
    "spec":{)" +
      spec + R"(,"containers":[{"name":"pytorch","resources":{"limits":{"nvidia.com/gpu":"2"}}}]},"status":)" + status +
      "}");
}
api::Gang gang(const std::string& phase, const std::string& queue = "") {
  return read<api::Gang>(R"({"spec":{"queue":")" + queue + R"("},"status":{"phase":")" + phase +
                         R"(","verdict":{"message":"no node has 16 nvidia.com/gpu; the largest has 8"}}})");
}

struct StatusCase {
  const char* name;
  api::PyTorchJob job;
  std::vector<api::Pod> pods;
  std::optional<api::Gang> gang;
  const char *status, *reason;
};
class Status : public ::testing::TestWithParam<StatusCase> {};
TEST_P(Status, saysWhatAndWhy) {
  const StatusCase& c = GetParam();
  JobView view = viewOf(c.job, c.pods, c.gang ? &*c.gang : nullptr, kNow);
  EXPECT_EQ(view.status, c.status);
  EXPECT_EQ(view.reason, c.reason);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Status,
    ::testing::Values(
        StatusCase{"unseen", job(), {}, {}, "PENDING", "not seen by the scheduler yet"},
        StatusCase{"noPlace",
                   job(condition("Created")),
                   {},
                   gang("Pending"),
                   "PENDING",
                   "no node has 16 nvidia.com/gpu; the largest has 8"},
        StatusCase{"inAQueue",
                   job(condition("Created")),
                   {},
                   gang("Pending", "team"),
                   "QUEUING",
                   "no node has 16 nvidia.com/gpu; the largest has 8"},
        StatusCase{"suspended",
                   job(condition("Suspended"), R"({"suspend":true})"),
                   {},
                   gang("Pending"),
                   "QUEUING",
                   "suspended by spec.runPolicy.suspend"},
        StatusCase{
            "imageTrouble",
            job(condition("Created")),
            {pod(
                "j-master-0",
                R"({"phase":"Pending","containerStatuses":[{"name":"pytorch","state":{"waiting":{"reason":"CreateContainerError","message":"no such root"}}}]})",
                "master")},
            gang("Placed"),
            "PENDING",
            "j-master-0: CreateContainerError: no such root"},
        StatusCase{
            "starting",
            job(condition("Created")),
            {pod(
                "j-master-0",
                R"({"phase":"Pending","containerStatuses":[{"name":"pytorch","state":{"waiting":{"reason":"ContainerCreating"}}}]})",
                "master")},
            gang("Placed"),
            "PENDING",
            ""},
        StatusCase{"running",
                   job(condition("Running")),
                   {pod("j-master-0", R"({"phase":"Running"})", "master")},
                   gang("Placed"),
                   "RUNNING",
                   ""},
        StatusCase{"succeeded", job(condition("Succeeded")), {}, gang("Finished"), "SUCCEEDED", ""},
        StatusCase{
            "failedByItsPod",
            job(condition("Failed", "PyTorchJob j is failed")),
            {pod(
                "j-worker-0",
                R"({"phase":"Failed","containerStatuses":[{"name":"pytorch","state":{"terminated":{"exitCode":3,"reason":"Error","message":"boom\n"}}}]})")},
            gang("Finished"),
            "FAILED",
            "j-worker-0: Error: container pytorch exited with 3: boom"},
        StatusCase{
            "failedByItsDeadline", job(condition("Failed", "deadline")), {}, gang("Finished"), "FAILED", "deadline"}),
    [](const auto& info) { return info.param.name; });

TEST(JobView, countsCardsAskedForAndHeld) {
  JobView view = viewOf(job(condition("Running")),
                        {pod("j-master-0", R"({"phase":"Running","hostIP":"10.0.0.1","podIP":"10.1.0.1"})", "master"),
                         pod("j-worker-0", R"({"phase":"Succeeded"})"),
                         pod("j-worker-1", R"({"phase":"Pending"})", "worker", R"("nodeName":"")")},
                        nullptr, kNow);
  EXPECT_EQ(view.requestedGpus, 8);
  EXPECT_EQ(view.allocatedGpus, 2) << "finished pods hold nothing, unbound ones nothing yet";
  EXPECT_EQ(view.chief, "j-master-0");
  EXPECT_EQ(view.node, "10.0.0.1");
  EXPECT_EQ(view.priority, "high");
  EXPECT_EQ(view.duration, Duration(10min));
  ASSERT_EQ(view.instances.size(), 3u);
  EXPECT_TRUE(view.instances[0].chief);
  EXPECT_EQ(view.instances[0].age, Duration(5min));
  EXPECT_EQ(viewOf(job(condition("Succeeded")), {}, nullptr, kNow).allocatedGpus, std::nullopt);
}

TEST(JobView, withoutAMasterTheFirstWorkerIsTheChief) {
  auto headless = read<api::PyTorchJob>(
      R"({"metadata":{"name":"j"},"spec":{"pytorchReplicaSpecs":{"Worker":{"replicas":2,"template":{"spec":{"containers":[]}}}}}})");
  EXPECT_EQ(viewOf(headless, {pod("j-worker-0", R"({"phase":"Running"})")}, nullptr, kNow).chief, "j-worker-0");
}

TEST(JobView, tablesHaveArenasColumnsAndTheReason) {
  std::string table = listTable({viewOf(job(condition("Created")), {}, nullptr, kNow)}, true);
  EXPECT_EQ(table,
            "NAMESPACE  NAME  STATUS   TRAINER     DURATION  GPU(Requested)  GPU(Allocated)  NODE  REASON\n"
            "default    j     PENDING  PYTORCHJOB  10m       8               0               N/A   not seen by the "
            "scheduler yet\n");
  EXPECT_EQ(listTable({}, false), "NAME  STATUS  TRAINER  DURATION  GPU(Requested)  GPU(Allocated)  NODE  REASON\n");
}

}  // namespace
}  // namespace stoker::cli
