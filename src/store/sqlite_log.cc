// The file: `objects` has the current states by the revision that created them, so that creates append; there is no
// index on the key, which only memory needs. `events` has what happened by revision. `states` has the states that only
// history knows: the one that the event of revision r ended at 2r, the last one that a deletion showed at 2r + 1.
// Trimming history is then a delete at the front of two tables.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>
#include <future>
#include <unordered_map>

#include "base/log.h"
#include "store/checksum.h"
#include "store/file_lock.h"
#include "store/sqlite.h"
#include "store/store.h"

namespace stoker::store {

Error sqliteError(std::string_view action, const std::string& path, sqlite3* db, int code) {
  int primary = code & 0xff;
  std::string reason;
  if (primary == SQLITE_FULL)
    reason = "the disk is full; free some space";
  else if (primary == SQLITE_READONLY || primary == SQLITE_PERM)
    reason = "it is not writable; check its owner and mode, and those of its directory";
  else if (primary == SQLITE_CANTOPEN)
    reason = "it cannot be opened; check that its directory exists and is writable";
  else
    reason = db && sqlite3_errcode(db) == primary ? sqlite3_errmsg(db) : sqlite3_errstr(code);
  if (int system = db ? sqlite3_system_errno(db) : 0; primary == SQLITE_IOERR && system != 0)
    reason += fmt::format(" ({})", std::strerror(system));
  return Error(Reason::InternalError, fmt::format("cannot {} {}: {}", action, path, reason));
}

namespace {

constexpr int kApplicationId = 0x53746b72;  // "Stkr"
constexpr int kFormat = 1;

// Revisions are promised to the file this far ahead, so that none is given out twice though a crash may lose the last
// ones before they were durable. A crash skips at most this many; an orderly end skips none.
constexpr Revision kAhead = 1u << 20;

// History is trimmed by this many events at once (under 1 ms), or fewer when their states are large.
constexpr size_t kTrimEvents = 256;
constexpr size_t kTrimBytes = 4u << 20;

constexpr char kSchema[] = R"(
  CREATE TABLE objects(created INTEGER PRIMARY KEY, revision INTEGER NOT NULL, key TEXT NOT NULL, revision_at INTEGER NOT NULL,
                       labels BLOB NOT NULL, owners BLOB NOT NULL, node TEXT NOT NULL, bytes BLOB NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE events(revision INTEGER PRIMARY KEY, type INTEGER NOT NULL, created INTEGER NOT NULL);
  CREATE TABLE states(id INTEGER PRIMARY KEY, created INTEGER NOT NULL, revision INTEGER NOT NULL, key TEXT NOT NULL,
                      revision_at INTEGER NOT NULL, labels BLOB NOT NULL, owners BLOB NOT NULL, node TEXT NOT NULL,
                      bytes BLOB NOT NULL, checksum INTEGER NOT NULL);
  CREATE TABLE meta(id INTEGER PRIMARY KEY CHECK(id = 1), ceiling INTEGER NOT NULL, floor INTEGER NOT NULL,
                    checksum INTEGER NOT NULL);
  PRAGMA application_id = 1400138610;
  PRAGMA user_version = 1;
)";
static_assert(kApplicationId == 1400138610 && kFormat == 1, "the schema text above states both");

std::string joinOwners(const std::vector<std::string>& owners) {
  std::string out;
  for (const std::string& owner : owners) {
    out += owner;
    out += '\0';
  }
  return out;
}

uint64_t checksum(const Version& version, std::string_view owners) {
  return Checksum()
      .add(version.createRevision)
      .add(version.revision)
      .add(version.revisionAt)
      .add(std::string_view(version.key))
      .add(std::string_view(version.index.labels))
      .add(owners)
      .add(std::string_view(version.index.node))
      .add(std::string_view(version.bytes))
      .value();
}

int64_t metaChecksum(Revision ceiling, Revision floor) {
  return static_cast<int64_t>(Checksum().add(ceiling).add(floor).value());
}

size_t historyCost(const Version& version) { return version.bytes.size() + version.key.size() + 100; }

class SqliteLog final : public Log {
 public:
  explicit SqliteLog(SqliteOptions options) : options_(std::move(options)) {}

  ~SqliteLog() override {
    // An orderly end knows the last revision given out, unless some were lost in failed writes.
    if (recovered_ && !failed_ && ceiling_ != last_) (void)setMeta(last_, floor_).run();
  }

