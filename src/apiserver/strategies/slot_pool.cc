#include "apiserver/strategies/slot_pool.h"

#include <algorithm>

namespace stoker::apiserver {
namespace {

// A write that was refused after its slot was promised gives it back this way; a write takes far less.
constexpr Duration kPromise = 60s;

uint64_t hashOf(std::string_view text) {  // FNV-1a: stable between runs, so that replays give the same addresses
  uint64_t hash = 14695981039346656037ull;
  for (unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

}  // namespace

bool SlotPool::freeFor(uint32_t slot, std::string_view owner, Time now) const {
  if (auto it = holders_.find(slot); it != holders_.end()) return it->second == owner;
  auto promise = promises_.find(slot);
  return promise == promises_.end() || promise->second.until <= now || promise->second.owner == owner;
}

std::optional<uint32_t> SlotPool::take(std::string_view owner, Time now, bool dryRun) {
  std::lock_guard lock(mutex_);
  auto from = [&](uint32_t begin, uint32_t end) -> std::optional<uint32_t> {  // end exclusive
    uint32_t count = end - begin;
    for (uint32_t i = 0; i < count; ++i) {
      uint32_t slot = begin + static_cast<uint32_t>((hashOf(owner) + i) % count);
      if (!freeFor(slot, owner, now)) continue;
      if (!dryRun) promises_[slot] = {std::string(owner), now + kPromise};
      return slot;
    }
    return std::nullopt;
  };
  auto slot = from(dynamic_, last_ + 1);
  return slot ? slot : from(first_, dynamic_);
}

bool SlotPool::claim(uint32_t slot, std::string_view owner, Time now, bool dryRun) {
  std::lock_guard lock(mutex_);
  if (!contains(slot) || !freeFor(slot, owner, now)) return false;
  if (!dryRun) promises_[slot] = {std::string(owner), now + kPromise};
  return true;
}

void SlotPool::hold(const std::string& owner, std::vector<uint32_t> slots) {
  std::lock_guard lock(mutex_);
  if (auto it = byOwner_.find(owner); it != byOwner_.end())
    for (uint32_t slot : it->second)
      if (auto holder = holders_.find(slot); holder != holders_.end() && holder->second == owner)
        holders_.erase(holder);
  for (uint32_t slot : slots) {
    holders_.emplace(slot, owner);
    promises_.erase(slot);
  }
  if (slots.empty())
    byOwner_.erase(owner);
  else
    byOwner_[owner] = std::move(slots);
}

}  // namespace stoker::apiserver
