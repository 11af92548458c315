#include "net/connection.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include "base/log.h"
#include "net/exchange.h"
#include "net/message.h"

namespace stoker::net {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr size_t kReadBytes = 32 << 10;        // one receive: two full TLS records
constexpr size_t kMaxAhead = 128 << 10;        // pipelined input kept while a request is being answered
constexpr size_t kMaxUnsentAnswers = 1 << 20;  // unsent bytes at which no further pipelined request is begun
constexpr int kFairShare = 32;                 // requests of one connection before others get their turn
constexpr size_t kKeptInputBytes = 4 << 10;    // what an idle connection may keep of its input buffer
constexpr size_t kFramingSlack = 16 << 10;     // chunk headers and trailers beside the header limit
constexpr double kHandshakeSeconds = 20;
constexpr double kLingerSeconds = 2;          // for the peer to read an answer that it did not expect
constexpr double kStalledWriteSeconds = 120;  // without progress of an ordinary answer
constexpr double kBodySeconds = 60;           // beside the time that the largest body takes at the slowest rate
constexpr double kSlowestBodyBytesPerSecond = 16 << 10;

int64_t nanoseconds(SteadyClock::time_point time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
}

int64_t in(double seconds) { return nanoseconds(SteadyClock::now()) + static_cast<int64_t>(seconds * 1e9); }

constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

std::string chunkHead(size_t size) { return fmt::format("{:x}\r\n", size); }

}  // namespace

Connection::Connection(std::shared_ptr<Hub> hub, int fd, std::string remoteAddress)
    : hub_(std::move(hub)),
      fd_(fd),
      remoteAddress_(std::move(remoteAddress)),
      lane_(hub_->loop->open(fd)),
      channel_(fd, hub_->tls.get(), true),
      parser_(Parser::Kind::Request, static_cast<uint32_t>(hub_->options.maxHeaderBytes), hub_->options.maxBodyBytes),
      deadline_(in(kHandshakeSeconds)) {}

Connection::~Connection() = default;

template <class Task>
void Connection::onLane(Task task) {
  if (lane_->here()) return task(*this);
  lane_->post([weak = weak_from_this(), task = std::make_shared<Task>(std::move(task))] {
    if (auto self = weak.lock()) (*task)(*self);
  });
}

void Connection::start() {
  onLane([](Connection& self) {
    self.handshaken_ = self.hub_->tls == nullptr;
    if (self.handshaken_) self.setPhase(Phase::Idle);
    self.settle();
  });
}

void Connection::respond(Response response) {
  onLane([response = std::move(response)](Connection& self) mutable {
    if (self.closed_ || !self.working_ || self.stream_) return;
    self.answer(std::move(response));
    if (!self.inHandler_) self.process();
  });
}

void Connection::startStream(int status, Headers headers, std::shared_ptr<StreamState> stream) {
  onLane([status, headers = std::move(headers), stream = std::move(stream)](Connection& self) {
    if (self.closed_ || !self.working_ || self.stream_) return stream->closed();
    self.beginStream(status, headers, stream);
  });
}

void Connection::flushStream() {
  // Always by way of the queue: pieces written before it runs leave together.
  lane_->post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->takeStreamPieces();
  });
}

void Connection::abort() {
  lane_->post([weak = weak_from_this()] {
    if (auto self = weak.lock()) self->close();
  });
}

void Connection::finish() {
  onLane([](Connection& self) {
    if (self.closed_) return;
    if (self.stream_ || !self.handshaken_ || self.lingering_ || self.readEnded_) return self.close();
    self.impatient_ = true;
    self.keepAlive_ = false;
    if (!self.working_) self.beginClose();
    self.settle();
  });
}

void Connection::expire() {
  lane_->post([weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self || self->closed_ || !self->late(SteadyClock::now())) return;
    if (self->phase_ != Phase::Idle) return self->close();
    self->impatient_ = true;
    self->beginClose();
    self->settle();
  });
}

