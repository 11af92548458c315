// sqlite.h: SQLite handles that close themselves, and its errors in words. Only sqlite_*.cc include this.
#pragma once

#include <sqlite3.h>

#include <string>
#include <string_view>

#include "base/result.h"

namespace stoker::store {

/// A prepared statement. Bound text and blobs must live until the next reset().
class Statement {
 public:
  Statement() = default;
  ~Statement() { sqlite3_finalize(handle_); }
  Statement(Statement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Statement& operator=(Statement&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  int prepare(sqlite3* db, const char* sql) {
    return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &handle_, nullptr);
  }
  Statement& bind(int index, int64_t value) {
    sqlite3_bind_int64(handle_, index, value);
    return *this;
  }
  Statement& bindBlob(int index, std::string_view value) {
    sqlite3_bind_blob64(handle_, index, value.data() ? value.data() : "", value.size(), SQLITE_STATIC);
    return *this;
  }
  Statement& bindText(int index, std::string_view value) {
    sqlite3_bind_text64(handle_, index, value.data() ? value.data() : "", value.size(), SQLITE_STATIC, SQLITE_UTF8);
    return *this;
  }
  int step() { return sqlite3_step(handle_); }
  /// Steps a statement that returns no rows, and resets it. SQLITE_OK when done.
  int run() {
    int code = sqlite3_step(handle_);
    sqlite3_reset(handle_);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
  }
  void reset() { sqlite3_reset(handle_); }
  int64_t integer(int column) { return sqlite3_column_int64(handle_, column); }
  std::string_view bytes(int column) {
    auto data = static_cast<const char*>(sqlite3_column_blob(handle_, column));
    return {data ? data : "", data ? static_cast<size_t>(sqlite3_column_bytes(handle_, column)) : 0};
  }

 private:
  sqlite3_stmt* handle_ = nullptr;
};

class Database {
 public:
  Database() = default;
  ~Database() { sqlite3_close(handle_); }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;
  int open(const std::string& path, const std::string& vfs) {
    return sqlite3_open_v2(path.c_str(), &handle_,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                           vfs.empty() ? nullptr : vfs.c_str());
  }
  int execute(const char* sql) { return sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr); }
  sqlite3* handle() { return handle_; }

 private:
  sqlite3* handle_ = nullptr;
};

/// What went wrong, in words for the person who runs the platform. `action` and `path` make "cannot write PATH:
/// reason".
Error sqliteError(std::string_view action, const std::string& path, sqlite3* db, int code);

}  // namespace stoker::store
