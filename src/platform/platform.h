// platform.h
//
// `stoker up`: everything of one machine in one process. Only here do the parts know each other: store, registry and
// HTTPS server; controllers and scheduler on one loop; the node agent on another; each component under its own
// ServiceAccount.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace stoker::platform {

struct Options {
  std::string dataDir;
  std::string host = "127.0.0.1";
  uint16_t port = 6443;
  bool node = true;                            ///< run pods on this machine
  int pods = 110;                              ///< most pods of this machine's node
  std::map<std::string, int> simulateDevices;  ///< resource -> count
  std::string simulateNodes;                   ///< file of simulated nodes; empty: none
  std::string imagesFile;                      ///< empty: dataDir/images.yaml
};

class Platform {
 public:
  /// Starts everything; returns when the API is ready and the controllers have read it. An error leaves nothing behind.
  static Result<std::unique_ptr<Platform>> start(Options options);
  /// Stops the platform; pods go on running.
  virtual ~Platform() = default;
  virtual std::string address() const = 0;
  /// What this machine cannot do, in words; empty when nothing is missing.
  virtual std::vector<std::string> missing() const = 0;
};

}  // namespace stoker::platform