bool Connection::late(SteadyClock::time_point now) const {
  return nanoseconds(now) > deadline_.load(std::memory_order_relaxed);
}

void Connection::onReadable() {
  waitingRead_ = false;
  if (closed_) return;
  if (!handshaken_) shakeHands();
  if (handshaken_ && !closed_) readInput();
  if (!closed_) process();
}

void Connection::onWritable() {
  waitingWrite_ = false;
  if (closed_) return;
  phase_ = Phase::Working;  // progress: the deadline for writing starts anew
  pump();
  if (!closed_) process();
}

void Connection::shakeHands() {
  switch (channel_.handshake()) {
    case Channel::State::Ok:
      handshaken_ = true;
      peer_ = verifiedPeer(channel_.ssl());
      break;
    case Channel::State::Again:
      break;
    default:
      log::debug("net", "TLS handshake with {} failed: {}", remoteAddress_, channel_.problem());
      channel_.flush();  // the alert, so that the peer learns why
      close();
  }
}

void Connection::readInput() {
  thread_local std::array<char, kReadBytes> buffer;
  while (!closed_ && !readEnded_) {
    size_t got = 0;
    switch (channel_.read(buffer.data(), buffer.size(), got)) {
      case Channel::State::Ok:
        if (closing_) return;  // read only so that the peer gets to read its answer
        input_.append(buffer.data(), got);
        break;
      case Channel::State::Again:
        return;
      case Channel::State::Closed:
        readEnded_ = true;
        return;
      case Channel::State::Failed:
        return close();
    }
    if (!channel_.mayHaveMore() || input_.size() >= kMaxAhead) return;
  }
}

/// Hands over the requests that have arrived, until one takes its time.
void Connection::process() {
  if (inHandler_ || closed_) return;
  inHandler_ = true;
  morePending_ = false;
  for (int served = 0; !working_ && !stream_ && !closing_ && !closed_ && !input_.empty(); ++served) {
    if (out_.size() >= kMaxUnsentAnswers) pump();
    morePending_ = served == kFairShare || out_.size() >= kMaxUnsentAnswers;
    if (served == kFairShare) {
      lane_->post([weak = weak_from_this()] {
        if (auto self = weak.lock()) self->process();
      });
    }
    if (closed_ || morePending_ || !takeMessage()) break;
  }
  inHandler_ = false;
  if (closing_) input_.clear();
  if (input_.empty() && input_.capacity() > kKeptInputBytes) input_ = std::string{};
  settle();
}

/// Feeds the parser; true when a request was handed over and another may follow.
bool Connection::takeMessage() {
  if (!parser_.started()) {
    // Empty lines before a request are to be overlooked (RFC 9112 2.2).
    input_.erase(0, input_.find_first_not_of("\r\n"));
    if (input_.empty()) return false;
  }
  size_t used = 0;
  Parser::Event event = parser_.feed(input_, used);
  input_.erase(0, used);
  switch (event) {
    case Parser::Event::Complete:
      dispatch();
      return true;
    case Parser::Event::NeedMore:
      break;
    case Parser::Event::Malformed:
      reject(failure(400, Reason::BadRequest, "the request is not HTTP/1.1: " + parser_.problem()));
      return false;
    case Parser::Event::HeadTooLarge:
      reject(failure(431, Reason::Unknown,
                     fmt::format("the headers of the request are larger than {} bytes", hub_->options.maxHeaderBytes)));
      return false;
    case Parser::Event::BodyTooLarge:
      // The text is upstream's: apierrors.NewRequestEntityTooLargeError.
      reject(failure(413, Reason::RequestEntityTooLarge,
                     fmt::format("Request entity too large: limit is {}", hub_->options.maxBodyBytes)));
      return false;
  }
  if (input_.size() > hub_->options.maxHeaderBytes + kFramingSlack) {
    reject(failure(400, Reason::BadRequest, "the framing of the request's body is longer than any body needs"));
    return false;
  }
  if (parser_.headDone() && !std::exchange(expectHandled_, true)) {
    std::string_view expected = header(parser_.head().headers, "Expect");
    if (expected == "100-continue")
      out_.push("HTTP/1.1 100 Continue\r\n\r\n");
    else if (!expected.empty())
      reject(failure(417, Reason::Unknown, "the only expectation this server meets is 100-continue"));
  }
  return false;
}

