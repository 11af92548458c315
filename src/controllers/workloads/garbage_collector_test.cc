#include "controllers/workloads/garbage_collector.h"

#include <gtest/gtest.h>

#include "api/batch.h"
#include "controllers/test_world.h"
#include "controllers/workloads/namespaces.h"

namespace stoker::controllers {
namespace {

const Time kStart = *parseTime("2026-01-01T00:00:00Z");
const std::vector<CollectedResource> kKinds{{{"", "v1", "pods"}, "Pod", true},
                                            {{"batch", "v1", "jobs"}, "Job", true},
                                            {{"", "v1", "nodes"}, "Node", false},
                                            {{"", "v1", "services"}, "Service", true},
                                            {{"", "v1", "events"}, "Event", true}};

struct Thing {
  static constexpr api::Gvk gvk{"x.example", "v1", "Thing", "things"};
  api::ObjectMeta metadata;
  static constexpr auto describe() { return std::tuple{api::field("metadata", &Thing::metadata)}; }
};

struct Fixture : testing::Test {
  Fixture() {
    world.serve<api::Pod>();
    world.serve<api::Job>();
    world.serve<api::Node>();
    world.serve<api::Service>();
    world.serve<api::Namespace>();
  }
  void settle(Duration time = 5s) { loop.runUntil(clock.now() + time); }
  std::string uid(const std::string& job, const std::string& ns = "ns") {
    return world.get<api::Job>(ns, job)->metadata.uid;
  }
  void job(const std::string& name, const std::string& owners = "") {
    world.create<api::Job>(meta(name, "ns", owners));
  }
  void pod(const std::string& name, const std::string& owners, const std::string& ns = "ns") {
    world.create<api::Pod>(meta(name, ns, owners));
  }
  static std::string meta(const std::string& name, const std::string& ns, const std::string& owners) {
    return R"({"metadata":{"name":")" + name + R"(")" + (ns.empty() ? "" : R"(,"namespace":")" + ns + "\"") +
           R"(,"ownerReferences":[)" + owners + "]}}";
  }
  std::string ref(const std::string& job, const std::string& uid, bool block = true) {
    return R"({"apiVersion":"batch/v1","kind":"Job","name":")" + job + R"(","uid":")" + uid +
           R"(","controller":true,"blockOwnerDeletion":)" + (block ? "true" : "false") + "}";
  }
  void removeJob(const std::string& name, const std::string& propagation) {
    client::Plan plan;
    plan.remove<api::Job>("ns", name, uid(name), std::nullopt, propagation);
    world.apply(plan);
  }
  TestWorld world{kStart};
  ManualClock clock{kStart};
  client::ManualLoop loop{clock};
  TestCluster cluster{world};
};

struct GarbageCollection : Fixture {
  GarbageCollector collector{cluster, loop, kKinds};
};

TEST_F(GarbageCollection, dependentsGoWithTheirOwner) {
  job("a");
  pod("a-0", ref("a", uid("a")));
  pod("free", "");
  collector.start();
  settle();
  EXPECT_EQ(world.count<api::Pod>(), 2u);
  EXPECT_EQ(cluster.gets, 0) << "owners that are known need no asking";
  removeJob("a", "Background");
  settle();
  EXPECT_EQ(world.get<api::Pod>("ns", "a-0"), nullptr);
  EXPECT_NE(world.get<api::Pod>("ns", "free"), nullptr);
  EXPECT_TRUE(collector.idle());
}

TEST_F(GarbageCollection, anOwnerThatNeverWasIsAskedForBeforeAnythingGoes) {
  pod("p", ref("gone", "uid-x"));
  collector.start();
  settle();
  EXPECT_EQ(cluster.gets, 1);
  EXPECT_EQ(world.count<api::Pod>(), 0u);
}

TEST_F(GarbageCollection, anOwnerMadeAnewIsAnotherOwner) {
  job("a");
  pod("p", ref("a", "uid-of-an-earlier-a"));
  collector.start();
  settle();
  EXPECT_EQ(world.count<api::Pod>(), 0u);
}

TEST_F(GarbageCollection, oneLivingOwnerIsEnough) {
  job("a");
  job("b");
  pod("p", ref("a", uid("a")) + "," + ref("b", uid("b")));
  collector.start();
  settle();
  removeJob("a", "Background");
  settle();
  const api::Pod* left = world.get<api::Pod>("ns", "p");
  ASSERT_NE(left, nullptr);
  ASSERT_EQ(left->metadata.ownerReferences.size(), 1u);
  EXPECT_EQ(left->metadata.ownerReferences[0].name, "b");
}

