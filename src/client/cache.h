// cache.h
//
// What one process knows of one kind: every object in its slim struct, indexed by owner and node. Filled by an Informer
// (informer.h), read by reconcile functions through a View. Lives on one Loop; no locks.
//
// Kinds of which there may be a hundred thousand (T::numerous) are kept as the bytes that the store holds anyway, and
// decoded when they are read: a decoded pod takes 3 KB beside its 4 KB of bytes. The decoded
// form stays until kDecodedKept others have been decoded. Who needs something of all of them on every pass keeps it in
// a Follower.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <typeindex>
#include <unordered_map>
#include <vector>

#include "api/batch.h"
#include "api/discovery.h"
#include "api/gang.h"
#include "api/training.h"
#include "client/cluster.h"

namespace stoker::client {

struct Key {
  std::string namespace_, name;
  auto operator<=>(const Key&) const = default;
};

template <class T>
struct Entry {
  T object;
  Object raw;  ///< the bytes it was decoded from
};
template <class T>
using EntryPtr = std::shared_ptr<const Entry<T>>;
using MetaPtr = std::shared_ptr<const api::ObjectMeta>;

/// What an informer needs of a cache, whatever its kind.
class CacheBase {
 public:
  virtual ~CacheBase() = default;
  /// The object's metadata, where a listener may want it.
  virtual MetaPtr put(const Object& object) = 0;
  /// put() for each in turn, `done` after each.
  virtual void fill(const std::vector<Object>& objects, const std::function<void(const Key&, const MetaPtr&)>& done) {
    for (const Object& object : objects) done({object.namespace_, object.name}, put(object));
  }
  virtual void erase(const Key& key) = 0;
  virtual size_t size() const = 0;
  virtual std::vector<Key> keys() const = 0;
  virtual uint64_t versionOf(const Key& key) const = 0;  ///< 0 when absent
  /// Metadata of the object under `key`, as it is now; null when absent.
  virtual MetaPtr meta(const Key& key) const = 0;
  /// Forgets decoded forms beyond those that are kept; what `get` returned is not valid any more.
  virtual void trim() = 0;
};

/// Is told of every change of a cache, and so can keep what would cost too much to compute anew from all objects. What
/// it holds is a function of the cache's content alone.
template <class T>
class Follower {
 public:
  using Object = T;
  virtual ~Follower() = default;
  /// `entry`: the new state; null: gone.
  virtual void changed(const Key& key, const EntryPtr<T>& entry) = 0;
};

inline constexpr size_t kDecodedKept = 4096;

template <class T>
class Cache final : public CacheBase {
 public:
  /// Null when absent.
  EntryPtr<T> find(const std::string& ns, const std::string& name) const {
    auto it = objects_.find(Key{ns, name});
    return it == objects_.end() ? nullptr : entryOf(*it);
  }
  /// Null when absent. Valid until the cache changes or is trimmed, which happens between two tasks of its loop.
  const T* get(const std::string& ns, const std::string& name) const {
    auto entry = find(ns, name);
    return entry ? &entry->object : nullptr;
  }
  /// All, in key order. Numerous kinds are decoded for it: not for what runs often.
  std::vector<EntryPtr<T>> all() const {
    std::vector<EntryPtr<T>> out;
    out.reserve(objects_.size());
    for (const auto& slot : objects_) out.push_back(entryOf(slot));
    return out;
  }
  /// Objects with an ownerReference to `uid`, in key order.
  std::vector<EntryPtr<T>> ownedBy(const std::string& uid) const { return lookup(byOwner_, uid); }
  /// Objects with spec.nodeName == node, in key order.
  std::vector<EntryPtr<T>> onNode(const std::string& node) const { return lookup(byNode_, node); }
  std::vector<EntryPtr<T>> inNamespace(const std::string& ns) const {
    std::vector<EntryPtr<T>> out;
    for (auto it = objects_.lower_bound(Key{ns, ""}); it != objects_.end() && it->first.namespace_ == ns; ++it)
      out.push_back(entryOf(*it));
    return out;
  }
  size_t size() const override { return objects_.size(); }

