#include "controllers/training/pytorch.h"

#include <gtest/gtest.h>

#include "controllers/training/validation.h"

namespace stoker::controllers::training {
namespace {

api::PyTorchJob jobFrom(const std::string& text) {
  json::Arena arena;
  auto parsed = json::parse(arena, text);
  EXPECT_TRUE(parsed.ok()) << text;
  return api::decode<api::PyTorchJob>(*parsed);
}

std::string template_(const std::string& container = R"({"name":"pytorch","image":"i"})") {
  return R"({"spec":{"containers":[)" + container + "]}}";
}
std::string jobText(const std::string& spec) {
  return R"({"metadata":{"name":"job","namespace":"ns"},"spec":)" + spec + "}";
}

const std::string kMasterAndTwo = R"({"pytorchReplicaSpecs":{"Master":{"replicas":1,"template":)" + template_() +
                                  R"(},"Worker":{"replicas":2,"template":)" + template_() + "}}}";

struct EnvCase {
  const char* name;
  std::string spec;
  std::string type;
  int index;
  std::vector<EnvVar> expected;
};

class PyTorchEnv : public testing::TestWithParam<EnvCase> {};
TEST_P(PyTorchEnv, matchesUpstream) {
  api::PyTorchJob job = withDefaults(jobFrom(jobText(GetParam().spec)));
  auto got = pytorchEnv(job, GetParam().type, GetParam().index);
  ASSERT_EQ(got.size(), GetParam().expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].name, GetParam().expected[i].name);
    EXPECT_EQ(got[i].value, GetParam().expected[i].value) << got[i].name;
  }
}
INSTANTIATE_TEST_SUITE_P(
    Cases, PyTorchEnv,
    testing::Values(
        EnvCase{"master and two workers: the master",
                kMasterAndTwo,
                "Master",
                0,
                {{"PYTHONUNBUFFERED", "1"},
                 {"MASTER_PORT", "23456"},
                 {"PET_MASTER_PORT", "23456"},
                 {"MASTER_ADDR", "job-master-0"},
                 {"PET_MASTER_ADDR", "job-master-0"},
                 {"WORLD_SIZE", "3"},
                 {"RANK", "0"},
                 {"PET_NODE_RANK", "0"},
                 {"PET_NPROC_PER_NODE", "auto"},
                 {"PET_NNODES", "3"}}},
        EnvCase{"master and two workers: a worker's rank is one more than its index",
                kMasterAndTwo,
                "Worker",
                1,
                {{"PYTHONUNBUFFERED", "1"},
                 {"MASTER_PORT", "23456"},
                 {"PET_MASTER_PORT", "23456"},
                 {"MASTER_ADDR", "job-master-0"},
                 {"PET_MASTER_ADDR", "job-master-0"},
                 {"WORLD_SIZE", "3"},
                 {"RANK", "2"},
                 {"PET_NODE_RANK", "2"},
                 {"PET_NPROC_PER_NODE", "auto"},
                 {"PET_NNODES", "3"}}},
        EnvCase{"a number of processes multiplies the world",
                R"({"nprocPerNode":"4","pytorchReplicaSpecs":{"Master":{"template":)" + template_() +
                    R"(},"Worker":{"replicas":3,"template":)" + template_() + "}}}",
                "Master",
                0,
                {{"PYTHONUNBUFFERED", "1"},
                 {"MASTER_PORT", "23456"},
                 {"PET_MASTER_PORT", "23456"},
                 {"MASTER_ADDR", "job-master-0"},
                 {"PET_MASTER_ADDR", "job-master-0"},
                 {"WORLD_SIZE", "16"},
                 {"RANK", "0"},
                 {"PET_NODE_RANK", "0"},
                 {"PET_NPROC_PER_NODE", "4"},
                 {"PET_NNODES", "4"}}},
        EnvCase{
            "own master port",
            R"({"pytorchReplicaSpecs":{"Master":{"template":)" +
                template_(
                    R"({"name":"pytorch","image":"i","ports":[{"name":"x","containerPort":1},{"name":"pytorchjob-port","containerPort":29500}]})") +
                "}}}",
            "Master",
            0,
            {{"PYTHONUNBUFFERED", "1"},
             {"MASTER_PORT", "29500"},
             {"PET_MASTER_PORT", "29500"},
             {"MASTER_ADDR", "job-master-0"},
             {"PET_MASTER_ADDR", "job-master-0"},
             {"WORLD_SIZE", "1"},
             {"RANK", "0"},
             {"PET_NODE_RANK", "0"},
             {"PET_NPROC_PER_NODE", "auto"},
             {"PET_NNODES", "1"}}},
        EnvCase{"workers alone have neither master nor rank",
                R"({"pytorchReplicaSpecs":{"Worker":{"replicas":2,"template":)" + template_() + "}}}",
                "Worker",
                0,
                {{"PYTHONUNBUFFERED", "1"}, {"PET_NPROC_PER_NODE", "auto"}, {"PET_NNODES", "2"}}},
        EnvCase{
            "elastic, everything given (elastic_test.go)",
            R"({"elasticPolicy":{"minReplicas":1,"maxReplicas":3,"rdzvBackend":"c10d","rdzvPort":1234,"rdzvHost":"localhost","rdzvId":"rdzv-id",
                "rdzvConf":[{"key":"rdzv-conf-name","value":"rdzv-conf-value"},{"key":"rdzv-conf-name-1","value":"rdzv-conf-value-1"}],"maxRestarts":3},
                "pytorchReplicaSpecs":{"Worker":{"replicas":1,"template":)" +
                template_() + "}}}",
            "Worker",
            0,
            {{"PYTHONUNBUFFERED", "1"},
             {"PET_NPROC_PER_NODE", "auto"},
             {"PET_RDZV_ENDPOINT", "localhost:1234"},
             {"PET_RDZV_BACKEND", "c10d"},
             {"PET_NNODES", "1:3"},
             {"PET_MAX_RESTARTS", "3"},
             {"PET_RDZV_ID", "rdzv-id"},
             {"PET_RDZV_CONF", "rdzv-conf-name=rdzv-conf-value,rdzv-conf-name-1=rdzv-conf-value-1"}}},
        EnvCase{
            "elastic, nothing given: worker 0 hosts the rendezvous",
            R"({"elasticPolicy":{"nProcPerNode":2,"standalone":true},"pytorchReplicaSpecs":{"Worker":{"replicas":2,"template":)" +
                template_() + "}}}",
            "Worker",
            1,
            {{"PYTHONUNBUFFERED", "1"},
             {"PET_RDZV_ENDPOINT", "job-worker-0:23456"},
             {"PET_RDZV_BACKEND", "c10d"},
             {"PET_NNODES", "2:2"},
             {"PET_NPROC_PER_NODE", "2"},
             {"PET_STANDALONE", ""}}}));

