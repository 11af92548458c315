#include <fmt/format.h>

#include "apiserver/strategies/pod_spec.h"
#include "apiserver/strategies/strategy_test_util.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kPod = R"({"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"busybox"}]}})";

class PodTest : public StrategyTest {
 protected:
  std::string createPod(const std::string& spec, const std::string& name = "a") {
    return create("v1/pods", fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{}}})", name, spec));
  }
  std::string spec(std::string_view field, const std::string& name = "a") {
    return at("v1/pods", name, {"spec", field});
  }
  std::string bind(const std::string& body, const std::string& name = "a") {
    return problem(write(Verb::Create, target("v1/pods", name, "binding"), body));
  }
};

TEST_F(PodTest, createFillsInWhatUpstreamFillsIn) {
  ASSERT_EQ(create("v1/pods", kPod), "");
  json::Value pod = get("v1/pods", "a").root;
  json::Doc keep = get("v1/pods", "a");
  pod = keep.root;
  EXPECT_EQ(pod.at({"metadata", "generation"}).asInt(), 1);
  json::Value spec = pod["spec"];
  EXPECT_EQ(spec["restartPolicy"].asString(), "Always");
  EXPECT_EQ(spec["dnsPolicy"].asString(), "ClusterFirst");
  EXPECT_EQ(spec["schedulerName"].asString(), "default-scheduler");
  EXPECT_EQ(spec["terminationGracePeriodSeconds"].asInt(), 30);
  EXPECT_EQ(spec["enableServiceLinks"].asBool(), true);
  EXPECT_EQ(spec["preemptionPolicy"].asString(), "PreemptLowerPriority");
  EXPECT_EQ(spec["priority"].asInt(-1), 0);
  EXPECT_EQ(spec["serviceAccountName"].asString(), "default");
  EXPECT_EQ(spec["serviceAccount"].asString(), "default");
  EXPECT_EQ(
      json::print(spec["tolerations"]),
      R"([{"effect":"NoExecute","key":"node.kubernetes.io/not-ready","operator":"Exists","tolerationSeconds":300},)"
      R"({"effect":"NoExecute","key":"node.kubernetes.io/unreachable","operator":"Exists","tolerationSeconds":300}])");
  json::Value container = spec["containers"][0];
  EXPECT_EQ(container["imagePullPolicy"].asString(), "Always");
  EXPECT_EQ(container["terminationMessagePath"].asString(), "/dev/termination-log");
  json::Value volume = spec["volumes"][0];
  std::string name = volume["name"].str();
  EXPECT_EQ(name.size(), std::string("kube-api-access-").size() + 5);
  EXPECT_EQ(
      json::print(volume["projected"]),
      R"({"defaultMode":420,"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}},)"
      R"({"configMap":{"items":[{"key":"ca.crt","path":"ca.crt"}],"name":"kube-root-ca.crt"}},)"
      R"({"downwardAPI":{"items":[{"fieldRef":{"apiVersion":"v1","fieldPath":"metadata.namespace"},"path":"namespace"}]}}]})");
  EXPECT_EQ(
      json::print(container["volumeMounts"]),
      fmt::format(R"([{{"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount","name":"{}","readOnly":true}}])",
                  name));
  EXPECT_EQ(json::print(pod["status"]), R"({"phase":"Pending","qosClass":"BestEffort"})");
}

TEST_F(PodTest, statusOfTheClientIsDroppedAndANodeMeansScheduled) {
  ASSERT_EQ(
      create(
          "v1/pods",
          R"({"metadata":{"name":"a"},"spec":{"nodeName":"n1","containers":[{"name":"c","image":"i:1"}]},"status":{"phase":"Running"}})"),
      "");
  EXPECT_EQ(at("v1/pods", "a", {"status", "phase"}), "\"Pending\"");
  EXPECT_EQ(at("v1/pods", "a", {"status", "conditions"}),
            R"([{"lastTransitionTime":"2026-11-25T10:00:00Z","status":"True","type":"PodScheduled"}])");
}

TEST(PodDefaults, pullPolicyFollowsTheTag) {
  for (auto [image, policy] : {std::pair{"busybox", "Always"},
                               {"busybox:latest", "Always"},
                               {"busybox:1.36", "IfNotPresent"},
                               {"host:5000/busybox", "Always"},
                               {"host:5000/x/busybox:2", "IfNotPresent"},
                               {"x@sha256:00", "IfNotPresent"}})
    EXPECT_EQ(pullPolicyFor(image), policy) << image;
}

