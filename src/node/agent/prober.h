// prober.h: startup, readiness and liveness probes: what they count (pure) and who carries them out (an interface).
// httpGet and tcpSocket are carried out from the node to the pod's address. exec and grpc need what the runtime and
// net/ do not offer yet: they are refused with an event, and the container counts as started and ready.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "node/agent/pod_spec.h"

namespace stoker::node {

enum class ProbeKind { Startup, Readiness, Liveness };
const char* toString(ProbeKind kind);  ///< "Startup", "Readiness", "Liveness" as in upstream's events

struct ProbeTarget {
  std::string host;
  int port = 0;
  bool http = false, tls = false;
  std::string path;
  std::vector<podspec::HttpHeader> headers;
  Duration timeout = 1s;
};

/// Where `probe` of `container` goes; nullopt when it is of a kind that is not supported. Invalid: a port name that the
/// container does not have.
Result<std::optional<ProbeTarget>> probeTarget(const podspec::Probe& probe, const podspec::Container& container,
                                               const std::string& podIp);

/// Counts results against the thresholds.
struct ProbeCounter {
  int successes = 0, failures = 0;
  /// nullopt: undecided yet; otherwise the verdict after this result.
  std::optional<bool> add(bool success, const podspec::Probe& probe) {
    if (success) {
      failures = 0;
      return ++successes >= probe.successThreshold ? std::optional(true) : std::nullopt;
    }
    successes = 0;
    return ++failures >= probe.failureThreshold ? std::optional(false) : std::nullopt;
  }
};

class Prober {
 public:
  /// Empty text: success; otherwise what went wrong.
  using Done = std::function<void(std::string failure)>;
  virtual ~Prober() = default;
  /// Returns at once; `done` runs once, on any thread, within the target's timeout.
  virtual void probe(const ProbeTarget& target, Done done) = 0;
};

}  // namespace stoker::node
