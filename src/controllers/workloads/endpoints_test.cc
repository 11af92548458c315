#include "controllers/workloads/endpoints.h"

#include <gtest/gtest.h>

#include "controllers/test_world.h"

namespace stoker::controllers {
namespace {

struct Endpoints : testing::Test {
  Endpoints() {
    world.serve<api::Service>();
    world.serve<api::Pod>();
    world.serve<api::EndpointSlice>();
    world.serve<api::Endpoints>();
  }
  void service(const std::string& spec) {
    world.create<api::Service>(R"({"metadata":{"name":"web","namespace":"ns","labels":{"team":"a"}},"spec":)" + spec +
                               "}");
  }
  void pod(const std::string& name, const std::string& ip, bool ready, const std::string& spec = "{}") {
    world.create<api::Pod>(R"({"metadata":{"name":")" + name + R"(","namespace":"ns","labels":{"app":"web"}},"spec":)" +
                           spec + R"(,"status":{"phase":"Running","podIP":")" + ip +
                           R"(","conditions":[{"type":"Ready","status":")" + (ready ? "True" : "False") + R"("}]}})");
  }
  void settle() {
    for (int i = 0; i < 10; ++i) {
      std::vector<const api::Pod*> pods;
      for (const auto& entry : world.view.of<api::Pod>().all()) pods.push_back(&entry->object);
      client::Plan plan = endpointsPlan(world.view, *world.get<api::Service>("ns", "web"), pods);
      if (plan.writes.empty()) return;
      world.apply(plan);
      ASSERT_EQ(world.lastError, "");
    }
    FAIL() << "does not settle";
  }
  std::vector<const api::EndpointSlice*> slices() {
    std::vector<const api::EndpointSlice*> out;
    for (const auto& entry : world.view.of<api::EndpointSlice>().all()) out.push_back(&entry->object);
    return out;
  }
  TestWorld world{*parseTime("2026-01-01T00:00:00Z")};
};

TEST_F(Endpoints, readyPodsAndOthersAreToldApart) {
  service(
      R"({"selector":{"app":"web"},"clusterIP":"10.0.0.1","ports":[{"name":"http","port":80,"targetPort":"http"}]})");
  std::string spec = R"({"nodeName":"n","containers":[{"name":"c","ports":[{"name":"http","containerPort":8080}]}]})";
  pod("a", "10.1.0.1", true, spec);
  pod("b", "10.1.0.2", false, spec);
  settle();
  ASSERT_EQ(slices().size(), 1u);
  const api::EndpointSlice& slice = *slices()[0];
  EXPECT_EQ(slice.metadata.label("kubernetes.io/service-name"), "web");
  EXPECT_EQ(slice.metadata.label("team"), "a");
  ASSERT_EQ(slice.endpoints.size(), 2u);
  EXPECT_EQ(slice.endpoints[0].conditions.ready, true);
  EXPECT_EQ(slice.endpoints[1].conditions.ready, false);
  EXPECT_EQ(slice.endpoints[0].targetRef->name, "a");
  ASSERT_EQ(slice.ports.size(), 1u);
  EXPECT_EQ(slice.ports[0].port, 8080);
  const api::Endpoints& old = *world.get<api::Endpoints>("ns", "web");
  ASSERT_EQ(old.subsets.size(), 1u);
  EXPECT_EQ(old.subsets[0].addresses[0].ip, "10.1.0.1");
  EXPECT_EQ(old.subsets[0].notReadyAddresses[0].ip, "10.1.0.2");
  world.patch<api::Pod>("ns", "a", R"({"status":{"phase":"Succeeded"}})");
  settle();
  EXPECT_EQ(slices()[0]->endpoints.size(), 1u);
}

TEST_F(Endpoints, aServiceMayPublishPodsBeforeTheyAreReady) {
  service(R"({"selector":{"app":"web"},"clusterIP":"None","publishNotReadyAddresses":true})");
  pod("a", "10.1.0.1", false, R"({"hostname":"h","subdomain":"web"})");
  settle();
  ASSERT_EQ(slices().size(), 1u);
  EXPECT_EQ(slices()[0]->endpoints[0].conditions.ready, true);
  EXPECT_EQ(slices()[0]->endpoints[0].hostname, "h");
  EXPECT_TRUE(slices()[0]->metadata.labels.contains("service.kubernetes.io/headless"));
}

TEST_F(Endpoints, aHeadlessServiceHasNoneBeforeItsFirstEndpoint) {
  service(R"({"selector":{"app":"web"},"clusterIP":"None"})");
  settle();
  EXPECT_TRUE(slices().empty());
}

TEST_F(Endpoints, slicesAreBoundedAndSurplusOnesGo) {
  service(R"({"selector":{"app":"web"},"clusterIP":"10.0.0.1","ports":[{"port":80}]})");
  for (int i = 0; i < 150; ++i) pod("p" + std::to_string(i), "10.1.1." + std::to_string(i), true);
  settle();
  EXPECT_EQ(slices().size(), 2u);
  for (int i = 0; i < 100; ++i) world.remove<api::Pod>("ns", "p" + std::to_string(i));
  settle();
  ASSERT_EQ(slices().size(), 1u);
  EXPECT_EQ(slices()[0]->endpoints.size(), 50u);
}

/// Through informers and manager: the index finds what a look at everything would.
TEST_F(Endpoints, theControllerFindsPodsByTheirLabels) {
  TestWorld source{world.now};
  ManualClock clock{world.now};
  client::ManualLoop loop{clock};
  TestCluster cluster{source};
  SeededIds ids{1};
  client::Manager manager{cluster, loop, ids, {}};
  manager.add(makeEndpointsController());
  manager.start();
  source.create<api::Service>(
      R"({"metadata":{"name":"web","namespace":"ns"},"spec":{"selector":{"app":"web","all":"same"},"clusterIP":"None"}})");
  loop.runUntil(clock.now() + 1s);
  source.create<api::Pod>(
      R"({"metadata":{"name":"p","namespace":"ns","labels":{"app":"web","all":"same"}},"status":{"phase":"Running","podIP":"10.0.0.9"}})");
  source.create<api::Pod>(
      R"({"metadata":{"name":"q","namespace":"ns","labels":{"app":"db","all":"same"}},"status":{"phase":"Running","podIP":"10.0.0.8"}})");
  loop.runUntil(clock.now() + 1s);
  ASSERT_EQ(manager.view().of<api::EndpointSlice>().size(), 1u);
  EXPECT_EQ(manager.view().of<api::EndpointSlice>().all().front()->object.endpoints.size(), 1u);
  source.patch<api::Pod>("ns", "p", R"({"metadata":{"labels":{"app":"other"}}})");
  loop.runUntil(clock.now() + 1s);
  EXPECT_EQ(manager.view().of<api::EndpointSlice>().all().front()->object.endpoints.size(), 0u);
}

}  // namespace
}  // namespace stoker::controllers
