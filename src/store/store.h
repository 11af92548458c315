// store.h
//
// Versioned objects: the one place where state lives. Keys are paths ("pods/default/web-0"), values are immutable bytes
// that clients receive as they are. One global revision orders every change and never goes back, not after a crash
// either.
//
//   commit()  checks guards against the head, gives revisions, and hands the batch to the commit thread, which makes it
//             durable (group commit: one fsync for all that waited), publishes it to readers and watchers, then calls
//             back.
//   get/list  see what is published (durable); Read::Head also sees what was accepted but is not durable yet, which is
//             what a read-modify-write must be based on.
//   watch()   delivers published events in revision order from a bounded history; an older start is Expired.
//
// The store knows nothing of JSON or kinds: the caller says where in the bytes the revision digits go and gives the
// index.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stoker::store {

using Revision = uint64_t;

/// What selectors and informers look up without parsing bytes.
struct Index {
  /// Labels sorted by key, flattened as key NUL value NUL key NUL value NUL.
  std::string labels;
  /// uids of ownerReferences.
  std::vector<std::string> owners;
  /// spec.nodeName where the kind has one.
  std::string node;
};

/// One state of one object. Immutable; shared by readers, watchers and history.
struct Version {
  std::string key;              ///< a path, never empty
  Revision revision = 0;        ///< of the write that made this state
  Revision createRevision = 0;  ///< of the write that created the object; recreated objects get a new one
  uint32_t revisionAt = 0;      ///< where in `bytes` the digits of `revision` stand
  std::string bytes;            ///< as clients see it, the revision inside
  Index index;
};
using VersionPtr = std::shared_ptr<const Version>;

/// Room for one consumer-side encoding per use, filled once, shared by all watchers of an event (an event is encoded
/// once).
class EncodingSlots;

struct Event {
  enum class Type { Added, Modified, Deleted };
  Type type = Type::Added;
  Revision revision = 0;
  VersionPtr object;    ///< the new state; for Deleted the last state, carrying the revision of the deletion
  VersionPtr previous;  ///< the state before; null for Added
  Event();
  ~Event();
  /// The encoding kept in `slot` (0..3), made by `encode` at the first call. Safe from several threads.
  std::shared_ptr<const std::string> encoded(int slot, const std::function<std::string(const Event&)>& encode) const;
  /// Frees the kept encodings. The store calls it when an event has grown old, so that history holds states only; who
  /// asks later encodes again.
  void dropEncodings() const;

 private:
  std::unique_ptr<EncodingSlots> slots_;
};
using EventPtr = std::shared_ptr<const Event>;

/// Guards on the state an operation was derived from. Operations of one transaction see the ones before them.
constexpr Revision kAbsent = 0;        ///< the key must not exist
constexpr Revision kAny = UINT64_MAX;  ///< no guard

struct Op {
  enum class Kind { Put, Delete, Check } kind = Kind::Put;
  std::string key;
  Revision expect = kAny;
  /// Put: the new state. Delete: the last state as watchers shall see it (empty: the state before with its index,
  /// unchanged but for its revision, at the same place; `revisionAt` and `index` are not read then). The decimal
  /// revision is inserted at `revisionAt`.
  std::string bytes;
  size_t revisionAt = 0;
  Index index;
};

struct Transaction {
  std::vector<Op> ops;
};

/// The new versions (Put) and final states (Delete), one per op in order (null for Check).
using Committed = std::vector<VersionPtr>;
using Done = std::function<void(Result<Committed>)>;

enum class Read { Published, Head };

struct ListOptions {
  std::string prefix;      ///< keys starting with this
  std::string startAfter;  ///< exclusive; empty = from the beginning
  size_t limit = 0;        ///< 0 = no limit
  Revision revision = 0;   ///< 0 = now; else the state as of that revision (Expired when older than the history)
};

struct Listing {
  std::vector<VersionPtr> items;  ///< in key order
  Revision revision = 0;          ///< the snapshot they come from
  bool more = false;
  size_t remaining = 0;  ///< how many keys follow beyond `items`
};