TEST(PodDefaults, qosClassLooksAtCpuAndMemoryOfAllContainers) {
  json::Arena arena;
  for (auto [resources, expected] :
       {std::pair{R"({})", "BestEffort"},
        {R"({"limits":{"nvidia.com/gpu":"1"}})", "BestEffort"},
        {R"({"requests":{"cpu":"1"}})", "Burstable"},
        {R"({"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"1","memory":"1Gi"}})", "Guaranteed"},
        {R"({"requests":{"cpu":"1","memory":"1Gi"},"limits":{"cpu":"2","memory":"1Gi"}})", "Burstable"}})
    EXPECT_EQ(qosClass(*json::parse(arena, fmt::format(R"({{"containers":[{{"resources":{}}}]}})", resources))),
              expected)
        << resources;
}

TEST_F(PodTest, requestsComeFromLimits) {
  ASSERT_EQ(
      createPod(
          R"({"containers":[{"name":"c","image":"i:1","resources":{"limits":{"cpu":"2","nvidia.com/gpu":"1"},"requests":{"cpu":"1"}}}]})"),
      "");
  json::Doc pod = get("v1/pods", "a");
  EXPECT_EQ(json::print(pod["spec"]["containers"][0]["resources"]["requests"]), R"({"cpu":"1","nvidia.com/gpu":"1"})");
}

TEST_F(PodTest, accountsMustExistAndDecideAboutTheToken) {
  EXPECT_EQ(createPod(R"({"serviceAccountName":"robot","containers":[{"name":"c","image":"i"}]})"),
            "pods \"a\" is forbidden: error looking up service account ns/robot: serviceaccount \"robot\" not found");
  ASSERT_EQ(
      create("v1/serviceaccounts",
             R"({"metadata":{"name":"robot"},"automountServiceAccountToken":false,"imagePullSecrets":[{"name":"s"}]})"),
      "");
  ASSERT_EQ(createPod(R"({"serviceAccount":"robot","containers":[{"name":"c","image":"i"}]})"), "");
  EXPECT_EQ(spec("volumes"), "null");
  EXPECT_EQ(spec("imagePullSecrets"), R"([{"name":"s"}])");
  ASSERT_EQ(
      createPod(
          R"({"serviceAccountName":"robot","automountServiceAccountToken":true,"containers":[{"name":"c","image":"i"}]})",
          "b"),
      "");
  EXPECT_NE(spec("volumes", "b"), "null");
}

TEST_F(PodTest, priorityComesFromItsClassOnly) {
  ASSERT_EQ(create("scheduling.k8s.io/v1/priorityclasses",
                   R"({"metadata":{"name":"high"},"value":1000,"preemptionPolicy":"Never"})"),
            "");
  EXPECT_EQ(createPod(R"({"priorityClassName":"low","containers":[{"name":"c","image":"i"}]})"),
            "pods \"a\" is forbidden: no PriorityClass with name low was found");
  EXPECT_EQ(createPod(R"({"priority":5,"containers":[{"name":"c","image":"i"}]})"),
            "pods \"a\" is forbidden: the integer value of priority (5) must not be provided in pod spec; priority "
            "admission controller computed 0 "
            "from the given PriorityClass name");
  ASSERT_EQ(createPod(R"({"priorityClassName":"high","containers":[{"name":"c","image":"i"}]})"), "");
  EXPECT_EQ(spec("priority"), "1000");
  EXPECT_EQ(spec("preemptionPolicy"), "\"Never\"");
  ASSERT_EQ(create("scheduling.k8s.io/v1/priorityclasses",
                   R"({"metadata":{"name":"usual"},"value":10,"globalDefault":true})"),
            "");
  ASSERT_EQ(createPod(R"({"containers":[{"name":"c","image":"i"}]})", "b"), "");
  EXPECT_EQ(spec("priority", "b"), "10");
  EXPECT_EQ(spec("priorityClassName", "b"), "\"usual\"");
}

