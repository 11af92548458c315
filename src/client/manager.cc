#include "client/manager.h"

#include <fmt/format.h>

#include "base/log.h"
#include "base/strings.h"

namespace stoker::client {
namespace {

constexpr Duration kFirstRetry = 5ms;  // controller-runtime's exponential per-key back-off: 5 ms * 2^n ...
constexpr Duration kLastRetry = 60s;   // ... but bounded lower than its 1000 s: a person may be waiting

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
  int waits = 0;         // own writes the informers have not seen yet
  int failures = 0;
  uint64_t timer = 0;
  uint64_t wake = 0;  // tells the timer's own task from that of a cancelled one which was already on its way
};

struct Manager::Running {
  WorkId id;
  std::vector<Write> writes;
  Mode mode;
  std::optional<Time> wakeAt;
  bool failed = false;
  std::vector<Write> remaining = {};  // not tried yet
  size_t questions = 0;               // names taken by we do not know whom yet
};

Manager::Manager(Cluster& cluster, Loop& loop, Ids& ids, Options options)
    : cluster_(cluster),
      loop_(loop),
      options_(std::move(options)),
      events_(cluster, loop, ids, options_.component),
      alive_(std::make_shared<bool>(true)) {}

Manager::~Manager() { *alive_ = false; }

std::unique_ptr<Informer> Manager::makeInformer(const Gvr& resource, CacheBase& cache) {
  auto informer = std::make_unique<Informer>(cluster_, loop_, resource, cache);
  informer->onProgress([this, seen = informer.get()] { unblock(*seen); });
  return informer;
}

void Manager::add(std::unique_ptr<Controller> controller, Cluster* as) {
  controllers_.push_back(std::move(controller));
  writers_.push_back(as ? as : &cluster_);
  Watches watches(*this, controllers_.size() - 1);
  controllers_.back()->setup(watches);
}

void Manager::watchKeys(Informer& informer, size_t controller, KeysOf keys) {
  informer.onChange([this, controller, keys = std::move(keys)](const Key& key, const api::ObjectMeta* before,
                                                               const api::ObjectMeta* after) {
    for (const Key& dirty : keys(key, before, after)) markDirty({controller, dirty});
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
  if (synced())
    callback();
  else
    syncedCallbacks_.push_back(std::move(callback));
}

bool Manager::idle() const {
  return synced() && std::all_of(work_.begin(), work_.end(), [](const auto& w) {
           return !w.second.dirty && !w.second.running && w.second.waits == 0;
         });
}

void Manager::enqueue(const std::string& controller, const Key& key) {
  for (size_t i = 0; i < controllers_.size(); ++i)
    if (controllers_[i]->name() == controller) markDirty({i, key});
}

void Manager::markDirty(const WorkId& id) {
  work_[id].dirty = true;
  settle(id);
}

// Queues what may run, forgets what has nothing left to remember.
void Manager::settle(const WorkId& id) {
  auto it = work_.find(id);
  Work& work = it->second;
  if (work.queued || work.running || work.waits > 0) return;
  if (work.dirty) {
    work.queued = true;
    queue_.push_back(id);
    schedule();
  } else if (!work.timer && work.failures == 0) {
    work_.erase(it);
  }
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
  WorkId id = std::move(queue_.front());
  queue_.pop_front();
  reconcile(id);
  schedule();
}

void Manager::reconcile(const WorkId& id) {
  Work& work = work_[id];
  work.queued = work.dirty = false;
  work.wake = 0;
  if (work.timer) loop_.cancel(std::exchange(work.timer, 0));
  Plan plan = controllers_[id.first]->reconcile(view_, id.second, loop_.now());
  view_.trim();
  auto running = std::make_shared<Running>(Running{id, std::move(plan.writes), plan.mode, plan.wakeAt});
  if (!plan.events.empty()) events_.record(plan.events);
  work.running = true;
  ++inFlight_;
  if (running->writes.empty())
    release(running);
  else
    submit(running);
}

void Manager::submit(const std::shared_ptr<Running>& running) {
  writers_[running->id.first]->write(
      running->writes, running->mode,
      [this, &loop = loop_, alive = alive_, running](std::vector<Result<Object>> results) {
        loop.post([this, alive, running, results = std::move(results)]() mutable {
          if (*alive) finished(running, std::move(results));
        });
      });
}

void Manager::finished(const std::shared_ptr<Running>& running, std::vector<Result<Object>> results) {
  running->remaining.clear();
  std::vector<std::pair<Write, Error>> taken;
  for (size_t i = 0; i < results.size() && i < running->writes.size(); ++i) {
    Write& write = running->writes[i];
    if (results[i].ok()) {
      waitFor(running->id, write.resource, results[i]->resourceVersion);
      continue;
    }
    const Error& error = results[i].error();
    if (error.message == kAborted) {
      running->remaining.push_back(std::move(write));
    } else if (error.reason == Reason::NotFound && write.verb == Write::Verb::Delete) {
      // Gone is what was wanted.
    } else if (error.reason == Reason::AlreadyExists && write.verb == Write::Verb::Create &&
               write.subresource.empty() && !ownerUid(write.body).empty()) {
      taken.emplace_back(std::move(write), error);
    } else {
      fail(*running, write, error);
    }
  }
  running->questions = taken.size();
  for (auto& [write, error] : taken) verify(running, std::move(write), std::move(error));
  if (taken.empty()) proceed(running);
}

// The name is taken: by an earlier, cut run of the same plan? Then the owner is ours and all is well.
void Manager::verify(const std::shared_ptr<Running>& running, Write write, Error error) {
  Gvr resource = write.resource;
  std::string ns = write.namespace_, name = write.name;
  auto asked = std::make_shared<std::pair<Write, Error>>(std::move(write), std::move(error));
  cluster_.get(resource, ns, name, [this, &loop = loop_, alive = alive_, running, asked](Result<Object> found) {
    loop.post([this, alive, running, asked, found = std::move(found)] {
      if (!*alive) return;
      const auto& [write, error] = *asked;
      if (found.ok() && ownerUid(*found->bytes) == ownerUid(write.body))
        waitFor(running->id, write.resource, found->resourceVersion);
      else
        fail(*running, write, error);
      if (--running->questions == 0) proceed(running);
    });
  });
}

void Manager::fail(Running& running, const Write& write, const Error& error) {
  running.failed = true;
  // Somebody else was faster: that is what the next attempt is for. What goes on failing is said at first and then once
  // per longest pause.
  int before = work_.at(running.id).failures;
  bool usual = error.reason == Reason::Conflict || error.reason == Reason::NotFound ||
               error.reason == Reason::AlreadyExists || (before > 0 && backoff(before) < kLastRetry);
  std::string text = fmt::format("{} {}/{}: cannot write {} {}: {}", controllers_[running.id.first]->name(),
                                 running.id.second.namespace_, running.id.second.name, write.resource.groupResource(),
                                 write.name, error.message);
  if (usual)
    log::debug("manager", "{}", text);
  else
    log::warn("manager", "{}", text);
}

// What went wrong did no harm: the rest of the sequence is tried. Each round is shorter than the one before.
void Manager::proceed(const std::shared_ptr<Running>& running) {
  if (running->failed || running->remaining.empty()) return release(running);
  running->writes = std::move(running->remaining);
  submit(running);
}

void Manager::release(const std::shared_ptr<Running>& running) {
  Work& work = work_.at(running->id);
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
  if (wake) {
    uint64_t serial = work.wake = ++wakes_;
    work.timer = loop_.at(*wake, [this, alive = alive_, id = running->id, serial] {
      if (!*alive) return;
      auto it = work_.find(id);
      if (it == work_.end() || it->second.wake != serial) return;
      it->second.timer = 0;
      markDirty(id);
    });
  }
  settle(running->id);
  if (wasFull) schedule();
}

void Manager::waitFor(const WorkId& id, const Gvr& resource, uint64_t resourceVersion) {
  auto informer = informers_.find(resource);
  if (informer == informers_.end() || resourceVersion <= informer->second->seen()) return;
  waiting_[resource].emplace(resourceVersion, id);
  ++work_.at(id).waits;
}

// Called when an informer has moved on.
void Manager::unblock(const Informer& informer) {
  auto found = waiting_.find(informer.resource());
  if (found == waiting_.end()) return;
  auto& waiting = found->second;
  while (!waiting.empty() && waiting.begin()->first <= informer.seen()) {
    WorkId id = std::move(waiting.begin()->second);
    waiting.erase(waiting.begin());
    --work_.at(id).waits;
    settle(id);
  }
}

}  // namespace stoker::client
