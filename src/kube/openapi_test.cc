#include "kube/openapi.h"

#include <gtest/gtest.h>

namespace stoker::kube {
namespace {

std::vector<KindPtr> withCustomKind() {
  std::vector<KindPtr> kinds = builtinKinds();
  auto doc = json::parseDoc(
      R"({"metadata":{"name":"widgets.shop.example.com"},"spec":{"group":"shop.example.com","scope":"Namespaced",
    "names":{"plural":"widgets","kind":"Widget"},"versions":[{"name":"v1","served":true,"storage":true,
    "subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas"}},
    "schema":{"openAPIV3Schema":{"type":"object","description":"A widget.","properties":{"spec":{"type":"object","properties":{
      "n":{"type":"integer","nullable":true},"free":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"a":{"type":"string"}}},
      "port":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]},
      "list":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string","enum":["a"]}}},
      "x-kubernetes-validations":[{"rule":"self.n > 1"}]}}}}}]}})");
  auto custom = kindsOfCrd(doc->root);
  EXPECT_TRUE(custom.ok());
  kinds.push_back(custom->front());
  return kinds;
}

TEST(OpenApi, Definitions) {
  auto doc = json::parseDoc(openapiV2Json(withCustomKind()));
  ASSERT_TRUE(doc.ok());
  json::Value definitions = doc->root["definitions"];
  struct Case {
    std::vector<const char*> path;
    const char* want;
  };
  const Case cases[] = {
      {{"io.k8s.api.core.v1.Pod", "x-kubernetes-group-version-kind"}, R"([{"group":"","kind":"Pod","version":"v1"}])"},
      {{"io.k8s.api.core.v1.Pod", "properties", "spec", "$ref"}, R"("#/definitions/io.k8s.api.core.v1.PodSpec")"},
      {{"io.k8s.api.core.v1.PodSpec", "required"}, R"(["containers"])"},
      {{"io.k8s.api.core.v1.PodSpec", "properties", "containers", "x-kubernetes-patch-merge-key"}, R"("name")"},
      {{"io.k8s.api.core.v1.PodSpec", "properties", "volumes", "x-kubernetes-patch-strategy"}, R"("merge,retainKeys")"},
      {{"io.k8s.api.core.v1.PodSpec", "properties", "containers", "x-kubernetes-list-map-keys"}, R"(["name"])"},
      {{"io.k8s.api.core.v1.Volume", "properties", "emptyDir", "$ref"},
       R"("#/definitions/io.k8s.api.core.v1.EmptyDirVolumeSource")"},
      {{"io.k8s.apimachinery.pkg.util.intstr.IntOrString", "format"}, R"("int-or-string")"},
      {{"io.k8s.apimachinery.pkg.api.resource.Quantity", "type"}, R"("string")"},
      {{"com.example.shop.v1.Widget", "description"}, R"("A widget.")"},
      {{"com.example.shop.v1.Widget", "x-kubernetes-group-version-kind"},
       R"([{"group":"shop.example.com","kind":"Widget","version":"v1"}])"},
      {{"com.example.shop.v1.Widget", "properties", "spec", "properties"},
       R"({"free":{"type":"object","x-kubernetes-preserve-unknown-fields":true},"list":{"items":{"enum":["a"],"type":"string"},)"
       R"("type":"array","x-kubernetes-list-type":"set"},"n":{},"port":{"x-kubernetes-int-or-string":true}})"},
      {{"com.example.shop.v1.Widget", "properties", "spec", "x-kubernetes-validations"}, R"([{"rule":"self.n > 1"}])"},
      {{"com.example.shop.v1.WidgetList", "properties", "items", "items"},
       R"({"$ref":"#/definitions/com.example.shop.v1.Widget"})"},
  };
  for (const Case& c : cases) {
    json::Value at = definitions;
    std::string path;
    for (const char* step : c.path) at = at[step], path += std::string("/") + step;
    EXPECT_EQ(json::print(at), c.want) << path;
  }
  EXPECT_NE(
      definitions.at({"io.k8s.api.core.v1.PodSpec", "properties", "nodeName", "description"}).asString().find("node"),
      std::string_view::npos);
}

/// Every reference leads somewhere: a dangling one makes kubectl refuse the whole document.
void references(json::Value value, json::Value definitions, size_t& seen) {
  if (const json::Value* ref = value.find("$ref"); ref && ref->isString()) {
    ++seen;
    constexpr std::string_view kPrefix = "#/definitions/";
    ASSERT_TRUE(ref->asString().starts_with(kPrefix));
    EXPECT_TRUE(definitions.has(ref->asString().substr(kPrefix.size()))) << ref->asString();
  }
  for (const json::Member& member : value.members()) references(member.value, definitions, seen);
  for (json::Value item : value.items()) references(item, definitions, seen);
}

TEST(OpenApi, ReferencesAndPaths) {
  auto doc = json::parseDoc(openapiV2Json(withCustomKind()));
  ASSERT_TRUE(doc.ok());
  size_t seen = 0;
  references(doc->root, doc->root["definitions"], seen);
  EXPECT_GT(seen, 500u);
  json::Value paths = doc->root["paths"];
  for (const char* path :
       {"/api/v1/pods", "/api/v1/namespaces/{namespace}/pods", "/api/v1/namespaces/{namespace}/pods/{name}/status",
        "/api/v1/nodes/{name}", "/apis/batch/v1/namespaces/{namespace}/jobs",
        "/apis/shop.example.com/v1/namespaces/{namespace}/widgets/{name}/scale"})
    EXPECT_TRUE(paths.has(path)) << path;
  EXPECT_FALSE(paths["/api/v1/namespaces"].has("delete"));
  json::Value patch = paths["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
  EXPECT_EQ(patch["operationId"].asString(), "patchCoreV1NamespacedPod");
  EXPECT_EQ(patch["x-kubernetes-action"].asString(), "patch");
  EXPECT_EQ(patch["consumes"][2].asString(), "application/strategic-merge-patch+json");
  std::string names;
  for (json::Value parameter : patch["parameters"].items()) names += parameter["name"].str() + " ";
  EXPECT_EQ(names, "body dryRun fieldManager fieldValidation force ");
  EXPECT_EQ(paths["/apis/shop.example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]["consumes"].size(), 3u);
}

TEST(OpenApi, Protobuf) {
  json::Arena arena;
  auto document =
      json::parse(arena, R"({"swagger":"2.0","info":{"title":"t"},"definitions":{"a":{"type":"string","x-k":1}}})");
  auto field = [](int tag, std::string_view bytes) {  // of fewer than 128 bytes
    std::string out;
    if (tag >= 128) out += static_cast<char>(tag | 0x80), tag >>= 7;
    return out + static_cast<char>(tag) + static_cast<char>(bytes.size()) + std::string(bytes);
  };
  auto number = [](int field) { return field << 3 | 2; };
  std::string type = field(number(22), field(number(1), "string"));
  std::string extension = field(number(31), field(number(1), "x-k") + field(number(2), field(number(2), "1\n")));
  std::string definition = field(number(1), "a") + field(number(2), type + extension);
  EXPECT_EQ(openapiDocumentProtobuf(*document), field(number(1), "2.0") + field(number(2), field(number(1), "t")) +
                                                    field(number(9), field(number(1), definition)));
  std::vector<KindPtr> kinds = withCustomKind();
  EXPECT_EQ(openapiV2Protobuf(kinds), openapiV2Protobuf(kinds));
  EXPECT_GT(openapiV2Protobuf(kinds).size(), 100'000u);
}

}  // namespace
}  // namespace stoker::kube
