#include "apiserver/strategies/strategies.h"

#include "apiserver/strategies/groups.h"

namespace stoker::apiserver {
namespace {

/// A custom kind whose rules reach beyond its schema.
class ValidatedStrategy final : public Strategy {
 public:
  explicit ValidatedStrategy(std::function<std::vector<Cause>(json::Value)> validator)
      : validator_(std::move(validator)) {}
  std::vector<Cause> validate(json::Value object, json::Value old) const override {
    // Status writes of an object that newer rules would refuse must go through.
    if (old && object["spec"] == old["spec"]) return {};
    return validator_(object);
  }

 private:
  std::function<std::vector<Cause>(json::Value)> validator_;
};

}  // namespace

Result<void> registerStrategies(Registry& registry, const StrategyOptions& options) {
  registerPods(registry);
  registerNamespaces(registry);
  registerNodes(registry);
  registerCrds(registry);
  STOKER_CHECK(registerServices(registry, options.serviceCidr));
  registerConfig(registry);
  registerJobs(registry);
  registerRbac(registry);
  registerVolumes(registry);
  registerPriorityClasses(registry);
  registerRecords(registry);
  if (options.tokenKeys.key) registry.addCall("serviceaccounts", "token", tokenRequest(options.tokenKeys));
  for (const auto& [groupResource, validator] : options.validators)
    registry.addStrategy(groupResource, std::make_unique<ValidatedStrategy>(validator));
  return {};
}

}  // namespace stoker::apiserver
