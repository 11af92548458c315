// manager.h
//
// Runs controllers: informers fill the View, changes make keys dirty, a dirty key is reconciled into a Plan, the plan
// is applied, and the key rests until the informers have seen what it wrote. One Loop drives it all, so the simulator
// can.
#pragma once

#include <deque>
#include <map>
#include <memory>

#include "base/ids.h"
#include "client/cache.h"
#include "client/event_recorder.h"
#include "client/informer.h"
#include "client/loop.h"
#include "client/plan.h"

namespace stoker::client {

class Manager;

/// A decision procedure over one kind of key. Implementations hold no state that matters: the same View gives the same
/// Plan.
class Controller {
 public:
  virtual ~Controller() = default;
  virtual std::string name() const = 0;
  /// Declares what is read and what makes which key dirty; called once.
  virtual void setup(class Watches& watches) = 0;
  virtual Plan reconcile(const View& view, const Key& key, Time now) = 0;
};

/// Maps a change to the keys that must look at it. `before`/`after` as in ChangeHandler.
using KeysOf =
    std::function<std::vector<Key>(const Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after)>;

/// The object itself.
std::vector<Key> selfKey(const Key& key, const api::ObjectMeta*, const api::ObjectMeta*);
/// Its controlling owner of that kind.
KeysOf controllerKey(std::string kind);
/// One key for everything: {"", ""}.
std::vector<Key> singleKey(const Key&, const api::ObjectMeta*, const api::ObjectMeta*);

class Watches {
 public:
  Watches(Manager& manager, size_t controller) : manager_(manager), controller_(controller) {}
  /// Reads T; its changes do nothing by themselves.
  template <class T>
  void read();
  /// Reads T, and its changes make the given keys dirty.
  template <class T>
  void on(KeysOf keys);
  /// What is there; for conditions in KeysOf.
  const View& view() const;
  /// Reads what F follows, and has it kept (View::follow).
  template <class F>
  F& follow();

 private:
  Manager& manager_;
  size_t controller_;
};

class Manager {
 public:
  struct Options {
    std::string component = "stoker";  ///< source of events
    size_t maxPlansInFlight = 256;     ///< plans written at once; more only wait longer in the commit queue
  };
  Manager(Cluster& cluster, Loop& loop, Ids& ids, Options options);
  ~Manager();

  /// `as`: under whose identity its plans are written; null: the manager's own cluster. Reading is shared by all.
  void add(std::unique_ptr<Controller> controller, Cluster* as = nullptr);
  /// Starts all informers; controllers run once every informer has its first list.
  void start();
  const View& view() const { return view_; }
  View& view() { return view_; }
  bool synced() const;
  /// Called once, when synced.
  void onSynced(std::function<void()> callback);
  /// Nothing is dirty, in flight or blocked (timers may wait).
  bool idle() const;
  void enqueue(const std::string& controller, const Key& key);

  template <class T>
  Informer& informer() {
    Gvr resource = gvrOf<T>();
    auto& slot = informers_[resource];
    if (!slot) slot = makeInformer(resource, view_.add<T>());
    return *slot;
  }

 private:
  friend class Watches;
  struct Work;
  struct Running;
  using WorkId = std::pair<size_t, Key>;  ///< controller and key
  std::unique_ptr<Informer> makeInformer(const Gvr& resource, CacheBase& cache);
  void watchKeys(Informer& informer, size_t controller, KeysOf keys);
  void markDirty(const WorkId& id);
  void settle(const WorkId& id);
  void schedule();
  void step();
  void reconcile(const WorkId& id);
  void submit(const std::shared_ptr<Running>& running);
  void finished(const std::shared_ptr<Running>& running, std::vector<Result<Object>> results);
  void verify(const std::shared_ptr<Running>& running, Write write, Error error);
  void proceed(const std::shared_ptr<Running>& running);
  void release(const std::shared_ptr<Running>& running);
  void fail(Running& running, const Write& write, const Error& error);
  void waitFor(const WorkId& id, const Gvr& resource, uint64_t resourceVersion);
  void unblock(const Informer& informer);

  Cluster& cluster_;
  Loop& loop_;
  Options options_;
  View view_;
  std::map<Gvr, std::unique_ptr<Informer>> informers_;
  std::vector<std::unique_ptr<Controller>> controllers_;
  std::vector<Cluster*> writers_;  // beside controllers_
  std::map<WorkId, Work> work_;
  std::deque<WorkId> queue_;
  std::map<Gvr, std::multimap<uint64_t, WorkId>> waiting_;  ///< who waits for which informer to reach which revision
  uint64_t wakes_ = 0;
  size_t inFlight_ = 0;
  bool stepPosted_ = false;
  std::vector<std::function<void()>> syncedCallbacks_;
  EventRecorder events_;
  std::shared_ptr<bool> alive_;
};

template <class T>
void Watches::read() {
  manager_.informer<T>();
}
inline const View& Watches::view() const { return manager_.view(); }
template <class F>
F& Watches::follow() {
  manager_.informer<typename F::Object>();
  return manager_.view().follow<F>();
}
template <class T>
void Watches::on(KeysOf keys) {
  manager_.watchKeys(manager_.informer<T>(), controller_, std::move(keys));
}

}  // namespace stoker::client
