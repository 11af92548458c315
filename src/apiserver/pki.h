// pki.h: keys, certificates and the kubeconfig of one installation, kept in its data directory.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "net/tls.h"

namespace stoker::apiserver {

struct Pki {
  net::KeyPair ca, server, admin;
  std::string signingKey;  ///< of ServiceAccount tokens
};

/// Reads DIR/pki, making what is missing and renewing what ends within 30 days. Directory 0700, keys 0600.
Result<Pki> ensurePki(const std::string& dataDir, const std::vector<std::string>& ipAddresses, Time now);

/// Writes DIR/admin.kubeconfig (0600) for https://address.
Result<void> writeKubeconfig(const std::string& dataDir, const std::string& address, const Pki& pki);

}  // namespace stoker::apiserver
