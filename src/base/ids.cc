#include "base/ids.h"

#include <fmt/format.h>

namespace stoker {

std::string Ids::uid() {
  uint64_t a = random(), b = random();
  a = (a & ~0xF000ULL) | 0x4000ULL;
  b = (b & ~(3ULL << 62)) | (2ULL << 62);
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", a >> 32, (a >> 16) & 0xFFFF, a & 0xFFFF, b >> 48,
                     b & 0xFFFFFFFFFFFFULL);
}

std::string Ids::suffix(int count) {
  static constexpr std::string_view kAlphabet = "bcdfghjklmnpqrstvwxz2456789";
  std::string out;
  for (int i = 0; i < count; ++i) out += kAlphabet[random() % kAlphabet.size()];
  return out;
}

SystemIds::SystemIds() {
  std::random_device device;
  std::seed_seq seed{device(), device(), device(), device(), device(), device(), device(), device()};
  engine_.seed(seed);
}

uint64_t SystemIds::random() {
  std::lock_guard lock(mutex_);
  return engine_();
}

}  // namespace stoker
