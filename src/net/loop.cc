#include "net/loop.h"

#ifdef __SANITIZE_THREAD__
// The thread sanitizer does not know fences; Asio's queues are ordered by their locks without them.
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <thread>
#include <unordered_map>

#include "base/log.h"

namespace stoker::net {
namespace {

namespace asio = boost::asio;
using Executor = asio::io_context::executor_type;
using Strand = asio::strand<Executor>;
using Descriptor = asio::posix::basic_stream_descriptor<Strand>;
using Timer =
    asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;
using ErrorCode = boost::system::error_code;

class AsioLane final : public Loop::Lane {
 public:
  AsioLane(asio::io_context& context, int fd)
      : strand_(asio::make_strand(context.get_executor())), socket_(strand_, fd) {}

  void post(std::function<void()> task) override { asio::post(strand_, std::move(task)); }
  bool here() const override { return strand_.running_in_this_thread(); }
  void waitReadable(std::shared_ptr<Loop::Events> events) override {
    socket_.async_wait(Descriptor::wait_read, [events = std::move(events)](const ErrorCode& code) {
      if (code != asio::error::operation_aborted) events->onReadable();
    });
  }
  void waitWritable(std::shared_ptr<Loop::Events> events) override {
    socket_.async_wait(Descriptor::wait_write, [events = std::move(events)](const ErrorCode& code) {
      if (code != asio::error::operation_aborted) events->onWritable();
    });
  }
  void close() override {
    ErrorCode ignored;  // there is nothing left to do about a socket that does not close
    socket_.close(ignored);
  }

 private:
  Strand strand_;
  Descriptor socket_;
};

class AsioLoop final : public Loop {
 public:
  explicit AsioLoop(int threads) : context_(threads), work_(asio::make_work_guard(context_)) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
  }
  ~AsioLoop() override { finish(); }

  std::unique_ptr<Lane> open(int fd) override { return std::make_unique<AsioLane>(context_, fd); }
  void post(std::function<void()> task) override { asio::post(context_, std::move(task)); }

  uint64_t after(double seconds, std::function<void()> task) override {
    auto delay =
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(seconds));
    std::lock_guard lock(mutex_);
    uint64_t id = ++lastTimer_;
    if (finished_) return id;
    auto entry = timers_.try_emplace(id, context_.get_executor(), std::move(task)).first;
    entry->second.timer.expires_after(delay);
    entry->second.timer.async_wait([this, id](const ErrorCode& code) {
      if (!code) fire(id);
    });
    return id;
  }

  void cancel(uint64_t id) override {
    std::function<void()> dropped;  // destroyed outside the lock: it may own anything
    std::lock_guard lock(mutex_);
    auto entry = timers_.find(id);
    if (entry == timers_.end()) return;
    dropped = std::move(entry->second.task);
    timers_.erase(entry);
  }

  void finish() override {
    std::unordered_map<uint64_t, Pending> dropped;
    {
      std::lock_guard lock(mutex_);
      finished_ = true;
      dropped.swap(timers_);
    }
    dropped.clear();
    work_.reset();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  struct Pending {
    Pending(const Executor& executor, std::function<void()> what) : timer(executor), task(std::move(what)) {}
    Timer timer;
    std::function<void()> task;
  };

  void run() {
    while (true) {
      try {
        context_.run();
        return;
      } catch (const std::exception& problem) {
        log::error("net", "a task on a network thread threw: {}", problem.what());
      }
    }
  }

  void fire(uint64_t id) {
    std::function<void()> task;
    {
      std::lock_guard lock(mutex_);
      auto entry = timers_.find(id);
      if (entry == timers_.end()) return;
      task = std::move(entry->second.task);
      timers_.erase(entry);
    }
    task();
  }

  asio::io_context context_;
  asio::executor_work_guard<Executor> work_;
  std::mutex mutex_;  ///< guards the fields below
  bool finished_ = false;
  uint64_t lastTimer_ = 0;
  std::unordered_map<uint64_t, Pending> timers_;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Loop> Loop::start(int threads) { return std::make_unique<AsioLoop>(std::max(threads, 1)); }

}  // namespace stoker::net
