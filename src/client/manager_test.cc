#include "client/manager.h"

#include <gtest/gtest.h>

#include "api/core.h"
#include "client/fake_cluster.h"

namespace stoker::client {
namespace {

using testing::FakeCluster;
const Time kStart = *parseTime("2026-11-25T10:00:00Z");

struct EventKind {
  static constexpr api::Gvk gvk{"", "v1", "Event", "events"};
};

/// A controller whose decision is a function of the test.
class Scripted final : public Controller {
 public:
  using Decide = std::function<Plan(const View&, const Key&, Time)>;
  explicit Scripted(Decide decide) : decide_(std::move(decide)) {}
  std::string name() const override { return "scripted"; }
  void setup(Watches& watches) override {
    watches.on<api::Service>(selfKey);
    watches.on<api::Pod>(controllerKey("Service"));
  }
  Plan reconcile(const View& view, const Key& key, Time now) override { return decide_(view, key, now); }

 private:
  Decide decide_;
};

std::string service(const std::string& name, const std::string& extra = "") {
  return R"({"apiVersion":"v1","kind":"Service","metadata":{"name":")" + name +
         R"(","namespace":"default","uid":"uid-)" + name + R"("})" + (extra.empty() ? "" : "," + extra) + "}";
}
std::string ownedPod(const std::string& name, const std::string& owner, const std::string& uid) {
  return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
         R"(","namespace":"default","ownerReferences":[{"apiVersion":"v1","kind":"Service","name":")" + owner +
         R"(","uid":")" + uid + R"(","controller":true}]}})";
}

class ManagerTest : public ::testing::Test {
 protected:
  /// Starts a manager whose controller decides so; the runs are counted.
  void start(Scripted::Decide decide, Manager::Options options = {}) {
    manager = std::make_unique<Manager>(cluster, loop, ids, options);
    manager->add(std::make_unique<Scripted>([this, decide](const View& view, const Key& key, Time now) {
      ++runs;
      return decide(view, key, now);
    }));
    manager->start();
    loop.runAll();
  }
  /// Wants `count` pods <service>-0 ... of each service.
  static Scripted::Decide pods(int count) {
    return [count](const View& view, const Key& key, Time) {
      Plan plan;
      if (!view.of<api::Service>().get(key.namespace_, key.name)) return plan;
      for (int i = 0; i < count; ++i) {
        std::string name = key.name + "-" + std::to_string(i);
        if (!view.of<api::Pod>().get(key.namespace_, name))
          plan.create<api::Pod>(key.namespace_, name, ownedPod(name, key.name, "uid-" + key.name));
      }
      return plan;
    };
  }
  size_t count(std::string_view write) const {
    return static_cast<size_t>(std::count(cluster.writes.begin(), cluster.writes.end(), write));
  }

  ManualClock clock{kStart};
  ManualLoop loop{clock};
  SeededIds ids{7};
  FakeCluster cluster;
  std::unique_ptr<Manager> manager;
  int runs = 0;
};

TEST_F(ManagerTest, reconcilesWhatExistsAndWhatChanges) {
  cluster.put<api::Service>(service("a"));
  std::vector<std::string> keys;
  start([&](const View&, const Key& key, Time) { return keys.push_back(key.name), Plan{}; });
  EXPECT_EQ(keys, (std::vector<std::string>{"a"}));
  cluster.put<api::Service>(service("b"));
  cluster.put<api::Pod>(ownedPod("p", "a", "uid-a"));
  cluster.put<api::Pod>(R"({"metadata":{"name":"lone","namespace":"default"}})");
  loop.runAll();
  EXPECT_EQ(keys, (std::vector<std::string>{"a", "b", "a"}));
  EXPECT_TRUE(manager->idle());
}

