#include "controllers/training/reconcile.h"

#include <gtest/gtest.h>

#include "api/gang.h"
#include "controllers/test_world.h"
#include "controllers/training/pytorch.h"
#include "controllers/training/restarts.h"
#include "controllers/training/status.h"

namespace stoker::controllers::training {
namespace {

const Time kStart = *parseTime("2026-01-01T00:00:00Z");
constexpr const char* kNode = "node-a";

std::string replica(int replicas, const std::string& policy, const std::string& podSpecExtra = "") {
  return R"({"replicas":)" + std::to_string(replicas) + R"(,"restartPolicy":")" + policy +
         R"(","template":{"metadata":{"labels":{"team":"vision"}},"spec":{"containers":[{"name":"pytorch","image":"i","resources":{"limits":{"cpu":"1","nvidia.com/gpu":"2"}}}])" +
         podSpecExtra + "}}}";
}
std::string job(const std::string& runPolicy, const std::string& replicas, const std::string& extra = "") {
  return R"({"apiVersion":"kubeflow.org/v1","kind":"PyTorchJob","metadata":{"name":"job","namespace":"ns","labels":{"kueue.x-k8s.io/queue-name":"lab"}},"spec":{"runPolicy":)" +
         runPolicy + extra + R"(,"pytorchReplicaSpecs":)" + replicas + "}}";
}
std::string masterAndWorkers(int workers, const std::string& policy = "OnFailure") {
  return R"({"Master":)" + replica(1, policy) + R"(,"Worker":)" + replica(workers, policy) + "}";
}

/// A world with a PyTorchJob, its controller and a scheduler that places everything on one node.
class World : public TestWorld {
 public:
  explicit World(const std::string& jobText) : TestWorld(kStart) {
    serve<api::PyTorchJob>();
    serve<api::Gang>();
    serve<api::Pod>();
    serve<api::Service>();
    serve<api::PriorityClass>();
    serve<api::Node>();
    for (const char* node : {kNode, "node-b"})
      create<api::Node>(R"({"metadata":{"name":")" + std::string(node) +
                        R"("},"status":{"conditions":[{"type":"Ready","status":"True"}]}})");
    create<api::PyTorchJob>(jobText);
    controller_ = makePyTorchJobController();
  }
  client::Plan plan() { return controller_->reconcile(view, {"ns", "job"}, now); }
  /// Reconciles until nothing is left to do; every plan is cut after `cut` writes.
  client::Plan settle(size_t cut = SIZE_MAX) {
    for (int i = 0; i < 200; ++i) {
      client::Plan next = plan();
      for (const auto& e : next.events) events.push_back(e.type + " " + e.reason + ": " + e.message);
      wakeAt = next.wakeAt;
      if (next.writes.empty()) return next;
      apply(next, cut);
      EXPECT_EQ(lastError, "");
    }
    ADD_FAILURE() << "does not settle";
    return {};
  }
  void place(const std::string& node = kNode, int64_t epoch = 1) {
    const api::Gang* gang = get<api::Gang>("ns", "pytorchjob-job");
    ASSERT_NE(gang, nullptr);
    std::string entries;
    int card = 0;
    for (const auto& role : gang->spec.roles)
      for (int i = 0; i < role.count; ++i) {
        entries += std::string(entries.empty() ? "" : ",") + R"({"role":")" + role.name + R"(","index":)" +
                   std::to_string(i) + R"(,"pod":")" + role.podNamePrefix + "-" + std::to_string(i) + R"(","node":")" +
                   node + R"(","cards":"nvidia.com/gpu=)" + std::to_string(card) + "," + std::to_string(card + 1) +
                   R"("})";
        card += 2;
      }
    patch<api::Gang>(
        "ns", "pytorchjob-job",
        R"({"status":{"phase":"Placed","epoch":)" + std::to_string(epoch) + R"(,"placement":[)" + entries + "]}}");
  }
  void phase(const std::string& pod, const std::string& phase, const std::string& more = "") {
    patch<api::Pod>("ns", pod, R"({"status":{"phase":")" + phase + "\"" + more + "}}");
  }
  void allPods(const std::string& what) {
    for (const auto& entry : view.of<api::Pod>().all()) phase(entry->raw.name, what);
  }
  void exit(const std::string& pod, int code) {
    phase(pod, code == 0 ? "Succeeded" : "Failed",
          R"(,"containerStatuses":[{"name":"pytorch","restartCount":0,"state":{"terminated":{"exitCode":)" +
              std::to_string(code) + R"(,"reason":"Error"}}}])");
  }
  const api::PyTorchJob& theJob() { return *get<api::PyTorchJob>("ns", "job"); }
  const api::Gang& gang() { return *get<api::Gang>("ns", "pytorchjob-job"); }
  /// "Created=True Running=False(PyTorchJobSuspended)": reasons where they are not <Kind><type>.
  std::string conditions() {
    std::string out;
    for (const auto& c : theJob().status.conditions) {
      out += (out.empty() ? "" : " ") + c.type + "=" + c.status;
      if (c.reason != "PyTorchJob" + c.type) out += "(" + c.reason + ")";
    }
    return out;
  }
  std::string message(const char* type) { return api::findCondition(theJob().status.conditions, type)->message; }
  bool told(const std::string& event) { return std::find(events.begin(), events.end(), event) != events.end(); }
  std::vector<std::string> events;
  std::optional<Time> wakeAt;

 private:
  std::unique_ptr<client::Controller> controller_;
};

