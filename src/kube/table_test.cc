#include "kube/table.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kube/printers.h"

namespace stoker::kube {
namespace {

const Time kNow = *parseTime("2024-05-01T12:00:00Z");

const KindInfo& builtin(std::string_view groupResource) {
  for (const KindPtr& kind : builtinKinds())
    if (kind->groupResource() == groupResource) return *kind;
  ADD_FAILURE() << "no built-in kind " << groupResource;
  static const KindInfo none;
  return none;
}

std::string cells(const KindInfo& kind, std::string_view object) {
  json::Arena arena;
  auto value = json::parse(arena, object);
  EXPECT_TRUE(value.ok()) << (value.ok() ? "" : value.error().message) << object;
  return value.ok() ? json::print(tableCells(arena, kind, *value, kNow)) : "";
}

TEST(Table, everyColumnOfEveryBuiltInKindHasACell) {
  for (const KindPtr& kind : builtinKinds())
    for (const Column& column : kind->columns)
      EXPECT_NE(builtinCell(kind->groupResource(), column.name), nullptr)
          << kind->groupResource() << ": " << column.name;
}

TEST(Table, anEmptyObjectHasCellsToo) {
  for (const KindPtr& kind : builtinKinds())
    for (const char* object :
         {"{}", "null", R"({"metadata":1,"spec":[],"status":"x","data":3,"subsets":[null],"ports":[1]})"}) {
      json::Arena arena;
      EXPECT_EQ(tableCells(arena, *kind, *json::parse(arena, object), kNow).size(), kind->columns.size());
    }
}

struct RowCase {
  const char* name;
  const char* resource;
  const char* object;
  const char* expected;
};
class Rows : public testing::TestWithParam<RowCase> {};
TEST_P(Rows, asUpstream) { EXPECT_EQ(cells(builtin(GetParam().resource), GetParam().object), GetParam().expected); }

#define META R"("metadata":{"name":"x","creationTimestamp":"2024-05-01T11:55:00Z"})"
INSTANTIATE_TEST_SUITE_P(
    Kinds, Rows,
    testing::Values(
        RowCase{"namespace", "namespaces", "{" META R"(,"status":{"phase":"Active"}})", R"(["x","Active","5m"])"},
        RowCase{
            "nodeReady", "nodes",
            "{"
            R"("metadata":{"name":"n","labels":{"node-role.kubernetes.io/worker":"","kubernetes.io/role":"gpu"}},
            "spec":{"unschedulable":true},"status":{"conditions":[{"type":"Ready","status":"True"}],"addresses":[{"type":"InternalIP",
            "address":"10.0.0.1"}],"nodeInfo":{"kubeletVersion":"v1.35.4","osImage":"Debian 12"}}})",
            R"(["n","Ready,SchedulingDisabled","gpu,worker","<unknown>","v1.35.4","10.0.0.1","<none>","Debian 12","<unknown>","<unknown>"])"},
        RowCase{"nodeLost", "nodes", "{" META R"(,"status":{"conditions":[{"type":"Ready","status":"Unknown"}]}})",
                R"(["x","NotReady","<none>","5m","","<none>","<none>","<unknown>","<unknown>","<unknown>"])"},
        RowCase{"nodeNew", "nodes", "{" META "}",
                R"(["x","Unknown","<none>","5m","","<none>","<none>","<unknown>","<unknown>","<unknown>"])"},
        RowCase{"serviceClusterIp", "services",
                "{" META R"(,"spec":{"type":"ClusterIP","clusterIP":"10.1.1.1","clusterIPs":["10.1.1.1"],
            "ports":[{"port":80,"protocol":"TCP"},{"port":53,"protocol":"UDP","nodePort":30053}],"selector":{"b":"2","a":"1"}}})",
                R"(["x","ClusterIP","10.1.1.1","<none>","80/TCP,53:30053/UDP","5m","a=1,b=2"])"},
        RowCase{"serviceHeadless", "services", "{" META R"(,"spec":{"type":"ClusterIP","clusterIP":"None"}})",
                R"(["x","ClusterIP","None","<none>","<none>","5m","<none>"])"},
        RowCase{"servicePending", "services",
                "{" META R"(,"spec":{"type":"LoadBalancer","ports":[{"port":80,"protocol":"TCP"}]}})",
                R"(["x","LoadBalancer","<none>","<pending>","80/TCP","5m","<none>"])"},
        RowCase{"serviceBalanced", "services", "{" META R"(,"spec":{"type":"LoadBalancer","externalIPs":["9.9.9.9"]},
            "status":{"loadBalancer":{"ingress":[{"ip":"2.2.2.2"},{"hostname":"a.example"}]}}})",
                R"(["x","LoadBalancer","<none>","2.2.2.2,a.example,9.9.9.9","<none>","5m","<none>"])"},
        RowCase{"serviceExternalName", "services",
                "{" META R"(,"spec":{"type":"ExternalName","externalName":"a.example"}})",
                R"(["x","ExternalName","<none>","a.example","<none>","5m","<none>"])"},
        RowCase{"endpointsNone", "endpoints", "{" META "}", R"(["x","<none>","5m"])"},
        RowCase{"endpointsMany", "endpoints",
                "{" META R"(,"subsets":[{"addresses":[{"ip":"1.1.1.1"},{"ip":"fd00::1"},{"ip":"1.1.1.3"}],
            "ports":[{"port":80},{"port":81}]}]})",
                R"(["x","1.1.1.1:80,[fd00::1]:80,1.1.1.3:80 + 3 more...","5m"])"},
        RowCase{"endpointsWithoutPorts", "endpoints", "{" META R"(,"subsets":[{"addresses":[{"ip":"1.1.1.1"}]}]})",
                R"(["x","1.1.1.1","5m"])"},
        RowCase{"endpointSlice", "endpointslices.discovery.k8s.io",
                "{" META R"(,"addressType":"IPv4","ports":[{"name":"a","port":80},{"name":"b"},
            {}],"endpoints":[{"addresses":["1.1.1.1","1.1.1.2"]},{"addresses":["1.1.1.3"]},{"addresses":["1.1.1.4"]}]})",
                R"(["x","IPv4","80,b,*","1.1.1.1,1.1.1.2,1.1.1.3 + 1 more...","5m"])"},
        RowCase{"endpointSliceEmpty", "endpointslices.discovery.k8s.io", "{" META R"(,"addressType":"IPv4"})",
                R"(["x","IPv4","<unset>","<unset>","5m"])"},
        RowCase{"configMap", "configmaps", "{" META R"(,"data":{"a":"1","b":"2"},"binaryData":{"c":"AA=="}})",
                R"(["x",3,"5m"])"},
        RowCase{"secret", "secrets", "{" META R"(,"type":"Opaque","data":{"a":"MQ=="}})", R"(["x","Opaque",1,"5m"])"},
        RowCase{"serviceAccount", "serviceaccounts", "{" META "}", R"(["x","5m"])"},
        RowCase{"event", "events",
                R"({"metadata":{"name":"e"},"type":"Warning","reason":"Failed","message":" no \n","count":4,
            "involvedObject":{"kind":"Pod","name":"p","fieldPath":"spec.containers{c}"},"source":{"component":"kubelet","host":"n1"},
            "firstTimestamp":"2024-05-01T11:00:00Z","lastTimestamp":"2024-05-01T11:59:30Z"})",
                R"(["30s","Warning","Failed","pod/p","spec.containers{c}","kubelet, n1","no","60m",4,"e"])"},
        RowCase{"eventNew", "events",
                R"({"metadata":{"name":"e"},"type":"Normal","reason":"R","involvedObject":{"kind":"Node"},
            "reportingComponent":"sched","eventTime":"2024-05-01T11:59:00.000000Z"})",
                R"(["60s","Normal","R","node","","sched","","60s",1,"e"])"},
        RowCase{"eventSeries", "events",
                R"({"metadata":{"name":"e"},"involvedObject":{"kind":"Node"},"eventTime":"2024-05-01T11:00:00.000000Z",
            "series":{"count":4,"lastObservedTime":"2024-05-01T11:59:50.000000Z"}})",
                R"(["10s","","","node","","","","60m",5,"e"])"},
        RowCase{"volume", "persistentvolumes",
                "{" META R"(,"spec":{"capacity":{"storage":"1024Mi"},"accessModes":["ReadWriteMany","ReadWriteOnce"],
            "persistentVolumeReclaimPolicy":"Retain","claimRef":{"namespace":"ns","name":"c"},"storageClassName":"fast","volumeMode":"Filesystem"},
            "status":{"phase":"Bound"}})",
                R"(["x","1Gi","RWO,RWX","Retain","Bound","ns/c","fast","<unset>","","5m","Filesystem"])"},
        RowCase{"claimPending", "persistentvolumeclaims",
                "{" META R"(,"spec":{"resources":{"requests":{"storage":"1Gi"}}},"status":{"phase":"Pending"}})",
                R"(["x","Pending","","","","","<unset>","5m","<unset>"])"},
        RowCase{"claimBound", "persistentvolumeclaims",
                "{" META R"(,"spec":{"volumeName":"v","storageClassName":"fast","volumeMode":"Block"},
            "status":{"phase":"Bound","capacity":{"storage":"2Gi"},"accessModes":["ReadWriteOncePod"]}})",
                R"(["x","Bound","v","2Gi","RWOP","fast","<unset>","5m","Block"])"},
        RowCase{"claimTerminating", "persistentvolumeclaims",
                R"({"metadata":{"name":"x","deletionTimestamp":"2024-05-01T11:59:59Z"}})",
                R"(["x","Terminating","","","","","<unset>","<unknown>","<unset>"])"},
        RowCase{"lease", "leases.coordination.k8s.io", "{" META R"(,"spec":{"holderIdentity":"me"}})",
                R"(["x","me","5m"])"},
        RowCase{"role", "roles.rbac.authorization.k8s.io", "{" META "}", R"(["x","2024-05-01T11:55:00Z"])"},
        RowCase{"roleBinding", "rolebindings.rbac.authorization.k8s.io",
                "{" META R"(,"roleRef":{"kind":"Role","name":"r"},"subjects":[
            {"kind":"User","name":"u1"},{"kind":"User","name":"u2"},{"kind":"Group","name":"g"},{"kind":"ServiceAccount","namespace":"n","name":"s"}]})",
                R"(["x","Role/r","5m","u1, u2","g","n/s"])"},
        RowCase{"priorityClass", "priorityclasses.scheduling.k8s.io",
                "{" META R"(,"value":1000,"preemptionPolicy":"Never"})", R"(["x",1000,false,"5m","Never"])"},
        RowCase{"crd", "customresourcedefinitions.apiextensions.k8s.io", "{" META "}",
                R"(["x","2024-05-01T11:55:00Z"])"},
        RowCase{"jobRunning", "jobs.batch",
                "{" META R"(,"spec":{"completions":3,"selector":{"matchLabels":{"a":"b"}},"template":{"spec":
            {"containers":[{"name":"c1","image":"i1"},{"name":"c2","image":"i2"}]}}},"status":{"succeeded":1,"startTime":"2024-05-01T11:58:00Z"}})",
                R"(["x","Running","1/3","2m","5m","c1,c2","i1,i2","a=b"])"},
        RowCase{"jobComplete", "jobs.batch",
                "{" META R"(,"spec":{"parallelism":2},"status":{"succeeded":1,"startTime":"2024-05-01T11:58:00Z",
            "completionTime":"2024-05-01T11:58:30Z","conditions":[{"type":"Complete","status":"True"}]}})",
                R"(["x","Complete","1/1 of 2","30s","5m","","","<none>"])"},
        RowCase{
            "jobSuspended", "jobs.batch",
            "{" META
            R"(,"status":{"conditions":[{"type":"Suspended","status":"True"},{"type":"Failed","status":"False"}]}})",
            R"(["x","Suspended","0/1","","5m","","","<none>"])"}),
    [](auto& info) { return std::string(info.param.name); });