TEST_F(GarbageCollection, anOwnerInAnotherNamespaceIsNoOwner) {
  job("a");
  pod("p", ref("a", uid("a")), "other");
  collector.start();
  settle();
  EXPECT_EQ(world.get<api::Pod>("other", "p"), nullptr);
}

TEST_F(GarbageCollection, unknownKindsOfOwnersAndNamespacedOwnersOfClusterObjectsAreLeftAlone) {
  job("a");
  pod("p", R"({"apiVersion":"x.example/v1","kind":"Strange","name":"s","uid":"u"})");
  world.create<api::Node>(meta("n", "", ref("a", "uid-x")));
  collector.start();
  settle();
  EXPECT_EQ(world.count<api::Pod>(), 1u);
  EXPECT_EQ(world.count<api::Node>(), 1u);
}

TEST_F(GarbageCollection, foregroundWaitsForBlockingDependents) {
  job("a");
  world.create<api::Pod>(R"({"metadata":{"name":"p","namespace":"ns","ownerReferences":[)" + ref("a", uid("a")) +
                         R"(]},"spec":{"nodeName":"n"}})");
  collector.start();
  settle();
  removeJob("a", "Foreground");
  settle();
  EXPECT_TRUE(world.get<api::Pod>("ns", "p")->metadata.deleting());
  EXPECT_NE(world.get<api::Job>("ns", "a"), nullptr) << "the pod is still ending";
  world.finishDeletions();
  settle();
  EXPECT_EQ(world.count<api::Job>(), 0u);
}

TEST_F(GarbageCollection, foregroundDoesNotWaitForOthers) {
  job("a");
  world.create<api::Pod>(R"({"metadata":{"name":"p","namespace":"ns","ownerReferences":[)" + ref("a", uid("a"), false) +
                         R"(]},"spec":{"nodeName":"n"}})");
  collector.start();
  settle();
  removeJob("a", "Foreground");
  settle();
  EXPECT_EQ(world.count<api::Job>(), 0u);
  EXPECT_TRUE(world.get<api::Pod>("ns", "p")->metadata.deleting());
}

TEST_F(GarbageCollection, orphansStayWithoutTheirOwner) {
  job("a");
  pod("p", ref("a", uid("a")));
  collector.start();
  settle();
  removeJob("a", "Orphan");
  settle();
  EXPECT_EQ(world.count<api::Job>(), 0u);
  ASSERT_NE(world.get<api::Pod>("ns", "p"), nullptr);
  EXPECT_TRUE(world.get<api::Pod>("ns", "p")->metadata.ownerReferences.empty());
}

TEST_F(GarbageCollection, chainsAndCirclesEnd) {
  job("a");
  job("b", ref("a", uid("a")));
  pod("p", ref("b", uid("b")));
  collector.start();
  settle();
  removeJob("a", "Foreground");
  settle();
  EXPECT_EQ(world.count<api::Job>() + world.count<api::Pod>(), 0u);

  job("x");
  job("y", ref("x", uid("x")));
  world.patch<api::Job>("ns", "x", R"({"metadata":{"ownerReferences":[)" + ref("y", uid("y")) + "]}}");
  settle();
  EXPECT_EQ(world.count<api::Job>(), 2u);
  removeJob("x", "Foreground");
  settle();
  EXPECT_EQ(world.count<api::Job>(), 0u);
}

TEST_F(GarbageCollection, aKindMayAppearLater) {
  collector.start();
  settle();
  world.create<Thing>(meta("slice", "ns", ref("gone", "uid-x")));
  collector.addResource({{"x.example", "v1", "things"}, "Thing", true});
  settle();
  EXPECT_FALSE(world.has("x.example", "things", "ns", "slice"));
}

TEST_F(GarbageCollection, aKindMayAppearWhenItsOwnersAreGoneAlready) {
  world.serve<Thing>();
  pod("child", R"({"apiVersion":"x.example/v1","kind":"Thing","name":"gone","uid":"u-gone","controller":true})");
  collector.start();
  settle();
  EXPECT_TRUE(world.has("", "pods", "ns", "child")) << "nobody knows the kind";
  collector.addResource({{"x.example", "v1", "things"}, "Thing", true});
  settle();
  EXPECT_FALSE(world.has("", "pods", "ns", "child"));
}

