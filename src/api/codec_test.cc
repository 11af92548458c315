#include "api/codec.h"

#include <gtest/gtest.h>

#include "api/discovery.h"
#include "api/gang.h"
#include "api/training.h"

namespace stoker::api {
namespace {

template <class T>
std::string again(const std::string& text) {
  auto doc = json::parseDoc(text);
  if (!doc.ok()) return doc.error().message;
  std::string fromTree = encodeText(decode<T>(doc->root));
  auto fromText = decodeText<T>(text);
  EXPECT_TRUE(fromText.ok());
  if (!fromText.ok()) return fromText.error().message;
  EXPECT_EQ(encodeText(*fromText), fromTree) << "both ways of decoding agree";
  return fromTree;
}

// Canonical text of an object that uses every field comes back as it was: no field is described under a wrong name or
// twice.
TEST(Codec, everyDescribedFieldSurvives) {
  EXPECT_EQ(
      again<ObjectMeta>(
          R"({"annotations":{"a":"b"},"creationTimestamp":"2026-11-25T10:00:00Z","deletionGracePeriodSeconds":0,"deletionTimestamp":"2026-11-25T10:00:01Z","finalizers":["f"],"generateName":"p-","generation":3,"labels":{"l":"m"},"name":"p-1","namespace":"default","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Pod","name":"o","uid":"u"}],"resourceVersion":"7","uid":"x"})"),
      R"({"annotations":{"a":"b"},"creationTimestamp":"2026-11-25T10:00:00Z","deletionGracePeriodSeconds":0,"deletionTimestamp":"2026-11-25T10:00:01Z","finalizers":["f"],"generateName":"p-","generation":3,"labels":{"l":"m"},"name":"p-1","namespace":"default","ownerReferences":[{"apiVersion":"v1","blockOwnerDeletion":true,"controller":true,"kind":"Pod","name":"o","uid":"u"}],"resourceVersion":"7","uid":"x"})");
  for (
      std::string text :
      {R"({"spec":{"affinity":{"nodeAffinity":{}},"containers":[{"image":"i","name":"c","ports":[{"containerPort":80,"hostPort":81,"name":"http","protocol":"TCP"}],"resources":{"limits":{"cpu":"1"},"requests":{"nvidia.com/gpu":"2"}},"restartPolicy":"Always"}],"hostNetwork":true,"hostname":"h","initContainers":[{"name":"i"}],"nodeName":"n","nodeSelector":{"a":"b"},"overhead":{"cpu":"1m"},"priority":0,"priorityClassName":"high","restartPolicy":"Never","schedulerName":"s","schedulingGates":[{"name":"g"}],"serviceAccountName":"sa","subdomain":"sub","terminationGracePeriodSeconds":0,"tolerations":[{"effect":"NoExecute","key":"k","operator":"Equal","tolerationSeconds":0,"value":"v"}]},"status":{"conditions":[{"lastTransitionTime":"2026-11-25T10:00:00Z","message":"m","observedGeneration":1,"reason":"r","status":"True","type":"Ready"}],"containerStatuses":[{"lastState":{"terminated":{"exitCode":137,"finishedAt":"2026-11-25T10:00:00Z","message":"m","reason":"OOMKilled","signal":9,"startedAt":"2026-11-25T09:00:00Z"}},"name":"c","ready":true,"restartCount":2,"state":{"running":{"startedAt":"2026-11-25T10:00:00Z"}}}],"hostIP":"10.0.0.1","message":"m","phase":"Running","podIP":"10.1.0.1","reason":"r","startTime":"2026-11-25T10:00:00Z"}})"})
    EXPECT_EQ(again<Pod>(text), text);
  for (
      std::string text :
      {R"({"spec":{"elasticPolicy":{"maxReplicas":4,"maxRestarts":3,"metrics":[{"type":"Resource"}],"minReplicas":0,"nProcPerNode":2,"rdzvBackend":"c10d","rdzvConf":[{"key":"k","value":"v"}],"rdzvHost":"h","rdzvId":"i","rdzvPort":29400,"standalone":false},"nprocPerNode":"gpu","pytorchReplicaSpecs":{"Master":{"replicas":1,"restartPolicy":"OnFailure","template":{"spec":{"unknown":[1,2.50]}}}},"runPolicy":{"activeDeadlineSeconds":5,"backoffLimit":0,"cleanPodPolicy":"All","managedBy":"m","schedulingPolicy":{"minAvailable":2,"minResources":{"cpu":"1"},"priorityClass":"high","queue":"q","scheduleTimeoutSeconds":1},"suspend":true,"ttlSecondsAfterFinished":0}},"status":{"completionTime":"2026-11-25T10:00:00Z","conditions":[{"lastUpdateTime":"2026-11-25T10:00:00Z","status":"True","type":"Created"}],"lastReconcileTime":"2026-11-25T10:00:00Z","replicaStatuses":{"Master":{"active":1,"failed":2,"selector":"a=b","succeeded":3}},"startTime":"2026-11-25T09:00:00Z"}})"})
    // Raw parts keep their content; numbers in them are printed canonically.
    EXPECT_EQ(again<PyTorchJob>(text), std::string(text).replace(text.find("2.50"), 4, "2.5"));
  for (
      std::string text :
      {R"({"spec":{"finished":true,"priority":5,"priorityClassName":"high","queue":"q","roles":[{"affinity":{"a":1},"count":2,"minCount":1,"name":"worker","nodeSelector":{"a":"b"},"podNamePrefix":"j-worker","requests":{"cpu":"500m"},"tolerations":[{"operator":"Exists"}]}],"suspended":true},"status":{"epoch":3,"phase":"Placed","placement":[{"cards":"nvidia.com/gpu=0,1","index":1,"node":"n","pod":"j-worker-1","role":"worker"}],"verdict":{"message":"m","reason":"Placed","since":"2026-11-25T10:00:00Z"}}})"})
    EXPECT_EQ(again<Gang>(text), text);
  for (
      std::string text :
      {R"({"spec":{"taints":[{"effect":"NoSchedule","key":"k","timeAdded":"2026-11-25T10:00:00Z","value":"v"}],"unschedulable":true},"status":{"addresses":[{"address":"10.0.0.1","type":"InternalIP"}],"allocatable":{"cpu":"2"},"capacity":{"cpu":"2"}}})"})
    EXPECT_EQ(again<Node>(text), text);
  for (
      std::string text :
      {R"({"spec":{"clusterIP":"None","ports":[{"appProtocol":"http","name":"p","port":1,"protocol":"TCP","targetPort":"web"}],"publishNotReadyAddresses":true,"selector":{"a":"b"},"type":"ClusterIP"}})"})
    EXPECT_EQ(again<Service>(text), text);
  for (
      std::string text :
      {R"({"spec":{"acquireTime":"2026-11-25T10:00:00.000000Z","holderIdentity":"h","leaseDurationSeconds":40,"leaseTransitions":1,"renewTime":"2026-11-25T10:00:00.000000Z"}})"})
    EXPECT_EQ(again<Lease>(text), text);
  for (std::string text : {R"({"globalDefault":true,"preemptionPolicy":"Never","value":-10})"})
    EXPECT_EQ(again<PriorityClass>(text), text);
  for (std::string text : {R"({"spec":{"finalizers":["kubernetes"]},"status":{"phase":"Active"}})"})
    EXPECT_EQ(again<Namespace>(text), text);
  for (
      std::string text :
      {R"({"addressType":"IPv4","endpoints":[{"addresses":["10.1.0.1"],"conditions":{"ready":false,"serving":true},"hostname":"h","nodeName":"n","targetRef":{"kind":"Pod","name":"p","namespace":"d","uid":"u"}}],"ports":[{"name":"","port":80,"protocol":"TCP"}]})"})
    EXPECT_EQ(again<EndpointSlice>(text), text) << "false and \"\" behind optionals are worth saying";
  for (
      std::string text :
      {R"({"subsets":[{"addresses":[{"hostname":"h","ip":"10.1.0.1","nodeName":"n"}],"notReadyAddresses":[{"ip":"10.1.0.2"}],"ports":[{"port":80}]}]})"})
    EXPECT_EQ(again<Endpoints>(text), text);
}

TEST(Codec, emptyThingsAreNotWritten) {
  EXPECT_EQ(encodeText(Pod{}), "{}");
  EXPECT_EQ(encodeText(PyTorchJob{}), "{}");
  Pod pod;
  pod.status.containerStatuses.emplace_back().state.running.emplace();
  EXPECT_EQ(encodeText(pod), R"({"status":{"containerStatuses":[{"state":{"running":{}}}]}})")
      << "an optional that is set is said, even when empty";
}

TEST(Codec, decodingIsLenient) {
  EXPECT_EQ(
      again<Pod>(
          R"({"metadata":{"name":7},"spec":{"containers":"none","priority":"high","hostNetwork":1},"unknown":{"a":1}})"),
      R"({"metadata":{"name":"7"}})")
      << "members of another type count as missing; a number where text stands (IntOrString, quantities) gives its "
         "text";
  EXPECT_EQ(again<Pod>("null"), "{}");
  EXPECT_EQ(again<Pod>("[1,2]"), "{}");
  EXPECT_EQ(again<Service>(R"({"spec":{"ports":[{"targetPort":8080}]}})"),
            R"({"spec":{"ports":[{"targetPort":"8080"}]}})");
}

TEST(Codec, numbersThatDoNotFitCountAsMissing) {
  auto doc = *json::parseDoc(R"({"exitCode":99999999999})");
  EXPECT_EQ(decode<ContainerStateTerminated>(doc.root).exitCode, 0);
}

TEST(Meta, controllerIsTheOneWhoManages) {
  ObjectMeta meta;
  meta.ownerReferences = {{.kind = "Node", .name = "n"}, {.kind = "Job", .name = "j", .controller = true}};
  ASSERT_NE(meta.controller(), nullptr);
  EXPECT_EQ(meta.controller()->name, "j");
  EXPECT_EQ(ObjectMeta{}.controller(), nullptr);
  EXPECT_EQ(meta.label("none"), "");
}

TEST(Meta, conditionsAreFoundByType) {
  std::vector<Condition> conditions{{.type = "Ready", .status = "False"}, {.type = "Created", .status = "True"}};
  EXPECT_TRUE(isTrue(conditions, "Created"));
  EXPECT_FALSE(isTrue(conditions, "Ready"));
  EXPECT_FALSE(isTrue(conditions, "Gone"));
  EXPECT_EQ(findCondition(conditions, "Ready")->status, "False");
}

}  // namespace
}  // namespace stoker::api