  Result<void> open() {
    STOKER_TRY(lock_, FileLock::acquire(options_.path));
    // SQLite would take an empty file as new and drop the log that belongs to what was in it.
    if (fileSize("") == 0 && fileSize("-wal") > 0) return damaged("it is empty, yet its write-ahead log is not");
    STOKER_CHECK(check("open", db_.open(options_.path, options_.vfs)));
    // Nothing is written to a file before it has proved sound: not even the log is folded in when it is closed.
    sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_busy_timeout(db_.handle(), 0);
    std::string settings = fmt::format(
        "PRAGMA locking_mode = EXCLUSIVE; PRAGMA secure_delete = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = "
        "-16384; "
        "PRAGMA wal_autocheckpoint = {}",
        options_.walPages);
    STOKER_CHECK(check("open", db_.execute(settings.c_str())));
    STOKER_TRY(int64_t applicationId, number("PRAGMA application_id"));
    STOKER_TRY(int64_t format, number("PRAGMA user_version"));
    STOKER_TRY(int64_t tables, number("SELECT count(*) FROM sqlite_schema"));
    bool fresh = applicationId == 0 && format == 0 && tables == 0;
    if (!fresh) {
      if (applicationId != kApplicationId)
        return Error(
            Reason::InternalError,
            fmt::format("{} is an SQLite database of another program; it was left as it is, choose another path",
                        options_.path));
      if (format != kFormat)
        return Error(Reason::InternalError,
                     fmt::format("{} has format {}, this version reads format {}; use the version that wrote it",
                                 options_.path, format, kFormat));
      STOKER_CHECK(quickCheck());
    }
    // EXTRA while a new file is made a WAL file: that step uses a rollback journal, and were its deletion not durable,
    // a power loss could bring it back and roll everything back to nothing.
    STOKER_CHECK(
        check("open", db_.execute("PRAGMA synchronous = EXTRA; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")));
    if (fresh) STOKER_CHECK(create());
    return prepare();
  }

  Result<Recovered> recover() override {
    Recovered out;
    Statement meta;
    STOKER_CHECK(check("read", meta.prepare(db_.handle(), "SELECT ceiling, floor, checksum FROM meta")));
    if (int code = meta.step(); code != SQLITE_ROW)
      return code == SQLITE_DONE ? damaged("its revision is missing") : error("read", code);
    out.revision = ceiling_ = meta.integer(0);
    out.floor = floor_ = meta.integer(1);
    if (meta.integer(2) != metaChecksum(ceiling_, floor_)) return damaged("its revision is not as it was written");
    meta.reset();
    STOKER_CHECK(readObjects(out.objects));
    STOKER_CHECK(readHistory(out));
    // Everything was read and is sound.
    sqlite3_db_config(db_.handle(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, nullptr);
    recovered_ = true;
    last_ = ceiling_;
    // A full disk is no reason not to start: reads work, and the first write that succeeds raises the ceiling too.
    if (int code = setMeta(ceiling_ + kAhead, floor_).run(); code == SQLITE_OK)
      ceiling_ += kAhead;
    else
      log::warn("store", "{}", error("write", code).message);
    return out;
  }

  Result<void> append(const std::vector<Record>& batch) override {
    size_t trimmed = 0;
    int code = begin_.run();
    for (size_t i = 0; code == SQLITE_OK && i < batch.size(); ++i) code = write(batch[i]);
    Revision last = batch.back().object->revision;
    Revision ceiling = last + kAhead / 2 > ceiling_ ? last + kAhead : ceiling_;
    Revision floor = floor_;
    if (code == SQLITE_OK) code = trim(trimmed, floor);
    if (code == SQLITE_OK && (ceiling != ceiling_ || floor != floor_)) code = one(setMeta(ceiling, floor));
    if (code == SQLITE_OK) code = commit_.run();
    if (code != SQLITE_OK) {
      failed_ = true;
      Error failure = code == kDiverged
                          ? Error(Reason::InternalError,
                                  fmt::format("cannot write {}: an object that was read from it is no longer in it; "
                                              "restart to have it checked",
                                              options_.path))
                          : error("write", code);
      if (!sqlite3_get_autocommit(db_.handle())) (void)rollback_.run();
      return failure;
    }
    ceiling_ = ceiling;
    floor_ = floor;
    last_ = last;
    for (; trimmed > 0; --trimmed) {
      total_.count -= chunks_.front().count;
      total_.bytes -= chunks_.front().bytes;
      chunks_.pop_front();
    }
    for (const Record& record : batch) note(record.object->revision, cost(record));
    return {};
  }

  uint64_t sizeBytes() const override { return fileSize("") + fileSize("-wal"); }

 private:
  static constexpr int kDiverged = -1;  ///< no code of SQLite's: a row that memory knows is not in the file

  /// Consecutive events that are trimmed together.
  struct Chunk {
    Revision last = 0;
    size_t count = 0;
    size_t bytes = 0;
  };

  uint64_t fileSize(const char* suffix) const {
    struct stat info;
    return ::stat((options_.path + suffix).c_str(), &info) == 0 ? info.st_size : 0;
  }

  Error error(std::string_view action, int code) {
    if ((code & 0xff) == SQLITE_BUSY)
      return Error(Reason::Conflict,
                   fmt::format("{} is held by another process; stop that one first, or use another data directory",
                               options_.path));
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) return damaged(sqlite3_errstr(code));
    return sqliteError(action, options_.path, db_.handle(), code);
  }
  Result<void> check(std::string_view action, int code) {
    if (code == SQLITE_OK) return {};
    return error(action, code);
  }
  Error damaged(std::string_view what) const {
    return Error(
        Reason::InternalError,
        fmt::format(
            "the database {} is damaged ({}); it was left as it is: restore it from a backup, or move it (and {}-wal) "
            "away to start empty",
            options_.path, what, options_.path));
  }

