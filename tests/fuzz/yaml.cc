// YAML text: what is read prints as YAML that reads as the same.
#include "json/yaml.h"
#include "fuzz.h"

using namespace stoker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  json::Arena arena;
  auto documents = json::parseYaml(arena, text(data, size));
  if (!documents.ok()) {
    require(documents.error().reason == Reason::BadRequest && !documents.error().message.empty(),
            "malformed YAML is a BadRequest that says why");
    return 0;
  }
  for (json::Value value : *documents) {
    std::string asJson = json::print(value);
    std::string printed = json::printYaml(value);
    auto again = json::parseYaml(arena, printed);
    require(again.ok(), "what is printed can be read", asJson, printed);
    // An empty document is left out: null prints as one.
    if (value.isNull() && again->empty()) continue;
    require(again->size() == 1, "one document stays one", asJson, printed);
    require(json::print((*again)[0]) == asJson, "and means the same", asJson, printed);
  }
  return 0;
}