std::unique_ptr<World> running(const std::string& jobText) {
  auto world = std::make_unique<World>(jobText);
  world->settle();
  world->place();
  world->settle();
  world->allPods("Running");
  world->settle();
  return world;
}

// ---- the way of a job
// --------------------------------------------------------------------------------------------------------

TEST(Training, aNewJobWaitsAsAGangAndMakesNoPods) {
  World world(job("{}", masterAndWorkers(2)));
  world.settle();
  EXPECT_EQ(world.conditions(), "Created=True");
  EXPECT_EQ(world.message("Created"), "PyTorchJob job is created.");
  EXPECT_EQ(world.count<api::Pod>(), 0u);
  EXPECT_EQ(world.theJob().status.startTime, Time{});
  const api::Gang& gang = world.gang();
  EXPECT_EQ(gang.spec.queue, "lab");
  ASSERT_EQ(gang.spec.roles.size(), 2u);
  EXPECT_EQ(gang.spec.roles[1].name, "worker");
  EXPECT_EQ(gang.spec.roles[1].count, 2);
  EXPECT_EQ(gang.spec.roles[1].minCount, 2);
  EXPECT_EQ(gang.spec.roles[1].podNamePrefix, "job-worker");
  EXPECT_EQ(gang.spec.roles[0].requests, (api::ResourceList{{"cpu", "1"}, {"nvidia.com/gpu", "2"}}));
  EXPECT_EQ(gang.spec.roles[1].requests,
            (api::ResourceList{{"cpu", "1"}, {"memory", "10Mi"}, {"nvidia.com/gpu", "2"}}));
  EXPECT_EQ(gang.metadata.controller()->uid, world.theJob().metadata.uid);
}

TEST(Training, aPartialPlacementMakesNoPods) {
  World world(job("{}", masterAndWorkers(2)));
  world.settle();
  world.patch<api::Gang>(
      "ns", "pytorchjob-job",
      R"({"status":{"placement":[{"role":"master","index":0,"node":"n"},{"role":"worker","index":0,"node":"n"}]}})");
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 0u);
}