TEST_F(ManagerTest, severalChangesAreOneRun) {
  start([](const View&, const Key&, Time) { return Plan{}; });
  for (int i = 0; i < 10; ++i)
    cluster.put<api::Service>(service("a", R"("spec":{"clusterIP":")" + std::to_string(i) + R"("})"));
  loop.runAll();
  EXPECT_EQ(runs, 1);
}

TEST_F(ManagerTest, nothingRunsBeforeAllIsListed) {
  cluster.put<api::Service>(service("a"));
  for (int i = 0; i < 2; ++i) cluster.failLists.push_back(Error(Reason::ServiceUnavailable, "down"));
  bool synced = false;
  start([](const View&, const Key&, Time) { return Plan{}; });
  manager->onSynced([&] { synced = true; });
  EXPECT_FALSE(synced);
  EXPECT_EQ(runs, 0);
  loop.runUntil(kStart + 1s);
  EXPECT_TRUE(synced);
  EXPECT_EQ(runs, 1);
}

TEST_F(ManagerTest, aKeyRestsUntilItsOwnWritesHaveBeenSeen) {
  start(pods(2));
  cluster.holdEvents = false;
  cluster.put<api::Service>(service("a"));
  cluster.holdEvents = true;
  loop.runAll();
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(count("create pods default/a-0"), 1u);
  // Dirty again while the pods are made but not yet seen: a second run would make them twice.
  manager->enqueue("scripted", {"default", "a"});
  loop.runAll();
  EXPECT_EQ(runs, 1);
  EXPECT_FALSE(manager->idle());
  cluster.releaseEvents();
  loop.runAll();
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(cluster.writes.size(), 2u);
  EXPECT_TRUE(manager->idle());
}

TEST_F(ManagerTest, aChangeDuringTheWriteIsLookedAtAfterwards) {
  start(pods(1));
  cluster.slow = true;
  cluster.put<api::Service>(service("a"));
  loop.runAll();
  EXPECT_EQ(runs, 1);
  cluster.put<api::Service>(service("a", R"("spec":{"clusterIP":"None"})"));
  loop.runAll();
  EXPECT_EQ(runs, 1) << "its plan is still being written";
  cluster.deliver();
  loop.runAll();
  EXPECT_EQ(runs, 2);
}

TEST_F(ManagerTest, failuresAreRetriedWithBackOffAndForgottenAfterASuccess) {
  int failing = 3;
  cluster.refuse = [&](const Write&) -> std::optional<Error> {
    if (failing == 0) return std::nullopt;
    --failing;
    return Error(Reason::Conflict, "the object has been modified");
  };
  cluster.put<api::Service>(service("a"));
  start(pods(1));
  struct Case {
    Duration after;
    int runs;
  };
  for (Case c : {Case{4ms, 1}, Case{5ms, 2}, Case{14ms, 2}, Case{15ms, 3}, Case{34ms, 3}}) {
    loop.runUntil(kStart + c.after);
    EXPECT_EQ(runs, c.runs) << c.after.count();
  }
  loop.runUntil(kStart + 35ms);
  EXPECT_TRUE(cluster.object<api::Pod>("default", "a-0").root.isObject());
  runs = 0;
  failing = 1;
  cluster.erase<api::Pod>("default", "a-0");
  loop.runAll();
  EXPECT_EQ(runs, 1);
  loop.runUntil(loop.now() + 5ms);
  EXPECT_EQ(failing, 0);
  EXPECT_TRUE(cluster.object<api::Pod>("default", "a-0").root.isObject()) << "the first pause again";
}

TEST_F(ManagerTest, backOffIsBounded) {
  cluster.refuse = [](const Write&) { return Error(Reason::Conflict, "no"); };
  cluster.put<api::Service>(service("a"));
  start(pods(1));
  loop.runUntil(kStart + 10h);
  EXPECT_GT(runs, 590);  // once a minute
  EXPECT_LT(runs, 620);
}

