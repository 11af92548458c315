#include "kube/patch.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>

#include "base/strings.h"

namespace stoker::kube {

// ---- merge patch
// -----------------------------------------------------------------------------------------------------

namespace {

// Walks two sorted member lists together: f(key, a's value or null pointer, b's value or null pointer).
template <class F>
void zipMembers(json::Value a, json::Value b, F f) {
  auto x = a.members(), y = b.members();
  size_t i = 0, j = 0;
  while (i < x.size() || j < y.size()) {
    if (j == y.size() || (i < x.size() && x[i].key < y[j].key)) {
      f(x[i].key, &x[i].value, nullptr);
      ++i;
    } else if (i == x.size() || y[j].key < x[i].key) {
      f(y[j].key, nullptr, &y[j].value);
      ++j;
    } else {
      f(x[i].key, &x[i].value, &y[j].value);
      ++i, ++j;
    }
  }
}

}  // namespace

json::Value mergePatch(json::Arena& arena, json::Value target, json::Value patch) {
  if (!patch.isObject()) return patch;
  std::vector<json::Member> out;
  zipMembers(target, patch, [&](std::string_view key, const json::Value* old, const json::Value* change) {
    if (!change)
      out.push_back({key, *old});
    else if (!change->isNull())
      out.push_back({key, mergePatch(arena, old ? *old : json::Value(), *change)});
  });
  return json::object(arena, out);
}

json::Value makeMergePatch(json::Arena& arena, json::Value from, json::Value to) {
  if (from == to) return json::object(arena, {});
  if (!from.isObject() || !to.isObject()) return to;
  std::vector<json::Member> out;
  zipMembers(from, to, [&](std::string_view key, const json::Value* old, const json::Value* wanted) {
    if (!wanted)
      out.push_back({key, json::Value()});
    else if (!old || !(*old == *wanted))
      out.push_back({key, makeMergePatch(arena, old ? *old : json::Value(), *wanted)});
  });
  return json::object(arena, out);
}

// ---- pointers
// --------------------------------------------------------------------------------------------------------

namespace {

using Pointer = std::vector<std::string>;

// Upstream's bound on operations (apiserver, maxJSONPatchOperations) and on the bytes that copies may add.
constexpr size_t kMaxOperations = 10'000;
constexpr size_t kMaxCopiedBytes = 3 << 20;
// Depth of the patched document: twice what the parser reads, as recursion depth is stack.
constexpr size_t kMaxDepth = 512;
// Elements that inserting, removing and moving may touch in all: well under a second of work, where 10,000 operations
// on a list of a million elements would be minutes.
constexpr size_t kMaxWork = 100'000'000;

std::optional<Pointer> parsePointer(std::string_view text) {
  Pointer out;
  if (text.empty()) return out;
  if (text[0] != '/') return std::nullopt;
  for (std::string_view token : split(text.substr(1), '/')) {
    std::string& plain = out.emplace_back();
    for (size_t i = 0; i < token.size(); ++i) {
      if (token[i] != '~') {
        plain += token[i];
        continue;
      }
      if (++i == token.size() || (token[i] != '0' && token[i] != '1')) return std::nullopt;
      plain += token[i] == '0' ? '~' : '/';
    }
  }
  return out;
}

std::string malformedPointer(std::string_view text) {
  return fmt::format(
      "{} is not a JSON pointer: it must be empty or start with '/', and '~' must be written ~0, '/' in a name ~1",
      quote(text));
}

// Digits without leading zeros, as RFC 6901 wants them.
std::optional<size_t> parseIndex(std::string_view token) {
  size_t out = 0;
  if (token.empty() || (token.size() > 1 && token[0] == '0') || token[0] == '-') return std::nullopt;
  auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), out);
  if (ec != std::errc() || end != token.data() + token.size()) return std::nullopt;
  return out;
}

std::string printPointer(const Pointer& pointer, size_t count) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    out += '/';
    for (char c : pointer[i]) out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  }
  return out.empty() ? "the document" : quote(out);
}

