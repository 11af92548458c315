#include "controllers/workloads/job.h"

#include <gtest/gtest.h>

#include "controllers/test_world.h"

namespace stoker::controllers {
namespace {

const Time kStart = *parseTime("2026-01-01T00:00:00Z");

std::string jobText(const std::string& spec) {
  return R"({"metadata":{"name":"job","namespace":"ns"},"spec":{"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"main","image":"i"}]}})" +
         (spec.empty() ? "" : "," + spec) + "}}";
}

class World : public TestWorld {
 public:
  explicit World(const std::string& spec) : TestWorld(kStart) {
    serve<api::Job>();
    serve<api::Pod>();
    create<api::Job>(jobText(spec));
    controller_ = makeJobController();
  }
  client::Plan plan(const std::string& key = "job") { return controller_->reconcile(view, {"ns", key}, now); }
  void settle(size_t cut = SIZE_MAX) {
    for (int i = 0; i < 300; ++i) {
      client::Plan next = plan();
      wakeAt = next.wakeAt;
      if (next.writes.empty()) return;
      apply(next, cut);
      EXPECT_EQ(lastError, "");
    }
    ADD_FAILURE() << "does not settle";
  }
  std::vector<std::string> pods(const std::string& phase) const {
    std::vector<std::string> out;
    for (const auto& pod : view.of<api::Pod>().all())
      if (pod->object.status.phase == phase) out.push_back(pod->raw.name);
    return out;
  }
  void phase(const std::string& pod, const std::string& phase, int code = 0) {
    patch<api::Pod>("ns", pod,
                    R"({"status":{"phase":")" + phase +
                        R"(","containerStatuses":[{"name":"main","state":{"terminated":{"exitCode":)" +
                        std::to_string(code) + R"(,"finishedAt":")" + formatTime(now) + R"("}}}]}})");
  }
  void endAll(const std::string& to, int code = 0) {
    for (const std::string& pod : pods("Pending")) phase(pod, to, code);
  }
  const api::Job::Status& status() { return get<api::Job>("ns", "job")->status; }
  std::string conditions() {
    std::string out;
    for (const auto& c : status().conditions)
      out += (out.empty() ? "" : " ") + c.type + "=" + c.status + "(" + c.reason + ")";
    return out;
  }
  std::optional<Time> wakeAt;

 private:
  std::unique_ptr<client::Controller> controller_;
};

TEST(Job, runsToCompletionInWaves) {
  World world(R"("parallelism":2,"completions":3)");
  world.settle();
  EXPECT_EQ(world.pods("Pending").size(), 2u);
  EXPECT_EQ(world.status().active, 2);
  const api::Pod& pod = *world.get<api::Pod>("ns", world.pods("Pending")[0]);
  EXPECT_EQ(pod.metadata.label("job-name"), "job");
  EXPECT_EQ(pod.spec.nodeName, "");
  world.endAll("Succeeded");
  world.settle();
  EXPECT_EQ(world.status().succeeded, 2);
  EXPECT_EQ(world.pods("Pending").size(), 1u);
  world.endAll("Succeeded");
  world.settle();
  EXPECT_EQ(world.conditions(), "SuccessCriteriaMet=True(CompletionsReached) Complete=True(CompletionsReached)");
  EXPECT_EQ(world.status().succeeded, 3);
  EXPECT_EQ(world.status().active, 0);
  EXPECT_FALSE(world.status().uncountedTerminatedPods.has_value());
  for (const auto& entry : world.view.of<api::Pod>().all()) EXPECT_TRUE(entry->object.metadata.finalizers.empty());
}

TEST(Job, indexedPodsHaveAnIndexEach) {
  World world(R"("parallelism":3,"completions":3,"completionMode":"Indexed")");
  world.settle();
  auto pods = world.pods("Pending");
  ASSERT_EQ(pods.size(), 3u);
  EXPECT_TRUE(pods[1].starts_with("job-1-"));
  EXPECT_EQ(world.get<api::Pod>("ns", pods[1])->metadata.annotation(kCompletionIndex), "1");
  EXPECT_EQ(world.get<api::Pod>("ns", pods[1])->spec.hostname, "job-1");
  world.phase(pods[0], "Succeeded");
  world.phase(pods[2], "Succeeded");
  world.settle();
  EXPECT_EQ(world.status().completedIndexes, "0,2");
  world.phase(pods[1], "Failed", 1);
  world.settle();
  EXPECT_EQ(world.pods("Pending").size(), 0u) << "backs off";
  world.now = *world.wakeAt;
  world.settle();
  ASSERT_EQ(world.pods("Pending").size(), 1u);
  EXPECT_NE(world.pods("Pending")[0], pods[1]);
  world.endAll("Succeeded");
  world.settle();
  EXPECT_EQ(world.status().completedIndexes, "0-2");
  EXPECT_EQ(world.status().failed, 1);
  EXPECT_EQ(world.status().succeeded, 3);
}

TEST(Job, failsPastItsBackoffLimit) {
  World world(R"("backoffLimit":1)");
  world.settle();
  world.endAll("Failed", 1);
  world.settle();
  EXPECT_EQ(world.wakeAt, kStart + 10s);
  world.now = *world.wakeAt;
  world.settle();
  world.endAll("Failed", 1);
  world.settle();
  EXPECT_EQ(world.conditions(), "FailureTarget=True(BackoffLimitExceeded) Failed=True(BackoffLimitExceeded)");
  EXPECT_EQ(world.status().failed, 2);
  EXPECT_EQ(world.status().completionTime, Time{});
}

TEST(Job, isEndedByItsDeadline) {
  World world(R"("activeDeadlineSeconds":30)");
  world.settle();
  EXPECT_EQ(world.wakeAt, kStart + 30s);
  world.now = *world.wakeAt;
  world.settle();
  world.settle();
  EXPECT_EQ(world.conditions(), "FailureTarget=True(DeadlineExceeded) Failed=True(DeadlineExceeded)");
  EXPECT_EQ(world.count<api::Pod>(), 0u);
}

TEST(Job, suspendsAndResumes) {
  World world(R"("parallelism":2,"completions":2)");
  world.settle();
  world.patch<api::Job>("ns", "job", R"({"spec":{"suspend":true}})");
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 0u);
  EXPECT_EQ(world.conditions(), "Suspended=True(JobSuspended)");
  EXPECT_EQ(world.status().failed, 0);
  EXPECT_EQ(world.status().startTime, Time{});
  world.patch<api::Job>("ns", "job", R"({"spec":{"suspend":false}})");
  world.settle();
  EXPECT_EQ(world.conditions(), "Suspended=False(JobResumed)");
  EXPECT_EQ(world.pods("Pending").size(), 2u);
}

TEST(Job, podsThatWereDeletedBeforeItLoseTheirFinalizerWhenItGoes) {
  World world(R"("parallelism":2,"completions":2)");
  world.settle();
  std::vector<std::string> pods = world.pods("Pending");
  ASSERT_EQ(pods.size(), 2u);
  for (const std::string& pod : pods) world.remove<api::Pod>("ns", pod);
  std::string gone = "gone:" + world.get<api::Job>("ns", "job")->metadata.uid;
  EXPECT_TRUE(world.plan(gone).writes.empty()) << "the Job counts them while it is there";
  world.remove<api::Job>("ns", "job");
  world.apply(world.plan(gone));
  for (const std::string& pod : pods) EXPECT_FALSE(world.has("", "pods", "ns", pod));
}

TEST(Job, goesAfterItsTtl) {
  World world(R"("ttlSecondsAfterFinished":10)");
  world.settle();
  world.endAll("Succeeded");
  world.settle();
  EXPECT_EQ(world.wakeAt, kStart + 10s);
  world.now = *world.wakeAt;
  client::Plan plan = world.plan();
  ASSERT_EQ(plan.writes.size(), 1u);
  EXPECT_EQ(plan.writes[0].verb, client::Write::Verb::Delete);
}

TEST(Job, aScaledDownJobWithdrawsPodsWithoutCountingThem) {
  World world(R"("parallelism":3,"completions":5)");
  world.settle();
  world.patch<api::Job>("ns", "job", R"({"spec":{"parallelism":1}})");
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 1u);
  EXPECT_EQ(world.status().failed, 0);
}

