// cards.h
//
// Cards by index, as they travel in a placement and in the pod annotation stoker.dev/cards:
// "nvidia.com/gpu=0,1;rdma/hca=2". Written by the scheduler, obeyed by the node agent.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stoker::device {

/// Cards of one kind on one node. Indices are sorted and unique.
struct CardChoice {
  std::string resource;
  std::vector<int32_t> indices;
  bool operator==(const CardChoice&) const = default;
};

/// Sorted by resource; kinds without an index are left out. "" for none.
std::string formatCards(std::vector<CardChoice> cards);

/// The inverse; sorts what is unsorted. Invalid when malformed, with an index twice or a resource twice.
Result<std::vector<CardChoice>> parseCards(std::string_view text);

/// Extended resources are cards: names with a domain that is not kubernetes.io. Each unit has an index on its node.
bool isCardResource(std::string_view resource);

/// More units than this on one node are counted but have no index: such a resource is a quantity (bytes of something),
/// not a set of devices. Generous: time-slicing 16 cards 64-fold is 1024.
inline constexpr int64_t kMaxCardsPerNode = 4096;

}  // namespace stoker::device