  Result<int64_t> number(const char* sql) {
    Statement statement;
    STOKER_CHECK(check("read", statement.prepare(db_.handle(), sql)));
    int code = statement.step();
    if (code != SQLITE_ROW) return error("read", code);
    return statement.integer(0);
  }

  Result<void> quickCheck() {
    Statement statement;
    STOKER_CHECK(check("check", statement.prepare(db_.handle(), "PRAGMA quick_check(1)")));
    int code = statement.step();
    if (code != SQLITE_ROW) return error("check", code);
    if (statement.bytes(0) != "ok") return damaged(statement.bytes(0));
    return {};
  }

  /// In one transaction: a file that exists either has everything or is as good as none.
  Result<void> create() {
    std::string sql =
        fmt::format("BEGIN IMMEDIATE; {} INSERT INTO meta VALUES(1, 0, 0, {}); COMMIT", kSchema, metaChecksum(0, 0));
    return check("create", db_.execute(sql.c_str()));
  }

  Result<void> prepare() {
    struct Sql {
      Statement& statement;
      const char* text;
    };
    const Sql all[] = {
        {begin_, "BEGIN IMMEDIATE"},
        {commit_, "COMMIT"},
        {rollback_, "ROLLBACK"},
        {insert_,
         "INSERT INTO objects(created, revision, key, revision_at, labels, owners, node, bytes, checksum) "
         "VALUES(?,?,?,?,?,?,?,?,?)"},
        {update_,
         "UPDATE objects SET revision=?2, revision_at=?4, labels=?5, owners=?6, node=?7, bytes=?8, checksum=?9 "
         "WHERE created=?1 AND key=?3"},
        {delete_, "DELETE FROM objects WHERE created=?"},
        {event_, "INSERT INTO events(revision, type, created) VALUES(?,?,?)"},
        {keepState_,
         "INSERT INTO states SELECT ?1, created, revision, key, revision_at, labels, owners, node, bytes, checksum "
         "FROM objects WHERE created=?2 AND revision=?3"},
        {lastState_,
         "INSERT INTO states(created, revision, key, revision_at, labels, owners, node, bytes, checksum, id) "
         "VALUES(?,?,?,?,?,?,?,?,?,?)"},
        {trimEvents_, "DELETE FROM events WHERE revision <= ?"},
        {trimStates_, "DELETE FROM states WHERE id <= ?"},
        {setMeta_, "UPDATE meta SET ceiling=?, floor=?, checksum=?"},
    };
    for (const Sql& sql : all) STOKER_CHECK(check("open", sql.statement.prepare(db_.handle(), sql.text)));
    return {};
  }

  // ---- reading

  /// A state as it stands in the file, and its checksum there.
  struct Stored {
    std::shared_ptr<Version> version;
    uint64_t checksum = 0;
    bool sound() const { return checksum == store::checksum(*version, joinOwners(version->index.owners)); }
  };

  /// The columns created..checksum from `first` on.
  static Stored readVersion(Statement& row, int first) {
    auto version = std::make_shared<Version>();
    version->createRevision = row.integer(first);
    version->revision = row.integer(first + 1);
    version->key = row.bytes(first + 2);
    version->revisionAt = static_cast<uint32_t>(row.integer(first + 3));
    version->index.labels = row.bytes(first + 4);
    std::string_view owners = row.bytes(first + 5);
    for (size_t at = 0, end; (end = owners.find('\0', at)) != std::string_view::npos; at = end + 1)
      version->index.owners.emplace_back(owners.substr(at, end - at));
    version->index.node = row.bytes(first + 6);
    version->bytes = row.bytes(first + 7);
    return {std::move(version), static_cast<uint64_t>(row.integer(first + 8))};
  }