TEST(PyTorchDefaults, fillsInWhatIsLeftOut) {
  api::PyTorchJob job = withDefaults(
      jobFrom(jobText(R"({"pytorchReplicaSpecs":{"master":{"template":)" + template_() + R"(},"WORKER":{"template":)" +
                      template_(R"({"name":"other","image":"i"})") + "}}}")));
  ASSERT_TRUE(job.spec.pytorchReplicaSpecs.contains("Master"));
  ASSERT_TRUE(job.spec.pytorchReplicaSpecs.contains("Worker"));
  EXPECT_EQ(job.spec.pytorchReplicaSpecs["Master"].replicas, 1);
  EXPECT_EQ(job.spec.pytorchReplicaSpecs["Worker"].restartPolicy, "OnFailure");
  EXPECT_EQ(job.spec.runPolicy.cleanPodPolicy, "None");
  EXPECT_EQ(job.spec.nprocPerNode, "auto");
  // Without a container called pytorch, the first one gets the port.
  EXPECT_EQ(json::print(job.spec.pytorchReplicaSpecs["Worker"].template_.root.at({"spec", "containers"})),
            R"([{"image":"i","name":"other","ports":[{"containerPort":23456,"name":"pytorchjob-port"}]}])");
}

struct ElasticCase {
  const char* name;
  std::string policy;
  int min, max;
};
class PyTorchElasticDefaults : public testing::TestWithParam<ElasticCase> {};
TEST_P(PyTorchElasticDefaults, matchUpstream) {
  api::PyTorchJob job = withDefaults(
      jobFrom(jobText(R"({"elasticPolicy":)" + GetParam().policy +
                      R"(,"pytorchReplicaSpecs":{"Worker":{"replicas":1,"template":)" + template_() + "}}}")));
  EXPECT_EQ(job.spec.elasticPolicy->minReplicas, GetParam().min);
  EXPECT_EQ(job.spec.elasticPolicy->maxReplicas, GetParam().max);
}
INSTANTIATE_TEST_SUITE_P(Cases, PyTorchElasticDefaults,
                         testing::Values(ElasticCase{"both null", R"({"rdzvBackend":"c10d"})", 1, 1},
                                         ElasticCase{"both given", R"({"minReplicas":1,"maxReplicas":3})", 1, 3},
                                         ElasticCase{"min null", R"({"maxReplicas":2})", 2, 2},
                                         ElasticCase{"max null", R"({"minReplicas":2})", 2, 2}));

