// connection.h
//
// One accepted connection: handshake, requests one after the other, answers in their order, streams. Private to net/.
// Everything runs on the connection's lane, except where said. It lives in Hub::connections until it is closed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "net/channel.h"
#include "net/loop.h"
#include "net/parser.h"
#include "net/server.h"
#include "net/tls_context.h"

namespace stoker::net {

class Connection;
class StreamState;

/// What the connections of one server share. Outlives the server as long as an Exchange does.
struct Hub {
  ServerOptions options;
  Handler handler;
  TlsContext tls;  ///< null: plaintext
  std::unique_ptr<Loop> loop;

  std::mutex mutex;       ///< guards the rest
  bool stopping = false;  ///< no connection is admitted any more
  std::condition_variable emptied;
  std::unordered_map<Connection*, std::shared_ptr<Connection>> connections;
};

class Connection final : public Loop::Events, public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Hub> hub, int fd, std::string remoteAddress);
  ~Connection() override;

  /// Any thread, each of these.
  void start();
  void respond(Response response);
  void startStream(int status, Headers headers, std::shared_ptr<StreamState> stream);
  void flushStream();
  /// Closes without a goodbye.
  void abort();
  /// Closes when the answer under way has been given and sent; streams end at once.
  void finish();
  /// Closes if still late() by then.
  void expire();
  /// Whether the time for what the peer should be doing is over (steady clock).
  bool late(std::chrono::steady_clock::time_point now) const;

  const std::shared_ptr<Hub>& hub() const { return hub_; }

  void onReadable() override;
  void onWritable() override;

 private:
  enum class Phase { Handshake, Idle, Head, Body, Working, Writing, Lingering };

  /// Runs `task` on the lane, at once when there already.
  template <class Task>
  void onLane(Task task);
  void shakeHands();
  void readInput();
  void process();
  bool takeMessage();
  void dispatch();
  void reject(Response response);
  void answer(Response response);
  void beginStream(int status, const Headers& headers, std::shared_ptr<StreamState> stream);
  void takeStreamPieces();
  void pump();
  void settle();
  void beginClose();
  void close();
  void setPhase(Phase phase);

  const std::shared_ptr<Hub> hub_;
  const int fd_;
  const std::string remoteAddress_;
  const std::unique_ptr<Loop::Lane> lane_;
  Channel channel_;
  Parser parser_;
  std::optional<Request::Peer> peer_;

  std::string input_;  ///< received, not yet used by the parser
  OutQueue out_;
  std::shared_ptr<StreamState> stream_;

  bool handshaken_ = false;
  bool expectHandled_ = false;
  bool working_ = false;    ///< a request is with the handler; the next one waits
  bool inHandler_ = false;  ///< process() is on the stack
  bool keepAlive_ = true;   ///< of the request being answered
  bool headRequest_ = false;
  bool chunked_ = false;
  int version_ = 11;
  bool readEnded_ = false;    ///< the peer sends no more
  bool closing_ = false;      ///< close once everything is sent
  bool impatient_ = false;    ///< close without waiting for the peer to have read everything
  bool morePending_ = false;  ///< process() stopped before it had looked at all of input_
  bool lingering_ = false;    ///< all is sent and said; waiting for the peer to close
  bool closed_ = false;
  bool waitingRead_ = false;
  bool waitingWrite_ = false;
  Phase phase_ = Phase::Handshake;
  std::atomic<int64_t> deadline_;  ///< steady clock, nanoseconds
};

}  // namespace stoker::net
