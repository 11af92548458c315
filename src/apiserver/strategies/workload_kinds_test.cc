// Jobs, Secrets, ConfigMaps, volumes, priority classes, records, roles.

#include <fmt/format.h>

#include "apiserver/strategies/strategy_test_util.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kJobs = "batch/v1/jobs";
constexpr const char* kPodPart =
    R"("template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i:1"}]}})";

class JobTest : public StrategyTest {
 protected:
  std::string createJob(const std::string& spec, const std::string& name = "a") {
    return create(kJobs, fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{{{}}}}})", name, spec));
  }
  std::string spec(std::string_view field, const std::string& name = "a") { return at(kJobs, name, {"spec", field}); }
};

TEST_F(JobTest, createFillsInWhatUpstreamFillsIn) {
  ASSERT_EQ(createJob(kPodPart), "");
  std::string uid = get(kJobs, "a").root.at({"metadata", "uid"}).str();
  EXPECT_EQ(spec("completions"), "1");
  EXPECT_EQ(spec("parallelism"), "1");
  EXPECT_EQ(spec("backoffLimit"), "6");
  EXPECT_EQ(spec("completionMode"), "\"NonIndexed\"");
  EXPECT_EQ(spec("suspend"), "false");
  EXPECT_EQ(spec("podReplacementPolicy"), "\"TerminatingOrFailed\"");
  EXPECT_EQ(spec("selector"), fmt::format(R"({{"matchLabels":{{"batch.kubernetes.io/controller-uid":"{}"}}}})", uid));
  std::string labels = fmt::format(
      R"({{"batch.kubernetes.io/controller-uid":"{0}","batch.kubernetes.io/job-name":"a","controller-uid":"{0}","job-name":"a"}})",
      uid);
  EXPECT_EQ(at(kJobs, "a", {"spec", "template", "metadata", "labels"}), labels);
  EXPECT_EQ(at(kJobs, "a", {"metadata", "labels"}), labels);
  EXPECT_EQ(at(kJobs, "a", {"metadata", "generation"}), "1");
  EXPECT_EQ(get(kJobs, "a").root.at({"spec", "template", "spec"})["containers"][0]["imagePullPolicy"].asString(),
            "IfNotPresent");
}

TEST_F(JobTest, countsFollowEachOther) {
  ASSERT_EQ(createJob(fmt::format(R"("parallelism":3,{})", kPodPart)), "");
  EXPECT_EQ(spec("completions"), "null");
  ASSERT_EQ(
      createJob(fmt::format(R"("completions":2,"completionMode":"Indexed","backoffLimitPerIndex":1,{})", kPodPart),
                "b"),
      "");
  EXPECT_EQ(spec("backoffLimit", "b"), "2147483647");
}

TEST_F(JobTest, refusesWithUpstreamsWords) {
  struct Case {
    const char* spec;
    const char* message;
  };
  for (
      const Case& c : {
          Case{R"("parallelism":1)",
               "[spec.template.spec.containers: Required value, spec.template.spec.restartPolicy: Required value: "
               "valid values: "},
          Case{R"("template":{"spec":{"containers":[{"name":"c","image":"i"}]}})",
               "Job.batch \"a\" is invalid: spec.template.spec.restartPolicy: Required value: valid values: "
               "\"OnFailure\", \"Never\""},
          Case{R"("template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c"}]}})",
               "spec.template.spec.containers[0].image: Required value"},
          Case{
              R"("completionMode":"Indexed","template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}})",
              "spec.completions: Required value: when completion mode is Indexed"},
          Case{
              R"("backoffLimitPerIndex":1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}})",
              "requires indexed completion mode"},
          Case{
              R"("selector":{"matchLabels":{"x":"y"}},"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}})",
              "`selector` not auto-generated"},
          Case{
              R"("manualSelector":true,"selector":{"matchLabels":{"x":"y"}},"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}})",
              "`selector` does not match template `labels`"},
          Case{
              R"("parallelism":-1,"template":{"spec":{"restartPolicy":"Never","containers":[{"name":"c","image":"i"}]}})",
              "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"},
      }) {
    std::string said = createJob(c.spec);
    EXPECT_NE(said.find(c.message), std::string::npos) << c.spec << "\n  gave: " << said;
  }
}

