#include "client/manager.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/strings.h"

namespace stoker::client {
namespace {

constexpr Duration kFirstRetry = 5ms;   // controller-runtime's exponential per-key back-off: 5 ms * 2^n ...
constexpr Duration kLastRetry = 60s;    // ... but bounded lower than its 1000 s: a person may be waiting
constexpr size_t kMaxEventCounts = 4096;  // remembered for counting repeats; forgetting only costs a new Event object

Duration backoff(int failures) {
  Duration pause = kFirstRetry;
  for (int i = 1; i < failures && pause < kLastRetry; ++i) pause *= 2;
  return std::min(pause, kLastRetry);
}

/// The uid of the controlling owner in a JSON object text; "" when there is none.
std::string ownerUid(const std::string& body) {
  json::Arena arena;
  auto parsed = json::parse(arena, body);
  if (!parsed.ok()) return {};
  for (json::Value owner : parsed->at({"metadata", "ownerReferences"}).items())
    if (owner["controller"].asBool()) return owner["uid"].str();
  return {};
}

}  // namespace

std::vector<Key> selfKey(const Key& key, const api::ObjectMeta*, const api::ObjectMeta*) { return {key}; }
std::vector<Key> singleKey(const Key&, const api::ObjectMeta*, const api::ObjectMeta*) { return {Key{}}; }

KeysOf controllerKey(std::string kind) {
  return [kind = std::move(kind)](const Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after) {
    std::vector<Key> out;
    for (const api::ObjectMeta* meta : {before, after}) {
      const api::OwnerReference* owner = meta ? meta->controller() : nullptr;
      if (!owner || owner->kind != kind) continue;
      Key found{key.namespace_, owner->name};
      if (out.empty() || out.back() != found) out.push_back(found);
    }
    return out;
  };
}

struct Manager::Work {
  bool dirty = false;    // must be reconciled (again)
  bool queued = false;   // stands in queue_
  bool running = false;  // its plan is being written
  std::vector<std::pair<Gvr, uint64_t>> waitFor;  // own writes the informers have not seen yet
  int failures = 0;
  uint64_t timer = 0;
};

struct Manager::Running {
  size_t controller;
  Key key;
  std::vector<Write> writes;
  Mode mode;
  std::optional<Time> wakeAt;
  bool failed = false;
};

Manager::Manager(Cluster& cluster, Loop& loop, Ids& ids, Options options)
    : cluster_(cluster), loop_(loop), ids_(ids), options_(std::move(options)), alive_(std::make_shared<bool>(true)) {}

Manager::~Manager() { *alive_ = false; }

std::unique_ptr<Informer> Manager::makeInformer(const Gvr& resource, CacheBase& cache) {
  auto informer = std::make_unique<Informer>(cluster_, loop_, resource, cache);
  informer->onProgress([this] { unblock(); });
  return informer;
}

void Manager::add(std::unique_ptr<Controller> controller) {
  controllers_.push_back(std::move(controller));
  Watches watches(*this, controllers_.size() - 1);
  controllers_.back()->setup(watches);
}

void Manager::watchKeys(Informer& informer, size_t controller, KeysOf keys) {
  informer.onChange([this, controller, keys = std::move(keys)](const Key& key, const api::ObjectMeta* before,
                                                               const api::ObjectMeta* after) {
    for (const Key& dirty : keys(key, before, after)) markDirty(controller, dirty);
  });
}

void Manager::start() {
  for (auto& [resource, informer] : informers_) {
    informer->onSynced([this] {
      if (!synced()) return;
      schedule();
      for (const auto& callback : std::exchange(syncedCallbacks_, {})) callback();
    });
    informer->start();
  }
}

bool Manager::synced() const {
  return std::all_of(informers_.begin(), informers_.end(), [](const auto& i) { return i.second->synced(); });
}

void Manager::onSynced(std::function<void()> callback) {
  if (synced()) callback();
  else syncedCallbacks_.push_back(std::move(callback));
}

bool Manager::idle() const {
  return synced() && std::all_of(work_.begin(), work_.end(), [](const auto& w) {
           return !w.second.dirty && !w.second.running && w.second.waitFor.empty();
         });
}

void Manager::enqueue(const std::string& controller, const Key& key) {
  for (size_t i = 0; i < controllers_.size(); ++i)
    if (controllers_[i]->name() == controller) markDirty(i, key);
}

void Manager::markDirty(size_t controller, const Key& key) {
  Work& work = work_[{controller, key}];
  work.dirty = true;
  if (work.queued || work.running || !work.waitFor.empty()) return;
  work.queued = true;
  queue_.emplace_back(controller, key);
  schedule();
}

void Manager::schedule() {
  if (stepPosted_ || queue_.empty()) return;
  stepPosted_ = true;
  loop_.post([this, alive = alive_] {
    if (!*alive) return;
    stepPosted_ = false;
    step();
  });
}

// One key per task, so that the simulator can put a crash between any two of them.
void Manager::step() {
  if (queue_.empty() || inFlight_ >= options_.maxPlansInFlight || !synced()) return;
  auto [controller, key] = queue_.front();
  queue_.pop_front();
  Work& work = work_[{controller, key}];
  work.queued = false;
  if (work.dirty) reconcile(controller, key);
  schedule();
}

void Manager::reconcile(size_t controller, const Key& key) {
  Work& work = work_[{controller, key}];
  work.dirty = false;
  if (work.timer) loop_.cancel(std::exchange(work.timer, 0));
  Plan plan = controllers_[controller]->reconcile(view_, key, loop_.now());
  auto running = std::make_shared<Running>(Running{controller, key, std::move(plan.writes), plan.mode, plan.wakeAt});
  if (!plan.events.empty()) {
    // Events are news, not state: they never hold up or fail the plan that tells them.
    std::vector<Write> events;
    for (const EventNote& note : plan.events) events.push_back(eventWrite(note));
    cluster_.write(std::move(events), Mode::Each, [](const std::vector<Result<Object>>&) {});
  }
  work.running = true;
  ++inFlight_;
  if (running->writes.empty()) release(running);
  else submit(running);
}

void Manager::submit(std::shared_ptr<Running> running) {
  cluster_.write(running->writes, running->mode,
                 [this, &loop = loop_, alive = alive_, running](std::vector<Result<Object>> results) {
                   loop.post([this, alive, running, results = std::move(results)]() mutable {
                     if (*alive) finished(running, std::move(results));
                   });
                 });
}

void Manager::finished(std::shared_ptr<Running> running, std::vector<Result<Object>> results) {
  Work& work = work_[{running->controller, running->key}];
  std::vector<Write> remaining;
  bool progress = false;
  for (size_t i = 0; i < results.size() && i < running->writes.size(); ++i) {
    Write& write = running->writes[i];
    if (results[i].ok()) {
      auto informer = informers_.find(write.resource);
      if (informer != informers_.end() && results[i]->resourceVersion > informer->second->seen())
        work.waitFor.emplace_back(write.resource, results[i]->resourceVersion);
      progress = true;
      continue;
    }
    const Error& error = results[i].error();
    if (error.message == kAborted) {
      remaining.push_back(std::move(write));
    } else if (error.reason == Reason::NotFound && write.verb == Write::Verb::Delete) {
      progress = true;  // gone is what was wanted
    } else if (error.reason == Reason::AlreadyExists && write.verb == Write::Verb::Create && write.subresource.empty() &&
               !ownerUid(write.body).empty()) {
      // Made by an earlier, cut run of the same plan? Then the name is there and the owner is ours.
      std::string mine = ownerUid(write.body);
      bool ours = false;
      bool answered = false;
      cluster_.get(write.resource, write.namespace_, write.name, [&](Result<Object> found) {
        answered = true;
        ours = found.ok() && ownerUid(*found->bytes) == mine;
      });
      if (answered && ours) {
        progress = true;
      } else {
        running->failed = true;
        log::debug("manager", "{} {}/{}: {}", controllers_[running->controller]->name(), running->key.namespace_,
                   running->key.name, error.message);
      }
    } else {
      running->failed = true;
      if (error.reason != Reason::Conflict && error.reason != Reason::NotFound)
        log::warn("manager", "{} {}/{}: cannot write {} {}: {}", controllers_[running->controller]->name(),
                  running->key.namespace_, running->key.name, write.resource.groupResource(), write.name, error.message);
    }
  }
  if (!running->failed && !remaining.empty() && progress) {
    running->writes = std::move(remaining);
    return submit(running);
  }
  release(running);
}

void Manager::release(const std::shared_ptr<Running>& running) {
  auto it = work_.find({running->controller, running->key});
  Work& work = it->second;
  work.running = false;
  bool wasFull = inFlight_-- >= options_.maxPlansInFlight;
  std::optional<Time> wake = running->wakeAt;
  if (running->failed) {
    ++work.failures;
    Time retry = loop_.now() + backoff(work.failures);
    wake = wake ? std::min(*wake, retry) : retry;
  } else {
    work.failures = 0;
  }
  std::erase_if(work.waitFor, [&](const auto& w) { return informers_.at(w.first)->seen() >= w.second; });
  if (wake) {
    size_t controller = running->controller;
    work.timer = loop_.at(*wake, [this, alive = alive_, controller, key = running->key] {
      if (!*alive) return;
      work_[{controller, key}].timer = 0;
      markDirty(controller, key);
    });
  }
  if (work.dirty && work.waitFor.empty()) {
    if (!work.queued) {
      work.queued = true;
      queue_.emplace_back(running->controller, running->key);
    }
  } else if (!work.dirty && work.waitFor.empty() && !work.timer && work.failures == 0) {
    work_.erase(it);
  }
  if (wasFull || !queue_.empty()) schedule();
}

// Called when an informer has moved on.
void Manager::unblock() {
  if (inFlight_ == 0 && queue_.empty() && work_.empty()) return;
  for (auto it = work_.begin(); it != work_.end();) {
    Work& work = it->second;
    if (work.running || work.waitFor.empty()) {
      ++it;
      continue;
    }
    std::erase_if(work.waitFor, [&](const auto& w) { return informers_.at(w.first)->seen() >= w.second; });
    if (work.waitFor.empty() && work.dirty && !work.queued) {
      work.queued = true;
      queue_.push_back(it->first);
    }
    if (work.waitFor.empty() && !work.dirty && !work.queued && !work.timer && work.failures == 0) it = work_.erase(it);
    else ++it;
  }
  schedule();
}

Write Manager::eventWrite(const EventNote& note) {
  Gvr events{"", "v1", "events"};
  std::string ns = note.namespace_.empty() ? "default" : note.namespace_;
  std::string id = join({note.uid, note.type, note.reason, note.message, note.kind, ns, note.name}, "\n");
  std::string now = formatTime(loop_.now());
  json::Arena arena;
  if (eventCounts_.size() >= kMaxEventCounts) eventCounts_.clear();
  EventCount& known = eventCounts_[id];
  if (++known.count > 1) {
    Write patch{.verb = Write::Verb::Patch, .resource = events, .namespace_ = ns, .name = known.name};
    patch.body = json::print(json::Object(arena).set("count", known.count).set("lastTimestamp", now).build());
    return patch;
  }
  known.first = loop_.now();
  known.name = fmt::format("{}.{:016x}", note.name, ids_.random());
  json::Value event =
      json::Object(arena)
          .set("apiVersion", "v1")
          .set("kind", "Event")
          .set("metadata", json::Object(arena).set("name", known.name).set("namespace", ns).build())
          .set("involvedObject", json::Object(arena)
                                     .set("apiVersion", note.apiVersion)
                                     .set("kind", note.kind)
                                     .setNonEmpty("namespace", note.namespace_)
                                     .set("name", note.name)
                                     .setNonEmpty("uid", note.uid)
                                     .build())
          .set("type", note.type)
          .set("reason", note.reason)
          .set("message", note.message)
          .set("source", json::Object(arena).set("component", options_.component).build())
          .set("firstTimestamp", now)
          .set("lastTimestamp", now)
          .set("count", 1)
          .build();
  return {.verb = Write::Verb::Create, .resource = events, .namespace_ = ns, .name = known.name, .body = json::print(event)};
}

}  // namespace stoker::client
