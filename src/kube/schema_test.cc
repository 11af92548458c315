#include "kube/schema.h"

#include <gtest/gtest.h>

#include <chrono>

#include "kube/kinds.h"

namespace stoker::kube {
namespace {

const Schema& message(std::string_view name) {
  const Schema* found = builtinSchemas()->message(name);
  EXPECT_NE(found, nullptr) << name;
  return *found;
}

json::Value parsed(json::Arena& arena, std::string_view text) {
  auto value = json::parse(arena, text);
  EXPECT_TRUE(value.ok()) << text << ": " << (value.ok() ? "" : value.error().message);
  return value.ok() ? *value : json::Value();
}

TEST(Builtins, KindsAreServedWithSchemas) {
  std::string names;
  for (const KindPtr& kind : builtinKinds()) {
    ASSERT_NE(kind->schema, nullptr) << kind->kind;
    EXPECT_TRUE(kind->schema->typeMeta) << kind->kind;
    EXPECT_NE(kind->schema->field("metadata"), nullptr);
    EXPECT_NE(kind->schema->field("apiVersion"), nullptr);
    names += kind->groupResource() + " ";
  }
  EXPECT_EQ(
      names,
      "namespaces nodes pods services endpoints configmaps secrets serviceaccounts events persistentvolumeclaims "
      "persistentvolumes jobs.batch clusterrolebindings.rbac.authorization.k8s.io "
      "clusterroles.rbac.authorization.k8s.io "
      "rolebindings.rbac.authorization.k8s.io roles.rbac.authorization.k8s.io "
      "customresourcedefinitions.apiextensions.k8s.io priorityclasses.scheduling.k8s.io leases.coordination.k8s.io "
      "endpointslices.discovery.k8s.io ");
}

TEST(Builtins, FactsOfTheTables) {
  const KindInfo& pod = *builtinKinds()[2];
  EXPECT_EQ(pod.kind, "Pod");
  EXPECT_EQ(pod.shortNames, std::vector<std::string>{"po"});
  EXPECT_EQ(pod.categories, std::vector<std::string>{"all"});
  EXPECT_TRUE(pod.hasStatus);
  EXPECT_EQ(pod.columns.size(), 9u);
  EXPECT_EQ(pod.columns[5].name, "IP");
  EXPECT_EQ(pod.columns[5].priority, 1);
  const Schema& spec = message("k8s.io.api.core.v1.PodSpec");
  EXPECT_TRUE(spec.field("containers")->patchMerge);
  EXPECT_EQ(spec.field("containers")->mergeKey, "name");
  EXPECT_TRUE(spec.field("volumes")->patchRetainKeys);
  EXPECT_EQ(spec.field("containers")->schema->listMapKeys, std::vector<std::string>{"name"});
  EXPECT_EQ(spec.field("Containers"), nullptr);
  EXPECT_EQ(message("k8s.io.api.core.v1.Volume").field("emptyDir")->proto, 2u);  // inlined
  EXPECT_TRUE(message("k8s.io.api.core.v1.LocalObjectReference").atomicMap);
  EXPECT_TRUE(message("k8s.io.api.batch.v1.JobSpec").field("backoffLimit")->pointer);
  EXPECT_EQ(builtinSchemas()->message("k8s.io.api.core.v1.Nothing"), nullptr);
}

struct CoerceCase {
  const char* name;
  const char* schema;
  const char* given;
  const char* want;     // or the error, when it starts with '!'
  const char* unknown;  // joined by a space
};

TEST(Coerce, Table) {
  const CoerceCase cases[] = {
      {"unknown dropped", "k8s.io.api.core.v1.Pod",
       R"({"spec":{"containers":[{"name":"a","imagee":"x"}],"foo":1},"Kind":"x"})",
       R"({"spec":{"containers":[{"name":"a"}]}})", "Kind spec.containers[0].imagee spec.foo"},
      {"nulls vanish, empties stay", "k8s.io.api.core.v1.Pod",
       R"({"metadata":{"creationTimestamp":null,"labels":{},"annotations":null},"spec":{"containers":[],"nodeName":"","priority":null}})",
       R"({"metadata":{"labels":{}},"spec":{"containers":[],"nodeName":""}})", ""},
      {"null elements are zero values", "k8s.io.api.core.v1.Container", R"({"args":["a",null],"env":[null]})",
       R"({"args":["a",""],"env":[{}]})", ""},
      {"null label", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta", R"({"labels":{"a":null}})",
       R"({"labels":{"a":""}})", ""},
      {"quantities", "k8s.io.api.core.v1.ResourceRequirements", R"({"limits":{"cpu":0.5,"memory":"1024Mi"}})",
       R"({"limits":{"cpu":"500m","memory":"1Gi"}})", ""},
      {"times", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta",
       R"({"creationTimestamp":"2024-01-02T03:04:05.678+02:00"})", R"({"creationTimestamp":"2024-01-02T01:04:05Z"})",
       ""},
      {"micro time", "k8s.io.api.coordination.v1.LeaseSpec", R"({"renewTime":"2024-01-02T03:04:05Z"})",
       R"({"renewTime":"2024-01-02T03:04:05.000000Z"})", ""},
      {"int or string", "k8s.io.api.core.v1.ServicePort", R"({"port":80,"targetPort":"http"})",
       R"({"port":80,"targetPort":"http"})", ""},
      {"raw json is kept", "k8s.io.apimachinery.pkg.apis.meta.v1.ManagedFieldsEntry",
       R"({"fieldsV1":{"f:x":{"a":null}}})", R"({"fieldsV1":{"f:x":{"a":null}}})", ""},
      {"choices", "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps",
       R"({"additionalProperties":true,"items":{"type":"string","bogus":1},"enum":[null,1]})",
       R"({"additionalProperties":true,"enum":[null,1],"items":{"type":"string"}})", "items.bogus"},
      {"named list", "k8s.io.api.authentication.v1.UserInfo", R"({"extra":{"a":["b"]}})", R"({"extra":{"a":["b"]}})",
       ""},
      {"wrong scalar", "k8s.io.api.core.v1.Pod", R"({"spec":{"priority":"high"}})",
       "!spec.priority: expected an integer, got string", ""},
      {"fraction", "k8s.io.api.core.v1.Pod", R"({"spec":{"priority":1.0}})",
       "!spec.priority: expected an integer, got number 1.0", ""},
      {"too wide", "k8s.io.api.core.v1.Pod", R"({"spec":{"priority":3000000000}})",
       "!spec.priority: expected an integer of 32 bits, got number 3000000000", ""},
      {"wrong list", "k8s.io.api.core.v1.Pod", R"({"spec":{"containers":{}}})",
       "!spec.containers: expected an array, got object", ""},
      {"wrong bool", "k8s.io.api.core.v1.Pod", R"({"spec":{"hostNetwork":"yes"}})",
       "!spec.hostNetwork: expected a boolean, got string", ""},
      {"wrong map value", "k8s.io.api.core.v1.ConfigMap", R"({"data":{"a":true}})",
       "!data.a: expected a string, got boolean", ""},
      {"wrong root", "k8s.io.api.core.v1.Pod", R"([])", "!the object: expected an object, got array", ""},
      {"bytes", "k8s.io.api.core.v1.Secret", R"({"data":{"a":"YQ=\n="}})", R"({"data":{"a":"YQ=="}})", ""},
      {"bad bytes", "k8s.io.api.core.v1.Secret", R"({"data":{"a":"%"}})", "!data.a: illegal base64 data", ""},
  };
  for (const CoerceCase& c : cases) {
    json::Arena arena;
    auto got = coerce(arena, message(c.schema), parsed(arena, c.given));
    if (c.want[0] == '!') {
      ASSERT_FALSE(got.ok()) << c.name;
      EXPECT_EQ(got.error().message, c.want + 1) << c.name;
      EXPECT_EQ(got.error().reason, Reason::BadRequest);
      continue;
    }
    ASSERT_TRUE(got.ok()) << c.name << ": " << got.error().message;
    EXPECT_EQ(json::print(got->value), c.want) << c.name;
    std::string unknown;
    for (auto& path : got->unknown) unknown += (unknown.empty() ? "" : " ") + path;
    EXPECT_EQ(unknown, c.unknown) << c.name;
  }
}

TEST(Defaults, Table) {
  struct Case {
    const char* schema;
    const char* given;
    const char* want;
  };
  const Case cases[] = {
      {"core.v1.ServiceSpec", R"({"ports":[{"port":80}]})",
       R"({"ports":[{"port":80,"protocol":"TCP"}],"sessionAffinity":"None","type":"ClusterIP"})"},
      {"core.v1.ServiceSpec", R"({"type":"","sessionAffinity":"ClientIP"})",
       R"({"sessionAffinity":"ClientIP","type":"ClusterIP"})"},
      {"core.v1.Probe", R"({"httpGet":{"port":1},"periodSeconds":0,"timeoutSeconds":5})",
       R"({"failureThreshold":3,"httpGet":{"path":"/","port":1,"scheme":"HTTP"},"periodSeconds":10,"successThreshold":1,"timeoutSeconds":5})"},
      {"core.v1.Volume", R"({"name":"a","secret":{"secretName":"s"}})",
       R"({"name":"a","secret":{"defaultMode":420,"secretName":"s"}})"},
      {"core.v1.Volume", R"({"name":"a","secret":{"defaultMode":0}})", R"({"name":"a","secret":{"defaultMode":0}})"},
      {"batch.v1.JobSpec", R"({"parallelism":0,"suspend":true,"template":{}})",
       R"({"completionMode":"NonIndexed","manualSelector":false,"parallelism":0,"suspend":true,"template":{}})"},
      {"core.v1.Namespace", R"({})", R"({"spec":{},"status":{"phase":"Active"}})"},
      {"core.v1.Pod", R"({"spec":{"containers":[{"name":"c"}]}})",
       R"({"spec":{"containers":[{"name":"c","resources":{},"terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File"}],)"
       R"("dnsPolicy":"ClusterFirst","restartPolicy":"Always","schedulerName":"default-scheduler","securityContext":{},)"
       R"("terminationGracePeriodSeconds":30},"status":{"phase":"Pending"}})"},
  };
  for (const Case& c : cases) {
    json::Arena arena;
    const Schema& schema = message(std::string("k8s.io.api.") + c.schema);
    json::Value once = applyDefaults(arena, schema, parsed(arena, c.given));
    EXPECT_EQ(json::print(once), c.want);
    EXPECT_EQ(json::print(applyDefaults(arena, schema, once)), c.want) << "not idempotent";
  }
}

TEST(Builtins, EveryDefaultFitsItsField) {
  size_t seen = 0;
  for (const KindPtr& kind : builtinKinds()) {
    json::Arena arena;
    json::Value filled = applyDefaults(arena, *kind->schema, parsed(arena, "{}"));
    auto again = coerce(arena, *kind->schema, filled);
    ASSERT_TRUE(again.ok()) << kind->kind << again.error().message;
    EXPECT_EQ(again->value, filled) << kind->kind;
    seen += filled.size();
  }
  EXPECT_GT(seen, 0u);
}

}  // namespace
}  // namespace stoker::kube
