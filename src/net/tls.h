// tls.h: keys and certificates of one installation: a CA of its own, server and client certificates signed by it.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

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
/// ES256 over `message`, raw r||s as JWS wants it.
Result<std::string> signEs256(const std::string& keyPem, std::string_view message);
bool verifyEs256(const std::string& keyPem, std::string_view message, std::string_view signature);

}  // namespace stoker::net
