#include "client/informer.h"

#include <gtest/gtest.h>

#include "api/core.h"
#include "client/fake_cluster.h"

namespace stoker::client {
namespace {

using testing::FakeCluster;
const Time kStart = *parseTime("2026-11-25T10:00:00Z");

std::string pod(const std::string& name, const std::string& extra = "") {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name + R"(","namespace":"default"})" +
         (extra.empty() ? "" : "," + extra) + "}";
}

class InformerTest : public ::testing::Test {
 protected:
  InformerTest() {
    informer.onChange([this](const Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after) {
      changes.push_back(key.name + (before && after ? " changed" : after ? " added" : " removed"));
    });
  }
  std::vector<std::string> take() {
    loop.runAll();
    return std::exchange(changes, {});
  }
  using Names = std::vector<std::string>;

  ManualClock clock{kStart};
  ManualLoop loop{clock};
  FakeCluster cluster;
  Cache<api::Pod> cache;
  Informer informer{cluster, loop, gvrOf<api::Pod>(), cache};
  std::vector<std::string> changes;
};

TEST_F(InformerTest, listsThenFollows) {
  cluster.put<api::Pod>(pod("a"));
  bool synced = false;
  informer.onSynced([&] { synced = true; });
  informer.start();
  EXPECT_FALSE(informer.synced());
  EXPECT_EQ(take(), (Names{"a added"}));
  EXPECT_TRUE(synced && informer.synced());
  cluster.put<api::Pod>(pod("b", R"("spec":{"nodeName":"n1"})"));
  cluster.put<api::Pod>(pod("a", R"("spec":{"nodeName":"n1"})"));
  EXPECT_EQ(take(), (Names{"b added", "a changed"}));
  EXPECT_EQ(informer.seen(), cluster.revision());
  EXPECT_EQ(cache.onNode("n1").size(), 2u);
  cluster.erase<api::Pod>("default", "a");
  EXPECT_EQ(take(), (Names{"a removed"}));
  EXPECT_EQ(cache.onNode("n1").size(), 1u);
  EXPECT_EQ(cluster.lists, 1);
  bool again = false;
  informer.onSynced([&] { again = true; });
  EXPECT_TRUE(again) << "a late callback is called at once";
}

TEST_F(InformerTest, otherKindsAreNotItsConcern) {
  informer.start();
  cluster.put<api::Node>(R"({"metadata":{"name":"n1"}})");
  EXPECT_EQ(take(), Names());
}

TEST_F(InformerTest, repeatedEventsAreDropped) {
  informer.start();
  loop.runAll();
  cluster.repeatEvents = true;
  cluster.put<api::Pod>(pod("a"));
  cluster.erase<api::Pod>("default", "a");
  EXPECT_EQ(take(), (Names{"a added", "a removed"}))
      << "not even the addition, repeated after the deletion, brings it back";
  EXPECT_EQ(cache.size(), 0u);
}

TEST_F(InformerTest, aClosedWatchIsTakenUpWhereItStoppedAndAtOnce) {
  cluster.put<api::Pod>(pod("a"));
  informer.start();
  loop.runAll();
  cluster.breakWatches(Error(Reason::Unknown, "closed"));
  cluster.put<api::Pod>(pod("b"));
  cluster.erase<api::Pod>("default", "a");
  loop.runUntil(kStart);  // without any time passing
  EXPECT_EQ(take(), (Names{"a added", "b added", "a removed"}));
  EXPECT_EQ(cluster.lists, 1);
  EXPECT_EQ(cluster.watches, 2);
}

TEST_F(InformerTest, anExpiredWatchIsListedAgainAndTheDifferenceReported) {
  cluster.put<api::Pod>(pod("gone"));
  cluster.put<api::Pod>(pod("same"));
  cluster.put<api::Pod>(pod("other"));
  informer.start();
  take();
  cluster.breakWatches(Error(Reason::Unknown, "closed"));
  cluster.erase<api::Pod>("default", "gone");
  cluster.put<api::Pod>(pod("other", R"("spec":{"nodeName":"n1"})"));
  cluster.put<api::Pod>(pod("fresh"));
  cluster.compact();
  loop.runUntil(kStart + 1s);
  EXPECT_EQ(take(), (Names{"fresh added", "other changed", "gone removed"}));
  EXPECT_EQ(cluster.lists, 2);
  EXPECT_EQ(cluster.watching(), 1u);
  cluster.put<api::Pod>(pod("later"));
  EXPECT_EQ(take(), (Names{"later added"}));
}

