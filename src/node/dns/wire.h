// wire.h: DNS messages (RFC 1035, EDNS(0) of RFC 6891) to and from bytes. Pure; reads bytes from anybody, so it is
// fuzzed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stoker::node::dns {

enum Type : uint16_t { kA = 1, kNs = 2, kCname = 5, kSoa = 6, kPtr = 12, kAaaa = 28, kSrv = 33, kOpt = 41, kAny = 255 };
enum Rcode : uint8_t { kNoError = 0, kFormErr = 1, kServFail = 2, kNxDomain = 3, kNotImp = 4, kRefused = 5 };

/// EDNS option of ours (RFC 6891: 65001-65534 are for local use): two bytes, milliseconds that the server may hold a
/// query whose name does not exist yet, answering as soon as it does. Sent by our nslookup only.
inline constexpr uint16_t kHoldOption = 65301;

struct Question {
  std::string name;  ///< lower case, without the last dot; "" is the root
  uint16_t type = kA;
  uint16_t klass = 1;
  bool operator==(const Question&) const = default;
};

struct Record {
  std::string name;
  uint16_t type = kA;
  uint32_t ttl = 5;
  std::string address;                          ///< A: 4 bytes, AAAA: 16 bytes
  std::string target;                           ///< CNAME, PTR, NS, SRV
  uint16_t priority = 0, weight = 0, port = 0;  ///< SRV
  std::string raw;                              ///< any other type: its data
  bool operator==(const Record&) const = default;
};

struct Edns {
  uint16_t udpSize = 1232;
  std::optional<uint16_t> holdMilliseconds;
  bool operator==(const Edns&) const = default;
};

struct Message {
  uint16_t id = 0;
  bool response = false, authoritative = false, truncated = false, recursionDesired = false, recursionAvailable = false;
  uint8_t opcode = 0;
  uint8_t rcode = kNoError;
  std::vector<Question> questions;
  std::vector<Record> answers, authorities, additionals;
  std::optional<Edns> edns;
  bool operator==(const Message&) const = default;
};

/// BadRequest when malformed: a length beyond the end, a name over 255 bytes, a compression pointer that does not go
/// back.
Result<Message> decode(std::string_view bytes);

/// Names are compressed. What does not fit in `limit` bytes is left out and the message marked truncated.
std::string encode(const Message& message, size_t limit = 65535);

/// "10.0.0.1" <-> 4 bytes.
std::optional<std::string> addressBytes(std::string_view dotted);
std::string addressText(std::string_view bytes);

}  // namespace stoker::node::dns
