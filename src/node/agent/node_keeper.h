// node_keeper.h: keeps the Node objects and Leases of this agent's nodes in the API: registers, reports capacity and
// pressure, renews. Thousands of simulated nodes share one keeper: all their leases are renewed in one transaction
// (decision 22).
#pragma once

#include <set>

#include "node/agent/node_object.h"
#include "node/agent/object_watch.h"

namespace stoker::node {

class NodeKeeper {
 public:
  NodeKeeper(client::Cluster& cluster, client::Loop& loop, const std::vector<NodeConfig>& nodes,
             std::function<Pressure()> pressure);
  ~NodeKeeper();
  void start();
  /// Nothing is written for a node that is down.
  void setDown(const std::string& node, bool down);

 private:
  void touch(const std::string& node);
  void report();
  void tick();
  void renew();
  void renewed(std::vector<size_t> which, bool created, const std::vector<Result<client::Object>>& results);

  client::Cluster& cluster_;
  client::Loop& loop_;
  const std::vector<NodeConfig>& nodes_;
  std::map<std::string, size_t> byName_;
  std::function<Pressure()> pressure_;
  Pressure now_;
  std::unique_ptr<ObjectWatch> watch_;
  std::set<std::string> dirty_, down_, reported_;
  bool reportPosted_ = false;
  std::vector<bool> leased_;
  bool renewing_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::node
