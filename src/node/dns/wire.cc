#include "node/dns/wire.h"

#include <fmt/format.h>

#include <charconv>
#include <map>

#include "base/strings.h"

namespace stoker::node::dns {
namespace {

constexpr size_t kMaxName = 255, kMaxLabel = 63;
// A message of 64 KiB cannot hold more records than this; a count beyond it is a lie.
constexpr size_t kMaxRecords = 6000;

Error malformed(const char* what) { return {Reason::BadRequest, fmt::format("malformed DNS message: {}", what)}; }

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}
  size_t at() const { return at_; }
  size_t left() const { return bytes_.size() - at_; }
  bool u8(uint8_t& out) {
    if (left() < 1) return false;
    out = static_cast<uint8_t>(bytes_[at_++]);
    return true;
  }
  bool u16(uint16_t& out) {
    uint8_t high = 0, low = 0;
    if (!u8(high) || !u8(low)) return false;
    out = static_cast<uint16_t>(high << 8 | low);
    return true;
  }
  bool u32(uint32_t& out) {
    uint16_t high = 0, low = 0;
    if (!u16(high) || !u16(low)) return false;
    out = static_cast<uint32_t>(high) << 16 | low;
    return true;
  }
  bool take(size_t count, std::string& out) {
    if (left() < count) return false;
    out.assign(bytes_.substr(at_, count));
    at_ += count;
    return true;
  }
  /// A name, following compression pointers; each must point before the place it stands at, so they end.
  bool name(std::string& out) {
    out.clear();
    size_t at = at_, bound = bytes_.size();
    bool jumped = false;
    while (true) {
      if (at >= bytes_.size()) return false;
      auto length = static_cast<uint8_t>(bytes_[at]);
      if ((length & 0xc0) == 0xc0) {
        if (at + 1 >= bytes_.size()) return false;
        size_t target = static_cast<size_t>(length & 0x3f) << 8 | static_cast<uint8_t>(bytes_[at + 1]);
        if (!jumped) at_ = at + 2;
        jumped = true;
        if (target >= at || target >= bound) return false;
        bound = at = target;
        continue;
      }
      if (length > kMaxLabel) return false;
      ++at;
      if (length == 0) break;
      if (at + length > bytes_.size() || out.size() + length + 1 > kMaxName) return false;
      if (!out.empty()) out += '.';
      for (size_t i = 0; i < length; ++i) {
        char c = bytes_[at + i];
        // A dot or NUL within a label cannot be told from a separator in text; no name here has one.
        if (c == '.' || c == '\0') return false;
        out += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      }
      at += length;
    }
    if (!jumped) at_ = at;
    return true;
  }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
};

bool readOptions(std::string_view data, Edns& edns) {
  Reader reader(data);
  while (reader.left() > 0) {
    uint16_t code = 0, length = 0;
    std::string value;
    if (!reader.u16(code) || !reader.u16(length) || !reader.take(length, value)) return false;
    if (code == kHoldOption && value.size() == 2)
      edns.holdMilliseconds =
          static_cast<uint16_t>(static_cast<uint8_t>(value[0]) << 8 | static_cast<uint8_t>(value[1]));
  }
  return true;
}

Result<void> readRecord(Reader& reader, Message& message, std::vector<Record>& into) {
  Record record;
  uint16_t klass = 0, length = 0;
  if (!reader.name(record.name) || !reader.u16(record.type) || !reader.u16(klass) || !reader.u32(record.ttl) ||
      !reader.u16(length) || reader.left() < length)
    return malformed("a record ends too early");
  size_t end = reader.at() + length;
  std::string data;
  switch (record.type) {
    case kA:
    case kAaaa:
      if (length != (record.type == kA ? 4 : 16) || !reader.take(length, record.address))
        return malformed("an address of a wrong length");
      break;
    case kCname:
    case kPtr:
    case kNs:
      if (!reader.name(record.target)) return malformed("a bad name in a record");
      break;
    case kSrv:
      if (!reader.u16(record.priority) || !reader.u16(record.weight) || !reader.u16(record.port) ||
          !reader.name(record.target))
        return malformed("a bad SRV record");
      break;
    case kOpt: {
      Edns edns{.udpSize = klass};
      if (!reader.take(length, data) || !readOptions(data, edns)) return malformed("a bad OPT record");
      if (message.edns) return malformed("two OPT records");
      message.edns = edns;
      return {};
    }
    default:
      if (!reader.take(length, record.raw)) return malformed("a record ends too early");
  }
  if (reader.at() != end) return malformed("a record's length does not fit its data");
  into.push_back(std::move(record));
  return {};
}

