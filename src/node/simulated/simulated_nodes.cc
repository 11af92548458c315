#include "node/simulated/simulated_nodes.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "base/file.h"
#include "base/strings.h"
#include "json/yaml.h"

namespace stoker::node {
namespace {

const std::vector<std::string> kFields{"name", "count", "prefix",    "cpu",    "memory",
                                       "pods", "gpus",  "resources", "labels", "taints"};
constexpr const char* kGpu = "nvidia.com/gpu";

std::string textOf(json::Value value) {
  return value.isString() ? value.str() : value.isNull() ? "" : json::print(value);
}

Error invalid(const std::string& path, const std::string& what) { return {Reason::Invalid, path + ": " + what}; }

Result<void> setAmount(NodeConfig& node, const std::string& path, const std::string& resource,
                       const std::string& text) {
  auto parsed = kube::Quantity::parse(text);
  if (!parsed.ok() || parsed->sign() < 0)
    return invalid(path, fmt::format("\"{}\" must be a quantity of at least 0, such as 8, 500m or 32Gi", text));
  node.capacity[resource] = parsed->toString();
  bool builtin = resource.find('/') == std::string::npos;
  if (!builtin) {
    if (*parsed != kube::Quantity::fromInt(parsed->value()))
      return invalid(path, fmt::format("\"{}\" must be a whole number", text));
    node.devices[resource] = static_cast<int>(parsed->value());
  }
  return {};
}

Result<void> setGpus(NodeConfig& node, const std::string& path, const std::string& text) {
  size_t times = text.find('x');
  std::string count = text.substr(0, times);
  int number = 0;
  auto [end, error] = std::from_chars(count.data(), count.data() + count.size(), number);
  if (error != std::errc() || end != count.data() + count.size() || number < 0 ||
      (times != std::string::npos && times + 1 == text.size()))
    return invalid(path, fmt::format("\"{}\" must read COUNT or COUNTxMODEL, such as 8xA100", text));
  node.capacity[kGpu] = std::to_string(number);
  node.devices[kGpu] = number;
  if (times != std::string::npos) node.labels["nvidia.com/gpu.product"] = text.substr(times + 1);
  return {};
}

Result<NodeConfig> readNode(json::Value item, const std::string& path) {
  if (!item.isObject()) return invalid(path, "must be an object such as {name: a, cpu: 8}");
  for (const json::Member& member : item.members()) {
    if (std::find(kFields.begin(), kFields.end(), member.key) != kFields.end()) continue;
    auto near = didYouMean(member.key, kFields);
    return invalid(path, fmt::format("unknown field \"{}\"{}", member.key,
                                     near ? fmt::format("; did you mean \"{}\"?", *near) : ""));
  }
  NodeConfig node;
  auto amount = [&](const char* field, const char* otherwise) {
    std::string text = textOf(item[field]);
    return setAmount(node, path + "." + field, field, text.empty() ? otherwise : text);
  };
  STOKER_CHECK(amount("cpu", "32"));
  STOKER_CHECK(amount("memory", "128Gi"));
  STOKER_CHECK(amount("pods", "110"));
  node.capacity["ephemeral-storage"] = "1Ti";
  for (const auto& [key, value] : json::stringPairs(item["labels"])) node.labels[key] = value;
  if (item.has("gpus")) STOKER_CHECK(setGpus(node, path + ".gpus", textOf(item["gpus"])));
  for (const json::Member& member : item["resources"].members()) {
    std::string name(member.key);
    STOKER_CHECK(setAmount(node, path + ".resources." + name, name, textOf(member.value)));
  }
  size_t index = 0;
  for (json::Value taint : item["taints"].items()) {
    node.taints.push_back(api::decode<api::Taint>(taint));
    const std::string& effect = node.taints.back().effect;
    if (node.taints.back().key.empty() ||
        (effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute"))
      return invalid(fmt::format("{}.taints[{}]", path, index),
                     "needs a key and an effect of NoSchedule, PreferNoSchedule or NoExecute");
    ++index;
  }
  node.info = {{"kubeletVersion", "simulated"}, {"operatingSystem", "linux"}, {"osImage", "simulated"}};
  node.labels["stoker.dev/simulated"] = "true";
  return node;
}

}  // namespace

Result<std::vector<NodeConfig>> parseSimulatedNodes(json::Value document) {
  json::Value list = document.isObject() ? document["nodes"] : document;
  if (!list.isArray()) return invalid("nodes", "must be a list of nodes");
  std::vector<NodeConfig> out;
  std::set<std::string> names;
  size_t index = 0;
  for (json::Value item : list.items()) {
    std::string path = fmt::format("nodes[{}]", index++);
    STOKER_TRY(NodeConfig node, readNode(item, path));
    std::string name = textOf(item["name"]);
    int64_t count = item["count"].asInt(1);
    if (count < 0 || static_cast<size_t>(count) > kMaxSimulatedNodes ||
        out.size() + static_cast<size_t>(count) > kMaxSimulatedNodes)
      return invalid(path + ".count", fmt::format("there may be 0 to {} simulated nodes in all", kMaxSimulatedNodes));
    if (!name.empty() && item.has("count"))
      return invalid(path, "give a name for one node, or count and prefix for several");
    std::string prefix = textOf(item["prefix"]);
    if (prefix.empty()) prefix = "node";
    for (int64_t i = 0; i < count; ++i) {
      node.name = name.empty() ? fmt::format("{}-{}", prefix, i) : name;
      if (!names.insert(node.name).second)
        return invalid(
            path, fmt::format("there is a node \"{}\" already; give this group another name or prefix", node.name));
      // Addresses in a range for documentation and tests (RFC 2544): nothing answers there.
      size_t n = out.size() + 1;
      node.address = fmt::format("198.{}.{}.{}", 18 + (n >> 16), (n >> 8) & 255, n & 255);
      out.push_back(node);
    }
  }
  return out;
}

Result<std::vector<NodeConfig>> loadSimulatedNodes(const std::string& path) {
  STOKER_TRY(std::string text, readFile(path));
  json::Arena arena;
  auto documents = json::parseYaml(arena, text);
  if (!documents.ok()) return Error(documents.error().reason, fmt::format("{}: {}", path, documents.error().message));
  auto nodes = parseSimulatedNodes(documents->empty() ? json::Value() : documents->front());
  if (!nodes.ok()) return Error(nodes.error().reason, fmt::format("{}: {}", path, nodes.error().message));
  return nodes;
}

}  // namespace stoker::node
