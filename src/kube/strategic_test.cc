#include <gtest/gtest.h>

#include "kube/schema.h"

namespace stoker::kube {
namespace {

struct Case {
  const char* name;
  const char* schema;  // under k8s.io.api.
  const char* current;
  const char* patch;
  const char* want;  // an error when it starts with '!'
};

/// Upstream's well-known cases, over real fields.
TEST(StrategicMerge, Table) {
  const Case cases[] = {
      {"maps merge, nulls delete", "core.v1.ConfigMap", R"({"data":{"a":"1","b":"2"}})",
       R"({"data":{"b":null,"c":"3","d":null}})", R"({"data":{"a":"1","c":"3"}})"},
      {"nulls that meet nothing vanish", "core.v1.Pod", R"({})",
       R"({"spec":{"nodeName":null,"hostNetwork":true},"metadata":null})", R"({"spec":{"hostNetwork":true}})"},
      {"list merges by key", "core.v1.PodSpec", R"({"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}]})",
       R"({"containers":[{"name":"b","image":"2"}]})",
       R"({"containers":[{"image":"1","name":"a"},{"image":"2","name":"b"}]})"},
      {"list adds", "core.v1.PodSpec", R"({"containers":[{"name":"a"}]})",
       R"({"containers":[{"name":"b","env":[{"name":"x","value":"y"}]}]})",
       R"({"containers":[{"env":[{"name":"x","value":"y"}],"name":"b"},{"name":"a"}]})"},
      {"$patch delete in a list", "core.v1.PodSpec", R"({"containers":[{"name":"a"},{"name":"b"}]})",
       R"({"containers":[{"name":"a","$patch":"delete"}]})", R"({"containers":[{"name":"b"}]})"},
      {"$patch replace in a list", "core.v1.PodSpec", R"({"containers":[{"name":"a"},{"name":"b"}]})",
       R"({"containers":[{"name":"c"},{"$patch":"replace"}]})", R"({"containers":[{"name":"c"}]})"},
      {"$patch replace in a map", "core.v1.Pod", R"({"metadata":{"labels":{"a":"1"}}})",
       R"({"metadata":{"labels":{"b":"2","$patch":"replace"}}})", R"({"metadata":{"labels":{"b":"2"}}})"},
      {"$patch delete in a map", "core.v1.Pod", R"({"metadata":{"labels":{"a":"1"}}})",
       R"({"metadata":{"labels":{"$patch":"delete"}}})", R"({"metadata":{"labels":{}}})"},
      {"atomic lists are replaced", "core.v1.Container", R"({"args":["a","b"]})", R"({"args":["c"]})",
       R"({"args":["c"]})"},
      {"tolerations are atomic", "core.v1.PodSpec", R"({"tolerations":[{"key":"a"}]})",
       R"({"tolerations":[{"key":"b"}]})", R"({"tolerations":[{"key":"b"}]})"},
      {"scalar lists merge as sets", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta", R"({"finalizers":["a","b"]})",
       R"({"finalizers":["c","b"]})", R"({"finalizers":["c","a","b"]})"},
      {"$deleteFromPrimitiveList", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta", R"({"finalizers":["a","b","c"]})",
       R"({"$deleteFromPrimitiveList/finalizers":["b"]})", R"({"finalizers":["a","c"]})"},
      {"$deleteFromPrimitiveList with order", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta",
       R"({"finalizers":["a","b","c"]})",
       R"({"$deleteFromPrimitiveList/finalizers":["b"],"$setElementOrder/finalizers":["d","a"],"finalizers":["d"]})",
       R"({"finalizers":["d","a","c"]})"},
      {"$setElementOrder alone", "core.v1.PodSpec", R"({"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
       R"({"$setElementOrder/containers":[{"name":"c"},{"name":"a"}]})",
       R"({"containers":[{"name":"b"},{"name":"c"},{"name":"a"}]})"},
      {"$setElementOrder with a change", "core.v1.PodSpec",
       R"({"containers":[{"name":"a"},{"name":"server"},{"name":"c"}]})",
       R"({"$setElementOrder/containers":[{"name":"a"},{"name":"b"},{"name":"c"}],"containers":[{"name":"b","image":"x"}]})",
       R"({"containers":[{"name":"a"},{"image":"x","name":"b"},{"name":"server"},{"name":"c"}]})"},
      {"$setElementOrder for a new list", "core.v1.PodSpec", R"({})",
       R"({"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a"}]})",
       R"({"containers":[{"name":"a"}]})"},
      {"$setElementOrder and no list at all", "core.v1.PodSpec", R"({})",
       R"({"$setElementOrder/containers":[{"name":"a"}]})", R"({})"},
      {"$setElementOrder, then the list deleted", "core.v1.PodSpec", R"({"containers":[{"name":"a"}]})",
       R"({"$setElementOrder/containers":[],"containers":null})", R"({})"},
      {"nested orders", "core.v1.PodSpec",
       R"({"containers":[{"name":"a","env":[{"name":"x","value":"1"},{"name":"y","value":"2"}]}]})",
       R"({"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"a","$setElementOrder/env":[{"name":"y"},{"name":"x"}],"env":[{"name":"x","value":"3"}]}]})",
       R"({"containers":[{"env":[{"name":"y","value":"2"},{"name":"x","value":"3"}],"name":"a"}]})"},
      {"$retainKeys", "core.v1.PodSpec", R"({"volumes":[{"name":"v","emptyDir":{}}]})",
       R"({"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]})",
       R"({"volumes":[{"hostPath":{"path":"/x"},"name":"v"}]})"},
      {"port merge key", "core.v1.ServiceSpec", R"({"ports":[{"port":80,"name":"a"}]})",
       R"({"ports":[{"port":80,"nodePort":30000}]})", R"({"ports":[{"name":"a","nodePort":30000,"port":80}]})"},
      {"type changes replace", "core.v1.ServicePort", R"({"targetPort":80})", R"({"targetPort":"http"})",
       R"({"targetPort":"http"})"},
      {"secret data", "core.v1.Secret", R"({"data":{"a":"YQ=="}})", R"({"data":{"b":"Yg=="}})",
       R"({"data":{"a":"YQ==","b":"Yg=="}})"},
      {"conditions", "core.v1.PodStatus",
       R"({"conditions":[{"type":"Ready","status":"False"},{"type":"PodScheduled","status":"True"}]})",
       R"({"$setElementOrder/conditions":[{"type":"Ready"}],"conditions":[{"type":"Ready","status":"True"}]})",
       R"({"conditions":[{"status":"True","type":"Ready"},{"status":"True","type":"PodScheduled"}]})"},
      {"owner references", "k8s.io.apimachinery.pkg.apis.meta.v1.ObjectMeta",
       R"({"ownerReferences":[{"uid":"1"},{"uid":"2"}]})", R"({"ownerReferences":[{"$patch":"delete","uid":"1"}]})",
       R"({"ownerReferences":[{"uid":"2"}]})"},
      {"no merge key", "core.v1.PodSpec", R"({"containers":[{"name":"a"}]})", R"({"containers":[{"image":"x"}]})",
       "!map: {\"image\":\"x\"} does not contain declared merge key: name"},
      {"unknown directive", "core.v1.Pod", R"({"spec":{}})", R"({"spec":{"$patch":"bogus"}})",
       "!unknown patch type: bogus in map: {\"$patch\":\"bogus\"}"},
      {"retainKeys that miss a key", "core.v1.PodSpec", R"({"volumes":[{"name":"v"}]})",
       R"({"volumes":[{"name":"v","$retainKeys":["name"],"emptyDir":{}}]})",
       "!invalid patch format of retainKeys: emptyDir is in the patch, but not in the retainKeys list [\"name\"]"},
      {"order that contradicts the list", "core.v1.PodSpec", R"({"containers":[]})",
       R"({"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"b"}]})",
       "!The order in patch list:\n[{\"name\":\"b\"}]\n doesn't match $setElementOrder list:\n[{\"name\":\"a\"}]\n"},
      {"not an object", "core.v1.Pod", R"({})", R"([])", "!a strategic merge patch must be an object, got array"},
  };
  for (const Case& c : cases) {
    json::Arena arena;
    const Schema* schema = builtinSchemas()->message(
        std::string(c.schema).starts_with("k8s.") ? c.schema : "k8s.io.api." + std::string(c.schema));
    auto got = strategicMerge(arena, *schema, *json::parse(arena, c.current), *json::parse(arena, c.patch));
    if (c.want[0] == '!') {
      ASSERT_FALSE(got.ok()) << c.name;
      EXPECT_EQ(got.error().message, c.want + 1) << c.name;
    } else {
      ASSERT_TRUE(got.ok()) << c.name << ": " << got.error().message;
      EXPECT_EQ(json::print(*got), c.want) << c.name;
    }
  }
}

}  // namespace
}  // namespace stoker::kube
