#include <deque>
#include <map>
#include <mutex>

#include "store/store.h"

namespace stoker::store {
namespace {

constexpr size_t kHistoryEvents = 50'000;  // as the file keeps by default

class MemoryLog final : public Log {
 public:
  Result<void> append(const std::vector<Record>& batch) override {
    std::lock_guard lock(mutex_);
    for (const Record& record : batch) {
      auto event = std::make_shared<Event>();
      event->type = record.type;
      event->revision = record.object->revision;
      event->object = record.object;
      VersionPtr& current = objects_[record.object->key];
      event->previous = std::move(current);
      if (record.type == Event::Type::Deleted) {
        objects_.erase(record.object->key);
      } else {
        current = record.object;
      }
      history_.push_back(std::move(event));
      if (history_.size() > kHistoryEvents) {
        floor_ = history_.front()->revision;
        history_.pop_front();
      }
      revision_ = record.object->revision;
    }
    return {};
  }

  Result<Recovered> recover() override {
    std::lock_guard lock(mutex_);
    Recovered out;
    for (const auto& [key, version] : objects_) out.objects.push_back(version);
    out.history.assign(history_.begin(), history_.end());
    out.floor = floor_;
    out.revision = revision_;
    return out;
  }

  uint64_t sizeBytes() const override { return 0; }  // on disk: nothing

 private:
  std::mutex mutex_;
  std::map<std::string, VersionPtr> objects_;
  std::deque<EventPtr> history_;
  Revision floor_ = 0;
  Revision revision_ = 0;
};

}  // namespace

std::unique_ptr<Log> makeMemoryLog() { return std::make_unique<MemoryLog>(); }

}  // namespace stoker::store
