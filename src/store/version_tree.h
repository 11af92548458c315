// version_tree.h
//
// The published state: versions in key order. A key is kept once, inside its version; an entry costs one pointer. The
// entries lie in blocks of at most kBlockEntries, so that a lookup is two binary searches, a count of a range needs no
// walk, and a long listing is taken under the lock as a handful of block pointers and read afterwards (a block that
// somebody may be reading is copied before it is changed). Not thread-safe by itself: the store's mutex guards it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace stoker::store {

class VersionTree {
 public:
  /// A contiguous part of the tree, unchanged by later writes. May be read without the lock.
  class Slice {
   public:
    size_t size() const { return size_; }
    std::vector<VersionPtr> items() const;

   private:
    friend class VersionTree;
    std::vector<std::shared_ptr<const std::vector<VersionPtr>>> blocks_;
    size_t from_ = 0;  ///< in the first block
    size_t size_ = 0;
  };
  struct Range {
    Slice slice;
    size_t remaining = 0;  ///< entries of the range beyond the slice
  };

  /// Replaces the content by `versions`, which are sorted by key without duplicates.
  void build(std::vector<VersionPtr> versions);
  VersionPtr find(std::string_view key) const;
  /// Inserts or replaces; returns the version replaced.
  VersionPtr put(VersionPtr version);
  /// Returns the version removed.
  VersionPtr erase(std::string_view key);
  size_t size() const { return size_; }
  /// The first `limit` (0: all) entries whose key starts with `prefix` and follows `startAfter`.
  Range range(std::string_view prefix, std::string_view startAfter, size_t limit);

 private:
  static constexpr size_t kBlockEntries = 256;  // copying one costs about 3 us; 100,000 objects make about 500 blocks
  static constexpr size_t kCopied =
      128;  // a range this short is copied at once: cheaper than the copy its block would need

  struct Block {
    std::shared_ptr<std::vector<VersionPtr>> entries;
    std::string_view first;  ///< key of entries[0], here so that the search over blocks stays in one array
    bool shared = false;     ///< a slice may hold it
  };
  struct Position {
    size_t block = 0;
    size_t index = 0;
  };

  /// The block that holds `key` if any does.
  size_t blockFor(std::string_view key) const;
  /// The first position for which `before(entry key)` is false; `before` is true on a leading part of the order only.
  template <class Before>
  Position partition(Before before) const;
  std::vector<VersionPtr>& writable(Block& block);
  size_t distance(Position from, Position to) const;

  std::vector<Block> blocks_;
  size_t size_ = 0;
};

}  // namespace stoker::store