  MetaPtr put(const Object& object) override { return put(decode(object)); }
  /// A long list is decoded by other threads ahead of its being put in here.
  void fill(const std::vector<Object>& objects, const std::function<void(const Key&, const MetaPtr&)>& done) override {
    using Chunk = std::vector<EntryPtr<T>>;
    constexpr size_t kChunk = 512, kAhead = 4;
    std::deque<std::future<Chunk>> ahead;
    size_t next = 0;
    auto begin = [&] {
      size_t from = next, to = std::min(objects.size(), from + kChunk);
      next = to;
      // A short list is not worth a thread.
      auto policy = objects.size() <= kChunk ? std::launch::deferred : std::launch::async | std::launch::deferred;
      ahead.push_back(std::async(policy, [&objects, from, to] {
        Chunk out;
        out.reserve(to - from);
        for (size_t i = from; i < to; ++i) out.push_back(decode(objects[i]));
        return out;
      }));
    };
    while (next < objects.size() && ahead.size() < kAhead) begin();
    while (!ahead.empty()) {
      Chunk chunk = ahead.front().get();
      ahead.pop_front();
      if (next < objects.size()) begin();
      for (EntryPtr<T>& entry : chunk) {
        if (!entry) continue;
        Key key{entry->raw.namespace_, entry->raw.name};
        done(key, put(std::move(entry)));
      }
    }
  }
  void erase(const Key& key) override {
    auto it = objects_.find(key);
    if (it == objects_.end()) return;
    unindex(*it);
    if (it->second.decoded) recent_.remove(it->second);
    objects_.erase(it);
    for (Follower<T>* follower : followers_) follower->changed(key, nullptr);
  }
  std::vector<Key> keys() const override {
    std::vector<Key> out;
    out.reserve(objects_.size());
    for (const auto& [key, slot] : objects_) out.push_back(key);
    return out;
  }
  uint64_t versionOf(const Key& key) const override {
    auto it = objects_.find(key);
    return it == objects_.end() ? 0 : it->second.resourceVersion;
  }
  MetaPtr meta(const Key& key) const override {
    auto entry = find(key.namespace_, key.name);
    return entry ? MetaPtr(entry, &entry->object.metadata) : nullptr;
  }

  void trim() override {
    if constexpr (requires { T::numerous; })
      while (recent_.size() > kDecodedKept) {
        const Slot& oldest = *recent_.oldest();
        recent_.remove(oldest);
        oldest.decoded.reset();
      }
  }

  /// Tells it of what is here, then of every change. It must outlive the cache.
  void attach(Follower<T>& follower) {
    followers_.push_back(&follower);
    for (const auto& slot : objects_) follower.changed(slot.first, entryOf(slot));
  }

 private:
  struct Slot {
    std::shared_ptr<const std::string> bytes;
    uint64_t resourceVersion = 0;
    mutable EntryPtr<T> decoded;  ///< null: to be decoded from `bytes` when it is read
    mutable const Slot *newer = nullptr, *older = nullptr;
  };
  using Objects = std::map<Key, Slot>;

  /// The slots with a decoded form, by when they were decoded.
  class Recent {
   public:
    void add(const Slot& slot) {
      slot.older = newest_;
      slot.newer = nullptr;
      (newest_ ? newest_->newer : oldest_) = &slot;
      newest_ = &slot;
      ++size_;
    }
    void remove(const Slot& slot) {
      (slot.newer ? slot.newer->older : newest_) = slot.older;
      (slot.older ? slot.older->newer : oldest_) = slot.newer;
      --size_;
    }
    const Slot* oldest() const { return oldest_; }
    size_t size() const { return size_; }

   private:
    const Slot *newest_ = nullptr, *oldest_ = nullptr;
    size_t size_ = 0;
  };

  struct ByKey {
    bool operator()(const Key* a, const Key* b) const { return *a < *b; }
  };
  using IndexMap = std::unordered_map<std::string, std::set<const Key*, ByKey>>;  // keys live in objects_

