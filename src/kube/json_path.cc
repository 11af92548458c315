// The JSON paths that kubectl and CRD printer columns use (client-go util/jsonpath), as far as they select: fields,
// quoted fields and unions, indexes, slices, wildcards, recursive descent and filters.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/strings.h"
#include "kube/table.h"

namespace stoker::kube {

namespace {

using json::Value;
using Values = std::vector<Value>;

// Recursive descent and wildcards multiply; no column or query of use selects more.
constexpr size_t kMaxResults = 100'000;
// Filters nest as deep as their brackets, and each is a recursion.
constexpr int kMaxFilterDepth = 8;

void children(Value v, Values& out) {
  for (Value item : v.items()) out.push_back(item);
  for (const json::Member& member : v.members()) out.push_back(member.value);
}

class Path {
 public:
  Path(std::string_view whole, std::string_view text, int depth) : whole_(whole), text_(text), depth_(depth) {}

  Result<Values> select(Value root) {
    Values current{root};
    while (at_ < text_.size()) {
      Values next;
      STOKER_CHECK(step(current, next));
      if (next.size() > kMaxResults) return bad(fmt::format("it selects more than {} values", kMaxResults));
      current = std::move(next);
    }
    return current;
  }

 private:
  Error bad(std::string_view why) const {
    return Error(Reason::BadRequest, fmt::format("invalid JSON path {}: {}", quote(whole_), why));
  }

  Result<void> step(const Values& current, Values& next) {
    if (text_[at_] == '[') return bracket(current, next);
    if (text_[at_] == '.') ++at_;
    if (at_ < text_.size() && text_[at_] == '.') {
      ++at_;
      Values all;
      STOKER_CHECK(descend(current, all));
      if (at_ < text_.size() && text_[at_] == '[') return bracket(all, next);
      return field(all, next);
    }
    if (at_ < text_.size() && text_[at_] == '[') return bracket(current, next);  // ".[0]" is read as "[0]"
    return field(current, next);
  }

  // Everything below and including `current`.
  Result<void> descend(const Values& current, Values& out) {
    out = current;
    for (size_t i = 0; i < out.size(); ++i) {
      children(Value(out[i]), out);
      if (out.size() > kMaxResults) return bad(fmt::format("it visits more than {} values", kMaxResults));
    }
    return {};
  }

  Result<void> field(const Values& current, Values& next) {
    std::string name;
    while (at_ < text_.size() && text_[at_] != '.' && text_[at_] != '[') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      name += text_[at_++];
    }
    if (name.empty()) return at_ == text_.size() ? keep(current, next) : bad("a field name is missing");
    if (name == "*") {
      for (Value v : current) children(v, next);
      return {};
    }
    for (Value v : current)
      if (const Value* found = v.find(name)) next.push_back(*found);
    return {};
  }

  // A path that ends in a dot ("." alone is the whole object).
  static Result<void> keep(const Values& current, Values& next) {
    next = current;
    return {};
  }

  // The text between the bracket at at_ and its partner, which is skipped.
  Result<std::string_view> bracketed() {
    size_t start = ++at_;
    int depth = 1;
    char quoted = 0;
    for (; at_ < text_.size(); ++at_) {
      char c = text_[at_];
      if (quoted) {
        if (c == '\\')
          ++at_;
        else if (c == quoted)
          quoted = 0;
      } else if (c == '\'' || c == '"') {
        quoted = c;
      } else if (c == '[') {
        ++depth;
      } else if (c == ']' && --depth == 0) {
        return text_.substr(start, at_++ - start);
      }
    }
    return bad("a [ has no ]");
  }

  Result<void> bracket(const Values& current, Values& next) {
    STOKER_TRY(std::string_view inner, bracketed());
    inner = trim(inner);
    if (inner == "*") {
      for (Value v : current) children(v, next);
      return {};
    }
    if (inner.starts_with("?(") && inner.ends_with(")"))
      return filter(inner.substr(2, inner.size() - 3), current, next);
    if (inner.starts_with('\'') || inner.starts_with('"')) return names(inner, current, next);
    for (std::string_view part : split(inner, ',')) STOKER_CHECK(slice(trim(part), current, next));
    return {};
  }

  // A quoted text at the start of `text`, which is cut off.
  static std::optional<std::string> takeQuoted(std::string_view& text) {
    if (text.empty() || (text[0] != '\'' && text[0] != '"')) return std::nullopt;
    std::string out;
    for (size_t i = 1; i < text.size(); ++i) {
      if (text[i] == text[0]) {
        text.remove_prefix(i + 1);
        return out;
      }
      if (text[i] == '\\' && i + 1 < text.size()) ++i;
      out += text[i];
    }
    return std::nullopt;
  }

