// The whole verb suite over a kind that exists in data only, and the rules that hold for every kind.

#include "apiserver/registry/registry.h"

#include <gtest/gtest.h>

namespace stoker::apiserver {
namespace {

constexpr const char* kCrd = R"({
  "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "ovens.kitchen.example"},
  "spec": {"group": "kitchen.example", "scope": "Namespaced",
    "names": {"plural": "ovens", "singular": "oven", "kind": "Oven", "listKind": "OvenList"},
    "versions": [{"name": "v1", "served": true, "storage": true,
      "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.trays", "statusReplicasPath": ".status.trays"}},
      "schema": {"openAPIV3Schema": {"type": "object", "properties": {
        "spec": {"type": "object", "required": ["heat"], "properties": {
          "heat": {"type": "integer", "minimum": 0}, "mode": {"type": "string", "default": "bake", "enum": ["bake", "grill"]},
          "trays": {"type": "integer"}}},
        "status": {"type": "object", "properties": {"trays": {"type": "integer"}, "state": {"type": "string"}}}}}}}]}})";

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() : clock_(*parseTime("2026-11-25T10:00:00Z")), ids_(7) {
    store_ = std::move(*store::Store::open(std::shared_ptr<store::Log>(store::makeMemoryLog()), {.synchronous = true}));
    registry_ = std::make_unique<Registry>(*store_, ids_, clock_);
    EXPECT_TRUE(registry_->start().ok());
    caller_.user.name = "tester";
    EXPECT_EQ(create("", "v1", "namespaces", "", R"({"metadata":{"name":"ns"}})"), "");
    EXPECT_EQ(create("apiextensions.k8s.io", "v1", "customresourcedefinitions", "", kCrd), "");
  }

  Target target(const std::string& group, const std::string& version, const std::string& resource,
                const std::string& ns, const std::string& name = "", const std::string& sub = "") {
    return {registry_->kinds()->find(group, version, resource), ns, name, sub};
  }
  Target oven(const std::string& name, const std::string& sub = "") {
    return target("kitchen.example", "v1", "ovens", "ns", name, sub);
  }

  Result<Written> write(client::Write::Verb verb, Target target, std::string_view body,
                        client::PatchType type = client::PatchType::Merge,
                        std::function<void(WriteRequest&)> adjust = {}) {
    WriteRequest request{
        .verb = verb, .target = std::move(target), .arena = std::make_shared<json::Arena>(), .patchType = type};
    if (!body.empty()) {
      auto parsed = json::parse(*request.arena, body, {.duplicates = &request.duplicates});
      EXPECT_TRUE(parsed.ok()) << parsed.error().message;
      request.body = *parsed;
    }
    if (adjust) adjust(request);
    std::vector<WriteRequest> requests;
    requests.push_back(std::move(request));
    std::optional<Result<Written>> out;
    registry_->write(caller_, std::move(requests), client::Mode::Each,
                     [&](std::vector<Result<Written>> results) { out = std::move(results[0]); });
    EXPECT_TRUE(out.has_value());
    return std::move(*out);
  }
  static std::string problem(const Result<Written>& result) { return result.ok() ? "" : result.error().message; }
  std::string create(const std::string& group, const std::string& version, const std::string& resource,
                     const std::string& ns, std::string_view body) {
    return problem(write(client::Write::Verb::Create, target(group, version, resource, ns), body));
  }
  std::string createOven(std::string_view body) { return create("kitchen.example", "v1", "ovens", "ns", body); }
  json::Doc get(const std::string& name) {
    auto version = registry_->get(caller_, oven(name));
    return version.ok() ? *json::parseDoc((*version)->bytes) : json::Doc{};
  }
  std::string at(const std::string& name, std::initializer_list<std::string_view> path) {
    return json::print(get(name).root.at(path));
  }

  ManualClock clock_;
  SeededIds ids_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Registry> registry_;
  Caller caller_;
};

using Verb = client::Write::Verb;

