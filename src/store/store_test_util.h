// store_test_util.h: small makers for the store's tests.
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>
#include <mutex>

#include "store/store.h"

namespace stoker::store::test {

/// A directory that goes with the test.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "stoker-store-XXXXXX").string();
    if (::mkdtemp(pattern.data())) path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// An object {"v":TEXT,"r":"REVISION"}.
inline Op put(std::string key, std::string text, Revision expect = kAny) {
  Op op;
  op.key = std::move(key);
  op.expect = expect;
  op.bytes = "{\"v\":" + text + ",\"r\":\"\"}";
  op.revisionAt = op.bytes.size() - 2;
  op.index.labels = std::string("app\0", 4) + text + std::string("\0", 1);
  op.index.owners = {"owner-" + text};
  op.index.node = "node-" + text;
  return op;
}
inline Op remove(std::string key, Revision expect = kAny) {
  Op op;
  op.kind = Op::Kind::Delete;
  op.key = std::move(key);
  op.expect = expect;
  return op;
}
inline Op check(std::string key, Revision expect) {
  Op op;
  op.kind = Op::Kind::Check;
  op.key = std::move(key);
  op.expect = expect;
  return op;
}
/// What put(…, text) becomes.
inline std::string bytesOf(const std::string& text, Revision revision) {
  return "{\"v\":" + text + ",\"r\":\"" + std::to_string(revision) + "\"}";
}

template <class... Ops>
Transaction transaction(Ops... ops) {
  Transaction out;
  (out.ops.push_back(std::move(ops)), ...);
  return out;
}

/// Commits and waits for the outcome, at most 30 s.
inline Result<Committed> commitNow(Store& store, Transaction transaction) {
  struct Outcome {
    std::mutex mutex;
    std::condition_variable arrived;
    std::optional<Result<Committed>> result;
  };
  auto outcome = std::make_shared<Outcome>();
  STOKER_CHECK(store.commit(std::move(transaction), [outcome](Result<Committed> result) {
    std::lock_guard lock(outcome->mutex);
    outcome->result = std::move(result);
    outcome->arrived.notify_all();
  }));
  std::unique_lock lock(outcome->mutex);
  if (!outcome->arrived.wait_for(lock, std::chrono::seconds(30), [&] { return outcome->result.has_value(); }))
    return Error(Reason::Timeout, "no outcome within 30 s");
  return *outcome->result;
}

/// "+pods/a@3 ~pods/a@4 -pods/a@5": added, modified, deleted.
inline std::string describe(const Event& event) {
  const char* sign = event.type == Event::Type::Added ? "+" : event.type == Event::Type::Modified ? "~" : "-";
  return sign + event.object->key + "@" + std::to_string(event.revision);
}

/// Collects what a watch gets.
class Collector {
 public:
  WatchCallback callback() {
    return [this](const EventPtr& event) {
      std::lock_guard lock(mutex_);
      events_.push_back(event);
    };
  }
  std::string text() const {
    std::lock_guard lock(mutex_);
    std::string out;
    for (const EventPtr& event : events_) out += (out.empty() ? "" : " ") + describe(*event);
    return out;
  }
  std::vector<EventPtr> events() const {
    std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<EventPtr> events_;
};

inline std::string keysOf(const Listing& listing) {
  std::string out;
  for (const VersionPtr& item : listing.items)
    out += (out.empty() ? "" : " ") + item->key + "@" + std::to_string(item->revision);
  return out;
}

}  // namespace stoker::store::test