void Connection::dispatch() {
  Head head = std::move(parser_.head());
  keepAlive_ = parser_.keepAlive();
  version_ = head.version;
  headRequest_ = head.method == "HEAD";
  working_ = true;
  setPhase(Phase::Working);
  Request request;
  request.method = std::move(head.method);
  request.target = std::move(head.target);
  request.headers = std::move(head.headers);
  request.body = std::move(parser_.body());
  request.peer = peer_;
  request.remoteAddress = remoteAddress_;
  parser_.reset();
  expectHandled_ = false;
  if (version_ >= 11 && header(request.headers, "Host").empty())
    return answer(failure(400, Reason::BadRequest, "the request has no Host header, which HTTP/1.1 demands"));
  Result<Url> url = parseTarget(request.target);
  if (!url) return answer(failure(400, url.error().reason, url.error().message));
  request.url = *std::move(url);
  // A protocol upgrade (WebSocket) would branch off here: parser_.head() has said so, nothing is queued for this
  // request, and channel_ with the unread input_ could be handed to the new protocol.
  auto exchange = std::make_shared<HttpExchange>(shared_from_this(), std::move(request));
  try {
    hub_->handler(exchange);
  } catch (const std::exception& problem) {
    // Exceptions must not cross folders; one that does costs its request and not the server.
    log::error("net", "the handler of {} {} threw: {}", exchange->request().method, exchange->request().target,
               problem.what());
  }
}

/// Answers a request that could not be read to its end, after which the connection cannot go on.
void Connection::reject(Response response) {
  keepAlive_ = false;
  working_ = true;
  headRequest_ = false;
  answer(std::move(response));
}

void Connection::answer(Response response) {
  size_t length = response.body ? response.body->size() : 0;
  for (const auto& piece : response.pieces) length += piece ? piece->size() : 0;
  Framing framing{.keepAlive = keepAlive_, .version = version_};
  if (!bodyless(response.status)) framing.contentLength = length;
  out_.push(renderHead(response.status, response.headers, framing, httpDate()));
  if (!headRequest_ && !bodyless(response.status)) {
    out_.push(std::move(response.body));
    for (auto& piece : response.pieces) out_.push(std::move(piece));
  }
  working_ = false;
  if (!keepAlive_) beginClose();
}

void Connection::beginStream(int status, const Headers& headers, std::shared_ptr<StreamState> stream) {
  chunked_ = version_ >= 11 && !headRequest_ && !bodyless(status);
  if (!chunked_ && !headRequest_) keepAlive_ = false;  // only the end of the connection ends such a body
  Framing framing{.chunked = version_ >= 11 && !bodyless(status), .keepAlive = keepAlive_, .version = version_};
  out_.push(renderHead(status, headers, framing, httpDate()));
  stream_ = std::move(stream);
  if (readEnded_) return close();
  if (!inHandler_) settle();
}

void Connection::takeStreamPieces() {
  if (closed_ || !stream_) return;
  StreamState::Batch batch = stream_->take();
  size_t dropped = 0;
  for (auto& piece : batch.pieces) {
    if (headRequest_) {
      dropped += piece->size();
      continue;
    }
    if (chunked_) out_.push(chunkHead(piece->size()));
    out_.push(std::move(piece), true);
    if (chunked_) out_.push(std::string("\r\n"));
  }
  if (dropped > 0) stream_->released(dropped, true);
  if (batch.finished) {
    if (chunked_) out_.push(std::string("0\r\n\r\n"));
    working_ = false;
    if (!keepAlive_) beginClose();
  }
  pump();
  if (!closed_) process();
}

