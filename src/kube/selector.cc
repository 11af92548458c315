#include "kube/selector.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "kube/names.h"

namespace stoker::kube {

namespace {

using Requirement = LabelSelector::Requirement;
using Op = Requirement::Op;

// ---- scanning
// --------------------------------------------------------------------------------------------------------

enum class Token {
  Error,
  End,
  Close,
  Comma,
  Not,
  DoubleEquals,
  Equals,
  Greater,
  Identifier,
  In,
  Less,
  NotEquals,
  NotIn,
  Open
};

struct Item {
  Token token;
  std::string_view text;
};

constexpr struct {
  std::string_view text;
  Token token;
} kSymbols[] = {{")", Token::Close},         {",", Token::Comma},      {"!", Token::Not},
                {"==", Token::DoubleEquals}, {"=", Token::Equals},     {">", Token::Greater},
                {"<", Token::Less},          {"!=", Token::NotEquals}, {"(", Token::Open}};

std::optional<Token> symbolToken(std::string_view text) {
  for (auto& s : kSymbols)
    if (s.text == text) return s.token;
  return std::nullopt;
}

bool isSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool isSymbol(char c) { return std::string_view("=!(),><").find(c) != std::string_view::npos; }

std::vector<Item> scan(std::string_view text) {
  std::vector<Item> out;
  size_t at = 0;
  while (at < text.size()) {
    size_t start = at;
    if (isSpace(text[at])) {
      ++at;
    } else if (isSymbol(text[at])) {
      // Every single symbol but none of its doubles is a token except == and !=.
      size_t length = at + 1 < text.size() && symbolToken(text.substr(at, 2)) ? 2 : 1;
      at += length;
      out.push_back({*symbolToken(text.substr(start, length)), text.substr(start, length)});
    } else {
      while (at < text.size() && !isSpace(text[at]) && !isSymbol(text[at])) ++at;
      std::string_view word = text.substr(start, at - start);
      out.push_back({word == "in" ? Token::In : word == "notin" ? Token::NotIn : Token::Identifier, word});
    }
  }
  out.push_back({Token::End, ""});
  return out;
}

// ---- requirements
// ----------------------------------------------------------------------------------------------------

Error bad(std::string message) { return Error(Reason::BadRequest, std::move(message)); }

std::string invalid(std::string_view path, std::string_view value, std::string_view why) {
  return fmt::format("{}: Invalid value: {}: {}", path, quote(value), why);
}

// Go's %#v of a []string.
std::string goStrings(const std::vector<std::string>& values) {
  std::vector<std::string> quoted;
  for (const std::string& value : values) quoted.push_back(quote(value));
  return "[]string{" + join(quoted, ", ") + "}";
}

bool parseInt64(std::string_view text, int64_t& out) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return false;
  }
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
  return ec == std::errc() && end == text.data() + text.size();
}

// `path` of the key as upstream prints it: "<nil>" where the selector was a text.
Result<void> checkKey(std::string_view key, std::string_view path) {
  auto why = qualifiedName(key);
  if (why.empty()) return {};
  return bad(invalid(path, key, join(why, "; ")));
}

Result<Requirement> makeRequirement(std::string_view key, Op op, std::string_view symbol,
                                    std::vector<std::string> values) {
  std::vector<std::string> wrong;
  auto check = [&](bool good, std::string message) {
    if (!good) wrong.push_back(std::move(message));
  };
  if (auto why = qualifiedName(key); !why.empty()) wrong.push_back(invalid("key", key, join(why, "; ")));
  switch (op) {
    case Op::In:
    case Op::NotIn:
      check(!values.empty(),
            "values: Invalid value: []string{}: for 'in', 'notin' operators, values set can't be empty");
      break;
    case Op::Exists:
    case Op::DoesNotExist:
      if (!values.empty())
        wrong.push_back(fmt::format("values: Invalid value: {}: values set must be empty for exists and does not exist",
                                    goStrings(values)));
      break;
    case Op::GreaterThan:
    case Op::LessThan: {
      int64_t ignored;
      for (size_t i = 0; i < values.size(); ++i)
        check(parseInt64(values[i], ignored), invalid(fmt::format("values[{}]", i), values[i],
                                                      "for 'Gt', 'Lt' operators, the value must be an integer"));
      break;
    }
  }
  for (size_t i = 0; i < values.size(); ++i)
    if (auto why = labelValue(values[i]); !why.empty())
      wrong.push_back(invalid(fmt::format("values[{}][{}]", i, key), values[i], join(why, "; ")));
  if (wrong.size() == 1) return bad(wrong[0]);
  if (!wrong.empty()) return bad("[" + join(wrong, ", ") + "]");

  Requirement out;
  out.op = op;
  out.key = key;
  out.symbol = symbol;
  out.values = std::move(values);
  std::sort(out.values.begin(), out.values.end());
  out.values.erase(std::unique(out.values.begin(), out.values.end()), out.values.end());
  return out;
}

