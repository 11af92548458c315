// story.h
//
// One simulated day from one seed: a storm in which users submit, scale, suspend and delete, machines vanish, reboot
// and come back, every component crashes and the network misbehaves; then a calm in which everything must come to rest.
// What each job was is remembered, so that its end can be judged: a job whose program exits with 0 succeeds, whatever
// happened to it meanwhile.
#pragma once

#include <cstdint>
#include <string>

namespace stoker::sim {

struct Outcome {
  std::string problem;        ///< empty: everything held
  uint64_t fingerprint = 0;   ///< the same for the same seed
  int jobs = 0, crashes = 0;  ///< what happened, for people
  uint64_t steps = 0;
  int64_t virtualSeconds = 0;
};

/// Even seeds run sequences as transactions, as when embedded; odd ones write by write, cut at random, as over a
/// network. `trace` prints every change and every action to stdout.
Outcome tell(uint64_t seed, bool trace = false);

}  // namespace stoker::sim
