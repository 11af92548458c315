// session.h: what commands share: global flags, the connection, the namespace, and reading jobs. Internal to cli/.
#pragma once

#include <memory>

#include "base/time.h"
#include "cli/api.h"
#include "cli/flags.h"
#include "cli/jobs.h"

namespace stoker::cli {

/// Flags every command takes.
std::vector<Flag> globalFlags();
std::vector<Flag> withGlobals(std::vector<Flag> flags);

class Session {
 public:
  /// Reads the global flags and connects; the namespace is -n, arena's config, the kubeconfig's, or default.
  static Result<Session> open(const FlagSet& flags);
  Api& api() { return *api_; }
  const std::string& ns() const { return namespace_; }

  /// Jobs of the namespace (or all), newest first, with pods and gangs.
  Result<std::vector<JobView>> jobs(bool allNamespaces, Time now);
  /// NotFound in arena's words.
  Result<JobView> job(const std::string& name, Time now);

 private:
  Result<std::vector<JobView>> read(const std::string& ns, const std::string& name, Time now);
  std::unique_ptr<Api> api_;
  std::string namespace_;
};

/// -T: "" and pytorchjob's names are served; anything else is refused by name.
Result<void> checkType(const std::string& type);

int fail(const Error& error);

}  // namespace stoker::cli
