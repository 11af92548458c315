// Decoding without structs. A built-in message is read as Go's decoder would read it into its struct (types are
// checked, nulls vanish, quantities and times become canonical); a custom node is only pruned, as upstream prunes
// unstructured objects, and its types are left to `validate`.
#include <fmt/format.h>

#include <vector>

#include "base/strings.h"
#include "base/time.h"
#include "kube/quantity.h"
#include "kube/rebuild.h"
#include "kube/schema.h"

namespace stoker::kube {
namespace {

/// Strict decoding reports at most this many unknown members; a body of nothing else would make a message of megabytes.
constexpr size_t kMaxUnknown = 100;

class Coercer {
 public:
  Coercer(json::Arena& arena, std::vector<std::string>& unknown) : arena_(arena), unknown_(unknown) {}

  /// Replaces `value` by what decoding gives. `typed`: inside a built-in message.
  Result<void> walk(const Schema& schema, json::Value& value, bool typed) {
    typed = typed || schema.builtin();
    switch (schema.type) {
      case Schema::Type::Any:
        return {};
      case Schema::Type::Choice:
        for (const Schema* choice : schema.choices)
          if (fits(*choice, value)) return walk(*choice, value, typed);
        return typed ? wrong("one of the forms its documentation names", value) : Result<void>{};
      case Schema::Type::Object:
        if (value.isObject()) return walkObject(schema, value, typed);
        return typed ? wrong("an object", value) : Result<void>{};
      case Schema::Type::Map:
        if (value.isObject()) return walkMap(schema, value, typed);
        return typed ? wrong("an object", value) : Result<void>{};
      case Schema::Type::Array:
        if (value.isArray()) return walkArray(schema, value, typed);
        return typed ? wrong("an array", value) : Result<void>{};
      default:
        return typed ? scalar(schema, value) : Result<void>{};
    }
  }

 private:
  Result<void> wrong(std::string_view wanted, json::Value value) const {
    std::string where = path_.str();
    return Error(Reason::BadRequest,
                 fmt::format("{}: expected {}, got {}", where.empty() ? "the object" : where, wanted,
                             value.isBool() ? std::string_view("boolean") : json::typeName(value.type())));
  }
  Result<void> malformed(std::string_view message) const {
    return Error(Reason::BadRequest, fmt::format("{}: {}", path_.str(), message));
  }

  static bool fits(const Schema& schema, json::Value value) {
    switch (schema.type) {
      case Schema::Type::Object:
      case Schema::Type::Map:
        return value.isObject();
      case Schema::Type::Array:
        return value.isArray();
      case Schema::Type::Boolean:
        return value.isBool();
      default:
        return true;
    }
  }

  /// What a null element of a Go list or map of values decodes to.
  json::Value zero(const Schema& schema) {
    switch (schema.type) {
      case Schema::Type::Object:
        return json::object(arena_, {});
      case Schema::Type::Boolean:
        return json::boolean(false);
      case Schema::Type::Integer:
      case Schema::Type::Number:
      case Schema::Type::IntOrString:
        return json::number(arena_, int64_t{0});
      case Schema::Type::String:
      case Schema::Type::Bytes:
        return json::string(arena_, "");
      case Schema::Type::Quantity:
        return json::string(arena_, "0");
      default:
        return {};
    }
  }

  Result<void> walkObject(const Schema& schema, json::Value& value, bool typed) {
    std::vector<json::Member> members;
    members.reserve(value.size());
    for (const json::Member& member : value.members()) {
      const Field* field = schema.field(member.key);
      const Schema* child = field ? field->schema : schema.items;
      if (!child) {
        if (schema.preserveUnknown)
          members.push_back(member);
        else if (unknown_.size() < kMaxUnknown)
          unknown_.push_back(path_.str(member.key));
        continue;
      }
      if (member.value.isNull() && (typed || child->builtin())) continue;
      json::Value inner = member.value;
      path_.push(member.key);
      STOKER_CHECK(walk(*child, inner, typed));
      path_.pop();
      members.push_back({member.key, inner});
    }
    value = objectOf(arena_, members);
    return {};
  }

