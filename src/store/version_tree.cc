#include "store/version_tree.h"

#include <algorithm>

namespace stoker::store {
namespace {

bool keyLess(const VersionPtr& version, std::string_view key) { return version->key < key; }

}  // namespace

std::vector<VersionPtr> VersionTree::Slice::items() const {
  std::vector<VersionPtr> out;
  out.reserve(size_);
  size_t at = from_;
  for (const auto& block : blocks_) {
    size_t count = std::min(block->size() - at, size_ - out.size());
    out.insert(out.end(), block->begin() + at, block->begin() + at + count);
    at = 0;
  }
  return out;
}

void VersionTree::build(std::vector<VersionPtr> versions) {
  // Three quarters full: room for inserts before the first splits.
  constexpr size_t kFill = kBlockEntries * 3 / 4;
  blocks_.clear();
  size_ = versions.size();
  for (size_t at = 0; at < versions.size(); at += kFill) {
    Block block;
    block.entries = std::make_shared<std::vector<VersionPtr>>();
    block.entries->reserve(kBlockEntries);
    size_t end = std::min(at + kFill, versions.size());
    for (size_t i = at; i < end; ++i) block.entries->push_back(std::move(versions[i]));
    block.first = block.entries->front()->key;
    blocks_.push_back(std::move(block));
  }
}

size_t VersionTree::blockFor(std::string_view key) const {
  auto after = std::upper_bound(blocks_.begin(), blocks_.end(), key,
                                [](std::string_view k, const Block& block) { return k < block.first; });
  return after == blocks_.begin() ? 0 : after - blocks_.begin() - 1;
}

VersionPtr VersionTree::find(std::string_view key) const {
  if (blocks_.empty()) return nullptr;
  const auto& entries = *blocks_[blockFor(key)].entries;
  auto at = std::lower_bound(entries.begin(), entries.end(), key, keyLess);
  return at != entries.end() && (*at)->key == key ? *at : nullptr;
}

std::vector<VersionPtr>& VersionTree::writable(Block& block) {
  if (block.shared) {
    auto copy = std::make_shared<std::vector<VersionPtr>>();
    copy->reserve(kBlockEntries);
    copy->assign(block.entries->begin(), block.entries->end());
    block.entries = std::move(copy);
    block.shared = false;
  }
  return *block.entries;
}

VersionPtr VersionTree::put(VersionPtr version) {
  if (blocks_.empty()) {
    std::vector<VersionPtr> one;
    one.push_back(std::move(version));
    build(std::move(one));
    return nullptr;
  }
  size_t number = blockFor(version->key);
  Block& block = blocks_[number];
  auto& entries = writable(block);
  auto at = std::lower_bound(entries.begin(), entries.end(), std::string_view(version->key), keyLess);
  if (at != entries.end() && (*at)->key == version->key) {
    VersionPtr replaced = std::exchange(*at, std::move(version));
    block.first = entries.front()->key;
    return replaced;
  }
  ++size_;
  if (entries.size() < kBlockEntries) {
    entries.insert(at, std::move(version));
    block.first = entries.front()->key;
    return nullptr;
  }
  Block added;
  added.entries = std::make_shared<std::vector<VersionPtr>>();
  added.entries->reserve(kBlockEntries);
  if (at == entries.end()) {
    // Keys that come in order fill their blocks.
    added.entries->push_back(std::move(version));
  } else {
    size_t where = at - entries.begin();
    constexpr size_t kHalf = kBlockEntries / 2;
    added.entries->assign(entries.begin() + kHalf, entries.end());
    entries.resize(kHalf);
    auto& target = where <= kHalf ? entries : *added.entries;
    target.insert(target.begin() + (where <= kHalf ? where : where - kHalf), std::move(version));
    block.first = entries.front()->key;
  }
  added.first = added.entries->front()->key;
  blocks_.insert(blocks_.begin() + number + 1, std::move(added));
  return nullptr;
}

VersionPtr VersionTree::erase(std::string_view key) {
  if (blocks_.empty()) return nullptr;
  size_t number = blockFor(key);
  {
    const auto& entries = *blocks_[number].entries;
    auto at = std::lower_bound(entries.begin(), entries.end(), key, keyLess);
    if (at == entries.end() || (*at)->key != key) return nullptr;
  }
  auto& entries = writable(blocks_[number]);
  auto at = std::lower_bound(entries.begin(), entries.end(), key, keyLess);
  VersionPtr removed = std::move(*at);
  entries.erase(at);
  --size_;
  if (entries.empty()) {
    blocks_.erase(blocks_.begin() + number);
    return removed;
  }
  blocks_[number].first = entries.front()->key;
  // Thin neighbours join, so that blocks stay at least a quarter full on average.
  if (number + 1 < blocks_.size() && entries.size() + blocks_[number + 1].entries->size() <= kBlockEntries / 2) {
    const auto& next = *blocks_[number + 1].entries;
    entries.insert(entries.end(), next.begin(), next.end());
    blocks_.erase(blocks_.begin() + number + 1);
  }
  return removed;
}

template <class Before>
VersionTree::Position VersionTree::partition(Before before) const {
  auto after = std::partition_point(blocks_.begin(), blocks_.end(), [&](const Block& b) { return before(b.first); });
  if (after == blocks_.begin()) return {0, 0};
  size_t number = after - blocks_.begin() - 1;
  const auto& entries = *blocks_[number].entries;
  size_t index = std::partition_point(entries.begin(), entries.end(),
                                      [&](const VersionPtr& v) { return before(std::string_view(v->key)); }) -
                 entries.begin();
  if (index == entries.size()) return {number + 1, 0};
  return {number, index};
}

size_t VersionTree::distance(Position from, Position to) const {
  if (to.block < from.block || (to.block == from.block && to.index <= from.index)) return 0;
  if (from.block == to.block) return to.index - from.index;
  size_t count = blocks_[from.block].entries->size() - from.index + to.index;
  for (size_t b = from.block + 1; b < to.block; ++b) count += blocks_[b].entries->size();
  return count;
}

VersionTree::Range VersionTree::range(std::string_view prefix, std::string_view startAfter, size_t limit) {
  Position from = startAfter >= prefix && !startAfter.empty()
                      ? partition([&](std::string_view key) { return key <= startAfter; })
                      : partition([&](std::string_view key) { return key < prefix; });
  Position to = partition([&](std::string_view key) { return key.substr(0, prefix.size()) <= prefix; });
  Range out;
  size_t total = distance(from, to);
  size_t wanted = limit == 0 ? total : std::min(limit, total);
  out.remaining = total - wanted;
  out.slice.size_ = wanted;
  if (wanted == 0) return out;
  if (wanted <= kCopied) {
    auto copy = std::make_shared<std::vector<VersionPtr>>();
    copy->reserve(wanted);
    for (Position at = from; copy->size() < wanted; at = {at.block + 1, 0}) {
      const auto& entries = *blocks_[at.block].entries;
      size_t count = std::min(entries.size() - at.index, wanted - copy->size());
      copy->insert(copy->end(), entries.begin() + at.index, entries.begin() + at.index + count);
    }
    out.slice.blocks_.push_back(std::move(copy));
    return out;
  }
  out.slice.from_ = from.index;
  size_t covered = 0;
  for (size_t b = from.block; covered < wanted; ++b) {
    covered += blocks_[b].entries->size() - (b == from.block ? from.index : 0);
    blocks_[b].shared = true;
    out.slice.blocks_.push_back(blocks_[b].entries);
  }
  return out;
}

}  // namespace stoker::store
