// resources.h
//
// Resources as small numbers, amounts as exact integers: cpu in thousandths, everything else in whole base units.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/core.h"

namespace stoker::scheduler {

using ResourceId = uint32_t;
inline constexpr ResourceId kCpu = 0;      ///< thousandths of a core
inline constexpr ResourceId kMemory = 1;   ///< bytes
inline constexpr ResourceId kStorage = 2;  ///< ephemeral-storage, bytes
inline constexpr ResourceId kPods = 3;     ///< every pod takes one

struct Amount {
  ResourceId resource;
  int64_t value;
  bool operator==(const Amount&) const = default;
};
/// Sorted by resource, no zeros.
using Amounts = std::vector<Amount>;

/// Larger amounts count as this one (4 PiB, or 4 x 10^12 cores): scores multiply by 1000 and sums stay far from
/// overflow.
inline constexpr int64_t kMaxAmount = int64_t{1} << 52;

class Resources {
 public:
  Resources();
  ResourceId id(std::string_view name);
  const std::string& name(ResourceId id) const { return names_[id]; }
  size_t size() const { return names_.size(); }
  bool isCard(ResourceId id) const { return cards_[id]; }

  /// The amount that a quantity means for a resource; rounded up. 0 for what does not parse or is negative.
  static int64_t amount(ResourceId id, const std::string& quantity);
  /// For people: 3500m, 64Gi, 8.
  std::string text(ResourceId id, int64_t amount) const;
  /// What one pod with these requests takes, itself (kPods) included. A wish above kMaxAmount fits nowhere.
  Amounts ofPod(const api::ResourceList& requests);

 private:
  std::vector<std::string> names_;
  std::vector<bool> cards_;
  std::map<std::string, ResourceId, std::less<>> ids_;
};

}  // namespace stoker::scheduler
