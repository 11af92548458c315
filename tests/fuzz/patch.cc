// Two lines: an object and a patch, applied in all three ways.
#include "kube/patch.h"
#include "fuzz.h"
#include "kube/schema.h"

using namespace stoker;

namespace {
bool hasNull(json::Value value) {
  if (value.isNull()) return true;
  for (const json::Member& m : value.members())
    if (hasNull(m.value)) return true;
  return false;  // nulls in arrays are values
}
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::shared_ptr<const kube::SchemaSet> schemas = kube::builtinSchemas();
  static const kube::Schema* pod = schemas->message("k8s.io.api.core.v1.Pod");
  std::string_view rest = text(data, size);
  json::Arena arena;
  auto target = json::parse(arena, takeLine(rest));
  auto patch = json::parse(arena, rest);
  if (!target.ok() || !patch.ok()) return 0;

  json::Value merged = kube::mergePatch(arena, *target, *patch);
  require(json::print(kube::mergePatch(arena, merged, *patch)) == json::print(merged),
          "a merge patch applied twice changes nothing more");
  if (target->isObject() && patch->isObject() && !hasNull(*patch)) {
    json::Value difference = kube::makeMergePatch(arena, *target, *patch);
    json::Value result = kube::mergePatch(arena, *target, difference);
    require(json::print(result) == json::print(*patch), "makeMergePatch leads from one to the other",
            json::print(difference), json::print(result));
  }
  if (auto patched = kube::jsonPatch(arena, *target, *patch); patched.ok()) (void)json::print(*patched);
  if (auto strategic = kube::strategicMerge(arena, *pod, *target, *patch); strategic.ok())
    (void)json::print(*strategic);
  if (patch->isString()) (void)kube::jsonPointer(*target, patch->asString());
  return 0;
}