  static EntryPtr<T> decode(const Object& object) {  // null when it does not parse: what the API stores does
    auto entry = std::make_shared<Entry<T>>();
    entry->raw = object;
    json::Reader reader(*object.bytes);
    api::readInto(reader, entry->object, true);
    return reader.ok() ? std::move(entry) : nullptr;
  }
  MetaPtr put(EntryPtr<T> entry) {
    if (!entry) return nullptr;
    const Object& object = entry->raw;
    MetaPtr meta(entry, &entry->object.metadata);
    size_t before = objects_.size();
    Key key{object.namespace_, object.name};
    // Lists come in order: the end is where most belong.
    bool last = objects_.empty() || objects_.rbegin()->first < key;
    auto it = last ? objects_.try_emplace(objects_.end(), std::move(key)) : objects_.try_emplace(std::move(key)).first;
    if (objects_.size() == before) unindex(*it);
    it->second.bytes = object.bytes;
    it->second.resourceVersion = object.resourceVersion;
    for (const auto& owner : entry->object.metadata.ownerReferences) byOwner_[owner.uid].insert(&it->first);
    if (std::string node = nodeOf(entry->object); !node.empty()) byNode_[node].insert(&it->first);
    if (it->second.decoded) recent_.remove(it->second);
    it->second.decoded = std::move(entry);
    recent_.add(it->second);
    trim();
    for (Follower<T>* follower : followers_) follower->changed(it->first, it->second.decoded);
    return meta;
  }
  const EntryPtr<T>& entryOf(const typename Objects::value_type& object) const {
    const auto& [key, slot] = object;
    if (!slot.decoded) {
      slot.decoded = decode({key.namespace_, key.name, slot.resourceVersion, slot.bytes});  // as when it was put here
      recent_.add(slot);
    }
    return slot.decoded;
  }
  void unindex(const typename Objects::value_type& object) {
    EntryPtr<T> entry = entryOf(object);
    for (const auto& owner : entry->object.metadata.ownerReferences) drop(byOwner_, owner.uid, object.first);
    if (std::string node = nodeOf(entry->object); !node.empty()) drop(byNode_, node, object.first);
  }
  static std::string nodeOf(const T& object) {
    if constexpr (requires { object.spec.nodeName; })
      return object.spec.nodeName;
    else
      return {};
  }
  static void drop(IndexMap& index, const std::string& value, const Key& key) {
    auto it = index.find(value);
    if (it == index.end()) return;
    it->second.erase(&key);
    if (it->second.empty()) index.erase(it);
  }
  std::vector<EntryPtr<T>> lookup(const IndexMap& index, const std::string& value) const {
    std::vector<EntryPtr<T>> out;
    auto it = index.find(value);
    if (it == index.end()) return out;
    out.reserve(it->second.size());
    for (const Key* key : it->second) out.push_back(entryOf(*objects_.find(*key)));
    return out;
  }
  Objects objects_;
  mutable Recent recent_;
  IndexMap byOwner_, byNode_;
  std::vector<Follower<T>*> followers_;
};

// Compiled once, in cache.cc.
extern template class Cache<api::Pod>;
extern template class Cache<api::Node>;
extern template class Cache<api::Namespace>;
extern template class Cache<api::Service>;
extern template class Cache<api::Lease>;
extern template class Cache<api::PriorityClass>;
extern template class Cache<api::Job>;
extern template class Cache<api::EndpointSlice>;
extern template class Cache<api::Endpoints>;
extern template class Cache<api::Gang>;
extern template class Cache<api::PyTorchJob>;

/// The caches of a process by type: what reconcile functions read.
class View {
 public:
  template <class T>
  Cache<T>& add() {
    auto& slot = caches_[std::type_index(typeid(T))];
    if (!slot) slot = std::make_shared<Cache<T>>();
    return static_cast<Cache<T>&>(*slot);
  }
  /// The cache of T; it must have been added (a controller declares what it reads).
  template <class T>
  const Cache<T>& of() const {
    return static_cast<const Cache<T>&>(*caches_.at(std::type_index(typeid(T))));
  }
  template <class T>
  bool has() const {
    return caches_.contains(std::type_index(typeid(T)));
  }
  /// Between two tasks: what decisions have read may go again.
  void trim() {
    for (const auto& [type, cache] : caches_) cache->trim();
  }
  /// The one follower of that type, attached to the cache of what it follows.
  template <class F>
  F& follow() {
    auto& slot = followers_[std::type_index(typeid(F))];
    if (!slot) {
      auto follower = std::make_shared<F>();
      add<typename F::Object>().attach(*follower);
      slot = std::move(follower);
    }
    return *static_cast<F*>(slot.get());
  }
  /// It must have been added by `follow`.
  template <class F>
  const F& followed() const {
    return *static_cast<const F*>(followers_.at(std::type_index(typeid(F))).get());
  }

 private:
  std::map<std::type_index, std::shared_ptr<void>> followers_;  // before the caches that point to them
  std::map<std::type_index, std::shared_ptr<CacheBase>> caches_;
};

/// For kinds of which only metadata matters (garbage collection of any kind). Any JSON object decodes into it.
struct MetadataOnly {
  api::ObjectMeta metadata;
  static constexpr auto describe() { return std::tuple{api::field("metadata", &MetadataOnly::metadata)}; }
};

}  // namespace stoker::client
