#include <gtest/gtest.h>

#include <random>
#include <set>

#include "device/cards.h"
#include "device/ledger.h"
#include "device/pod_requests.h"

namespace stoker::device {
namespace {

// ---- cards as text
// ---------------------------------------------------------------------------------------------------

TEST(Cards, printSortedAndParseBack) {
  std::vector<CardChoice> cards{{"rdma/hca", {2}}, {"nvidia.com/gpu", {0, 1}}, {"none/x", {}}};
  std::string text = formatCards(cards);
  EXPECT_EQ(text, "nvidia.com/gpu=0,1;rdma/hca=2");
  auto parsed = parseCards(text);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(formatCards(*parsed), text);
  EXPECT_TRUE(parseCards("")->empty());
}

TEST(Cards, malformedTextIsNamed) {
  for (const char* text :
       {"gpu", "=1", "a/b=", "a/b=x", "a/b=-1", "a/b=1,1", "a/b=1;a/b=2", "a/b=1;", "a/b=99999999999"}) {
    auto parsed = parseCards(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().reason, Reason::Invalid);
    EXPECT_NE(parsed.error().message.find(text), std::string::npos) << parsed.error().message;
  }
}

TEST(Cards, extendedResourcesAreCards) {
  EXPECT_TRUE(isCardResource("nvidia.com/gpu"));
  EXPECT_TRUE(isCardResource("aliyun.com/gpu-mem"));
  EXPECT_FALSE(isCardResource("cpu"));
  EXPECT_FALSE(isCardResource("hugepages-2Mi"));
  EXPECT_FALSE(isCardResource("kubernetes.io/batch-cpu"));
  EXPECT_FALSE(isCardResource("node.kubernetes.io/thing"));
  EXPECT_FALSE(isCardResource("requests.nvidia.com/gpu"));
}

// ---- ledger
// ----------------------------------------------------------------------------------------------------------

TEST(CardLedger, takesTheSmallestRunThatFits) {
  CardLedger ledger;
  auto pool = ledger.addPool(8);
  std::vector<int32_t> held{2, 5};  // free: 0 1 | 3 4 | 6 7, then 3 cards
  ledger.hold(pool, held);
  EXPECT_EQ(*ledger.take(pool, 2), (std::vector<int32_t>{0, 1}));
  EXPECT_EQ(*ledger.take(pool, 1), (std::vector<int32_t>{3}));
  EXPECT_EQ(*ledger.take(pool, 1), (std::vector<int32_t>{4}));
  EXPECT_EQ(*ledger.take(pool, 2), (std::vector<int32_t>{6, 7}));
  EXPECT_EQ(ledger.take(pool, 1), std::nullopt);
  EXPECT_EQ(ledger.take(pool, 0)->size(), 0u);
}

TEST(CardLedger, wholeRunsStayWholeForWhoNeedsThem) {
  CardLedger ledger;
  auto pool = ledger.addPool(8);
  std::vector<int32_t> held{5};  // free: 0-4 and 6 7
  ledger.hold(pool, held);
  EXPECT_EQ(*ledger.take(pool, 2), (std::vector<int32_t>{6, 7}));
  EXPECT_EQ(*ledger.take(pool, 4), (std::vector<int32_t>{0, 1, 2, 3}));
}

TEST(CardLedger, withoutALargeRunTakesTheLowest) {
  CardLedger ledger;
  auto pool = ledger.addPool(5);
  std::vector<int32_t> held{1, 3};
  ledger.hold(pool, held);
  EXPECT_EQ(*ledger.take(pool, 2), (std::vector<int32_t>{0, 2}));
}

TEST(CardLedger, holdersWithoutIndicesCountFromTheTop) {
  CardLedger ledger;
  auto pool = ledger.addPool(4);
  std::vector<int32_t> held{3, 3, 9, -1};  // 9: a card that is gone
  EXPECT_EQ(ledger.hold(pool, held), 1);
  EXPECT_EQ(ledger.holdAny(pool, 2), 2);
  EXPECT_EQ(*ledger.take(pool, 1), (std::vector<int32_t>{0}));
  EXPECT_EQ(ledger.holdAny(pool, 5), 0);
}

TEST(CardLedger, neverTwiceAndUndoIsExactOverManySeeds) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    CardLedger ledger;
    std::vector<CardLedger::Pool> pools;
    for (int i = 0; i < 4; ++i) pools.push_back(ledger.addPool(static_cast<int64_t>(random() % 130)));
    using Picture = std::vector<std::vector<bool>>;
    auto picture = [&] {
      Picture out;
      for (auto pool : pools) {
        out.emplace_back();
        int64_t free = 0;
        for (int32_t i = 0; i < ledger.count(pool); ++i) {
          out.back().push_back(ledger.isFree(pool, i));
          free += ledger.isFree(pool, i);
        }
        EXPECT_EQ(free, ledger.free(pool));
      }
      return out;
    };
    std::vector<std::pair<CardLedger::Mark, Picture>> marks;
    for (int step = 0; step < 60; ++step) {
      auto pool = pools[random() % pools.size()];
      switch (random() % 4) {
        case 0:
          marks.emplace_back(ledger.mark(), picture());
          break;
        case 1:
          if (!marks.empty()) {
            ledger.rollback(marks.back().first);
            EXPECT_EQ(picture(), marks.back().second);
            marks.pop_back();
          }
          break;
        default: {
          Picture before = picture();
          auto want = static_cast<int64_t>(random() % 20);
          bool fits = want <= ledger.free(pool);
          auto got = ledger.take(pool, want);
          ASSERT_EQ(got.has_value(), fits);
          if (!got) break;
          ASSERT_EQ(static_cast<int64_t>(got->size()), want);
          size_t at = static_cast<size_t>(std::find(pools.begin(), pools.end(), pool) - pools.begin());
          for (int32_t index : *got) ASSERT_TRUE(before[at][static_cast<size_t>(index)]) << "card handed out twice";
          ASSERT_TRUE(std::is_sorted(got->begin(), got->end()));
        }
      }
    }
  }
}

