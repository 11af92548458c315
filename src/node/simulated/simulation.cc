#include "node/simulated/simulation.h"

#include "base/strings.h"

namespace stoker::node {

ContainerSpec simulatedContainer(const podspec::Pod& pod, const podspec::Container& container, bool init, int attempt) {
  ContainerSpec spec;
  spec.name = container.name;
  std::string duration = pod.metadata.annotation(kDurationAnnotation);
  std::string codes = pod.metadata.annotation(kExitCodeAnnotation);
  if (init) {
    duration = podspec::isSidecar(container) ? "forever" : "0s";
    codes.clear();
  }
  std::string code = "0";
  if (!codes.empty()) {
    auto words = split(codes, ',');
    code = trim(words[std::min(static_cast<size_t>(attempt), words.size() - 1)]);
  }
  spec.env = {std::string(kDurationVariable) + "=" + (duration.empty() ? "forever" : duration),
              std::string(kExitCodeVariable) + "=" + code};
  if (std::string stop = pod.metadata.annotation(kStopAnnotation); !stop.empty())
    spec.env.push_back(std::string(kStopVariable) + "=" + stop);
  return spec;
}

}  // namespace stoker::node
