#include "scheduler/placement/constraint.h"

#include <algorithm>
#include <charconv>

namespace stoker::scheduler {

namespace {

using Requirement = kube::LabelSelector::Requirement;

std::optional<int64_t> integer(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Requirement::Op> operatorOf(std::string_view text) {
  using Op = Requirement::Op;
  if (text == "In") return Op::In;
  if (text == "NotIn") return Op::NotIn;
  if (text == "Exists") return Op::Exists;
  if (text == "DoesNotExist") return Op::DoesNotExist;
  if (text == "Gt") return Op::GreaterThan;
  if (text == "Lt") return Op::LessThan;
  return std::nullopt;
}

std::optional<std::string_view> labelOf(const api::Node& node, const std::string& key) {
  auto it = node.metadata.labels.find(key);
  if (it == node.metadata.labels.end()) return std::nullopt;
  return it->second;
}

}  // namespace

bool tolerates(const api::Toleration& toleration, const api::Taint& taint) {
  if (!toleration.effect.empty() && toleration.effect != taint.effect) return false;
  if (!toleration.key.empty() && toleration.key != taint.key) return false;
  const std::string& op = toleration.operator_;
  if (op.empty() || op == "Equal") return toleration.value == taint.value;
  if (op == "Exists") return true;
  if (op != "Lt" && op != "Gt") return false;
  auto bound = integer(toleration.value), value = integer(taint.value);
  if (!bound || !value) return false;
  return op == "Lt" ? *value < *bound : *value > *bound;
}

bool tolerates(const std::vector<api::Toleration>& tolerations, const api::Taint& taint) {
  return std::any_of(tolerations.begin(), tolerations.end(), [&](const auto& t) { return tolerates(t, taint); });
}

bool isReady(const api::Node& node) { return api::isTrue(node.status.conditions, "Ready"); }

bool isLostFor(const api::Node& node, const std::vector<api::Toleration>& tolerations) {
  if (!isReady(node)) return true;
  return std::any_of(node.spec.taints.begin(), node.spec.taints.end(), [&](const api::Taint& taint) {
    if (taint.effect != "NoExecute") return false;
    return !std::any_of(tolerations.begin(), tolerations.end(),
                        [&](const auto& t) { return !t.tolerationSeconds && tolerates(t, taint); });
  });
}

Constraint::Constraint(std::map<std::string, std::string> nodeSelector, json::Value affinity,
                       std::vector<api::Toleration> tolerations)
    : nodeSelector_(std::move(nodeSelector)), tolerations_(std::move(tolerations)) {
  json::Value required = affinity.at({"nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
  if (required.isNull()) return;
  hasAffinity_ = true;
  for (json::Value term : required["nodeSelectorTerms"].items()) terms_.push_back(readTerm(term));
}

Constraint::Term Constraint::readTerm(json::Value term) {
  Term out;
  out.never = term["matchExpressions"].empty() && term["matchFields"].empty();
  auto read = [&](json::Value list, std::vector<Requirement>& into) {
    for (json::Value item : list.items()) {
      auto op = operatorOf(item["operator"].asString());
      if (!op) {
        out.never = true;
        continue;
      }
      Requirement requirement{.op = *op, .key = item["key"].str(), .values = {}};
      for (json::Value value : item["values"].items()) requirement.values.push_back(value.str());
      std::sort(requirement.values.begin(), requirement.values.end());
      requirement.values.erase(std::unique(requirement.values.begin(), requirement.values.end()),
                               requirement.values.end());
      bool compares = *op == Requirement::Op::GreaterThan || *op == Requirement::Op::LessThan;
      if (compares && (requirement.values.size() != 1 || !integer(requirement.values[0]))) out.never = true;
      into.push_back(std::move(requirement));
    }
  };
  read(term["matchExpressions"], out.labels);
  read(term["matchFields"], out.fields);
  // metadata.name is the only field nodes can be chosen by.
  for (const Requirement& field : out.fields)
    if (field.key != "metadata.name") out.never = true;
  return out;
}

bool Constraint::matchesAffinity(const api::Node& node) const {
  for (const auto& [key, value] : nodeSelector_)
    if (labelOf(node, key) != std::optional<std::string_view>(value)) return false;
  if (!hasAffinity_) return true;
  return std::any_of(terms_.begin(), terms_.end(), [&](const Term& term) {
    if (term.never) return false;
    return std::all_of(term.labels.begin(), term.labels.end(),
                       [&](const auto& r) { return r.matches(labelOf(node, r.key)); }) &&
           std::all_of(term.fields.begin(), term.fields.end(),
                       [&](const auto& r) { return r.matches(node.metadata.name); });
  });
}

Constraint::Answer Constraint::check(const api::Node& node) const {
  // The taint that the node lifecycle controller puts on such a node, possibly a moment later.
  const api::Taint notReady{kTaintNotReady, "", "NoSchedule", {}};
  if (!isReady(node) && !tolerates(tolerations_, notReady)) return {Verdict::NotReady};
  const api::Taint unschedulable{kTaintUnschedulable, "", "NoSchedule", {}};
  if (node.spec.unschedulable && !tolerates(tolerations_, unschedulable)) return {Verdict::Unschedulable};
  for (const api::Taint& taint : node.spec.taints) {
    if (taint.effect != "NoSchedule" && taint.effect != "NoExecute") continue;
    if (!tolerates(tolerations_, taint)) return {Verdict::Taint, &taint};
  }
  if (!matchesAffinity(node)) return {Verdict::Affinity};
  return {};
}

}  // namespace stoker::scheduler