class Writer {
 public:
  std::string out;
  void u8(unsigned value) { out += static_cast<char>(value); }
  void u16(unsigned value) {
    u8(value >> 8);
    u8(value & 0xff);
  }
  void u32(uint32_t value) {
    u16(value >> 16);
    u16(value & 0xffff);
  }
  void name(const std::string& name, bool compress = true) {
    std::string_view rest = name;
    while (!rest.empty()) {
      if (compress) {
        if (auto known = places_.find(std::string(rest)); known != places_.end())
          return u16(0xc000 | static_cast<unsigned>(known->second));
        if (out.size() < 0x4000) places_[std::string(rest)] = out.size();
      }
      size_t dot = std::min(rest.find('.'), rest.size());
      std::string_view label = rest.substr(0, std::min(dot, kMaxLabel));
      u8(static_cast<unsigned>(label.size()));
      out += label;
      rest.remove_prefix(std::min(dot + 1, rest.size()));
    }
    u8(0);
  }
  void record(const Record& record) {
    name(record.name);
    u16(record.type);
    u16(1);
    u32(record.ttl);
    size_t length = out.size();
    u16(0);
    switch (record.type) {
      case kA:
      case kAaaa:
        out += record.address;
        break;
      case kCname:
      case kPtr:
      case kNs:
        name(record.target);
        break;
      case kSrv:
        u16(record.priority);
        u16(record.weight);
        u16(record.port);
        name(record.target, false);  // RFC 2782: not compressed
        break;
      default:
        out += record.raw;
    }
    size_t size = out.size() - length - 2;
    out[length] = static_cast<char>(size >> 8);
    out[length + 1] = static_cast<char>(size & 0xff);
  }
  /// Undoes what was written after `size`.
  void cut(size_t size) {
    out.resize(size);
    std::erase_if(places_, [size](const auto& place) { return place.second >= size; });
  }

 private:
  std::map<std::string, size_t> places_;
};

}  // namespace

Result<Message> decode(std::string_view bytes) {
  Reader reader(bytes);
  Message message;
  uint16_t flags = 0, questions = 0, answers = 0, authorities = 0, additionals = 0;
  if (!reader.u16(message.id) || !reader.u16(flags) || !reader.u16(questions) || !reader.u16(answers) ||
      !reader.u16(authorities) || !reader.u16(additionals))
    return malformed("shorter than a header");
  message.response = flags & 0x8000;
  message.opcode = flags >> 11 & 0xf;
  message.authoritative = flags & 0x0400;
  message.truncated = flags & 0x0200;
  message.recursionDesired = flags & 0x0100;
  message.recursionAvailable = flags & 0x0080;
  message.rcode = flags & 0xf;
  if (size_t{questions} + answers + authorities + additionals > kMaxRecords) return malformed("too many records");
  for (unsigned i = 0; i < questions; ++i) {
    Question question;
    if (!reader.name(question.name) || !reader.u16(question.type) || !reader.u16(question.klass))
      return malformed("a question ends too early");
    message.questions.push_back(std::move(question));
  }
  for (auto [count, into] :
       {std::pair{answers, &message.answers}, {authorities, &message.authorities}, {additionals, &message.additionals}})
    for (unsigned i = 0; i < count; ++i) STOKER_CHECK(readRecord(reader, message, *into));
  return message;
}

std::string encode(const Message& message, size_t limit) {
  Writer writer;
  writer.u16(message.id);
  writer.u16(0);
  writer.u16(static_cast<unsigned>(message.questions.size()));
  for (int i = 0; i < 3; ++i) writer.u16(0);
  for (const Question& question : message.questions) {
    writer.name(question.name);
    writer.u16(question.type);
    writer.u16(question.klass);
  }
  std::string options;
  if (message.edns) {
    Writer opt;
    if (message.edns->holdMilliseconds) {
      opt.u16(kHoldOption);
      opt.u16(2);
      opt.u16(*message.edns->holdMilliseconds);
    }
    Writer whole;
    whole.u8(0);
    whole.u16(kOpt);
    whole.u16(message.edns->udpSize);
    whole.u32(0);
    whole.u16(static_cast<unsigned>(opt.out.size()));
    options = whole.out + opt.out;
  }
  bool truncated = message.truncated;
  size_t counts[3] = {0, 0, 0};
  const std::vector<Record>* sections[3] = {&message.answers, &message.authorities, &message.additionals};
  for (int section = 0; section < 3 && !truncated; ++section)
    for (const Record& record : *sections[section]) {
      size_t before = writer.out.size();
      writer.record(record);
      if (writer.out.size() + options.size() > limit) {
        writer.cut(before);
        truncated = truncated || section == 0;
        break;
      }
      ++counts[section];
    }
  writer.out += options;
  if (message.edns) ++counts[2];
  unsigned flags = (message.response ? 0x8000u : 0) | static_cast<unsigned>(message.opcode & 0xf) << 11 |
                   (message.authoritative ? 0x0400u : 0) | (truncated ? 0x0200u : 0) |
                   (message.recursionDesired ? 0x0100u : 0) | (message.recursionAvailable ? 0x0080u : 0) |
                   (message.rcode & 0xfu);
  auto put = [&](size_t at, size_t value) {
    writer.out[at] = static_cast<char>(value >> 8);
    writer.out[at + 1] = static_cast<char>(value & 0xff);
  };
  put(2, flags);
  for (int section = 0; section < 3; ++section) put(6 + 2 * static_cast<size_t>(section), counts[section]);
  return std::move(writer.out);
}

std::optional<std::string> addressBytes(std::string_view dotted) {
  auto parts = split(dotted, '.');
  if (parts.size() != 4) return std::nullopt;
  std::string out;
  for (std::string_view part : parts) {
    unsigned value = 256;
    auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || value > 255) return std::nullopt;
    out += static_cast<char>(value);
  }
  return out;
}

std::string addressText(std::string_view bytes) {
  if (bytes.size() == 4)
    return fmt::format("{}.{}.{}.{}", static_cast<uint8_t>(bytes[0]), static_cast<uint8_t>(bytes[1]),
                       static_cast<uint8_t>(bytes[2]), static_cast<uint8_t>(bytes[3]));
  return hexEncode(bytes);
}

}  // namespace stoker::node::dns