TEST(Training, placedPodsAreMadeTogetherBoundAndComplete) {
  World world(job("{}", masterAndWorkers(2)));
  world.settle();
  world.place(kNode, 7);
  client::Plan plan = world.plan();
  EXPECT_EQ(std::count_if(plan.writes.begin(), plan.writes.end(),
                          [](const auto& w) { return w.resource.resource == "pods"; }),
            3);
  EXPECT_EQ(std::count_if(plan.writes.begin(), plan.writes.end(),
                          [](const auto& w) { return w.resource.resource == "services"; }),
            3);
  world.settle();
  EXPECT_EQ(world.theJob().status.startTime, kStart);
  const api::Pod& pod = *world.get<api::Pod>("ns", "job-worker-1");
  EXPECT_EQ(pod.spec.nodeName, kNode);
  EXPECT_EQ(pod.spec.schedulerName, "stoker-scheduler");
  EXPECT_EQ(pod.spec.restartPolicy, "OnFailure");
  EXPECT_EQ(pod.metadata.annotation(api::kCardsAnnotation), "nvidia.com/gpu=4,5");
  EXPECT_EQ(pod.metadata.annotation(kEpochAnnotation), "7");
  EXPECT_EQ(pod.metadata.labels, (std::map<std::string, std::string>{{"team", "vision"},
                                                                     {kJobNameLabel, "job"},
                                                                     {kOperatorNameLabel, "pytorchjob-controller"},
                                                                     {kReplicaTypeLabel, "worker"},
                                                                     {kReplicaIndexLabel, "1"},
                                                                     {api::kGangLabel, "pytorchjob-job"},
                                                                     {api::kRoleLabel, "worker"}}));
  EXPECT_EQ(world.get<api::Pod>("ns", "job-master-0")->metadata.label(kJobRoleLabel), "master");
  ASSERT_EQ(pod.metadata.ownerReferences.size(), 1u);
  EXPECT_TRUE(pod.metadata.ownerReferences[0].controller && pod.metadata.ownerReferences[0].blockOwnerDeletion);
  const api::Service& service = *world.get<api::Service>("ns", "job-worker-1");
  EXPECT_EQ(service.spec.clusterIP, "None");
  EXPECT_EQ(service.spec.selector, (std::map<std::string, std::string>{{kJobNameLabel, "job"},
                                                                       {kOperatorNameLabel, "pytorchjob-controller"},
                                                                       {kReplicaTypeLabel, "worker"},
                                                                       {kReplicaIndexLabel, "1"}}));
  ASSERT_EQ(service.spec.ports.size(), 1u);
  EXPECT_EQ(service.spec.ports[0].port, 23456);
  EXPECT_TRUE(world.told("Normal SuccessfulCreatePod: Created pod: job-master-0"));
}

TEST(Training, runsAndSucceedsWithItsMaster) {
  auto world = running(job("{}", masterAndWorkers(1)));
  EXPECT_EQ(world->conditions(), "Created=True Running=True");
  EXPECT_EQ(world->theJob().status.replicaStatuses.at("Worker").active, 1);
  EXPECT_EQ(world->theJob().status.replicaStatuses.at("Worker").selector,
            "training.kubeflow.org/job-name=job,training.kubeflow.org/"
            "operator-name=pytorchjob-controller,training.kubeflow.org/replica-type=worker");
  world->now += 10s;
  world->exit("job-master-0", 0);
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Running=False Succeeded=True");
  EXPECT_EQ(world->message("Succeeded"), "PyTorchJob job is successfully completed.");
  EXPECT_EQ(world->theJob().status.completionTime, kStart + 10s);
  EXPECT_EQ(world->theJob().status.replicaStatuses.at("Worker").succeeded, 1);
  EXPECT_EQ(world->theJob().status.replicaStatuses.at("Worker").active, 0);
  EXPECT_FALSE(world->gang().spec.finished) << "a worker still runs on its cards";
  world->exit("job-worker-0", 0);
  world->settle();
  EXPECT_TRUE(world->gang().spec.finished);
  EXPECT_EQ(world->count<api::Pod>(), 2u);
}

TEST(Training, nothingIsWrittenWhenNothingChanges) {
  auto world = running(job("{}", masterAndWorkers(1)));
  Time reconciled = world->theJob().status.lastReconcileTime;
  world->now += 60s;
  EXPECT_TRUE(world->plan().empty());
  EXPECT_EQ(world->theJob().status.lastReconcileTime, reconciled);
}

TEST(Training, withoutAMasterAllWorkersMustSucceed) {
  auto world = running(job("{}", R"({"Worker":)" + replica(2, "OnFailure") + "}"));
  EXPECT_EQ(world->message("Running"), "PyTorchJob ns/job is running.");
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-0")->metadata.label(kJobRoleLabel), "master");
  world->exit("job-worker-0", 0);
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Running=True");
  world->exit("job-worker-1", 0);
  world->settle();
  EXPECT_EQ(world->message("Succeeded"), "PyTorchJob ns/job successfully completed.");
}

