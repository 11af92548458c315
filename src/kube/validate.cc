// Validation. Custom nodes get the words of kube-openapi ("spec.replicas in body should be ..."), which is what the API
// server of upstream answers for custom resources; built-in messages get those of its hand-written checks.
#include <fmt/format.h>

#include <cmath>
#include <set>
#include <unordered_set>

#include "base/strings.h"
#include "base/time.h"
#include "kube/field_error.h"
#include "kube/pattern.h"
#include "kube/quantity.h"
#include "kube/rebuild.h"
#include "kube/schema.h"

namespace stoker::kube {

bool formatHolds(std::string_view format, std::string_view text);  // formats.cc

namespace {

/// A status with more causes than this helps nobody.
constexpr size_t kMaxCauses = 100;

std::string_view jsonType(json::Value value) {
  switch (value.type()) {
    case json::Type::Null:
      return "null";
    case json::Type::Bool:
      return "boolean";
    case json::Type::Number:
      return value.integer() ? "integer" : "number";
    case json::Type::String:
      return "string";
    case json::Type::Array:
      return "array";
    case json::Type::Object:
      return "object";
  }
  return "";
}

std::string_view typeWord(Schema::Type type) {
  switch (type) {
    case Schema::Type::Object:
    case Schema::Type::Map:
      return "object";
    case Schema::Type::Array:
      return "array";
    case Schema::Type::String:
      return "string";
    case Schema::Type::Integer:
      return "integer";
    case Schema::Type::Number:
      return "number";
    case Schema::Type::Boolean:
      return "boolean";
    case Schema::Type::IntOrString:
      return "integer,string";
    default:
      return "";
  }
}

bool typeHolds(Schema::Type type, json::Value value) {
  switch (type) {
    case Schema::Type::Object:
    case Schema::Type::Map:
      return value.isObject();
    case Schema::Type::Array:
      return value.isArray();
    case Schema::Type::String:
      return value.isString();
    case Schema::Type::Integer:
      return value.integer().has_value() && value.isNumber();
    case Schema::Type::Number:
      return value.isNumber();
    case Schema::Type::Boolean:
      return value.isBool();
    case Schema::Type::IntOrString:
      return value.isString() || (value.isNumber() && value.integer());
    default:
      return true;
  }
}

class Validator {
 public:
  explicit Validator(std::string_view base) : path_(base) {}

  void check(const Schema& schema, json::Value value, bool typed) {
    if (causes.size() >= kMaxCauses) return;
    typed = typed || schema.builtin();
    if (value.isNull() && (schema.nullable || typed)) return;
    if (!typed && !typeHolds(schema.type, value)) {
      std::string name = quote(jsonType(value));
      add(invalid(here(), name, fmt::format("{} in body must be of type {}: {}", here(), typeWord(schema.type), name),
                  "FieldValueTypeInvalid"));
      return;
    }
    checkEnum(schema, value, typed);
    if (value.isNumber()) checkNumber(schema, value, typed);
    if (value.isString() && !typed) checkString(schema, value);
    if (value.isObject()) checkObject(schema, value, typed);
    if (value.isArray()) checkArray(schema, value, typed);
    if (!typed) checkComposites(schema, value);
  }

  std::vector<Cause> causes;

 private:
  void add(Cause cause) {
    if (causes.size() < kMaxCauses) causes.push_back(std::move(cause));
  }
  std::string here() const { return path_.str(); }
  void say(std::string value, std::string_view text) {
    add(invalid(here(), value, here() + " in body " + std::string(text)));
  }

  void checkEnum(const Schema& schema, json::Value value, bool typed) {
    if (schema.enumeration.empty()) return;
    if (typed && value.isString() && value.asString().empty()) return;  // Go's zero value: not given
    std::vector<std::string> allowed;
    for (json::Value one : schema.enumeration) {
      if (one == value) return;
      allowed.push_back(one.isString() ? one.str() : json::print(one));
    }
    add(unsupported(here(), value, allowed));
  }

