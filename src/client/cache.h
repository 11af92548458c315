// cache.h
//
// What one process knows of one kind: every object decoded once into its slim struct, indexed by owner and node. Filled
// by an Informer (informer.h), read by reconcile functions through a View. Lives on one Loop; no locks.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <typeindex>
#include <unordered_map>
#include <vector>

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

/// What an informer needs of a cache, whatever its kind.
class CacheBase {
 public:
  virtual ~CacheBase() = default;
  virtual void put(const Object& object) = 0;
  virtual void erase(const Key& key) = 0;
  virtual std::vector<Key> keys() const = 0;
  virtual uint64_t versionOf(const Key& key) const = 0;  ///< 0 when absent
  /// Keys of owners (by kind) of the object under `key`, as it is now.
  virtual const api::ObjectMeta* meta(const Key& key) const = 0;
};

template <class T>
class Cache final : public CacheBase {
 public:
  EntryPtr<T> find(const std::string& ns, const std::string& name) const {
    auto it = objects_.find(Key{ns, name});
    return it == objects_.end() ? nullptr : it->second;
  }
  /// Null when absent. Valid until the cache changes.
  const T* get(const std::string& ns, const std::string& name) const {
    auto it = objects_.find(Key{ns, name});
    return it == objects_.end() ? nullptr : &it->second->object;
  }
  /// All, in key order.
  const std::map<Key, EntryPtr<T>>& all() const { return objects_; }
  /// Objects with an ownerReference to `uid`, in key order.
  std::vector<EntryPtr<T>> ownedBy(const std::string& uid) const { return lookup(byOwner_, uid); }
  /// Objects with spec.nodeName == node, in key order.
  std::vector<EntryPtr<T>> onNode(const std::string& node) const { return lookup(byNode_, node); }
  std::vector<EntryPtr<T>> inNamespace(const std::string& ns) const {
    std::vector<EntryPtr<T>> out;
    for (auto it = objects_.lower_bound(Key{ns, ""}); it != objects_.end() && it->first.namespace_ == ns; ++it)
      out.push_back(it->second);
    return out;
  }
  size_t size() const { return objects_.size(); }

  void put(const Object& object) override {
    json::Arena arena;
    auto parsed = json::parse(arena, *object.bytes);
    if (!parsed.ok()) return;  // what the API stores parses
    auto entry = std::make_shared<Entry<T>>(Entry<T>{api::decode<T>(*parsed), object});
    Key key{object.namespace_, object.name};
    erase(key);
    for (const auto& owner : entry->object.metadata.ownerReferences) byOwner_[owner.uid].insert(key);
    if (std::string node = nodeOf(entry->object); !node.empty()) byNode_[node].insert(key);
    objects_[key] = std::move(entry);
  }
  void erase(const Key& key) override {
    auto it = objects_.find(key);
    if (it == objects_.end()) return;
    for (const auto& owner : it->second->object.metadata.ownerReferences) drop(byOwner_, owner.uid, key);
    if (std::string node = nodeOf(it->second->object); !node.empty()) drop(byNode_, node, key);
    objects_.erase(it);
  }
  std::vector<Key> keys() const override {
    std::vector<Key> out;
    out.reserve(objects_.size());
    for (const auto& [key, entry] : objects_) out.push_back(key);
    return out;
  }
  uint64_t versionOf(const Key& key) const override {
    auto it = objects_.find(key);
    return it == objects_.end() ? 0 : it->second->raw.resourceVersion;
  }
  const api::ObjectMeta* meta(const Key& key) const override {
    auto it = objects_.find(key);
    return it == objects_.end() ? nullptr : &it->second->object.metadata;
  }

 private:
  using IndexMap = std::unordered_map<std::string, std::set<Key>>;
  static std::string nodeOf(const T& object) {
    if constexpr (requires { object.spec.nodeName; })
      return object.spec.nodeName;
    else
      return {};
  }
  static void drop(IndexMap& index, const std::string& value, const Key& key) {
    auto it = index.find(value);
    if (it == index.end()) return;
    it->second.erase(key);
    if (it->second.empty()) index.erase(it);
  }
  std::vector<EntryPtr<T>> lookup(const IndexMap& index, const std::string& value) const {
    std::vector<EntryPtr<T>> out;
    auto it = index.find(value);
    if (it == index.end()) return out;
    out.reserve(it->second.size());
    for (const Key& key : it->second) out.push_back(objects_.at(key));
    return out;
  }
  std::map<Key, EntryPtr<T>> objects_;
  IndexMap byOwner_, byNode_;
};

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

 private:
  std::map<std::type_index, std::shared_ptr<CacheBase>> caches_;
};

/// For kinds of which only metadata matters (garbage collection of any kind). Any JSON object decodes into it.
struct MetadataOnly {
  api::ObjectMeta metadata;
  static constexpr auto describe() { return std::tuple{api::field("metadata", &MetadataOnly::metadata)}; }
};

}  // namespace stoker::client