TEST(Training, anElasticJobSucceedsWithAnyWorker) {
  auto world = running(job("{}", R"({"Worker":)" + replica(2, "OnFailure") + "}",
                           R"(,"elasticPolicy":{"minReplicas":1,"maxReplicas":2})"));
  EXPECT_EQ(world->gang().spec.roles[0].minCount, 1);
  world->exit("job-worker-1", 0);
  world->settle();
  EXPECT_TRUE(isFinished(world->theJob().status));
}

// ---- failures
// ----------------------------------------------------------------------------------------------------------------

struct FailureCase {
  const char* name;
  std::string policy;
  int code;
  std::string conditions;
  std::string message;
  bool again;
};
class TrainingFailure : public testing::TestWithParam<FailureCase> {};
TEST_P(TrainingFailure, followsTheRestartPolicy) {
  auto world = running(job("{}", masterAndWorkers(1, GetParam().policy)));
  std::string uid = world->get<api::Pod>("ns", "job-worker-0")->metadata.uid;
  world->exit("job-worker-0", GetParam().code);
  world->settle();
  std::string type = GetParam().again ? "Restarting" : "Failed";
  const api::Pod* pod = world->get<api::Pod>("ns", "job-worker-0");
  ASSERT_NE(pod, nullptr);
  EXPECT_EQ(pod->metadata.uid != uid, GetParam().again);
  if (GetParam().again) {
    EXPECT_TRUE(world->told("Warning PyTorchJobRestarting: job job is restarting because Worker replica(s) failed."));
    EXPECT_EQ(totalRestarts(readRestarts(world->theJob().metadata)), 1);
    world->phase("job-worker-0", "Running");
    world->settle();
  } else {
    EXPECT_EQ(world->message("Failed"), GetParam().message);
    EXPECT_NE(world->theJob().status.completionTime, Time{});
  }
  EXPECT_EQ(world->conditions(), GetParam().conditions);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, TrainingFailure,
    testing::Values(FailureCase{"OnFailure makes the pod again", "OnFailure", 1, "Created=True Running=True", "", true},
                    FailureCase{"Always makes the pod again", "Always", 1, "Created=True Running=True", "", true},
                    FailureCase{"Never fails the job", "Never", 1, "Created=True Running=False Failed=True",
                                "PyTorchJob job is failed because 1 Worker replica(s) failed.", false},
                    FailureCase{"ExitCode 1 fails the job", "ExitCode", 1, "Created=True Running=False Failed=True",
                                "job \"job\" is failing because \"Worker\" replica(s) failed.", false},
                    FailureCase{"ExitCode 137 makes the pod again", "ExitCode", 137, "Created=True Running=True", "",
                                true}));

TEST(Training, exitCodeMapsToNeverForPods) {
  auto world = running(job("{}", masterAndWorkers(1, "ExitCode")));
  EXPECT_EQ(world->get<api::Pod>("ns", "job-master-0")->spec.restartPolicy, "Never");
}

TEST(Training, aTemplateRestartPolicyIsOverruledWithAnEvent) {
  World world(job("{}", R"({"Master":)" + replica(1, "Never", R"(,"restartPolicy":"Always")") + "}"));
  world.settle();
  world.place();
  world.settle();
  EXPECT_TRUE(
      world.told("Warning SetPodTemplateRestartPolicy: Restart policy in pod template will be overwritten by restart "
                 "policy in replica spec"));
  EXPECT_EQ(world.get<api::Pod>("ns", "job-master-0")->spec.restartPolicy, "Never");
}

TEST(Training, backoffLimitCountsPodsMadeAgain) {
  auto world = running(job(R"({"backoffLimit":2})", masterAndWorkers(1)));
  for (int i = 0; i < 2; ++i) {
    world->exit("job-worker-0", 1);
    world->settle();
    EXPECT_FALSE(isFinished(world->theJob().status)) << i;
    world->phase("job-worker-0", "Running");
    world->settle();
  }
  world->exit("job-worker-0", 1);
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Running=False Failed=True");
  EXPECT_EQ(world->message("Failed"), "Job job has failed because it has reached the specified backoff limit");
  EXPECT_EQ(world->count<api::Pod>(), 2u) << "cleanPodPolicy None keeps pods and their logs (trainer#3419)";
}

