#include "net/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <system_error>

#include "base/log.h"
#include "net/connection.h"

namespace stoker::net {
namespace {

constexpr int kBacklog = 1024;
constexpr double kAcceptPauseSeconds = 0.1;  // when the process is out of descriptors
constexpr auto kGrace = std::chrono::seconds(1);
// A vanished peer (no FIN) is noticed within a minute and a half.
constexpr int kKeepAliveIdleSeconds = 60;
constexpr int kKeepAliveIntervalSeconds = 10;
constexpr int kKeepAliveProbes = 3;

union SocketAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
};

std::string format(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.any.sa_family == AF_INET6) {
    inet_ntop(AF_INET6, &address.v6.sin6_addr, text, sizeof text);
    return fmt::format("[{}]:{}", text, ntohs(address.v6.sin6_port));
  }
  inet_ntop(AF_INET, &address.v4.sin_addr, text, sizeof text);
  return fmt::format("{}:{}", text, ntohs(address.v4.sin_port));
}

void tune(int fd) {
  auto set = [fd](int level, int name, int value) { ::setsockopt(fd, level, name, &value, sizeof value); };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveIntervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
}

/// One listening socket.
class Listener final : public Loop::Events, public std::enable_shared_from_this<Listener> {
 public:
  static Result<std::shared_ptr<Listener>> open(std::shared_ptr<Hub> hub, const std::string& host, uint16_t port) {
    SocketAddress address{};
    socklen_t size;
    if (inet_pton(AF_INET, host.c_str(), &address.v4.sin_addr) == 1) {
      address.v4.sin_family = AF_INET;
      address.v4.sin_port = htons(port);
      size = sizeof address.v4;
    } else if (inet_pton(AF_INET6, host.c_str(), &address.v6.sin6_addr) == 1) {
      address.v6.sin6_family = AF_INET6;
      address.v6.sin6_port = htons(port);
      size = sizeof address.v6;
    } else {
      return Error(Reason::BadRequest,
                   fmt::format("cannot listen on \"{}\": an IPv4 or IPv6 address is expected", host));
    }
    auto failed = [&](int fd, int error) {
      if (fd >= 0) ::close(fd);
      if (error == EADDRINUSE)
        return Error(Reason::AlreadyExists, fmt::format("address {} is in use by another program", format(address)));
      return Error(Reason::InternalError,
                   fmt::format("cannot listen on {}: {}", format(address), std::generic_category().message(error)));
    };
    int fd = ::socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return failed(fd, errno);
    int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.any.sa_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(fd, &address.any, size) != 0 || ::listen(fd, kBacklog) != 0) return failed(fd, errno);
    if (::getsockname(fd, &address.any, &size) != 0) return failed(fd, errno);
    auto listener = std::make_shared<Listener>(std::move(hub), fd, address);
    listener->lane_->post([listener] { listener->wait(); });
    return listener;
  }

  Listener(std::shared_ptr<Hub> hub, int fd, const SocketAddress& address)
      : address_(format(address)),
        port_(ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port)),
        hub_(std::move(hub)),
        fd_(fd),
        lane_(hub_->loop->open(fd)) {}

  const std::string& address() const { return address_; }
  uint16_t port() const { return port_; }

  void close() {
    lane_->post([self = shared_from_this()] {
      self->closed_ = true;
      self->lane_->close();
    });
  }

  void onWritable() override {}
  void onReadable() override {
    while (!closed_) {
      SocketAddress peer{};
      socklen_t size = sizeof peer;
      int fd = ::accept4(fd_, &peer.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        admit(fd, peer);
      } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        log::warn("net", "cannot accept connections on {} for now: {}", address_,
                  std::generic_category().message(errno));
        hub_->loop->after(kAcceptPauseSeconds,
                          [self = shared_from_this()] { self->lane_->post([self] { self->wait(); }); });
        return;
      } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
        return wait();
      }
      // Any other error belongs to a connection that has ended before it was accepted.
    }
  }

 private:
  void wait() {
    if (!closed_) lane_->waitReadable(shared_from_this());
  }

  void admit(int fd, const SocketAddress& peer) {
    std::shared_ptr<Connection> connection;
    {
      std::lock_guard lock(hub_->mutex);
      if (hub_->stopping || hub_->connections.size() >= hub_->options.maxConnections) {
        ::close(fd);
        return;
      }
      connection = std::make_shared<Connection>(hub_, fd, format(peer));
      hub_->connections.emplace(connection.get(), connection);
    }
    tune(fd);
    connection->start();
  }

  const std::string address_;
  const uint16_t port_;
  const std::shared_ptr<Hub> hub_;
  const int fd_;
  const std::unique_ptr<Loop::Lane> lane_;
  bool closed_ = false;  ///< on the lane
};

