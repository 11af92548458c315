// What the store promises, over both logs and both ways to commit.
#include "store/store.h"

#include <atomic>
#include <thread>

#include "store/store_test_util.h"

namespace stoker::store::test {
namespace {

struct Setup {
  const char* name;
  bool sqlite;
  bool synchronous;
};

class StoreTest : public testing::TestWithParam<Setup> {
 protected:
  void SetUp() override { reopen(); }

  void reopen() {
    store_.reset();
    if (GetParam().sqlite) {
      log_.reset();
      auto log = openSqliteLog({.path = dir_.file("state.db"), .historyEvents = options_.historyEvents});
      ASSERT_TRUE(log.ok()) << log.error().message;
      log_ = std::move(*log);
    } else if (!log_) {
      log_ = makeMemoryLog();
    }
    options_.synchronous = GetParam().synchronous;
    auto store = Store::open(log_, options_);
    ASSERT_TRUE(store.ok()) << store.error().message;
    store_ = std::move(*store);
    log_ = GetParam().sqlite ? nullptr : log_;  // the store holds it alone, so that closing the store closes the file
  }

  template <class... Ops>
  Revision commit(Ops... ops) {
    auto result = commitNow(*store_, transaction(std::move(ops)...));
    EXPECT_TRUE(result.ok()) << result.error().message;
    Revision last = 0;
    if (result.ok())
      for (const VersionPtr& version : *result)
        if (version) last = version->revision;
    return last;
  }
  template <class... Ops>
  std::string refused(Ops... ops) {
    auto result = commitNow(*store_, transaction(std::move(ops)...));
    return result.ok() ? "ok" : std::string(toString(result.error().reason)) + " " + result.error().name;
  }
  std::string list(ListOptions options) {
    auto listing = store_->list(options);
    if (!listing.ok()) return std::string(toString(listing.error().reason));
    return keysOf(*listing) + (listing->more ? " +" + std::to_string(listing->remaining) : "");
  }

