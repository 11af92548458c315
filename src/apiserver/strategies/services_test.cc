#include <fmt/format.h>

#include <set>

#include "apiserver/strategies/slot_pool.h"
#include "apiserver/strategies/strategy_test_util.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kServices = "v1/services";

class ServiceTest : public StrategyTest {
 protected:
  explicit ServiceTest(StrategyOptions options = {}) : StrategyTest(std::move(options)) {}
  std::string createService(const std::string& name, const std::string& spec) {
    return create(kServices, fmt::format(R"({{"metadata":{{"name":"{}"}},"spec":{}}})", name, spec));
  }
  std::string spec(const std::string& name, std::string_view field) { return at(kServices, name, {"spec", field}); }
};

TEST_F(ServiceTest, getAnAddressAndWhatGoesWithIt) {
  ASSERT_EQ(createService("a", R"({"ports":[{"port":80}]})"), "");
  json::Doc service = get(kServices, "a");
  std::string ip = service["spec"]["clusterIP"].str();
  EXPECT_TRUE(ip.starts_with("10.96.")) << ip;
  EXPECT_EQ(spec("a", "clusterIPs"), fmt::format("[\"{}\"]", ip));
  EXPECT_EQ(spec("a", "ipFamilies"), R"(["IPv4"])");
  EXPECT_EQ(spec("a", "ipFamilyPolicy"), R"("SingleStack")");
  EXPECT_EQ(spec("a", "type"), R"("ClusterIP")");
  EXPECT_EQ(spec("a", "sessionAffinity"), R"("None")");
  EXPECT_EQ(spec("a", "internalTrafficPolicy"), R"("Cluster")");
  EXPECT_EQ(spec("a", "ports"), R"([{"port":80,"protocol":"TCP","targetPort":80}])");
  EXPECT_EQ(at(kServices, "a", {"status"}), R"({"loadBalancer":{}})");
  EXPECT_EQ(at(kServices, "a", {"metadata", "generation"}), "null");
}

TEST_F(ServiceTest, headlessOnesAndNamesHaveNoAddress) {
  ASSERT_EQ(createService("a", R"({"clusterIP":"None","selector":{"x":"y"}})"), "");
  EXPECT_EQ(spec("a", "clusterIPs"), R"(["None"])");
  ASSERT_EQ(createService("b", R"({"type":"ExternalName","externalName":"db.example"})"), "");
  EXPECT_EQ(spec("b", "clusterIP"), "null");
  EXPECT_EQ(spec("b", "internalTrafficPolicy"), "null");
}