// ---- the document while it is being patched
// --------------------------------------------------------------------------

struct Opened;

// A value of the document. Only what operations reach into is opened, so a patch costs what it touches, and repeated
// edits of one list do not leave a copy each in the arena.
struct Node {
  json::Value value;  // when not opened
  std::shared_ptr<Opened> opened;
};
struct Opened {
  bool isArray = false;
  std::vector<Node> items;
  std::map<std::string, Node, std::less<>> members;
};

Opened* open(Node& node) {
  if (node.opened) return node.opened.get();
  if (!node.value.isArray() && !node.value.isObject()) return nullptr;
  auto opened = std::make_shared<Opened>();
  opened->isArray = node.value.isArray();
  for (json::Value item : node.value.items()) opened->items.push_back({item, nullptr});
  for (const json::Member& member : node.value.members())
    opened->members.emplace_hint(opened->members.end(), member.key, Node{member.value, nullptr});
  node.opened = std::move(opened);
  return node.opened.get();
}

json::Value close(json::Arena& arena, const Node& node) {
  if (!node.opened) return node.value;
  if (node.opened->isArray) {
    std::vector<json::Value> items;
    for (const Node& item : node.opened->items) items.push_back(close(arena, item));
    return json::array(arena, items);
  }
  std::vector<json::Member> members;
  for (auto& [key, member] : node.opened->members) members.push_back({key, close(arena, member)});
  return json::object(arena, members);
}

bool equals(const Node& node, json::Value value) {
  if (!node.opened) return node.value == value;
  const Opened& o = *node.opened;
  if (o.isArray) {
    auto items = value.items();
    return value.isArray() && items.size() == o.items.size() &&
           std::equal(items.begin(), items.end(), o.items.begin(),
                      [](json::Value v, const Node& n) { return equals(n, v); });
  }
  auto members = value.members();
  return value.isObject() && members.size() == o.members.size() &&
         std::equal(members.begin(), members.end(), o.members.begin(),
                    [](const json::Member& m, auto& n) { return m.key == n.first && equals(n.second, m.value); });
}

class Patcher {
 public:
  Patcher(json::Arena& arena, json::Value target) : arena_(arena) { root_.value = target; }

  Result<void> apply(json::Value operation, size_t number) {
    number_ = number;
    op_ = operation["op"].str();
    path_ = operation["path"].str();
    auto pointer = parsePointer(path_);
    if (!operation.isObject() || !operation["op"].isString() || !operation["path"].isString())
      return malformed("it must be an object with the strings \"op\" and \"path\"");
    if (!pointer) return malformed(malformedPointer(path_));
    using Handler = Result<void> (Patcher::*)(const Pointer&, json::Value);
    static constexpr struct {
      std::string_view op;
      Handler handler;
      bool needsValue;
    } kHandlers[] = {{"add", &Patcher::add, true},         {"remove", &Patcher::remove, false},
                     {"replace", &Patcher::replace, true}, {"move", &Patcher::move, false},
                     {"copy", &Patcher::copy, false},      {"test", &Patcher::test, true}};
    for (auto& h : kHandlers) {
      if (h.op != op_) continue;
      if (h.needsValue && !operation.has("value")) return malformed("it needs a \"value\"");
      return (this->*h.handler)(*pointer, operation);
    }
    return malformed("\"op\" must be add, remove, replace, move, copy or test");
  }

  json::Value result() const { return close(arena_, root_); }

 private:
  Error malformed(std::string why) const {
    return Error(Reason::BadRequest,
                 fmt::format("JSON patch operation {} ({} {}): {}", number_, op_, quote(path_), why));
  }
  Error fails(std::string why) const {
    return Error(Reason::Invalid, fmt::format("JSON patch operation {} ({} {}): {}", number_, op_, quote(path_), why));
  }
  Result<void> charge(size_t work) {
    work_ += work;
    if (work_ <= kMaxWork) return {};
    return Error(
        Reason::RequestEntityTooLarge,
        fmt::format("JSON patch operation {}: the patch shifts more than {} elements; send the object as a whole",
                    number_, kMaxWork));
  }

