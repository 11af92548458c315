// authorizer.h: who is asking, for what, and whether it is allowed.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stoker::apiserver {

struct User {
  std::string name;  ///< "admin", "system:serviceaccount:ns:name", "system:anonymous"
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
};

struct Attributes {
  std::string_view verb;  ///< get, list, watch, create, update, patch, delete, deletecollection; get/post/... for paths
  std::string_view group, resource, subresource, namespace_, name;
  std::string_view path;  ///< set for non-resource requests only
};

class Authorizer {
 public:
  virtual ~Authorizer() = default;
  /// From any thread.
  virtual bool allowed(const User& user, const Attributes& attributes) const = 0;
};

/// 403 with upstream's sentence: `pods "x" is forbidden: User "bob" cannot get resource "pods" in API group "" in the
/// namespace "default"`.
Error forbidden(const User& user, const Attributes& attributes);

}  // namespace stoker::apiserver