TEST_F(PodTest, refusesWithUpstreamsWords) {
  struct Case {
    const char* spec;
    const char* message;
  };
  for (
      const Case& c : {
          Case{R"({})", "Pod \"a\" is invalid: spec.containers: Required value"},
          Case{R"({"containers":[]})", "Pod \"a\" is invalid: spec.containers: Required value"},
          Case{R"({"containers":[{"image":"i"}]})", "spec.containers[0].name: Required value"},
          Case{R"({"containers":[{"name":"c"}]})", "Pod \"a\" is invalid: spec.containers[0].image: Required value"},
          Case{R"({"containers":[{"name":"C_","image":"i"}]})",
               "spec.containers[0].name: Invalid value: \"C_\": a lowercase RFC 1123 label"},
          Case{R"({"containers":[{"name":"c","image":"i"},{"name":"c","image":"i"}]})",
               "spec.containers[1].name: Duplicate value: \"c\""},
          Case{R"({"initContainers":[{"name":"c","image":"i"}],"containers":[{"name":"c","image":"i"}]})",
               "spec.containers[0].name: Duplicate value: \"c\""},
          Case{R"({"restartPolicy":"Sometimes","containers":[{"name":"c","image":"i"}]})",
               "spec.restartPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnFailure\", "
               "\"Never\""},
          Case{R"({"containers":[{"name":"c","image":"i","ports":[{"containerPort":0}]}]})",
               "spec.containers[0].ports[0].containerPort: Required value"},
          Case{R"({"containers":[{"name":"c","image":"i","ports":[{"containerPort":70000}]}]})",
               "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, "
               "inclusive"},
          Case{
              R"({"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"name":"p"},{"containerPort":2,"name":"p"}]}]})",
              "spec.containers[0].ports[1].name: Duplicate value: \"p\""},
          Case{R"({"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"name":"12"}]}]})",
               "spec.containers[0].ports[0].name: Invalid value: \"12\": must contain at least one letter (a-z)"},
          Case{
              R"({"containers":[{"name":"c","image":"i","ports":[{"containerPort":1,"hostPort":80},{"containerPort":2,"hostPort":80}]}]})",
              "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\""},
          Case{R"({"containers":[{"name":"c","image":"i","env":[{"name":"a=b"}]}]})",
               "spec.containers[0].env[0].name: Invalid value: \"a=b\""},
          Case{
              R"({"containers":[{"name":"c","image":"i","env":[{"name":"A","value":"x","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}]}]})",
              "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value` is not "
              "empty"},
          Case{
              R"({"containers":[{"name":"c","image":"i","env":[{"name":"A","valueFrom":{"fieldRef":{"fieldPath":"spec.colour"}}}]}]})",
              "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value: \"spec.colour\": supported "
              "values: \"metadata.name\""},
          Case{R"({"containers":[{"name":"c","image":"i","env":[{"name":"A","valueFrom":{}}]}]})",
               "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of"},
          Case{R"({"volumes":[{"name":"v"},{"name":"v"}],"containers":[{"name":"c","image":"i"}]})",
               "spec.volumes[1].name: Duplicate value: \"v\""},
          Case{
              R"({"volumes":[{"name":"v","emptyDir":{},"hostPath":{"path":"/x"}}],"containers":[{"name":"c","image":"i"}]})",
              "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type"},
          Case{R"({"volumes":[{"name":"v","configMap":{}}],"containers":[{"name":"c","image":"i"}]})",
               "spec.volumes[0].configMap.name: Required value"},
          Case{R"({"containers":[{"name":"c","image":"i","volumeMounts":[{"name":"data","mountPath":"/x"}]}]})",
               "spec.containers[0].volumeMounts[0].name: Not found: \"data\""},
          Case{
              R"({"volumes":[{"name":"v"}],"containers":[{"name":"c","image":"i","volumeMounts":[{"name":"v","mountPath":""}]}]})",
              "spec.containers[0].volumeMounts[0].mountPath: Required value"},
          Case{
              R"({"volumes":[{"name":"v"}],"containers":[{"name":"c","image":"i","volumeMounts":[{"name":"v","mountPath":"/x","subPath":"../y"}]}]})",
              "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"../y\": must not contain '..'"},
          Case{R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"-1"}}}]})",
               "Pod \"a\" is invalid: spec.containers[0].resources.requests[cpu]: Invalid value: \"-1\": must be "
               "greater than or equal to 0"},
          Case{R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"cpu":"2"},"limits":{"cpu":"1"}}}]})",
               "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit "
               "of 1"},
          Case{R"({"containers":[{"name":"c","image":"i","resources":{"requests":{"nvidia.com/gpu":"1"}}}]})",
               "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable "
               "resources"},
          Case{R"({"containers":[{"name":"c","image":"i","resources":{"limits":{"nvidia.com/gpu":"500m"}}}]})",
               "spec.containers[0].resources.limits[nvidia.com/gpu]: Invalid value: \"500m\": must be an integer"},
          Case{R"({"containers":[{"name":"c","image":"i","resources":{"limits":{"gpu":"1"}}}]})",
               "spec.containers[0].resources.limits[gpu]: Invalid value: \"gpu\": must be a standard resource type or "
               "fully qualified"},
          Case{
              R"({"tolerations":[{"key":"x","operator":"Exists","value":"y"}],"containers":[{"name":"c","image":"i"}]})",
              "spec.tolerations[0].operator: Invalid value: \"y\": value must be empty when `operator` is 'Exists'"},
          Case{R"({"containers":[{"name":"c","image":"i","livenessProbe":{}}]})",
               "spec.containers[0].livenessProbe: Required value: must specify a handler type"},
          Case{R"({"securityContext":{"runAsUser":-1},"containers":[{"name":"c","image":"i"}]})",
               "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive"},
          Case{
              R"({"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[{"matchExpressions":[{"key":"a","operator":"In"}]}]}}},"containers":[{"name":"c","image":"i"}]})",
              "nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is "
              "'In' or 'NotIn'"},
      }) {
    std::string said = createPod(c.spec);
    EXPECT_NE(said.find(c.message), std::string::npos) << c.spec << "\n  gave: " << said;
  }
}