  TempDir dir_;
  Options options_;
  std::shared_ptr<Log> log_;
  std::unique_ptr<Store> store_;
};

TEST_P(StoreTest, guards) {
  Revision first = commit(put("pods/a", "1", kAbsent));
  EXPECT_EQ(first, 1u);
  EXPECT_EQ(refused(put("pods/a", "2", kAbsent)), "AlreadyExists pods/a");
  EXPECT_EQ(refused(put("pods/a", "2", first + 7)), "Conflict pods/a");
  EXPECT_EQ(refused(put("pods/b", "2", first)), "NotFound pods/b");
  EXPECT_EQ(refused(remove("pods/b")), "NotFound pods/b");
  EXPECT_EQ(refused(remove("pods/b", kAbsent)), "NotFound pods/b");
  EXPECT_EQ(refused(remove("pods/a", kAbsent)), "AlreadyExists pods/a");
  EXPECT_EQ(refused(remove("pods/a", 99)), "Conflict pods/a");
  EXPECT_EQ(refused(check("pods/a", kAbsent)), "AlreadyExists pods/a");
  EXPECT_EQ(refused(check("pods/b", first)), "NotFound pods/b");
  EXPECT_EQ(refused(put("", "1")), "BadRequest ");
  Op outside = put("pods/c", "1");
  outside.revisionAt = outside.bytes.size() + 1;
  EXPECT_EQ(refused(outside), "BadRequest pods/c");
  EXPECT_EQ(store_->revision(), first) << "a refused operation takes no revision";

  EXPECT_EQ(commit(check("pods/a", first), put("pods/c", "1", kAbsent)), first + 1);
  EXPECT_EQ(commit(put("pods/a", "2", first)), first + 2);
  EXPECT_EQ(commit(put("pods/d", "1")), first + 3) << "no guard creates";
  EXPECT_EQ(commit(put("pods/d", "2")), first + 4) << "and replaces";
  EXPECT_EQ(commit(remove("pods/a", first + 2)), first + 5);
  EXPECT_EQ(store_->get("pods/a"), nullptr);
  EXPECT_EQ(commit(check("pods/a", kAbsent)), 0u) << "a check takes no revision";
  EXPECT_EQ(store_->revision(), first + 5);
}

TEST_P(StoreTest, versionsCarryTheirRevisionAndIndex) {
  Revision created = commit(put("pods/a", "7"));
  Revision modified = commit(put("pods/a", "8"));
  VersionPtr version = store_->get("pods/a");
  ASSERT_TRUE(version);
  EXPECT_EQ(version->bytes, bytesOf("8", modified));
  EXPECT_EQ(version->revision, modified);
  EXPECT_EQ(version->createRevision, created);
  EXPECT_EQ(version->index.labels, std::string("app\0"
                                               "8\0",
                                               6));
  EXPECT_EQ(version->index.owners, std::vector<std::string>{"owner-8"});
  EXPECT_EQ(version->index.node, "node-8");
  commit(remove("pods/a"));
  Revision again = commit(put("pods/a", "9"));
  EXPECT_EQ(store_->get("pods/a")->createRevision, again) << "recreated objects get a new one";
}

TEST_P(StoreTest, aDeletionShowsTheLastStateWithItsOwnRevision) {
  commit(put("pods/a", "1"));
  for (int i = 0; i < 9; ++i) commit(put("pods/b", "1"));
  auto plain = commitNow(*store_, transaction(remove("pods/a")));
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ((*plain)[0]->bytes, bytesOf("1", 11)) << "one digit became two";
  EXPECT_EQ((*plain)[0]->index.node, "node-1");
  Op withBytes = put("pods/b", "2");
  withBytes.kind = Op::Kind::Delete;
  auto given = commitNow(*store_, transaction(withBytes));
  ASSERT_TRUE(given.ok());
  EXPECT_EQ((*given)[0]->bytes, bytesOf("2", 12));
  EXPECT_EQ((*given)[0]->createRevision, 2u);
}

TEST_P(StoreTest, aTransactionIsAllOrNothingAndSeesItsOwnOperations) {
  Collector seen;
  ASSERT_TRUE(store_->watch("", 0, seen.callback()).ok());
  EXPECT_EQ(refused(put("pods/a", "1"), put("pods/b", "1"), remove("pods/x")), "NotFound pods/x");
  EXPECT_EQ(list({}), "");
  auto result =
      commitNow(*store_, transaction(put("pods/a", "1", kAbsent), check("pods/q", kAbsent), put("pods/a", "2"),
                                     remove("pods/a"), put("pods/a", "3", kAbsent), put("pods/b", "1")));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ((*result)[1], nullptr);
  EXPECT_EQ((*result)[2]->createRevision, 1u);
  EXPECT_EQ((*result)[4]->createRevision, 4u);
  EXPECT_EQ(list({}), "pods/a@4 pods/b@5");
  EXPECT_EQ(seen.text(), "+pods/a@1 ~pods/a@2 -pods/a@3 +pods/a@4 +pods/b@5");
  EXPECT_EQ(refused(put("pods/c", "1"), put("pods/c", "2", kAbsent)), "AlreadyExists pods/c");
  EXPECT_EQ(refused(remove("pods/a"), remove("pods/a")), "NotFound pods/a");
}

TEST_P(StoreTest, listsByPrefixAndPage) {
  for (const char* key : {"pods/b/1", "pods/a/1", "pods/a/2", "pods", "podsx/1", "pods/a/3", "nodes/1"})
    commit(put(key, "1"));
  EXPECT_EQ(list({.prefix = "pods/"}), "pods/a/1@2 pods/a/2@3 pods/a/3@6 pods/b/1@1");
  EXPECT_EQ(list({.prefix = "pods/a/"}), "pods/a/1@2 pods/a/2@3 pods/a/3@6");
  EXPECT_EQ(list({.prefix = "pods/", .limit = 2}), "pods/a/1@2 pods/a/2@3 +2");
  EXPECT_EQ(list({.prefix = "pods/", .startAfter = "pods/a/2", .limit = 2}), "pods/a/3@6 pods/b/1@1");
  EXPECT_EQ(list({.prefix = "pods/", .startAfter = "pods/a/25", .limit = 1}), "pods/a/3@6 +1");
  EXPECT_EQ(list({.prefix = "pods/", .startAfter = "zzz"}), "");
  EXPECT_EQ(list({.prefix = "pods/", .startAfter = "a"}), "pods/a/1@2 pods/a/2@3 pods/a/3@6 pods/b/1@1");
  EXPECT_EQ(list({.prefix = "nothing/"}), "");
  EXPECT_EQ(store_->list({})->items.size(), 7u);
}

TEST_P(StoreTest, listsAsOfAnOldRevision) {
  commit(put("pods/a", "1"));                     // 1
  commit(put("pods/b", "1"));                     // 2
  commit(put("pods/c", "1"));                     // 3
  commit(put("pods/b", "2"));                     // 4
  commit(remove("pods/c"));                       // 5
  commit(put("pods/aa", "1"), remove("pods/a"));  // 6 7
  commit(put("pods/c", "2"));                     // 8
  const std::pair<Revision, std::string> then[] = {
      {1, "pods/a@1"},
      {2, "pods/a@1 pods/b@2"},
      {3, "pods/a@1 pods/b@2 pods/c@3"},
      {4, "pods/a@1 pods/b@4 pods/c@3"},
      {5, "pods/a@1 pods/b@4"},
      {6, "pods/a@1 pods/aa@6 pods/b@4"},
      {7, "pods/aa@6 pods/b@4"},
      {8, "pods/aa@6 pods/b@4 pods/c@8"},
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& [revision, expected] : then)
      EXPECT_EQ(list({.prefix = "pods/", .revision = revision}), expected) << revision;
    EXPECT_EQ(list({.prefix = "pods/", .limit = 2, .revision = 3}), "pods/a@1 pods/b@2 +1");
    EXPECT_EQ(list({.prefix = "pods/", .startAfter = "pods/b", .revision = 3}), "pods/c@3");
    EXPECT_EQ(list({.revision = 9}), "Timeout") << "a revision of the future";
    reopen();
  }
}

TEST_P(StoreTest, watchesResumeAlsoAfterARestart) {
  commit(put("pods/a/1", "1"));                       // 1
  commit(put("nodes/n", "1"), put("pods/b/1", "1"));  // 2 3
  commit(put("pods/a/1", "2"));                       // 4
  commit(remove("pods/a/1"));                         // 5
  for (int round = 0; round < 2; ++round) {
    struct Case {
      const char* prefix;
      Revision from;
      const char* expected;
    };
    for (const Case& c :
         {Case{"", 0, "+pods/a/1@1 +nodes/n@2 +pods/b/1@3 ~pods/a/1@4 -pods/a/1@5"},
          Case{"pods/", 1, "+pods/b/1@3 ~pods/a/1@4 -pods/a/1@5"},
          Case{"pods/a/", 0, "+pods/a/1@1 ~pods/a/1@4 -pods/a/1@5"}, Case{"pods/a/", 5, ""}, Case{"jobs/", 0, ""}}) {
      Collector seen;
      auto id = store_->watch(c.prefix, c.from, seen.callback());
      ASSERT_TRUE(id.ok());
      EXPECT_EQ(seen.text(), c.expected) << c.prefix << " from " << c.from;
      store_->unwatch(*id);
    }
    Collector seen;
    auto id = store_->watch("pods/a/", 3, seen.callback());
    ASSERT_TRUE(id.ok());
    auto events = seen.events();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0]->previous->bytes, bytesOf("1", 1));
    EXPECT_EQ(events[0]->object->bytes, bytesOf("2", 4));
    EXPECT_EQ(events[1]->previous->bytes, bytesOf("2", 4));
    EXPECT_EQ(events[1]->object->bytes, bytesOf("2", 5));
    store_->unwatch(*id);
    reopen();
    EXPECT_EQ(store_->revision(), 5u) << "an orderly restart skips no revision";
  }
}

