#include "device/cards.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/strings.h"

namespace stoker::device {

std::string formatCards(std::vector<CardChoice> cards) {
  std::sort(cards.begin(), cards.end(), [](const auto& a, const auto& b) { return a.resource < b.resource; });
  std::string out;
  for (const CardChoice& kind : cards) {
    if (kind.indices.empty()) continue;
    if (!out.empty()) out += ';';
    out += kind.resource;
    for (size_t i = 0; i < kind.indices.size(); ++i) {
      out += i == 0 ? '=' : ',';
      out += fmt::format_int(kind.indices[i]).c_str();
    }
  }
  return out;
}

Result<std::vector<CardChoice>> parseCards(std::string_view text) {
  std::vector<CardChoice> out;
  if (text.empty()) return out;
  auto bad = [&](std::string_view why) {
    return Error(Reason::Invalid, fmt::format("cards {}: {}; expected e.g. \"nvidia.com/gpu=0,1\"", quote(text), why));
  };
  for (std::string_view part : split(text, ';')) {
    size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0) return bad("a part is not RESOURCE=INDICES");
    CardChoice kind;
    kind.resource = part.substr(0, equals);
    for (std::string_view number : split(part.substr(equals + 1), ',')) {
      int32_t index = 0;
      auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
      if (error != std::errc() || end != number.data() + number.size() || index < 0)
        return bad(fmt::format("{} is not an index", quote(number)));
      kind.indices.push_back(index);
    }
    std::sort(kind.indices.begin(), kind.indices.end());
    if (std::adjacent_find(kind.indices.begin(), kind.indices.end()) != kind.indices.end())
      return bad("an index is there twice");
    out.push_back(std::move(kind));
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.resource < b.resource; });
  if (std::adjacent_find(out.begin(), out.end(),
                         [](const auto& a, const auto& b) { return a.resource == b.resource; }) != out.end())
    return bad("a resource is there twice");
  return out;
}

bool isCardResource(std::string_view resource) {
  size_t slash = resource.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view domain = resource.substr(0, slash);
  return domain != "kubernetes.io" && !domain.ends_with(".kubernetes.io") && !resource.starts_with("requests.");
}

}  // namespace stoker::device
