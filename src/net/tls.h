// tls.h: keys and certificates of one installation: a CA of its own, server and client certificates signed by it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

using EVP_PKEY = struct evp_pkey_st;  // of OpenSSL

namespace stoker::net {

struct KeyPair {
  std::string certificatePem;
  std::string keyPem;  ///< PKCS#8, ECDSA P-256
};

/// A self-signed CA, valid ten years from `now`.
Result<KeyPair> makeCa(const std::string& commonName, Time now);

struct CertificateRequest {
  std::string commonName;
  std::vector<std::string> organizations;
  std::vector<std::string> dnsNames;
  std::vector<std::string> ipAddresses;
  bool server = false;  ///< serverAuth, else clientAuth
};
/// Signed by `ca`, valid one year from `now` (backdated five minutes for skewed clocks).
Result<KeyPair> issue(const KeyPair& ca, const CertificateRequest& request, Time now);
/// When a PEM certificate ends; for renewal.
Result<Time> notAfter(const std::string& certificatePem);

/// A fresh ECDSA P-256 key in PKCS#8 PEM (the ServiceAccount signing key).
Result<std::string> makeSigningKey();
/// An ECDSA P-256 key for ES256, read from PEM once: reading it costs more than signing. May be copied and used by any
/// thread.
class SigningKey {
 public:
  /// A private key, or a public one (PUBLIC KEY), which only verifies.
  static Result<SigningKey> read(const std::string& pem);
  /// Over `message`, raw r||s as JWS wants it.
  Result<std::string> sign(std::string_view message) const;
  bool verify(std::string_view message, std::string_view signature) const;

 private:
  explicit SigningKey(std::shared_ptr<EVP_PKEY> key) : key_(std::move(key)) {}
  std::shared_ptr<EVP_PKEY> key_;
};

}  // namespace stoker::net
