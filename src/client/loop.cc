#include "client/loop.h"

#include <pthread.h>

#include <future>

namespace stoker::client {
namespace {
// Timers follow the wall clock, waiting does not: it is looked at again at least this often, in case it was set forward
// (and waits far ahead would overflow).
constexpr Duration kLongestWait = 60s;
}  // namespace

ThreadLoop::ThreadLoop(std::string name, const Clock& clock) : clock_(clock) {
  thread_ = std::thread([this, name = std::move(name)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    run();
  });
}

ThreadLoop::~ThreadLoop() { stop(); }

void ThreadLoop::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable() && thread_.get_id() != std::this_thread::get_id()) thread_.join();
}

void ThreadLoop::post(Task task) {
  bool first;
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    first = tasks_.empty();
    tasks_.push_back(std::move(task));
  }
  if (first) wake_.notify_one();
}

uint64_t ThreadLoop::at(Time when, Task task) {
  uint64_t id;
  {
    std::lock_guard lock(mutex_);
    id = nextId_++;
    timers_.emplace(std::pair(when, id), std::move(task));
    timerTimes_[id] = when;
  }
  wake_.notify_one();
  return id;
}

void ThreadLoop::cancel(uint64_t id) {
  Task dropped;  // destroyed outside the lock: it may own things that take it
  std::lock_guard lock(mutex_);
  auto it = timerTimes_.find(id);
  if (it == timerTimes_.end()) return;
  auto timer = timers_.find({it->second, id});
  dropped = std::move(timer->second);
  timers_.erase(timer);
  timerTimes_.erase(it);
}

void ThreadLoop::call(const Task& task) {
  if (std::this_thread::get_id() == thread_.get_id()) return task();
  auto done = std::make_shared<std::promise<void>>();
  std::future<void> finished = done->get_future();
  post([&task, done = std::move(done)] {
    task();
    done->set_value();
  });
  finished.wait();  // a task that is dropped breaks its promise, which ends the wait as well
}

void ThreadLoop::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!timers_.empty() && timers_.begin()->first.first <= clock_.now()) {
      auto timer = timers_.begin();
      Task task = std::move(timer->second);
      timerTimes_.erase(timer->first.second);
      timers_.erase(timer);
      tasks_.push_back(std::move(task));
      continue;
    }
    if (!tasks_.empty()) {
      // Takes all that waits at once: one lock per batch, not per task.
      std::deque<Task> batch;
      batch.swap(tasks_);
      lock.unlock();
      for (Task& task : batch) {
        if (!stopping_) task();
        task = nullptr;
      }
      lock.lock();
      continue;
    }
    if (timers_.empty())
      wake_.wait(lock);
    else
      wake_.wait_for(lock, std::clamp(timers_.begin()->first.first - clock_.now(), Duration(0), kLongestWait));
  }
  // What is left is destroyed without the lock: it may own things that post.
  std::deque<Task> tasks = std::move(tasks_);
  std::map<std::pair<Time, uint64_t>, Task> timers = std::move(timers_);
  tasks_.clear();
  timers_.clear();
  timerTimes_.clear();
  lock.unlock();
}

uint64_t ManualLoop::at(Time when, Task task) {
  uint64_t id = nextId_++;
  timers_.emplace(std::pair(when, id), std::move(task));
  timerTimes_[id] = when;
  return id;
}

void ManualLoop::cancel(uint64_t id) {
  auto it = timerTimes_.find(id);
  if (it == timerTimes_.end()) return;
  timers_.erase({it->second, id});
  timerTimes_.erase(it);
}

bool ManualLoop::runOne() {
  if (tasks_.empty()) return false;
  Task task = std::move(tasks_.front());
  tasks_.pop_front();
  task();
  return true;
}

void ManualLoop::runAll() {
  while (runOne()) {
  }
}

std::optional<Time> ManualLoop::nextTimer() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.begin()->first.first;
}

void ManualLoop::fireTimers() {
  while (!timers_.empty() && timers_.begin()->first.first <= clock_.now()) {
    auto timer = timers_.begin();
    tasks_.push_back(std::move(timer->second));
    timerTimes_.erase(timer->first.second);
    timers_.erase(timer);
  }
}

void ManualLoop::runUntil(Time end) {
  for (;;) {
    runAll();
    auto next = nextTimer();
    if (!next || *next > end) break;
    if (*next > clock_.now()) clock_.set(*next);
    fireTimers();
  }
  if (end > clock_.now()) clock_.set(end);
}

void ManualLoop::clear() {
  tasks_.clear();
  timers_.clear();
  timerTimes_.clear();
}

}  // namespace stoker::client