TEST_F(JobTest, theTemplateStaysUnlessItNeverRan) {
  ASSERT_EQ(createJob(kPodPart), "");
  EXPECT_EQ(patch(kJobs, "a", R"({"spec":{"parallelism":2,"suspend":true}})"), "");
  EXPECT_EQ(at(kJobs, "a", {"metadata", "generation"}), "2");
  EXPECT_NE(
      patch(kJobs, "a", R"({"spec":{"completions":3}})").find("spec.completions: Invalid value: 3: field is immutable"),
      std::string::npos);
  EXPECT_EQ(patch(kJobs, "a", R"({"spec":{"template":{"spec":{"nodeSelector":{"x":"y"}}}}})"), "");
  EXPECT_NE(patch(kJobs, "a", R"({"spec":{"template":{"spec":{"hostNetwork":true}}}})")
                .find("spec.template: Invalid value: "),
            std::string::npos);
  ASSERT_EQ(patch(kJobs, "a", R"({"status":{"startTime":"2026-11-25T10:00:00Z"}})", "status"), "");
  EXPECT_NE(
      patch(kJobs, "a", R"({"spec":{"template":{"spec":{"nodeSelector":{"x":"z"}}}}})").find("field is immutable"),
      std::string::npos);
}

TEST_F(JobTest, replacingWithItsOwnFileChangesNothing) {
  ASSERT_EQ(createJob(kPodPart), "");
  auto before = store_->revision();
  EXPECT_EQ(problem(write(Verb::Update, target(kJobs, "a"),
                          fmt::format(R"({{"metadata":{{"name":"a","labels":{}}},"spec":{{{}}}}})",
                                      at(kJobs, "a", {"metadata", "labels"}), kPodPart))),
            "");
  EXPECT_EQ(store_->revision(), before);
}

using ConfigTest = StrategyTest;

TEST_F(ConfigTest, secretsTakePlainTextAndKeepTheirType) {
  ASSERT_EQ(create("v1/secrets", R"({"metadata":{"name":"a"},"data":{"x":"eA=="},"stringData":{"y":"why"}})"), "");
  EXPECT_EQ(at("v1/secrets", "a", {"type"}), "\"Opaque\"");
  EXPECT_EQ(at("v1/secrets", "a", {"data"}), R"({"x":"eA==","y":"d2h5"})");
  EXPECT_EQ(at("v1/secrets", "a", {"stringData"}), "null");
  EXPECT_EQ(patch("v1/secrets", "a", R"({"type":"kubernetes.io/basic-auth","data":{"username":"eA=="}})"),
            "Secret \"a\" is invalid: type: Invalid value: \"kubernetes.io/basic-auth\": field is immutable");
  ASSERT_EQ(patch("v1/secrets", "a", R"({"immutable":true})"), "");
  EXPECT_EQ(patch("v1/secrets", "a", R"({"stringData":{"y":"no"}})"),
            "Secret \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set");
  EXPECT_EQ(patch("v1/secrets", "a", R"({"immutable":false})"),
            "Secret \"a\" is invalid: immutable: Forbidden: field is immutable when `immutable` is set");
}

TEST_F(ConfigTest, secretsOfAKindHaveItsKeys) {
  for (auto [body, message] :
       {std::pair{R"({"metadata":{"name":"b"},"type":"kubernetes.io/tls","data":{"tls.crt":""}})",
                  "data[tls.key]: Required value"},
        {R"({"metadata":{"name":"b"},"type":"kubernetes.io/dockerconfigjson","stringData":{".dockerconfigjson":"x"}})",
         "data[.dockerconfigjson]: Invalid value: \"<secret contents redacted>\""},
        {R"({"metadata":{"name":"b"},"type":"kubernetes.io/ssh-auth"})", "data[ssh-privatekey]: Required value"},
        {R"({"metadata":{"name":"b"},"type":"kubernetes.io/service-account-token"})",
         "metadata.annotations[kubernetes.io/service-account.name]: Required value"},
        {R"({"metadata":{"name":"b"},"stringData":{"a b":"x"}})",
         "data[a b]: Invalid value: \"a b\": a valid config key must consist of"}})
    EXPECT_NE(create("v1/secrets", body).find(message), std::string::npos)
        << body << " gave " << create("v1/secrets", body);
}

