#include "client/informer.h"

#include "base/log.h"

namespace stoker::client {
namespace {
// First pause after a failed list or watch; doubled up to the bound. A server that restarts is back within the first
// few.
constexpr Duration kFirstPause = 100ms;
constexpr int kMaxDoublings = 8;
// A watch that held this long was a good one: its end is a matter of course, not a failure to back off from.
constexpr Duration kGoodWatch = 5s;
}  // namespace

struct Informer::Link {
  Informer* informer;  // null once it is gone; read and written on the loop only
  uint64_t generation = 0;
};

Informer::Informer(Cluster& cluster, Loop& loop, Gvr resource, CacheBase& cache)
    : cluster_(cluster),
      loop_(loop),
      resource_(std::move(resource)),
      cache_(cache),
      link_(std::make_shared<Link>(Link{this})) {}

Informer::~Informer() { link_->informer = nullptr; }

void Informer::start() { list(); }

void Informer::onSynced(std::function<void()> callback) {
  if (synced_)
    callback();
  else
    syncedCallbacks_.push_back(std::move(callback));
}

void Informer::list() {
  subscription_.reset();
  uint64_t generation = ++link_->generation;
  cluster_.list(resource_, {}, [&loop = loop_, link = link_, generation](Result<ObjectList> result) {
    loop.post([link, generation, result = std::make_shared<Result<ObjectList>>(std::move(result))] {
      if (!link->informer || link->generation != generation) return;
      Informer& self = *link->informer;
      if (!result->ok()) return self.retry(result->error(), &Informer::list);
      // Failures are not forgotten yet: a server that lists but cannot watch must not be listed without a pause.
      self.replace(**result);
      self.watch();
    });
  });
}

void Informer::watch() {
  uint64_t generation = ++link_->generation;
  subscription_.reset();
  watchedSince_ = loop_.now();
  subscription_ = cluster_.watch(
      resource_, {.resourceVersion = seen_}, [&loop = loop_, link = link_, generation](const WatchEvent& event) {
        loop.post([link, generation, event] {
          if (!link->informer || link->generation != generation) return;
          Informer& self = *link->informer;
          if (event.type != WatchEvent::Type::Error) return self.apply(event);
          if (self.loop_.now() - self.watchedSince_ >= kGoodWatch) self.failures_ = 0;
          bool expired = event.error.reason == Reason::Expired || event.error.reason == Reason::Gone;
          self.retry(event.error, expired ? &Informer::list : &Informer::watch);
        });
      });
}

void Informer::retry(const Error& error, void (Informer::*next)()) {
  uint64_t generation = ++link_->generation;
  if (failures_ > 0) log::debug("informer", "{}: {}; trying again", resource_.groupResource(), error.message);
  // The first retry is immediate: a server closes watches as a matter of course.
  Duration pause = failures_ == 0 ? Duration(0) : kFirstPause * (1 << std::min(failures_ - 1, kMaxDoublings));
  ++failures_;
  loop_.at(loop_.now() + pause, [link = link_, generation, next] {
    if (link->informer && link->generation == generation) (link->informer->*next)();
  });
}

void Informer::apply(const WatchEvent& event) {
  failures_ = 0;
  if (event.type != WatchEvent::Type::Bookmark) {
    Key key{event.object.namespace_, event.object.name};
    // Older than what is known of this object: a repetition. Of an object that is not there, everything up to `seen` is
    // old.
    uint64_t known = cache_.versionOf(key);
    if (event.object.resourceVersion > (known != 0 ? known : seen_)) {
      MetaPtr before = handlers_.empty() ? nullptr : cache_.meta(key);
      MetaPtr after;
      if (event.type == WatchEvent::Type::Deleted)
        cache_.erase(key);
      else
        after = cache_.put(event.object);
      if (before || after)
        for (const auto& handler : handlers_) handler(key, before.get(), after.get());
    }
  }
  if (event.object.resourceVersion > seen_) seen_ = event.object.resourceVersion;
  for (const auto& callback : progress_) callback();
}

void Informer::replace(const ObjectList& list) {
  auto tell = [&](const Key& key, const MetaPtr& before, const MetaPtr& after) {
    for (const auto& handler : handlers_) handler(key, before.get(), after.get());
  };
  if (cache_.size() == 0) {
    cache_.fill(list.items, [&](const Key& key, const MetaPtr& after) { tell(key, nullptr, after); });
  } else {
    std::set<Key> present;
    for (const Object& object : list.items) {
      Key key{object.namespace_, object.name};
      // A server that was rolled back may answer with an older state: the list is the truth.
      if (cache_.versionOf(key) != object.resourceVersion) {
        MetaPtr before = cache_.meta(key);
        tell(key, before, cache_.put(object));
      }
      present.insert(std::move(key));
    }
    for (const Key& key : cache_.keys()) {
      if (present.contains(key)) continue;
      MetaPtr before = cache_.meta(key);
      cache_.erase(key);
      tell(key, before, nullptr);
    }
  }
  seen_ = list.resourceVersion;
  if (!synced_) {
    synced_ = true;
    for (const auto& callback : std::exchange(syncedCallbacks_, {})) callback();
  }
  for (const auto& callback : progress_) callback();
}

}  // namespace stoker::client