// ---- pods
// ------------------------------------------------------------------------------------------------------------

struct PodCase {
  const char* name;
  const char* spec;
  const char* status;
  const char* expected;  ///< ready, status, restarts
  bool deleted = false;
};
class PodRows : public testing::TestWithParam<PodCase> {};
TEST_P(PodRows, asUpstream) {
  std::string object = R"({"metadata":{"name":"p","creationTimestamp":"2024-05-01T11:55:00Z")";
  if (GetParam().deleted) object += R"(,"deletionTimestamp":"2024-05-01T11:59:00Z")";
  object += std::string("},\"spec\":") + GetParam().spec + ",\"status\":" + GetParam().status + "}";
  std::string row = cells(builtin("pods"), object);
  EXPECT_EQ(row, "[\"p\"," + std::string(GetParam().expected) + ",\"5m\",\"<none>\",\"<none>\",\"<none>\",\"<none>\"]");
}
#define ONE R"({"containers":[{"name":"a"}]})"
#define TWO R"({"containers":[{"name":"a"},{"name":"b"}]})"
#define WITH_INIT R"({"initContainers":[{"name":"i"},{"name":"j"}],"containers":[{"name":"a"}]})"
#define WITH_SIDECAR \
  R"({"initContainers":[{"name":"i"},{"name":"s","restartPolicy":"Always"}],"containers":[{"name":"a"}]})"