TEST_F(ConfigTest, configMapsCanBeFrozenAndAreBounded) {
  ASSERT_EQ(create("v1/configmaps", R"({"metadata":{"name":"a"},"data":{"x":"1"},"immutable":true})"), "");
  EXPECT_EQ(patch("v1/configmaps", "a", R"({"data":{"x":"2"}})"),
            "ConfigMap \"a\" is invalid: data: Forbidden: field is immutable when `immutable` is set");
  EXPECT_EQ(patch("v1/configmaps", "a", R"({"metadata":{"labels":{"x":"y"}}})"), "");
  EXPECT_NE(create("v1/configmaps", R"({"metadata":{"name":"b"},"data":{"x":"1"},"binaryData":{"x":"eA=="}})")
                .find("duplicate of key present in binaryData"),
            std::string::npos);
  EXPECT_NE(
      create("v1/configmaps", R"({"metadata":{"name":"b"},"data":{"x":")" + std::string(1024 * 1024 + 1, 'x') + "\"}}")
          .find("Too long: may not be more than 1048576 bytes"),
      std::string::npos);
}

using VolumeTest = StrategyTest;

TEST_F(VolumeTest, areStoredInTheirFirstPhase) {
  ASSERT_EQ(
      create(
          "v1/persistentvolumes",
          R"({"metadata":{"name":"v"},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"},"hostPath":{"path":"/x"}}})"),
      "");
  EXPECT_EQ(at("v1/persistentvolumes", "v", {"status", "phase"}), "\"Available\"");
  EXPECT_EQ(at("v1/persistentvolumes", "v", {"spec", "persistentVolumeReclaimPolicy"}), "\"Retain\"");
  ASSERT_EQ(
      create(
          "v1/persistentvolumeclaims",
          R"({"metadata":{"name":"c"},"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}})"),
      "");
  EXPECT_EQ(at("v1/persistentvolumeclaims", "c", {"status", "phase"}), "\"Pending\"");
  EXPECT_NE(patch("v1/persistentvolumeclaims", "c", R"({"spec":{"storageClassName":"x"}})")
                .find("spec is immutable after creation"),
            std::string::npos);
  EXPECT_EQ(patch("v1/persistentvolumeclaims", "c", R"({"spec":{"volumeName":"v"}})"), "");
  EXPECT_NE(create("v1/persistentvolumeclaims", R"({"metadata":{"name":"d"},"spec":{}})")
                .find("spec.accessModes: Required value: at least 1 access mode is required, spec.resources[storage]: "
                      "Required value"),
            std::string::npos);
  EXPECT_NE(create("v1/persistentvolumes",
                   R"({"metadata":{"name":"w"},"spec":{"accessModes":["ReadWriteOnce"],"capacity":{"storage":"1Gi"}}})")
                .find("must specify a volume type"),
            std::string::npos);
}

constexpr const char* kClasses = "scheduling.k8s.io/v1/priorityclasses";
using PriorityClassTest = StrategyTest;

TEST_F(PriorityClassTest, areFixedNumbers) {
  ASSERT_EQ(create(kClasses, R"({"metadata":{"name":"high"},"value":1000,"globalDefault":true})"), "");
  EXPECT_EQ(at(kClasses, "high", {"preemptionPolicy"}), "\"PreemptLowerPriority\"");
  EXPECT_EQ(patch(kClasses, "high", R"({"value":5})"),
            "PriorityClass.scheduling.k8s.io \"high\" is invalid: value: Forbidden: may not be changed in an update.");
  EXPECT_EQ(create(kClasses, R"({"metadata":{"name":"other"},"value":1,"globalDefault":true})"),
            "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass high is already marked as "
            "default. Only one default can exist");
  EXPECT_NE(create(kClasses, R"({"metadata":{"name":"top"},"value":1000000001})")
                .find("maximum allowed value of a user defined priority is 1000000000"),
            std::string::npos);
  EXPECT_NE(create(kClasses, R"({"metadata":{"name":"system-mine"},"value":1})").find("reserved for system use only"),
            std::string::npos);
  EXPECT_EQ(create(kClasses, R"({"metadata":{"name":"system-node-critical"},"value":2000001000})"), "");
  EXPECT_NE(remove(kClasses, "system-node-critical"), "");
}

using RecordTest = StrategyTest;

TEST_F(RecordTest, eventsAreWhereTheirObjectIs) {
  EXPECT_EQ(
      create("v1/events", R"({"metadata":{"name":"a"},"involvedObject":{"kind":"Pod","namespace":"ns","name":"p"}})"),
      "");
  EXPECT_NE(
      create("v1/events", R"({"metadata":{"name":"b"},"involvedObject":{"kind":"Pod","namespace":"other","name":"p"}})")
          .find("does not match event.namespace"),
      std::string::npos);
  EXPECT_NE(create("v1/events", R"({"metadata":{"name":"b"},"involvedObject":{"kind":"Node","name":"n"}})")
                .find("does not match event.namespace"),
            std::string::npos);
}

