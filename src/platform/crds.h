// crds.h: the custom kinds this program brings, as CustomResourceDefinitions.
#pragma once

#include <string>
#include <vector>

namespace stoker::platform {

/// PyTorchJob and Gang as JSON text.
std::vector<std::string> ownCrds();

}  // namespace stoker::platform
