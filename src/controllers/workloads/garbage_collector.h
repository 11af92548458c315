// garbage_collector.h
//
// Deletes what lost its owner, for any kind: ownerReferences by uid; background, foreground and orphan deletion.
// Watches the metadata of every resource it is told of, keeps only what ownership needs (owner_graph.h), and writes in
// bounded batches. An owner that is not known is asked for by name before anything is deleted because of it.
#pragma once

#include <deque>
#include <memory>

#include "client/informer.h"
#include "controllers/workloads/owner_graph.h"

namespace stoker::controllers {

class GarbageCollector {
 public:
  GarbageCollector(client::Cluster& cluster, client::Loop& loop, std::vector<CollectedResource> resources);
  ~GarbageCollector();
  GarbageCollector(const GarbageCollector&) = delete;
  GarbageCollector& operator=(const GarbageCollector&) = delete;

  /// Starts watching. Nothing is collected before every resource known at this moment has been listed.
  void start();
  /// A kind that appeared (a CRD), before or after start. Known ones and events (which own nothing) are left out.
  void addResource(const CollectedResource& resource);
  /// Nothing to do and nothing in flight.
  bool idle() const;
  size_t objects() const { return graph_.size(); }

 private:
  class Feed;
  void look(const std::vector<std::string>& uids);
  void schedule();
  void step();
  void ask(const std::string& uid, const std::vector<api::OwnerReference>& owners);
  void again(const std::string& uid, Duration pause);
  void sent(const std::vector<std::string>& uids, const std::vector<Result<client::Object>>& results);

  client::Cluster& cluster_;
  client::Loop& loop_;
  OwnerGraph graph_;
  std::vector<std::unique_ptr<Feed>> feeds_;
  std::deque<std::string> queue_;
  std::set<std::string> queued_;
  std::map<std::string, OwnerGraph::Presence> answers_;
  /// Who was kept because of an answer "present", by the answer's key: looked at again when it runs out.
  std::map<std::string, std::vector<std::string>> leaning_;
  size_t unsynced_ = 0;
  size_t asking_ = 0;
  bool started_ = false, open_ = false, stepPosted_ = false, writing_ = false;
  std::shared_ptr<bool> alive_;
};

}  // namespace stoker::controllers