TEST_P(StoreTest, liveEventsFollowTheHistory) {
  commit(put("pods/a", "1"));
  Collector all, pods;
  ASSERT_TRUE(store_->watch("", 0, all.callback()).ok());
  ASSERT_TRUE(store_->watch("pods/", 1, pods.callback()).ok());
  commit(put("nodes/a", "1"));
  commit(put("pods/a", "2"), put("pods/b", "1"));
  EXPECT_EQ(all.text(), "+pods/a@1 +nodes/a@2 ~pods/a@3 +pods/b@4");
  EXPECT_EQ(pods.text(), "~pods/a@3 +pods/b@4");
  EXPECT_EQ(store_->stats().watches, 2u);
  EXPECT_EQ(store_->watch("pods", 0, [](const EventPtr&) {}).error().reason, Reason::BadRequest);
}

TEST_P(StoreTest, historyIsBoundedAndOlderStartsAreExpired) {
  options_.historyEvents = 4;
  reopen();
  for (int i = 0; i < 10; ++i) commit(put("pods/a", std::to_string(i)));
  EXPECT_EQ(store_->oldestRevision(), 6u);
  EXPECT_EQ(store_->stats().historyEvents, 4u);
  EXPECT_EQ(store_->watch("", 5, [](const EventPtr&) {}).error().reason, Reason::Expired);
  EXPECT_EQ(list({.revision = 5}), "Expired");
  EXPECT_EQ(list({.revision = 6}), "pods/a@6");
  Collector seen;
  ASSERT_TRUE(store_->watch("", 6, seen.callback()).ok());
  EXPECT_EQ(seen.text(), "~pods/a@7 ~pods/a@8 ~pods/a@9 ~pods/a@10");
}

