// tls_context.h: OpenSSL contexts for both sides and what they say of a peer. Private to net/.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/client.h"
#include "net/server.h"

struct ssl_ctx_st;
struct ssl_st;

namespace stoker::net {

using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// TLS 1.2 and later. Client certificates are asked for when clientCaPem is given; one that does not verify against it
/// is let through the handshake and ignored by verifiedPeer().
Result<TlsContext> serverTls(const ServerOptions& options);
Result<TlsContext> clientTls(const ClientOptions& options);

/// Who the client is, when its certificate was verified and has not ended.
std::optional<Request::Peer> verifiedPeer(ssl_st* ssl);

/// Makes the connection check that the server is `name` (host name or IP address) and ask for it by SNI.
Result<void> expectServer(ssl_st* ssl, const std::string& name, bool verify);
/// Why the server's certificate was refused; empty when it was not.
std::string certificateProblem(ssl_st* ssl);

}  // namespace stoker::net