TEST(Training, backoffLimitCountsRestartsInPlace) {
  auto world = running(job(R"({"backoffLimit":3})", masterAndWorkers(1)));
  auto restarted = [&](int n) {
    world->phase("job-worker-0", "Running",
                 R"(,"containerStatuses":[{"name":"pytorch","restartCount":)" + std::to_string(n) + "}]");
    world->settle();
  };
  restarted(2);
  EXPECT_FALSE(isFinished(world->theJob().status));
  restarted(3);
  EXPECT_TRUE(isFinished(world->theJob().status));
}

struct BackoffCase {
  const char* name;
  int64_t limit, counted, failures, inPlace;
  bool past;
};
class BackoffLimit : public testing::TestWithParam<BackoffCase> {};
TEST_P(BackoffLimit, isReached) {
  const auto& c = GetParam();
  EXPECT_EQ(pastBackoffLimit(c.limit, c.counted, c.failures, c.inPlace), c.past) << c.name;
}
INSTANTIATE_TEST_SUITE_P(Cases, BackoffLimit,
                         testing::Values(BackoffCase{"0 and nothing happened", 0, 0, 0, 0, false},
                                         BackoffCase{"0: the first restart in place", 0, 0, 0, 1, true},
                                         BackoffCase{"0: the first failed pod", 0, 1, 1, 0, true},
                                         BackoffCase{"3 restarts in place of 3", 3, 0, 0, 3, true},
                                         BackoffCase{"2 of 3", 3, 0, 0, 2, false},
                                         BackoffCase{"third pod of 3 may be made again", 3, 3, 1, 0, false},
                                         BackoffCase{"fourth may not", 3, 4, 1, 0, true},
                                         BackoffCase{"both kinds add up", 3, 2, 0, 1, true},
                                         BackoffCase{"used up, but nothing new", 3, 3, 0, 0, false}));

TEST(Training, whatThePlatformEndedIsNoFailureOfTheProgram) {
  auto world = running(job(R"({"backoffLimit":0})", masterAndWorkers(1, "Never")));
  world->phase("job-worker-0", "Running",
               R"(,"conditions":[{"type":"DisruptionTarget","status":"True","reason":"DeletionByTaintManager"}])");
  world->remove<api::Pod>("ns", "job-worker-0", 30);
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Restarting=True");
  EXPECT_EQ(world->theJob().status.replicaStatuses.at("Worker").failed, 1);
  world->finishDeletions();
  world->settle();
  ASSERT_NE(world->get<api::Pod>("ns", "job-worker-0"), nullptr);
  EXPECT_FALSE(isFinished(world->theJob().status));
}

TEST(Training, aRunningPodDeletedByHandFailsANeverJob) {
  auto world = running(job("{}", masterAndWorkers(1, "Never")));
  world->remove<api::Pod>("ns", "job-worker-0", 30);
  world->settle();
  EXPECT_EQ(world->message("Failed"), "PyTorchJob job is failed because 1 Worker replica(s) failed.");
}

TEST(Training, aRefusedPodWaitsForANewPlace) {
  auto world = running(job("{}", masterAndWorkers(1, "Never")));
  std::string uid = world->get<api::Pod>("ns", "job-worker-0")->metadata.uid;
  world->phase("job-worker-0", "Failed", R"(,"reason":"UnexpectedAdmissionError")");
  world->settle();
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-0")->metadata.uid, uid);
  world->place("node-b", 2);
  world->settle();
  world->finishDeletions();
  world->settle();
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-0")->spec.nodeName, "node-b");
  EXPECT_EQ(world->get<api::Pod>("ns", "job-master-0")->spec.nodeName, "node-b");
  EXPECT_FALSE(isFinished(world->theJob().status));
}

