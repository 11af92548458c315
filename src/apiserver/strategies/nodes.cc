// Nodes describe themselves: they come with a status.

#include <fmt/format.h>

#include <set>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"
#include "kube/quantity.h"

namespace stoker::apiserver {
namespace {

class NodeStrategy final : public Strategy {
 public:
  bool statusOnCreate() const override { return true; }

  std::vector<Cause> validate(json::Value node, json::Value old) const override {
    std::vector<Cause> causes;
    json::Value taints = node["spec"]["taints"];
    std::set<std::string> seen;
    for (size_t i = 0; i < taints.size(); ++i) {
      std::string at = fmt::format("spec.taints[{}]", i);
      std::string_view key = taints[i]["key"].asString(), value = taints[i]["value"].asString();
      if (!key.empty()) addProblems(causes, at + ".key", key, kube::qualifiedName(key));
      addProblems(causes, at + ".value", value, kube::labelValue(value));
      if (taints[i]["effect"].asString().empty()) causes.push_back(kube::required(at + ".effect"));
      if (!seen.insert(fmt::format("{}:{}", key, taints[i]["effect"].asString())).second)
        causes.push_back(
            {"FieldValueDuplicate", fmt::format("Duplicate value: {}", json::print(taints[i])), at + ".key"});
    }
    for (const char* list : {"capacity", "allocatable"})
      for (const json::Member& one : node["status"][list].members()) {
        auto amount = kube::Quantity::parse(one.value.asString());
        if (amount.ok() && amount->sign() < 0)
          causes.push_back(kube::invalid(fmt::format("status.{}[{}]", list, one.key), kube::shown(one.value),
                                         "must be greater than or equal to 0"));
      }
    if (json::Value before = old["spec"]["podCIDR"]; before)
      mustStay(causes, "spec.podCIDR", node["spec"]["podCIDR"], before);
    if (json::Value before = old["spec"]["providerID"]; before)
      mustStay(causes, "spec.providerID", node["spec"]["providerID"], before);
    return causes;
  }
};

}  // namespace

void registerNodes(Registry& registry) { registry.addStrategy("nodes", std::make_unique<NodeStrategy>()); }

}  // namespace stoker::apiserver
