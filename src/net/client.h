// client.h: a blocking HTTPS client with kept-alive connections, for the CLI and RemoteCluster.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "net/http.h"

namespace stoker::net {

struct ClientOptions {
  std::string host;
  uint16_t port = 443;
  bool tls = true;
  std::string serverName;  ///< for SNI and the certificate check; empty = host
  std::string caPem;       ///< trusted signers; empty = the system's
  bool insecureSkipVerify = false;
  std::string certificatePem;  ///< client certificate and key, or empty
  std::string keyPem;
  double connectTimeoutSeconds = 10;
  double readTimeoutSeconds = 60;  ///< silence of the server; 0 = wait for ever (watches, followed logs)
  size_t maxIdleConnections = 8;
};

/// Safe to use from several threads; each request takes one connection of the pool.
class Client {
 public:
  static Result<std::unique_ptr<Client>> create(ClientOptions options);
  virtual ~Client() = default;
  struct Request {
    std::string method = "GET";
    std::string target;
    Headers headers;
    std::string body;
    /// stream() looks at it once it can be reached by stop(): set it before calling stop(), and no stream that is just
    /// being started slips through. May be null; must live as long as the call.
    const std::atomic<bool>* cancelled = nullptr;
  };
  struct Answer {
    int status = 0;
    Headers headers;
    std::string body;
  };
  /// A connection that turns out dead before any byte of the answer came is replaced once (idempotent methods only).
  virtual Result<Answer> call(const Request& request) = 0;
  /// Body pieces are given to `onData` as they come, until it returns false, the server ends, or stop() is called from
  /// another thread (no error once the head of the answer has come). The Answer's body is filled only when status >=
  /// 400.
  virtual Result<Answer> stream(const Request& request, const std::function<bool(std::string_view)>& onData) = 0;
  /// Wakes and ends every stream() in progress.
  virtual void stop() = 0;
};

}  // namespace stoker::net
