// exchange.h: the two faces of a request being answered that handlers see. Private to net/.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "net/connection.h"

namespace stoker::net {

class HttpExchange final : public Exchange {
 public:
  HttpExchange(std::shared_ptr<Connection> connection, Request request)
      : connection_(std::move(connection)), request_(std::move(request)) {}
  ~HttpExchange() override;

  const Request& request() const override { return request_; }
  void respond(Response response) override;
  std::shared_ptr<Stream> stream(int status, Headers headers) override;

 private:
  std::shared_ptr<Connection> connection_;
  Request request_;
  std::atomic<bool> answered_ = false;
};

/// The part of a stream that writers and the connection share. Thread-safe; callbacks run without the lock.
class StreamState {
 public:
  explicit StreamState(size_t maxBufferBytes) : maxBufferBytes_(maxBufferBytes) {}

  enum class Written { Queued, QueuedAndFlushDue, Cut, Closed };
  Written write(std::shared_ptr<const std::string> piece);
  /// True when a flush must be posted.
  bool finish();
  /// False when the callback must be run by the caller (on a network thread) because the condition holds already.
  bool onClosed(std::function<void()>& callback);
  bool onDrained(std::function<void()>& callback);

  // The connection's side.
  struct Batch {
    std::vector<std::shared_ptr<const std::string>> pieces;
    bool finished = false;
  };
  Batch take();
  /// `bytes` have left; `drained`: nothing is left in the connection either. Runs what waits for that.
  void released(size_t bytes, bool drained);
  /// The answer was sent to its end.
  void completed();
  /// The peer is gone, or the stream was cut.
  void closed();

 private:
  const size_t maxBufferBytes_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<const std::string>> pieces_;
  size_t buffered_ = 0;  ///< bytes written and not yet released
  bool drained_ = true;  ///< all that was written is in the kernel's hands
  bool flushDue_ = false;
  bool finished_ = false;
  bool closed_ = false;  ///< nothing is sent any more
  bool completed_ = false;
  bool notified_ = false;  ///< closed() ran
  std::vector<std::function<void()>> onClosed_;
  std::vector<std::function<void()>> onDrained_;
};

}  // namespace stoker::net
