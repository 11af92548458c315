// tokens.h: ServiceAccount tokens (JWT, ES256) and the requests' identity.
#pragma once

#include "apiserver/auth/authenticator.h"
#include "apiserver/registry/strategy.h"
#include "net/tls.h"

namespace stoker::apiserver {

struct TokenKeys {
  std::string issuer = "https://kubernetes.default.svc";
  std::string audience = "https://kubernetes.default.svc";
  std::optional<net::SigningKey> key;  ///< without one there are no tokens
};

struct TokenClaims {
  std::string namespace_, serviceAccount, serviceAccountUid;
  std::string podName, podUid;  ///< empty: not bound to a pod
  std::vector<std::string> audiences;
  Time issuedAt{}, expires{};
};

Result<std::string> makeToken(const TokenKeys& keys, const TokenClaims& claims);
/// Checks signature, issuer, audience and times; Unauthorized says which failed.
Result<TokenClaims> readToken(const TokenKeys& keys, std::string_view token, Time now);

/// The user of valid claims, if its ServiceAccount (and pod, when bound) still exist with the same uid.
Result<User> userOf(const TokenClaims& claims, const StateReader& state);

/// serviceaccounts/token: TokenRequest -> TokenRequest with a token.
SubresourceCall tokenRequest(TokenKeys keys);

/// Client certificates (CN, O), then bearer tokens, then anonymous; impersonation where the user may.
class RequestAuthenticator final : public Authenticator {
 public:
  RequestAuthenticator(TokenKeys keys, const StateReader& state, const Authorizer& authorizer, const Clock& clock)
      : keys_(std::move(keys)), state_(state), authorizer_(authorizer), clock_(clock) {}
  Result<User> authenticate(const net::Request& request) const override;
  /// For TokenReview.
  Result<User> authenticateToken(std::string_view token) const;

 private:
  TokenKeys keys_;
  const StateReader& state_;
  const Authorizer& authorizer_;
  const Clock& clock_;
};

}  // namespace stoker::apiserver
