#include "apiserver/http/negotiate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "base/strings.h"

namespace stoker::apiserver {
namespace {

struct Media {
  std::string type;
  double quality = 1;
  std::string as, group, version;
};

std::vector<Media> parseAccept(std::string_view accept) {
  std::vector<Media> out;
  for (std::string_view entry : split(accept, ',')) {
    auto parts = split(entry, ';');
    Media media{.type = toLower(trim(parts[0]))};
    if (media.type.empty()) continue;
    for (size_t i = 1; i < parts.size(); ++i) {
      std::string_view part = trim(parts[i]);
      size_t equals = part.find('=');
      if (equals == std::string_view::npos) continue;
      std::string key = toLower(trim(part.substr(0, equals)));
      std::string value(trim(part.substr(equals + 1)));
      if (key == "q")
        media.quality = std::atof(value.c_str());
      else if (key == "as")
        media.as = value;
      else if (key == "g")
        media.group = value;
      else if (key == "v")
        media.version = value;
    }
    out.push_back(std::move(media));
  }
  std::stable_sort(out.begin(), out.end(), [](const Media& a, const Media& b) { return a.quality > b.quality; });
  return out;
}

}  // namespace

Result<Accepted> negotiate(std::string_view accept, bool canTransform) {
  if (trim(accept).empty()) return Accepted{};
  for (const Media& media : parseAccept(accept)) {
    if (media.quality <= 0) continue;
    Accepted accepted;
    bool json = media.type == "application/json" || media.type == "*/*" || media.type == "application/*";
    accepted.yaml = media.type == "application/yaml";
    if (!json && !accepted.yaml) continue;
    if (media.as.empty()) return accepted;
    if (!canTransform || media.group != "meta.k8s.io" || (media.version != "v1" && media.version != "v1beta1"))
      continue;
    accepted.metaVersion = media.version;
    if (media.as == "Table")
      accepted.form = Accepted::Form::Table;
    else if (media.as == "PartialObjectMetadata" || media.as == "PartialObjectMetadataList")
      accepted.form = Accepted::Form::PartialMetadata;
    else
      continue;
    return accepted;
  }
  return Error(Reason::NotAcceptable,
               "only the following media types are accepted: application/json, application/yaml");
}

Result<BodyType> bodyType(std::string_view contentType, bool isPatch) {
  std::string type = toLower(trim(split(contentType, ';')[0]));
  if (isPatch) {
    if (type == "application/json-patch+json") return BodyType::JsonPatch;
    if (type == "application/merge-patch+json") return BodyType::MergePatch;
    if (type == "application/strategic-merge-patch+json") return BodyType::StrategicPatch;
    if (type == "application/apply-patch+yaml") return BodyType::ApplyPatch;
    return Error(
        Reason::UnsupportedMediaType,
        "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, "
        "application/merge-patch+json, application/strategic-merge-patch+json");
  }
  if (type.empty() || type == "application/json" || type == "*/*" || type == "text/json") return BodyType::Json;
  if (type == "application/yaml") return BodyType::Yaml;
  if (type == "application/vnd.kubernetes.protobuf") return BodyType::Protobuf;
  return Error(
      Reason::UnsupportedMediaType,
      fmt::format(
          "the body of the request was in an unknown format ({}) - accepted media types include: application/json, "
          "application/yaml, application/vnd.kubernetes.protobuf",
          type));
}

bool accepts(std::string_view accept, std::string_view mediaType) {
  for (const Media& media : parseAccept(accept))
    if (media.type == mediaType) return true;
  return false;
}

}  // namespace stoker::apiserver
