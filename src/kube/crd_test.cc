#include <gtest/gtest.h>

#include "kube/kinds.h"

namespace stoker::kube {
namespace {

/// A kind that no code knows: everything the room does with it comes from this text.
constexpr std::string_view kWidgets = R"({"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
"metadata":{"name":"widgets.shop.example.com"},"spec":{"group":"shop.example.com","scope":"Namespaced",
"names":{"plural":"widgets","kind":"Widget","shortNames":["wd"],"categories":["all"]},
"versions":[{"name":"v1","served":true,"storage":true,
 "additionalPrinterColumns":[{"name":"Colour","type":"string","jsonPath":".spec.colour"}],
 "selectableFields":[{"jsonPath":".spec.colour"}],
 "subresources":{"status":{},"scale":{"specReplicasPath":".spec.replicas","statusReplicasPath":".status.replicas"}},
 "schema":{"openAPIV3Schema":{"type":"object","required":["spec"],"properties":{
  "spec":{"type":"object","required":["colour"],"properties":{
   "colour":{"type":"string","enum":["red","green"],"default":"red"},
   "name":{"type":"string","minLength":1,"maxLength":5,"pattern":"^[a-z]+$"},
   "replicas":{"type":"integer","format":"int32","minimum":0,"maximum":10,"default":1},
   "ratio":{"type":"number","exclusiveMinimum":true,"minimum":0,"multipleOf":0.5},
   "port":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]},
   "when":{"type":"string","format":"date-time","nullable":true},
   "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true},
   "labels":{"type":"object","additionalProperties":{"type":"string"},"maxProperties":2},
   "tags":{"type":"array","x-kubernetes-list-type":"set","items":{"type":"string"},"maxItems":3},
   "parts":{"type":"array","x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["id"],
     "items":{"type":"object","required":["id"],"properties":{"id":{"type":"string"},"size":{"type":"integer","default":7}}}},
   "template":{"type":"object","x-kubernetes-embedded-resource":true,"x-kubernetes-preserve-unknown-fields":true},
   "either":{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}},"oneOf":[{"required":["a"]},{"required":["b"]}]}
  },"x-kubernetes-validations":[{"rule":"self.replicas < 5"}]},
  "status":{"type":"object","properties":{"replicas":{"type":"integer"}}}}}}},
 {"name":"v0","served":false,"storage":false,"schema":{"openAPIV3Schema":{"type":"object"}}}]}})";

KindPtr widget() {
  auto doc = json::parseDoc(kWidgets);
  EXPECT_TRUE(doc.ok());
  auto kinds = kindsOfCrd(doc->root);
  EXPECT_TRUE(kinds.ok()) << (kinds.ok() ? "" : kinds.error().message);
  return kinds.ok() && !kinds->empty() ? kinds->front() : nullptr;
}

TEST(Crd, KindFromDataAlone) {
  KindPtr kind = widget();
  ASSERT_NE(kind, nullptr);
  EXPECT_EQ(kind->apiVersion(), "shop.example.com/v1");
  EXPECT_EQ(kind->groupResource(), "widgets.shop.example.com");
  EXPECT_EQ(kind->singular, "widget");
  EXPECT_EQ(kind->listKind, "WidgetList");
  EXPECT_TRUE(kind->hasStatus);
  EXPECT_EQ(kind->scale->specReplicas, ".spec.replicas");
  EXPECT_EQ(kind->columns[0].name, "Name");
  EXPECT_EQ(kind->columns[1].jsonPath, ".spec.colour");
  EXPECT_EQ(kind->selectableFields, std::vector<std::string>{"spec.colour"});
  // CEL rules are kept and published; they are not evaluated.
  EXPECT_EQ(kind->publishedSchema.at({"properties", "spec", "x-kubernetes-validations"})[0]["rule"].asString(),
            "self.replicas < 5");
}

