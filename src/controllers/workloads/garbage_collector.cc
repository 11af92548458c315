#include "controllers/workloads/garbage_collector.h"

#include "base/log.h"

namespace stoker::controllers {
namespace {

/// Writes sent together: large enough that 50,000 orphans go in seconds, small enough not to hold up the commit queue.
constexpr size_t kBatch = 256;
/// Objects looked at per task of the loop; others have their turn in between.
constexpr size_t kLooksPerStep = 2048;
/// Answers about absent owners that are remembered; forgetting only costs asking again.
constexpr size_t kMaxAnswers = 4096;
constexpr Duration kRetryPause = 100ms;
/// How soon an owner that exists but has not been seen yet is asked for again, in case its deletion is never seen
/// either.
constexpr Duration kUnseenOwnerPause = 30s;

struct SlimMetadata {
  std::string uid, resourceVersion, deletionTimestamp;
  std::vector<api::OwnerReference> ownerReferences;
  std::vector<std::string> finalizers;
  static constexpr auto describe() {
    return std::tuple{api::field("uid", &SlimMetadata::uid),
                      api::field("resourceVersion", &SlimMetadata::resourceVersion),
                      api::field("deletionTimestamp", &SlimMetadata::deletionTimestamp),
                      api::field("ownerReferences", &SlimMetadata::ownerReferences),
                      api::field("finalizers", &SlimMetadata::finalizers)};
  }
};

struct SlimObject {
  SlimMetadata metadata;
  static constexpr auto describe() { return std::tuple{api::field("metadata", &SlimObject::metadata)}; }
};

SlimMetadata readMetadata(const std::string& bytes) {
  auto decoded = api::decodeText<SlimObject>(bytes);
  return decoded.ok() ? std::move(decoded->metadata) : SlimMetadata{};
}

std::string answerKey(const OwnedObject& dependent, const api::OwnerReference& owner) {
  return dependent.key.namespace_ + "/" + owner.apiVersion + "/" + owner.kind + "/" + owner.name + "/" + owner.uid;
}

}  // namespace

/// One resource's informer, whose cache is the graph.
class GarbageCollector::Feed final : public client::CacheBase {
 public:
  Feed(GarbageCollector& collector, size_t resource, const client::Gvr& gvr)
      : collector_(collector), resource_(resource), informer_(collector.cluster_, collector.loop_, gvr, *this) {}

  client::Informer& informer() { return informer_; }
  client::MetaPtr put(const client::Object& object) override {
    SlimMetadata meta = readMetadata(*object.bytes);
    client::Key key{object.namespace_, object.name};
    Known& known = known_[key];
    if (!known.uid.empty() && known.uid != meta.uid) collector_.look(collector_.graph_.erase(known.uid));  // made anew
    known = {meta.uid, object.resourceVersion};
    collector_.look(collector_.graph_.put(meta.uid, {.resource = resource_,
                                                     .key = key,
                                                     .version = object.resourceVersion,
                                                     .owners = std::move(meta.ownerReferences),
                                                     .finalizers = std::move(meta.finalizers),
                                                     .deleting = !meta.deletionTimestamp.empty()}));
    return nullptr;  // nobody listens to this informer
  }
  void erase(const client::Key& key) override {
    auto it = known_.find(key);
    if (it == known_.end()) return;
    std::string uid = it->second.uid;
    known_.erase(it);
    collector_.look(collector_.graph_.erase(uid));
  }
  std::vector<client::Key> keys() const override {
    std::vector<client::Key> out;
    for (const auto& [key, known] : known_) out.push_back(key);
    return out;
  }
  uint64_t versionOf(const client::Key& key) const override {
    auto it = known_.find(key);
    return it == known_.end() ? 0 : it->second.version;
  }
  client::MetaPtr meta(const client::Key&) const override { return nullptr; }
  size_t size() const override { return known_.size(); }
  void trim() override {}

