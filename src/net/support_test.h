// support_test.h: a CA with its certificates, servers and clients on the loopback interface, and raw sockets, for the
// tests.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>

#include "net/client.h"
#include "net/server.h"
#include "net/tls.h"

namespace stoker::net::testing {

/// Made once per test program: key generation is slow under the sanitizers.
struct Pki {
  KeyPair ca, server, client, foreignCa, foreignClient;
};
const Pki& pki();

ServerOptions serverOptions();
ClientOptions clientOptions(const Server& server);
std::unique_ptr<Server> startServer(ServerOptions options, Handler handler);
std::unique_ptr<Client> startClient(ClientOptions options);

Response textResponse(int status, std::string text);
std::shared_ptr<const std::string> shared(std::string text);

/// A plain TCP connection that says exactly what a test wants said.
class RawSocket {
 public:
  explicit RawSocket(uint16_t port);
  ~RawSocket();
  void send(std::string_view bytes);
  /// All bytes until `text` has come, the peer closes, or ten seconds pass.
  std::string readUntil(std::string_view text);
  std::string readAll();
  /// Whether the peer closes within ten seconds.
  bool closedByPeer();
  void endSending();
  void close();

 private:
  int fd_;
};

/// A flag that one thread sets and another awaits, for at most ten seconds.
class Signal {
 public:
  void set();
  bool wait();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

}  // namespace stoker::net::testing