TEST(Training, podsFollowTheirPlacement) {
  auto world = running(job("{}", masterAndWorkers(1, "Never")));
  world->patch<api::Gang>("ns", "pytorchjob-job", R"({"status":{"placement":[],"epoch":2}})");
  world->settle();
  EXPECT_TRUE(world->get<api::Pod>("ns", "job-master-0")->metadata.deleting());
  EXPECT_EQ(world->conditions(), "Created=True Restarting=True");
  world->finishDeletions();
  world->settle();
  EXPECT_EQ(world->count<api::Pod>(), 0u);
  world->place("node-b", 3);
  world->settle();
  world->allPods("Running");
  world->settle();
  EXPECT_EQ(world->get<api::Pod>("ns", "job-master-0")->spec.nodeName, "node-b");
  EXPECT_EQ(world->conditions(), "Created=True Running=True");
}

TEST(Training, aStalePlacementMakesNothing) {
  World world(job("{}", masterAndWorkers(1)));
  world.settle();
  world.place();
  client::Plan stale = world.plan();
  world.patch<api::Gang>("ns", "pytorchjob-job", R"({"status":{"placement":[],"epoch":2}})");
  world.apply(stale);
  EXPECT_EQ(world.lastError, "Conflict pytorchjob-job");
  EXPECT_EQ(world.count<api::Pod>(), 0u);
}

TEST(Training, noPodIsMadeOnALostNode) {
  auto world = running(job("{}", masterAndWorkers(1)));
  world->patch<api::Node>("", kNode, R"({"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})");
  world->remove<api::Pod>("ns", "job-worker-0");
  world->settle();
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-0"), nullptr);
  EXPECT_EQ(world->wakeAt, kStart + 1s);
  world->place("node-b", 2);
  world->settle();
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-0")->spec.nodeName, "node-b");
}

TEST(Training, aSucceededPodMayGiveItsPlaceBack) {
  auto world = running(job("{}", R"({"Worker":)" + replica(2, "OnFailure") + "}"));
  world->exit("job-worker-0", 0);
  world->patch<api::Gang>(
      "ns", "pytorchjob-job",
      R"({"status":{"placement":[{"role":"worker","index":0,"pod":"job-worker-0"},{"role":"worker","index":1,"node":"node-a","cards":"nvidia.com/gpu=2,3"}]}})");
  world->settle();
  world->exit("job-worker-1", 1);
  world->settle();
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-1")->status.phase, "Pending") << "made again";
  EXPECT_EQ(world->get<api::Pod>("ns", "job-worker-0")->status.phase, "Succeeded");
}

TEST(Training, aNameInUseIsToldAndWaitedFor) {
  World world(job("{}", masterAndWorkers(1)));
  world.settle();
  world.create<api::Pod>(R"({"metadata":{"name":"job-worker-0","namespace":"ns"},"spec":{}})");
  world.place();
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 1u);
  EXPECT_TRUE(world.wakeAt.has_value());
  EXPECT_TRUE(
      world.told("Warning FailedCreatePod: Error creating: Pod \"job-worker-0\" already exists and belongs to nobody; "
                 "it must go before this job can start"));
  world.remove<api::Pod>("ns", "job-worker-0");
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 2u);
}

TEST(Training, scalingInRemovesPodsAndServices) {
  auto world = running(job("{}", R"({"Worker":)" + replica(3, "OnFailure") + "}",
                           R"(,"elasticPolicy":{"minReplicas":1,"maxReplicas":3})"));
  world->patch<api::PyTorchJob>("ns", "job", R"({"spec":{"pytorchReplicaSpecs":{"Worker":{"replicas":1}}}})");
  world->settle();
  world->finishDeletions();
  world->settle();
  EXPECT_EQ(world->count<api::Pod>(), 1u);
  EXPECT_EQ(world->count<api::Service>(), 1u);
  EXPECT_EQ(world->gang().spec.roles[0].count, 1);
}

// ---- policies
// ----------------------------------------------------------------------------------------------------------------

