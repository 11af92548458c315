// net_prober.h: probes over the network, carried out by a few threads ("probe") that do nothing else.
#pragma once

#include <memory>

#include "node/agent/prober.h"

namespace stoker::node {

class NetProber final : public Prober {
 public:
  explicit NetProber(int threads = 4);
  ~NetProber() override;  ///< waits for the probes under way; those still queued report a failure
  void probe(const ProbeTarget& target, Done done) override;

 private:
  struct Pool;
  std::unique_ptr<Pool> pool_;
};

/// One probe, blocking for at most the target's timeout; empty when it succeeded, otherwise what went wrong in
/// kubelet's words.
std::string probeNow(const ProbeTarget& target);

}  // namespace stoker::node
