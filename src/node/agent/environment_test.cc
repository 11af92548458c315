#include "node/agent/environment.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "node/agent/container_spec.h"

namespace stoker::node {
namespace {

podspec::Pod podFrom(const std::string& text) {
  auto doc = json::parseDoc(text);
  EXPECT_TRUE(doc.ok()) << (doc.ok() ? "" : doc.error().message);
  return api::decode<podspec::Pod>(doc->root);
}

podspec::Pod podWith(const std::string& container) {
  return podFrom(
      R"({"metadata":{"name":"p","namespace":"ns","uid":"u","labels":{"app":"x"},"annotations":{"a":"line\n2"}},
      "spec":{"nodeName":"n1","serviceAccountName":"sa","containers":[{"name":"c",)" +
      container + "}]}}");
}

PodFacts facts() {
  PodFacts out;
  out.podIp = "10.1.0.2";
  out.hostIp = "10.0.0.1";
  out.allocatable = amountsOf({{"cpu", "4"}, {"memory", "8Gi"}});
  out.services = {{"KUBERNETES_SERVICE_HOST", "10.1.0.1"}, {"X_SERVICE_HOST", "10.2.0.1"}};
  out.references.configMaps["conf"] = ObjectData{{"a", "1"}, {"bad=key", "2"}};
  out.references.configMaps["gone"] = std::nullopt;
  out.references.secrets["sec"] = ObjectData{{"p", "s3"}};
  return out;
}

struct ExpandCase {
  const char* name;
  std::string text, expected;
};
class Expand : public ::testing::TestWithParam<ExpandCase> {};
TEST_P(Expand, asUpstream) {
  EXPECT_EQ(expand(GetParam().text, {{"A", "1"}, {"B", "$(A)"}, {"E", ""}}), GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, Expand,
    ::testing::Values(ExpandCase{"a known name", "x$(A)y", "x1y"}, ExpandCase{"an unknown name stays", "$(Z)", "$(Z)"},
                      ExpandCase{"doubled dollar", "$$(A)", "$(A)"}, ExpandCase{"thrice", "$$$(A)", "$1"},
                      ExpandCase{"values are not expanded again", "$(B)", "$(A)"},
                      ExpandCase{"empty value", "[$(E)]", "[]"}, ExpandCase{"open end", "$(A", "$(A"},
                      ExpandCase{"dollar at the end", "a$", "a$"},
                      ExpandCase{"shell style stays", "$A ${A}", "$A ${A}"},
                      ExpandCase{"nested parentheses", "$(A$(A))", "$(A$(A))"},
                      ExpandCase{"empty name", "$()", "$()"}));

struct EnvCase {
  const char* name;
  std::string container;
  std::string variable;
  std::optional<std::string> expected;
  std::string error = {};
};
void PrintTo(const EnvCase& c, std::ostream* out) { *out << c.name; }
class Env : public ::testing::TestWithParam<EnvCase> {};
TEST_P(Env, asKubelet) {
  auto pod = podWith(GetParam().container);
  auto environment = containerEnvironment(pod, pod.spec.containers[0], facts());
  if (!GetParam().error.empty()) {
    ASSERT_FALSE(environment.ok());
    EXPECT_EQ(environment.error().message, GetParam().error);
    return;
  }
  ASSERT_TRUE(environment.ok()) << environment.error().message;
  auto it = environment->byName.find(GetParam().variable);
  EXPECT_EQ(it == environment->byName.end() ? std::nullopt : std::optional(it->second), GetParam().expected);
}
std::string var(const std::string& source) { return R"("env":[{"name":"V","valueFrom":{)" + source + "}}]"; }
INSTANTIATE_TEST_SUITE_P(
    Cases, Env,
    ::testing::Values(
        EnvCase{"plain", R"("env":[{"name":"V","value":"1"}])", "V", "1"},
        EnvCase{"sees earlier ones",
                R"x("env":[{"name":"A","value":"1"},{"name":"V","value":"$(A)$(B)"},{"name":"B","value":"2"}])x", "V",
                "1$(B)"},
        EnvCase{"sees services", R"x("env":[{"name":"V","value":"$(KUBERNETES_SERVICE_HOST)"}])x", "V", "10.1.0.1"},
        EnvCase{"services are there", R"("env":[])", "X_SERVICE_HOST", "10.2.0.1"},
        EnvCase{"and overridden", R"("env":[{"name":"X_SERVICE_HOST","value":"mine"}])", "X_SERVICE_HOST", "mine"},
        EnvCase{"name", var(R"("fieldRef":{"fieldPath":"metadata.name"})"), "V", "p"},
        EnvCase{"label", var(R"("fieldRef":{"fieldPath":"metadata.labels['app']"})"), "V", "x"},
        EnvCase{"missing label is empty", var(R"("fieldRef":{"fieldPath":"metadata.labels['no']"})"), "V", ""},
        EnvCase{"pod ip", var(R"("fieldRef":{"fieldPath":"status.podIP"})"), "V", "10.1.0.2"},
        EnvCase{"host ip", var(R"("fieldRef":{"fieldPath":"status.hostIP"})"), "V", "10.0.0.1"},
        EnvCase{"node", var(R"("fieldRef":{"fieldPath":"spec.nodeName"})"), "V", "n1"},
        EnvCase{"account", var(R"("fieldRef":{"fieldPath":"spec.serviceAccountName"})"), "V", "sa"},
        EnvCase{"all labels only as a volume",
                var(R"("fieldRef":{"fieldPath":"metadata.labels"})"),
                "V",
                {},
                "unsupported fieldPath: metadata.labels"},
        EnvCase{"cpu limit rounds up",
                R"("resources":{"limits":{"cpu":"1500m"}},)" + var(R"("resourceFieldRef":{"resource":"limits.cpu"})"),
                "V", "2"},
        EnvCase{"cpu in millis",
                R"("resources":{"limits":{"cpu":"1500m"}},)" +
                    var(R"("resourceFieldRef":{"resource":"limits.cpu","divisor":"1m"})"),
                "V", "1500"},
        EnvCase{"memory by Mi",
                R"("resources":{"requests":{"memory":"1Gi"}},)" +
                    var(R"("resourceFieldRef":{"resource":"requests.memory","divisor":"1Mi"})"),
                "V", "1024"},
        EnvCase{"no limit is the node's", var(R"("resourceFieldRef":{"resource":"limits.cpu"})"), "V", "4"},
        EnvCase{"config map key", var(R"("configMapKeyRef":{"name":"conf","key":"a"})"), "V", "1"},
        EnvCase{"secret key", var(R"("secretKeyRef":{"name":"sec","key":"p"})"), "V", "s3"},
        EnvCase{"missing config map",
                var(R"("configMapKeyRef":{"name":"gone","key":"a"})"),
                "V",
                {},
                "configmap \"gone\" not found"},
        EnvCase{"missing key",
                var(R"("configMapKeyRef":{"name":"conf","key":"z"})"),
                "V",
                {},
                "couldn't find key z in ConfigMap ns/conf"},
        EnvCase{"missing secret key",
                var(R"("secretKeyRef":{"name":"sec","key":"z"})"),
                "V",
                {},
                "couldn't find key z in Secret ns/sec"},
        EnvCase{"optional and missing", var(R"("configMapKeyRef":{"name":"gone","key":"a","optional":true})"), "V",
                std::nullopt},
        EnvCase{"envFrom with prefix", R"("envFrom":[{"prefix":"P_","configMapRef":{"name":"conf"}}])", "P_a", "1"},
        EnvCase{"env over envFrom", R"("envFrom":[{"configMapRef":{"name":"conf"}}],"env":[{"name":"a","value":"9"}])",
                "a", "9"},
        EnvCase{"envFrom missing", R"("envFrom":[{"secretRef":{"name":"no"}}])", "a", {}, "secret \"no\" not found"},
        EnvCase{"envFrom optional", R"("envFrom":[{"secretRef":{"name":"no","optional":true}}])", "a", std::nullopt}));

TEST(Env, keysThatAreNoNamesAreSkippedAndNamed) {
  auto pod = podWith(R"("envFrom":[{"configMapRef":{"name":"conf"}}])");
  auto environment = containerEnvironment(pod, pod.spec.containers[0], facts());
  ASSERT_TRUE(environment.ok());
  EXPECT_EQ(environment->skipped, std::vector<std::string>{"conf/bad=key"});
}

TEST(ServiceVariables, asUpstream) {
  Variables out;
  addServiceVariables(
      out, "my-db", "10.3.0.1",
      {{.name = "pg-main", .protocol = "TCP", .port = 5432}, {.name = "dns", .protocol = "UDP", .port = 53}});
  EXPECT_EQ(out["MY_DB_SERVICE_HOST"], "10.3.0.1");
  EXPECT_EQ(out["MY_DB_SERVICE_PORT"], "5432");
  EXPECT_EQ(out["MY_DB_SERVICE_PORT_PG_MAIN"], "5432");
  EXPECT_EQ(out["MY_DB_PORT"], "tcp://10.3.0.1:5432");
  EXPECT_EQ(out["MY_DB_PORT_53_UDP"], "udp://10.3.0.1:53");
  Variables headless;
  addServiceVariables(headless, "h", "None", {{.port = 1}});
  EXPECT_TRUE(headless.empty());
}

// ---- volumes
// -------------------------------------------------------------------------------------------------------------

struct VolumeCase {
  const char* name;
  std::string volume;
  std::map<std::string, std::string> files;
  std::string error = {};
};
void PrintTo(const VolumeCase& c, std::ostream* out) { *out << c.name; }
class Volumes : public ::testing::TestWithParam<VolumeCase> {};
TEST_P(Volumes, planned) {
  auto pod = podFrom(
      R"({"metadata":{"name":"p","namespace":"ns","labels":{"a":"1","b":"x\"y"}},"spec":{"volumes":[{"name":"v",)" +
      GetParam().volume + R"(}],"containers":[{"name":"c","resources":{"limits":{"cpu":"2"}}}]}})");
  auto with = facts();
  with.references.tokens["v/token"] = "T";
  auto plans = planVolumes(pod, with, "/root", "/memory");
  if (!GetParam().error.empty()) {
    ASSERT_FALSE(plans.ok());
    EXPECT_EQ(plans.error().message, GetParam().error);
    return;
  }
  ASSERT_TRUE(plans.ok()) << plans.error().message;
  const VolumePlan& plan = (*plans)[0];
  if (plan.kind == VolumePlan::Kind::HostPath) return;
  EXPECT_EQ(plan.path, hasApiContent(plan) ? "/memory/v" : "/root/v");
  std::map<std::string, std::string> files;
  for (const auto& file : (*plans)[0].files) files[fmt::format("{}:{:o}", file.path, file.mode)] = file.content;
  EXPECT_EQ(files, GetParam().files);
}
using Map = std::map<std::string, std::string>;
INSTANTIATE_TEST_SUITE_P(
    Cases, Volumes,
    ::testing::Values(
        VolumeCase{"config map", R"("configMap":{"name":"conf"})", Map{{"a:644", "1"}, {"bad=key:644", "2"}}},
        VolumeCase{
            "items and modes",
            R"("configMap":{"name":"conf","defaultMode":256,"items":[{"key":"a","path":"d/x"},{"key":"a","path":"y","mode":511}]})",
            Map{{"d/x:400", "1"}, {"y:777", "1"}}},
        VolumeCase{"missing", R"("configMap":{"name":"gone"})", {}, "configmap \"gone\" not found"},
        VolumeCase{"missing and optional", R"("configMap":{"name":"gone","optional":true})", {}},
        VolumeCase{"missing key",
                   R"("secret":{"secretName":"sec","items":[{"key":"z","path":"z"}]})",
                   {},
                   "secret references non-existent secret key: z"},
        VolumeCase{"secret", R"("secret":{"secretName":"sec"})", Map{{"p:644", "s3"}}},
        VolumeCase{"path that leaves",
                   R"("configMap":{"name":"conf","items":[{"key":"a","path":"../x"}]})",
                   {},
                   "volume \"v\": path \"../x\" must be relative and stay inside the volume (no \"..\")"},
        VolumeCase{
            "downward",
            R"("downwardAPI":{"items":[{"path":"l","fieldRef":{"fieldPath":"metadata.labels"}},{"path":"c","resourceFieldRef":{"containerName":"c","resource":"limits.cpu"}}]})",
            Map{{"l:644", "a=\"1\"\nb=\"x\\\"y\""}, {"c:644", "2"}}},
        VolumeCase{
            "service account",
            R"("projected":{"sources":[{"serviceAccountToken":{"path":"token"}},{"configMap":{"name":"conf","items":[{"key":"a","path":"ca.crt"}]}},{"downwardAPI":{"items":[{"path":"namespace","fieldRef":{"fieldPath":"metadata.namespace"}}]}}]})",
            Map{{"token:600", "T"}, {"ca.crt:644", "1"}, {"namespace:644", "ns"}}},
        VolumeCase{"claims are refused",
                   R"("persistentVolumeClaim":{"claimName":"x"})",
                   {},
                   "volume \"v\": persistentVolumeClaim is not supported by this node; use emptyDir, hostPath, "
                   "configMap, secret, downwardAPI or projected"}));

// ---- containers
// ----------------------------------------------------------------------------------------------------------

ImageMap testImages() {
  auto doc = json::parseDoc(
      R"({"images":[{"image":"py:*","root":"/roots/py","env":{"A":"image","B":"image"},"command":["python3"],"args":["-V"],"workingDir":"/w"}]})");
  auto map = ImageMap::fromJson(doc->root);
  EXPECT_TRUE(map.ok());
  return *map;
}

std::variant<ContainerSpec, StartProblem> made(const std::string& container, const std::string& annotations = "") {
  NoFiles files;
  auto pod = podFrom(
      R"({"metadata":{"name":"p","namespace":"ns","uid":"u","annotations":{)" + annotations +
      R"(}},"spec":{"securityContext":{"runAsUser":7,"fsGroup":9},"volumes":[{"name":"v","emptyDir":{}}],"containers":[{"name":"c",)" +
      container + "}]}}");
  ImageMap images = testImages();
  return makeContainerSpec(files, pod, pod.spec.containers[0], facts(), {{.name = "v", .path = "/pods/v"}},
                           {.images = &images, .appletProgram = "/usr/bin/stoker", .logPath = "/l"});
}
bool has(const ContainerSpec& spec, const std::string& variable) {
  return std::find(spec.env.begin(), spec.env.end(), variable) != spec.env.end();
}

TEST(ContainerSpecs, theImageGivesWhatThePodLeavesOpen) {
  auto spec = std::get<ContainerSpec>(made(R"("image":"py:3","env":[{"name":"A","value":"pod"}])"));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"python3", "-V"}));
  EXPECT_EQ(spec.root.directory, "/roots/py");
  EXPECT_EQ(spec.workingDir, "/w");
  EXPECT_TRUE(has(spec, "A=pod") && has(spec, "B=image") && !has(spec, "A=image"));
  EXPECT_EQ(spec.uid, 7u);
  EXPECT_EQ(spec.supplementaryGroups, std::vector<uint32_t>{9});
  spec = std::get<ContainerSpec>(made(R"("image":"py:3","args":["x.py"])"));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"python3", "x.py"}));
  spec = std::get<ContainerSpec>(made(R"x("image":"py:3","command":["sh","$(KUBERNETES_SERVICE_HOST)"])x"));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"sh", "10.1.0.1"}));
}