  Result<void> walkMap(const Schema& schema, json::Value& value, bool typed) {
    std::vector<json::Member> members(value.members().begin(), value.members().end());
    for (json::Member& member : members) {
      if (member.value.isNull() && typed) {
        member.value = zero(*schema.items);
        continue;
      }
      path_.push(member.key);
      STOKER_CHECK(walk(*schema.items, member.value, typed));
      path_.pop();
    }
    value = objectOf(arena_, members);
    return {};
  }

  Result<void> walkArray(const Schema& schema, json::Value& value, bool typed) {
    if (!schema.items) return {};
    std::vector<json::Value> items(value.items().begin(), value.items().end());
    for (size_t i = 0; i < items.size(); ++i) {
      if (items[i].isNull() && typed) {
        items[i] = zero(*schema.items);
        continue;
      }
      path_.push(i);
      STOKER_CHECK(walk(*schema.items, items[i], typed));
      path_.pop();
    }
    value = json::array(arena_, items);
    return {};
  }

  Result<void> scalar(const Schema& schema, json::Value& value) {
    switch (schema.type) {
      case Schema::Type::String:
        return value.isString() ? Result<void>{} : wrong("a string", value);
      case Schema::Type::Boolean:
        return value.isBool() ? Result<void>{} : wrong("a boolean", value);
      case Schema::Type::Number:
        return value.isNumber() ? Result<void>{} : wrong("a number", value);
      case Schema::Type::Integer:
        return integer(schema.isInt32, value);
      case Schema::Type::IntOrString:
        return value.isString() ? Result<void>{} : integer(true, value, "an integer or a string");
      case Schema::Type::Quantity:
        return quantity(value);
      case Schema::Type::Time:
      case Schema::Type::MicroTime:
        return time(schema.type, value);
      case Schema::Type::Bytes:
        return bytes(value);
      default:
        return {};
    }
  }

  Result<void> integer(bool isInt32, json::Value& value, std::string_view wanted = "an integer") {
    if (!value.isNumber()) return wrong(wanted, value);
    // Go's integers take neither 1.0 nor 1e3.
    std::string_view text = value.numberText();
    auto number = value.integer();
    if (text.find_first_of(".eE") != std::string_view::npos || !number)
      return malformed(fmt::format("expected {}, got number {}", wanted, text));
    if (isInt32 && (*number > INT32_MAX || *number < INT32_MIN))
      return malformed(fmt::format("expected an integer of 32 bits, got number {}", text));
    return {};
  }

  Result<void> quantity(json::Value& value) {
    if (!value.isString() && !value.isNumber()) return wrong("a quantity such as \"500m\" or 2", value);
    auto parsed = Quantity::parse(value.isString() ? value.asString() : value.numberText());
    if (!parsed.ok()) return malformed(parsed.error().message);
    std::string canonical = parsed->toString();
    if (!value.isString() || canonical != value.asString()) value = json::string(arena_, canonical);
    return {};
  }

  Result<void> time(Schema::Type type, json::Value& value) {
    if (!value.isString()) return wrong("a time", value);
    auto canonical = canonicalTime(value.asString(), type == Schema::Type::MicroTime);
    if (!canonical)
      return malformed(
          fmt::format("parsing time {}: expected RFC 3339 such as \"2006-01-02T15:04:05Z\"", quote(value.asString())));
    if (*canonical != value.asString()) value = json::string(arena_, *canonical);
    return {};
  }

  Result<void> bytes(json::Value& value) {
    if (!value.isString()) return wrong("a base64 string", value);
    std::string_view text = value.asString();
    if (text.find_first_of("\r\n") == std::string_view::npos)
      return base64Decode(text) ? Result<void>{} : malformed("illegal base64 data");
    // Go's decoder passes over line breaks (a wrapped base64 block in YAML).
    std::string joined;
    for (char c : text)
      if (c != '\n' && c != '\r') joined += c;
    if (!base64Decode(joined)) return malformed("illegal base64 data");
    value = json::string(arena_, joined);
    return {};
  }

  json::Arena& arena_;
  std::vector<std::string>& unknown_;
  PathStack path_;
};

}  // namespace

Result<Coerced> coerce(json::Arena& arena, const Schema& schema, json::Value value) {
  Coerced out;
  out.value = value;
  STOKER_CHECK(Coercer(arena, out.unknown).walk(schema, out.value, false));
  return out;
}

}  // namespace stoker::kube
