#include "cli/submit.h"

#include <gtest/gtest.h>

namespace stoker::cli {
namespace {

using Words = std::vector<std::string>;

/// The job that a command line means, or the error as text.
struct Answer {
  json::Doc job;
  std::string error;
};
Answer submit(Words arguments) {
  FlagSet flags(pytorchFlags());
  auto rest = flags.parse(arguments);
  if (!rest.ok()) return {{}, rest.error().message};
  json::Arena arena;
  auto job = pytorchJob(arena, flags, *rest, {"team", "ann"});
  if (!job.ok()) return {{}, job.error().message};
  return {json::makeDoc(*job), ""};
}
Words with(Words more) {
  Words out{"--name=j", "--image=i"};
  out.insert(out.end(), more.begin(), more.end());
  out.emplace_back("python train.py");
  return out;
}

TEST(Submit, workersCountTheMaster) {
  Answer a = submit(with({"--workers=3", "--gpus=2"}));
  ASSERT_EQ(a.error, "");
  json::Value specs = a.job.root.at({"spec", "pytorchReplicaSpecs"});
  EXPECT_EQ(specs.at({"Master", "replicas"}).asInt(), 1);
  EXPECT_EQ(specs.at({"Worker", "replicas"}).asInt(), 2);
  json::Value container = specs.at({"Worker", "template", "spec", "containers"})[0];
  EXPECT_EQ(container["name"].asString(), "pytorch");
  EXPECT_EQ(json::print(container["command"]), R"(["sh","-c","python train.py"])");
  EXPECT_EQ(json::print(container["resources"]), R"({"limits":{"nvidia.com/gpu":"2"}})");
  EXPECT_EQ(a.job.root.at({"metadata", "namespace"}).asString(), "team");
  EXPECT_EQ(a.job.root.at({"metadata", "annotations", "arena.kubeflow.org/username"}).asString(), "ann");
  EXPECT_FALSE(submit(with({})).job.root.at({"spec", "pytorchReplicaSpecs"}).has("Worker"))
      << "one worker is the master alone";
}

TEST(Submit, everyFlagHasItsPlace) {
  Answer a = submit(with({"--cpu=4",
                          "--memory=8Gi",
                          "-e",
                          "A=1=2",
                          "--selector",
                          "zone=a",
                          "--toleration=all",
                          "--toleration=k=v:NoSchedule,Equal",
                          "-l",
                          "l=m",
                          "-a",
                          "x=y",
                          "--data-dir=/data",
                          "--data-dir=/host:/inside",
                          "-p",
                          "high",
                          "--retry=2",
                          "--running-timeout=1h",
                          "--ttl-after-finished=90s",
                          "--clean-task-policy=All",
                          "--hostNetwork",
                          "--image-pull-secret=s",
                          "--nproc-per-node=auto",
                          "--share-memory=1Gi",
                          "--shell=bash",
                          "--device=amd.com/gpu=1"}));
  ASSERT_EQ(a.error, "");
  EXPECT_EQ(json::print(a.job.root.at({"spec", "runPolicy"})),
            R"({"activeDeadlineSeconds":3600,"backoffLimit":2,"cleanPodPolicy":"All","ttlSecondsAfterFinished":90})");
  EXPECT_EQ(a.job.root.at({"spec", "nprocPerNode"}).asString(), "auto");
  json::Value master = a.job.root.at({"spec", "pytorchReplicaSpecs", "Master"});
  EXPECT_EQ(master["restartPolicy"].asString(), "OnFailure");
  json::Value spec = master.at({"template", "spec"});
  EXPECT_EQ(json::print(spec["tolerations"]),
            R"([{"operator":"Exists"},{"effect":"NoSchedule","key":"k","operator":"Equal","value":"v"}])");
  EXPECT_EQ(json::print(spec["nodeSelector"]), R"({"zone":"a"})");
  EXPECT_EQ(json::print(spec["imagePullSecrets"]), R"([{"name":"s"}])");
  EXPECT_EQ(spec["priorityClassName"].asString(), "high");
  EXPECT_EQ(spec["dnsPolicy"].asString(), "ClusterFirstWithHostNet");
  json::Value container = spec["containers"][0];
  EXPECT_EQ(json::print(container["env"]), R"([{"name":"A","value":"1=2"}])");
  EXPECT_EQ(json::print(container["resources"]), R"({"limits":{"amd.com/gpu":"1","cpu":"4","memory":"8Gi"}})");
  EXPECT_EQ(
      json::print(container["volumeMounts"]),
      R"([{"mountPath":"/dev/shm","name":"dshm"},{"mountPath":"/data","name":"training-data-0"},{"mountPath":"/inside","name":"training-data-1"}])");
  EXPECT_EQ(container["command"][0].asString(), "bash");
  EXPECT_EQ(master.at({"template", "metadata", "labels", "l"}).asString(), "m");
  EXPECT_EQ(master.at({"template", "metadata", "annotations", "x"}).asString(), "y");
}

TEST(Submit, aJobWithoutCardsSeesNone) {
  EXPECT_EQ(json::print(submit(with({})).job.root.at(
                {"spec", "pytorchReplicaSpecs", "Master", "template", "spec", "containers"})[0]["env"]),
            R"([{"name":"NVIDIA_VISIBLE_DEVICES","value":"void"}])");
}

struct BadCase {
  const char* name;
  Words arguments;
  const char* says;
};
class BadSubmit : public ::testing::TestWithParam<BadCase> {};
TEST_P(BadSubmit, namesTheFlag) {
  std::string error = submit(GetParam().arguments).error;
  EXPECT_NE(error.find(GetParam().says), std::string::npos) << error;
}
INSTANTIATE_TEST_SUITE_P(
    Cases, BadSubmit,
    ::testing::Values(BadCase{"noName", {"--image=i", "x"}, "--name must be set"},
                      BadCase{"noImage", {"--name=j", "x"}, "--image must be set"},
                      BadCase{"badName", {"--name=J_1", "--image=i", "x"}, "invalid --name \"J_1\""},
                      BadCase{"noCommand", {"--name=j", "--image=i"}, "the command is missing"},
                      BadCase{"noWorkers", with({"--workers=0"}), "invalid --workers 0"},
                      BadCase{"negativeGpus", with({"--gpus=-1"}), "invalid --gpus -1"},
                      BadCase{"negativeRetry", with({"--retry=-1"}), "invalid --retry -1"},
                      BadCase{"badMemory", with({"--memory=8GB"}), "invalid --memory \"8GB\""},
                      BadCase{"negativeCpu", with({"--cpu=-1"}), "invalid --cpu \"-1\""},
                      BadCase{"badPolicy", with({"--clean-task-policy=Some"}), "it must be Running, All or None"},
                      BadCase{"badEnv", with({"-e", "A"}), "invalid --env \"A\""},
                      BadCase{"badLabel", with({"-l", "=x"}), "invalid --label \"=x\""},
                      BadCase{"badEffect", with({"--toleration=k:Never"}), "the effect must be"},
                      BadCase{"badOperator", with({"--toleration=k=v,In"}), "the operator must be"},
                      BadCase{"emptyToleration", with({"--toleration=:NoSchedule"}), "it must be all, key"},
                      BadCase{"relativeDir", with({"--data-dir=data"}), "an absolute path"},
                      BadCase{"relativeInside", with({"--data-dir=/a:b"}), "an absolute path"},
                      BadCase{"workingDir", with({"--working-dir=/w"}), "--working-dir"},
                      BadCase{"hostPID", with({"--hostPID"}), "PID namespace"},
                      BadCase{"badDevice", with({"--device=gpu=1"}), "invalid --device \"gpu=1\""},
                      BadCase{"tensorboard", with({"--tensorboard"}), "--tensorboard is not supported yet"},
                      BadCase{"data", with({"--data=a:/b"}), "--data is not supported yet"},
                      BadCase{"syncMode", with({"--syncMode=git"}), "--syncMode is not supported yet"},
                      BadCase{"typo", with({"--worker=2"}), "did you mean --workers?"}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace stoker::cli