TEST_F(RecordTest, leasesLastAWhile) {
  EXPECT_EQ(create("coordination.k8s.io/v1/leases",
                   R"({"metadata":{"name":"a"},"spec":{"holderIdentity":"x","leaseDurationSeconds":40}})"),
            "");
  EXPECT_NE(patch("coordination.k8s.io/v1/leases", "a", R"({"spec":{"leaseDurationSeconds":0}})")
                .find("must be greater than 0"),
            std::string::npos);
}

TEST_F(RecordTest, endpointSlicesHoldAddresses) {
  constexpr const char* kSlices = "discovery.k8s.io/v1/endpointslices";
  EXPECT_EQ(
      create(kSlices,
             R"({"metadata":{"name":"a"},"addressType":"IPv4","endpoints":[{"addresses":["10.0.0.1"]}],"ports":[]})"),
      "");
  EXPECT_EQ(at(kSlices, "a", {"metadata", "generation"}), "1");
  EXPECT_NE(patch(kSlices, "a", R"({"endpoints":[{"addresses":["ten"]}]})")
                .find("endpoints[0].addresses[0]: Invalid value: \"ten\": must be an IPv4 address"),
            std::string::npos);
  EXPECT_NE(patch(kSlices, "a", R"({"addressType":"IPv6","endpoints":[]})")
                .find("addressType: Invalid value: \"IPv6\": field is immutable"),
            std::string::npos);
}

constexpr const char* kRoles = "rbac.authorization.k8s.io/v1/roles";
constexpr const char* kClusterRoles = "rbac.authorization.k8s.io/v1/clusterroles";
constexpr const char* kBindings = "rbac.authorization.k8s.io/v1/rolebindings";
constexpr const char* kClusterBindings = "rbac.authorization.k8s.io/v1/clusterrolebindings";

class RolesTest : public StrategyTest {
 protected:
  RolesTest() {
    EXPECT_EQ(
        create(
            kRoles,
            R"({"metadata":{"name":"reader"},"rules":[{"apiGroups":[""],"resources":["pods","pods/log"],"verbs":["get","list"]}]})"),
        "");
    EXPECT_EQ(
        create(
            kBindings,
            R"({"metadata":{"name":"bob:reads"},"roleRef":{"kind":"Role","name":"reader"},"subjects":[{"kind":"User","name":"bob"}]})"),
        "");
  }
  void becomeBob() { caller_.user = {.name = "bob", .groups = {"system:authenticated"}}; }
};

TEST_F(RolesTest, bindingsAreFilledInAndChecked) {
  EXPECT_EQ(at(kBindings, "bob:reads", {"subjects"}),
            R"([{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"bob"}])");
  EXPECT_EQ(at(kBindings, "bob:reads", {"roleRef", "apiGroup"}), "\"rbac.authorization.k8s.io\"");
  EXPECT_NE(patch(kBindings, "bob:reads", R"({"roleRef":{"name":"other"}})").find("cannot change roleRef"),
            std::string::npos);
  EXPECT_NE(create(kBindings, R"({"metadata":{"name":"x"},"roleRef":{"kind":"Robot","name":"r"}})")
                .find("roleRef.kind: Unsupported value: \"Robot\""),
            std::string::npos);
  EXPECT_NE(
      create(kBindings,
             R"({"metadata":{"name":"x"},"roleRef":{"kind":"Role","name":"r"},"subjects":[{"kind":"Dog","name":"d"}]})")
          .find("subjects[0].kind: Unsupported value: \"Dog\""),
      std::string::npos);
  EXPECT_NE(create(kClusterBindings, R"({"metadata":{"name":"x"},"roleRef":{"kind":"Role","name":"r"}})")
                .find("supported values: \"ClusterRole\""),
            std::string::npos);
  EXPECT_NE(
      create(
          kClusterBindings,
          R"({"metadata":{"name":"x"},"roleRef":{"kind":"ClusterRole","name":"r"},"subjects":[{"kind":"ServiceAccount","name":"s"}]})")
          .find("subjects[0].namespace: Required value"),
      std::string::npos);
  EXPECT_NE(create(kRoles, R"({"metadata":{"name":"a/b"},"rules":[]})").find("may not contain '/'"), std::string::npos);
  EXPECT_NE(create(kRoles, R"({"metadata":{"name":"x"},"rules":[{"verbs":["get"],"resources":["pods"]}]})")
                .find("rules[0].apiGroups: Required value: resource rules must supply at least one api group"),
            std::string::npos);
  EXPECT_NE(create(kRoles, R"({"metadata":{"name":"x"},"rules":[{"verbs":["get"],"nonResourceURLs":["/x"]}]})")
                .find("namespaced rules cannot apply to non-resource URLs"),
            std::string::npos);
  EXPECT_EQ(
      create(kClusterRoles, R"({"metadata":{"name":"system:x"},"rules":[{"verbs":["get"],"nonResourceURLs":["/x"]}]})"),
      "");
}