// ---- parsing
// ---------------------------------------------------------------------------------------------------------

class Parser {
 public:
  explicit Parser(std::string_view text) : items_(scan(text)) {}

  Result<std::vector<Requirement>> parse() {
    std::vector<Requirement> out;
    for (;;) {
      if (peek() == Token::End) return out;
      if (peek() != Token::Identifier && peek() != Token::Not)
        return bad(fmt::format("found '{}', expected: !, identifier, or 'end of string'", items_[at_].text));
      auto requirement = parseRequirement();
      if (!requirement.ok()) return bad("unable to parse requirement: " + requirement.error().message);
      out.push_back(*std::move(requirement));
      Item next = take();
      if (next.token == Token::End) return out;
      if (next.token != Token::Comma)
        return bad(fmt::format("found '{}', expected: ',' or 'end of string'", next.text));
      if (peek() != Token::Identifier && peek() != Token::Not)
        return bad(fmt::format("found '{}', expected: identifier after ','", items_[at_].text));
    }
  }

 private:
  // "in" and "notin" are names wherever no operator can stand.
  static Token asValue(Token t) { return t == Token::In || t == Token::NotIn ? Token::Identifier : t; }
  Token peek() const { return asValue(items_[at_].token); }
  Item takeOperator() {
    Item out = items_[at_];
    if (at_ + 1 < items_.size()) ++at_;  // the end token stays
    return out;
  }
  Item take() {
    Item out = takeOperator();
    return {asValue(out.token), out.text};
  }

  Result<Requirement> parseRequirement() {
    Item key = take();
    bool negated = key.token == Token::Not;
    if (negated) key = take();
    if (key.token != Token::Identifier) return bad(fmt::format("found '{}', expected: identifier", key.text));
    STOKER_CHECK(checkKey(key.text, "<nil>"));
    if (negated) return makeRequirement(key.text, Op::DoesNotExist, {}, {});
    if (peek() == Token::End || peek() == Token::Comma) return makeRequirement(key.text, Op::Exists, {}, {});
    Item op = takeOperator();
    switch (op.token) {
      case Token::In:
        return withSet(key.text, Op::In);
      case Token::NotIn:
        return withSet(key.text, Op::NotIn);
      case Token::Equals:
        return withValue(key.text, Op::In, "=");
      case Token::DoubleEquals:
        return withValue(key.text, Op::In, "==");
      case Token::NotEquals:
        return withValue(key.text, Op::NotIn, "!=");
      case Token::Greater:
        return withValue(key.text, Op::GreaterThan, {});
      case Token::Less:
        return withValue(key.text, Op::LessThan, {});
      default:
        return bad(fmt::format("found '{}', expected: in, notin, =, ==, !=, gt, lt", op.text));
    }
  }

  Result<Requirement> withValue(std::string_view key, Op op, std::string_view symbol) {
    if (peek() == Token::End || peek() == Token::Comma) return makeRequirement(key, op, symbol, {""});
    Item value = take();
    if (value.token != Token::Identifier) return bad(fmt::format("found '{}', expected: identifier", value.text));
    return makeRequirement(key, op, symbol, {std::string(value.text)});
  }

  Result<Requirement> withSet(std::string_view key, Op op) {
    Item open = take();
    if (open.token != Token::Open) return bad(fmt::format("found '{}' expected: '('", open.text));
    STOKER_TRY(auto values, parseSet());
    return makeRequirement(key, op, {}, std::move(values));
  }

  // After "(": identifiers with commas between; a missing one is "".
  Result<std::vector<std::string>> parseSet() {
    std::vector<std::string> values;
    if (peek() == Token::Close) {
      take();
      return values;
    }
    if (peek() != Token::Identifier && peek() != Token::Comma)
      return bad(fmt::format("found '{}', expected: ',', ')' or identifier", items_[at_].text));
    for (;;) {
      if (peek() == Token::Identifier)
        values.emplace_back(take().text);
      else if (peek() == Token::Comma || peek() == Token::Close)
        values.emplace_back();
      else
        return bad(fmt::format("found '{}', expected: ',', or identifier", items_[at_].text));
      Item next = take();
      if (next.token == Token::Close) return values;
      if (next.token != Token::Comma) return bad(fmt::format("found '{}', expected: ',' or ')'", next.text));
    }
  }

