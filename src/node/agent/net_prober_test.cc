#include "node/agent/net_prober.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>
#include <thread>

namespace stoker::node {
namespace {

/// A socket that listens on a free port of the loopback and answers each connection with `answer`.
class Listener {
 public:
  explicit Listener(std::string answer) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    ::listen(fd_, 8);
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] {
      while (true) {
        int client = ::accept(fd_, nullptr, nullptr);
        if (client < 0) return;
        char buffer[4096];
        if (!answer.empty() && ::recv(client, buffer, sizeof buffer, 0) > 0)
          (void)!::send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
        ::close(client);
      }
    });
  }
  ~Listener() {
    ::shutdown(fd_, SHUT_RDWR);
    thread_.join();
    ::close(fd_);
  }
  int port = 0;

 private:
  int fd_;
  std::thread thread_;
};

TEST(NetProber, tcp) {
  int port = 0;
  {
    Listener listener("");
    port = listener.port;
    EXPECT_EQ(probeNow({.host = "127.0.0.1", .port = port}), "");
  }
  EXPECT_EQ(probeNow({.host = "127.0.0.1", .port = port}),
            fmt::format("dial tcp 127.0.0.1:{}: Connection refused", port));
}

TEST(NetProber, http) {
  Listener good("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"),
      bad("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");
  NetProber prober(2);
  auto ask = [&](int port) {
    std::promise<std::string> result;
    prober.probe({.host = "127.0.0.1", .port = port, .http = true, .path = "/ok"},
                 [&](std::string failure) { result.set_value(failure); });
    return result.get_future().get();
  };
  EXPECT_EQ(ask(good.port), "");
  EXPECT_EQ(ask(bad.port), "HTTP probe failed with statuscode: 503");
}

}  // namespace
}  // namespace stoker::node
