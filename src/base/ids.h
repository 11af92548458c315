// ids.h
//
// Randomness comes in as an argument too: uids, generateName suffixes and jitter are drawn from an Ids owned by a
// shell.
#pragma once

#include <cstdint>
#include <mutex>
#include <random>
#include <string>

namespace stoker {

class Ids {
 public:
  virtual ~Ids() = default;
  /// 64 random bits.
  virtual uint64_t random() = 0;
  /// A version 4 UUID, e.g. "9a1c...": metadata.uid.
  std::string uid();
  /// `count` characters of Kubernetes' suffix alphabet (no vowels, no 0/1/3).
  std::string suffix(int count = 5);
};

/// Seeded from the system; safe to use from several threads.
class SystemIds final : public Ids {
 public:
  SystemIds();
  uint64_t random() override;

 private:
  std::mutex mutex_;
  std::mt19937_64 engine_;
};

/// The same sequence for the same seed; for tests and the simulator.
class SeededIds final : public Ids {
 public:
  explicit SeededIds(uint64_t seed) : engine_(seed) {}
  uint64_t random() override { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace stoker
