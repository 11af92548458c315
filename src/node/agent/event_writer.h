// event_writer.h: core/v1 Events of the agent; the same text about the same object is counted, not multiplied.
#pragma once

#include <map>

#include "base/ids.h"
#include "client/plan.h"

namespace stoker::node {

class EventWriter {
 public:
  explicit EventWriter(Ids& ids) : ids_(ids) {}
  /// The write that records `note`, from `host`.
  client::Write write(const client::EventNote& note, const std::string& host, Time now);

 private:
  struct Known {
    std::string name;
    int64_t count = 0;
  };
  Ids& ids_;
  std::map<std::string, Known> known_;
};

}  // namespace stoker::node