  // The index that the last token means in a list of `size`; -1 counts from the end.
  static std::optional<size_t> index(std::string_view token, size_t size) {
    bool fromEnd = token.starts_with('-');
    auto n = parseIndex(fromEnd ? token.substr(1) : token);
    if (!n || (fromEnd && (*n == 0 || *n > size))) return std::nullopt;
    return fromEnd ? size - *n : *n;
  }

  // The child of `node` that `token` names, or null.
  static Node* child(Node& node, std::string_view token) {
    Opened* o = open(node);
    if (!o) return nullptr;
    if (o->isArray) {
      auto i = index(token, o->items.size());
      return i && *i < o->items.size() ? &o->items[*i] : nullptr;
    }
    auto it = o->members.find(token);
    return it == o->members.end() ? nullptr : &it->second;
  }

  // The node `count` tokens down.
  Result<Node*> walk(const Pointer& pointer, size_t count) {
    Node* node = &root_;
    for (size_t i = 0; i < count; ++i) {
      node = child(*node, pointer[i]);
      if (!node) return fails(fmt::format("{} does not exist", printPointer(pointer, i + 1)));
    }
    return node;
  }

  // Number of nesting levels in `node`, charged for every node visited.
  Result<size_t> depth(const Node& node) {
    STOKER_CHECK(charge(1));
    size_t deepest = 0;
    if (!node.opened) {
      auto visit = [&](json::Value v) -> Result<void> {
        STOKER_TRY(size_t d, depth(Node{v, nullptr}));
        deepest = std::max(deepest, d);
        return {};
      };
      for (json::Value item : node.value.items()) STOKER_CHECK(visit(item));
      for (const json::Member& member : node.value.members()) STOKER_CHECK(visit(member.value));
    } else {
      for (const Node& item : node.opened->items) {
        STOKER_TRY(size_t d, depth(item));
        deepest = std::max(deepest, d);
      }
      for (auto& [key, member] : node.opened->members) {
        STOKER_TRY(size_t d, depth(member));
        deepest = std::max(deepest, d);
      }
    }
    return deepest + 1;
  }

  Result<void> checkDepth(const Pointer& pointer, const Node& node) {
    STOKER_TRY(size_t levels, depth(node));
    if (pointer.size() + levels <= kMaxDepth) return {};
    return fails(fmt::format("the document would nest deeper than {} levels", kMaxDepth));
  }

  Result<void> insert(const Pointer& pointer, Node node) {
    STOKER_CHECK(checkDepth(pointer, node));
    if (pointer.empty()) {
      root_ = std::move(node);
      return {};
    }
    STOKER_TRY(Node * parent, walk(pointer, pointer.size() - 1));
    Opened* o = open(*parent);
    const std::string& token = pointer.back();
    if (!o) return fails(fmt::format("{} is no object or array", printPointer(pointer, pointer.size() - 1)));
    if (!o->isArray) {
      o->members.insert_or_assign(token, std::move(node));
      return {};
    }
    size_t size = o->items.size();
    auto i = token == "-" ? size : index(token, size + 1);
    if (!i || *i > size)
      return fails(fmt::format("{} is no index of {}, which has {} elements", quote(token),
                               printPointer(pointer, pointer.size() - 1), size));
    STOKER_CHECK(charge(size - *i));
    o->items.insert(o->items.begin() + static_cast<ptrdiff_t>(*i), std::move(node));
    return {};
  }

  Result<Node> takeOut(const Pointer& pointer) {
    if (pointer.empty()) return fails("the whole document cannot be taken away");
    STOKER_TRY(Node * node, walk(pointer, pointer.size()));
    STOKER_TRY(Node * parent, walk(pointer, pointer.size() - 1));
    Node out = std::move(*node);
    Opened& o = *parent->opened;
    if (!o.isArray) {
      o.members.erase(o.members.find(pointer.back()));
      return out;
    }
    ptrdiff_t i = node - o.items.data();
    STOKER_CHECK(charge(o.items.size() - static_cast<size_t>(i)));
    o.items.erase(o.items.begin() + i);
    return out;
  }