#define RUNNING(n) R"({"name":")" n R"(","ready":true,"state":{"running":{}}})"
INSTANTIATE_TEST_SUITE_P(
    Upstream, PodRows,
    testing::Values(
        PodCase{"pending", TWO, R"({"phase":"Pending"})", R"("0/2","Pending","0")"},
        PodCase{"statusReasonWins", TWO, R"({"phase":"Failed","reason":"Evicted"})", R"("0/2","Evicted","0")"},
        PodCase{
            "schedulingGated", ONE,
            R"({"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"SchedulingGated"}]})",
            R"("0/1","SchedulingGated","0")"},
        PodCase{"oneOfTwoReady", TWO,
                R"({"phase":"Running","containerStatuses":[)" RUNNING("a") R"(,{"name":"b","restartCount":3}]})",
                R"("1/2","Running","3")"},
        PodCase{
            "waitingReason", TWO,
            R"({"phase":"Pending","containerStatuses":[{"name":"a","state":{"waiting":{"reason":"ContainerCreating"}}}]})",
            R"("0/2","ContainerCreating","0")"},
        PodCase{
            "crashLoop", ONE,
            R"({"phase":"Running","containerStatuses":[{"name":"a","restartCount":4,"state":{"waiting":{"reason":"CrashLoopBackOff"}},
            "lastState":{"terminated":{"finishedAt":"2024-05-01T11:54:30Z"}}}]})",
            R"-("0/1","CrashLoopBackOff","4 (5m30s ago)")-"},
        PodCase{
            "completed", ONE,
            R"({"phase":"Succeeded","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]})",
            R"("0/1","Completed","0")"},
        PodCase{
            "signal", ONE,
            R"({"phase":"Failed","containerStatuses":[{"name":"a","state":{"terminated":{"signal":9,"exitCode":137}}}]})",
            R"("0/1","Signal:9","0")"},
        PodCase{"exitCode", ONE,
                R"({"phase":"Failed","containerStatuses":[{"name":"a","state":{"terminated":{"exitCode":3}}}]})",
                R"("0/1","ExitCode:3","0")"},
        PodCase{
            "firstContainerNamesTheReason", TWO,
            R"({"phase":"Running","containerStatuses":[{"state":{"waiting":{"reason":"A"}}},{"state":{"waiting":{"reason":"B"}}}]})",
            R"("0/2","A","0")"},
        PodCase{"completedAndReady", TWO,
                R"({"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[
            {"name":"a","state":{"terminated":{"reason":"Completed"}}},)" RUNNING("b") "]}",
                R"("1/2","Running","0")"},
        PodCase{
            "completedNotReady", TWO,
            R"({"phase":"Running","containerStatuses":[{"name":"a","state":{"terminated":{"reason":"Completed"}}},)" RUNNING(
                "b") "]}",
            R"("1/2","NotReady","0")"},
        PodCase{"initFirst", WITH_INIT,
                R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"running":{}}},{"name":"j"}]})",
                R"("0/1","Init:0/2","0")"},
        PodCase{
            "initSecond", WITH_INIT,
            R"({"phase":"Pending","initContainerStatuses":[{"name":"i","restartCount":2,"state":{"terminated":{"exitCode":0}}},
            {"name":"j","state":{"waiting":{"reason":"PodInitializing"}}}]})",
            R"("0/1","Init:1/2","2")"},
        PodCase{
            "initFails", WITH_INIT,
            R"({"phase":"Pending","initContainerStatuses":[{"name":"i","restartCount":3,"state":{"terminated":{"exitCode":1,"reason":"Error"}},
            "lastState":{"terminated":{"finishedAt":"2024-05-01T11:59:50Z"}}}]})",
            R"-("0/1","Init:Error","3 (10s ago)")-"},
        PodCase{"initExitCode", WITH_INIT,
                R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":2}}}]})",
                R"("0/1","Init:ExitCode:2","0")"},
        PodCase{
            "initSignal", WITH_INIT,
            R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":2,"signal":6}}}]})",
            R"("0/1","Init:Signal:6","0")"},
        PodCase{
            "initCrashLoop", WITH_INIT,
            R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"waiting":{"reason":"CrashLoopBackOff"}}}]})",
            R"("0/1","Init:CrashLoopBackOff","0")"},
        PodCase{
            "initDone", WITH_INIT,
            R"({"phase":"Running","initContainerStatuses":[{"name":"i","restartCount":5,"state":{"terminated":{"exitCode":0}}},
            {"name":"j","state":{"terminated":{"exitCode":0}}}],"containerStatuses":[)" RUNNING("a") "]}",
            R"("1/1","Running","0")"},
        PodCase{
            "sidecarRunning", WITH_SIDECAR,
            R"({"phase":"Running","initContainerStatuses":[{"name":"i","restartCount":5,"state":{"terminated":{"exitCode":0}}},
            {"name":"s","started":true,"ready":true,"restartCount":1,"state":{"running":{}}}],"containerStatuses":[)" RUNNING(
                "a") "]}",
            R"("2/2","Running","1")"},
        PodCase{"sidecarStarting", WITH_SIDECAR,
                R"({"phase":"Pending","initContainerStatuses":[{"name":"i","state":{"terminated":{"exitCode":0}}},
            {"name":"s","started":false,"state":{"waiting":{}}}]})",
                R"("0/2","Init:1/2","0")"},
        PodCase{"terminating", ONE, R"({"phase":"Running","containerStatuses":[)" RUNNING("a") "]}",
                R"("1/1","Terminating","0")", true},
        PodCase{"terminatedStaysWhatItWas", ONE,
                R"({"phase":"Succeeded","containerStatuses":[{"state":{"terminated":{"reason":"Completed"}}}]})",
                R"("0/1","Completed","0")", true},
        PodCase{"nodeLost", ONE, R"({"phase":"Running","reason":"NodeLost"})", R"("0/1","Unknown","0")", true}),
    [](auto& info) { return std::string(info.param.name); });

