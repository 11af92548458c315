// event_recorder.h: core/v1 Events: the same text about the same object is counted, not multiplied. Lives on one Loop.
#pragma once

#include <map>
#include <memory>

#include "base/ids.h"
#include "client/loop.h"
#include "client/plan.h"

namespace stoker::client {

class EventRecorder {
 public:
  /// `component`: the source that the events name.
  EventRecorder(Cluster& cluster, Loop& loop, Ids& ids, std::string component);
  ~EventRecorder() { *alive_ = false; }
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  /// Events are news, not state: nobody waits for them, and one that cannot be written is lost. `host`: the node that
  /// speaks.
  void record(const std::vector<EventNote>& notes, const std::string& host = "");

 private:
  struct Known {
    std::string name;
    int64_t count = 0;
  };
  Write write(const EventNote& note, const std::string& id, const std::string& host);

  Cluster& cluster_;
  Loop& loop_;
  Ids& ids_;
  std::string component_;
  std::map<std::string, Known> known_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::client
