// head.h
//
// From operations to versions: what a transaction makes of the head (the published state under the writes accepted but
// not durable yet). Pure but for the lookups it is given; the store calls it under its mutex.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "store/store.h"

namespace stoker::store {

/// A transaction whose guards held: the events it will publish, and what its caller gets back.
struct Accepted {
  std::vector<EventPtr> events;  ///< one per Put and Delete, with consecutive revisions
  Committed results;             ///< one per op
};

/// The current state of a key at the head; null when absent.
using HeadLookup = std::function<VersionPtr(std::string_view key)>;

/// Checks every guard, then makes the versions with revisions from `last` + 1 on. Takes the operations' bytes only when
/// all guards hold.
Result<Accepted> accept(std::vector<Op>& ops, const HeadLookup& head, Revision last);

/// `bytes` with the decimal `revision` inserted at `at`.
std::string insertRevision(std::string_view bytes, size_t at, Revision revision);

}  // namespace stoker::store