/// Sends what the socket takes.
void Connection::pump() {
  if (closed_) return;
  if (!waitingWrite_ && !(out_.empty() && channel_.flushed())) {
    Channel::State state = channel_.send(out_);
    if (state == Channel::State::Failed) return close();
    if (state == Channel::State::Again) {
      waitingWrite_ = true;
      lane_->waitWritable(shared_from_this());
    }
    if (stream_) stream_->released(out_.takeReleased(), state == Channel::State::Ok);
  }
  // A finished stream makes room for the next request once it is sent.
  if (stream_ && !working_ && out_.empty() && channel_.flushed()) std::exchange(stream_, nullptr)->completed();
}

/// Brings everything that follows from the fields in line with them: sending, closing, waiting, deadlines.
void Connection::settle() {
  pump();
  if (closed_) return;
  bool sent = out_.empty() && channel_.flushed();
  if (readEnded_) {
    // A stream's peer that has ended its side is gone; an ordinary answer is still sent to its end.
    if (stream_ || lingering_ || !handshaken_) return close();
    if (!working_ && !morePending_) beginClose();
  }
  if (stream_ && input_.size() >= kMaxAhead) return close();  // else its end would go unnoticed
  if (closing_ && sent && !lingering_) {
    channel_.shutdown();
    channel_.flush();
    if (readEnded_ || impatient_) return close();
    ::shutdown(fd_, SHUT_WR);
    lingering_ = true;
  }
  if (lingering_)
    setPhase(Phase::Lingering);
  else if (!handshaken_)
    setPhase(Phase::Handshake);
  else if (stream_)
    setPhase(Phase::Working);
  else if (!sent)
    setPhase(Phase::Writing);
  else if (working_)
    setPhase(Phase::Working);
  else if (parser_.headDone())
    setPhase(Phase::Body);
  else if (parser_.started() || !input_.empty())
    setPhase(Phase::Head);
  else
    setPhase(Phase::Idle);
  if (!waitingRead_ && !readEnded_ && (lingering_ || input_.size() < kMaxAhead)) {
    waitingRead_ = true;
    if (channel_.mayHaveMore())
      lane_->post([self = shared_from_this()] { self->onReadable(); });
    else
      lane_->waitReadable(shared_from_this());
  }
}

void Connection::beginClose() {
  keepAlive_ = false;
  closing_ = true;
}

void Connection::close() {
  if (std::exchange(closed_, true)) return;
  lane_->close();
  out_.clear();
  if (auto stream = std::exchange(stream_, nullptr)) stream->closed();
  std::shared_ptr<Connection> self;  // destroyed outside the lock
  std::lock_guard lock(hub_->mutex);
  auto entry = hub_->connections.find(this);
  if (entry == hub_->connections.end()) return;
  self = std::move(entry->second);
  hub_->connections.erase(entry);
  if (hub_->connections.empty()) hub_->emptied.notify_all();
}

void Connection::setPhase(Phase phase) {
  if (phase == phase_) return;
  phase_ = phase;
  const ServerOptions& options = hub_->options;
  int64_t deadline = kNever;
  switch (phase) {
    case Phase::Handshake:
      deadline = in(kHandshakeSeconds);
      break;
    case Phase::Idle:
      deadline = in(options.idleTimeoutSeconds);
      break;
    case Phase::Head:
      deadline = in(options.headerTimeoutSeconds);
      break;
    case Phase::Body:
      deadline = in(kBodySeconds + static_cast<double>(options.maxBodyBytes) / kSlowestBodyBytesPerSecond);
      break;
    case Phase::Working:
      break;
    case Phase::Writing:
      deadline = in(kStalledWriteSeconds);
      break;
    case Phase::Lingering:
      deadline = in(kLingerSeconds);
      break;
  }
  deadline_.store(deadline, std::memory_order_relaxed);
}

}  // namespace stoker::net
