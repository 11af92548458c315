#include "node/agent/image_map.h"

#include <fmt/format.h>

#include <set>

#include "base/strings.h"

namespace stoker::node {

bool globMatch(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t]) && pattern[p] != '*') {
      ++p;
      ++t;
    } else if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

ImageMap ImageMap::builtin() {
  ImageMap map;
  // training-operator's init container: `nslookup MASTER` until it answers (config.PyTorchInitContainerTemplate).
  map.rules_.push_back({.image = "alpine:3.10", .applets = true});
  map.rules_.push_back({.image = "*"});
  return map;
}

Result<ImageMap> ImageMap::fromJson(json::Value document) {
  ImageMap map;
  const std::vector<std::string> known{"image", "root", "env", "command", "args", "workingDir", "applets"};
  for (const auto& member : document.members())
    if (member.key != "images")
      return Error(Reason::Invalid,
                   fmt::format("unknown field \"{}\"; the file holds one list, \"images\"", member.key));
  if ((!document.isNull() && !document.isObject()) || (document.has("images") && !document["images"].isArray()))
    return Error(Reason::Invalid, "the file holds one list: \"images:\", then \"- image: PATTERN\" for each rule");
  size_t index = 0;
  for (json::Value item : document["images"].items()) {
    std::string path = fmt::format("images[{}]", index++);
    if (!item.isObject())
      return Error(Reason::Invalid, path + ": must be a rule such as {image: \"pytorch/*\", root: /roots/pytorch}");
    for (const auto& member : item.members()) {
      if (std::find(known.begin(), known.end(), member.key) != known.end()) continue;
      auto near = didYouMean(member.key, known);
      return Error(Reason::Invalid, fmt::format("{}: unknown field \"{}\"{}", path, member.key,
                                                near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
    }
    ImageRule rule;
    rule.image = item["image"].str();
    if (rule.image.empty())
      return Error(Reason::Invalid, path + ".image: is required: a pattern such as \"pytorch/*\"");
    if (item.has("root")) rule.root = item["root"].str();
    if (rule.root != "host" && (rule.root.empty() || rule.root.front() != '/'))
      return Error(Reason::Invalid,
                   fmt::format("{}.root: \"{}\" must be \"host\" or an absolute directory", path, rule.root));
    for (const auto& [name, value] : json::stringPairs(item["env"])) rule.env[name] = value;
    for (json::Value word : item["command"].items()) rule.command.push_back(word.str());
    for (json::Value word : item["args"].items()) rule.args.push_back(word.str());
    rule.workingDir = item["workingDir"].str();
    rule.applets = item["applets"].asBool();
    map.rules_.push_back(std::move(rule));
  }
  for (const ImageRule& rule : builtin().rules_) map.rules_.push_back(rule);
  return map;
}

const ImageRule& ImageMap::find(const std::string& image) const {
  for (const ImageRule& rule : rules_)
    if (globMatch(rule.image, image)) return rule;
  return rules_.back();
}

}  // namespace stoker::node