/// Durable storage under the store. SqliteLog is the product's; MemoryLog serves tests and the simulator.
class Log {
 public:
  struct Record {
    Event::Type type;
    VersionPtr object;
    Revision previous = 0;  ///< the revision of the state before; 0 for Added
  };
  struct Recovered {
    std::vector<VersionPtr> objects;
    std::vector<EventPtr> history;  ///< recent events in revision order, so watches survive a restart
    Revision floor = 0;             ///< every event with a higher revision is in `history`
    Revision revision = 0;          ///< no revision above it was ever given out: the next one is the one after it
  };
  virtual ~Log() = default;
  /// Makes all records durable in one transaction, or none.
  virtual Result<void> append(const std::vector<Record>& batch) = 0;
  virtual Result<Recovered> recover() = 0;
  /// Bytes kept on disk, for status output.
  virtual uint64_t sizeBytes() const = 0;
};

/// SQLite (WAL, synchronous=FULL) at `path`. Refuses a file held by another process or one that fails its integrity
/// check, with a message that names the file; such a file is never changed.
struct SqliteOptions {
  std::string path;
  std::string vfs;                   ///< an SQLite VFS by name; empty = default (tests inject faults here)
  size_t historyEvents = 50'000;     ///< events kept in the file, give or take a few hundred
  size_t historyBytes = 256u << 20;  ///< and the states they hold
  /// The write-ahead log is folded into the file when it has this many pages of 4 KiB: 16 MiB, read again in about 20
  /// ms after a crash, and rare enough that the pause does not show in commit latency.
  int walPages = 4096;
};
Result<std::unique_ptr<Log>> openSqliteLog(const SqliteOptions& options);

/// Keeps everything in memory; survives the Store on top of it, so that a test can "restart".
std::unique_ptr<Log> makeMemoryLog();

struct Options {
  /// true: commits run on the caller's thread and `done` is called before commit returns (simulator, tests).
  bool synchronous = false;
  /// Events kept for watch resume and old-revision lists.
  size_t historyEvents = 50'000;
  size_t historyBytes = 256u << 20;
  /// Group commit takes at most this many operations in one fsync.
  size_t maxBatchOps = 4096;
  /// Accepted, not yet durable operations; beyond it commit() answers TooManyRequests.
  size_t maxPendingOps = 65536;
};

using WatchId = uint64_t;
/// Called in revision order, never concurrently for one watch, on the commit thread (or inside watch() for the
/// history). Must not block and must not call back into the store's commit() or watch().
using WatchCallback = std::function<void(const EventPtr&)>;

class Store {
 public:
  /// Recovers from the log. Takes ownership unless the log must outlive a restart (then pass a non-owning shared_ptr).
  static Result<std::unique_ptr<Store>> open(std::shared_ptr<Log> log, Options options = {});
  virtual ~Store() = default;

  /// Checks every guard against the head. Ok: accepted, `done` follows when durable or failed. Error: nothing happened
  /// and `done` is never called; reason AlreadyExists (expected absent), NotFound (expected present, or a Delete of
  /// nothing) or Conflict (another revision), with Error.name = the key. A write failure (disk full, I/O error) fails
  /// everything accepted and not durable yet with ServiceUnavailable; reads go on, and the next commit tries again.
  virtual Result<void> commit(Transaction transaction, Done done) = 0;

  /// Null when absent.
  virtual VersionPtr get(std::string_view key, Read read = Read::Published) const = 0;
  virtual Result<Listing> list(const ListOptions& options) const = 0;

  /// Published revision: every event up to it has been delivered to every watch.
  virtual Revision revision() const = 0;
  /// Oldest revision a watch may start from.
  virtual Revision oldestRevision() const = 0;

  /// Events with revision > `from` for keys starting with `prefix` (which ends at a '/' boundary or is empty). History
  /// is delivered before watch() returns. Expired when `from` is older than the history.
  virtual Result<WatchId> watch(std::string_view prefix, Revision from, WatchCallback callback) = 0;
  /// A snapshot and a watch with nothing lost between: calls `initial` with the listing, then behaves as watch().
  /// `initial` runs inside listAndWatch.
  virtual Result<WatchId> listAndWatch(const ListOptions& options, const std::function<void(const Listing&)>& initial,
                                       WatchCallback callback) = 0;
  /// After it returns the callback is not running and will not be called again (unless called from the callback
  /// itself).
  virtual void unwatch(WatchId id) = 0;

  struct Stats {
    size_t objects = 0;
    size_t objectBytes = 0;
    size_t historyEvents = 0;
    size_t watches = 0;
    uint64_t diskBytes = 0;
    std::string lastError;  ///< empty when the last write succeeded
  };
  virtual Stats stats() const = 0;
};

}  // namespace stoker::store
