// expand.h: $(NAME) in env values, command, args and subPathExpr
// (k8s.io/kubernetes/third_party/forked/golang/expansion).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace stoker::node {

using Variables = std::map<std::string, std::string>;

/// "$(A)" becomes A's value; "$$" becomes "$", so "$$(A)" stays "$(A)"; a name that is not known, and a "$(" without
/// its ")", stay as they were.
std::string expand(std::string_view text, const std::function<std::optional<std::string>(const std::string&)>& lookup);
std::string expand(std::string_view text, const Variables& variables);

}  // namespace stoker::node