  void checkNumber(const Schema& schema, json::Value value, bool typed) {
    double number = value.real().value_or(0);
    auto text = [&](double bound) { return json::formatDouble(bound); };
    std::string given = json::print(value);
    if (typed) {
      if (schema.minimum && schema.maximum && (number < *schema.minimum || number > *schema.maximum))
        add(invalid(here(), given,
                    fmt::format("must be between {} and {}, inclusive", text(*schema.minimum), text(*schema.maximum))));
      else if (schema.minimum && !schema.maximum && number < *schema.minimum)
        add(invalid(here(), given, fmt::format("must be greater than or equal to {}", text(*schema.minimum))));
      return;
    }
    if (schema.minimum && (schema.exclusiveMinimum ? number <= *schema.minimum : number < *schema.minimum))
      say(given, fmt::format("should be greater than {}{}", schema.exclusiveMinimum ? "" : "or equal to ",
                             text(*schema.minimum)));
    if (schema.maximum && (schema.exclusiveMaximum ? number >= *schema.maximum : number > *schema.maximum))
      say(given, fmt::format("should be less than {}{}", schema.exclusiveMaximum ? "" : "or equal to ",
                             text(*schema.maximum)));
    if (schema.multipleOf && *schema.multipleOf != 0) {
      double ratio = number / *schema.multipleOf;
      // Decimal fractions are not exact: 0.3 is a multiple of 0.1.
      if (std::abs(ratio - std::round(ratio)) > 1e-9)
        say(given, fmt::format("should be a multiple of {}", text(*schema.multipleOf)));
    }
    if (schema.isInt32 && std::abs(number) > 2147483648.0) say(given, "must be of type int32: " + quote(given));
  }

  void checkString(const Schema& schema, json::Value value) {
    std::string_view text = value.asString();
    auto runes = [&] {
      return std::count_if(text.begin(), text.end(),
                           [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
    };
    if (schema.maxLength && runes() > *schema.maxLength)
      add({"FieldValueTooLong", fmt::format("Too long: may not be more than {} bytes", *schema.maxLength), here()});
    if (schema.minLength && runes() < *schema.minLength)
      say(shown(value), fmt::format("should be at least {} chars long", *schema.minLength));
    if (schema.compiled && !RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), schema.compiled->re))
      say(shown(value), fmt::format("should match '{}'", schema.pattern));
    if (!schema.format.empty() && !formatHolds(schema.format, text))
      add(invalid(here(), shown(value),
                  fmt::format("{} in body must be of type {}: {}", here(), schema.format, quote(text)),
                  "FieldValueTypeInvalid"));
  }

  static bool missing(json::Value object, std::string_view name, bool typed) {
    const json::Value* member = object.find(name);
    if (!member) return true;
    if (!typed) return false;
    return member->isNull() || (member->isString() && member->asString().empty()) ||
           (member->isArray() && member->empty()) || (member->isNumber() && member->integer() == 0);
  }

  void checkRequired(const Schema& schema, json::Value value, bool typed) {
    for (const std::string& name : schema.required)
      if (missing(value, name, typed)) add(required(path_.str(name)));
    for (const Field& field : schema.fields)
      if (field.inlined) checkRequired(*field.schema, value, typed);
  }

  void checkObject(const Schema& schema, json::Value value, bool typed) {
    checkRequired(schema, value, typed);
    if (schema.embedded)
      for (std::string_view name : {"apiVersion", "kind"})
        if (value[name].asString().empty()) add(required(path_.str(name), "must not be empty"));
    auto size = static_cast<int64_t>(value.size());
    if (schema.minProperties && size < *schema.minProperties)
      say(std::to_string(size), fmt::format("should have at least {} properties", *schema.minProperties));
    if (schema.maxProperties && size > *schema.maxProperties)
      add({"FieldValueTooMany", fmt::format("Too many: {}: must have at most {} items", size, *schema.maxProperties),
           here()});
    for (const json::Member& member : value.members()) {
      const Field* field = schema.field(member.key);
      const Schema* child = field ? field->schema : schema.items;
      if (!child) continue;
      if (!field && typed)
        path_.pushKey(member.key);
      else
        path_.push(member.key);
      check(*child, member.value, typed);
      path_.pop();
    }
  }

