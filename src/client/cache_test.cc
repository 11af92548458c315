#include "client/cache.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>

namespace stoker::client {
namespace {

Object podObject(int index, uint64_t version, const std::string& node) {
  std::string name = fmt::format("p-{}", index);
  auto bytes = std::make_shared<std::string>(fmt::format(
      R"({{"metadata":{{"name":"{}","namespace":"ns","ownerReferences":[{{"uid":"owner-{}"}}],"resourceVersion":"{}"}},"spec":{{"nodeName":"{}"}}}})",
      name, index % 7, version, node));
  return {"ns", name, version, std::move(bytes)};
}

/// What a cache should hold, as simply as it can be said.
struct Plain {
  std::map<Key, std::pair<uint64_t, std::string>> pods;  ///< version, node
};

struct Recorder final : Follower<api::Pod> {
  std::map<Key, std::string> versions;
  void changed(const Key& key, const EntryPtr<api::Pod>& entry) override {
    if (entry)
      versions[key] = entry->object.metadata.resourceVersion;
    else
      versions.erase(key);
  }
};

void expectEqual(const Cache<api::Pod>& cache, const Plain& plain, const Recorder& recorder) {
  ASSERT_EQ(cache.size(), plain.pods.size());
  ASSERT_EQ(recorder.versions.size(), plain.pods.size());
  std::map<std::string, size_t> onNode, ownedBy;
  for (const auto& [key, want] : plain.pods) {
    const api::Pod* pod = cache.get(key.namespace_, key.name);
    ASSERT_TRUE(pod) << key.name;
    EXPECT_EQ(pod->spec.nodeName, want.second);
    EXPECT_EQ(pod->metadata.resourceVersion, std::to_string(want.first));
    EXPECT_EQ(cache.versionOf(key), want.first);
    EXPECT_EQ(recorder.versions.at(key), std::to_string(want.first));
    ++onNode[want.second];
    ++ownedBy[pod->metadata.ownerReferences.at(0).uid];
  }
  onNode.erase("");
  for (const auto& [node, count] : onNode) EXPECT_EQ(cache.onNode(node).size(), count) << node;
  for (const auto& [uid, count] : ownedBy) EXPECT_EQ(cache.ownedBy(uid).size(), count) << uid;
}

// More pods than are kept decoded: filled by other threads, then changed at random with trims between.
TEST(Cache, numerousKindsAreWhatWasPutWhateverIsKeptDecoded) {
  constexpr int kPods = 2 * static_cast<int>(kDecodedKept) + 500;
  View view;
  auto& cache = view.add<api::Pod>();
  Recorder recorder;
  cache.attach(recorder);
  Plain plain;
  std::vector<Object> list;
  uint64_t version = 0;
  for (int i = 0; i < kPods; ++i) {
    std::string node = i % 3 == 0 ? "" : fmt::format("n-{}", i % 5);
    list.push_back(podObject(i, ++version, node));
    plain.pods[{"ns", list.back().name}] = {version, node};
  }
  size_t told = 0;
  cache.fill(list, [&](const Key& key, const MetaPtr& meta) {
    ASSERT_TRUE(meta);
    EXPECT_EQ(meta->name, key.name);
    ++told;
  });
  EXPECT_EQ(told, list.size());
  expectEqual(cache, plain, recorder);
  view.trim();
  std::mt19937 random(5);
  for (int step = 0; step < 4000; ++step) {
    int index = static_cast<int>(random() % (kPods + 50));
    Key key{"ns", fmt::format("p-{}", index)};
    switch (random() % 4) {
      case 0:
        cache.erase(key);
        plain.pods.erase(key);
        break;
      case 1:
        (void)cache.find(key.namespace_, key.name);  // makes it the last that was read
        break;
      case 2:
        if (step % 50 == 0) view.trim();
        break;
      default: {
        std::string node = fmt::format("n-{}", random() % 5);
        cache.put(podObject(index, ++version, node));
        plain.pods[key] = {version, node};
      }
    }
  }
  expectEqual(cache, plain, recorder);
  Recorder late;
  cache.attach(late);
  EXPECT_EQ(late.versions, recorder.versions) << "who comes late is told of all that is there";
}

TEST(Cache, whatIsNoObjectIsNotKept) {
  Cache<api::Pod> cache;
  EXPECT_FALSE(cache.put({"ns", "a", 1, std::make_shared<std::string>("{\"metadata\":")}));
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace stoker::client