TEST(PodRow, wideColumns) {
  EXPECT_EQ(
      cells(
          builtin("pods"),
          R"({"metadata":{"name":"p"},"spec":{"nodeName":"n1","readinessGates":[{"conditionType":"a"},{"conditionType":"b"}]},
      "status":{"podIP":"1.1.1.1","podIPs":[{"ip":"2.2.2.2"}],"nominatedNodeName":"n2","conditions":[{"type":"a","status":"True"}]}})"),
      R"(["p","0/0","","0","<unknown>","2.2.2.2","n1","n2","1/2"])");
}

// ---- custom kinds
// ----------------------------------------------------------------------------------------------------

TEST(CustomTable, columnsAndCells) {
  KindInfo kind;
  kind.group = "g.io";
  kind.resource = "things";
  kind.custom = true;
  auto add = [&](const char* name, const char* type, const char* path, int priority = 0) {
    Column column;
    column.name = name;
    column.type = type;
    column.jsonPath = path;
    column.priority = priority;
    kind.columns.push_back(column);
  };
  add("Name", "string", "");
  add("State", "string", ".status.conditions[-1:].type");
  add("N", "integer", ".spec.n");
  add("F", "number", ".spec.f", 1);
  add("B", "boolean", ".spec.b");
  add("When", "date", ".status.when");
  add("Bad", "date", ".spec.n2");
  add("Map", "string", ".spec");
  add("List", "string", ".spec.l");
  add("None", "string", ".spec.nothing.here");
  add("Wrong", "integer", ".metadata.name");
  add("Age", "date", ".metadata.creationTimestamp");
  EXPECT_EQ(
      cells(
          kind,
          R"({"metadata":{"name":"t","creationTimestamp":"2024-05-01T11:55:00Z"},"spec":{"n":3.7,"f":0.5,"b":true,"n2":"x","l":["a",1]},
      "status":{"when":"2024-05-01T11:59:55Z","conditions":[{"type":"Created"},{"type":"Running"}]}})"),
      R"(["t","Running",3,0.5,true,"5s","<invalid>","map[b:true f:0.5 l:[a 1] n:3.7 n2:x]","[a 1]",null,null,"5m"])");
  json::Arena arena;
  json::Value columns = tableColumns(arena, kind);
  EXPECT_EQ(json::print(columns[3]), R"({"description":"","format":"","name":"F","priority":1,"type":"number"})");
}

