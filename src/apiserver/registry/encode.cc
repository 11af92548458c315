#include "apiserver/registry/encode.h"

#include "kube/selector.h"

namespace stoker::apiserver {

Encoded encodeObject(json::Value object) {
  Encoded out;
  out.bytes.reserve(1024);
  out.bytes += '{';
  bool first = true;
  auto key = [&](std::string_view name) {
    if (!first) out.bytes += ',';
    first = false;
    json::printString(out.bytes, name);
    out.bytes += ':';
  };
  for (const json::Member& member : object.members()) {
    key(member.key);
    if (member.key != "metadata") {
      json::printTo(out.bytes, member.value);
      continue;
    }
    out.bytes += '{';
    first = true;
    bool written = false;
    auto revision = [&] {
      key("resourceVersion");
      out.bytes += '"';
      out.revisionAt = out.bytes.size();
      out.bytes += '"';
      written = true;
    };
    for (const json::Member& meta : member.value.members()) {
      if (meta.key == "resourceVersion") continue;
      if (!written && meta.key > "resourceVersion") revision();
      key(meta.key);
      json::printTo(out.bytes, meta.value);
    }
    if (!written) revision();
    out.bytes += '}';
    first = false;
  }
  out.bytes += '}';
  return out;
}

store::Index indexOf(json::Value object) {
  store::Index index;
  json::Value metadata = object["metadata"];
  index.labels = kube::flattenLabels(metadata["labels"]);
  for (json::Value owner : metadata["ownerReferences"].items()) index.owners.emplace_back(owner["uid"].asString());
  index.node = object.at({"spec", "nodeName"}).asString();
  return index;
}

std::string storeKey(std::string_view groupResource, std::string_view ns, std::string_view name) {
  std::string key;
  key.reserve(groupResource.size() + ns.size() + name.size() + 2);
  key += groupResource;
  key += '/';
  if (!ns.empty()) {
    key += ns;
    key += '/';
  }
  key += name;
  return key;
}

KeyParts splitKey(std::string_view key) {
  KeyParts parts;
  size_t slash = key.find('/');
  parts.groupResource = key.substr(0, slash);
  std::string_view rest = slash == std::string_view::npos ? std::string_view() : key.substr(slash + 1);
  size_t second = rest.find('/');
  if (second == std::string_view::npos) {
    parts.name = rest;
  } else {
    parts.namespace_ = rest.substr(0, second);
    parts.name = rest.substr(second + 1);
  }
  return parts;
}

}  // namespace stoker::apiserver