  std::vector<Item> items_;
  size_t at_ = 0;
};

void sortByKey(std::vector<Requirement>& requirements) {
  std::stable_sort(requirements.begin(), requirements.end(), [](auto& a, auto& b) { return a.key < b.key; });
}

}  // namespace

bool Requirement::matches(std::optional<std::string_view> value) const {
  auto listed = [&] { return std::find(values.begin(), values.end(), *value) != values.end(); };
  switch (op) {
    case Op::In:
      return value && listed();
    case Op::NotIn:
      return !value || !listed();
    case Op::Exists:
      return value.has_value();
    case Op::DoesNotExist:
      return !value;
    case Op::GreaterThan:
    case Op::LessThan: {
      int64_t have = 0, bound = 0;
      if (!value || values.size() != 1 || !parseInt64(*value, have) || !parseInt64(values[0], bound)) return false;
      return op == Op::GreaterThan ? have > bound : have < bound;
    }
  }
  return false;
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  STOKER_TRY(auto requirements, Parser(text).parse());
  LabelSelector out;
  out.requirements_ = std::move(requirements);
  sortByKey(out.requirements_);
  return out;
}

Result<LabelSelector> LabelSelector::fromJson(json::Value selector) {
  LabelSelector out;
  if (selector.isNull()) {
    out.nothing_ = true;
    return out;
  }
  auto add = [&](std::string_view key, Op op, std::string_view symbol,
                 std::vector<std::string> values) -> Result<void> {
    auto requirement = makeRequirement(key, op, symbol, std::move(values));
    if (!requirement.ok()) return Error(Reason::Invalid, requirement.error().message);
    out.requirements_.push_back(*std::move(requirement));
    return {};
  };
  for (const json::Member& label : selector["matchLabels"].members())
    STOKER_CHECK(add(label.key, Op::In, "=", {label.value.str()}));
  for (json::Value expression : selector["matchExpressions"].items()) {
    static constexpr std::pair<std::string_view, Op> kOperators[] = {
        {"In", Op::In}, {"NotIn", Op::NotIn}, {"Exists", Op::Exists}, {"DoesNotExist", Op::DoesNotExist}};
    std::string_view name = expression["operator"].asString();
    auto known = std::find_if(std::begin(kOperators), std::end(kOperators), [&](auto& o) { return o.first == name; });
    if (known == std::end(kOperators))
      return Error(Reason::Invalid, fmt::format("{} is not a valid label selector operator", quote(name)));
    std::vector<std::string> values;
    for (json::Value value : expression["values"].items()) values.push_back(value.str());
    STOKER_CHECK(add(expression["key"].asString(), known->second, {}, std::move(values)));
  }
  sortByKey(out.requirements_);
  return out;
}

bool LabelSelector::matches(const Lookup& label) const {
  if (nothing_) return false;
  for (const Requirement& r : requirements_)
    if (!r.matches(label(r.key))) return false;
  return true;
}

bool LabelSelector::matches(json::Value labels) const {
  if (nothing_) return false;
  for (const Requirement& r : requirements_) {
    const json::Value* value = labels.find(r.key);
    if (!r.matches(value ? std::optional(value->asString()) : std::nullopt)) return false;
  }
  return true;
}

bool LabelSelector::matchesFlat(std::string_view flat) const {
  if (nothing_) return false;
  // Labels and requirements both go by key, so one pass over the labels answers all of them.
  auto next = [&]() -> std::string_view {
    size_t end = std::min(flat.find('\0'), flat.size());
    std::string_view out = flat.substr(0, end);
    flat.remove_prefix(std::min(end + 1, flat.size()));
    return out;
  };
  std::string_view key, value;
  bool have = !flat.empty();
  if (have) key = next(), value = next();
  for (const Requirement& r : requirements_) {
    while (have && key < r.key) {
      have = !flat.empty();
      if (have) key = next(), value = next();
    }
    if (!r.matches(have && key == r.key ? std::optional(value) : std::nullopt)) return false;
  }
  return true;
}