TEST(Crd, PruneDefaultAndKeep) {
  KindPtr kind = widget();
  struct Case {
    const char* given;
    const char* want;
    const char* unknown;
  };
  const Case cases[] = {
      {R"({"apiVersion":"a","kind":"Widget","metadata":{"name":"x","bogus":1},"spec":{"nope":1,"free":{"any":[1]}},"extra":2})",
       R"({"apiVersion":"a","kind":"Widget","metadata":{"name":"x"},"spec":{"colour":"red","free":{"any":[1]},"replicas":1}})",
       "extra metadata.bogus spec.nope"},
      {R"({"spec":{"replicas":null,"when":null,"name":null}})",
       R"({"spec":{"colour":"red","name":null,"replicas":1,"when":null}})", ""},
      {R"({"spec":{"parts":[{"id":"a"},{"id":"b","size":1,"x":1}],"labels":{"k":"v"}}})",
       R"({"spec":{"colour":"red","labels":{"k":"v"},"parts":[{"id":"a","size":7},{"id":"b","size":1}],"replicas":1}})",
       "spec.parts[1].x"},
      {R"({"spec":{"replicas":"3","template":{"kind":"Pod","metadata":{"name":"t","odd":1},"spec":{"c":1}}}})",
       R"({"spec":{"colour":"red","replicas":"3","template":{"kind":"Pod","metadata":{"name":"t"},"spec":{"c":1}}}})",
       "spec.template.metadata.odd"},
      {R"({"status":{"replicas":1}})", R"({"status":{"replicas":1}})", ""},  // no default inside a missing object
  };
  for (const Case& c : cases) {
    json::Arena arena;
    auto coerced = coerce(arena, *kind->schema, *json::parse(arena, c.given));
    ASSERT_TRUE(coerced.ok()) << coerced.error().message;
    EXPECT_EQ(json::print(applyDefaults(arena, *kind->schema, coerced->value)), c.want);
    std::string unknown;
    for (auto& path : coerced->unknown) unknown += (unknown.empty() ? "" : " ") + path;
    EXPECT_EQ(unknown, c.unknown);
  }
  json::Arena arena;
  auto bad = coerce(arena, *kind->schema, *json::parse(arena, R"({"metadata":{"name":1}})"));
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "metadata.name: expected a string, got number");
}

TEST(Crd, Validation) {
  KindPtr kind = widget();
  struct Case {
    const char* spec;
    const char* want;  // "field: message" joined by '|'
  };
  const Case cases[] = {
      {R"({"colour":"red","ratio":1.5,"port":80,"when":null,"tags":["a","b"],"either":{"a":"x"}})", ""},
      {R"({"colour":"red","port":"http","replicas":3.0})", ""},
      {R"({})", "spec.colour: Required value"},
      {R"({"colour":"blue"})", "spec.colour: Unsupported value: \"blue\": supported values: \"red\", \"green\""},
      {R"({"colour":"red","replicas":"2"})",
       "spec.replicas: Invalid value: \"string\": spec.replicas in body must be of type integer: \"string\""},
      {R"({"colour":"red","replicas":null})",
       "spec.replicas: Invalid value: \"null\": spec.replicas in body must be of type integer: \"null\""},
      {R"({"colour":"red","replicas":-1})",
       "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0"},
      {R"({"colour":"red","replicas":11})",
       "spec.replicas: Invalid value: 11: spec.replicas in body should be less than or equal to 10"},
      {R"({"colour":"red","replicas":1.5})",
       "spec.replicas: Invalid value: \"number\": spec.replicas in body must be of type integer: \"number\""},
      {R"({"colour":"red","ratio":0})", "spec.ratio: Invalid value: 0: spec.ratio in body should be greater than 0"},
      {R"({"colour":"red","ratio":0.7})",
       "spec.ratio: Invalid value: 0.7: spec.ratio in body should be a multiple of 0.5"},
      {R"({"colour":"red","name":"abcdefg"})", "spec.name: Too long: may not be more than 5 bytes"},
      {R"({"colour":"red","name":"A1"})",
       "spec.name: Invalid value: \"A1\": spec.name in body should match '^[a-z]+$'"},
      {R"({"colour":"red","name":""})",
       "spec.name: Invalid value: \"\": spec.name in body should be at least 1 chars long|"
       "spec.name: Invalid value: \"\": spec.name in body should match '^[a-z]+$'"},
      {R"({"colour":"red","port":1.5})",
       "spec.port: Invalid value: \"number\": spec.port in body must be of type integer,string: \"number\""},
      {R"({"colour":"red","when":"noon"})",
       "spec.when: Invalid value: \"noon\": spec.when in body must be of type date-time: \"noon\""},
      {R"({"colour":"red","tags":["a","b","a"]})", "spec.tags[2]: Duplicate value: \"a\""},
      {R"({"colour":"red","tags":["a","b","c","d"]})", "spec.tags: Too many: 4: must have at most 3 items"},
      {R"({"colour":"red","labels":{"a":"1","b":"2","c":"3"}})", "spec.labels: Too many: 3: must have at most 2 items"},
      {R"({"colour":"red","labels":{"a":1}})",
       "spec.labels.a: Invalid value: \"integer\": spec.labels.a in body must be of type string: \"integer\""},
      {R"({"colour":"red","parts":[{"id":"a"},{"id":"a"},{}]})",
       "spec.parts[1]: Duplicate value: {\"id\":\"a\"}|spec.parts[2].id: Required value"},
      {R"({"colour":"red","template":{"kind":"Pod"}})", "spec.template.apiVersion: Required value: must not be empty"},
      {R"({"colour":"red","either":{}})",
       "spec.either: Invalid value: \"\": \"spec.either\" must validate one and only one schema (oneOf). Found none "
       "valid|spec.either.a: Required value"},
      {R"({"colour":"red","either":{"a":"1","b":"2"}})",
       "spec.either: Invalid value: \"\": \"spec.either\" must validate one and only one schema (oneOf). Found 2 valid "
       "alternatives"},
  };
  for (const Case& c : cases) {
    json::Arena arena;
    json::Value object = json::object(arena, {{"spec", *json::parse(arena, c.spec)}});
    std::string got;
    for (const Cause& cause : validate(*kind->schema, object))
      got += (got.empty() ? "" : "|") + cause.field + ": " + cause.message;
    EXPECT_EQ(got, c.want) << c.spec;
  }
}