TEST_F(ManagerTest, aChangeIsNotMadeToWaitForTheBackOff) {
  bool failing = true;
  cluster.refuse = [&](const Write&) -> std::optional<Error> {
    return failing ? std::optional(Error(Reason::Conflict, "no")) : std::nullopt;
  };
  cluster.put<api::Service>(service("a"));
  start(pods(1));
  loop.runUntil(kStart + 1h);
  failing = false;
  cluster.put<api::Service>(service("a", R"("spec":{"clusterIP":"None"})"));
  loop.runAll();
  EXPECT_TRUE(cluster.object<api::Pod>("default", "a-0").root.isObject());
}

struct TakenCase {
  const char* name;
  const char* ownerUid;
  bool slow;
  bool success;
};
class NameTaken : public ManagerTest, public ::testing::WithParamInterface<TakenCase> {};

TEST_P(NameTaken, isSuccessOnlyWhenItIsOurs) {
  const TakenCase& c = GetParam();
  cluster.put<api::Pod>(ownedPod("p0", "a", c.ownerUid));
  cluster.put<api::Service>(service("a"));
  cluster.slow = c.slow;
  start([&](const View&, const Key&, Time) {
    Plan plan;
    if (runs == 1)
      for (const char* name : {"p0", "p1"}) plan.create<api::Pod>("default", name, ownedPod(name, "a", "uid-a"));
    return plan;
  });
  auto settle = [&] {
    do {
      loop.runAll();
      cluster.deliver();
    } while (loop.pending() > 0 || cluster.late() > 0);
  };
  settle();
  EXPECT_EQ(count("create pods default/p1"), c.success ? 1u : 0u)
      << "the rest of the sequence goes on only after a success";
  EXPECT_EQ(loop.nextTimer().has_value(), !c.success) << "a failure is tried again";
}

INSTANTIATE_TEST_SUITE_P(Cases, NameTaken,
                         ::testing::Values(TakenCase{"ours", "uid-a", false, true},
                                           TakenCase{"oursByADistantServer", "uid-a", true, true},
                                           TakenCase{"ofAnOwnerBefore", "uid-old", false, false},
                                           TakenCase{"ofAnOwnerBeforeDistant", "uid-old", true, false}),
                         [](const auto& info) { return info.param.name; });

TEST_F(ManagerTest, aSequenceGoesOnAfterADeletionOfWhatIsGone) {
  bool done = false;
  cluster.put<api::Service>(service("a"));
  start([&](const View&, const Key& key, Time) {
    Plan plan;
    if (std::exchange(done, true)) return plan;
    plan.remove<api::Pod>(key.namespace_, "gone", "u1");
    plan.create<api::Pod>(key.namespace_, "next", ownedPod("next", "a", "uid-a"));
    plan.remove<api::Pod>(key.namespace_, "gone-too", "u2");
    plan.create<api::Pod>(key.namespace_, "last", ownedPod("last", "a", "uid-a"));
    return plan;
  });
  EXPECT_TRUE(cluster.object<api::Pod>("default", "next").root.isObject());
  EXPECT_TRUE(cluster.object<api::Pod>("default", "last").root.isObject());
  EXPECT_FALSE(loop.nextTimer());
}

TEST_F(ManagerTest, aRealFailureStopsTheSequence) {
  cluster.put<api::Service>(service("a"));
  cluster.refuse = [](const Write& write) -> std::optional<Error> {
    return write.name == "a-1" ? std::optional(Error(Reason::Forbidden, "quota")) : std::nullopt;
  };
  start(pods(3));
  EXPECT_TRUE(cluster.object<api::Pod>("default", "a-0").root.isObject());
  EXPECT_FALSE(cluster.object<api::Pod>("default", "a-2").root.isObject());
  EXPECT_TRUE(loop.nextTimer());
}

