#include "device/ledger.h"

#include <algorithm>
#include <bit>

namespace stoker::device {

namespace {
constexpr int64_t kWord = 64;
}

CardLedger::Pool CardLedger::addPool(int64_t cards) {
  PoolState state{freeBits_.size(), cards, cards};
  for (int64_t at = 0; at < cards; at += kWord) {
    int64_t bits = std::min(kWord, cards - at);
    freeBits_.push_back(bits == kWord ? ~uint64_t{0} : (uint64_t{1} << bits) - 1);
  }
  pools_.push_back(state);
  return static_cast<Pool>(pools_.size() - 1);
}

bool CardLedger::isFree(Pool pool, int32_t index) const {
  const PoolState& state = pools_[pool];
  if (index < 0 || index >= state.count) return false;
  return (freeBits_[state.firstWord + index / kWord] >> (index % kWord)) & 1;
}

void CardLedger::setTaken(Pool pool, int32_t index) {
  PoolState& state = pools_[pool];
  freeBits_[state.firstWord + index / kWord] &= ~(uint64_t{1} << (index % kWord));
  --state.free;
  log_.push_back({pool, index});
}

int64_t CardLedger::hold(Pool pool, std::span<const int32_t> indices) {
  int64_t taken = 0;
  for (int32_t index : indices) {
    if (!isFree(pool, index)) continue;
    setTaken(pool, index);
    ++taken;
  }
  return taken;
}

int64_t CardLedger::holdAny(Pool pool, int64_t cards) {
  int64_t taken = 0;
  for (int64_t index = pools_[pool].count - 1; index >= 0 && taken < cards; --index) {
    if (!isFree(pool, static_cast<int32_t>(index))) continue;
    setTaken(pool, static_cast<int32_t>(index));
    ++taken;
  }
  return taken;
}

std::optional<std::vector<int32_t>> CardLedger::take(Pool pool, int64_t cards) {
  const PoolState& state = pools_[pool];
  if (cards < 0 || cards > state.free) return std::nullopt;
  std::vector<int32_t> chosen;
  if (cards == 0) return chosen;
  int64_t bestStart = -1, bestLength = 0;
  int64_t runStart = 0;
  for (int64_t index = 0; index <= state.count; ++index) {
    if (index < state.count && isFree(pool, static_cast<int32_t>(index))) continue;
    int64_t length = index - runStart;
    if (length >= cards && (bestStart < 0 || length < bestLength)) {
      bestStart = runStart;
      bestLength = length;
    }
    runStart = index + 1;
  }
  chosen.reserve(static_cast<size_t>(cards));
  for (int64_t index = std::max<int64_t>(bestStart, 0); static_cast<int64_t>(chosen.size()) < cards; ++index)
    if (isFree(pool, static_cast<int32_t>(index))) chosen.push_back(static_cast<int32_t>(index));
  for (int32_t index : chosen) setTaken(pool, index);
  return chosen;
}

void CardLedger::rollback(Mark mark) {
  while (log_.size() > mark) {
    Change change = log_.back();
    log_.pop_back();
    PoolState& state = pools_[change.pool];
    freeBits_[state.firstWord + change.index / kWord] |= uint64_t{1} << (change.index % kWord);
    ++state.free;
  }
}

}  // namespace stoker::device