TEST(ContainerSpecs, trainingOperatorsInitContainerGetsOurNslookup) {
  auto spec = std::get<ContainerSpec>(made(R"("image":"alpine:3.10","command":["sh"])"));
  bool first = false;
  for (const auto& variable : spec.env) first = first || variable.starts_with("PATH=/run/stoker/applets:");
  EXPECT_TRUE(first);
  ASSERT_EQ(spec.mounts.size(), 1u);
  EXPECT_EQ(spec.mounts[0].target, "/run/stoker/applets/nslookup");
}

TEST(ContainerSpecs, problemsHaveKubeletsReasons) {
  EXPECT_EQ(std::get<StartProblem>(made(R"("image":"unknown")")).reason, "CreateContainerError");
  EXPECT_EQ(std::get<StartProblem>(
                made(R"("image":"x","command":["a"],"securityContext":{"runAsUser":0,"runAsNonRoot":true})"))
                .reason,
            "CreateContainerConfigError");
  EXPECT_EQ(
      std::get<StartProblem>(made(R"("image":"x","command":["a"],"volumeMounts":[{"name":"w","mountPath":"/w"}])"))
          .message,
      "volumeMounts: volume \"w\" is not in spec.volumes");
}

TEST(ContainerSpecs, mountsWithSubPaths) {
  auto spec = std::get<ContainerSpec>(made(R"("image":"x","command":["a"],"env":[{"name":"N","value":"d"}],
      "volumeMounts":[{"name":"v","mountPath":"/a"},{"name":"v","mountPath":"/b","subPathExpr":"$(N)/e","readOnly":true}])"));
  ASSERT_EQ(spec.mounts.size(), 2u);
  EXPECT_EQ(spec.mounts[1].source, "/pods/v/d/e");
  EXPECT_TRUE(spec.mounts[1].readOnly);
  EXPECT_TRUE(std::holds_alternative<StartProblem>(
      made(R"("image":"x","command":["a"],"volumeMounts":[{"name":"v","mountPath":"/a","subPath":"../x"}])")));
}

TEST(ContainerSpecs, memoryThatCannotBeSharedIsTheContainersOwn) {
  NoFiles files;
  podspec::Container container;
  container.volumeMounts = {{.name = "shm", .mountPath = "/dev/shm"}};
  VolumePlan plan{
      .name = "shm", .kind = VolumePlan::Kind::Memory, .path = "/p", .sizeBytes = 7, .users = 1, .perContainer = true};
  auto mounts = containerMounts(files, container, {plan}, {});
  ASSERT_TRUE(mounts.ok());
  EXPECT_EQ((*mounts)[0], (Mount{.kind = Mount::Kind::Tmpfs, .target = "/dev/shm", .sizeBytes = 7}));
}

TEST(ContainerSpecs, cards) {
  std::string gpus = R"("image":"x","command":["a"],"resources":{"limits":{"nvidia.com/gpu":"2"}})";
  EXPECT_TRUE(has(std::get<ContainerSpec>(made(gpus, R"("stoker.dev/cards":"nvidia.com/gpu=3,5;rdma/hca=1")")),
                  "NVIDIA_VISIBLE_DEVICES=3,5"));
  EXPECT_TRUE(std::holds_alternative<StartProblem>(made(gpus, R"("stoker.dev/cards":"nvidia.com/gpu=3")")));
}

TEST(Sandbox, dnsAndNames) {
  auto pod = podFrom(
      R"({"metadata":{"name":"p","namespace":"ns","uid":"u"},"spec":{"hostname":"h","subdomain":"s","dnsConfig":{"searches":["x.y"],"options":[{"name":"ndots","value":"2"},{"name":"rotate"}]},"containers":[]}})");
  auto spec = makeSandboxSpec(pod, {.dnsServer = "10.1.0.1"});
  EXPECT_EQ(spec.fqdn, "h.s.ns.svc.cluster.local");
  EXPECT_EQ(spec.dnsServers, std::vector<std::string>{"10.1.0.1"});
  EXPECT_EQ(spec.dnsSearches,
            (std::vector<std::string>{"ns.svc.cluster.local", "svc.cluster.local", "cluster.local", "x.y"}));
  EXPECT_EQ(spec.dnsOptions, (std::vector<std::string>{"ndots:2", "rotate"}));
  pod.spec.hostNetwork = true;
  EXPECT_TRUE(makeSandboxSpec(pod, {.dnsServer = "10.1.0.1"}).dnsServers.empty());
  pod.metadata.name = std::string(62, 'a') + "-bcd";
  pod.spec.hostname.clear();
  EXPECT_EQ(makeSandboxSpec(pod, {}).hostname, std::string(62, 'a'));
}

}  // namespace
}  // namespace stoker::node
