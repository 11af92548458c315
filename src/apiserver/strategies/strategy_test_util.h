// strategy_test_util.h: a registry over a store in memory with all strategies in place.
#pragma once

#include <gtest/gtest.h>

#include "apiserver/strategies/strategies.h"

namespace stoker::apiserver {

class StrategyTest : public testing::Test {
 protected:
  using Verb = client::Write::Verb;

  explicit StrategyTest(StrategyOptions options = {}) : clock_(*parseTime("2026-11-25T10:00:00Z")), ids_(7) {
    store_ = std::move(*store::Store::open(std::shared_ptr<store::Log>(store::makeMemoryLog()), {.synchronous = true}));
    registry_ = std::make_unique<Registry>(*store_, ids_, clock_);
    auto registered = registerStrategies(*registry_, options);
    EXPECT_TRUE(registered.ok()) << registered.error().message;
    EXPECT_TRUE(registry_->start().ok());
    caller_.user = {.name = "tester", .groups = {"system:masters"}};
    EXPECT_EQ(create("v1/namespaces", R"({"metadata":{"name":"ns"}})"), "");
    EXPECT_EQ(create("v1/serviceaccounts", R"({"metadata":{"name":"default"}})"), "");
  }

  /// `resource` is "v1/pods" or "batch/v1/jobs"; namespaced kinds are in "ns".
  Target target(const std::string& resource, const std::string& name = "", const std::string& sub = "",
                const std::string& ns = "ns") {
    size_t last = resource.rfind('/'), first = resource.find('/');
    std::string group = first == last ? "" : resource.substr(0, first);
    std::string version = first == last ? resource.substr(0, last) : resource.substr(first + 1, last - first - 1);
    kube::KindPtr kind = registry_->kinds()->find(group, version, resource.substr(last + 1));
    EXPECT_TRUE(kind) << resource;
    return {kind, kind->namespaced ? ns : "", name, sub};
  }

  Result<Written> write(Verb verb, Target target, std::string_view body,
                        client::PatchType type = client::PatchType::Merge,
                        std::function<void(WriteRequest&)> adjust = {}) {
    WriteRequest request{
        .verb = verb, .target = std::move(target), .arena = std::make_shared<json::Arena>(), .patchType = type};
    if (!body.empty()) {
      auto parsed = json::parse(*request.arena, body);
      EXPECT_TRUE(parsed.ok()) << parsed.error().message << "\n" << body;
      if (parsed.ok()) request.body = *parsed;
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
  /// Empty, or what was wrong.
  std::string create(const std::string& resource, std::string_view body) {
    return problem(write(Verb::Create, target(resource), body));
  }
  std::string patch(const std::string& resource, const std::string& name, std::string_view body,
                    const std::string& sub = "") {
    return problem(write(Verb::Patch, target(resource, name, sub), body));
  }
  std::string remove(const std::string& resource, const std::string& name,
                     std::optional<int64_t> grace = std::nullopt) {
    return problem(
        write(Verb::Delete, target(resource, name), "", {}, [&](WriteRequest& r) { r.gracePeriodSeconds = grace; }));
  }
  json::Doc get(const std::string& resource, const std::string& name) {
    auto version = registry_->get(caller_, target(resource, name));
    return version.ok() ? *json::parseDoc((*version)->bytes) : json::Doc{};
  }
  bool exists(const std::string& resource, const std::string& name) { return !get(resource, name).root.isNull(); }
  /// The JSON text at a path of a stored object.
  std::string at(const std::string& resource, const std::string& name, std::initializer_list<std::string_view> path) {
    return json::print(get(resource, name).root.at(path));
  }

  ManualClock clock_;
  SeededIds ids_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<Registry> registry_;
  Caller caller_;
};

}  // namespace stoker::apiserver