TEST_F(RegistryTest, createFillsInMetadataAndDefaults) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":200},"status":{"state":"hot"}})"), "");
  json::Doc oven = get("a");
  EXPECT_EQ(oven.root.at({"metadata", "generation"}).asInt(), 1);
  EXPECT_EQ(oven.root.at({"metadata", "namespace"}).asString(), "ns");
  EXPECT_EQ(oven.root.at({"metadata", "creationTimestamp"}).asString(), "2026-11-25T10:00:00Z");
  EXPECT_EQ(oven.root.at({"metadata", "uid"}).asString().size(), 36u);
  EXPECT_EQ(oven.root.at({"metadata", "resourceVersion"}).asString(), std::to_string(store_->revision()));
  EXPECT_EQ(oven.root.at({"spec", "mode"}).asString(), "bake");
  EXPECT_FALSE(oven.root.has("status"));
}

TEST_F(RegistryTest, refusesWhatIsWrongAndSaysWhere) {
  struct Case {
    const char* body;
    const char* message;
  };
  for (const Case& c :
       {Case{R"({"spec":{"heat":1}})", "name or generateName is required"},
        Case{R"({"metadata":{"name":"A"},"spec":{"heat":1}})", "metadata.name: Invalid value: \"A\""},
        Case{R"({"metadata":{"name":"a"}, "kind":"Pan","apiVersion":"kitchen.example/v1"})", "serves kind Oven"},
        Case{R"({"metadata":{"name":"a"},"spec":{}})", "spec.heat: Required value"},
        Case{R"({"metadata":{"name":"a"},"spec":{"heat":-1}})", "spec.heat"},
        Case{R"({"metadata":{"name":"a"},"spec":{"heat":1,"mode":"fry"}})", "supported values: \"bake\", \"grill\""},
        Case{R"({"metadata":{"name":"a","namespace":"other"},"spec":{"heat":1}})", "does not match the namespace"},
        Case{R"({"metadata":{"name":"a","resourceVersion":"4"},"spec":{"heat":1}})",
             "resourceVersion should not be set"},
        Case{R"({"metadata":{"name":"a","labels":{"x":"a b"}},"spec":{"heat":1}})",
             "metadata.labels: Invalid value: \"a b\""}})
    EXPECT_NE(createOven(c.body).find(c.message), std::string::npos) << c.body << " gave: " << createOven(c.body);
  EXPECT_EQ(create("kitchen.example", "v1", "ovens", "nowhere", R"({"metadata":{"name":"a"},"spec":{"heat":1}})"),
            "namespaces \"nowhere\" not found");
}

TEST_F(RegistryTest, strictValidationNamesUnknownAndDuplicateFields) {
  caller_.fieldValidation = FieldValidation::Strict;
  EXPECT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1,"heat":2,"colour":"red"}})"),
            "strict decoding error: unknown field \"spec.colour\", duplicate field \"spec.heat\"");
  std::vector<std::string> warnings;
  caller_.fieldValidation = FieldValidation::Warn;
  caller_.warnings = &warnings;
  EXPECT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1,"colour":"red"}})"), "");
  EXPECT_EQ(warnings, (std::vector<std::string>{"unknown field \"spec.colour\""}));
  EXPECT_EQ(at("a", {"spec", "colour"}), "null");
}

TEST_F(RegistryTest, existingNamesAreRefusedAndGeneratedOnesAreNew) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  EXPECT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "ovens.kitchen.example \"a\" already exists");
  ASSERT_EQ(createOven(R"({"metadata":{"generateName":"batch-"},"spec":{"heat":1}})"), "");
  ASSERT_EQ(createOven(R"({"metadata":{"generateName":"batch-"},"spec":{"heat":1}})"), "");
  EXPECT_EQ(registry_->list(caller_, oven(""), {})->items.size(), 3u);
}

