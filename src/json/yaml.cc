#include "json/yaml.h"

#include <fmt/format.h>
#include <yaml.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "base/strings.h"
#include "json/yaml_scalar.h"

namespace stoker::json {

namespace {

constexpr size_t kMaxDepth = 256;  // as the JSON reader: whoever walks the tree recurses
// Nodes and bytes that aliases may add. The API takes bodies of 3 MiB, so a document that expands further is of no use.
constexpr size_t kMaxAliased = 4 << 20;

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

struct Mark {
  size_t line = 0, column = 0;  // from 1
};
Mark at(const yaml_mark_t& mark) { return {mark.line + 1, mark.column + 1}; }

Error invalid(Mark mark, std::string_view why) {
  return Error(Reason::BadRequest, fmt::format("invalid YAML at line {}, column {}: {}", mark.line, mark.column, why));
}

// A parsed value and what it costs when an alias repeats it.
struct Node {
  Value value;
  size_t weight = 1;
};

// A collection that is being read.
struct Frame {
  bool isMap = false;
  std::string anchor;
  Mark mark;
  size_t weight = 1;
  std::vector<Value> items;
  std::vector<Member> members;
  std::unordered_set<std::string_view> keys;
  std::vector<Value> merges;  // values of "<<", in order
  enum class Next { Key, Value, MergeValue } next = Next::Key;
  std::string_view key;
};

std::string_view text(const yaml_char_t* t) {
  return t ? std::string_view(reinterpret_cast<const char*>(t)) : std::string_view();
}

class Reader {
 public:
  Reader(Arena& arena, std::string_view input) : arena_(arena), input_(input) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(input.data()), input.size());
  }
  ~Reader() { yaml_parser_delete(&parser_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  Result<std::vector<Value>> readAll() {
    for (;;) {
      yaml_event_t event;
      if (!yaml_parser_parse(&parser_, &event)) return parserError();
      auto more = take(event);
      yaml_event_delete(&event);
      if (!more.ok()) return std::move(more.error());
      if (!*more) return std::move(documents_);
    }
  }

 private:
  Error parserError() const {
    std::string why = parser_.problem ? parser_.problem : "malformed text";
    if (parser_.error == YAML_READER_ERROR) {
      std::string_view before = input_.substr(0, std::min(parser_.problem_offset, input_.size()));
      size_t lineStart = before.rfind('\n') + 1;  // npos + 1 is 0
      return invalid(
          {static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1, before.size() - lineStart + 1},
          why);
    }
    if (parser_.context)
      why += fmt::format(" ({} that began at line {})", parser_.context, parser_.context_mark.line + 1);
    return invalid(at(parser_.problem_mark), why);
  }

  // False at the end of the stream.
  Result<bool> take(const yaml_event_t& event) {
    Mark mark = at(event.start_mark);
    switch (event.type) {
      case YAML_STREAM_END_EVENT:
        return false;
      case YAML_DOCUMENT_START_EVENT:
        anchors_.clear();
        root_ = {};
        return true;
      case YAML_DOCUMENT_END_EVENT:
        if (!root_.value.isNull()) documents_.push_back(root_.value);
        return true;
      case YAML_ALIAS_EVENT:
        STOKER_CHECK(takeAlias(text(event.data.alias.anchor), mark));
        return true;
      case YAML_SCALAR_EVENT:
        STOKER_CHECK(takeScalar(event, mark));
        return true;
      case YAML_SEQUENCE_START_EVENT:
        STOKER_CHECK(openFrame(false, text(event.data.sequence_start.anchor), mark));
        return true;
      case YAML_MAPPING_START_EVENT:
        STOKER_CHECK(openFrame(true, text(event.data.mapping_start.anchor), mark));
        return true;
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        STOKER_CHECK(closeFrame());
        return true;
      default:
        return true;
    }
  }

  bool expectsKey() const { return !stack_.empty() && stack_.back().isMap && stack_.back().next == Frame::Next::Key; }

  Result<void> openFrame(bool isMap, std::string_view anchor, Mark mark) {
    if (expectsKey()) return invalid(mark, "a key must be a scalar, not a map or a list");
    if (stack_.size() == kMaxDepth) return invalid(mark, fmt::format("nested deeper than {} levels", kMaxDepth));
    Frame& frame = stack_.emplace_back();
    frame.isMap = isMap;
    frame.anchor = anchor;
    frame.mark = mark;
    return {};
  }

  Result<void> closeFrame() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    // Keys of the map itself win over merged ones, and those of an earlier map over a later one.
    for (Value merged : frame.merges)
      for (const Member& member : merged.members())
        if (frame.keys.insert(member.key).second) frame.members.push_back(member);
    Value value = frame.isMap ? object(arena_, frame.members) : array(arena_, frame.items);
    return put({value, frame.weight}, frame.anchor, frame.mark);
  }

  Result<void> takeAlias(std::string_view name, Mark mark) {
    auto it = anchors_.find(std::string(name));
    if (it == anchors_.end()) {
      bool open = std::any_of(stack_.begin(), stack_.end(), [&](const Frame& f) { return f.anchor == name; });
      return invalid(
          mark, open ? fmt::format("anchor \"{}\" contains itself", name) : fmt::format("unknown anchor \"{}\"", name));
    }
    aliased_ += it->second.weight;
    if (aliased_ > kMaxAliased)
      return invalid(mark, fmt::format("aliases expand the document by more than {} nodes and bytes", kMaxAliased));
    if (expectsKey()) return takeKey(it->second.value, mark);
    return put(it->second, {}, mark);
  }

  Result<void> takeScalar(const yaml_event_t& event, Mark mark) {
    auto& scalar = event.data.scalar;
    std::string_view content(reinterpret_cast<const char*>(scalar.value), scalar.length);
    std::string_view tag = text(scalar.tag);
    bool plain = scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (expectsKey() && content == "<<" && ((tag.empty() && plain) || tag == "tag:yaml.org,2002:merge")) {
      stack_.back().next = Frame::Next::MergeValue;
      return {};
    }
    STOKER_TRY(Value value, resolve(content, tag, plain, mark));
    Node node{value, 1 + content.size()};
    if (!expectsKey()) return put(node, text(scalar.anchor), mark);
    if (scalar.anchor) anchors_[std::string(text(scalar.anchor))] = node;
    return takeKey(value, mark);
  }

  Result<Value> resolve(std::string_view content, std::string_view tag, bool plain, Mark mark) {
    struct Known {
      std::string_view tag;
      ScalarKind kind;
    };
    static constexpr Known kKnown[] = {{"bool", ScalarKind::Bool},
                                       {"int", ScalarKind::Int},
                                       {"float", ScalarKind::Float},
                                       {"null", ScalarKind::Null},
                                       {"timestamp", ScalarKind::Timestamp}};
    if (tag == "tag:yaml.org,2002:binary") {
      auto bytes = base64Decode(content);
      if (!bytes) return invalid(mark, "!!binary value contains invalid base64 data");
      return string(arena_, *bytes);
    }
    std::string_view shortTag = tag.starts_with(kTagPrefix) ? tag.substr(kTagPrefix.size()) : std::string_view();
    auto known = std::find_if(std::begin(kKnown), std::end(kKnown), [&](auto& k) { return k.tag == shortTag; });
    bool tagged = known != std::end(kKnown);
    // Quoted text, !!str and tags of applications are strings.
    if (!tagged && (!plain || !tag.empty())) return string(arena_, content);
    Scalar scalar = resolveScalar(arena_, content);
    if (scalar.kind == ScalarKind::NotFinite) return invalid(mark, fmt::format("{} has no form in JSON", content));
    bool fits =
        !tagged || scalar.kind == known->kind || (scalar.kind == ScalarKind::Int && known->kind == ScalarKind::Float);
    if (!fits) return invalid(mark, fmt::format("{} is no !!{}", quote(content), shortTag));
    return scalar.value;
  }

  Result<void> takeKey(Value value, Mark mark) {
    Frame& frame = stack_.back();
    std::string key;
    if (value.isString())
      key = value.str();
    else if (value.isBool() || value.isNumber())
      key = print(value);
    else
      return invalid(mark,
                     fmt::format("a key must be a string, a number or a boolean, not {}", typeName(value.type())));
    frame.key = arena_.copy(key);
    frame.weight += 1 + key.size();
    frame.next = Frame::Next::Value;
    if (!frame.keys.insert(frame.key).second)
      return invalid(mark, fmt::format("key {} already set in map", quote(key)));
    return {};
  }

  Result<void> put(Node node, std::string_view anchor, Mark mark) {
    if (!anchor.empty()) anchors_[std::string(anchor)] = node;
    if (stack_.empty()) {
      root_ = node;
      return {};
    }
    Frame& frame = stack_.back();
    frame.weight += node.weight;
    if (!frame.isMap) {
      frame.items.push_back(node.value);
      return {};
    }
    if (frame.next == Frame::Next::Value)
      frame.members.push_back({frame.key, node.value});
    else
      STOKER_CHECK(putMerge(frame, node.value, mark));
    frame.next = Frame::Next::Key;
    return {};
  }

  Result<void> putMerge(Frame& frame, Value value, Mark mark) {
    auto items = value.items();
    bool maps = value.isArray() && std::all_of(items.begin(), items.end(), [](Value v) { return v.isObject(); });
    if (!value.isObject() && !maps) return invalid(mark, "map merge requires map or sequence of maps as the value");
    if (value.isObject())
      frame.merges.push_back(value);
    else
      frame.merges.insert(frame.merges.end(), items.begin(), items.end());
    return {};
  }

  Arena& arena_;
  std::string_view input_;
  yaml_parser_t parser_;
  std::vector<Frame> stack_;
  std::unordered_map<std::string, Node> anchors_;
  Node root_;
  size_t aliased_ = 0;
  std::vector<Value> documents_;
};

// JSON that libyaml would not take (surrogate pairs) or would read more slowly.
std::optional<Value> readAsJson(Arena& arena, std::string_view input) {
  std::string_view content = trim(input);
  if (!content.starts_with('{') && !content.starts_with('[')) return std::nullopt;
  ParseOptions options;
  std::vector<std::string> duplicates;
  options.maxDepth = kMaxDepth;
  options.duplicates = &duplicates;
  auto value = parse(arena, content, options);
  if (!value.ok() || !duplicates.empty()) return std::nullopt;  // the YAML reader says where
  return *value;
}

}  // namespace

Result<std::vector<Value>> parseYaml(Arena& arena, std::string_view text) {
  if (auto value = readAsJson(arena, text)) return std::vector<Value>{*value};
  return Reader(arena, text).readAll();
}

}  // namespace stoker::json
