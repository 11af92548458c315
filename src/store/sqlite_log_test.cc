// The file: who may open it, what a damaged one does, and kill -9.
#include <fmt/format.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <thread>

#include "base/file.h"
#include "store/store_test_util.h"

namespace stoker::store::test {
namespace {

std::string messageOf(const SqliteOptions& options) {
  auto log = openSqliteLog(options);
  if (!log.ok()) return log.error().message;
  auto recovered = (*log)->recover();
  return recovered.ok() ? "" : recovered.error().message;
}

void write(const std::string& path, const std::string& content) { std::ofstream(path, std::ios::binary) << content; }

/// Everything that a restart must bring back, in words.
std::string describeStore(Store& store) {
  auto listing = store.list({});
  std::string out = std::to_string(listing->revision) + " " + std::to_string(store.oldestRevision()) + "\n";
  for (const VersionPtr& v : listing->items)
    out += fmt::format("{} {} {} {} {} {} {} {}\n", v->key, v->revision, v->createRevision, v->revisionAt, v->bytes,
                       v->index.labels, v->index.node, v->index.owners.empty() ? "" : v->index.owners[0]);
  (void)store.watch("", store.oldestRevision(), [&](const EventPtr& event) {
    out +=
        describe(*event) + " " + event->object->bytes + " " + (event->previous ? event->previous->bytes : "-") + "\n";
  });
  return out;
}

TEST(SqliteLog, aFileHasOneOwner) {
  TempDir dir;
  SqliteOptions options{.path = dir.file("state.db")};
  {
    auto first = openSqliteLog(options);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(
        messageOf(options),
        fmt::format("{} is held by another instance (process {}); stop that one first, or use another data directory",
                    options.path, ::getpid()));
    std::filesystem::create_symlink(options.path, dir.file("other.db"));
    EXPECT_NE(messageOf({.path = dir.file("other.db")}).find("is held by another instance"), std::string::npos)
        << "by another name too";
  }
  EXPECT_EQ(messageOf(options), "") << "free again";
}

TEST(SqliteLog, aFileHeldByAnotherProgramIsRefused) {
  TempDir dir;
  SqliteOptions options{.path = dir.file("state.db")};
  ASSERT_EQ(messageOf(options), "");
  sqlite3* other = nullptr;
  ASSERT_EQ(sqlite3_open(options.path.c_str(), &other), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  EXPECT_EQ(messageOf(options),
            options.path + " is held by another process; stop that one first, or use another data directory");
  sqlite3_close(other);
  EXPECT_EQ(messageOf(options), "");
}

TEST(SqliteLog, whatIsNotOursIsRefusedAndLeftAsItIs) {
  TempDir dir;
  std::string path = dir.file("state.db");
  write(path, std::string(5000, 'x'));
  EXPECT_NE(messageOf({.path = path}).find(path), std::string::npos);
  EXPECT_EQ(*readFile(path), std::string(5000, 'x'));

  std::string foreign = dir.file("foreign.db");
  sqlite3* db = nullptr;
  ASSERT_EQ(sqlite3_open(foreign.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "CREATE TABLE music(x)", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  std::string before = *readFile(foreign);
  EXPECT_EQ(messageOf({.path = foreign}),
            foreign + " is an SQLite database of another program; it was left as it is, choose another path");
  EXPECT_EQ(*readFile(foreign), before);

  std::string newer = dir.file("newer.db");
  ASSERT_EQ(messageOf({.path = newer}), "");
  ASSERT_EQ(sqlite3_open(newer.c_str(), &db), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(db, "PRAGMA user_version = 99", nullptr, nullptr, nullptr), SQLITE_OK);
  sqlite3_close(db);
  EXPECT_NE(messageOf({.path = newer}).find("has format 99, this version reads format 1"), std::string::npos);

  std::string emptied = dir.file("emptied.db");
  write(emptied, "");
  write(emptied + "-wal", "something");
  EXPECT_NE(messageOf({.path = emptied}).find("is damaged"), std::string::npos);
  EXPECT_EQ(*readFile(emptied + "-wal"), "something");

  EXPECT_NE(messageOf({.path = dir.file("missing/state.db")}).find("missing/state.db"), std::string::npos);
}

/// Flipped bits, zeroed pages and missing ends, all over a file: it is refused, named and left alone, or what was hit
/// did not matter and everything is as before.
TEST(SqliteLog, aDamagedFileIsRefusedOrHarmless) {
  TempDir dir;
  std::string path = dir.file("state.db");
  std::string expected;
  {
    auto store = Store::open(*openSqliteLog({.path = path, .historyEvents = 40}), {.synchronous = true});
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 150; ++i)
      ASSERT_TRUE(commitNow(**store, transaction(put(fmt::format("pods/{}", i % 40), std::to_string(i)))).ok());
    for (int i = 0; i < 40; i += 3)
      ASSERT_TRUE(commitNow(**store, transaction(remove(fmt::format("pods/{}", i)))).ok());
    for (int i = 0; i < 300; ++i)
      ASSERT_TRUE(
          commitNow(**store, transaction(put(fmt::format("jobs/{}", i % 9), std::string(i % 2 ? 9000 : 10, '7'))))
              .ok());
  }
  {
    auto store = Store::open(*openSqliteLog({.path = path}), {.synchronous = true});
    ASSERT_TRUE(store.ok());
    expected = describeStore(**store);
  }
  const std::string sound = *readFile(path);
  int refused = 0, harmless = 0;
  std::mt19937 random(7);
  for (int round = 0; round < 250; ++round) {
    std::string damaged = sound;
    size_t at = random() % sound.size();
    std::string what;
    if (round % 10 < 7) {
      if (round % 10 == 0) at %= 4096;  // the header and the schema more often
      damaged[at] ^= 1 << (random() % 8);
      what = fmt::format("bit at {}", at);
    } else if (round % 10 < 9) {
      at = at / 4096 * 4096;
      damaged.replace(at, 4096, std::string(4096, '\0'));
      what = fmt::format("page at {} zeroed", at);
    } else {
      damaged.resize(at);
      what = fmt::format("cut at {}", at);
    }
    std::string copy = dir.file("copy.db");
    write(copy, damaged);
    std::string message;
    {
      auto log = openSqliteLog({.path = copy});
      if (log.ok()) {
        auto store = Store::open(std::move(*log), {.synchronous = true});
        if (store.ok()) {
          EXPECT_EQ(describeStore(**store), expected) << what;
          ++harmless;
        } else {
          message = store.error().message;
        }
      } else {
        message = log.error().message;
      }
    }
    if (!message.empty()) {
      ++refused;
      EXPECT_NE(message.find(copy), std::string::npos) << message;
      EXPECT_EQ(*readFile(copy) == damaged, true) << what << ": a refused file was changed; " << message;
    }
    std::filesystem::remove(copy);
    std::filesystem::remove(copy + "-wal");
    if (HasFailure()) break;
  }
  EXPECT_GT(refused, 80);
  EXPECT_GT(harmless, 0) << "unused bytes do not matter";
}

/// More rows than are checked together: each is checked, whichever part it stands in.
TEST(SqliteLog, oneDamagedRowOfManyIsFound) {
  TempDir dir;
  std::string path = dir.file("state.db");
  constexpr int kRows = 9000;
  {
    auto store = Store::open(*openSqliteLog({.path = path}), {.synchronous = true});
    ASSERT_TRUE(store.ok());
    Transaction all;
    for (int i = 0; i < kRows; ++i) all.ops.push_back(put(fmt::format("pods/{}", (i * 7919) % kRows), "state"));
    ASSERT_TRUE(commitNow(**store, std::move(all)).ok());
  }
  {
    auto store = Store::open(*openSqliteLog({.path = path}), {.synchronous = true});
    ASSERT_TRUE(store.ok());
    auto listing = (*store)->list({});
    ASSERT_TRUE(listing.ok());
    ASSERT_EQ(listing->items.size(), static_cast<size_t>(kRows));
    for (size_t i = 1; i < listing->items.size(); ++i) ASSERT_LT(listing->items[i - 1]->key, listing->items[i]->key);
  }
  for (int row : {1, 4096, 4097, 8200, kRows}) {
    auto change = [&](const char* to) {
      sqlite3* db = nullptr;
      ASSERT_EQ(sqlite3_open(path.c_str(), &db), SQLITE_OK);
      std::string sql = fmt::format("UPDATE objects SET node = '{}' WHERE rowid = {}", to, row);
      ASSERT_EQ(sqlite3_exec(db, sql.c_str(), nullptr, nullptr, nullptr), SQLITE_OK);
      ASSERT_EQ(sqlite3_changes(db), 1) << row;
      sqlite3_close(db);
    };
    change("elsewhere");
    auto store = Store::open(*openSqliteLog({.path = path}), {.synchronous = true});
    ASSERT_FALSE(store.ok()) << row;
    EXPECT_NE(store.error().message.find("is not as it was written"), std::string::npos) << store.error().message;
    change("node-state");
  }
}

/// A damaged file with a log not yet folded in: neither is touched.
TEST(SqliteLog, aDamagedFileKeepsItsWriteAheadLog) {
  TempDir dir;
  std::string path = dir.file("state.db");
  std::string file, wal;
  {
    auto store = Store::open(*openSqliteLog({.path = path}), {.synchronous = true});
    ASSERT_TRUE(store.ok());
    for (int i = 0; i < 50; ++i)
      ASSERT_TRUE(commitNow(**store, transaction(put(fmt::format("pods/{}", i), std::string(500, '3')))).ok());
  }
  {
    auto store = Store::open(*openSqliteLog({.path = path}), {.synchronous = true});
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(commitNow(**store, transaction(put("pods/new", "1"))).ok());
    file = *readFile(path);
    wal = *readFile(path + "-wal");
  }
  ASSERT_GT(wal.size(), 4096u);
  const std::string run(100, '3');
  int hits = 0;
  for (size_t at = file.find(run); at != std::string::npos; at = file.find(run, at + 1), ++hits) file[at + 50] = '4';
  ASSERT_GT(hits, 50);
  std::string copy = dir.file("copy.db");
  write(copy, file);
  write(copy + "-wal", wal);
  EXPECT_NE(messageOf({.path = copy}).find("is damaged"), std::string::npos);
  EXPECT_TRUE(*readFile(copy) == file);
  EXPECT_TRUE(*readFile(copy + "-wal") == wal);
}

/// A batch that does not fit what is in the file changes nothing, and the next one works.
TEST(SqliteLog, aBatchThatDoesNotFitIsUndone) {
  TempDir dir;
  auto log = *openSqliteLog({.path = dir.file("state.db")});
  ASSERT_TRUE(log->recover().ok());
  auto version = [](const char* key, Revision revision, Revision created) {
    auto out = std::make_shared<Version>();
    out->key = key;
    out->revision = revision;
    out->createRevision = created;
    return out;
  };
  ASSERT_TRUE(log->append({{Event::Type::Added, version("a", 1, 1), 0}}).ok());
  auto failed =
      log->append({{Event::Type::Added, version("b", 2, 2), 0}, {Event::Type::Modified, version("a", 3, 1), 99}});
  ASSERT_FALSE(failed.ok());
  EXPECT_NE(failed.error().message.find(dir.file("state.db")), std::string::npos);
  ASSERT_TRUE(log->append({{Event::Type::Modified, version("a", 4, 1), 1}}).ok());
  log.reset();
  log = *openSqliteLog({.path = dir.file("state.db")});
  auto recovered = log->recover();
  ASSERT_TRUE(recovered.ok());
  ASSERT_EQ(recovered->objects.size(), 1u);
  EXPECT_EQ(recovered->objects[0]->revision, 4u);
  EXPECT_EQ(recovered->history.size(), 2u);
}

TEST(SqliteLog, trimmingKeepsTheFileSmall) {
  TempDir dir;
  std::string path = dir.file("state.db");
  auto store = Store::open(*openSqliteLog({.path = path, .historyEvents = 100, .walPages = 50}),
                           {.synchronous = true, .historyEvents = 100});
  ASSERT_TRUE(store.ok());
  auto fill = [&] {
    for (int i = 0; i < 150; ++i) {
      Transaction next;
      for (int k = 0; k < 8; ++k) next.ops.push_back(put(fmt::format("pods/{}", k), std::string(1000, '1' + i % 9)));
      ASSERT_TRUE(commitNow(**store, std::move(next)).ok());
    }
  };
  fill();
  uint64_t size = (*store)->stats().diskBytes;
  fill();
  fill();
  EXPECT_LT((*store)->stats().diskBytes, size * 5 / 4) << "1,200 more states of 1 KB each would be 1.2 MB each time";
}

/// A process that commits from several threads and reports through a pipe is killed at random moments: what it reported
/// is there, pairs written together are equal, and no revision is given out twice.
TEST(SqliteLog, killedAtAnyMoment) {
  TempDir dir;
  std::string path = dir.file("state.db");
  constexpr int kThreads = 4;
  struct Report {
    uint32_t thread = 0, count = 0;
    Revision revision = 0;
  };
  std::map<uint32_t, Report> reported;
  Revision highest = 0;
  std::mt19937 random(11);
  for (int round = 0; round < 12; ++round) {
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      ::close(pipe[0]);
      auto log = openSqliteLog({.path = path, .historyEvents = 300, .walPages = 40});
      if (!log.ok()) ::_exit(2);
      auto store = Store::open(std::move(*log));
      if (!store.ok()) ::_exit(3);
      std::vector<std::thread> threads;
      for (uint32_t t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
          for (uint32_t i = round * 1'000'000 + 1;; ++i) {
            auto result = commitNow(**store, transaction(put(fmt::format("pairs/{}/a", t), std::to_string(i)),
                                                         put(fmt::format("pairs/{}/b", t), std::to_string(i))));
            if (!result.ok()) ::_exit(4);
            Report report{t, i, (*result)[1]->revision};
            if (::write(pipe[1], &report, sizeof report) != sizeof report) ::_exit(5);
          }
        });
      for (auto& thread : threads) thread.join();
    }
    ::close(pipe[1]);
    // Killed after some acknowledgements, which lets the disk set the pace.
    int left = 1 + random() % 300;
    Report report;
    bool killed = false;
    while (::read(pipe[0], &report, sizeof report) == sizeof report) {
      reported[report.thread] = report;
      highest = std::max(highest, report.revision);
      if (--left == 0 && !killed) {
        ::kill(child, SIGKILL);
        killed = true;
      }
    }
    ::close(pipe[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself with " << WEXITSTATUS(status);

    auto log = openSqliteLog({.path = path, .historyEvents = 300, .walPages = 40});
    ASSERT_TRUE(log.ok()) << log.error().message;
    auto store = Store::open(std::move(*log), {.synchronous = true});
    ASSERT_TRUE(store.ok()) << store.error().message;
    EXPECT_GE((*store)->revision(), highest);
    for (const auto& [thread, last] : reported) {
      VersionPtr a = (*store)->get(fmt::format("pairs/{}/a", thread));
      VersionPtr b = (*store)->get(fmt::format("pairs/{}/b", thread));
      ASSERT_TRUE(a && b) << "round " << round;
      EXPECT_EQ(a->index.node, b->index.node) << "half a transaction, round " << round;
      EXPECT_GE(std::stoul(a->index.node.substr(5)), last.count) << "an acknowledged write is gone, round " << round;
      EXPECT_GE(b->revision, last.revision);
    }
    auto next = commitNow(**store, transaction(put("after", "1")));
    ASSERT_TRUE(next.ok());
    EXPECT_GT((*next)[0]->revision, highest);
    highest = (*next)[0]->revision;
  }
  EXPECT_EQ(reported.size(), kThreads);
}

}  // namespace
}  // namespace stoker::store::test
