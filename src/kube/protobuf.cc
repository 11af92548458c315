// Protobuf bodies: wire bytes to the JSON tree that the same object would be. Only reading: answers are always JSON,
// which every client accepts.
#include <fmt/format.h>

#include <cstring>
#include <vector>

#include "base/strings.h"
#include "base/time.h"
#include "kube/rebuild.h"
#include "kube/schema.h"

namespace stoker::kube {
namespace {

/// Nesting of messages; recursion is stack, and the deepest built-in object (a JSON schema) needs far less.
constexpr int kMaxDepth = 200;

enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

Error malformed(std::string_view what) { return Error(Reason::BadRequest, fmt::format("protobuf body: {}", what)); }

/// One field as it stands on the wire.
struct Token {
  uint32_t number = 0;
  uint32_t wire = 0;
  uint64_t value = 0;      // varint, fixed64, fixed32
  std::string_view bytes;  // length-delimited
};

class Reader {
 public:
  explicit Reader(std::string_view wire) : rest_(wire) {}
  bool done() const { return rest_.empty(); }

  Result<uint64_t> varint() {
    uint64_t out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) return malformed("it ends inside a number");
      auto byte = static_cast<unsigned char>(rest_[0]);
      rest_.remove_prefix(1);
      out |= uint64_t{byte & 0x7Fu} << shift;
      if (!(byte & 0x80)) return out;
    }
    return malformed("a number is longer than 10 bytes");
  }

  Result<Token> next() {
    STOKER_TRY(uint64_t tag, varint());
    Token token;
    token.number = static_cast<uint32_t>(tag >> 3);
    token.wire = static_cast<uint32_t>(tag & 7);
    if (tag >> 35 || token.number == 0) return malformed(fmt::format("{} is no field tag", tag));
    switch (token.wire) {
      case kVarint: {
        STOKER_TRY(token.value, varint());
        return token;
      }
      case kFixed64: {
        STOKER_TRY(std::string_view raw, take(8));
        std::memcpy(&token.value, raw.data(), 8);
        return token;
      }
      case kFixed32: {
        STOKER_TRY(std::string_view raw, take(4));
        std::memcpy(&token.value, raw.data(), 4);
        return token;
      }
      case kBytes: {
        STOKER_TRY(uint64_t length, varint());
        STOKER_TRY(token.bytes, take(length));
        return token;
      }
      default:
        return malformed(fmt::format("wire type {} of field {} is not used by Kubernetes", token.wire, token.number));
    }
  }

 private:
  Result<std::string_view> take(uint64_t count) {
    if (count > rest_.size()) return malformed(fmt::format("it ends {} bytes early", count - rest_.size()));
    std::string_view out = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return out;
  }
  std::string_view rest_;
};

bool validUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto lead = static_cast<unsigned char>(text[i]);
    size_t length = lead < 0x80                   ? 1
                    : lead >= 0xC2 && lead < 0xE0 ? 2
                    : lead >= 0xE0 && lead < 0xF0 ? 3
                    : lead >= 0xF0 && lead < 0xF5 ? 4
                                                  : 0;
    if (length == 0 || i + length > text.size()) return false;
    for (size_t k = 1; k < length; ++k)
      if ((static_cast<unsigned char>(text[i + k]) & 0xC0) != 0x80) return false;
    auto second = length > 1 ? static_cast<unsigned char>(text[i + 1]) : 0;
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
        (lead == 0xF4 && second > 0x8F))
      return false;
    i += length;
  }
  return true;
}

bool numeric(const Schema& schema) {
  return schema.type == Schema::Type::Integer || schema.type == Schema::Type::Boolean ||
         schema.type == Schema::Type::Number;
}

/// Go's zero of a scalar, which omitempty leaves out of JSON.
bool isZero(const Schema& schema, json::Value value) {
  switch (schema.type) {
    case Schema::Type::String:
    case Schema::Type::Bytes:
      return value.asString().empty();
    case Schema::Type::Integer:
    case Schema::Type::Number:
      return value.real() == 0.0;
    case Schema::Type::Boolean:
      return !value.asBool();
    default:
      return false;
  }
}

class Decoder {
 public:
  explicit Decoder(json::Arena& arena) : arena_(arena) {}