struct PolicyCase {
  const char* name;
  std::string policy;
  int code;
  std::string conditions;
};
class JobFailurePolicy : public testing::TestWithParam<PolicyCase> {};
TEST_P(JobFailurePolicy, decides) {
  World world(R"("backoffLimit":0,"podFailurePolicy":)" + GetParam().policy);
  world.settle();
  world.endAll("Failed", GetParam().code);
  world.settle();
  EXPECT_EQ(world.conditions(), GetParam().conditions);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, JobFailurePolicy,
    testing::Values(
        PolicyCase{"FailJob", R"({"rules":[{"action":"FailJob","onExitCodes":{"operator":"In","values":[42]}}]})", 42,
                   "FailureTarget=True(PodFailurePolicy) Failed=True(PodFailurePolicy)"},
        PolicyCase{"Ignore", R"({"rules":[{"action":"Ignore","onExitCodes":{"operator":"NotIn","values":[1]}}]})", 42,
                   ""},
        PolicyCase{"no rule matches", R"({"rules":[{"action":"Ignore","onExitCodes":{"operator":"In","values":[1]}}]})",
                   42, "FailureTarget=True(BackoffLimitExceeded) Failed=True(BackoffLimitExceeded)"}));

TEST(JobIndexes, areReadAndWritten) {
  for (const char* text : {"", "0", "0,1", "0-2", "1,3-5,7,8"}) EXPECT_EQ(formatIndexes(parseIndexes(text, 100)), text);
  EXPECT_EQ(formatIndexes(parseIndexes("1,x,3-5", 5)), "1,3,4");
}

std::string story(size_t cut) {
  World world(R"("parallelism":2,"completions":4,"completionMode":"Indexed","backoffLimit":5)");
  world.settle(cut);
  world.phase(world.pods("Pending")[0], "Failed", 1);
  world.phase(world.pods("Pending")[0], "Succeeded");
  world.settle(cut);
  world.now += 60s;
  world.settle(cut);
  world.endAll("Succeeded");
  world.settle(cut);
  world.endAll("Succeeded");
  world.settle(cut);
  EXPECT_EQ(world.status().failed, 1);
  EXPECT_EQ(world.status().succeeded, 4);
  return world.conditions() + world.status().completedIndexes;
}
TEST(Job, aPlanMayBeCutAnywhere) {
  std::string whole = story(SIZE_MAX);
  EXPECT_EQ(whole, "SuccessCriteriaMet=True(CompletionsReached) Complete=True(CompletionsReached)0-3");
  for (size_t cut = 1; cut <= 5; ++cut) EXPECT_EQ(story(cut), whole) << cut;
}

}  // namespace
}  // namespace stoker::controllers
