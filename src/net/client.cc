#include "net/client.h"

#include <errno.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <system_error>

#include "net/channel.h"
#include "net/parser.h"
#include "net/tls_context.h"

namespace stoker::net {
namespace {

using SteadyClock = std::chrono::steady_clock;
using Deadline = std::optional<SteadyClock::time_point>;

constexpr uint32_t kMaxHeaderBytes = 256 << 10;
constexpr uint64_t kMaxAnswerBytes = 1ull << 30;  // a list of a whole large cluster is far below it
constexpr size_t kReadBytes = 64 << 10;

Deadline deadlineIn(double seconds) {
  if (seconds <= 0) return std::nullopt;
  return SteadyClock::now() + std::chrono::duration_cast<SteadyClock::duration>(std::chrono::duration<double>(seconds));
}

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd = -1) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Makes a waiting thread come back. Once woken it stays so.
class Waker {
 public:
  Waker() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
  void wake() {
    woken_ = true;
    uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(event_.get(), &one, sizeof one);
  }
  bool woken() const { return woken_; }
  int fd() const { return event_.get(); }

 private:
  FileDescriptor event_;
  std::atomic<bool> woken_ = false;
};

enum class Waited { Ready, TimedOut, Woken };

Waited waitFor(int fd, short events, const Deadline& deadline, const Waker* waker) {
  while (true) {
    if (waker && waker->woken()) return Waited::Woken;
    int timeout = -1;
    if (deadline) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - SteadyClock::now()).count();
      if (left <= 0) return Waited::TimedOut;
      timeout = static_cast<int>(std::min<int64_t>(left, 1 << 30));
    }
    pollfd entries[2] = {{fd, events, 0}, {waker ? waker->fd() : -1, POLLIN, 0}};
    int ready = ::poll(entries, waker ? 2 : 1, timeout);
    if (ready > 0 && entries[0].revents != 0) return Waited::Ready;
  }
}

struct Wire {
  FileDescriptor socket;
  std::unique_ptr<Channel> channel;
  bool reused = false;
};

bool idempotent(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "PUT" || method == "DELETE" || method == "OPTIONS";
}

class HttpsClient final : public Client {
 public:
  HttpsClient(ClientOptions options, TlsContext tls)
      : options_(std::move(options)),
        tls_(std::move(tls)),
        serverName_(options_.serverName.empty() ? options_.host : options_.serverName),
        authority_(makeAuthority(options_)),
        url_((options_.tls ? "https://" : "http://") + authority_) {}

  Result<Answer> call(const Request& request) override { return perform(request, nullptr, nullptr); }

  Result<Answer> stream(const Request& request, const std::function<bool(std::string_view)>& onData) override {
    Waker waker;
    {
      std::lock_guard lock(mutex_);
      streams_.insert(&waker);
    }
    // Looked at only now: who sets it and then calls stop() either is seen here or finds the stream registered.
    if (request.cancelled && *request.cancelled) waker.wake();
    auto answer = perform(request, &onData, &waker);
    std::lock_guard lock(mutex_);
    streams_.erase(&waker);
    return answer;
  }

  void stop() override {
    std::lock_guard lock(mutex_);
    for (Waker* waker : streams_) waker->wake();
  }

 private:
  using OnData = std::function<bool(std::string_view)>;

  /// How one attempt ended without an answer.
  struct Failure {
    Error error;
    bool silent = false;  ///< not one byte of an answer came
  };

  static std::string makeAuthority(const ClientOptions& options) {
    if (options.host.find(':') != std::string::npos) return fmt::format("[{}]:{}", options.host, options.port);
    return fmt::format("{}:{}", options.host, options.port);
  }

  Error unreachable(std::string_view why) const {
    return Error(Reason::ServiceUnavailable, fmt::format("cannot reach {}: {}", url_, why));
  }
  Error stopped() const {
    return Error(Reason::ServiceUnavailable, fmt::format("the request to {} was stopped", url_));
  }
  Error silence(std::string_view what) const {
    return Error(Reason::Timeout, fmt::format("{} {} within {} s", url_, what, options_.readTimeoutSeconds));
  }

  Result<Answer> perform(const Request& request, const OnData* onData, const Waker* waker) {
    STOKER_TRY(Wire wire, take(waker));
    bool reused = wire.reused;
    std::optional<Failure> failure;
    Answer answer = exchange(std::move(wire), request, onData, waker, failure);
    if (!failure) return answer;
    if (!reused || !failure->silent || !idempotent(request.method)) return std::move(failure->error);
    // The server may have closed the kept connection while the request was on its way.
    STOKER_TRY(Wire fresh, connect(waker));
    failure.reset();
    answer = exchange(std::move(fresh), request, onData, waker, failure);
    if (failure) return std::move(failure->error);
    return answer;
  }