  /// The members of a message, those of its inlined fields among them.
  Result<void> members(const Schema& schema, std::string_view wire, int depth, std::vector<json::Member>& out) {
    if (depth > kMaxDepth) return malformed(fmt::format("messages are nested more than {} deep", kMaxDepth));
    struct Slot {
      const Field* field;
      json::Value value;
      std::vector<json::Value> items;
      std::vector<json::Member> entries;
    };
    std::vector<Slot> slots;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      const Field* field = byNumber(schema, token.number);
      if (!field) continue;
      if (field->inlined) {
        STOKER_CHECK(wants(kBytes, token, field->name));
        STOKER_CHECK(members(*field->schema, token.bytes, depth + 1, out));
        continue;
      }
      auto slot = std::find_if(slots.begin(), slots.end(), [&](const Slot& one) { return one.field == field; });
      if (slot == slots.end()) slot = slots.insert(slots.end(), Slot{field, {}, {}, {}});
      const Schema& type = *field->schema;
      if (type.type == Schema::Type::Map) {
        STOKER_CHECK(wants(kBytes, token, field->name));
        STOKER_CHECK(entry(*type.items, token.bytes, depth, slot->entries));
      } else if (type.type == Schema::Type::Array && !type.builtin()) {
        STOKER_CHECK(elements(*type.items, token, depth, slot->items, field->name));
      } else {
        STOKER_TRY(slot->value, single(type, token, depth, field->name));
      }
    }
    for (Slot& slot : slots) {
      json::Value value = slot.value;
      if (slot.field->schema->type == Schema::Type::Map)
        value = json::object(arena_, slot.entries);
      else if (slot.field->schema->type == Schema::Type::Array && !slot.field->schema->builtin())
        value = json::array(arena_, slot.items);
      if (value.isNull()) continue;  // a zero time
      // The wire has zeros for every field that is no pointer; JSON has them only where Go encodes them.
      if (isZero(*slot.field->schema, value) && !slot.field->pointer && !slot.field->always) continue;
      out.push_back({arena_.copy(slot.field->name), value});
    }
    return {};
  }

  Result<json::Value> message(const Schema& schema, std::string_view wire, int depth) {
    switch (schema.type) {
      case Schema::Type::Time:
      case Schema::Type::MicroTime:
        return time(schema.type, wire);
      case Schema::Type::Quantity:
        return quantity(wire);
      case Schema::Type::IntOrString:
        return intOrString(wire);
      case Schema::Type::Any:
        return rawJson(wire);
      case Schema::Type::Choice:
        return choice(schema, wire, depth);
      case Schema::Type::Array:
        return wrappedList(schema, wire, depth);
      default:
        break;
    }
    std::vector<json::Member> list;
    STOKER_CHECK(members(schema, wire, depth, list));
    return json::object(arena_, list);
  }

 private:
  static const Field* byNumber(const Schema& schema, uint32_t number) {
    for (const Field& field : schema.fields)
      if (field.proto == number) return &field;
    return nullptr;
  }

  static Result<void> wants(uint32_t wire, const Token& token, std::string_view name) {
    if (token.wire == wire) return {};
    return malformed(fmt::format("field {} has wire type {}, expected {}", name, token.wire, wire));
  }

  Result<json::Value> number(const Schema& schema, uint64_t bits) {
    switch (schema.type) {
      case Schema::Type::Boolean:
        return json::boolean(bits != 0);
      case Schema::Type::Number: {
        double real;
        std::memcpy(&real, &bits, 8);
        if (real != real || real - real != 0) return malformed("a number is not finite");
        return json::number(arena_, real);
      }
      default:
        return json::number(arena_, schema.isInt32 ? int64_t{static_cast<int32_t>(bits)} : static_cast<int64_t>(bits));
    }
  }

  Result<json::Value> single(const Schema& schema, const Token& token, int depth, std::string_view name) {
    if (numeric(schema)) {
      STOKER_CHECK(wants(schema.type == Schema::Type::Number ? kFixed64 : kVarint, token, name));
      return number(schema, token.value);
    }
    STOKER_CHECK(wants(kBytes, token, name));
    if (schema.type == Schema::Type::Bytes) return json::string(arena_, base64Encode(token.bytes));
    if (schema.type == Schema::Type::String) {
      if (!validUtf8(token.bytes)) return malformed(fmt::format("field {} is not valid UTF-8", name));
      return json::string(arena_, token.bytes);
    }
    return message(schema, token.bytes, depth + 1);
  }

  Result<void> elements(const Schema& schema, const Token& token, int depth, std::vector<json::Value>& out,
                        std::string_view name) {
    if (numeric(schema) && token.wire == kBytes) {  // packed
      if (schema.type == Schema::Type::Number) {
        if (token.bytes.size() % 8) return malformed(fmt::format("field {} holds half a number", name));
        for (size_t i = 0; i < token.bytes.size(); i += 8) {
          uint64_t bits;
          std::memcpy(&bits, token.bytes.data() + i, 8);
          STOKER_TRY(json::Value item, number(schema, bits));
          out.push_back(item);
        }
        return {};
      }
      for (Reader reader(token.bytes); !reader.done();) {
        STOKER_TRY(uint64_t bits, reader.varint());
        STOKER_TRY(json::Value item, number(schema, bits));
        out.push_back(item);
      }
      return {};
    }
    STOKER_TRY(json::Value item, single(schema, token, depth, name));
    out.push_back(item);
    return {};
  }

  /// Map entries are messages {1: key, 2: value}; a missing value is the zero of its type.
  Result<void> entry(const Schema& schema, std::string_view wire, int depth, std::vector<json::Member>& out) {
    std::string_view key;
    json::Value value;
    bool given = false;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      if (token.number == 1) {
        STOKER_CHECK(wants(kBytes, token, "key"));
        key = token.bytes;
      } else if (token.number == 2) {
        STOKER_TRY(value, single(schema, token, depth, "value"));
        given = true;
      }
    }
    if (!validUtf8(key)) return malformed("a map key is not valid UTF-8");
    if (!given) {
      Token zero{.number = 2,
                 .wire = numeric(schema) ? (schema.type == Schema::Type::Number ? kFixed64 : kVarint) : kBytes};
      STOKER_TRY(value, single(schema, zero, depth, "value"));
    }
    out.push_back({key, value});
    return {};
  }

  Result<json::Value> time(Schema::Type type, std::string_view wire) {
    int64_t seconds = 0, nanos = 0;
    bool given = false;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      given = true;
      if (token.number == 1) seconds = static_cast<int64_t>(token.value);
      if (token.number == 2) nanos = static_cast<int32_t>(token.value);
    }
    if (!given) return json::Value();  // Go's zero time is an empty message and null in JSON
    // What sys_time<nanoseconds> can hold: the years 1678 to 2261.
    constexpr int64_t kLimit = INT64_MAX / 1'000'000'000 - 1;
    if (seconds > kLimit || seconds < -kLimit || nanos < 0 || nanos >= 1'000'000'000)
      return malformed(fmt::format("{} seconds and {} nanoseconds is no time", seconds, nanos));
    Time time{std::chrono::seconds(seconds) + std::chrono::nanoseconds(nanos)};
    return json::string(arena_, type == Schema::Type::Time ? formatTime(time) : formatMicroTime(time));
  }

  Result<json::Value> quantity(std::string_view wire) {
    std::string_view text = "0";
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      if (token.number == 1 && token.wire == kBytes && !token.bytes.empty()) text = token.bytes;
    }
    if (!validUtf8(text)) return malformed("a quantity is not valid UTF-8");
    return json::string(arena_, text);
  }

  Result<json::Value> intOrString(std::string_view wire) {
    bool isString = false;
    int64_t number = 0;
    std::string_view text;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      if (token.number == 1) isString = token.value == 1;
      if (token.number == 2) number = static_cast<int32_t>(token.value);
      if (token.number == 3) text = token.bytes;
    }
    if (!isString) return json::number(arena_, number);
    if (!validUtf8(text)) return malformed("an int-or-string is not valid UTF-8");
    return json::string(arena_, text);
  }

  /// RawExtension, JSON, FieldsV1: JSON text in field 1.
  Result<json::Value> rawJson(std::string_view wire) {
    std::string_view raw;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      if (token.number == 1) raw = token.bytes;
    }
    if (raw.empty()) return json::Value();
    auto value = json::parse(arena_, raw);
    if (!value.ok()) return malformed("embedded JSON: " + value.error().message);
    return *value;
  }

  /// JSONSchemaPropsOrBool and its kin: whichever field is there; a bool stands back where there is a schema.
  Result<json::Value> choice(const Schema& schema, std::string_view wire, int depth) {
    std::vector<json::Member> list;
    std::vector<json::Value> items;
    json::Value out;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      const Field* field = byNumber(schema, token.number);
      if (!field) continue;
      if (field->schema->type == Schema::Type::Array) {
        STOKER_CHECK(elements(*field->schema->items, token, depth, items, field->name));
      } else {
        STOKER_TRY(json::Value value, single(*field->schema, token, depth, field->name));
        if (!out.isObject()) out = value;
      }
    }
    return out.isNull() && !items.empty() ? json::array(arena_, items) : out;
  }

  /// ExtraValue, Verbs: a list of strings that is a message of its own.
  Result<json::Value> wrappedList(const Schema& schema, std::string_view wire, int depth) {
    std::vector<json::Value> items;
    for (Reader reader(wire); !reader.done();) {
      STOKER_TRY(Token token, reader.next());
      if (token.number == 1) STOKER_CHECK(elements(*schema.items, token, depth, items, "items"));
    }
    return json::array(arena_, items);
  }

  json::Arena& arena_;
};

}  // namespace

