// Protobuf request bodies: the envelope, and a whole pod spec by its schema.
#include "fuzz.h"
#include "kube/schema.h"

using namespace stoker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const kube::SchemaSet> schemas = kube::builtinSchemas();
  static const kube::Schema* podSpec = schemas->message("k8s.io.api.core.v1.PodSpec");
  static const kube::Schema* crd =
      schemas->message("k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition");
  std::string_view wire = text(data, size);
  if (auto envelope = kube::openProtobufEnvelope(wire); envelope.ok()) wire = envelope->raw;
  for (const kube::Schema* schema : {podSpec, crd}) {
    if (!schema) continue;
    json::Arena arena;
    auto value = kube::decodeProtobuf(arena, *schema, wire);
    if (!value.ok()) continue;
    std::string printed = json::print(*value);
    require(json::parse(arena, printed).ok(), "what was decoded prints as JSON", printed);
    // A decoded body goes the way of every other.
    (void)kube::coerce(arena, *schema, *value);
  }
  return 0;
}
