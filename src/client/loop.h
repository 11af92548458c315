// loop.h: one thread's queue of tasks and timers. Everything a controller, informer or agent core owns lives on one
// Loop and needs no lock. The simulator drives a ManualLoop; the product a ThreadLoop.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "base/time.h"

namespace stoker::client {

class Loop {
 public:
  using Task = std::function<void()>;
  virtual ~Loop() = default;
  virtual Time now() const = 0;
  /// From any thread; tasks run in order.
  virtual void post(Task task) = 0;
  /// Runs `task` at `when` or as soon as possible after it. From any thread. The id cancels it.
  virtual uint64_t at(Time when, Task task) = 0;
  virtual void cancel(uint64_t id) = 0;
};

/// A named thread of its own.
class ThreadLoop final : public Loop {
 public:
  ThreadLoop(std::string name, const Clock& clock);
  ~ThreadLoop() override;  ///< as stop()
  Time now() const override { return clock_.now(); }
  void post(Task task) override;
  uint64_t at(Time when, Task task) override;
  void cancel(uint64_t id) override;
  /// Finishes the running task, drops the rest and all that is posted later. Idempotent; joins unless called from the
  /// loop.
  void stop();
  /// Runs `task` on the loop and waits until it has; returns without having run it when the loop has been stopped.
  void call(const Task& task);

 private:
  void run();
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  std::map<std::pair<Time, uint64_t>, Task> timers_;
  std::map<uint64_t, Time> timerTimes_;
  uint64_t nextId_ = 1;
  std::atomic<bool> stopping_ = false;  // set under the mutex; read without it between the tasks of a batch
  std::thread thread_;
};

/// Runs nothing by itself: tests and the simulator decide what goes next and when time moves.
class ManualLoop final : public Loop {
 public:
  explicit ManualLoop(ManualClock& clock) : clock_(clock) {}
  Time now() const override { return clock_.now(); }
  void post(Task task) override { tasks_.push_back(std::move(task)); }
  uint64_t at(Time when, Task task) override;
  void cancel(uint64_t id) override;

  size_t pending() const { return tasks_.size(); }
  bool runOne();  ///< the oldest task; false when none waits
  void runAll();  ///< until none waits (timers not included)
  std::optional<Time> nextTimer() const;
  void fireTimers();  ///< posts the tasks of all timers that are due
  /// Runs tasks and due timers, moving the clock from timer to timer, until nothing is left before `end`; then sets it
  /// there.
  void runUntil(Time end);
  void clear();  ///< drops everything: a crash

 private:
  ManualClock& clock_;
  std::deque<Task> tasks_;
  std::map<std::pair<Time, uint64_t>, Task> timers_;
  std::map<uint64_t, Time> timerTimes_;
  uint64_t nextId_ = 1;
};

}  // namespace stoker::client
