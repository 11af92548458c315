// faulty_vfs.h
//
// A disk that fails on command, for tests: an SQLite VFS whose files live in memory and that knows which bytes were
// synced. Faults strike at a given step (every write, sync, truncation, creation and deletion is one), so that a test
// can try every step of a run. After a power loss what was synced is there; of what was not, each 512-byte sector may
// or may not be.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace stoker::store::test {

class FaultyVfs {
 public:
  enum class Fault {
    None,
    IoError,    ///< the step fails once with an I/O error
    ReadError,  ///< the same for the step-th read
    Full,       ///< from the step on everything that writes finds the disk full
    PowerLoss,  ///< the step does not happen, and nothing after it
    TornWrite,  ///< half of the step's write happens, then power is lost
  };
  using Disk = std::map<std::string, std::string>;

  FaultyVfs();
  ~FaultyVfs();
  FaultyVfs(const FaultyVfs&) = delete;
  FaultyVfs& operator=(const FaultyVfs&) = delete;

  const std::string& name() const { return name_; }
  /// The `step`-th step from now on (1 is the next) meets `fault`.
  void arm(Fault fault, long step);
  void disarm() { arm(Fault::None, 0); }
  /// Steps (or reads, for ReadError) since arm().
  long steps() const { return steps_; }
  bool struck() const { return struck_; }
  /// The power is off: the process that used the disk is no more.
  bool dead() const { return dead_; }

  /// The power is back: what survived depends on the seed.
  void powerOn(uint64_t seed);
  /// The process died, the machine did not: everything written is there.
  void restartProcess();

  Disk contents() const;
  void load(const Disk& disk);

  // What the C functions of the VFS need.
  struct Write {
    int64_t offset = 0;
    std::string bytes;
    bool truncate = false;  ///< to `offset`
  };
  struct File {
    std::string durable;
    std::string current;
    std::vector<Write> unsynced;
    bool linked = false;  ///< its directory entry is durable
  };
  /// Counts a step that changes the disk; SQLITE_OK when it may happen, else the code to return. `failure` is the code
  /// for an I/O error in it. `torn` is set when half of it may happen.
  int step(int failure, bool* torn = nullptr);
  int readStep();
  std::map<std::string, std::shared_ptr<File>> files;
  std::map<std::string, std::shared_ptr<File>> deleted;  ///< deletions that are not durable yet

 private:
  std::string name_;
  sqlite3_vfs vfs_{};
  Fault fault_ = Fault::None;
  long strikeAt_ = 0;
  long steps_ = 0;
  bool struck_ = false;
  bool dead_ = false;
};

}  // namespace stoker::store::test