  void checkArray(const Schema& schema, json::Value value, bool typed) {
    auto size = static_cast<int64_t>(value.size());
    if (schema.minItems && size < *schema.minItems)
      say(std::to_string(size), fmt::format("should have at least {} items", *schema.minItems));
    if (schema.maxItems && size > *schema.maxItems) {
      add({"FieldValueTooMany", fmt::format("Too many: {}: must have at most {} items", size, *schema.maxItems),
           here()});
      return;  // upstream stops as well: an oversized list is not walked
    }
    if (!typed) checkUnique(schema, value);
    if (!schema.items) return;
    for (size_t i = 0; i < value.size(); ++i) {
      path_.push(i);
      check(*schema.items, value[i], typed);
      path_.pop();
    }
  }

  void checkUnique(const Schema& schema, json::Value value) {
    if (schema.uniqueItems) {
      std::unordered_set<std::string> seen;
      for (json::Value item : value.items())
        if (!seen.insert(json::print(item)).second) {
          say("\"\"", "shouldn't contain duplicates");
          break;
        }
    }
    if (schema.listType == Schema::ListType::Atomic) return;
    std::unordered_set<std::string> seen;
    for (size_t i = 0; i < value.size(); ++i) {
      json::Value identity = value[i];
      if (schema.listType == Schema::ListType::Map) {
        if (!identity.isObject()) continue;  // its type is wrong, which is said elsewhere
        std::vector<json::Member> keys;
        for (const std::string& key : schema.listMapKeys)
          if (const json::Value* found = identity.find(key)) keys.push_back({key, *found});
        identity = json::object(arena_, keys);
      }
      if (!seen.insert(json::print(identity)).second) add(duplicate(indexPath(here(), i), identity));
    }
  }

  /// The causes that `value` would have under `schema`, at this place.
  std::vector<Cause> tried(const Schema& schema, json::Value value) {
    std::vector<Cause> outer;
    outer.swap(causes);
    check(schema, value, false);
    outer.swap(causes);
    return outer;
  }

  void composite(std::string_view text) { add(invalid(here(), "\"\"", quote(here()) + " " + std::string(text))); }
  void addAll(std::vector<Cause> more) {
    for (Cause& cause : more) add(std::move(cause));
  }

  void checkComposites(const Schema& schema, json::Value value) {
    if (!schema.anyOf.empty()) {
      std::optional<std::vector<Cause>> best;
      bool valid = false;
      for (const Schema* one : schema.anyOf) {
        auto failed = tried(*one, value);
        valid = failed.empty();
        if (valid) break;
        if (!best || failed.size() < best->size()) best = std::move(failed);
      }
      if (!valid) {
        composite("must validate at least one schema (anyOf)");
        addAll(std::move(*best));
      }
    }
    if (!schema.oneOf.empty()) {
      std::optional<std::vector<Cause>> best;
      size_t valid = 0;
      for (const Schema* one : schema.oneOf) {
        auto failed = tried(*one, value);
        if (failed.empty())
          ++valid;
        else if (!best || failed.size() < best->size())
          best = std::move(failed);
      }
      if (valid == 0) {
        composite("must validate one and only one schema (oneOf). Found none valid");
        addAll(std::move(*best));
      } else if (valid > 1) {
        composite(fmt::format("must validate one and only one schema (oneOf). Found {} valid alternatives", valid));
      }
    }
    if (!schema.allOf.empty()) {
      size_t valid = 0;
      std::vector<Cause> all;
      for (const Schema* one : schema.allOf) {
        auto failed = tried(*one, value);
        valid += failed.empty();
        for (Cause& cause : failed) all.push_back(std::move(cause));
      }
      addAll(std::move(all));
      if (valid < schema.allOf.size())
        composite(valid == 0 ? "must validate all the schemas (allOf). None validated"
                             : "must validate all the schemas (allOf)");
    }
    if (schema.negated && tried(*schema.negated, value).empty()) composite("must not validate the schema (not)");
  }

  json::Arena arena_;
  PathStack path_;
};

}  // namespace

std::vector<Cause> validate(const Schema& schema, json::Value value, std::string_view path) {
  Validator validator(path);
  validator.check(schema, value, false);
  return std::move(validator.causes);
}

}  // namespace stoker::kube
