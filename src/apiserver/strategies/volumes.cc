// PersistentVolumes and claims: stored; nothing binds them to each other yet.

#include <fmt/format.h>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "kube/field_error.h"
#include "kube/quantity.h"

namespace stoker::apiserver {
namespace {

void validateModes(std::vector<Cause>& causes, json::Value modes) {
  if (modes.empty()) causes.push_back(kube::required("spec.accessModes", "at least 1 access mode is required"));
  for (json::Value mode : modes.items())
    if (std::string_view text = mode.asString();
        text != "ReadWriteOnce" && text != "ReadOnlyMany" && text != "ReadWriteMany" && text != "ReadWriteOncePod")
      causes.push_back(kube::unsupported("spec.accessModes", mode,
                                         {"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"}));
}

void validateStorage(std::vector<Cause>& causes, json::Value amount, const std::string& path) {
  if (!amount) return causes.push_back(kube::required(path));
  auto parsed = kube::Quantity::parse(amount.asString());
  if (parsed.ok() && parsed->sign() <= 0)
    causes.push_back(kube::invalid(path, kube::shown(amount), "must be greater than zero"));
}

class ClaimStrategy final : public Strategy {
 public:
  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value claim) const override {
    return json::with(context.arena, claim, "status", json::Object(context.arena).set("phase", "Pending").build());
  }
  std::vector<Cause> validate(json::Value claim, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value spec = claim["spec"], before = old["spec"];
    if (old && spec == before) return causes;
    validateModes(causes, spec["accessModes"]);
    validateStorage(causes, spec.at({"resources", "requests", "storage"}), "spec.resources[storage]");
    if (!old) return causes;
    json::Arena arena;
    json::Value same = json::with(arena, spec, "resources", before["resources"]);
    if (!before.has("volumeName"))
      same = json::without(arena, same, "volumeName");  // a claim is bound by its name being written
    if (!(same == before))
      causes.push_back(kube::forbidden(
          "spec",
          "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"));
    return causes;
  }
};

class VolumeStrategy final : public Strategy {
 public:
  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value volume) const override {
    return json::with(context.arena, volume, "status",
                      json::Object(context.arena)
                          .set("phase", "Available")
                          .set("lastPhaseTransitionTime", formatTime(context.now))
                          .build());
  }
  std::vector<Cause> validate(json::Value volume, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value spec = volume["spec"];
    if (old && spec == old["spec"]) return causes;
    validateModes(causes, spec["accessModes"]);
    if (spec["capacity"].empty())
      causes.push_back(kube::required("spec.capacity"));
    else
      validateStorage(causes, spec["capacity"]["storage"], "spec.capacity[storage]");
    size_t sources = 0;
    for (const json::Member& m : spec.members()) {
      static constexpr std::string_view kSources[] = {"hostPath",
                                                      "local",
                                                      "nfs",
                                                      "csi",
                                                      "iscsi",
                                                      "fc",
                                                      "cephfs",
                                                      "rbd",
                                                      "glusterfs",
                                                      "awsElasticBlockStore",
                                                      "gcePersistentDisk",
                                                      "azureDisk",
                                                      "azureFile",
                                                      "cinder",
                                                      "flexVolume",
                                                      "flocker",
                                                      "photonPersistentDisk",
                                                      "portworxVolume",
                                                      "quobyte",
                                                      "scaleIO",
                                                      "storageos",
                                                      "vsphereVolume"};
      if (std::find(std::begin(kSources), std::end(kSources), m.key) == std::end(kSources)) continue;
      if (++sources > 1)
        causes.push_back(kube::forbidden(fmt::format("spec.{}", m.key), "may not specify more than 1 volume type"));
      if (old && !(m.value == old["spec"][m.key]))
        causes.push_back(
            kube::forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"));
    }
    if (sources == 0) causes.push_back(kube::required("spec", "must specify a volume type"));
    if (spec.has("local") && !spec.at({"nodeAffinity", "required"}))
      causes.push_back(kube::required("spec.nodeAffinity", "Local volume requires node affinity"));
    return causes;
  }
};

}  // namespace

void registerVolumes(Registry& registry) {
  registry.addStrategy("persistentvolumeclaims", std::make_unique<ClaimStrategy>());
  registry.addStrategy("persistentvolumes", std::make_unique<VolumeStrategy>());
}

}  // namespace stoker::apiserver
