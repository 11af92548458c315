#include "kube/crd_of.h"

#include <gtest/gtest.h>

#include "api/gang.h"
#include "api/training.h"

namespace stoker::kube {
namespace {

/// A kind described for this test: every rule once.
struct Widget {
  static constexpr api::Gvk gvk{"shop.example.com", "v1", "Widget", "widgets"};
  struct Part {
    std::string id, size;
    static constexpr auto describe() {
      return std::tuple{api::field("id", &Part::id).required(), api::field("size", &Part::size).intOrString()};
    }
  };
  struct Spec {
    std::string colour;
    std::optional<int32_t> replicas;
    int64_t big = 0;
    double ratio = 0;
    bool on = false;
    Time when{};
    std::vector<Part> parts;
    std::map<std::string, std::string> amounts;
    api::Raw template_, free;
    static constexpr auto describe() {
      return std::tuple{
          api::field("colour", &Spec::colour, "What it looks like.").oneOf("red|green").defaults("\"red\""),
          api::field("replicas", &Spec::replicas).minimum(0).required(),
          api::field("big", &Spec::big),
          api::field("ratio", &Spec::ratio),
          api::field("on", &Spec::on).defaults("true"),
          api::field("when", &Spec::when),
          api::field("parts", &Spec::parts).keyedBy("id"),
          api::field("amounts", &Spec::amounts).intOrString(),
          api::field("template", &Spec::template_).builtin("k8s.io.api.core.v1.PodTemplateSpec"),
          api::field("free", &Spec::free)};
    }
  };
  api::ObjectMeta metadata;
  Spec spec;
  static constexpr auto describe() {
    return std::tuple{api::field("metadata", &Widget::metadata), api::field("spec", &Widget::spec).required()};
  }
};

TEST(CrdOf, describesWhatTheStructSays) {
  json::Arena arena;
  json::Value crd = crdOf<Widget>(
      arena, {.singular = "widget",
              .shortNames = {"wd"},
              .categories = {"all"},
              .columns = {{.name = "Colour", .description = "Its colour.", .priority = 1, .jsonPath = ".spec.colour"}},
              .status = false});
  EXPECT_EQ(crd["apiVersion"].asString(), "apiextensions.k8s.io/v1");
  EXPECT_EQ(crd.at({"metadata", "name"}).asString(), "widgets.shop.example.com");
  EXPECT_EQ(
      json::print(crd.at({"spec", "names"})),
      R"({"categories":["all"],"kind":"Widget","listKind":"WidgetList","plural":"widgets","shortNames":["wd"],"singular":"widget"})");
  json::Value version = crd.at({"spec", "versions"})[0];
  EXPECT_FALSE(version.has("subresources"));
  EXPECT_EQ(
      json::print(version["additionalPrinterColumns"]),
      R"([{"description":"Its colour.","jsonPath":".spec.colour","name":"Colour","priority":1,"type":"string"}])");
  json::Value root = version.at({"schema", "openAPIV3Schema"});
  EXPECT_EQ(json::print(root["required"]), R"(["spec"])");
  EXPECT_EQ(json::print(root.at({"properties", "metadata"})), R"({"type":"object"})");
  json::Value spec = root.at({"properties", "spec"});
  EXPECT_EQ(json::print(spec["required"]), R"(["replicas"])");
  struct Case {
    const char* field;
    const char* schema;
  };
  for (
      const Case& c :
      {Case{"colour",
            R"({"default":"red","description":"What it looks like.","enum":["red","green"],"type":"string"})"},
       Case{"replicas", R"({"format":"int32","minimum":0,"type":"integer"})"},
       Case{"big", R"({"format":"int64","type":"integer"})"}, Case{"ratio", R"({"type":"number"})"},
       Case{"on", R"({"default":true,"type":"boolean"})"}, Case{"when", R"({"format":"date-time","type":"string"})"},
       Case{
           "parts",
           R"({"items":{"properties":{"id":{"type":"string"},"size":{"x-kubernetes-int-or-string":true}},"required":["id"],"type":"object"},"type":"array","x-kubernetes-list-map-keys":["id"],"x-kubernetes-list-type":"map"})"},
       Case{"amounts", R"({"additionalProperties":{"x-kubernetes-int-or-string":true},"type":"object"})"},
       Case{"free", R"({"x-kubernetes-preserve-unknown-fields":true})"}})
    EXPECT_EQ(json::print(spec["properties"][c.field]), c.schema) << c.field;
}

TEST(CrdOf, isAcceptedAsAKindWithTheseRules) {
  json::Arena arena;
  auto kinds = kindsOfCrd(crdOf<Widget>(arena, {.singular = "widget"}));
  ASSERT_TRUE(kinds.ok()) << kinds.error().message;
  ASSERT_EQ(kinds->size(), 1u);
  const KindInfo& kind = *kinds->front();
  EXPECT_TRUE(kind.hasStatus);
  EXPECT_TRUE(kind.custom);
  auto doc = *json::parseDoc(
      R"({"spec":{"replicas":-1,"colour":"blue","parts":[{"id":"a"},{"id":"a"}],"amounts":{"cpu":1,"memory":"1Gi"},
    "unknown":1,"template":{"spec":{"containers":[{"name":"c","image":"i"}],"contaners":[]}},"free":{"anything":[1]}}})");
  auto coerced = coerce(arena, *kind.schema, doc.root);
  ASSERT_TRUE(coerced.ok()) << coerced.error().message;
  EXPECT_EQ(coerced->unknown, (std::vector<std::string>{"spec.template.spec.contaners", "spec.unknown"}))
      << "the template has the shape of a pod template";
  std::vector<std::string> fields;
  for (const Cause& cause : validate(*kind.schema, coerced->value)) fields.push_back(cause.field);
  std::sort(fields.begin(), fields.end());
  EXPECT_EQ(fields, (std::vector<std::string>{"spec.colour", "spec.parts[1]", "spec.replicas"}));
  auto sparse = *json::parseDoc(R"({"spec":{"replicas":1}})");
  json::Value filled = applyDefaults(arena, *kind.schema, sparse.root);
  EXPECT_EQ(filled.at({"spec", "colour"}).asString(), "red");
  EXPECT_TRUE(filled.at({"spec", "on"}).asBool());
}