TEST_F(InformerTest, anObjectMadeAnewUnderItsOldNameDuringAGapIsAChange) {
  cluster.put<api::Pod>(pod("a"));
  informer.start();
  take();
  std::string uid = cache.get("default", "a")->metadata.uid;
  cluster.breakWatches(Error(Reason::Unknown, "closed"));
  cluster.erase<api::Pod>("default", "a");
  cluster.put<api::Pod>(pod("a"));
  cluster.compact();
  loop.runUntil(kStart + 1s);
  EXPECT_EQ(take(), (Names{"a changed"}));
  EXPECT_NE(cache.get("default", "a")->metadata.uid, uid);
}

TEST_F(InformerTest, listsThatFailAreTriedAgainWithGrowingPauses) {
  for (int i = 0; i < 4; ++i) cluster.failLists.push_back(Error(Reason::ServiceUnavailable, "down"));
  informer.start();
  struct Case {
    Duration after;
    int lists;
  };
  for (Case c :
       {Case{0s, 2}, Case{99ms, 2}, Case{100ms, 3}, Case{299ms, 3}, Case{300ms, 4}, Case{699ms, 4}, Case{700ms, 5}}) {
    loop.runUntil(kStart + c.after);
    EXPECT_EQ(cluster.lists, c.lists) << c.after.count();
  }
  EXPECT_TRUE(informer.synced());
}

TEST_F(InformerTest, aServerThatListsButCannotWatchIsNotListedWithoutAPause) {
  for (int i = 0; i < 1000; ++i) cluster.failWatches.push_back(Error(Reason::Expired, "too old"));
  informer.start();
  loop.runUntil(kStart + 10s);
  EXPECT_LE(cluster.lists, 10);
  EXPECT_GE(cluster.lists, 5);
}

TEST_F(InformerTest, aQuietWatchThatEndsAfterAWhileIsNotAFailure) {
  informer.start();
  loop.runAll();
  for (int i = 1; i <= 20; ++i) {
    loop.runUntil(kStart + i * 60s);
    cluster.breakWatches(Error(Reason::Unknown, "closed"));
    loop.runUntil(kStart + i * 60s);
    EXPECT_EQ(cluster.watches, 1 + i) << "taken up at once, the " << i << "th time as well";
  }
}

TEST_F(InformerTest, nothingReachesADeadInformer) {
  auto mortal = std::make_unique<Informer>(cluster, loop, gvrOf<api::Node>(), cache);
  mortal->start();
  mortal.reset();
  loop.runUntil(kStart + 1h);
  EXPECT_EQ(cluster.watches, 0);
}

TEST(Cache, indexesFollowTheObject) {
  Cache<api::Pod> cache;
  auto put = [&](uint64_t version, const std::string& body) {
    cache.put({"default", "a", version, std::make_shared<const std::string>(body)});
  };
  put(1, R"({"metadata":{"name":"a","ownerReferences":[{"uid":"u1"},{"uid":"u2"}]},"spec":{"nodeName":"n1"}})");
  EXPECT_EQ(cache.ownedBy("u1").size(), 1u);
  EXPECT_EQ(cache.ownedBy("u2").size(), 1u);
  EXPECT_EQ(cache.versionOf({"default", "a"}), 1u);
  auto kept = cache.find("default", "a");
  put(2, R"({"metadata":{"name":"a","ownerReferences":[{"uid":"u2"}]},"spec":{"nodeName":"n2"}})");
  EXPECT_EQ(kept->object.spec.nodeName, "n1") << "who holds an old state keeps it";
  EXPECT_TRUE(cache.ownedBy("u1").empty());
  EXPECT_TRUE(cache.onNode("n1").empty());
  EXPECT_EQ(cache.onNode("n2").size(), 1u);
  EXPECT_EQ(cache.inNamespace("default").size(), 1u);
  EXPECT_TRUE(cache.inNamespace("defaul").empty());
  cache.erase({"default", "a"});
  EXPECT_TRUE(cache.ownedBy("u2").empty());
  EXPECT_EQ(cache.find("default", "a"), nullptr);
  EXPECT_EQ(cache.versionOf({"default", "a"}), 0u);
}

}  // namespace
}  // namespace stoker::client
