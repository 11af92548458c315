// PriorityClasses: numbers that stay what they are, since pods copy them.

#include <fmt/format.h>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "kube/field_error.h"

namespace stoker::apiserver {
namespace {

constexpr const char* kGroup = "scheduling.k8s.io";
constexpr const char* kResource = "priorityclasses.scheduling.k8s.io";
constexpr int64_t kHighestUser = 1000000000;  // above are the platform's own
struct System {
  std::string_view name;
  int64_t value;
};
constexpr System kSystem[] = {{"system-cluster-critical", 2000000000}, {"system-node-critical", 2000001000}};

class PriorityClassStrategy final : public Strategy {
 public:
  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value object) const override {
    return onlyDefault(context, object);
  }
  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value object, json::Value) const override {
    return onlyDefault(context, object);
  }

  std::vector<Cause> validate(json::Value object, json::Value old) const override {
    std::vector<Cause> causes;
    std::string_view name = object.at({"metadata", "name"}).asString();
    int64_t value = object["value"].asInt();
    if (old) {
      if (value != old["value"].asInt()) causes.push_back(kube::forbidden("value", "may not be changed in an update."));
      mustStay(causes, "preemptionPolicy", object["preemptionPolicy"], old["preemptionPolicy"]);
      return causes;
    }
    if (name.starts_with("system-")) {
      bool known = false;
      for (const System& one : kSystem)
        known |= one.name == name && one.value == value && !object["globalDefault"].asBool();
      if (!known)
        causes.push_back(kube::forbidden("metadata.name",
                                         fmt::format("priority class names with 'system-' prefix are reserved for "
                                                     "system use only. error: {} is not a known system priority class",
                                                     name)));
    } else if (value > kHighestUser) {
      causes.push_back(kube::forbidden(
          "value", fmt::format("maximum allowed value of a user defined priority is {}", kHighestUser)));
    }
    return causes;
  }

  Result<void> mayDelete(json::Value object) const override {
    std::string_view name = object.at({"metadata", "name"}).asString();
    for (const System& one : kSystem)
      if (one.name == name)
        return refused(kGroup, "priorityclasses", name, "this is a system priority class and cannot be deleted");
    return {};
  }

 private:
  static Result<json::Value> onlyDefault(const StrategyContext& context, json::Value object) {
    if (!object["globalDefault"].asBool()) return object;
    std::string_view name = object.at({"metadata", "name"}).asString();
    std::string other;
    context.state.forEach(kResource, "", [&](const store::VersionPtr& version) {
      json::Arena arena;
      auto parsed = json::parse(arena, version->bytes);
      if (parsed.ok() && (*parsed)["globalDefault"].asBool() && parsed->at({"metadata", "name"}).asString() != name)
        other = parsed->at({"metadata", "name"}).str();
    });
    if (other.empty()) return object;
    return refused(kGroup, "priorityclasses", name,
                   fmt::format("PriorityClass {} is already marked as default. Only one default can exist", other));
  }
};

}  // namespace

void registerPriorityClasses(Registry& registry) {
  registry.addStrategy(kResource, std::make_unique<PriorityClassStrategy>());
}

}  // namespace stoker::apiserver
