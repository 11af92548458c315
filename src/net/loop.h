// loop.h: the network threads: readiness of sockets, timers, and one ordered lane per socket. Private to net/; the only
// user of Asio is loop.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace stoker::net {

class Loop {
 public:
  /// Who is told that a socket is ready. Calls come on the socket's lane, one at a time.
  class Events {
   public:
    virtual ~Events() = default;
    virtual void onReadable() = 0;
    virtual void onWritable() = 0;
  };

  /// Owns one socket. What runs on a lane runs in order and never twice at the same time.
  class Lane {
   public:
    virtual ~Lane() = default;
    /// Any thread; never runs `task` inside the call.
    virtual void post(std::function<void()> task) = 0;
    /// Whether the caller runs on this lane.
    virtual bool here() const = 0;
    /// On the lane only: one call of onReadable/onWritable follows, at once if the socket is ready already. `events` is
    /// kept alive until then. Nothing is called once the lane is closed.
    virtual void waitReadable(std::shared_ptr<Events> events) = 0;
    virtual void waitWritable(std::shared_ptr<Events> events) = 0;
    /// On the lane only.
    virtual void close() = 0;
  };

  virtual ~Loop() = default;
  static std::unique_ptr<Loop> start(int threads);

  /// Takes over the non-blocking socket.
  virtual std::unique_ptr<Lane> open(int fd) = 0;
  virtual void post(std::function<void()> task) = 0;
  /// Any thread. A task that is running already is not held up by cancel().
  virtual uint64_t after(double seconds, std::function<void()> task) = 0;
  virtual void cancel(uint64_t id) = 0;
  /// Drops all timers, runs what is left to run and joins the threads; all lanes must be closed or about to close.
  virtual void finish() = 0;
};

}  // namespace stoker::net
