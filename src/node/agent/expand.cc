#include "node/agent/expand.h"

namespace stoker::node {

std::string expand(std::string_view text, const std::function<std::optional<std::string>(const std::string&)>& lookup) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    char next = text[i + 1];
    if (next == '$') {
      out += '$';
      ++i;
      continue;
    }
    if (next != '(') {
      out += '$';
      out += next;
      ++i;
      continue;
    }
    size_t end = text.find(')', i + 2);
    if (end == std::string_view::npos) {
      out += "$(";
      ++i;
      continue;
    }
    std::string name(text.substr(i + 2, end - i - 2));
    if (auto value = lookup(name))
      out += *value;
    else
      out.append("$(").append(name).append(")");
    i = end;
  }
  return out;
}

std::string expand(std::string_view text, const Variables& variables) {
  return expand(text, [&](const std::string& name) -> std::optional<std::string> {
    auto it = variables.find(name);
    if (it == variables.end()) return std::nullopt;
    return it->second;
  });
}

}  // namespace stoker::node