TEST_F(RegistryTest, updatesKeepStatusAndCountGenerations) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  ASSERT_EQ(problem(write(Verb::Patch, oven("a", "status"), R"({"status":{"state":"hot"},"spec":{"heat":99}})")), "");
  EXPECT_EQ(at("a", {"spec", "heat"}), "1");
  EXPECT_EQ(at("a", {"metadata", "generation"}), "1");
  ASSERT_EQ(problem(write(Verb::Patch, oven("a"), R"({"status":{"state":"cold"},"spec":{"heat":5}})")), "");
  EXPECT_EQ(at("a", {"status", "state"}), "\"hot\"");
  EXPECT_EQ(at("a", {"spec", "heat"}), "5");
  EXPECT_EQ(at("a", {"metadata", "generation"}), "2");
}

TEST_F(RegistryTest, aWriteThatChangesNothingBumpsNothing) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  auto before = store_->revision();
  EXPECT_EQ(problem(write(Verb::Patch, oven("a"), R"({"spec":{"heat":1.0}})")), "");
  EXPECT_EQ(problem(write(Verb::Update, oven("a"), json::print(get("a").root))), "");
  EXPECT_EQ(store_->revision(), before);
}

TEST_F(RegistryTest, conflictsAreTold) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  std::string old = json::print(get("a").root);
  ASSERT_EQ(problem(write(Verb::Patch, oven("a"), R"({"spec":{"heat":2}})")), "");
  auto result = write(Verb::Update, oven("a"), old);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().reason, Reason::Conflict);
  EXPECT_EQ(result.error().message,
            "Operation cannot be fulfilled on ovens.kitchen.example \"a\": the object has been modified; please apply "
            "your changes to the "
            "latest version and try again");
  EXPECT_NE(problem(write(Verb::Update, oven("a"), R"({"metadata":{"name":"a"},"spec":{"heat":3}})"))
                .find("must be specified for an update"),
            std::string::npos);
  EXPECT_EQ(write(Verb::Patch, oven("a"), R"({"metadata":{"uid":"x"}})").error().reason, Reason::Conflict);
  EXPECT_EQ(write(Verb::Patch, oven("b"), "{}").error().message, "ovens.kitchen.example \"b\" not found");
}

TEST_F(RegistryTest, patchTypes) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  EXPECT_EQ(problem(write(Verb::Patch, oven("a"), R"([{"op":"replace","path":"/spec/heat","value":7}])",
                          client::PatchType::Json)),
            "");
  EXPECT_EQ(at("a", {"spec", "heat"}), "7");
  EXPECT_EQ(write(Verb::Patch, oven("a"), R"([{"op":"test","path":"/spec/heat","value":8}])", client::PatchType::Json)
                .error()
                .reason,
            Reason::Invalid);
  EXPECT_EQ(write(Verb::Patch, oven("a"), "{}", client::PatchType::Strategic).error().reason,
            Reason::UnsupportedMediaType);
}

TEST_F(RegistryTest, scaleReadsAndWritesThePathsOfItsKind) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1,"trays":2}})"), "");
  json::Arena arena;
  EXPECT_EQ(registry_->getScale(caller_, oven("a"), arena)->at({"spec", "replicas"}).asInt(), 2);
  auto scaled = write(Verb::Patch, oven("a", "scale"), R"({"spec":{"replicas":5}})");
  ASSERT_TRUE(scaled.ok());
  EXPECT_NE(scaled->bytes->find("\"kind\":\"Scale\""), std::string::npos);
  EXPECT_EQ(at("a", {"spec", "trays"}), "5");
  EXPECT_NE(problem(write(Verb::Patch, oven("a", "scale"), R"({"spec":{"replicas":-1}})")).find("spec.replicas"),
            std::string::npos);
}

