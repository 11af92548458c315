// kubeconfig.h: where a server is and who we are there, from a kubeconfig's text. Pure but for files it names.
#pragma once

#include <map>
#include <string>

#include "base/result.h"

namespace stoker::client {

struct ServerAccess {
  std::string host;
  uint16_t port = 443;
  bool tls = true;
  std::string path;  ///< prefix of all targets, without trailing slash
  std::string caPem, certificatePem, keyPem, token, tokenFile, serverName;
  bool insecureSkipVerify = false;
  std::string namespace_;  ///< of the context; empty when it names none
  std::string user, cluster, context;
};

/// `context` empty: current-context. `directory`: what relative file names are relative to. Errors name the entry that
/// is missing. Exec credential plugins are refused with a sentence that says so.
Result<ServerAccess> readKubeconfig(const std::string& text, const std::string& context, const std::string& directory);

}  // namespace stoker::client