TEST(PyTorchInitContainer, onlyWorkersOfAJobWithAMasterWait) {
  json::Arena arena;
  api::PyTorchJob job = withDefaults(jobFrom(jobText(kMasterAndTwo)));
  json::Value spec = *json::parse(
      arena,
      R"({"containers":[{"name":"pytorch","env":[{"name":"A","value":"b"}]},{"name":"side"}],"initContainers":[{"name":"mine"}]})");
  json::Value worker = pytorchPodSpec(arena, job, "Worker", 0, spec);
  ASSERT_EQ(worker["initContainers"].size(), 2u);
  EXPECT_EQ(
      json::print(worker["initContainers"][1]),
      R"({"command":["sh","-c","err=1;for i in $(seq 100); do if nslookup job-master-0; then err=0 && break; fi;echo waiting for master; sleep 2; done; exit $err"],)"
      R"("image":"alpine:3.10","imagePullPolicy":"IfNotPresent","name":"init-pytorch","resources":{"limits":{"cpu":"100m","memory":"20Mi"},"requests":{"cpu":"50m","memory":"10Mi"}}})");
  EXPECT_EQ(worker["containers"][0]["env"][0]["name"].asString(), "A");
  EXPECT_EQ(worker["containers"][0]["env"].size(), 11u);
  EXPECT_EQ(worker["containers"][1]["env"].size(), 10u);
  EXPECT_EQ(pytorchPodSpec(arena, job, "Master", 0, spec)["initContainers"].size(), 1u);
  api::PyTorchJob alone =
      withDefaults(jobFrom(jobText(R"({"pytorchReplicaSpecs":{"Worker":{"template":)" + template_() + "}}}")));
  EXPECT_EQ(pytorchPodSpec(arena, alone, "Worker", 0, spec)["initContainers"].size(), 1u);
}

TEST(PyTorchWorkload, minAvailableCountsTheMasterFirst) {
  Workload job = readPyTorchJob(jobFrom(
      jobText(R"({"runPolicy":{"schedulingPolicy":{"minAvailable":2}},"pytorchReplicaSpecs":{"Master":{"template":)" +
              template_() + R"(},"Worker":{"replicas":4,"template":)" + template_() + "}}}")));
  ASSERT_EQ(job.roles.size(), 2u);
  EXPECT_EQ(job.roles[0].minCount, 1);
  EXPECT_EQ(job.roles[1].minCount, 1);
  EXPECT_EQ(job.roles[1].count, 4);
}