TEST_F(ServiceTest, addressesHaveOneHolder) {
  ASSERT_EQ(createService("a", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
  EXPECT_EQ(createService("b", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"),
            "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.10\"]: failed to allocate IP "
            "10.96.0.10: provided IP is already allocated");
  EXPECT_EQ(createService("b", R"({"clusterIP":"10.97.0.10","ports":[{"port":80}]})"),
            "Service \"b\" is invalid: spec.clusterIPs: Invalid value: [\"10.97.0.10\"]: failed to allocate IP "
            "10.97.0.10: the provided IP "
            "(10.97.0.10) is not in the valid range. The range of valid IPs is 10.96.0.0/16");
  EXPECT_NE(createService("b", R"({"clusterIP":"ten","ports":[{"port":80}]})").find("must be a valid IP address"),
            std::string::npos);
  ASSERT_EQ(remove(kServices, "a"), "");
  EXPECT_EQ(createService("b", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
}

TEST_F(ServiceTest, dryRunsKeepNothing) {
  caller_.dryRun = true;
  EXPECT_EQ(createService("a", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
  caller_.dryRun = false;
  EXPECT_EQ(createService("b", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
}

TEST_F(ServiceTest, nodePortsAreAllocatedKeptAndGivenBack) {
  ASSERT_EQ(createService(
                "a", R"({"type":"NodePort","ports":[{"name":"x","port":80},{"name":"y","port":81,"nodePort":30080}]})"),
            "");
  json::Doc service = get(kServices, "a");
  int64_t first = service["spec"]["ports"][0]["nodePort"].asInt();
  EXPECT_TRUE(first >= 30000 && first <= 32767 && first != 30080) << first;
  EXPECT_EQ(spec("a", "externalTrafficPolicy"), R"("Cluster")");
  EXPECT_EQ(
      createService("b", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30080}]})"),
      "Service \"b\" is invalid: spec.ports[0].nodePort: Invalid value: 30080: provided port is already allocated");
  EXPECT_NE(createService("b", R"({"type":"NodePort","ports":[{"port":80,"nodePort":80}]})")
                .find("The range of valid ports is 30000-32767"),
            std::string::npos);
  // The file it came from says nothing of what was allocated.
  ASSERT_EQ(
      problem(write(
          Verb::Update, target(kServices, "a"),
          R"({"metadata":{"name":"a"},"spec":{"type":"NodePort","ports":[{"name":"x","port":80},{"name":"z","port":82}]}})")),
      "");
  json::Doc updated = get(kServices, "a");
  EXPECT_EQ(updated["spec"]["ports"][0]["nodePort"].asInt(), first);
  EXPECT_EQ(updated["spec"]["clusterIP"], service["spec"]["clusterIP"]);
  EXPECT_EQ(createService("b", R"({"type":"NodePort","ports":[{"port":80,"nodePort":30080}]})"), "");
  ASSERT_EQ(patch(kServices, "a", R"({"spec":{"type":"ClusterIP"}})"), "");
  EXPECT_FALSE(get(kServices, "a")["spec"]["ports"][0].has("nodePort"));
}

TEST_F(ServiceTest, refusesWithUpstreamsWords) {
  struct Case {
    const char* spec;
    const char* message;
  };
  for (
      const Case& c : {
          Case{R"({})", "Service \"a\" is invalid: spec.ports: Required value"},
          Case{R"({"ports":[{"port":80},{"port":81}]})",
               "spec.ports[0].name: Required value, spec.ports[1].name: Required value"},
          Case{R"({"ports":[{"port":80,"name":"x"},{"port":81,"name":"x"}]})",
               "spec.ports[1].name: Duplicate value: \"x\""},
          Case{R"({"ports":[{"port":80,"name":"x"},{"port":80,"name":"y"}]})", "spec.ports[1]: Duplicate value: "},
          Case{R"({"ports":[{"port":80,"nodePort":30001}]})",
               "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"},
          Case{R"({"ports":[{"port":0}]})", "spec.ports[0].port: Required value"},
          Case{R"({"type":"Mesh","ports":[{"port":1}]})", "spec.type: Unsupported value: \"Mesh\""},
          Case{R"({"type":"ExternalName"})", "spec.externalName: Required value"},
          Case{R"({"type":"NodePort","clusterIP":"None","ports":[{"port":1}]})",
               "may not be set to 'None' for NodePort services"},
          Case{
              R"({"sessionAffinity":"ClientIP","sessionAffinityConfig":{"clientIP":{"timeoutSeconds":90000}},"ports":[{"port":1}]})",
              "must be greater than 0 and less than 86400"},
      }) {
    std::string said = createService("a", c.spec);
    EXPECT_NE(said.find(c.message), std::string::npos) << c.spec << "\n  gave: " << said;
  }
  EXPECT_NE(
      createService("1a", R"({"ports":[{"port":80}]})").find("metadata.name: Invalid value: \"1a\": a DNS-1035 label"),
      std::string::npos);
}

TEST_F(ServiceTest, theAddressStays) {
  ASSERT_EQ(createService("a", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
  EXPECT_EQ(patch(kServices, "a", R"({"spec":{"clusterIP":"10.96.0.11","clusterIPs":["10.96.0.11"]}})"),
            "Service \"a\" is invalid: spec.clusterIPs[0]: Invalid value: [\"10.96.0.11\"]: may not change once set");
  auto before = store_->revision();
  EXPECT_EQ(patch(kServices, "a", R"({"spec":{"type":"ClusterIP"}})"), "");
  EXPECT_EQ(store_->revision(), before);
  EXPECT_EQ(patch(kServices, "a", R"({"spec":{"type":"ExternalName","externalName":"x.example"}})"), "");
  EXPECT_EQ(spec("a", "clusterIP"), "null");
  EXPECT_EQ(createService("b", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
}

class SmallRangeTest : public ServiceTest {
 protected:
  SmallRangeTest() : ServiceTest({.serviceCidr = "10.0.0.0/28"}) {}
};

TEST_F(SmallRangeTest, allAddressesAreUsedOnceAndThenTheRangeIsFull) {
  std::set<std::string> seen;
  for (int i = 0; i < 14; ++i) {
    ASSERT_EQ(createService(fmt::format("s{}", i), R"({"ports":[{"port":80}]})"), "");
    EXPECT_TRUE(seen.insert(spec(fmt::format("s{}", i), "clusterIP")).second);
  }
  EXPECT_EQ(createService("one-more", R"({"ports":[{"port":80}]})"),
            "failed to allocate a serviceIP: range 10.0.0.0/28 is full");
  ASSERT_EQ(remove(kServices, "s3"), "");
  EXPECT_EQ(createService("one-more", R"({"ports":[{"port":80}]})"), "");
}

TEST_F(ServiceTest, aSecondRegistryKnowsWhatIsTaken) {
  ASSERT_EQ(createService("a", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})"), "");
  registry_ = std::make_unique<Registry>(*store_, ids_, clock_);
  ASSERT_TRUE(registerStrategies(*registry_, {}).ok());
  EXPECT_NE(createService("b", R"({"clusterIP":"10.96.0.10","ports":[{"port":80}]})").find("already allocated"),
            std::string::npos);
}

TEST(StrategyOptions, aBadRangeIsRefused) {
  auto store =
      std::move(*store::Store::open(std::shared_ptr<store::Log>(store::makeMemoryLog()), {.synchronous = true}));
  ManualClock clock{Time{}};
  SeededIds ids(1);
  for (const char* cidr : {"", "10.0.0.0", "10.0.0.0/8", "10.0.0.0/30", "x/16", "10.0.0.0/16x"}) {
    Registry registry(*store, ids, clock);
    EXPECT_FALSE(registerStrategies(registry, {.serviceCidr = cidr}).ok()) << cidr;
  }
}

TEST(SlotPool, promisesRunOutAndHoldersDoNot) {
  Time now{};
  SlotPool pool(1, 3, 2);
  EXPECT_TRUE(pool.claim(2, "a", now, false));
  EXPECT_FALSE(pool.claim(2, "b", now, false));
  EXPECT_TRUE(pool.claim(2, "a", now, false));
  EXPECT_TRUE(pool.claim(2, "b", now + 61s, true));
  pool.hold("a", {2});
  EXPECT_FALSE(pool.claim(2, "b", now + 61s, false));
  EXPECT_EQ(pool.take("b", now, false), 3u);
  EXPECT_EQ(pool.take("c", now, false), 1u);
  EXPECT_EQ(pool.take("d", now, false), std::nullopt);
  pool.hold("a", {});
  EXPECT_EQ(pool.take("d", now, false), 2u);
  EXPECT_FALSE(pool.claim(9, "e", now, false));
}

}  // namespace
}  // namespace stoker::apiserver
