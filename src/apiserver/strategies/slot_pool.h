// slot_pool.h: numbers of which each has one holder (ClusterIPs, node ports): a cache of what the store says, plus what
// was promised to writes that are not there yet.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace stoker::apiserver {

class SlotPool {
 public:
  /// Slots first..last; slots from `dynamic` on are given out first, the others are left to those who choose theirs.
  SlotPool(uint32_t first, uint32_t last, uint32_t dynamic) : first_(first), last_(last), dynamic_(dynamic) {}

  bool contains(uint32_t slot) const { return slot >= first_ && slot <= last_; }
  /// A free slot; the same for the same `owner` where nothing is in the way. Kept free for it for a while unless
  /// `dryRun`. nullopt when all are held.
  std::optional<uint32_t> take(std::string_view owner, Time now, bool dryRun);
  /// False when somebody else has it.
  bool claim(uint32_t slot, std::string_view owner, Time now, bool dryRun);

  /// What the store says: `owner` holds exactly these.
  void hold(const std::string& owner, std::vector<uint32_t> slots);

 private:
  struct Promise {
    std::string owner;
    Time until{};
  };
  bool freeFor(uint32_t slot, std::string_view owner, Time now) const;

  const uint32_t first_, last_, dynamic_;
  mutable std::mutex mutex_;
  std::map<uint32_t, std::string> holders_;
  std::map<std::string, std::vector<uint32_t>, std::less<>> byOwner_;
  std::map<uint32_t, Promise> promises_;
};

}  // namespace stoker::apiserver
