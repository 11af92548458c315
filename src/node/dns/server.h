// server.h: the resolver that pods ask: UDP and TCP on the bridge's address. Names of the cluster come from Records;
// everything else goes to the machine's own resolvers. One thread ("dns"); updates come from any thread.
//
// A query that carries our hold option (wire.h) for a name of the cluster that does not exist yet is kept until it
// does, or until its time is over: that is how an init container waits for its master without asking again and again.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/dns/records.h"

namespace stoker::node::dns {

struct ServerOptions {
  std::string address;  ///< IPv4 to listen on
  uint16_t port = 53;   ///< 0: any; see Server::port
  std::vector<std::string>
      upstreams;  ///< IPv4 of resolvers, asked in order; none: names outside the cluster are refused
  uint16_t upstreamPort = 53;
  std::string domain = "cluster.local";
};

/// nameserver lines of a resolv.conf; `except` (our own address) is left out.
std::vector<std::string> nameserversOf(const std::string& resolvConf, const std::string& except);

class Server {
 public:
  /// Binds and starts the thread. ServiceUnavailable naming the address when it cannot be bound.
  static Result<std::unique_ptr<Server>> start(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  /// Changes records; queries on hold that can be answered now are.
  void update(const std::function<void(Records&)>& change);

 private:
  class Loop;
  explicit Server(std::unique_ptr<Loop> loop);
  std::unique_ptr<Loop> loop_;
};

}  // namespace stoker::node::dns
