// object_watch.h
//
// List, then watch for ever, with selectors: the raw objects of one node, one namespace or one name. What
// client::Informer is to controllers, without decoding: the agent reads whole objects and only when it needs them
// (decision 14). Lives on one Loop.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "client/cache.h"
#include "client/cluster.h"
#include "client/loop.h"

namespace stoker::node {

class ObjectWatch {
 public:
  /// `after` is null when the object has gone.
  using Handler = std::function<void(const client::Key& key, const client::Object* after)>;
  struct Scope {
    std::string namespace_;  ///< empty: all
    std::string fieldSelector, labelSelector;
  };

  ObjectWatch(client::Cluster& cluster, client::Loop& loop, client::Gvr resource, Scope scope, Handler onChange,
              std::function<void()> onSynced);
  ~ObjectWatch();
  ObjectWatch(const ObjectWatch&) = delete;
  ObjectWatch& operator=(const ObjectWatch&) = delete;

  void start();
  bool synced() const { return synced_; }
  const std::map<client::Key, client::Object>& objects() const { return objects_; }
  const client::Object* find(const client::Key& key) const {
    auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : &it->second;
  }

 private:
  struct Link;
  void list();
  void watch();
  void apply(const client::WatchEvent& event);
  void replace(const client::ObjectList& list);
  void retry(const Error& error, void (ObjectWatch::*next)());

  client::Cluster& cluster_;
  client::Loop& loop_;
  client::Gvr resource_;
  Scope scope_;
  Handler onChange_;
  std::function<void()> onSynced_;
  std::shared_ptr<Link> link_;
  std::unique_ptr<client::Subscription> subscription_;
  std::map<client::Key, client::Object> objects_;
  bool synced_ = false;
  uint64_t seen_ = 0;
  int failures_ = 0;
};

}  // namespace stoker::node
