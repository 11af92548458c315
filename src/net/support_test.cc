#include "net/support_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <iostream>

namespace stoker::net::testing {
namespace {

template <class T>
T must(Result<T> result) {
  if (result) return *std::move(result);
  std::cerr << "test setup: " << result.error().message << std::endl;
  std::abort();
}

constexpr int kPatienceMs = 10'000;

bool readable(int fd) {
  pollfd entry{fd, POLLIN, 0};
  return ::poll(&entry, 1, kPatienceMs) == 1;
}

}  // namespace

const Pki& pki() {
  static const Pki made = [] {
    Time now = SystemClock().now();
    Pki all;
    all.ca = must(makeCa("test CA", now));
    all.foreignCa = must(makeCa("foreign CA", now));
    all.server = must(issue(
        all.ca,
        {.commonName = "server", .dnsNames = {"localhost"}, .ipAddresses = {"127.0.0.1", "::1"}, .server = true}, now));
    CertificateRequest admin{.commonName = "admin", .organizations = {"system:masters", "ops"}};
    all.client = must(issue(all.ca, admin, now));
    all.foreignClient = must(issue(all.foreignCa, admin, now));
    return all;
  }();
  return made;
}

ServerOptions serverOptions() {
  ServerOptions options;
  options.certificatePem = pki().server.certificatePem;
  options.keyPem = pki().server.keyPem;
  options.clientCaPem = pki().ca.certificatePem;
  return options;
}

ClientOptions clientOptions(const Server& server) {
  ClientOptions options;
  options.host = "127.0.0.1";
  options.port = server.port();
  options.caPem = pki().ca.certificatePem;
  options.readTimeoutSeconds = 20;
  return options;
}

std::unique_ptr<Server> startServer(ServerOptions options, Handler handler) {
  return must(Server::listen(std::move(options), std::move(handler)));
}

std::unique_ptr<Client> startClient(ClientOptions options) { return must(Client::create(std::move(options))); }

std::shared_ptr<const std::string> shared(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

Response textResponse(int status, std::string text) {
  Response response;
  response.status = status;
  response.headers = {{"Content-Type", "text/plain"}};
  response.body = shared(std::move(text));
  return response;
}

RawSocket::RawSocket(uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) close();
}

RawSocket::~RawSocket() { close(); }

void RawSocket::endSending() { ::shutdown(fd_, SHUT_WR); }

void RawSocket::close() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void RawSocket::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string RawSocket::readUntil(std::string_view text) {
  std::string all;
  char buffer[4096];
  while (text.empty() || all.find(text) == std::string::npos) {
    if (!readable(fd_)) break;
    ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) break;
    all.append(buffer, static_cast<size_t>(got));
  }
  return all;
}

std::string RawSocket::readAll() { return readUntil({}); }

bool RawSocket::closedByPeer() {
  char buffer[4096];
  while (readable(fd_))
    if (::recv(fd_, buffer, sizeof buffer, 0) <= 0) return true;
  return false;
}

void Signal::set() {
  std::lock_guard lock(mutex_);
  set_ = true;
  changed_.notify_all();
}

bool Signal::wait() {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return set_; });
}

}  // namespace stoker::net::testing
