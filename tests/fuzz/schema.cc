// The way of a write through the schema of a pod: coerce, defaults, validation. Each step done twice changes nothing
// more.
#include "kube/schema.h"
#include "fuzz.h"

using namespace stoker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const kube::SchemaSet> schemas = kube::builtinSchemas();
  static const kube::Schema* pod = schemas->message("k8s.io.api.core.v1.Pod");
  json::Arena arena;
  auto value = json::parse(arena, text(data, size));
  if (!value.ok()) return 0;
  auto coerced = kube::coerce(arena, *pod, *value);
  if (!coerced.ok()) return 0;
  std::string once = json::print(coerced->value);
  auto again = kube::coerce(arena, *pod, coerced->value);
  require(again.ok(), "what was coerced is acceptable", once, again.ok() ? "" : again.error().message);
  require(json::print(again->value) == once, "coercing is a fixed point", once, json::print(again->value));
  require(again->unknown.empty(), "nothing unknown is left", once);
  json::Value filled = kube::applyDefaults(arena, *pod, coerced->value);
  std::string printed = json::print(filled);
  require(json::print(kube::applyDefaults(arena, *pod, filled)) == printed, "defaulting is a fixed point", printed);
  (void)kube::validate(*pod, filled);
  return 0;
}