TEST_F(RolesTest, nobodyGivesRightsTheyDoNotHave) {
  becomeBob();
  EXPECT_EQ(
      create(
          kRoles,
          R"({"metadata":{"name":"less"},"rules":[{"apiGroups":[""],"resources":["pods"],"resourceNames":["a"],"verbs":["get"]}]})"),
      "");
  EXPECT_EQ(
      create(
          kRoles,
          R"({"metadata":{"name":"more"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get","delete"]}]})"),
      "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"bob\" (groups=[\"system:authenticated\"]) is "
      "attempting to grant RBAC "
      "permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\" \"delete\"]}");
  for (const char* rule : {R"({"apiGroups":["*"],"resources":["pods"],"verbs":["get"]})",
                           R"({"apiGroups":[""],"resources":["*"],"verbs":["get"]})",
                           R"({"apiGroups":[""],"resources":["pods"],"verbs":["*"]})",
                           R"({"apiGroups":[""],"resources":["pods/exec"],"verbs":["get"]})"})
    EXPECT_NE(create(kRoles, fmt::format(R"({{"metadata":{{"name":"more"}},"rules":[{}]}})", rule)), "") << rule;
  EXPECT_NE(create(kClusterRoles,
                   R"({"metadata":{"name":"less"},"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]})"),
            "");  // held in one namespace only
  EXPECT_EQ(patch(kRoles, "less", R"({"metadata":{"labels":{"x":"y"}}})"), "");
  EXPECT_NE(patch(kRoles, "less", R"({"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]})"), "");
  EXPECT_EQ(create(kClusterRoles,
                   R"({"metadata":{"name":"all"},"aggregationRule":{"clusterRoleSelectors":[{}]},"rules":[]})"),
            "clusterroles.rbac.authorization.k8s.io \"all\" is forbidden: must have cluster-admin privileges to use an "
            "aggregationRule");
}

TEST_F(RolesTest, bindingsGiveWhatTheirRoleGives) {
  ASSERT_EQ(
      create(
          kClusterRoles,
          R"({"metadata":{"name":"part","labels":{"to":"sum"}},"rules":[{"apiGroups":[""],"resources":["secrets"],"verbs":["get"]}]})"),
      "");
  ASSERT_EQ(
      create(
          kClusterRoles,
          R"({"metadata":{"name":"sum"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"to":"sum"}}]},"rules":[]})"),
      "");
  becomeBob();
  auto bind = [&](const char* name, const char* role) {
    return create(
        kBindings,
        fmt::format(R"({{"metadata":{{"name":"{}"}},"roleRef":{},"subjects":[{{"kind":"User","name":"eve"}}]}})", name,
                    role));
  };
  EXPECT_EQ(bind("a", R"({"kind":"Role","name":"reader"})"), "");
  EXPECT_NE(bind("b", R"({"kind":"ClusterRole","name":"sum"})").find("permissions not currently held"),
            std::string::npos);
  EXPECT_EQ(bind("b", R"({"kind":"Role","name":"nowhere"})"), "roles.rbac.authorization.k8s.io \"nowhere\" not found");
  caller_.user = {.name = "tester", .groups = {"system:masters"}};
  ASSERT_EQ(
      create(
          kRoles,
          R"({"metadata":{"name":"binder"},"rules":[{"apiGroups":["rbac.authorization.k8s.io"],"resources":["clusterroles"],"resourceNames":["sum"],"verbs":["bind"]},
                              {"apiGroups":["rbac.authorization.k8s.io"],"resources":["roles"],"verbs":["escalate"]}]})"),
      "");
  ASSERT_EQ(
      create(
          kBindings,
          R"({"metadata":{"name":"binds"},"roleRef":{"kind":"Role","name":"binder"},"subjects":[{"kind":"User","name":"bob"}]})"),
      "");
  becomeBob();
  EXPECT_EQ(bind("b", R"({"kind":"ClusterRole","name":"sum"})"), "");
  EXPECT_EQ(
      create(kRoles, R"({"metadata":{"name":"more"},"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]})"),
      "");
}

}  // namespace
}  // namespace stoker::apiserver