  /// A connection of the pool that is still alive, or a new one.
  Result<Wire> take(const Waker* waker) {
    while (true) {
      Wire wire;
      {
        std::lock_guard lock(mutex_);
        if (idle_.empty()) break;
        wire = std::move(idle_.back());
        idle_.pop_back();
      }
      // Anything but "nothing to read" means closed or out of step. Session tickets are swallowed here.
      char byte;
      size_t got = 0;
      if (wire.channel->read(&byte, 1, got) != Channel::State::Again) continue;
      wire.reused = true;
      return wire;
    }
    return connect(waker);
  }

  void giveBack(Wire wire) {
    std::lock_guard lock(mutex_);
    if (idle_.size() < options_.maxIdleConnections) idle_.push_back(std::move(wire));
  }

  Result<Wire> connect(const Waker* waker) {
    Deadline deadline = deadlineIn(options_.connectTimeoutSeconds);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* list = nullptr;
    if (int code = ::getaddrinfo(options_.host.c_str(), std::to_string(options_.port).c_str(), &hints, &list);
        code != 0)
      return unreachable(fmt::format("no address for \"{}\": {}", options_.host, ::gai_strerror(code)));
    std::unique_ptr<addrinfo, decltype([](addrinfo* all) { ::freeaddrinfo(all); })> addresses(list);
    std::string why = "no address";
    for (addrinfo* address = list; address; address = address->ai_next) {
      Wire wire;
      wire.socket = FileDescriptor(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      int fd = wire.socket.get();
      if (fd < 0) {
        why = reasonOf(errno);
        continue;
      }
      int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      int error = ::connect(fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
      if (error == EINPROGRESS) {
        Waited waited = waitFor(fd, POLLOUT, deadline, waker);
        if (waited == Waited::Woken) return stopped();
        if (waited == Waited::TimedOut) return tooLate();
        socklen_t size = sizeof error;
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
      if (error != 0) {
        why = reasonOf(error);
        continue;
      }
      wire.channel = std::make_unique<Channel>(fd, tls_.get(), false);
      STOKER_CHECK(shakeHands(wire, deadline, waker));
      return wire;
    }
    return unreachable(why);
  }

  Error tooLate() const {
    return Error(Reason::Timeout,
                 fmt::format("cannot reach {}: no connection within {} s", url_, options_.connectTimeoutSeconds));
  }

  static std::string reasonOf(int error) {
    if (error == ECONNREFUSED) return "connection refused";
    std::string text = std::generic_category().message(error);
    if (!text.empty()) text[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(text[0])));
    return text;
  }

  Result<void> shakeHands(Wire& wire, const Deadline& deadline, const Waker* waker) {
    if (!tls_) return {};
    Channel& channel = *wire.channel;
    STOKER_CHECK(expectServer(channel.ssl(), serverName_, !options_.insecureSkipVerify));
    while (true) {
      Channel::State state = channel.handshake();
      std::string problem = channel.problem();
      Channel::State sent = channel.flush();
      if (state == Channel::State::Ok && sent == Channel::State::Ok) return {};
      if (state != Channel::State::Ok && state != Channel::State::Again) {
        std::string verdict = options_.insecureSkipVerify ? "" : certificateProblem(channel.ssl());
        if (!verdict.empty())
          return Error(Reason::Unknown,
                       fmt::format("{} shows a certificate that is not trusted: {}; check the CA and the "
                                   "server name in the configuration of this client",
                                   url_, verdict));
        return unreachable("the TLS handshake failed: " + problem);
      }
      if (sent == Channel::State::Failed) return unreachable("the TLS handshake failed: " + channel.problem());
      Waited waited = waitFor(wire.socket.get(), sent == Channel::State::Again ? POLLOUT : POLLIN, deadline, waker);
      if (waited == Waited::Woken) return stopped();
      if (waited == Waited::TimedOut) return tooLate();
    }
  }

  std::string renderRequest(const Request& request) const {
    std::string head;
    head.reserve(256);
    // A line break in a header would smuggle a second request.
    auto clean = [](std::string text) {
      for (char& c : text)
        if (c == '\r' || c == '\n' || c == '\0') c = ' ';
      return text;
    };
    head += request.method + ' ' + clean(request.target.empty() ? "/" : request.target) + " HTTP/1.1\r\n";
    if (header(request.headers, "Host").empty()) head += "Host: " + authority_ + "\r\n";
    for (const auto& [name, value] : request.headers) head += clean(name) + ": " + clean(value) + "\r\n";
    bool carriesBody = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
    if (carriesBody || !request.body.empty()) head += fmt::format("Content-Length: {}\r\n", request.body.size());
    return head + "\r\n";
  }

  /// Sends the request and reads its answer. The connection goes back to the pool when it can serve again.
  Answer exchange(Wire wire, const Request& request, const OnData* onData, const Waker* waker,
                  std::optional<Failure>& failure) {
    Channel& channel = *wire.channel;
    OutQueue out;
    std::string head = renderRequest(request);
    out.pushBorrowed(head);
    out.pushBorrowed(request.body);
    Parser parser(Parser::Kind::Response, kMaxHeaderBytes,
                  onData ? std::numeric_limits<uint64_t>::max() : kMaxAnswerBytes);
    if (request.method == "HEAD") parser.expectNoBody();

    std::string input;
    std::vector<char> buffer(kReadBytes);
    std::string sendProblem;
    bool sent = false;
    bool anyByte = false;
    bool mustWait = true;
    Deadline deadline = deadlineIn(options_.readTimeoutSeconds);
    auto fail = [&](Error error) {
      failure = Failure{std::move(error), !anyByte};
      return Answer{};
    };

    while (true) {
      if (!sent) {
        Channel::State state = channel.send(out);
        if (state == Channel::State::Failed) {
          // The server may have answered (413) and closed before it had read everything: look for that answer.
          sendProblem = channel.problem();
          out.clear();
        }
        sent = state != Channel::State::Again;
      } else {
        channel.flush();
      }
      if (mustWait || !sent) {
        Waited waited =
            waitFor(wire.socket.get(), static_cast<short>(sent ? POLLIN : POLLIN | POLLOUT), deadline, waker);
        if (waited == Waited::Woken) return stoppedAnswer(parser, fail);
        if (waited == Waited::TimedOut)
          return fail(silence(parser.headDone() ? "sent nothing more" : "gave no answer"));
      } else if (waker && waker->woken()) {
        return stoppedAnswer(parser, fail);
      }
      size_t got = 0;
      Channel::State state = channel.read(buffer.data(), buffer.size(), got);
      mustWait = state == Channel::State::Again || (state == Channel::State::Ok && !channel.mayHaveMore());
      if (state == Channel::State::Again) continue;
      if (state == Channel::State::Failed || state == Channel::State::Closed) {
        if (state == Channel::State::Closed && parser.started() && parser.end() == Parser::Event::Complete)
          return finished(parser, onData);
        std::string why = !sendProblem.empty()              ? sendProblem
                          : state == Channel::State::Failed ? channel.problem()
                          : anyByte                         ? "the connection was closed in the middle of the answer"
                                                            : "the connection was closed without an answer";
        return fail(Error(Reason::ServiceUnavailable, fmt::format("the connection to {} broke: {}", url_, why)));
      }
      anyByte = true;
      deadline = deadlineIn(options_.readTimeoutSeconds);
      input.append(buffer.data(), got);
      while (true) {
        size_t used = 0;
        Parser::Event event = parser.feed(input, used);
        input.erase(0, used);
        if (event == Parser::Event::Complete && parser.head().status < 200) {
          parser.reset();  // 100 Continue and its like announce the answer proper
          if (request.method == "HEAD") parser.expectNoBody();
          if (input.empty()) break;
          continue;
        }
        if (event == Parser::Event::Complete) {
          bool reusable = parser.keepAlive() && input.empty() && sent && sendProblem.empty();
          if (!deliver(parser, onData)) reusable = false;
          Answer answer = finished(parser, onData);
          if (reusable) giveBack(std::move(wire));
          return answer;
        }
        if (event != Parser::Event::NeedMore) return fail(notHttp(parser, event));
        if (input.size() > kMaxHeaderBytes + kReadBytes) return fail(notHttp(parser, Parser::Event::HeadTooLarge));
        break;
      }
      if (parser.headDone() && !deliver(parser, onData)) return finished(parser, onData);
    }
  }

  Error notHttp(const Parser& parser, Parser::Event event) const {
    std::string_view what = event == Parser::Event::HeadTooLarge   ? "its headers are too large"
                            : event == Parser::Event::BodyTooLarge ? "its body is larger than 1 GiB"
                                                                   : std::string_view(parser.problem());
    return Error(Reason::InternalError, fmt::format("the answer of {} cannot be read: {}", url_, what));
  }

  template <class Fail>
  Answer stoppedAnswer(Parser& parser, Fail& fail) const {
    if (!parser.headDone()) return fail(stopped());
    return {.status = parser.head().status, .headers = std::move(parser.head().headers)};
  }

  /// Gives what has come of a good answer to the reader; false when the reader wants no more.
  static bool deliver(Parser& parser, const OnData* onData) {
    if (!onData || parser.head().status >= 400 || parser.body().empty()) return true;
    bool more = (*onData)(parser.body());
    parser.body().clear();
    return more;
  }

  static Answer finished(Parser& parser, const OnData* onData) {
    deliver(parser, onData);
    Answer answer;
    answer.status = parser.head().status;
    answer.headers = std::move(parser.head().headers);
    if (!onData || answer.status >= 400) answer.body = std::move(parser.body());
    return answer;
  }

  const ClientOptions options_;
  const TlsContext tls_;
  const std::string serverName_;
  const std::string authority_;
  const std::string url_;
  std::mutex mutex_;  ///< guards the fields below
  std::vector<Wire> idle_;
  std::set<Waker*> streams_;
};

}  // namespace

Result<std::unique_ptr<Client>> Client::create(ClientOptions options) {
  TlsContext tls;
  if (options.host.empty()) return Error(Reason::BadRequest, "a client needs the name or address of its server");
  if (options.tls) {
    STOKER_TRY(tls, clientTls(options));
  }
  return std::unique_ptr<Client>(std::make_unique<HttpsClient>(std::move(options), std::move(tls)));
}

}  // namespace stoker::net