std::string LabelSelector::toString() const {
  std::string out;
  for (const Requirement& r : requirements_) {
    if (&r != &requirements_.front()) out += ',';
    if (r.op == Op::DoesNotExist) out += '!';
    out += r.key;
    if (r.op == Op::Exists || r.op == Op::DoesNotExist) continue;
    std::string values = join(r.values, ",");
    if (r.op == Op::GreaterThan)
      out += ">" + values;
    else if (r.op == Op::LessThan)
      out += "<" + values;
    else if (!r.symbol.empty())
      out.append(r.symbol).append(values);
    else
      out += (r.op == Op::In ? " in (" : " notin (") + values + ")";
  }
  return out;
}

// ---- fields
// ----------------------------------------------------------------------------------------------------------

namespace {

// Terms between commas; a backslash takes the next character's meaning away.
std::vector<std::string_view> splitTerms(std::string_view text) {
  std::vector<std::string_view> out;
  size_t start = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == ',') {
      out.push_back(text.substr(start, i - start));
      start = i + 1;
    }
  }
  out.push_back(text.substr(start));
  return out;
}

Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\\') {
      std::string_view sequence = text.substr(i, 2);
      if (sequence != "\\\\" && sequence != "\\," && sequence != "\\=")
        return bad(fmt::format("invalid field selector: invalid escape sequence: {}", sequence));
      out += sequence[1];
      ++i;
    } else if (c == ',' || c == '=') {
      return bad(fmt::format("invalid field selector: unescaped character in value: {}", c));
    } else {
      out += c;
    }
  }
  return out;
}

// What upstream's selectable fields hold for an object that leaves the field out, where that is not "".
constexpr std::pair<std::string_view, std::string_view> kZeroValues[] = {{"spec.unschedulable", "false"},
                                                                         {"spec.hostNetwork", "false"},
                                                                         {"status.replicas", "0"},
                                                                         {"status.successful", "0"}};

// Selectable names whose value stands elsewhere in the object; the first that is not empty counts.
struct Alias {
  std::string_view name, path;
};
constexpr Alias kAliases[] = {
    {"source", "source.component"}, {"source", "reportingComponent"}, {"status.successful", "status.succeeded"}};

std::string scalarText(json::Value value) {
  if (value.isBool()) return value.asBool() ? "true" : "false";
  if (value.isNumber()) return json::print(value);
  return value.str();
}

std::string textAt(json::Value value, std::string_view path) {
  for (;;) {
    size_t dot = path.find('.');
    value = value[path.substr(0, dot)];
    if (dot == std::string_view::npos) return scalarText(value);
    path.remove_prefix(dot + 1);
  }
}

}  // namespace

Result<FieldSelector> FieldSelector::parse(std::string_view text) {
  FieldSelector out;
  auto parts = splitTerms(text);
  std::sort(parts.begin(), parts.end());
  for (std::string_view part : parts) {
    if (part.empty()) continue;
    size_t at = part.find('=');
    if (at == std::string_view::npos)
      return bad(fmt::format("invalid selector: '{}'; can't understand '{}'", text, part));
    bool equal = at == 0 || part[at - 1] != '!';
    std::string_view field = part.substr(0, equal ? at : at - 1), rest = part.substr(at + 1);
    if (equal && rest.starts_with('=')) rest.remove_prefix(1);
    STOKER_TRY(auto value, unescape(rest));
    out.terms_.push_back({std::string(field), std::move(value), equal});
  }
  return out;
}

bool FieldSelector::matches(const Lookup& field) const {
  for (const Term& term : terms_)
    if ((field(term.field).value_or("") == term.value) != term.equal) return false;
  return true;
}

std::optional<std::string> FieldSelector::exact(std::string_view field) const {
  for (const Term& term : terms_)
    if (term.equal && term.field == field) return term.value;
  return std::nullopt;
}

std::string fieldValue(json::Value object, std::string_view path) {
  if (path.starts_with('.')) path.remove_prefix(1);  // CRD selectableFields are written with a leading dot
  std::string out = textAt(object, path);
  for (const Alias& alias : kAliases)
    if (out.empty() && alias.name == path) out = textAt(object, alias.path);
  if (!out.empty()) return out;
  for (auto& [field, zero] : kZeroValues)
    if (field == path) return std::string(zero);
  return out;
}

std::string flattenLabels(json::Value labels) {
  std::string out;
  for (const json::Member& label : labels.members())
    if (label.value.isString()) out.append(label.key).append(1, '\0').append(label.value.asString()).append(1, '\0');
  return out;
}

}  // namespace stoker::kube
