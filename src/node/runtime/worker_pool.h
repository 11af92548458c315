// worker_pool.h: a few named threads for what may block. Jobs run in no particular order; the destructor finishes those
// begun and drops the rest.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace stoker::node {

class WorkerPool {
 public:
  WorkerPool(const std::string& name, int threads);
  ~WorkerPool();
  void submit(std::function<void()> job);

 private:
  void work();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace stoker::node