template <class T>
KindPtr kindOf(json::Arena& arena, const CrdOptions& options) {
  auto kinds = kindsOfCrd(crdOf<T>(arena, options));
  EXPECT_TRUE(kinds.ok()) << kinds.error().message;
  return kinds.ok() ? kinds->front() : nullptr;
}

TEST(CrdOf, ourOwnKindsAreStructural) {
  json::Arena arena;
  KindPtr job = kindOf<api::PyTorchJob>(
      arena, {.singular = "pytorchjob",
              .scale = {".spec.pytorchReplicaSpecs.Worker.replicas", ".status.replicaStatuses.Worker.active", ""}});
  ASSERT_TRUE(job);
  EXPECT_TRUE(job->scale);
  struct Case {
    const char* text;
    std::vector<std::string> fields;
  };
  for (const Case& c : {Case{R"({"spec":{"pytorchReplicaSpecs":{"Master":{}}}})", {}},
                        Case{R"({"spec":{}})", {"spec.pytorchReplicaSpecs"}},
                        Case{R"({"spec":{"pytorchReplicaSpecs":{"Worker":{"replicas":-1}}}})",
                             {"spec.pytorchReplicaSpecs.Worker.replicas"}},
                        Case{R"({"spec":{"pytorchReplicaSpecs":{"Worker":{"restartPolicy":"Sometimes"}}}})",
                             {"spec.pytorchReplicaSpecs.Worker.restartPolicy"}},
                        Case{R"({"spec":{"pytorchReplicaSpecs":{},"runPolicy":{"cleanPodPolicy":"Some"}}})",
                             {"spec.runPolicy.cleanPodPolicy"}}}) {
    auto doc = *json::parseDoc(c.text);
    auto coerced = coerce(arena, *job->schema, doc.root);
    ASSERT_TRUE(coerced.ok()) << c.text << coerced.error().message;
    std::vector<std::string> fields;
    for (const Cause& cause : validate(*job->schema, applyDefaults(arena, *job->schema, coerced->value)))
      fields.push_back(cause.field);
    EXPECT_EQ(fields, c.fields) << c.text;
  }
  EXPECT_TRUE(kindOf<api::Gang>(arena, {.singular = "gang"}));
}

}  // namespace
}  // namespace stoker::kube
