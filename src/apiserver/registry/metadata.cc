#include "apiserver/registry/metadata.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr size_t kMaxAnnotationBytes = 256 * 1024;  // upstream's TotalAnnotationSizeLimitB
constexpr size_t kGeneratedBase = 58;               // 63 - 5 random characters

constexpr std::string_view kOrphan = "orphan";
constexpr std::string_view kForeground = "foregroundDeletion";

}  // namespace

std::vector<Cause> validateMetadata(json::Value metadata, json::Value old) {
  std::vector<Cause> causes;
  auto bad = [&](std::string type, std::string field, std::string message) {
    causes.push_back({std::move(type), std::move(message), std::move(field)});
  };
  for (const json::Member& label : metadata["labels"].members()) {
    for (const std::string& problem : kube::qualifiedName(label.key))
      bad("FieldValueInvalid", "metadata.labels", fmt::format("Invalid value: {}: {}", quote(label.key), problem));
    for (const std::string& problem : kube::labelValue(label.value.asString()))
      bad("FieldValueInvalid", "metadata.labels",
          fmt::format("Invalid value: {}: {}", quote(label.value.asString()), problem));
  }
  size_t bytes = 0;
  for (const json::Member& annotation : metadata["annotations"].members()) {
    bytes += annotation.key.size() + annotation.value.asString().size();
    for (const std::string& problem : kube::qualifiedName(toLower(annotation.key)))
      bad("FieldValueInvalid", "metadata.annotations",
          fmt::format("Invalid value: {}: {}", quote(annotation.key), problem));
  }
  if (bytes > kMaxAnnotationBytes)
    bad("FieldValueTooLong", "metadata.annotations",
        fmt::format("Too long: may not be more than {} bytes", kMaxAnnotationBytes));
  size_t controllers = 0, index = 0;
  for (json::Value owner : metadata["ownerReferences"].items()) {
    for (std::string_view field : {"apiVersion", "kind", "name", "uid"})
      if (owner[field].asString().empty())
        bad("FieldValueRequired", fmt::format("metadata.ownerReferences[{}].{}", index, field),
            fmt::format("Required value: {} must not be empty", field));
    controllers += owner["controller"].asBool();
    ++index;
  }
  if (controllers > 1)
    bad("FieldValueInvalid", "metadata.ownerReferences",
        "Invalid value: Only one reference can have Controller set to true; remove the flag from the others");
  std::string added;
  for (json::Value finalizer : metadata["finalizers"].items()) {
    std::string_view name = finalizer.asString();
    for (const std::string& problem : kube::qualifiedName(name))
      bad("FieldValueInvalid", "metadata.finalizers", fmt::format("Invalid value: {}: {}", quote(name), problem));
    auto had = old["finalizers"].items();
    if (std::none_of(had.begin(), had.end(), [&](json::Value f) { return f.asString() == name; }))
      added += (added.empty() ? "" : ", ") + quote(name);
  }
  if (!added.empty() && old.has("deletionTimestamp"))
    bad("FieldValueForbidden", "metadata.finalizers",
        fmt::format("Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                    "[]string{{{}}}",
                    added));
  return causes;
}

json::Value keepSystemMetadata(json::Arena& arena, json::Value metadata, json::Value old) {
  for (std::string_view field : {"name", "namespace", "uid", "creationTimestamp", "generation", "deletionTimestamp",
                                 "deletionGracePeriodSeconds", "generateName"}) {
    if (const json::Value* value = old.find(field))
      metadata = json::with(arena, metadata, field, *value);
    else
      metadata = json::without(arena, metadata, field);
  }
  metadata = json::without(arena, metadata, "managedFields");
  return json::without(arena, metadata, "selfLink");
}

json::Value finalizersFor(json::Arena& arena, json::Value finalizers, std::string_view propagation) {
  if (propagation.empty()) return finalizers;
  std::vector<json::Value> out;
  for (json::Value f : finalizers.items())
    if (f.asString() != kOrphan && f.asString() != kForeground) out.push_back(f);
  if (propagation == "Orphan") out.push_back(json::string(arena, kOrphan));
  if (propagation == "Foreground") out.push_back(json::string(arena, kForeground));
  return json::array(arena, out);
}

std::string_view generateBase(std::string_view generateName) { return generateName.substr(0, kGeneratedBase); }

}  // namespace stoker::apiserver