  Result<void> readObjects(std::vector<VersionPtr>& out) {
    Statement rows;
    STOKER_CHECK(check(
        "read", rows.prepare(db_.handle(),
                             "SELECT created, revision, key, revision_at, labels, owners, node, bytes, checksum FROM "
                             "objects ORDER BY created")));
    // Checksums of a full chunk are computed by another thread while the next one is read.
    constexpr size_t kChunk = 4096;
    constexpr auto kOtherThread = std::launch::async | std::launch::deferred;  // by itself where no thread can be made
    using Chunk = std::vector<Stored>;
    auto firstBad = [](const Chunk& chunk) {
      auto bad = std::find_if(chunk.begin(), chunk.end(), [](const Stored& s) { return !s.sound(); });
      return bad == chunk.end() ? nullptr : bad->version;
    };
    Chunk reading, checking;
    std::future<std::shared_ptr<Version>> checked;
    auto finish = [&]() -> Result<void> {
      if (!checked.valid()) return {};
      if (auto bad = checked.get())
        return damaged(fmt::format("the object created at revision {} is not as it was written", bad->createRevision));
      for (Stored& stored : checking) out.push_back(std::move(stored.version));
      return {};
    };
    auto hand = [&](std::launch policy) -> Result<void> {
      STOKER_CHECK(finish());
      checking = std::exchange(reading, {});
      checked = std::async(policy, firstBad, std::cref(checking));
      return {};
    };
    int code;
    while ((code = rows.step()) == SQLITE_ROW) {
      reading.push_back(readVersion(rows, 0));
      if (reading.size() == kChunk) STOKER_CHECK(hand(kOtherThread));
    }
    if (code != SQLITE_DONE) return error("read", code);
    STOKER_CHECK(hand(std::launch::deferred));
    return finish();
  }

  Result<void> readHistory(Recovered& out) {
    Statement events, states;
    STOKER_CHECK(
        check("read", events.prepare(db_.handle(), "SELECT revision, type, created FROM events ORDER BY revision")));
    STOKER_CHECK(check(
        "read", states.prepare(db_.handle(),
                               "SELECT id, created, revision, key, revision_at, labels, owners, node, bytes, checksum "
                               "FROM states ORDER BY id")));
    auto state = [&](Revision id) -> VersionPtr {
      if (states.step() != SQLITE_ROW || static_cast<Revision>(states.integer(0)) != id) return nullptr;
      Stored stored = readVersion(states, 1);
      return stored.sound() ? stored.version : nullptr;
    };
    // What an event made is known from what the next event of that object ended; the last one made what is there now.
    std::unordered_map<Revision, std::shared_ptr<Event>> open;
    int code;
    while ((code = events.step()) == SQLITE_ROW) {
      auto event = std::make_shared<Event>();
      event->revision = events.integer(0);
      int64_t type = events.integer(1);
      Revision created = events.integer(2);
      auto wrong = [&] { return damaged(fmt::format("the event of revision {} is incomplete", event->revision)); };
      if (type < 0 || type > 2 || event->revision <= out.floor) return wrong();
      event->type = static_cast<Event::Type>(type);
      if (event->type == Event::Type::Added && created != event->revision) return wrong();
      if (event->type != Event::Type::Added) {
        event->previous = state(2 * event->revision);
        if (!event->previous || event->previous->createRevision != created) return wrong();
      }
      if (event->type == Event::Type::Deleted && !(event->object = state(2 * event->revision + 1))) return wrong();
      if (auto before = open.find(created); before != open.end()) {
        if (!event->previous || event->previous->revision != before->second->revision) return wrong();
        before->second->object = event->previous;
        open.erase(before);
      }
      note(event->revision,
           (event->previous ? historyCost(*event->previous) : 0) + (event->object ? historyCost(*event->object) : 0));
      if (event->type != Event::Type::Deleted) open.emplace(created, event);
      out.history.push_back(std::move(event));
    }
    if (code != SQLITE_DONE) return error("read", code);
    if (states.step() != SQLITE_DONE) return damaged("a state in its history belongs to no event");
    size_t recent = std::count_if(out.objects.begin(), out.objects.end(),
                                  [&](const VersionPtr& v) { return v->revision > out.floor; });
    if (recent != open.size()) return damaged("its history is incomplete");
    for (auto& [created, event] : open) {
      auto at = std::lower_bound(out.objects.begin(), out.objects.end(), created,
                                 [](const VersionPtr& v, Revision wanted) { return v->createRevision < wanted; });
      if (at == out.objects.end() || (*at)->revision != event->revision)
        return damaged(fmt::format("the object of the event of revision {} is missing", event->revision));
      event->object = *at;
    }
    return {};
  }