// ---- validation: pytorchjob_webhook_test.go
// --------------------------------------------------------------------------------

struct ValidationCase {
  const char* name;
  std::string job, old;
  std::vector<Cause> expected;
};
class PyTorchValidation : public testing::TestWithParam<ValidationCase> {};
TEST_P(PyTorchValidation, matchesUpstream) {
  json::Arena arena;
  auto job = json::parse(arena, GetParam().job);
  ASSERT_TRUE(job.ok()) << GetParam().job;
  json::Value old = GetParam().old.empty() ? json::Value() : *json::parse(arena, GetParam().old);
  auto got = validatePyTorchJob(*job, old);
  ASSERT_EQ(got.size(), GetParam().expected.size())
      << GetParam().name << (got.empty() ? "" : ": " + got[0].field + " " + got[0].message);
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].type, GetParam().expected[i].type) << GetParam().name;
    EXPECT_EQ(got[i].message, GetParam().expected[i].message) << GetParam().name;
    EXPECT_EQ(got[i].field, GetParam().expected[i].field) << GetParam().name;
  }
}
std::string withName(const std::string& name, const std::string& spec) {
  return R"({"metadata":{"name":")" + name + R"("},"spec":)" + spec + "}";
}
const std::string kBoth = R"("pytorchReplicaSpecs":{"Master":{"replicas":1,"template":)" + template_() +
                          R"(},"Worker":{"replicas":1,"template":)" + template_() + "}}";
std::string workerOnly(const std::string& container) {
  return R"({"pytorchReplicaSpecs":{"Worker":{"template":)" + template_(container) + "}}}";
}
const std::string kWorkerContainers = "spec.pytorchReplicaSpecs[Worker].template.spec.containers";

