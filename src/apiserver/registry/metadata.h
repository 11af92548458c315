// metadata.h: what holds for metadata of every kind.
#pragma once

#include "apiserver/registry/strategy.h"

namespace stoker::apiserver {

/// Problems of labels, annotations, owners and finalizers, with upstream's texts. `old` is null on create.
std::vector<Cause> validateMetadata(json::Value metadata, json::Value old);

/// `metadata` of an update with everything that clients cannot change taken from `old`.
json::Value keepSystemMetadata(json::Arena& arena, json::Value metadata, json::Value old);

/// Finalizers after a delete with this propagation policy ("", Orphan, Background, Foreground).
json::Value finalizersFor(json::Arena& arena, json::Value finalizers, std::string_view propagation);

/// generateName's base, cut so that five characters fit into 63 (apiserver/pkg/storage/names).
std::string_view generateBase(std::string_view generateName);

}  // namespace stoker::apiserver