TEST_P(StoreTest, historyIsBoundedByBytesToo) {
  options_.historyBytes = 5000;
  reopen();
  for (int i = 0; i < 10; ++i) commit(put("pods/a", std::string(500, '7')));
  EXPECT_LT(store_->stats().historyEvents, 5u);
  EXPECT_GT(store_->stats().historyEvents, 1u);
}

TEST_P(StoreTest, listAndWatchLosesNothing) {
  commit(put("pods/a", "1"), put("nodes/a", "1"));
  Collector seen;
  std::string initial;
  auto id = store_->listAndWatch(
      {.prefix = "pods/"}, [&](const Listing& l) { initial = keysOf(l) + " at " + std::to_string(l.revision); },
      seen.callback());
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(initial, "pods/a@1 at 2");
  commit(put("pods/b", "1"));
  EXPECT_EQ(seen.text(), "+pods/b@3");
  Collector old;
  auto past = store_->listAndWatch(
      {.prefix = "pods/", .revision = 1}, [&](const Listing& l) { initial = keysOf(l); }, old.callback());
  ASSERT_TRUE(past.ok());
  EXPECT_EQ(initial, "pods/a@1");
  EXPECT_EQ(old.text(), "+pods/b@3");
}

TEST_P(StoreTest, eventsAreEncodedOncePerSlot) {
  Collector one, two;
  ASSERT_TRUE(store_->watch("", 0, one.callback()).ok());
  ASSERT_TRUE(store_->watch("pods/", 0, two.callback()).ok());
  commit(put("pods/a", "1"));
  auto first = one.events(), second = two.events();
  ASSERT_EQ(first.size(), 1u);
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(first[0], second[0]) << "shared, not copied";
  int calls = 0;
  auto encode = [&](const Event& event) { return ++calls, describe(event); };
  auto text = first[0]->encoded(2, encode);
  EXPECT_EQ(*text, "+pods/a@1");
  EXPECT_EQ(second[0]->encoded(2, encode), text);
  EXPECT_EQ(calls, 1);
  first[0]->encoded(3, encode);
  EXPECT_EQ(calls, 2);
  first[0]->dropEncodings();
  EXPECT_EQ(*first[0]->encoded(2, encode), *text);
  EXPECT_EQ(calls, 3);
}

TEST_P(StoreTest, aWatchMayEndItselfOrAnother) {
  WatchId self = 0, other = 0;
  int selfCalls = 0, otherCalls = 0;
  self = *store_->watch("", 0, [&](const EventPtr&) {
    ++selfCalls;
    store_->unwatch(self);
    store_->unwatch(other);
  });
  other = *store_->watch("", 0, [&](const EventPtr&) { ++otherCalls; });
  commit(put("pods/a", "1"), put("pods/b", "1"));
  commit(put("pods/c", "1"));
  EXPECT_EQ(selfCalls, 1);
  EXPECT_EQ(otherCalls, 0);
  EXPECT_EQ(store_->stats().watches, 0u);
}

TEST_P(StoreTest, stateSurvivesARestart) {
  for (int i = 0; i < 700; ++i) commit(put("pods/" + std::to_string(i % 500), std::to_string(i)));
  for (int i = 0; i < 500; i += 3) commit(remove("pods/" + std::to_string(i)));
  std::string before = list({});
  Store::Stats stats = store_->stats();
  Revision revision = store_->revision();
  VersionPtr one = store_->get("pods/100");
  reopen();
  EXPECT_EQ(list({}), before);
  EXPECT_EQ(store_->revision(), revision);
  EXPECT_EQ(store_->stats().objectBytes, stats.objectBytes);
  EXPECT_EQ(store_->stats().objects, stats.objects);
  VersionPtr again = store_->get("pods/100");
  EXPECT_EQ(again->bytes, one->bytes);
  EXPECT_EQ(again->revisionAt, one->revisionAt);
  EXPECT_EQ(again->createRevision, one->createRevision);
  EXPECT_EQ(again->index.labels, one->index.labels);
  EXPECT_EQ(again->index.owners, one->index.owners);
  EXPECT_EQ(again->index.node, one->index.node);
  EXPECT_EQ(commit(put("pods/new", "1")), revision + 1);
}

INSTANTIATE_TEST_SUITE_P(Logs, StoreTest,
                         testing::Values(Setup{"memory", false, true}, Setup{"memoryThreaded", false, false},
                                         Setup{"sqlite", true, true}, Setup{"sqliteThreaded", true, false}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace stoker::store::test