  Result<void> add(const Pointer& pointer, json::Value operation) {
    return insert(pointer, Node{operation["value"], nullptr});
  }

  Result<void> remove(const Pointer& pointer, json::Value) {
    STOKER_CHECK(takeOut(pointer));
    return {};
  }

  Result<void> replace(const Pointer& pointer, json::Value operation) {
    STOKER_TRY(Node * node, walk(pointer, pointer.size()));
    Node fresh{operation["value"], nullptr};
    STOKER_CHECK(checkDepth(pointer, fresh));
    *node = std::move(fresh);
    return {};
  }

  Result<Pointer> from(json::Value operation) {
    if (!operation["from"].isString()) return malformed("it needs the string \"from\"");
    auto out = parsePointer(operation["from"].asString());
    if (!out) return malformed(malformedPointer(operation["from"].asString()));
    return *std::move(out);
  }

  Result<void> move(const Pointer& pointer, json::Value operation) {
    STOKER_TRY(Pointer source, from(operation));
    STOKER_CHECK(walk(source, source.size()));
    if (source == pointer) return {};
    if (source.size() < pointer.size() && std::equal(source.begin(), source.end(), pointer.begin()))
      return fails("a value cannot be moved into itself");
    STOKER_TRY(Node node, takeOut(source));
    return insert(pointer, std::move(node));
  }

  Result<void> copy(const Pointer& pointer, json::Value operation) {
    STOKER_TRY(Pointer source, from(operation));
    STOKER_TRY(Node * node, walk(source, source.size()));
    json::Value value = close(arena_, *node);
    copied_ += json::print(value).size();
    if (copied_ > kMaxCopiedBytes)
      return fails(fmt::format("the copies of this patch add more than {} bytes", kMaxCopiedBytes));
    return insert(pointer, Node{value, nullptr});
  }

  Result<void> test(const Pointer& pointer, json::Value operation) {
    json::Value expected = operation["value"];
    if (!pointer.empty()) {
      STOKER_TRY(Node * parent, walk(pointer, pointer.size() - 1));
      Opened* o = open(*parent);
      if (expected.isNull() && o && !o->isArray && !o->members.contains(pointer.back())) return {};
    }
    STOKER_TRY(Node * node, walk(pointer, pointer.size()));
    if (equals(*node, expected)) return {};
    return fails("the test failed: the value is another one");
  }

  json::Arena& arena_;
  Node root_;
  size_t number_ = 0, work_ = 0, copied_ = 0;
  std::string op_, path_;
};

}  // namespace

Result<json::Value> jsonPatch(json::Arena& arena, json::Value target, json::Value operations) {
  if (!operations.isArray())
    return Error(Reason::BadRequest,
                 fmt::format("a JSON patch must be an array of operations, not {}", json::typeName(operations.type())));
  if (operations.size() > kMaxOperations)
    return Error(
        Reason::RequestEntityTooLarge,
        fmt::format("The allowed maximum operations in a JSON patch is {}, got {}", kMaxOperations, operations.size()));
  Patcher patcher(arena, target);
  for (size_t i = 0; i < operations.size(); ++i) STOKER_CHECK(patcher.apply(operations[i], i));
  return patcher.result();
}

Result<json::Value> jsonPointer(json::Value root, std::string_view pointer) {
  auto tokens = parsePointer(pointer);
  if (!tokens) return Error(Reason::BadRequest, malformedPointer(pointer));
  json::Value value = root;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const std::string& token = (*tokens)[i];
    auto index = value.isArray() ? parseIndex(token) : std::nullopt;
    bool exists = value.isArray() ? index && *index < value.size() : value.has(token);
    if (!exists) return Error(Reason::NotFound, fmt::format("{} does not exist", printPointer(*tokens, i + 1)));
    value = value.isArray() ? value[*index] : value[token];
  }
  return value;
}

}  // namespace stoker::kube