struct CleanCase {
  const char* name;
  std::string policy;
  size_t pods, services;
};
class TrainingClean : public testing::TestWithParam<CleanCase> {};
TEST_P(TrainingClean, leavesWhatThePolicySays) {
  auto world = running(job(R"({"cleanPodPolicy":")" + GetParam().policy + R"("})", masterAndWorkers(2)));
  world->exit("job-worker-0", 0);
  world->exit("job-master-0", 0);
  world->settle();
  world->finishDeletions();
  world->settle();
  EXPECT_EQ(world->count<api::Pod>(), GetParam().pods);
  EXPECT_EQ(world->count<api::Service>(), GetParam().services);
  EXPECT_EQ(world->gang().spec.finished, GetParam().policy != "None");
}
INSTANTIATE_TEST_SUITE_P(Cases, TrainingClean,
                         testing::Values(CleanCase{"None", "None", 3, 3}, CleanCase{"Running", "Running", 2, 2},
                                         CleanCase{"All", "All", 0, 0}));

TEST(Training, theDeadlineIsKeptByWakingUp) {
  World world(job(R"({"activeDeadlineSeconds":60})", masterAndWorkers(1)));
  world.now += 100s;  // waiting for a place does not count
  world.settle();
  world.place();
  world.settle();
  world.allPods("Running");
  world.settle();
  EXPECT_EQ(world.wakeAt, kStart + 160s);
  world.exit("job-worker-0", 0);
  world.now = *world.wakeAt;
  world.settle();
  EXPECT_EQ(world.message("Failed"), "Job job has failed because it was active longer than specified deadline");
  world.finishDeletions();
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 1u) << "what ran is ended, what had ended keeps its logs";
  EXPECT_TRUE(world.gang().spec.finished);
}

TEST(Training, aFinishedJobGoesAfterItsTtl) {
  auto world = running(job(R"({"ttlSecondsAfterFinished":30})", masterAndWorkers(1)));
  world->exit("job-master-0", 0);
  world->settle();
  EXPECT_EQ(world->wakeAt, kStart + 30s);
  world->now = *world->wakeAt;
  world->settle();
  EXPECT_EQ(world->count<api::PyTorchJob>(), 0u);
}

TEST(Training, aPermanentExitCodeExpiresToo) {
  auto world = running(job(R"({"ttlSecondsAfterFinished":0})", masterAndWorkers(1, "ExitCode")));
  world->exit("job-worker-0", 2);
  for (int i = 0; i < 3 && world->count<api::PyTorchJob>() > 0; ++i) world->settle();
  EXPECT_EQ(world->count<api::PyTorchJob>(), 0u);
}

TEST(Training, aSuspendedJobMakesNothing) {
  World world(job(R"({"suspend":true})", masterAndWorkers(1)));
  world.settle();
  EXPECT_EQ(world.conditions(), "Created=True Suspended=True");
  EXPECT_TRUE(world.gang().spec.suspended);
  world.place();
  world.settle();
  EXPECT_EQ(world.count<api::Pod>(), 0u);
  EXPECT_EQ(world.theJob().status.startTime, Time{});
}

TEST(Training, suspendAndResume) {
  auto world = running(job("{}", masterAndWorkers(1, "Never")));
  world->now += 5s;
  world->patch<api::PyTorchJob>("ns", "job", R"({"spec":{"runPolicy":{"suspend":true}}})");
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Running=False(PyTorchJobSuspended) Suspended=True");
  EXPECT_EQ(world->count<api::Service>(), 0u);
  EXPECT_EQ(world->theJob().status.replicaStatuses.at("Master").active, 0);
  EXPECT_EQ(world->theJob().status.startTime, kStart);
  EXPECT_FALSE(world->gang().spec.suspended) << "pods still run on its cards";
  world->patch<api::PyTorchJob>("ns", "job", R"({"spec":{"runPolicy":{"suspend":false}}})");
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Running=False(PyTorchJobSuspended) Suspended=True")
      << "the earlier run is not gone yet";
  world->finishDeletions();
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Running=False(PyTorchJobSuspended) Suspended=False(PyTorchJobResumed)");
  EXPECT_EQ(world->theJob().status.startTime, kStart + 5s);
  EXPECT_EQ(world->count<api::Pod>(), 2u);
  world->allPods("Running");
  world->settle();
  EXPECT_EQ(world->conditions(), "Created=True Suspended=False(PyTorchJobResumed) Running=True");
}

