#include "store/head.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

namespace stoker::store {
namespace {

Error guardError(Reason reason, const std::string& key, std::string text) {
  Error error(reason, std::move(text));
  error.name = key;
  return error;
}

Result<void> checkGuard(const Op& op, const VersionPtr& current) {
  if (op.key.empty())
    return Error(Reason::BadRequest, "an operation has an empty key; a key is a path such as pods/default/web-0");
  bool withBytes = op.kind == Op::Kind::Put || (op.kind == Op::Kind::Delete && !op.bytes.empty());
  if (withBytes && (op.revisionAt > op.bytes.size() || op.revisionAt > UINT32_MAX))
    return guardError(Reason::BadRequest, op.key,
                      fmt::format("{}: the revision should go at byte {}, but the object has {} bytes", op.key,
                                  op.revisionAt, op.bytes.size()));
  if (op.expect == kAbsent) {
    if (current) return guardError(Reason::AlreadyExists, op.key, fmt::format("{} already exists", op.key));
  } else if (op.expect != kAny) {
    if (!current)
      return guardError(Reason::NotFound, op.key,
                        fmt::format("{} does not exist, expected revision {}", op.key, op.expect));
    if (current->revision != op.expect)
      return guardError(
          Reason::Conflict, op.key,
          fmt::format("{} has been modified: it is at revision {}, expected {}; read it again and apply the "
                      "change to what it is now",
                      op.key, current->revision, op.expect));
  }
  if (op.kind == Op::Kind::Delete && !current)
    return guardError(Reason::NotFound, op.key, fmt::format("{} does not exist, so it cannot be deleted", op.key));
  return {};
}

size_t digits(Revision revision) {
  size_t count = 1;
  for (; revision >= 10; revision /= 10) ++count;
  return count;
}

// What the caller built up may have room to spare; an object is kept for long.
void fit(Index& index) {
  index.labels.shrink_to_fit();
  index.node.shrink_to_fit();
  index.owners.shrink_to_fit();
  for (std::string& owner : index.owners) owner.shrink_to_fit();
}

std::shared_ptr<Version> makeVersion(Op& op, const VersionPtr& previous, Revision revision) {
  auto version = std::make_shared<Version>();
  version->revision = revision;
  version->createRevision = previous ? previous->createRevision : revision;
  if (op.kind == Op::Kind::Delete && op.bytes.empty()) {
    std::string_view before = previous->bytes;
    size_t after = previous->revisionAt + digits(previous->revision);
    std::string rest(before.substr(0, previous->revisionAt));
    rest += before.substr(after);
    version->revisionAt = previous->revisionAt;
    version->bytes = insertRevision(rest, previous->revisionAt, revision);
    version->index = previous->index;
  } else {
    version->revisionAt = static_cast<uint32_t>(op.revisionAt);
    version->bytes = insertRevision(op.bytes, op.revisionAt, revision);
    version->index = std::move(op.index);
    fit(version->index);
  }
  version->key = std::move(op.key);
  version->key.shrink_to_fit();
  return version;
}

}  // namespace

std::string insertRevision(std::string_view bytes, size_t at, Revision revision) {
  char text[20];
  auto end = std::to_chars(text, text + sizeof text, revision).ptr;
  std::string out;
  out.reserve(bytes.size() + (end - text));  // exactly: the result is kept for long
  out.append(bytes.substr(0, at));
  out.append(text, end);
  out.append(bytes.substr(at));
  return out;
}

Result<Accepted> accept(std::vector<Op>& ops, const HeadLookup& head, Revision last) {
  // Guards first. Within the transaction an operation sees what the ones before it leave; only that a key then has the
  // revision its op will get needs to be known, not yet the version itself.
  struct Planned {
    bool exists = false;
    Revision revision = 0;
  };
  std::vector<VersionPtr> before(ops.size());
  std::map<std::string_view, Planned> planned;
  Revision next = last;
  for (size_t i = 0; i < ops.size(); ++i) {
    const Op& op = ops[i];
    auto earlier = ops.size() > 1 ? planned.find(op.key) : planned.end();
    if (earlier == planned.end()) {
      before[i] = head(op.key);
      STOKER_CHECK(checkGuard(op, before[i]));
    } else {
      std::shared_ptr<Version> standIn;
      if (earlier->second.exists) {
        standIn = std::make_shared<Version>();
        standIn->revision = earlier->second.revision;
      }
      STOKER_CHECK(checkGuard(op, standIn));
    }
    if (op.kind == Op::Kind::Check) continue;
    ++next;
    if (ops.size() > 1) planned[op.key] = {op.kind == Op::Kind::Put, next};
  }

  Accepted out;
  out.results.resize(ops.size());
  std::map<std::string_view, VersionPtr> made;  // views into the keys of versions in `out`
  next = last;
  for (size_t i = 0; i < ops.size(); ++i) {
    Op& op = ops[i];
    if (op.kind == Op::Kind::Check) continue;
    bool put = op.kind == Op::Kind::Put;
    VersionPtr previous = before[i];
    if (ops.size() > 1)
      if (auto earlier = made.find(op.key); earlier != made.end()) previous = earlier->second;
    VersionPtr version = makeVersion(op, previous, ++next);
    auto event = std::make_shared<Event>();
    event->type = !put ? Event::Type::Deleted : previous ? Event::Type::Modified : Event::Type::Added;
    event->revision = version->revision;
    event->object = version;
    event->previous = std::move(previous);
    out.events.push_back(std::move(event));
    out.results[i] = version;
    if (ops.size() > 1) made[version->key] = put ? version : nullptr;
  }
  return out;
}

}  // namespace stoker::store
