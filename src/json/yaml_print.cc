#include <yaml.h>

#include <algorithm>

#include "json/yaml.h"
#include "json/yaml_scalar.h"

namespace stoker::json {

namespace {

// Any byte of a multi-byte character counts as a letter: close enough to unicode.IsLetter for the order of keys.
bool isLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}
bool isDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view takeDigits(std::string_view& text) {
  size_t n = 0;
  while (n < text.size() && isDigit(text[n])) ++n;
  std::string_view out = text.substr(0, n);
  text.remove_prefix(n);
  return out;
}

// Negative, zero or positive: by value, then by length (leading zeros).
int compareDigits(std::string_view a, std::string_view b) {
  auto significant = [](std::string_view t) { return t.substr(std::min(t.find_first_not_of('0'), t.size())); };
  std::string_view x = significant(a), y = significant(b);
  if (x.size() != y.size()) return x.size() < y.size() ? -1 : 1;
  if (int order = x.compare(y); order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size();
}

// Upstream's order of keys: letters after everything else, runs of digits by their value ("a9" before "a10"). Compared
// token by token, so that it is an order; upstream's own has cycles ("2", "10", "1a").
bool keyLess(std::string_view a, std::string_view b) {
  while (!a.empty() && !b.empty()) {
    if (isDigit(a[0]) && isDigit(b[0])) {
      if (int order = compareDigits(takeDigits(a), takeDigits(b)); order != 0) return order < 0;
      continue;
    }
    if (a[0] != b[0]) {
      if (isLetter(a[0]) != isLetter(b[0])) return isLetter(b[0]);
      return static_cast<unsigned char>(a[0]) < static_cast<unsigned char>(b[0]);
    }
    a.remove_prefix(1);
    b.remove_prefix(1);
  }
  return a.empty() && !b.empty();
}

class Printer {
 public:
  explicit Printer(std::string& out) {
    yaml_emitter_initialize(&emitter_);
    yaml_emitter_set_output(&emitter_, &append, &out);
    yaml_emitter_set_unicode(&emitter_, 1);
    yaml_event_t event;
    yaml_stream_start_event_initialize(&event, YAML_UTF8_ENCODING);
    emit(event);
    yaml_document_start_event_initialize(&event, nullptr, nullptr, nullptr, 1);
    emit(event);
  }
  ~Printer() { yaml_emitter_delete(&emitter_); }
  Printer(const Printer&) = delete;
  Printer& operator=(const Printer&) = delete;

  void finish() {
    yaml_event_t event;
    yaml_document_end_event_initialize(&event, 1);
    emit(event);
    emitter_.open_ended = 0;  // no "..." after a text that ends in empty lines
    yaml_stream_end_event_initialize(&event);
    emit(event);
  }

  void value(Value v) {
    yaml_event_t event;
    switch (v.type()) {
      case Type::Object: {
        yaml_mapping_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_MAPPING_STYLE);
        emit(event);
        std::vector<Member> members(v.members().begin(), v.members().end());
        std::sort(members.begin(), members.end(),
                  [](const Member& a, const Member& b) { return keyLess(a.key, b.key); });
        for (const Member& member : members) {
          text(member.key);
          value(member.value);
        }
        yaml_mapping_end_event_initialize(&event);
        emit(event);
        return;
      }
      case Type::Array:
        yaml_sequence_start_event_initialize(&event, nullptr, nullptr, 1, YAML_BLOCK_SEQUENCE_STYLE);
        emit(event);
        for (Value item : v.items()) value(item);
        yaml_sequence_end_event_initialize(&event);
        emit(event);
        return;
      case Type::String:
        return text(v.asString());
      default:
        return scalar(print(v), YAML_PLAIN_SCALAR_STYLE);
    }
  }

 private:
  static int append(void* out, unsigned char* bytes, size_t size) {
    static_cast<std::string*>(out)->append(reinterpret_cast<char*>(bytes), size);
    return 1;
  }

  // Cannot fail: the output grows in memory and the events come in order.
  void emit(yaml_event_t& event) { yaml_emitter_emit(&emitter_, &event); }

  void text(std::string_view t) {
    if (t.find('\n') != std::string_view::npos)
      scalar(t, YAML_LITERAL_SCALAR_STYLE);
    else
      scalar(t, readsBackAsString(t) ? YAML_PLAIN_SCALAR_STYLE : YAML_DOUBLE_QUOTED_SCALAR_STYLE);
  }

  void scalar(std::string_view t, yaml_scalar_style_t style) {
    yaml_event_t event;
    auto make = [&](std::string_view s) {
      return yaml_scalar_event_initialize(&event, nullptr, nullptr, reinterpret_cast<const yaml_char_t*>(s.data()),
                                          static_cast<int>(s.size()), 1, 1, style) == 1;
    };
    if (!make(t)) {
      // Only for bytes that are no UTF-8. The JSON printer replaces them, as Go does.
      std::string literal;
      printString(literal, t);
      Arena scratch;
      auto clean = parse(scratch, literal);
      if (!clean.ok() || !make(clean->asString())) make("");
    }
    emit(event);
  }

  yaml_emitter_t emitter_;
};

}  // namespace

std::string printYaml(Value value) {
  std::string out;
  Printer printer(out);
  printer.value(value);
  printer.finish();
  return out;
}

}  // namespace stoker::json
