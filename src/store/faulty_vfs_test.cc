// The failing disk itself (a test-only source: named so that it is not part of the library), and a test that it is
// honest.
#include "store/faulty_vfs.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <random>

namespace stoker::store::test {
namespace {

constexpr size_t kSector = 512;

struct Handle {
  sqlite3_file base;  // first: SQLite sees only this
  FaultyVfs* vfs;
  std::shared_ptr<FaultyVfs::File>* file;
};

FaultyVfs::File& fileOf(sqlite3_file* file) { return **reinterpret_cast<Handle*>(file)->file; }
FaultyVfs& vfsOf(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file)->vfs; }

void applyWrite(std::string& content, const FaultyVfs::Write& write) {
  size_t offset = write.offset;
  if (write.truncate) {
    content.resize(offset);
    return;
  }
  if (content.size() < offset + write.bytes.size()) content.resize(offset + write.bytes.size());
  std::memcpy(content.data() + offset, write.bytes.data(), write.bytes.size());
}

int closeFile(sqlite3_file* file) {
  delete reinterpret_cast<Handle*>(file)->file;
  return SQLITE_OK;
}

int readFile(sqlite3_file* file, void* out, int count, sqlite3_int64 offset) {
  if (int code = vfsOf(file).readStep()) return code;
  const std::string& content = fileOf(file).current;
  std::memset(out, 0, count);
  if (static_cast<size_t>(offset) >= content.size()) return SQLITE_IOERR_SHORT_READ;
  size_t there = std::min<size_t>(count, content.size() - offset);
  std::memcpy(out, content.data() + offset, there);
  return there == static_cast<size_t>(count) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int writeFile(sqlite3_file* file, const void* bytes, int count, sqlite3_int64 offset) {
  bool torn = false;
  int code = vfsOf(file).step(SQLITE_IOERR_WRITE, &torn);
  if (code != SQLITE_OK && !torn) return code;
  FaultyVfs::Write write{offset, std::string(static_cast<const char*>(bytes), torn ? count / 2 : count)};
  applyWrite(fileOf(file).current, write);
  fileOf(file).unsynced.push_back(std::move(write));
  return code;
}

int truncateFile(sqlite3_file* file, sqlite3_int64 size) {
  if (int code = vfsOf(file).step(SQLITE_IOERR_TRUNCATE)) return code;
  FaultyVfs::Write write{size, "", true};
  applyWrite(fileOf(file).current, write);
  fileOf(file).unsynced.push_back(std::move(write));
  return SQLITE_OK;
}

int syncFile(sqlite3_file* file, int) {
  if (int code = vfsOf(file).step(SQLITE_IOERR_FSYNC)) return code;
  FaultyVfs::File& target = fileOf(file);
  for (const auto& write : target.unsynced) applyWrite(target.durable, write);
  target.unsynced.clear();
  if (!target.linked) {
    // The first sync of a new log or journal syncs the directory, as in SQLite's own VFS; deletions before it are
    // durable then.
    target.linked = true;
    vfsOf(file).deleted.clear();
  }
  return SQLITE_OK;
}

int fileSize(sqlite3_file* file, sqlite3_int64* size) {
  *size = fileOf(file).current.size();
  return SQLITE_OK;
}

// One process, one connection: locks always succeed.
int lockFile(sqlite3_file*, int) { return SQLITE_OK; }
int checkLock(sqlite3_file*, int* held) {
  *held = 0;
  return SQLITE_OK;
}
int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
// As SQLite's own VFS on Linux says.
int sectorSize(sqlite3_file*) { return 4096; }
int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

const sqlite3_io_methods kMethods = {1,        closeFile, readFile,  writeFile, truncateFile, syncFile,       fileSize,
                                     lockFile, lockFile,  checkLock, control,   sectorSize,   characteristics};

FaultyVfs& self(sqlite3_vfs* vfs) { return *static_cast<FaultyVfs*>(vfs->pAppData); }

int openFile(sqlite3_vfs* vfs, const char* name, sqlite3_file* file, int flags, int* outFlags) {
  auto* handle = reinterpret_cast<Handle*>(file);
  handle->base.pMethods = nullptr;
  std::shared_ptr<FaultyVfs::File> content;
  if (!name) {
    content = std::make_shared<FaultyVfs::File>();
  } else if (auto at = self(vfs).files.find(name); at != self(vfs).files.end()) {
    content = at->second;
  } else {
    if (!(flags & SQLITE_OPEN_CREATE)) return SQLITE_CANTOPEN;
    if (int code = self(vfs).step(SQLITE_CANTOPEN)) return code;
    content = self(vfs).files[name] = std::make_shared<FaultyVfs::File>();
  }
  handle->vfs = &self(vfs);
  handle->file = new std::shared_ptr<FaultyVfs::File>(content);
  handle->base.pMethods = &kMethods;
  if (outFlags) *outFlags = flags;
  return SQLITE_OK;
}

int deleteFile(sqlite3_vfs* vfs, const char* name, int syncDirectory) {
  auto& files = self(vfs).files;
  auto at = files.find(name);
  if (at == files.end()) return SQLITE_IOERR_DELETE_NOENT;
  if (int code = self(vfs).step(SQLITE_IOERR_DELETE)) return code;
  if (!syncDirectory && at->second->linked) self(vfs).deleted[name] = at->second;
  files.erase(at);
  return SQLITE_OK;
}

int access(sqlite3_vfs* vfs, const char* name, int, int* result) {
  *result = self(vfs).files.count(name) != 0;
  return SQLITE_OK;
}

int fullName(sqlite3_vfs*, const char* name, int size, char* out) {
  sqlite3_snprintf(size, out, "%s", name);
  return SQLITE_OK;
}

}  // namespace

FaultyVfs::FaultyVfs() {
  static std::atomic<int> count{0};
  name_ = "faulty-" + std::to_string(++count);
  sqlite3_vfs* real = sqlite3_vfs_find(nullptr);
  vfs_ = *real;  // randomness, sleep and time come from the real one
  vfs_.iVersion = 1;
  vfs_.pNext = nullptr;
  vfs_.szOsFile = sizeof(Handle);
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.xOpen = openFile;
  vfs_.xDelete = deleteFile;
  vfs_.xAccess = access;
  vfs_.xFullPathname = fullName;
  sqlite3_vfs_register(&vfs_, 0);
}

FaultyVfs::~FaultyVfs() { sqlite3_vfs_unregister(&vfs_); }

void FaultyVfs::arm(Fault fault, long step) {
  fault_ = fault;
  strikeAt_ = step;
  steps_ = 0;
  struck_ = false;
}

int FaultyVfs::step(int failure, bool* torn) {
  if (dead_) return SQLITE_IOERR;
  if (fault_ == Fault::ReadError) return SQLITE_OK;
  ++steps_;
  bool now = steps_ == strikeAt_;
  switch (fault_) {
    case Fault::Full:
      if (steps_ < strikeAt_) return SQLITE_OK;
      // Syncing and deleting need no space.
      if (failure == SQLITE_IOERR_FSYNC || failure == SQLITE_IOERR_DELETE || failure == SQLITE_IOERR_TRUNCATE)
        return SQLITE_OK;
      struck_ = true;
      return SQLITE_FULL;
    case Fault::IoError:
      struck_ |= now;
      return now ? failure : SQLITE_OK;
    case Fault::PowerLoss:
    case Fault::TornWrite:
      if (!now) return SQLITE_OK;
      struck_ = dead_ = true;
      if (torn && fault_ == Fault::TornWrite) *torn = true;
      return SQLITE_IOERR;
    default:
      return SQLITE_OK;
  }
}

int FaultyVfs::readStep() {
  if (dead_) return SQLITE_IOERR_READ;
  if (fault_ != Fault::ReadError || ++steps_ != strikeAt_) return SQLITE_OK;
  struck_ = true;
  return SQLITE_IOERR_READ;
}

void FaultyVfs::powerOn(uint64_t seed) {
  std::mt19937_64 random(seed);
  for (auto& [name, file] : deleted)
    if (random() % 2 && !files.count(name)) files[name] = file;
  deleted.clear();
  for (auto at = files.begin(); at != files.end();) {
    File& file = *at->second;
    if (!file.linked && random() % 2) {
      at = files.erase(at);
      continue;
    }
    for (const Write& write : file.unsynced) {
      if (write.truncate) {
        if (random() % 2) applyWrite(file.durable, write);
        continue;
      }
      for (size_t from = 0; from < write.bytes.size(); from += kSector)
        if (random() % 2)
          applyWrite(file.durable, {write.offset + static_cast<int64_t>(from), write.bytes.substr(from, kSector)});
    }
    ++at;
  }
  for (auto& [name, file] : files) {
    file->unsynced.clear();
    file->current = file->durable;
    file->linked = true;
  }
  dead_ = false;
  disarm();
}

void FaultyVfs::restartProcess() {
  dead_ = false;
  disarm();
}

FaultyVfs::Disk FaultyVfs::contents() const {
  Disk out;
  for (const auto& [name, file] : files) out[name] = file->current;
  return out;
}

void FaultyVfs::load(const Disk& disk) {
  files.clear();
  deleted.clear();
  for (const auto& [name, content] : disk) {
    auto file = std::make_shared<File>();
    file->durable = file->current = content;
    file->linked = true;
    files[name] = std::move(file);
  }
  dead_ = false;
  disarm();
}

TEST(FaultyVfs, losesWhatWasNotSyncedAndNothingElse) {
  int lost = 0;
  for (int seed = 0; seed < 20; ++seed) {
    FaultyVfs vfs;
    sqlite3* db = nullptr;
    ASSERT_EQ(sqlite3_open_v2("/x.db", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs.name().c_str()), SQLITE_OK);
    auto run = [&](const char* sql) {
      ASSERT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    };
    run("PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(x); INSERT "
        "INTO t VALUES(1)");
    run("PRAGMA synchronous=OFF; INSERT INTO t VALUES(2)");
    vfs.arm(FaultyVfs::Fault::PowerLoss, 1);
    EXPECT_NE(sqlite3_exec(db, "INSERT INTO t VALUES(3)", nullptr, nullptr, nullptr), SQLITE_OK);
    EXPECT_TRUE(vfs.struck());
    sqlite3_close(db);
    vfs.powerOn(seed);
    ASSERT_EQ(sqlite3_open_v2("/x.db", &db, SQLITE_OPEN_READWRITE, vfs.name().c_str()), SQLITE_OK);
    run("PRAGMA locking_mode=EXCLUSIVE");
    sqlite3_stmt* count = nullptr;
    ASSERT_EQ(sqlite3_prepare_v2(db, "SELECT max(x) FROM t", -1, &count, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    ASSERT_EQ(sqlite3_step(count), SQLITE_ROW);
    int last = sqlite3_column_int(count, 0);
    EXPECT_TRUE(last == 1 || last == 2) << last;
    lost += last == 1;
    sqlite3_finalize(count);
    sqlite3_close(db);
  }
  EXPECT_GT(lost, 0) << "an un-synced write should not survive every time";
}

}  // namespace stoker::store::test