TEST_F(PodTest, onlyAFewFieldsMayChange) {
  ASSERT_EQ(
      createPod(
          R"({"activeDeadlineSeconds":50,"tolerations":[{"key":"x","operator":"Exists"}],"containers":[{"name":"c","image":"i:1"}]})"),
      "");
  EXPECT_EQ(patch("v1/pods", "a", R"({"metadata":{"labels":{"x":"y"}}})"), "");
  EXPECT_EQ(problem(write(Verb::Patch, target("v1/pods", "a"),
                          R"({"spec":{"containers":[{"name":"c","image":"i:2"}]}})", client::PatchType::Strategic)),
            "");
  EXPECT_EQ(at("v1/pods", "a", {"metadata", "generation"}), "2");
  EXPECT_EQ(patch("v1/pods", "a", R"({"spec":{"activeDeadlineSeconds":40}})"), "");
  EXPECT_NE(patch("v1/pods", "a", R"({"spec":{"activeDeadlineSeconds":60}})")
                .find("must be less than or equal to previous value"),
            std::string::npos);
  EXPECT_NE(patch("v1/pods", "a", R"({"spec":{"tolerations":[]}})").find("existing toleration can not be modified"),
            std::string::npos);
  EXPECT_EQ(
      patch("v1/pods", "a", R"({"spec":{"nodeName":"n1"}})"),
      "Pod \"a\" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
      "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
      "tolerations),"
      "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)");
  EXPECT_EQ(patch("v1/pods", "a", R"({"spec":{"containers":[{"name":"c","image":"i"},{"name":"d","image":"i"}]}})"),
            "Pod \"a\" is invalid: spec.containers: Forbidden: pod updates may not add or remove containers");
}

TEST_F(PodTest, aPatchThatChangesNothingWritesNothing) {
  ASSERT_EQ(create("v1/pods", kPod), "");
  auto before = store_->revision();
  EXPECT_EQ(patch("v1/pods", "a", R"({"spec":{"restartPolicy":"Always"}})"), "");
  EXPECT_EQ(patch("v1/pods", "a", R"({"status":{"phase":"Pending"}})", "status"), "");
  EXPECT_EQ(store_->revision(), before);
}

TEST_F(PodTest, gatesHoldAPodUntilTheyAreRemoved) {
  ASSERT_EQ(createPod(R"({"schedulingGates":[{"name":"x.example/wait"}],"containers":[{"name":"c","image":"i"}]})"),
            "");
  EXPECT_NE(at("v1/pods", "a", {"status", "conditions"}).find("SchedulingGated"), std::string::npos);
  EXPECT_EQ(bind(R"({"target":{"name":"n1"}})"),
            "Operation cannot be fulfilled on pods/binding \"a\": pod a has non-empty .spec.schedulingGates");
  EXPECT_NE(patch("v1/pods", "a", R"({"spec":{"schedulingGates":[{"name":"x.example/other"}]}})")
                .find("only deletion is allowed"),
            std::string::npos);
  EXPECT_EQ(patch("v1/pods", "a", R"({"spec":{"schedulingGates":null,"nodeSelector":{"disk":"ssd"}}})"), "");
  EXPECT_EQ(at("v1/pods", "a", {"status", "conditions"}), "null");
  EXPECT_EQ(bind(R"({"target":{"name":"n1"}})"), "");
}

