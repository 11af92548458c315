#include <algorithm>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/pod_spec.h"
#include "kube/quantity.h"

namespace stoker::apiserver {
namespace {

constexpr std::string_view kContainerLists[] = {"initContainers", "containers"};

}  // namespace

std::string_view pullPolicyFor(std::string_view image) {
  if (image.find('@') != std::string_view::npos) return "IfNotPresent";  // a digest never changes
  size_t slash = image.rfind('/');
  std::string_view last = slash == std::string_view::npos ? image : image.substr(slash + 1);
  size_t colon = last.find(':');
  bool latest = colon == std::string_view::npos || last.substr(colon + 1) == "latest";
  return latest ? "Always" : "IfNotPresent";
}

json::Value podTemplateDefaults(json::Arena& arena, json::Value spec) {
  bool hostNetwork = spec["hostNetwork"].asBool();
  for (std::string_view list : kContainerLists)
    spec = mapMember(arena, spec, list, [&](json::Value container) {
      if (container["imagePullPolicy"].asString().empty())
        container = json::with(arena, container, "imagePullPolicy",
                               json::string(arena, pullPolicyFor(container["image"].asString())));
      if (!hostNetwork) return container;
      return mapMember(arena, container, "ports", [&](json::Value port) {
        return port["hostPort"].asInt() == 0 ? json::with(arena, port, "hostPort", port["containerPort"]) : port;
      });
    });
  return mapMember(arena, spec, "volumes", [&](json::Value volume) {
    if (volume.size() == 1 && volume.has("name")) return json::with(arena, volume, "emptyDir", emptyObject(arena));
    json::Value image = volume["image"];
    if (image.isObject() && image["pullPolicy"].asString().empty())
      return json::withPath(arena, volume, {"image", "pullPolicy"},
                            json::string(arena, pullPolicyFor(image["reference"].asString())));
    return volume;
  });
}

json::Value requestsFromLimits(json::Arena& arena, json::Value spec) {
  for (std::string_view list : kContainerLists)
    spec = mapMember(arena, spec, list, [&](json::Value container) {
      json::Value requests = container.at({"resources", "requests"});
      bool changed = false;
      for (const json::Member& limit : container.at({"resources", "limits"}).members()) {
        if (requests.has(limit.key)) continue;
        requests = json::with(arena, requests, limit.key, limit.value);
        changed = true;
      }
      return changed ? json::withPath(arena, container, {"resources", "requests"}, requests) : container;
    });
  return spec;
}

std::string_view qosClass(json::Value spec) {
  auto amount = [](json::Value list, std::string_view resource) {
    auto parsed = kube::Quantity::parse(list[resource].asString());
    return parsed.ok() ? *parsed : kube::Quantity();
  };
  bool any = false, guaranteed = true;
  for (std::string_view list : kContainerLists)
    for (json::Value container : spec[list].items()) {
      json::Value resources = container["resources"];
      for (std::string_view resource : {"cpu", "memory"}) {
        kube::Quantity limit = amount(resources["limits"], resource), request = amount(resources["requests"], resource);
        any |= !limit.isZero() || !request.isZero();
        guaranteed &= !limit.isZero() && limit == request;
      }
    }
  if (!any) return "BestEffort";
  return guaranteed ? "Guaranteed" : "Burstable";
}

}  // namespace stoker::apiserver