 private:
  struct Known {
    std::string uid;
    uint64_t version = 0;
  };
  GarbageCollector& collector_;
  size_t resource_;
  std::map<client::Key, Known> known_;
  client::Informer informer_;
};

GarbageCollector::GarbageCollector(client::Cluster& cluster, client::Loop& loop,
                                   std::vector<CollectedResource> resources)
    : cluster_(cluster), loop_(loop), alive_(std::make_shared<bool>(true)) {
  for (const CollectedResource& resource : resources) addResource(resource);
}

GarbageCollector::~GarbageCollector() { *alive_ = false; }

void GarbageCollector::addResource(const CollectedResource& resource) {
  if (resource.resource.resource == "events") return;
  for (const CollectedResource& known : graph_.resources())
    if (known.resource.group == resource.resource.group && known.resource.resource == resource.resource.resource)
      return;
  size_t index = graph_.addResource(resource);
  feeds_.push_back(std::make_unique<Feed>(*this, index, resource.resource));
  if (!started_) return;
  // Children of this kind were left alone so far, for nobody knew it. Those whose owner went before this list began
  // hear of it from no event.
  feeds_.back()->informer().onSynced([this] { look(graph_.candidates()); });
  feeds_.back()->informer().start();
}

void GarbageCollector::start() {
  started_ = true;
  unsynced_ = feeds_.size();
  open_ = unsynced_ == 0;
  for (auto& feed : feeds_) {
    feed->informer().onSynced([this] {
      if (--unsynced_ > 0) return;
      open_ = true;
      look(graph_.candidates());
    });
    feed->informer().start();
  }
}

bool GarbageCollector::idle() const { return open_ && queue_.empty() && !writing_ && asking_ == 0; }

void GarbageCollector::look(const std::vector<std::string>& uids) {
  if (!open_) return;  // all candidates are looked at when it opens
  for (const std::string& uid : uids)
    if (queued_.insert(uid).second) queue_.push_back(uid);
  schedule();
}

void GarbageCollector::again(const std::string& uid, Duration pause) {
  loop_.at(loop_.now() + pause, [this, alive = alive_, uid] {
    if (*alive) look({uid});
  });
}

void GarbageCollector::schedule() {
  if (stepPosted_ || writing_ || queue_.empty()) return;
  stepPosted_ = true;
  loop_.post([this, alive = alive_] {
    if (!*alive) return;
    stepPosted_ = false;
    step();
  });
}

void GarbageCollector::step() {
  if (writing_) return;
  std::vector<client::Write> writes;
  std::vector<std::string> about;  // whom each write is about
  for (size_t looks = 0; looks < kLooksPerStep && writes.size() < kBatch && !queue_.empty(); ++looks) {
    std::string uid = std::move(queue_.front());
    queue_.pop_front();
    queued_.erase(uid);
    CollectorDecision decision =
        graph_.decide(uid, [&](const OwnedObject& dependent, const api::OwnerReference& owner) {
          auto it = answers_.find(answerKey(dependent, owner));
          if (it == answers_.end()) return OwnerGraph::Presence::Unknown;
          if (it->second == OwnerGraph::Presence::Present) leaning_[it->first].push_back(uid);
          return it->second;
        });
    if (!decision.unknown.empty()) ask(uid, decision.unknown);
    for (client::Write& write : decision.writes) {
      writes.push_back(std::move(write));
      about.push_back(uid);
    }
    look(decision.next);
  }
  if (writes.empty()) return schedule();
  writing_ = true;
  cluster_.write(std::move(writes), client::Mode::Each,
                 [this, &loop = loop_, alive = alive_, about](std::vector<Result<client::Object>> results) {
                   loop.post([this, alive, about, results = std::move(results)] {
                     if (*alive) sent(about, results);
                   });
                 });
}

void GarbageCollector::sent(const std::vector<std::string>& uids, const std::vector<Result<client::Object>>& results) {
  writing_ = false;
  for (size_t i = 0; i < results.size() && i < uids.size(); ++i) {
    if (results[i].ok() || results[i].error().reason == Reason::NotFound) continue;
    if (results[i].error().reason != Reason::Conflict)
      log::warn("garbage-collector", "cannot write about {}: {}", uids[i], results[i].error().message);
    again(uids[i], kRetryPause);
  }
  schedule();
}

void GarbageCollector::ask(const std::string& uid, const std::vector<api::OwnerReference>& owners) {
  const OwnedObject* object = graph_.find(uid);
  if (answers_.size() >= kMaxAnswers) answers_.clear();
  for (const api::OwnerReference& owner : owners) {
    const CollectedResource* resource = graph_.resourceOf(*object, owner);
    std::string key = answerKey(*object, owner);
    ++asking_;
    cluster_.get(resource->resource, resource->namespaced ? object->key.namespace_ : "", owner.name,
                 [this, &loop = loop_, alive = alive_, uid, key, wanted = owner.uid](Result<client::Object> found) {
                   loop.post([this, alive, uid, key, wanted, found = std::move(found)] {
                     if (!*alive) return;
                     --asking_;
                     if (!found.ok() && found.error().reason != Reason::NotFound) return again(uid, kRetryPause);
                     bool present = found.ok() && readMetadata(*found->bytes).uid == wanted;
                     if (present) {
                       // Its informer will tell of it soon; the answer is good only until then.
                       loop_.at(loop_.now() + kUnseenOwnerPause, [this, alive, key] {
                         if (!*alive) return;
                         answers_.erase(key);
                         if (auto leaning = leaning_.extract(key)) look(leaning.mapped());
                       });
                     }
                     answers_[key] = present ? OwnerGraph::Presence::Present : OwnerGraph::Presence::Absent;
                     look({uid});
                   });
                 });
  }
}

}  // namespace stoker::controllers