  // ---- writing

  static int bindVersion(Statement& statement, const Version& version, const std::string& owners) {
    statement.bind(1, version.createRevision)
        .bind(2, version.revision)
        .bindText(3, version.key)
        .bind(4, version.revisionAt)
        .bindBlob(5, version.index.labels)
        .bindBlob(6, owners)
        .bindText(7, version.index.node)
        .bindBlob(8, version.bytes)
        .bind(9, static_cast<int64_t>(checksum(version, owners)));
    return SQLITE_OK;
  }

  /// A statement that must change exactly one row.
  int one(Statement& statement) {
    int code = statement.run();
    return code == SQLITE_OK && sqlite3_changes(db_.handle()) != 1 ? kDiverged : code;
  }

  int write(const Record& record) {
    const Version& version = *record.object;
    std::string owners = joinOwners(version.index.owners);
    int code =
        one(event_.bind(1, version.revision).bind(2, static_cast<int>(record.type)).bind(3, version.createRevision));
    if (code == SQLITE_OK && record.type != Event::Type::Added)
      code = one(keepState_.bind(1, 2 * version.revision).bind(2, version.createRevision).bind(3, record.previous));
    if (code != SQLITE_OK) return code;
    if (record.type == Event::Type::Deleted) {
      bindVersion(lastState_, version, owners);
      code = one(lastState_.bind(10, 2 * version.revision + 1));
      return code == SQLITE_OK ? one(delete_.bind(1, version.createRevision)) : code;
    }
    Statement& statement = record.type == Event::Type::Added ? insert_ : update_;
    bindVersion(statement, version, owners);
    return one(statement);
  }

  /// An upper bound is enough: the state before is about as large as the one after.
  static size_t cost(const Record& record) {
    return historyCost(*record.object) * (record.type == Event::Type::Deleted    ? 2
                                          : record.type == Event::Type::Modified ? 1
                                                                                 : 0);
  }

  void note(Revision revision, size_t bytes) {
    if (chunks_.empty() || chunks_.back().count >= kTrimEvents || chunks_.back().bytes >= kTrimBytes)
      chunks_.push_back({});
    Chunk& chunk = chunks_.back();
    chunk.last = revision;
    ++chunk.count;
    chunk.bytes += bytes;
    ++total_.count;
    total_.bytes += bytes;
  }

  /// Deletes the oldest chunks while what remains is enough history. `trimmed` counts them, `floor` is the
  /// last event that went.
  int trim(size_t& trimmed, Revision& floor) {
    size_t count = total_.count;
    size_t bytes = total_.bytes;
    for (const Chunk& chunk : chunks_) {
      bool enough = count - chunk.count >= options_.historyEvents || bytes > options_.historyBytes;
      if (!enough) break;
      count -= chunk.count;
      bytes -= chunk.bytes;
      floor = chunk.last;
      ++trimmed;
    }
    if (trimmed == 0) return SQLITE_OK;
    int code = trimEvents_.bind(1, floor).run();
    if (code == SQLITE_OK) code = trimStates_.bind(1, 2 * floor + 1).run();
    return code;
  }

  Statement& setMeta(Revision ceiling, Revision floor) {
    return setMeta_.bind(1, ceiling).bind(2, floor).bind(3, metaChecksum(ceiling, floor));
  }

  const SqliteOptions options_;
  std::unique_ptr<FileLock> lock_;
  Database db_;  // before the statements: they must go first
  Statement begin_, commit_, rollback_, insert_, update_, delete_, event_, keepState_, lastState_, trimEvents_,
      trimStates_, setMeta_;
  Revision ceiling_ = 0;  ///< no revision above it is given out before the file says so
  Revision floor_ = 0;    ///< every later event is in the file
  Revision last_ = 0;     ///< last revision written, or recovered
  bool recovered_ = false;
  bool failed_ = false;  ///< some write failed, so revisions above `last_` were given out
  std::deque<Chunk> chunks_;
  Chunk total_;
};

}  // namespace

Result<std::unique_ptr<Log>> openSqliteLog(const SqliteOptions& options) {
  auto log = std::make_unique<SqliteLog>(options);
  STOKER_CHECK(log->open());
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace stoker::store
