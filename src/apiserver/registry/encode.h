// encode.h: JSON trees to what the store keeps.
#pragma once

#include "json/json.h"
#include "store/store.h"

namespace stoker::apiserver {

struct Encoded {
  std::string bytes;      ///< canonical, metadata.resourceVersion empty
  size_t revisionAt = 0;  ///< where its digits go
};
/// `object` must have metadata. An existing resourceVersion is replaced by the empty one.
Encoded encodeObject(json::Value object);

/// Labels, owner uids and spec.nodeName.
store::Index indexOf(json::Value object);

/// "pods/default/web-0", "nodes/n1", "pytorchjobs.kubeflow.org/default/x".
std::string storeKey(std::string_view groupResource, std::string_view ns, std::string_view name);
struct KeyParts {
  std::string_view groupResource, namespace_, name;
};
KeyParts splitKey(std::string_view key);

}  // namespace stoker::apiserver