TEST_F(RegistryTest, deletionWaitsForFinalizers) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a","finalizers":["x.example/f"]},"spec":{"heat":1}})"), "");
  auto deleted = write(Verb::Delete, oven("a"), "");
  ASSERT_TRUE(deleted.ok());
  EXPECT_TRUE(deleted->accepted);
  EXPECT_EQ(at("a", {"metadata", "deletionTimestamp"}), "\"2026-11-25T10:00:00Z\"");
  EXPECT_NE(problem(write(Verb::Patch, oven("a"), R"({"metadata":{"finalizers":["x.example/f","y.example/g"]}})"))
                .find("no new finalizers can be added"),
            std::string::npos);
  ASSERT_EQ(problem(write(Verb::Patch, oven("a"), R"({"metadata":{"finalizers":null}})")), "");
  EXPECT_TRUE(get("a").root.isNull());
}

TEST_F(RegistryTest, deletionHonoursPreconditionsAndPropagation) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  EXPECT_EQ(write(Verb::Delete, oven("a"), "", {}, [](WriteRequest& r) { r.uid = "other"; }).error().reason,
            Reason::Conflict);
  EXPECT_EQ(write(Verb::Delete, oven("a"), "", {}, [](WriteRequest& r) { r.propagation = "Sideways"; }).error().reason,
            Reason::Invalid);
  ASSERT_EQ(problem(write(Verb::Delete, oven("a"), "", {}, [](WriteRequest& r) { r.propagation = "Foreground"; })), "");
  EXPECT_EQ(at("a", {"metadata", "finalizers"}), "[\"foregroundDeletion\"]");
}

TEST_F(RegistryTest, dryRunChangesNothing) {
  caller_.dryRun = true;
  auto made = write(Verb::Create, oven(""), R"({"metadata":{"name":"a"},"spec":{"heat":1}})");
  ASSERT_TRUE(made.ok());
  EXPECT_NE(made->bytes->find("\"mode\":\"bake\""), std::string::npos);
  EXPECT_TRUE(get("a").root.isNull());
}

TEST_F(RegistryTest, pagesComeFromOneSnapshot) {
  for (const char* name : {"a", "b", "c", "d"})
    ASSERT_EQ(createOven(std::string(R"({"metadata":{"name":")") + name + R"("},"spec":{"heat":1}})"), "");
  auto first = registry_->list(caller_, oven(""), {.limit = 2});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->items.size(), 2u);
  EXPECT_EQ(first->remaining, 2);
  ASSERT_EQ(problem(write(Verb::Delete, oven("c"), "")), "");
  auto second = registry_->list(caller_, oven(""), {.limit = 2, .continueToken = first->continueToken});
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->revision, first->revision);
  ASSERT_EQ(second->items.size(), 2u);
  EXPECT_EQ(second->items[0]->key, "ovens.kitchen.example/ns/c");
  EXPECT_EQ(registry_->list(caller_, oven(""), {.continueToken = "rubbish"}).error().reason, Reason::BadRequest);
  auto future = registry_->list(caller_, oven(""), {.resourceVersion = "999999"});
  ASSERT_FALSE(future.ok());
  EXPECT_EQ(future.error().reason, Reason::Timeout);
  EXPECT_EQ(future.error().causes.at(0).type, "ResourceVersionTooLarge");
}

TEST_F(RegistryTest, selectorsFilterListsAndTurnIntoWatchEvents) {
  std::vector<std::string> seen;
  auto id = registry_->watch(caller_, oven(""),
                             {.labelSelector = "hot=yes", .resourceVersion = std::to_string(store_->revision())},
                             [&](const Seen& s) {
                               static const char* names[] = {"added", "modified", "deleted"};
                               seen.push_back(std::string(names[static_cast<int>(s.type)]) + " " +
                                              s.object->key.substr(s.object->key.rfind('/') + 1));
                             });
  ASSERT_TRUE(id.ok());
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  ASSERT_EQ(createOven(R"({"metadata":{"name":"b","labels":{"hot":"yes"}},"spec":{"heat":1}})"), "");
  ASSERT_EQ(problem(write(Verb::Patch, oven("a"), R"({"metadata":{"labels":{"hot":"yes"}}})")), "");
  EXPECT_EQ(registry_->list(caller_, oven(""), {.labelSelector = "hot=yes"})->items.size(), 2u);
  EXPECT_EQ(registry_->list(caller_, oven(""), {.fieldSelector = "metadata.name=a"})->items.size(), 1u);
  EXPECT_EQ(registry_->list(caller_, oven(""), {.fieldSelector = "spec.heat=1"}).error().reason, Reason::BadRequest);
  ASSERT_EQ(problem(write(Verb::Patch, oven("a"), R"({"metadata":{"labels":null}})")), "");
  ASSERT_EQ(problem(write(Verb::Delete, oven("b"), "")), "");
  EXPECT_EQ(seen, (std::vector<std::string>{"added b", "added a", "deleted a", "deleted b"}));
  registry_->unwatch(*id);
}