INSTANTIATE_TEST_SUITE_P(
    Cases, PyTorchValidation,
    testing::Values(
        ValidationCase{
            "valid",
            withName(
                "test",
                R"({"runPolicy":{"managedBy":"kubeflow.org/training-operator"},"elasticPolicy":{"rdzvBackend":"c10d"},)" +
                    kBoth + "}"),
            "",
            {}},
        ValidationCase{"name does not meet DNS-1035",
                       withName("0-test", "{" + kBoth + "}"),
                       "",
                       {{"FieldValueInvalid",
                         "Invalid value: \"0-test\": should match: a DNS-1035 label must consist of lower case "
                         "alphanumeric characters or '-', start with an alphabetic character, and "
                         "end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation "
                         "is '[a-z]([-a-z0-9]*[a-z0-9])?')",
                         "metadata.name"}}},
        ValidationCase{"no containers",
                       withName("test", workerOnly("")),
                       "",
                       {{"FieldValueRequired", "Required value: must be specified", kWorkerContainers},
                        {"FieldValueRequired", "Required value: must have at least one container with name pytorch",
                         kWorkerContainers}}},
        ValidationCase{"image is empty",
                       withName("test", workerOnly(R"({"name":"pytorch","image":""})")),
                       "",
                       {{"FieldValueRequired", "Required value: must be required", kWorkerContainers + "[0].image"}}},
        ValidationCase{"default container is not there",
                       withName("test", workerOnly(R"({"name":"","image":"i"})")),
                       "",
                       {{"FieldValueRequired", "Required value: must have at least one container with name pytorch",
                         kWorkerContainers}}},
        ValidationCase{
            "two masters",
            withName("test", R"({"pytorchReplicaSpecs":{"Master":{"replicas":2,"template":)" + template_() + "}}}"),
            "",
            {{"FieldValueForbidden", "Forbidden: must be 1", "spec.pytorchReplicaSpecs[Master].replicas"}}},
        ValidationCase{"elastic nProcPerNode alone is deprecated but fine",
                       withName("test", R"({"elasticPolicy":{"nProcPerNode":1},)" + kBoth + "}"),
                       "",
                       {}},
        ValidationCase{"both ways to say processes per node",
                       withName("test", R"({"nprocPerNode":"1","elasticPolicy":{"nProcPerNode":1},)" + kBoth + "}"),
                       "",
                       {{"FieldValueForbidden", "Forbidden: must not be used with spec.nprocPerNode",
                         "spec.elasticPolicy.nProcPerNode"}}},
        ValidationCase{"unknown manager",
                       withName("test", R"({"runPolicy":{"managedBy":"other-job-controller"},)" + kBoth + "}"),
                       "",
                       {{"FieldValueNotSupported",
                         "Unsupported value: \"other-job-controller\": supported values: "
                         "\"kubeflow.org/training-operator\", \"kueue.x-k8s.io/multikueue\"",
                         "spec.runPolicy.managedBy"}}},
        ValidationCase{
            "manager changed",
            withName("test", R"({"runPolicy":{"managedBy":"kueue.x-k8s.io/multikueue"},)" + kBoth + "}"),
            withName("test", R"({"runPolicy":{"managedBy":"kubeflow.org/training-operator"},)" + kBoth + "}"),
            {{"FieldValueInvalid", "Invalid value: \"kueue.x-k8s.io/multikueue\": field is immutable",
              "spec.runPolicy.managedBy"}}},
        ValidationCase{
            "queue changed",
            withName("test", R"({"runPolicy":{"schedulingPolicy":{"queue":"test"}},)" + kBoth + "}"),
            withName("test", R"({"runPolicy":{"schedulingPolicy":{"queue":"initial-queue"}},)" + kBoth + "}"),
            {{"FieldValueInvalid", "Invalid value: \"test\": spec.runPolicy.schedulingPolicy.queue is immutable",
              "spec.runPolicy.schedulingPolicy.queue"}}},
        ValidationCase{
            "elastic without workers",
            withName("test", R"({"elasticPolicy":{},"pytorchReplicaSpecs":{"Master":{"replicas":1,"template":)" +
                                 template_() + "}}}"),
            "",
            {{"FieldValueRequired", "Required value: must be configured if elastic policy is used",
              "spec.pytorchReplicaSpecs[Worker]"}}},
        ValidationCase{
            "no workers wanted",
            withName("test", R"({"pytorchReplicaSpecs":{"Worker":{"replicas":0,"template":)" + template_() + "}}}"),
            "",
            {{"FieldValueForbidden", "Forbidden: must be at least 1", "spec.pytorchReplicaSpecs[Worker].replicas"}}},
        ValidationCase{
            "unknown replica type",
            withName("test", R"({"pytorchReplicaSpecs":{"PS":{"template":)" + template_() + "}}}"),
            "",
            {{"FieldValueNotSupported", "Unsupported value: \"PS\": supported values: \"Master\", \"Worker\"",
              "spec.pytorchReplicaSpecs[PS]"}}},
        ValidationCase{"no replica specs",
                       withName("test", R"({"nprocPerNode":"1"})"),
                       "",
                       {{"FieldValueRequired", "Required value: must be required", "spec.pytorchReplicaSpecs"}}},
        ValidationCase{"pod names would be too long",
                       withName(std::string(55, 'a'), "{" + kBoth + "}"),
                       "",
                       {{"FieldValueInvalid",
                         "Invalid value: \"" + std::string(55, 'a') + "\": its pod " + std::string(55, 'a') +
                             "-master-0 would have 64 characters; names of pods may have 63: use a name of at most 54",
                         "metadata.name"},
                        {"FieldValueInvalid",
                         "Invalid value: \"" + std::string(55, 'a') + "\": its pod " + std::string(55, 'a') +
                             "-worker-0 would have 64 characters; names of pods may have 63: use a name of at most 54",
                         "metadata.name"}}}));

}  // namespace
}  // namespace stoker::controllers::training