/// The API of a collector whose watch of Jobs does not get through; it can still ask for one.
class DeafToJobs final : public client::Cluster {
 public:
  explicit DeafToJobs(client::Cluster& inner) : inner_(inner) {}
  void get(const client::Gvr& resource, const std::string& ns, const std::string& name,
           client::Done<client::Object> done) override {
    inner_.get(resource, ns, name, std::move(done));
  }
  void list(const client::Gvr& resource, const client::ListOptions& options,
            client::Done<client::ObjectList> done) override {
    if (resource.resource == "jobs") return done(client::ObjectList{});
    inner_.list(resource, options, std::move(done));
  }
  std::unique_ptr<client::Subscription> watch(const client::Gvr& resource, const client::WatchOptions& options,
                                              std::function<void(const client::WatchEvent&)> onEvent) override {
    if (resource.resource == "jobs") return std::make_unique<client::Subscription>();
    return inner_.watch(resource, options, std::move(onEvent));
  }
  void write(std::vector<client::Write> writes, client::Mode mode,
             std::function<void(std::vector<Result<client::Object>>)> done) override {
    inner_.write(std::move(writes), mode, std::move(done));
  }

 private:
  client::Cluster& inner_;
};

TEST_F(GarbageCollection, anOwnerThatIsOnlyKnownByAskingIsAskedAboutForAllItsChildren) {
  DeafToJobs deaf(cluster);
  GarbageCollector other(deaf, loop, kKinds);
  other.start();
  settle();
  job("a");
  std::string owner = ref("a", uid("a"));
  pod("first", owner);
  settle(100ms);
  pod("second", owner);  // finds the answer that the first one got
  settle();
  EXPECT_TRUE(world.has("", "pods", "ns", "first"));
  EXPECT_TRUE(world.has("", "pods", "ns", "second"));
  removeJob("a", "Background");
  settle(60s);
  EXPECT_FALSE(world.has("", "pods", "ns", "first"));
  EXPECT_FALSE(world.has("", "pods", "ns", "second"));
}

TEST_F(GarbageCollection, isCheapAtFiftyThousandObjects) {
  job("a");
  std::string owner = ref("a", uid("a"));
  for (int i = 0; i < 50000; ++i) pod("p-" + std::to_string(i), owner);
  auto begin = std::chrono::steady_clock::now();
  collector.start();
  settle();
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_EQ(collector.objects(), 50001u);
  EXPECT_EQ(cluster.writes + cluster.gets, 0);
  EXPECT_LT(seconds, 20) << "far above what it takes, for slow machines with sanitizers";
  RecordProperty("seconds", std::to_string(seconds));
}

struct Namespaces : Fixture {
  NamespaceKeeper keeper{cluster, loop, kKinds, "PEM"};
};

TEST_F(Namespaces, haveAServiceAccountAndTheRootCertificate) {
  world.create<api::Namespace>(R"({"metadata":{"name":"lab"},"spec":{"finalizers":["kubernetes"]}})");
  keeper.start();
  settle();
  EXPECT_TRUE(world.has("", "serviceaccounts", "lab", "default"));
  EXPECT_TRUE(world.has("", "configmaps", "lab", "kube-root-ca.crt"));
  world.drop("", "configmaps", "lab", "kube-root-ca.crt");
  settle();
  EXPECT_TRUE(world.has("", "configmaps", "lab", "kube-root-ca.crt"));
}

TEST_F(Namespaces, goWhenTheirContentIsGone) {
  world.create<api::Namespace>(R"({"metadata":{"name":"ns"},"spec":{"finalizers":["kubernetes"]}})");
  keeper.start();
  settle();
  job("a");
  world.create<api::Pod>(R"({"metadata":{"name":"p","namespace":"ns"},"spec":{"nodeName":"n"}})");
  world.remove<api::Namespace>("", "ns");
  settle();
  EXPECT_EQ(world.count<api::Job>(), 0u);
  EXPECT_TRUE(world.get<api::Pod>("ns", "p")->metadata.deleting());
  EXPECT_NE(world.get<api::Namespace>("", "ns"), nullptr);
  world.finishDeletions();
  settle();
  EXPECT_EQ(world.get<api::Namespace>("", "ns"), nullptr);
}

}  // namespace
}  // namespace stoker::controllers
