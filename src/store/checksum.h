// checksum.h
//
// A 64-bit checksum that tells a stored state from one with flipped, missing or moved bytes. SQLite checks the
// structure of its file but not the content of the rows. Not for adversaries. About 4 GB/s, so that reading 100,000
// objects at start does not feel it. Part of the file format: it must not change.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace stoker::store {

static_assert(std::endian::native == std::endian::little, "the checksum is defined on little-endian words");

class Checksum {
 public:
  Checksum& add(uint64_t word) {
    // Multiply-rotate by odd constants: every step is a bijection of the state, so a single changed word always shows.
    state_ = std::rotl((state_ ^ word) * 0x9e3779b97f4a7c15u, 29) * 0xbf58476d1ce4e5b9u;
    return *this;
  }
  Checksum& add(std::string_view bytes) {
    add(bytes.size());
    const char* at = bytes.data();
    size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
      uint64_t word;
      std::memcpy(&word, at, 8);
      add(word);
    }
    uint64_t tail = 0;
    if (left > 0) std::memcpy(&tail, at, left);
    return add(tail);
  }
  uint64_t value() const { return state_ ^ (state_ >> 32); }

 private:
  uint64_t state_ = 0x2545f4914f6cdd1du;
};

}  // namespace stoker::store