TEST_F(ManagerTest, independentWritesDoNotStopEachOther) {
  cluster.put<api::Service>(service("a"));
  cluster.refuse = [](const Write& write) -> std::optional<Error> {
    return write.name == "a-1" ? std::optional(Error(Reason::Forbidden, "quota")) : std::nullopt;
  };
  auto decide = pods(3);
  start([decide](const View& view, const Key& key, Time now) {
    Plan plan = decide(view, key, now);
    plan.mode = Mode::Each;
    return plan;
  });
  EXPECT_TRUE(cluster.object<api::Pod>("default", "a-2").root.isObject());
}

// A plan may be cut after any write: the manager that comes next makes what is missing, and nothing twice.
class CutPlan : public ManagerTest, public ::testing::WithParamInterface<size_t> {};
TEST_P(CutPlan, isContinuedByTheNextManager) {
  cluster.put<api::Service>(service("a"));
  cluster.cutAfter = GetParam();
  start(pods(4));
  EXPECT_EQ(cluster.writes.size(), GetParam());
  manager.reset();
  loop.clear();
  cluster.cutAfter.reset();
  start(pods(4));
  for (int i = 0; i < 4; ++i) {
    std::string name = "a-" + std::to_string(i);
    EXPECT_TRUE(cluster.object<api::Pod>("default", name).root.isObject()) << name;
    EXPECT_EQ(count("create pods default/" + name), 1u) << name;
  }
}
INSTANTIATE_TEST_SUITE_P(AfterEveryWrite, CutPlan, ::testing::Range<size_t>(0, 4));

TEST_F(ManagerTest, wakesWhenThePlanAsksForItAndOnlyThen) {
  std::vector<Duration> at;
  cluster.put<api::Service>(service("a"));
  start([&](const View&, const Key&, Time now) {
    at.push_back(now - kStart);
    Plan plan;
    if (at.size() < 3) plan.wake(now + 10s);
    plan.wake(now + 20s);  // the earlier wish counts
    if (at.size() == 4) plan.wakeAt.reset();
    return plan;
  });
  loop.runUntil(kStart + 1h);
  EXPECT_EQ(at, (std::vector<Duration>{0s, 10s, 20s, 40s}));
  EXPECT_FALSE(loop.nextTimer());
}

TEST_F(ManagerTest, aRunReplacesTheWakeUpOfTheOneBefore) {
  cluster.put<api::Service>(service("a"));
  start([&](const View&, const Key&, Time now) {
    Plan plan;
    if (runs == 1) plan.wake(now + 10s);
    return plan;
  });
  loop.runUntil(kStart + 5s);
  manager->enqueue("scripted", {"default", "a"});
  loop.runUntil(kStart + 1h);
  EXPECT_EQ(runs, 2);
}

TEST_F(ManagerTest, aWakeUpAlreadyOnItsWayWhenItIsReplacedIsNotASecondOne) {
  cluster.put<api::Service>(service("a"));
  start([&](const View&, const Key&, Time now) {
    Plan plan;
    plan.wake(now + 10s);
    return plan;
  });
  // Due and posted, but a change is looked at before it.
  manager->enqueue("scripted", {"default", "a"});
  clock.set(kStart + 10s);
  loop.fireTimers();
  loop.runAll();
  EXPECT_EQ(runs, 2);
  loop.runUntil(kStart + 35s);
  EXPECT_EQ(runs, 4) << "at 20 s and 30 s, once each";
}