  Result<void> names(std::string_view inner, const Values& current, Values& next) {
    for (;;) {
      auto name = takeQuoted(inner);
      if (!name) return bad("a quoted name does not end");
      for (Value v : current)
        if (const Value* found = v.find(*name)) next.push_back(*found);
      inner = trim(inner);
      if (inner.empty()) return {};
      if (inner[0] != ',') return bad("names between brackets are separated by commas");
      inner = trim(inner.substr(1));
    }
  }

  static bool parseInt(std::string_view text, int64_t& out) {
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), out);
    return ec == std::errc() && end == text.data() + text.size();
  }

  // "n" or "start:end:step", counted from the end when negative.
  Result<void> slice(std::string_view text, const Values& current, Values& next) {
    auto parts = split(text, ':');
    constexpr int64_t kEnd = std::numeric_limits<int64_t>::max();
    int64_t numbers[] = {0, kEnd, 1};
    if (parts.size() > 3) return bad("a slice is [start:end:step]");
    for (size_t i = 0; i < parts.size(); ++i)
      if (!(parts[i].empty() && parts.size() > 1) && !parseInt(parts[i], numbers[i]))
        return bad(fmt::format("{} is no array index", quote(text)));
    auto [start, end, step] = numbers;
    if (step < 1) return bad("the step of a slice must be above 0");
    for (Value v : current) {
      auto size = static_cast<int64_t>(v.items().size());
      auto fromEnd = [size](int64_t i) { return i < 0 ? i + size : i; };
      int64_t first = fromEnd(start);
      if (parts.size() == 1) {
        if (first >= 0 && first < size) next.push_back(v[static_cast<size_t>(first)]);
        continue;
      }
      int64_t last = std::min(fromEnd(end), size);
      for (int64_t i = std::max<int64_t>(first, 0); i < last; i += std::min(step, size))
        next.push_back(v[static_cast<size_t>(i)]);
    }
    return {};
  }

  // ---- filters: [?(@.type=="Ready")], [?(@.restarts>3)], [?(@.ready)]
  // ---------------------------------------------------

  Result<void> filter(std::string_view expression, const Values& current, Values& next) {
    if (depth_ >= kMaxFilterDepth) return bad("filters are nested too deeply");
    static constexpr std::string_view kOperators[] = {"==", "!=", "<=", ">=", "<", ">"};
    std::string_view left = expression, op, right;
    char quoted = 0;
    for (size_t i = 0; i < expression.size() && op.empty(); ++i) {
      char c = expression[i];
      if (quoted) {
        if (c == quoted) quoted = 0;
        continue;
      }
      if (c == '\'' || c == '"') quoted = c;
      for (std::string_view candidate : kOperators) {
        if (!op.empty() || !expression.substr(i).starts_with(candidate)) continue;
        op = candidate;
        left = expression.substr(0, i);
        right = expression.substr(i + candidate.size());
      }
    }
    json::Arena scratch;
    for (Value v : current) {
      Values candidates;
      children(v, candidates);
      for (Value candidate : candidates) {
        STOKER_TRY(Values a, operand(scratch, trim(left), candidate));
        bool keep = !a.empty();
        if (!op.empty()) {
          STOKER_TRY(Values b, operand(scratch, trim(right), candidate));
          keep = !a.empty() && !b.empty() && compare(a[0], op, b[0]);
        }
        if (keep) next.push_back(candidate);
      }
    }
    return {};
  }

  Result<Values> operand(json::Arena& arena, std::string_view text, Value candidate) {
    if (text.starts_with('@')) return Path(whole_, text.substr(1), depth_ + 1).select(candidate);
    std::string_view rest = text;
    if (auto quoted = takeQuoted(rest); quoted && rest.empty()) return Values{json::string(arena, *quoted)};
    auto literal = json::parse(arena, text);
    if (literal.ok()) return Values{*literal};
    return bad(fmt::format("{} is neither a path that begins with @ nor a value", quote(text)));
  }

  static bool compare(Value a, std::string_view op, Value b) {
    int order = 0;
    if (a.isNumber() && b.isNumber()) {
      double x = a.real().value_or(0), y = b.real().value_or(0);
      order = x < y ? -1 : x > y;
    } else if (a.isString() && b.isString()) {
      order = a.asString().compare(b.asString());
    } else {
      return op == "==" ? a == b : op == "!=" && !(a == b);
    }
    if (op == "==") return order == 0;
    if (op == "!=") return order != 0;
    if (op == "<") return order < 0;
    if (op == "<=") return order <= 0;
    return op == ">" ? order > 0 : order >= 0;
  }

  std::string_view whole_, text_;
  size_t at_ = 0;
  int depth_;
};

}  // namespace

Result<std::vector<json::Value>> jsonPath(json::Value root, std::string_view path) {
  std::string_view text = trim(path);
  if (text.starts_with('{') && text.ends_with('}')) text = text.substr(1, text.size() - 2);
  if (text.starts_with('$')) text.remove_prefix(1);
  return Path(path, text, 0).select(root);
}

}  // namespace stoker::kube