TEST(Crd, NotStructural) {
  struct Case {
    const char* schema;
    const char* want;
  };
  const Case cases[] = {
      {R"({})", "s.type: Required value: must not be empty at the root"},
      {R"({"type":"string"})", "s.type: Invalid value: \"string\": must be object at the root"},
      {R"({"type":"object","properties":{"a":{}}})",
       "s.properties[a].type: Required value: must not be empty for specified object fields"},
      {R"({"type":"object","properties":{"a":{"type":"array"}}})",
       "s.properties[a].items: Required value: must be specified"},
      {R"({"type":"object","properties":{"a":{"type":"str"}}})",
       "s.properties[a].type: Unsupported value: \"str\": supported values: \"array\", \"boolean\", \"integer\", "
       "\"number\", \"object\", \"string\""},
      {R"({"type":"object","properties":{"a":{"type":"string","anyOf":[{"type":"string"}]}}})",
       "s.properties[a].anyOf[0].type: Forbidden: must be empty to be structural"},
      {R"({"type":"object","properties":{"a":{"type":"string","pattern":"["}}})",
       "s.properties[a].pattern: Invalid value: \"[\": must be a valid regular expression, but isn't: missing ]: ["},
      {R"({"type":"object","properties":{"a":{"type":"integer","default":"x"}}})",
       "s.properties[a].default: Invalid value: \"string\": s.properties[a].default in body must be of type integer: "
       "\"string\""},
      {R"({"type":"object","$ref":"x"})", "s.$ref: Forbidden: $ref is not supported"},
      {R"({"type":"object","properties":{"a":{"type":"array","x-kubernetes-list-type":"map","items":{"type":"object"}}}})",
       "s.properties[a].x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is "
       "map"},
  };
  for (const Case& c : cases) {
    auto doc = json::parseDoc(c.schema);
    auto got = crdSchema(doc->root, "s");
    ASSERT_FALSE(got.ok()) << c.schema;
    EXPECT_EQ(got.error().message, c.want) << c.schema;
    EXPECT_EQ(got.error().reason, Reason::Invalid);
  }
}

TEST(Crd, Rejected) {
  struct Case {
    std::vector<std::string_view> path;
    const char* value;
    const char* want;
  };
  const Case cases[] = {
      {{"metadata", "name"},
       "\"x\"",
       "metadata.name: Invalid value: \"x\": must be spec.names.plural+\".\"+spec.group"},
      {{"spec", "scope"},
       "\"Galaxy\"",
       "spec.scope: Unsupported value: \"Galaxy\": supported values: \"Cluster\", \"Namespaced\""},
      {{"spec", "versions"}, "[]", "spec.versions: Required value: must have at least one version"},
      {{"spec", "versions"},
       R"([{"name":"v1","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object"}}}])",
       "spec.versions: Invalid value: 0: must have exactly one version marked as storage version"},
      {{"spec", "versions"},
       R"([{"name":"v1","served":true,"storage":true}])",
       "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"},
      {{"spec", "names", "listKind"},
       "\"Widget\"",
       "spec.names.listKind: Invalid value: \"Widget\": kind and listKind may not be the same"},
      {{"spec", "conversion"},
       R"({"strategy":"Webhook"})",
       "spec.conversion.strategy: Unsupported value: \"Webhook\": supported values: \"None\""},
  };
  for (const Case& c : cases) {
    json::Arena arena;
    json::Value crd = json::withPath(arena, *json::parse(arena, kWidgets), c.path, *json::parse(arena, c.value));
    auto got = kindsOfCrd(crd);
    ASSERT_FALSE(got.ok()) << c.want;
    EXPECT_EQ(got.error().message, "CustomResourceDefinition.apiextensions.k8s.io \"" + crd["metadata"]["name"].str() +
                                       "\" is invalid: " + c.want);
    EXPECT_EQ(got.error().causes.size(), 1u);
  }
}

TEST(CrdSchema, aBuiltinShapeIsPrunedAndNotDefaulted) {
  auto doc = json::parseDoc(R"({"type":"object","properties":{"template":{"type":"object",
    "x-kubernetes-preserve-unknown-fields":true,"x-stoker-builtin":"k8s.io.api.core.v1.PodTemplateSpec"}}})");
  auto got = crdSchema(doc->root, "s");
  ASSERT_TRUE(got.ok()) << got.error().message;
  json::Arena arena;
  auto coerced =
      coerce(arena, *got->root,
             *json::parse(arena, R"({"template":{"spec":{"contaners":[],"containers":[{"name":"a","image":"b"}]}}})"));
  ASSERT_TRUE(coerced.ok());
  EXPECT_EQ(coerced->unknown, (std::vector<std::string>{"template.spec.contaners"}));
  EXPECT_EQ(json::print(applyDefaults(arena, *got->root, coerced->value)),
            R"({"template":{"spec":{"containers":[{"image":"b","name":"a"}]}}})");
}

