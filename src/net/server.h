// server.h: the HTTPS server: HTTP/1.1 with keep-alive over TLS, client certificates asked for but not demanded.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/http.h"

namespace stoker::net {

struct ServerOptions {
  std::string host = "127.0.0.1";  ///< IPv4 or IPv6 literal
  uint16_t port = 0;               ///< 0 = any free port
  std::string certificatePem;      ///< server chain
  std::string keyPem;
  std::string clientCaPem;  ///< who signs client certificates; a presented certificate of another signer is ignored
  int threads = 2;
  size_t maxBodyBytes = 3u << 20;  ///< beyond it 413 with a Status body
  size_t maxHeaderBytes = 64u << 10;
  size_t maxStreamBufferBytes = 16u << 20;  ///< unsent bytes of one stream before its reader counts as too slow
  size_t maxConnections = 4096;
  double headerTimeoutSeconds = 30;  ///< from the first byte of a request to the end of its headers
  double idleTimeoutSeconds = 300;   ///< of a kept-alive connection between two requests
  bool plaintext = false;            ///< no TLS; tests and loopback metrics only
};

/// The handler runs on a network thread, for several requests at once; what takes long answers later from elsewhere.
class Server {
 public:
  /// Binds and listens; an address in use is an Error that says so ("address 127.0.0.1:6443 is in use by another
  /// program").
  static Result<std::unique_ptr<Server>> listen(ServerOptions options, Handler handler);
  /// Stops accepting, ends streams, gives requests under way one second, closes the connections and joins the threads.
  /// Never from a network thread.
  virtual ~Server() = default;
  virtual std::string address() const = 0;  ///< "127.0.0.1:6443"
  virtual uint16_t port() const = 0;
  /// Also listens here with the same handler and limits (the bridge address of the pods).
  virtual Result<void> alsoListen(const std::string& host, uint16_t port) = 0;
  /// Runs `task` on a network thread after `seconds`; for watch deadlines and bookmarks. The returned id cancels it.
  virtual uint64_t after(double seconds, std::function<void()> task) = 0;
  virtual void cancel(uint64_t id) = 0;
};

}  // namespace stoker::net