TEST(Training, theGangIsSuspendedWhenTheLastPodIsGone) {
  auto world = running(job("{}", masterAndWorkers(1)));
  world->patch<api::PyTorchJob>("ns", "job", R"({"spec":{"runPolicy":{"suspend":true}}})");
  world->settle();
  world->finishDeletions();
  world->settle();
  EXPECT_TRUE(world->gang().spec.suspended);
}

TEST(Training, aJobOfAnotherManagerIsLeftAlone) {
  World world(job(R"({"managedBy":"kueue.x-k8s.io/multikueue"})", masterAndWorkers(1)));
  EXPECT_TRUE(world.plan().empty());
}

TEST(Training, priorityComesFromItsClass) {
  World world(job(R"({"schedulingPolicy":{"priorityClass":"high","queue":"q"}})", masterAndWorkers(1)));
  world.create<api::PriorityClass>(R"({"metadata":{"name":"high"},"value":1000})");
  world.settle();
  EXPECT_EQ(world.gang().spec.priority, 1000);
  EXPECT_EQ(world.gang().spec.priorityClassName, "high");
  EXPECT_EQ(world.gang().spec.queue, "lab") << "the label goes first";
}

// ---- conditions: status_test.go
// ----------------------------------------------------------------------------------------------

TEST(TrainingStatus, conditionsReplaceEachOther) {
  api::JobStatus status;
  auto types = [&] {
    std::string out;
    for (const auto& c : status.conditions) out += c.type + "=" + c.status + " ";
    return out;
  };
  setCondition(status, kCreated, true, "JobCreated", "", kStart);
  setCondition(status, kRunning, true, "JobRunning", "", kStart);
  setCondition(status, kRestarting, true, "JobRestarting", "", kStart);
  EXPECT_EQ(types(), "Created=True Restarting=True ");
  setCondition(status, kRunning, true, "JobRunning", "", kStart);
  EXPECT_EQ(types(), "Created=True Running=True ");
  EXPECT_FALSE(setCondition(status, kRunning, true, "JobRunning", "another text", kStart + 1s));
  setCondition(status, kRunning, true, "Other", "", kStart + 1s);
  EXPECT_EQ(status.conditions.back().lastTransitionTime, kStart);
  EXPECT_EQ(status.conditions.back().lastUpdateTime, kStart + 1s);
  setCondition(status, kFailed, true, "JobFailed", "", kStart);
  EXPECT_EQ(types(), "Created=True Running=False Failed=True ");
  EXPECT_FALSE(setCondition(status, kRunning, true, "JobRunning", "", kStart)) << "nothing changes after Failed";
}

// ---- cut plans
// ---------------------------------------------------------------------------------------------------------------

/// The story of a job, told with every plan cut after `cut` writes; the end must not depend on it.
std::string story(size_t cut) {
  World world(job(R"({"backoffLimit":5,"cleanPodPolicy":"Running"})", masterAndWorkers(2)));
  world.settle(cut);
  world.place();
  world.settle(cut);
  world.allPods("Running");
  world.settle(cut);
  world.exit("job-worker-1", 1);
  world.settle(cut);
  world.phase("job-worker-1", "Running");
  world.settle(cut);
  world.patch<api::PyTorchJob>("ns", "job", R"({"spec":{"runPolicy":{"suspend":true}}})");
  world.settle(cut);
  world.finishDeletions();
  world.settle(cut);
  world.patch<api::PyTorchJob>("ns", "job", R"({"spec":{"runPolicy":{"suspend":false}}})");
  world.settle(cut);
  world.place("node-b", 2);
  world.settle(cut);
  world.finishDeletions();
  world.settle(cut);
  world.allPods("Running");
  world.settle(cut);
  world.exit("job-master-0", 0);
  world.settle(cut);
  world.finishDeletions();
  world.settle(cut);
  EXPECT_EQ(totalRestarts(readRestarts(world.theJob().metadata)), 1) << "cut after " << cut;
  return world.dump();
}
TEST(Training, aPlanMayBeCutAnywhere) {
  std::string whole = story(SIZE_MAX);
  EXPECT_NE(whole.find("Succeeded"), std::string::npos);
  for (size_t cut = 1; cut <= 12; ++cut) EXPECT_TRUE(story(cut) == whole) << "cut after " << cut;
}

}  // namespace
}  // namespace stoker::controllers::training