TEST(Validate, BuiltinWords) {
  struct Case {
    const char* schema;
    const char* given;
    const char* want;
  };
  const Case cases[] = {
      {"core.v1.PodSpec", R"({})", "containers: Required value"},
      {"core.v1.PodSpec", R"({"containers":[{"name":""}],"restartPolicy":"No"})",
       "containers[0].name: Required value|restartPolicy: Unsupported value: \"No\": supported values: \"Always\", "
       "\"OnFailure\", \"Never\""},
      {"core.v1.ContainerPort", R"({"containerPort":70000})",
       "containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive"},
      {"batch.v1.JobSpec", R"({"template":{},"parallelism":-1})",
       "parallelism: Invalid value: -1: must be greater than or equal to 0"},
      {"core.v1.Probe", R"({"httpGet":{"path":"/"}})", "httpGet.port: Required value"},
      {"core.v1.Toleration", R"({"operator":"","effect":""})", ""},
  };
  for (const Case& c : cases) {
    json::Arena arena;
    std::string got;
    for (const Cause& cause :
         validate(*builtinSchemas()->message(std::string("k8s.io.api.") + c.schema), *json::parse(arena, c.given)))
      got += (got.empty() ? "" : "|") + cause.field + ": " + cause.message;
    EXPECT_EQ(got, c.want) << c.given;
  }
}

}  // namespace
}  // namespace stoker::kube
