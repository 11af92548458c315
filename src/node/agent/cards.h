// cards.h: which devices a container gets. The scheduler picks them for the pod (decision 12); here they are split
// among its containers, or picked for a pod that was placed by somebody else.
#pragma once

#include <map>
#include <set>

#include "node/agent/pod_spec.h"
#include "node/agent/resources.h"

namespace stoker::node {

/// Resource name -> device indices, in the annotation's order.
using Cards = std::map<std::string, std::vector<int>>;

/// "nvidia.com/gpu=0,1;rdma/hca=2". Invalid when malformed or a card is listed twice.
Result<Cards> parseCards(const std::string& annotation);
std::string formatCards(const Cards& cards);

/// The part of `cards` that `container` gets: containers take theirs in order; init containers take from the start, as
/// their cards are handed on. Invalid when the pod's containers ask for more than there are.
Result<Cards> cardsOf(const podspec::PodSpec& spec, const podspec::Container& container, const Cards& cards);

/// Lowest free indices for a pod without an annotation; nullopt when it needs no devices of `inventory` (resource ->
/// count). Invalid when they do not suffice.
Result<std::optional<Cards>> pickCards(const podspec::PodSpec& spec, const std::map<std::string, int>& inventory,
                                       const std::map<std::string, std::set<int>>& taken);

}  // namespace stoker::node