class HttpServer final : public Server {
 public:
  explicit HttpServer(std::shared_ptr<Hub> hub) : hub_(std::move(hub)) {
    const ServerOptions& options = hub_->options;
    sweepSeconds_ = std::min({1.0, options.headerTimeoutSeconds / 4, options.idleTimeoutSeconds / 4});
    sweepLater(hub_, sweepSeconds_);
  }

  ~HttpServer() override {
    {
      std::lock_guard lock(hub_->mutex);
      hub_->stopping = true;
    }
    for (auto& listener : listeners_) listener->close();
    for (auto& connection : connections()) connection->finish();
    {
      std::unique_lock lock(hub_->mutex);
      hub_->emptied.wait_for(lock, kGrace, [&] { return hub_->connections.empty(); });
    }
    for (auto& connection : connections()) connection->abort();
    hub_->loop->finish();
  }

  Result<void> alsoListen(const std::string& host, uint16_t port) override {
    STOKER_TRY(auto listener, Listener::open(hub_, host, port));
    std::lock_guard lock(mutex_);
    listeners_.push_back(std::move(listener));
    return {};
  }
  std::string address() const override {
    std::lock_guard lock(mutex_);
    return listeners_.front()->address();
  }
  uint16_t port() const override {
    std::lock_guard lock(mutex_);
    return listeners_.front()->port();
  }
  uint64_t after(double seconds, std::function<void()> task) override {
    return hub_->loop->after(seconds, std::move(task));
  }
  void cancel(uint64_t id) override { hub_->loop->cancel(id); }

 private:
  std::vector<std::shared_ptr<Connection>> connections() const {
    std::lock_guard lock(hub_->mutex);
    std::vector<std::shared_ptr<Connection>> all;
    for (auto& [_, connection] : hub_->connections) all.push_back(connection);
    return all;
  }

  /// Looks for connections whose time is over. One sweep for all is cheaper than a timer moved with every request.
  static void sweepLater(const std::shared_ptr<Hub>& hub, double seconds) {
    hub->loop->after(seconds, [weak = std::weak_ptr(hub), seconds] {
      auto hub = weak.lock();
      if (!hub) return;
      std::vector<std::shared_ptr<Connection>> late;
      auto now = std::chrono::steady_clock::now();
      {
        std::lock_guard lock(hub->mutex);
        for (auto& [_, connection] : hub->connections)
          if (connection->late(now)) late.push_back(connection);
      }
      for (auto& connection : late) connection->expire();
      sweepLater(hub, seconds);
    });
  }

  const std::shared_ptr<Hub> hub_;
  double sweepSeconds_ = 1;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<Listener>> listeners_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, Handler handler) {
  auto hub = std::make_shared<Hub>();
  if (!options.plaintext) {
    STOKER_TRY(hub->tls, serverTls(options));
  }
  hub->options = std::move(options);
  hub->handler = std::move(handler);
  hub->loop = Loop::start(hub->options.threads);
  auto server = std::make_unique<HttpServer>(hub);
  STOKER_CHECK(server->alsoListen(hub->options.host, hub->options.port));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace stoker::net
