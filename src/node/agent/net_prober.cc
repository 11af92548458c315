#include "node/agent/net_prober.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <thread>

#include "net/client.h"

namespace stoker::node {
namespace {

// More than this many waiting probes means that they take longer than their periods: further ones fail at once.
constexpr size_t kMaxQueued = 10'000;

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string probeTcp(const ProbeTarget& target) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(target.port));
  std::string where = fmt::format("{}:{}", target.host, target.port);
  if (inet_pton(AF_INET, target.host.c_str(), &address.sin_addr) != 1)
    return fmt::format("dial tcp {}: no IPv4 address", where);
  int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return fmt::format("dial tcp {}: {}", where, std::strerror(errno));
  int error = 0;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      pollfd wait{fd, POLLOUT, 0};
      auto limit = std::chrono::ceil<std::chrono::milliseconds>(target.timeout).count();
      if (::poll(&wait, 1, static_cast<int>(limit)) <= 0) {
        error = ETIMEDOUT;
      } else {
        socklen_t size = sizeof error;
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
  }
  ::close(fd);
  return error == 0 ? std::string() : fmt::format("dial tcp {}: {}", where, std::strerror(error));
}

std::string probeHttp(const ProbeTarget& target) {
  net::ClientOptions options{.host = target.host,
                             .port = static_cast<uint16_t>(target.port),
                             .tls = target.tls,
                             .insecureSkipVerify = true,  // as kubelet: a probe asks for life, not for identity
                             .connectTimeoutSeconds = seconds(target.timeout),
                             .readTimeoutSeconds = seconds(target.timeout),
                             .maxIdleConnections = 0};
  std::string url = fmt::format("{}://{}:{}{}", target.tls ? "https" : "http", target.host, target.port, target.path);
  auto client = net::Client::create(std::move(options));
  if (!client.ok()) return fmt::format("Get \"{}\": {}", url, client.error().message);
  net::Client::Request request;
  request.target = target.path;
  for (const auto& header : target.headers) request.headers.emplace_back(header.name, header.value);
  auto answer = (*client)->call(request);
  if (!answer.ok()) return fmt::format("Get \"{}\": {}", url, answer.error().message);
  if (answer->status >= 200 && answer->status < 400) return {};
  return fmt::format("HTTP probe failed with statuscode: {}", answer->status);
}

}  // namespace

std::string probeNow(const ProbeTarget& target) { return target.http ? probeHttp(target) : probeTcp(target); }

struct NetProber::Pool {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::pair<ProbeTarget, Done>> queue;
  bool stopping = false;
  std::vector<std::thread> threads;

  void run() {
    std::unique_lock lock(mutex);
    while (true) {
      wake.wait(lock, [this] { return stopping || !queue.empty(); });
      if (queue.empty()) return;
      auto [target, done] = std::move(queue.front());
      queue.pop_front();
      bool late = stopping;
      lock.unlock();
      done(late ? "the node agent is stopping" : probeNow(target));
      lock.lock();
    }
  }
};

NetProber::NetProber(int threads) : pool_(std::make_unique<Pool>()) {
  for (int i = 0; i < threads; ++i) {
    pool_->threads.emplace_back([pool = pool_.get()] { pool->run(); });
    ::pthread_setname_np(pool_->threads.back().native_handle(), "probe");
  }
}

NetProber::~NetProber() {
  {
    std::lock_guard lock(pool_->mutex);
    pool_->stopping = true;
  }
  pool_->wake.notify_all();
  for (auto& thread : pool_->threads) thread.join();
}

void NetProber::probe(const ProbeTarget& target, Done done) {
  {
    std::lock_guard lock(pool_->mutex);
    if (pool_->queue.size() < kMaxQueued) {
      pool_->queue.emplace_back(target, std::move(done));
      done = nullptr;
    }
  }
  if (done)
    done("too many probes are waiting on this node");
  else
    pool_->wake.notify_one();
}

}  // namespace stoker::node