// ---- pod requests: cases of upstream's resource helpers
// --------------------------------------------------------------

struct RequestsCase {
  const char* name;
  std::vector<std::pair<const char*, const char*>> containers;    ///< cpu, memory
  std::vector<std::tuple<const char*, const char*, bool>> inits;  ///< cpu, memory, sidecar
  api::ResourceList overhead;
  api::ResourceList want;
};

class PodRequests : public testing::TestWithParam<RequestsCase> {};

TEST_P(PodRequests, matchUpstream) {
  const RequestsCase& c = GetParam();
  api::PodSpec pod;
  auto list = [](const char* cpu, const char* memory) {
    api::ResourceList out;
    if (*cpu) out["cpu"] = cpu;
    if (*memory) out["memory"] = memory;
    return out;
  };
  for (auto [cpu, memory] : c.containers) pod.containers.emplace_back().resources.requests = list(cpu, memory);
  for (auto [cpu, memory, sidecar] : c.inits) {
    auto& init = pod.initContainers.emplace_back();
    init.resources.requests = list(cpu, memory);
    if (sidecar) init.restartPolicy = "Always";
  }
  pod.overhead = c.overhead;
  EXPECT_EQ(podRequests(pod), c.want);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, PodRequests,
    testing::Values(
        RequestsCase{
            "containers add up", {{"1", "5Gi"}, {"500m", "1Gi"}}, {}, {}, {{"cpu", "1500m"}, {"memory", "6Gi"}}},
        RequestsCase{"the largest init container counts, not the sum",
                     {{"1", ""}},
                     {{"2", "", false}, {"3", "", false}},
                     {},
                     {{"cpu", "3"}}},
        RequestsCase{"a small init container changes nothing",
                     {{"2", ""}},
                     {{"1", "1Gi", false}},
                     {},
                     {{"cpu", "2"}, {"memory", "1Gi"}}},
        RequestsCase{"sidecars run beside the containers", {{"1", ""}}, {{"3", "", true}}, {}, {{"cpu", "4"}}},
        RequestsCase{"an init container runs beside the sidecars before it",
                     {{"1", ""}},
                     {{"3", "", true}, {"5", "", false}},
                     {},
                     {{"cpu", "8"}}},
        RequestsCase{
            "... but not beside the later ones", {{"1", ""}}, {{"5", "", false}, {"3", "", true}}, {}, {{"cpu", "5"}}},
        RequestsCase{"overhead comes on top",
                     {{"1", ""}},
                     {{"2", "", false}},
                     {{"cpu", "100m"}, {"memory", "10Mi"}},
                     {{"cpu", "2100m"}, {"memory", "10Mi"}}},
        RequestsCase{"nothing asked, nothing taken", {{"", ""}}, {}, {}, {}}),
    [](const auto& info) { return std::to_string(info.index); });

}  // namespace
}  // namespace stoker::device
