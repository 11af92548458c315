#include "node/agent/cards.h"

#include <fmt/format.h>

#include <charconv>

#include "base/strings.h"

namespace stoker::node {
namespace {

int64_t wanted(const podspec::Container& container, const std::string& resource) {
  Amounts requests = containerRequests(container);
  auto it = requests.find(resource);
  return it == requests.end() ? 0 : it->second.value();
}

}  // namespace

Result<Cards> parseCards(const std::string& annotation) {
  Cards out;
  if (annotation.empty()) return out;
  for (std::string_view part : split(annotation, ';')) {
    size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return Error(Reason::Invalid, fmt::format("\"{}\": must read RESOURCE=INDEX,INDEX...;...", annotation));
    auto& indices = out[std::string(trim(part.substr(0, equals)))];
    for (std::string_view word : split(part.substr(equals + 1), ',')) {
      int index = -1;
      auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), index);
      if (error != std::errc() || end != word.data() + word.size() || index < 0)
        return Error(Reason::Invalid, fmt::format("\"{}\": \"{}\" is no device index", annotation, word));
      if (std::find(indices.begin(), indices.end(), index) != indices.end())
        return Error(Reason::Invalid, fmt::format("\"{}\": device {} is listed twice", annotation, index));
      indices.push_back(index);
    }
  }
  return out;
}

std::string formatCards(const Cards& cards) {
  std::vector<std::string> parts;
  for (const auto& [resource, indices] : cards) {
    std::vector<std::string> words;
    for (int index : indices) words.push_back(std::to_string(index));
    parts.push_back(resource + "=" + join(words, ","));
  }
  return join(parts, ";");
}

Result<Cards> cardsOf(const podspec::PodSpec& spec, const podspec::Container& container, const Cards& cards) {
  Cards out;
  for (const auto& [resource, indices] : cards) {
    int64_t mine = wanted(container, resource);
    if (mine == 0) continue;
    int64_t first = 0;
    bool isMain = false;
    for (const auto& other : spec.containers) isMain = isMain || &other == &container || other.name == container.name;
    // Sidecars keep theirs beside the main containers; other init containers are over before those start.
    bool reserved = isMain;
    for (const auto& init : spec.initContainers) {
      if (init.name == container.name) break;
      if (podspec::isSidecar(init)) first += wanted(init, resource);
    }
    if (reserved)
      for (const auto& other : spec.containers) {
        if (other.name == container.name) break;
        first += wanted(other, resource);
      }
    if (first + mine > static_cast<int64_t>(indices.size()))
      return Error(Reason::Invalid,
                   fmt::format("container \"{}\" asks for {} {}, but the pod was given {} and {} of them are "
                               "other containers'",
                               container.name, mine, resource, indices.size(), first));
    out[resource].assign(indices.begin() + first, indices.begin() + first + mine);
  }
  return out;
}

Result<std::optional<Cards>> pickCards(const podspec::PodSpec& spec, const std::map<std::string, int>& inventory,
                                       const std::map<std::string, std::set<int>>& taken) {
  Amounts requests = podRequests(spec);
  Cards out;
  for (const auto& [resource, count] : inventory) {
    auto it = requests.find(resource);
    int64_t need = it == requests.end() ? 0 : it->second.value();
    if (need == 0) continue;
    auto busy = taken.find(resource);
    auto& chosen = out[resource];
    for (int index = 0; index < count && static_cast<int64_t>(chosen.size()) < need; ++index)
      if (busy == taken.end() || !busy->second.contains(index)) chosen.push_back(index);
    if (static_cast<int64_t>(chosen.size()) < need)
      return Error(Reason::Invalid, fmt::format("{} {} asked for, {} free", need, resource, chosen.size()));
  }
  if (out.empty()) return std::optional<Cards>();
  return std::optional<Cards>(std::move(out));
}

}  // namespace stoker::node