TEST_F(RegistryTest, watchFromNothingStartsWithWhatIsThere) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a"},"spec":{"heat":1}})"), "");
  int objects = 0;
  uint64_t end = 0;
  auto id = registry_->watch(caller_, oven(""), {}, [&](const Seen& s) {
    if (s.initialEnd)
      end = s.revision;
    else
      ++objects;
  });
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(objects, 1);
  EXPECT_EQ(end, store_->revision());
  registry_->unwatch(*id);
  EXPECT_EQ(
      registry_
          ->watch(caller_, oven(""), {.sendInitialEvents = true, .sendInitialEventsGiven = true}, [](const Seen&) {})
          .error()
          .reason,
      Reason::Invalid);
}

TEST_F(RegistryTest, sequencesStopAtTheFirstFailureAndSeeTheirOwnWrites) {
  auto request = [&](Verb verb, Target t, const char* body) {
    WriteRequest r{.verb = verb, .target = std::move(t), .arena = std::make_shared<json::Arena>()};
    r.body = *json::parse(*r.arena, body);
    return r;
  };
  std::vector<WriteRequest> requests;
  requests.push_back(request(Verb::Create, target("", "v1", "namespaces", ""), R"({"metadata":{"name":"fresh"}})"));
  requests.push_back(request(Verb::Create, target("kitchen.example", "v1", "ovens", "fresh"),
                             R"({"metadata":{"name":"a"},"spec":{"heat":1}})"));
  requests.push_back(request(Verb::Create, target("kitchen.example", "v1", "ovens", "fresh"),
                             R"({"metadata":{"name":"a"},"spec":{"heat":1}})"));
  requests.push_back(request(Verb::Create, target("kitchen.example", "v1", "ovens", "fresh"),
                             R"({"metadata":{"name":"b"},"spec":{"heat":1}})"));
  std::vector<std::string> outcome;
  registry_->write(caller_, std::move(requests), client::Mode::Sequence, [&](std::vector<Result<Written>> results) {
    for (auto& r : results)
      outcome.push_back(r.ok() ? "ok" : std::string(toString(r.error().reason)) + r.error().message.substr(0, 9));
  });
  EXPECT_EQ(outcome, (std::vector<std::string>{"ok", "ok", "AlreadyExistsovens.kit", "not tried"}));
}

TEST_F(RegistryTest, deleteCollectionTakesTheSelection) {
  ASSERT_EQ(createOven(R"({"metadata":{"name":"a","labels":{"x":"1"}},"spec":{"heat":1}})"), "");
  ASSERT_EQ(createOven(R"({"metadata":{"name":"b"},"spec":{"heat":1}})"), "");
  size_t count = 0;
  registry_->deleteCollection(caller_, oven(""), {.labelSelector = "x=1"}, {},
                              [&](auto result) { count = result.ok() ? result->size() : 99; });
  EXPECT_EQ(count, 1u);
  EXPECT_TRUE(get("a").root.isNull());
  EXPECT_FALSE(get("b").root.isNull());
}

}  // namespace
}  // namespace stoker::apiserver
