// ledger.h
//
// Which cards are free, exactly. A pool is the cards of one kind on one node. Nothing is ever handed out twice: `take`
// gives free cards only. Every change is logged, so that a tentative placement is undone in O(changes).
//
// Lives inside one scheduler snapshot; no locks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace stoker::device {

class CardLedger {
 public:
  using Pool = uint32_t;
  using Mark = size_t;

  /// A pool of `cards` free cards, indices 0..cards-1. 0 <= cards <= kMaxCardsPerNode.
  Pool addPool(int64_t cards);
  int64_t count(Pool pool) const { return pools_[pool].count; }
  int64_t free(Pool pool) const { return pools_[pool].free; }
  bool isFree(Pool pool, int32_t index) const;

  /// Cards that a known holder has. Indices that the pool has not (a card was removed) and cards already held are left
  /// out. Returns how many were newly taken.
  int64_t hold(Pool pool, std::span<const int32_t> indices);
  /// Cards of a holder of whom only the number is known: the highest free ones, at most what is free. Returns how many.
  int64_t holdAny(Pool pool, int64_t cards);

  /// The best `cards` free ones, taken; sorted. The smallest run of neighbours that is large enough (whole runs stay
  /// whole), the lowest of equal ones; where no run is large enough, the lowest free cards. nullopt (nothing taken)
  /// when fewer are free.
  std::optional<std::vector<int32_t>> take(Pool pool, int64_t cards);

  Mark mark() const { return log_.size(); }
  /// Undoes everything since `mark`, in reverse order.
  void rollback(Mark mark);

 private:
  struct PoolState {
    size_t firstWord = 0;
    int64_t count = 0, free = 0;
  };
  struct Change {
    Pool pool;
    int32_t index;
  };
  void setTaken(Pool pool, int32_t index);
  std::vector<PoolState> pools_;
  std::vector<uint64_t> freeBits_;
  std::vector<Change> log_;  ///< cards taken, in order
};

}  // namespace stoker::device