struct PathCase {
  const char* path;
  const char* expected;  ///< or the error
};
class JsonPaths : public testing::TestWithParam<PathCase> {};
TEST_P(JsonPaths, select) {
  json::Arena arena;
  json::Value root = *json::parse(
      arena,
      R"({"a":{"b":1,"c.d/e":2,"x y":3},"l":[{"t":"A","n":1,"ok":true},{"t":"B","n":5},{"t":"C","n":9}],"s":[0,1,2,3,4]})");
  auto found = jsonPath(root, GetParam().path);
  EXPECT_EQ(found.ok() ? json::print(json::array(arena, *found)) : found.error().message, GetParam().expected);
}
INSTANTIATE_TEST_SUITE_P(
    Cases, JsonPaths,
    testing::Values(
        PathCase{".a.b", "[1]"}, PathCase{"{.a.b}", "[1]"}, PathCase{"$.a.b", "[1]"}, PathCase{"a.b", "[1]"},
        PathCase{".a.z", "[]"}, PathCase{".a.c\\.d/e", "[2]"}, PathCase{".a['c.d/e']", "[2]"},
        PathCase{".a[\"x y\"]", "[3]"}, PathCase{".a['b','x y']", "[1,3]"}, PathCase{".l[0].t", R"(["A"])"},
        PathCase{".l[-1].t", R"(["C"])"}, PathCase{".l[7].t", "[]"}, PathCase{".l[*].t", R"(["A","B","C"])"},
        PathCase{".l.*.n", "[1,5,9]"}, PathCase{".s[-1:]", "[4]"}, PathCase{".s[1:3]", "[1,2]"},
        PathCase{".s[:2]", "[0,1]"}, PathCase{".s[::2]", "[0,2,4]"}, PathCase{".s[0,2]", "[0,2]"},
        PathCase{".s[3:1]", "[]"}, PathCase{".s[-9:1]", "[0]"}, PathCase{"..t", R"(["A","B","C"])"},
        PathCase{"..[0]", R"([{"n":1,"ok":true,"t":"A"},0])"}, PathCase{".l[?(@.t==\"B\")].n", "[5]"},
        PathCase{".l[?(@.t=='B')].n", "[5]"}, PathCase{".l[?( @.n > 3 )].t", R"(["B","C"])"},
        PathCase{".l[?(@.n<=5)].t", R"(["A","B"])"}, PathCase{".l[?(@.t!=\"A\")].n", "[5,9]"},
        PathCase{".l[?(@.ok)].t", R"(["A"])"}, PathCase{".l[?(@.ok==true)].t", R"(["A"])"},
        PathCase{".s[?(@>2)]", "[3,4]"},
        PathCase{
            ".",
            R"([{"a":{"b":1,"c.d/e":2,"x y":3},"l":[{"n":1,"ok":true,"t":"A"},{"n":5,"t":"B"},{"n":9,"t":"C"}],"s":[0,1,2,3,4]}])"},
        PathCase{".l[0", "invalid JSON path \".l[0\": a [ has no ]"},
        PathCase{".l[x]", "invalid JSON path \".l[x]\": \"x\" is no array index"},
        PathCase{".s[::0]", "invalid JSON path \".s[::0]\": the step of a slice must be above 0"},
        PathCase{".a['b]", "invalid JSON path \".a['b]\": a [ has no ]"},
        PathCase{".l[?(@.t==B)]",
                 "invalid JSON path \".l[?(@.t==B)]\": \"B\" is neither a path that begins with @ nor a value"}));

TEST(JsonPathLimits, multiplyingStepsAreCut) {
  json::Arena arena;
  std::string text = "[0";
  for (int i = 0; i < 1000; ++i) text += ",[0]";
  json::Value root = *json::parse(arena, text + "]");
  std::string path;
  for (int i = 0; i < 20; ++i) path += "[0,1,2,3,1,2,3,*]..*";
  EXPECT_TRUE(jsonPath(root, path).ok() || jsonPath(root, path).error().reason == Reason::BadRequest);
  json::Value wide = *json::parse(arena, text + "]");
  std::string indexes = "[0";
  for (int i = 0; i < 300; ++i) indexes += ",0:1000";
  EXPECT_FALSE(jsonPath(wide, indexes + "]").ok());
  std::string nested = "@";
  for (int i = 0; i < 30; ++i) nested = "@[?(" + nested + ")]";
  json::Value deep = *json::parse(arena, std::string(40, '[') + std::string(40, ']'));
  EXPECT_FALSE(jsonPath(deep, "[?(" + nested + ")]").ok());
}

}  // namespace
}  // namespace stoker::kube
