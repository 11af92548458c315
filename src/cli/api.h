// api.h: the CLI's connection: blocking calls to the server of a kubeconfig.
#pragma once

#include <memory>

#include "client/kubeconfig.h"
#include "json/json.h"
#include "net/client.h"

namespace stoker::cli {

/// The process of the instance that runs in `dataDirectory`, by its pid file; 0 when none does.
int runningProcess(const std::string& dataDirectory);

/// Where the kubeconfig comes from, in that order: --kubeconfig (or arena's --config), $KUBECONFIG, a local instance
/// that runs, ~/.kube/config. NotFound says all that was looked at.
Result<std::string> findKubeconfig(const std::string& given);

/// The data directory used when none is given: /var/lib/stoker for root, else $XDG_DATA_HOME/stoker or
/// ~/.local/share/stoker.
std::string defaultDataDirectory();

class Api {
 public:
  static Result<std::unique_ptr<Api>> connect(const std::string& kubeconfigPath, const std::string& context);

  const client::ServerAccess& access() const { return access_; }
  /// Errors are the server's Status, or why it could not be reached.
  Result<json::Doc> get(const std::string& path);
  Result<json::Doc> create(const std::string& path, const std::string& body);
  Result<json::Doc> patch(const std::string& path, const std::string& mergePatch);
  Result<json::Doc> remove(const std::string& path, const std::string& options = "");
  /// Pieces of a streamed answer until it ends or `onData` returns false.
  Result<void> stream(const std::string& path, const std::function<bool(std::string_view)>& onData);

 private:
  Result<json::Doc> call(const std::string& method, const std::string& path, const std::string& body,
                         const std::string& contentType);
  Error explain(Error error) const;
  client::ServerAccess access_;
  net::ClientOptions options_;
  std::unique_ptr<net::Client> client_;
};

}  // namespace stoker::cli