Result<json::Value> decodeProtobuf(json::Arena& arena, const Schema& schema, std::string_view wire) {
  return Decoder(arena).message(schema, wire, 0);
}

Result<ProtobufEnvelope> openProtobufEnvelope(std::string_view body) {
  constexpr std::string_view kMagic("k8s\0", 4);
  if (!body.starts_with(kMagic)) return malformed("it does not start with the bytes \"k8s\\0\"");
  ProtobufEnvelope out;
  for (Reader reader(body.substr(kMagic.size())); !reader.done();) {
    STOKER_TRY(Token token, reader.next());
    if (token.wire != kBytes) continue;
    if (token.number == 1) {
      for (Reader type(token.bytes); !type.done();) {
        STOKER_TRY(Token part, type.next());
        if (part.number == 1) out.apiVersion = part.bytes;
        if (part.number == 2) out.kind = part.bytes;
      }
    } else if (token.number == 2) {
      out.raw = token.bytes;
    } else if (token.number == 3 && !token.bytes.empty()) {
      return Error(Reason::UnsupportedMediaType,
                   fmt::format("protobuf body: content encoding {} is not supported; send the object unencoded",
                               quote(token.bytes)));
    } else if (token.number == 4) {
      out.contentType = token.bytes;
    }
  }
  return out;
}

}  // namespace stoker::kube
