#include <unistd.h>

#include <fmt/format.h>

#include "base/file.h"
#include "json/yaml.h"
#include "node/agent/image_map.h"

namespace stoker::node {

Result<ImageMap> ImageMap::loadIfThere(const std::string& path) {
  if (::access(path.c_str(), F_OK) != 0) return builtin();
  return load(path);
}

Result<ImageMap> ImageMap::load(const std::string& path) {
  STOKER_TRY(std::string text, readFile(path));
  json::Arena arena;
  auto documents = json::parseYaml(arena, text);
  if (!documents.ok()) return Error(documents.error().reason, fmt::format("{}: {}", path, documents.error().message));
  auto map = fromJson(documents->empty() ? json::Value() : documents->front());
  if (!map.ok()) return Error(map.error().reason, fmt::format("{}: {}", path, map.error().message));
  return map;
}

}  // namespace stoker::node
