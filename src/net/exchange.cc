#include "net/exchange.h"

#include "base/log.h"
#include "net/message.h"

namespace stoker::net {
namespace {

class HttpStream final : public Exchange::Stream {
 public:
  HttpStream(std::shared_ptr<Connection> connection, std::shared_ptr<StreamState> state)
      : connection_(std::move(connection)), state_(std::move(state)) {}
  ~HttpStream() override {
    // Nobody can finish it any more, and an answer that was not finished must not look complete to the peer.
    if (!finished_) connection_->abort();
  }

  bool write(std::shared_ptr<const std::string> piece) override {
    switch (state_->write(std::move(piece))) {
      case StreamState::Written::Queued:
        return true;
      case StreamState::Written::QueuedAndFlushDue:
        connection_->flushStream();
        return true;
      case StreamState::Written::Cut:
        connection_->abort();
        return false;
      case StreamState::Written::Closed:
        return false;
    }
    return false;
  }
  void finish() override {
    finished_ = true;
    if (state_->finish()) connection_->flushStream();
  }
  void onClosed(std::function<void()> callback) override {
    if (!state_->onClosed(callback)) connection_->hub()->loop->post(std::move(callback));
  }
  void onDrained(std::function<void()> callback) override {
    if (!state_->onDrained(callback)) connection_->hub()->loop->post(std::move(callback));
  }

 private:
  const std::shared_ptr<Connection> connection_;
  const std::shared_ptr<StreamState> state_;
  std::atomic<bool> finished_ = false;
};

void runAll(std::vector<std::function<void()>>& callbacks) {
  for (auto& callback : callbacks) callback();
}

}  // namespace

HttpExchange::~HttpExchange() {
  if (!answered_)
    connection_->respond(failure(500, Reason::InternalError, "the request was dropped without an answer"));
}

void HttpExchange::respond(Response response) {
  if (answered_.exchange(true)) {
    log::error("net", "{} {} was answered twice; the second answer is dropped", request_.method, request_.target);
    return;
  }
  connection_->respond(std::move(response));
}

std::shared_ptr<Exchange::Stream> HttpExchange::stream(int status, Headers headers) {
  auto state = std::make_shared<StreamState>(connection_->hub()->options.maxStreamBufferBytes);
  auto handle = std::make_shared<HttpStream>(connection_, state);
  if (answered_.exchange(true)) {
    log::error("net", "{} {} was answered twice; the stream is dropped", request_.method, request_.target);
    state->closed();
    handle->finish();
    return handle;
  }
  connection_->startStream(status, std::move(headers), std::move(state));
  return handle;
}

StreamState::Written StreamState::write(std::shared_ptr<const std::string> piece) {
  std::lock_guard lock(mutex_);
  if (closed_ || finished_) return Written::Closed;
  if (!piece || piece->empty()) return Written::Queued;  // an empty chunk would end the stream
  // A single piece above the bound says nothing about the reader, so it passes when nothing else waits.
  if (buffered_ > 0 && buffered_ + piece->size() > maxBufferBytes_) {
    closed_ = true;
    pieces_.clear();
    return Written::Cut;
  }
  buffered_ += piece->size();
  drained_ = false;
  pieces_.push_back(std::move(piece));
  return std::exchange(flushDue_, true) ? Written::Queued : Written::QueuedAndFlushDue;
}

bool StreamState::finish() {
  std::lock_guard lock(mutex_);
  if (closed_ || finished_) return false;
  finished_ = true;
  return !std::exchange(flushDue_, true);
}

bool StreamState::onClosed(std::function<void()>& callback) {
  std::lock_guard lock(mutex_);
  if (notified_) return false;
  if (!completed_) onClosed_.push_back(std::move(callback));
  return true;
}

bool StreamState::onDrained(std::function<void()>& callback) {
  std::lock_guard lock(mutex_);
  if (closed_) return true;  // what is gone is never drained; onClosed tells of it
  if (drained_) return false;
  onDrained_.push_back(std::move(callback));
  return true;
}

StreamState::Batch StreamState::take() {
  std::lock_guard lock(mutex_);
  flushDue_ = false;
  Batch batch{.finished = finished_ && !closed_};
  batch.pieces.swap(pieces_);
  return batch;
}

void StreamState::released(size_t bytes, bool drained) {
  std::vector<std::function<void()>> due;
  {
    std::lock_guard lock(mutex_);
    buffered_ -= bytes;
    if (drained && buffered_ == 0) {
      drained_ = true;
      due.swap(onDrained_);
    }
  }
  runAll(due);
}

void StreamState::completed() {
  std::vector<std::function<void()>> dropped;
  std::vector<std::function<void()>> due;
  {
    std::lock_guard lock(mutex_);
    completed_ = true;
    dropped.swap(onClosed_);
    due.swap(onDrained_);
  }
  runAll(due);
}

void StreamState::closed() {
  std::vector<std::function<void()>> due;
  std::vector<std::function<void()>> dropped;
  {
    std::lock_guard lock(mutex_);
    closed_ = notified_ = true;
    pieces_.clear();
    due.swap(onClosed_);
    dropped.swap(onDrained_);
  }
  runAll(due);
}

}  // namespace stoker::net