TEST_F(ManagerTest, eventsAreCountedNotMultiplied) {
  cluster.put<api::Service>(service("a"));
  std::string message = "no node has 16 nvidia.com/gpu";
  start([&](const View& view, const Key& key, Time) {
    Plan plan;
    plan.event(*view.of<api::Service>().get(key.namespace_, key.name), "Warning", "FailedScheduling", message);
    return plan;
  });
  for (int i = 1; i <= 4; ++i) {
    clock.advance(60s);
    manager->enqueue("scripted", {"default", "a"});
    loop.runAll();
  }
  ASSERT_EQ(cluster.events().size(), 1u);
  json::Doc event = cluster.events()[0];
  EXPECT_EQ(event["count"].asInt(), 5);
  EXPECT_EQ(event["firstTimestamp"].asString(), "2026-11-25T10:00:00Z");
  EXPECT_EQ(event["lastTimestamp"].asString(), "2026-11-25T10:04:00Z");
  EXPECT_EQ(event["involvedObject"]["kind"].asString(), "Service");
  EXPECT_EQ(event["involvedObject"]["uid"].asString(), "uid-a");
  EXPECT_EQ(event["source"]["component"].asString(), "stoker");
  message = "no node has 15 nvidia.com/gpu";
  manager->enqueue("scripted", {"default", "a"});
  loop.runAll();
  EXPECT_EQ(cluster.events().size(), 2u) << "another text is other news";
}

TEST_F(ManagerTest, anEventThatIsGoneIsWrittenAnew) {
  cluster.put<api::Service>(service("a"));
  start([&](const View& view, const Key& key, Time) {
    Plan plan;
    plan.event(*view.of<api::Service>().get(key.namespace_, key.name), "Normal", "Created", "made");
    return plan;
  });
  // Its time to live is over. The next repetition finds nothing to count up; the one after is a new object.
  cluster.erase<EventKind>("default", cluster.events().at(0)["metadata"]["name"].str());
  for (int i = 0; i < 2; ++i) {
    manager->enqueue("scripted", {"default", "a"});
    loop.runAll();
  }
  ASSERT_EQ(cluster.events().size(), 1u);
  EXPECT_EQ(cluster.events()[0]["count"].asInt(), 1);
}

TEST_F(ManagerTest, eventsThatCannotBeWrittenDoNotFailThePlan) {
  cluster.refuse = [](const Write& write) -> std::optional<Error> {
    return write.resource.resource == "events" ? std::optional(Error(Reason::Forbidden, "no")) : std::nullopt;
  };
  cluster.put<api::Service>(service("a"));
  auto decide = pods(1);
  start([&](const View& view, const Key& key, Time now) {
    Plan plan = decide(view, key, now);
    plan.event(*view.of<api::Service>().get(key.namespace_, key.name), "Normal", "Created", "made");
    return plan;
  });
  EXPECT_TRUE(cluster.object<api::Pod>("default", "a-0").root.isObject());
  EXPECT_FALSE(loop.nextTimer());
}

TEST_F(ManagerTest, plansInFlightAreBounded) {
  cluster.slow = true;
  for (int i = 0; i < 5; ++i) cluster.put<api::Service>(service("s" + std::to_string(i)));
  start(pods(1), {.maxPlansInFlight = 2});
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(cluster.late(), 2u);
  for (int i = 0; i < 10; ++i) {
    cluster.deliver();
    loop.runAll();
    EXPECT_LE(cluster.late(), 2u);
  }
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(cluster.object<api::Pod>("default", "s" + std::to_string(i) + "-0").root.isObject());
}

TEST_F(ManagerTest, answersAndTimersDoNotReachADeadManager) {
  cluster.slow = true;
  cluster.put<api::Service>(service("a"));
  start([&](const View& view, const Key& key, Time now) {
    Plan plan = pods(1)(view, key, now);
    plan.wake(now + 1s);
    return plan;
  });
  manager.reset();
  cluster.deliver();
  loop.runUntil(kStart + 1h);
  EXPECT_EQ(runs, 1);
}

TEST_F(ManagerTest, whatHasNothingToRememberIsForgotten) {
  start(pods(1));
  for (int i = 0; i < 100; ++i) {
    std::string name = "s" + std::to_string(i);
    cluster.put<api::Service>(service(name));
    loop.runAll();
    cluster.erase<api::Service>("default", name);
    cluster.erase<api::Pod>("default", name + "-0");
  }
  loop.runAll();
  EXPECT_TRUE(manager->idle());
  EXPECT_FALSE(loop.nextTimer());
}

}  // namespace
}  // namespace stoker::client
