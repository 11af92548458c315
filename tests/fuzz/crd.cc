// Two lines: a CustomResourceDefinition, and an object of its kind. A CRD that is accepted must be able to serve
// anything.
#include "fuzz.h"
#include "kube/kinds.h"

using namespace stoker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest = text(data, size);
  json::Arena arena;
  auto crd = json::parse(arena, takeLine(rest));
  if (!crd.ok()) return 0;
  auto kinds = kube::kindsOfCrd(*crd);
  auto object = json::parse(arena, rest);
  if (!kinds.ok() || !object.ok()) return 0;
  for (const kube::KindPtr& kind : *kinds) {
    auto coerced = kube::coerce(arena, *kind->schema, *object);
    if (!coerced.ok()) continue;
    json::Value filled = kube::applyDefaults(arena, *kind->schema, coerced->value);
    require(json::print(kube::applyDefaults(arena, *kind->schema, filled)) == json::print(filled),
            "defaulting is a fixed point");
    (void)kube::validate(*kind->schema, filled);
  }
  return 0;
}
