#include "node/agent/object_watch.h"

#include <set>

#include "base/log.h"

namespace stoker::node {
namespace {
// As client::Informer: the first retry at once, then 100 ms doubled up to about 25 s.
constexpr Duration kFirstPause = 100ms;
constexpr int kMaxDoublings = 8;
}  // namespace

struct ObjectWatch::Link {
  ObjectWatch* watch;  // null once it is gone; read and written on the loop only
  uint64_t generation = 0;
};

ObjectWatch::ObjectWatch(client::Cluster& cluster, client::Loop& loop, client::Gvr resource, Scope scope,
                         Handler onChange, std::function<void()> onSynced)
    : cluster_(cluster),
      loop_(loop),
      resource_(std::move(resource)),
      scope_(std::move(scope)),
      onChange_(std::move(onChange)),
      onSynced_(std::move(onSynced)),
      link_(std::make_shared<Link>(Link{this})) {}

ObjectWatch::~ObjectWatch() {
  link_->watch = nullptr;
  subscription_.reset();
}

void ObjectWatch::start() { list(); }

void ObjectWatch::list() {
  subscription_.reset();
  uint64_t generation = ++link_->generation;
  client::ListOptions options{
      .namespace_ = scope_.namespace_, .labelSelector = scope_.labelSelector, .fieldSelector = scope_.fieldSelector};
  cluster_.list(resource_, options, [&loop = loop_, link = link_, generation](Result<client::ObjectList> result) {
    loop.post([link, generation, result = std::make_shared<Result<client::ObjectList>>(std::move(result))] {
      if (!link->watch || link->generation != generation) return;
      ObjectWatch& self = *link->watch;
      if (!result->ok()) return self.retry(result->error(), &ObjectWatch::list);
      self.failures_ = 0;
      self.replace(**result);
      self.watch();
    });
  });
}

void ObjectWatch::watch() {
  uint64_t generation = ++link_->generation;
  subscription_.reset();
  client::WatchOptions options{.namespace_ = scope_.namespace_,
                               .labelSelector = scope_.labelSelector,
                               .fieldSelector = scope_.fieldSelector,
                               .resourceVersion = seen_};
  subscription_ =
      cluster_.watch(resource_, options, [&loop = loop_, link = link_, generation](const client::WatchEvent& event) {
        loop.post([link, generation, event] {
          if (!link->watch || link->generation != generation) return;
          ObjectWatch& self = *link->watch;
          if (event.type != client::WatchEvent::Type::Error) return self.apply(event);
          bool expired = event.error.reason == Reason::Expired || event.error.reason == Reason::Gone;
          self.retry(event.error, expired ? &ObjectWatch::list : &ObjectWatch::watch);
        });
      });
}

void ObjectWatch::retry(const Error& error, void (ObjectWatch::*next)()) {
  uint64_t generation = ++link_->generation;
  if (failures_ > 0) log::debug("node", "watch of {}: {}; trying again", resource_.groupResource(), error.message);
  Duration pause = failures_ == 0 ? Duration(0) : kFirstPause * (1 << std::min(failures_ - 1, kMaxDoublings));
  ++failures_;
  loop_.at(loop_.now() + pause, [link = link_, generation, next] {
    if (link->watch && link->generation == generation) (link->watch->*next)();
  });
}

void ObjectWatch::apply(const client::WatchEvent& event) {
  failures_ = 0;
  if (event.type != client::WatchEvent::Type::Bookmark) {
    client::Key key{event.object.namespace_, event.object.name};
    auto known = objects_.find(key);
    // Older than what is known of this object: a repetition.
    if (event.object.resourceVersion > (known != objects_.end() ? known->second.resourceVersion : seen_)) {
      if (event.type == client::WatchEvent::Type::Deleted) {
        if (known != objects_.end()) {
          objects_.erase(known);
          onChange_(key, nullptr);
        }
      } else {
        objects_[key] = event.object;
        onChange_(key, &objects_[key]);
      }
    }
  }
  seen_ = std::max(seen_, event.object.resourceVersion);
}

void ObjectWatch::replace(const client::ObjectList& list) {
  std::set<client::Key> present;
  for (const client::Object& object : list.items) {
    client::Key key{object.namespace_, object.name};
    present.insert(key);
    auto known = objects_.find(key);
    if (known != objects_.end() && known->second.resourceVersion == object.resourceVersion) continue;
    objects_[key] = object;
    onChange_(key, &objects_[key]);
  }
  std::vector<client::Key> gone;
  for (const auto& [key, object] : objects_)
    if (!present.contains(key)) gone.push_back(key);
  for (const client::Key& key : gone) {
    objects_.erase(key);
    onChange_(key, nullptr);
  }
  seen_ = list.resourceVersion;
  if (!std::exchange(synced_, true)) onSynced_();
}

}  // namespace stoker::node
