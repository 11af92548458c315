#include "store/version_tree.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace stoker::store {
namespace {

VersionPtr version(std::string key, Revision revision) {
  auto out = std::make_shared<Version>();
  out->key = std::move(key);
  out->revision = revision;
  return out;
}

std::string key(uint64_t number) { return "k" + std::to_string(number % 100) + "/" + std::to_string(number); }

/// Against std::map over random writes, with slices taken along the way that must not change any more.
TEST(VersionTree, behavesAsAnOrderedMap) {
  for (uint64_t seed : {1, 2, 3}) {
    std::mt19937_64 random(seed);
    VersionTree tree;
    std::map<std::string, VersionPtr> model;
    std::vector<std::pair<VersionTree::Slice, std::vector<VersionPtr>>> taken;
    Revision revision = 0;
    for (int i = 0; i < 20'000; ++i) {
      std::string k = key(random() % 4000);
      // Grows at first, shrinks at last, so that blocks split and join.
      if (random() % 20'000 > static_cast<uint64_t>(i)) {
        VersionPtr made = version(k, ++revision);
        VersionPtr replaced = model[k];
        EXPECT_EQ(tree.put(made), replaced);
        model[k] = made;
      } else {
        auto at = model.find(k);
        EXPECT_EQ(tree.erase(k), at == model.end() ? nullptr : at->second);
        if (at != model.end()) model.erase(at);
      }
      ASSERT_EQ(tree.size(), model.size());
      std::string probe = key(random() % 4000);
      ASSERT_EQ(tree.find(probe), model.count(probe) ? model[probe] : nullptr);
      if (i % 50 == 0) {
        std::string prefix = random() % 3 == 0 ? "" : probe.substr(0, random() % 4);
        std::string after = random() % 2 ? key(random() % 4000) : "";
        size_t limit = random() % 3 == 0 ? 0 : random() % 600;
        std::vector<VersionPtr> expected;
        size_t remaining = 0;
        for (const auto& [k2, v] : model) {
          if (!k2.starts_with(prefix) || (!after.empty() && k2 <= after)) continue;
          if (limit == 0 || expected.size() < limit)
            expected.push_back(v);
          else
            ++remaining;
        }
        auto range = tree.range(prefix, after, limit);
        ASSERT_EQ(range.slice.items(), expected) << prefix << " after " << after << " limit " << limit;
        ASSERT_EQ(range.remaining, remaining);
        taken.emplace_back(range.slice, std::move(expected));
      }
    }
    for (const auto& [slice, expected] : taken)
      EXPECT_EQ(slice.items(), expected) << "a slice changed after it was taken";
  }
}

TEST(VersionTree, buildsFromSortedVersions) {
  std::map<std::string, VersionPtr> model;
  for (int i = 0; i < 5000; ++i) model[key(i)] = version(key(i), i + 1);
  std::vector<VersionPtr> sorted;
  for (const auto& [k, v] : model) sorted.push_back(v);
  VersionTree tree;
  tree.build(sorted);
  EXPECT_EQ(tree.size(), 5000u);
  EXPECT_EQ(tree.range("", "", 0).slice.items(), sorted);
  for (const auto& [k, v] : model) ASSERT_EQ(tree.find(k), v);
  EXPECT_EQ(tree.find("k1"), nullptr);
}

}  // namespace
}  // namespace stoker::store
