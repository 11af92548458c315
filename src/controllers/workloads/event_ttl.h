// event_ttl.h: Events are news: kept for an hour (kube-apiserver's --event-ttl), then deleted.
#pragma once

#include <memory>

#include "client/cluster.h"
#include "client/loop.h"

namespace stoker::controllers {

/// Names of the events in a list whose last occurrence lies before `before`.
std::vector<client::Object> expiredEvents(const std::vector<client::Object>& events, Time before);

class EventJanitor {
 public:
  EventJanitor(client::Cluster& cluster, client::Loop& loop) : cluster_(cluster), loop_(loop) {}
  ~EventJanitor() { *alive_ = false; }
  void start() { arm(); }

 private:
  void arm();
  void sweep();
  client::Cluster& cluster_;
  client::Loop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::controllers