TEST_F(PodTest, bindingPlacesAPodOnce) {
  ASSERT_EQ(
      create("v1/pods",
             R"({"metadata":{"name":"a","annotations":{"k":"v"}},"spec":{"containers":[{"name":"c","image":"i"}]}})"),
      "");
  EXPECT_NE(bind(R"({"target":{}})").find("target.name: Required value"), std::string::npos);
  EXPECT_NE(bind(R"({"target":{"kind":"Pod","name":"n1"}})").find("target.kind: Unsupported value: \"Pod\""),
            std::string::npos);
  EXPECT_NE(bind(R"({"metadata":{"uid":"other"},"target":{"name":"n1"}})")
                .find("Precondition failed: UID in precondition: other"),
            std::string::npos);
  auto bound = write(Verb::Create, target("v1/pods", "a", "binding"),
                     R"({"metadata":{"name":"a","annotations":{"gpus":"0,1"}},"target":{"kind":"Node","name":"n1"}})");
  ASSERT_TRUE(bound.ok()) << bound.error().message;
  EXPECT_NE(bound->bytes->find("\"status\":\"Success\""), std::string::npos);
  EXPECT_EQ(spec("nodeName"), "\"n1\"");
  EXPECT_EQ(at("v1/pods", "a", {"metadata", "annotations"}), R"({"gpus":"0,1","k":"v"})");
  EXPECT_EQ(at("v1/pods", "a", {"status", "conditions"}),
            R"([{"lastTransitionTime":"2026-11-25T10:00:00Z","status":"True","type":"PodScheduled"}])");
  auto again = write(Verb::Create, target("v1/pods", "a", "binding"), R"({"target":{"name":"n2"}})");
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().reason, Reason::Conflict);
  EXPECT_EQ(again.error().message,
            "Operation cannot be fulfilled on pods/binding \"a\": pod a is already assigned to node \"n1\"");
  EXPECT_EQ(registry_->list(caller_, target("v1/pods"), {.fieldSelector = "spec.nodeName=n1"})->items.size(), 1u);
}

TEST_F(PodTest, deletionIsGracefulWhereThereIsSomethingToEnd) {
  ASSERT_EQ(create("v1/pods", kPod), "");
  ASSERT_EQ(remove("v1/pods", "a"), "");  // nowhere yet: at once
  EXPECT_FALSE(exists("v1/pods", "a"));

  ASSERT_EQ(create("v1/pods", kPod), "");
  ASSERT_EQ(bind(R"({"target":{"name":"n1"}})"), "");
  ASSERT_EQ(remove("v1/pods", "a"), "");
  EXPECT_EQ(at("v1/pods", "a", {"metadata", "deletionTimestamp"}), "\"2026-11-25T10:00:30Z\"");
  EXPECT_EQ(at("v1/pods", "a", {"metadata", "deletionGracePeriodSeconds"}), "30");
  EXPECT_NE(bind(R"({"target":{"name":"n1"}})").find("is being deleted"), std::string::npos);
  ASSERT_EQ(remove("v1/pods", "a", 60), "");  // never longer
  EXPECT_EQ(at("v1/pods", "a", {"metadata", "deletionGracePeriodSeconds"}), "30");
  ASSERT_EQ(remove("v1/pods", "a", 5), "");
  EXPECT_EQ(at("v1/pods", "a", {"metadata", "deletionTimestamp"}), "\"2026-11-25T10:00:05Z\"");
  ASSERT_EQ(remove("v1/pods", "a", 0), "");
  EXPECT_FALSE(exists("v1/pods", "a"));

  ASSERT_EQ(create("v1/pods", kPod), "");
  ASSERT_EQ(bind(R"({"target":{"name":"n1"}})"), "");
  ASSERT_EQ(patch("v1/pods", "a", R"({"status":{"phase":"Succeeded"}})", "status"), "");
  ASSERT_EQ(remove("v1/pods", "a"), "");
  EXPECT_FALSE(exists("v1/pods", "a"));
}

TEST_F(PodTest, theQosClassStays) {
  ASSERT_EQ(create("v1/pods", kPod), "");
  EXPECT_EQ(
      problem(write(Verb::Patch, target("v1/pods", "a", "status"),
                    R"([{"op":"replace","path":"/status","value":{"phase":"Running"}}])", client::PatchType::Json)),
      "");
  EXPECT_EQ(at("v1/pods", "a", {"status", "qosClass"}), "\"BestEffort\"");
  EXPECT_NE(patch("v1/pods", "a", R"({"status":{"qosClass":"Burstable"}})", "status").find("field is immutable"),
            std::string::npos);
}

}  // namespace
}  // namespace stoker::apiserver
