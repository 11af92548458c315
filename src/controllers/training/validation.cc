#include "controllers/training/validation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/strings.h"
#include "controllers/training/pytorch.h"
#include "kube/names.h"
#include "kube/quantity.h"

namespace stoker::controllers::training {
namespace {

constexpr size_t kMaxPodName = 63;  // pod names become host names and Service names: DNS labels

class Causes {
 public:
  void required(std::string field, const std::string& detail) {
    out_.push_back({"FieldValueRequired", "Required value: " + detail, std::move(field)});
  }
  void forbidden(std::string field, const std::string& detail) {
    out_.push_back({"FieldValueForbidden", "Forbidden: " + detail, std::move(field)});
  }
  void invalid(std::string field, std::string_view value, const std::string& detail) {
    out_.push_back({"FieldValueInvalid", fmt::format("Invalid value: {}: {}", quote(value), detail), std::move(field)});
  }
  void notSupported(std::string field, std::string_view value, std::initializer_list<const char*> valid) {
    std::vector<std::string> quoted;
    for (const char* v : valid) quoted.push_back(quote(v));
    out_.push_back({"FieldValueNotSupported",
                    fmt::format("Unsupported value: {}: supported values: {}", quote(value), join(quoted, ", ")),
                    std::move(field)});
  }
  std::vector<Cause> take() { return std::move(out_); }

 private:
  std::vector<Cause> out_;
};

void validateReplicaSpec(const std::string& type, json::Value spec, Causes& causes) {
  std::string path = fmt::format("spec.pytorchReplicaSpecs[{}]", type);
  std::string containersPath = path + ".template.spec.containers";
  if (type != "Master" && type != "Worker") causes.notSupported(path, type, {"Master", "Worker"});
  auto containers = spec.at({"template", "spec", "containers"}).items();
  if (containers.empty()) causes.required(containersPath, "must be specified");
  bool found = false;
  for (size_t i = 0; i < containers.size(); ++i) {
    if (containers[i]["image"].asString().empty())
      causes.required(fmt::format("{}[{}].image", containersPath, i), "must be required");
    if (containers[i]["name"].asString() == kPyTorchContainer) found = true;
    for (const char* list : {"requests", "limits"})
      for (const json::Member& amount : containers[i]["resources"][list].members()) {
        std::string text = amount.value.isString() ? amount.value.str() : json::print(amount.value);
        std::string field = fmt::format("{}[{}].resources.{}[{}]", containersPath, i, list, amount.key);
        auto quantity = kube::Quantity::parse(text);
        if (!quantity.ok())
          causes.invalid(field, text, quantity.error().message);
        else if (quantity->sign() < 0)
          causes.invalid(field, text, "must be greater than or equal to 0");
      }
  }
  if (!found)
    causes.required(containersPath, fmt::format("must have at least one container with name {}", kPyTorchContainer));
  std::optional<int64_t> replicas = spec["replicas"].integer();
  if (!replicas) return;
  if (type == "Master" && *replicas != 1)
    causes.forbidden(path + ".replicas", "must be 1");
  else if (type != "Master" && *replicas < 1)
    causes.forbidden(path + ".replicas", "must be at least 1");
}

}  // namespace

std::vector<Cause> validatePyTorchJob(json::Value job, json::Value old) {
  Causes causes;
  std::string name = job.at({"metadata", "name"}).str();
  json::Value spec = job["spec"], policy = spec["runPolicy"], replicaSpecs = spec["pytorchReplicaSpecs"];

  if (auto errors = kube::dns1035Label(name); !errors.empty())
    causes.invalid("metadata.name", name, "should match: " + join(errors, ","));
  for (const json::Member& m : replicaSpecs.members()) {
    int64_t last = std::max<int64_t>(m.value["replicas"].asInt(1), 1) - 1;
    std::string longest = fmt::format("{}-{}-{}", name, toLower(m.key), last);
    if (name.size() <= kMaxPodName && longest.size() > kMaxPodName)
      causes.invalid(
          "metadata.name", name,
          fmt::format("its pod {} would have {} characters; names of pods may have {}: use a name of at most {}",
                      longest, longest.size(), kMaxPodName, name.size() + kMaxPodName - longest.size()));
  }

  json::Value managedBy = policy["managedBy"];
  if (old) {
    std::string_view before = old.at({"spec", "runPolicy", "managedBy"}).asString();
    if (managedBy.asString() != before)
      causes.invalid("spec.runPolicy.managedBy", managedBy.asString(), "field is immutable");
    std::string_view queueBefore = old.at({"spec", "runPolicy", "schedulingPolicy", "queue"}).asString();
    std::string_view queue = policy.at({"schedulingPolicy", "queue"}).asString();
    if (queue != queueBefore)
      causes.invalid("spec.runPolicy.schedulingPolicy.queue", queue,
                     "spec.runPolicy.schedulingPolicy.queue is immutable");
  }
  if (!managedBy.isNull() && managedBy.asString() != "kubeflow.org/training-operator" &&
      managedBy.asString() != "kueue.x-k8s.io/multikueue")
    causes.notSupported("spec.runPolicy.managedBy", managedBy.asString(),
                        {"kubeflow.org/training-operator", "kueue.x-k8s.io/multikueue"});

  if (json::Value elastic = spec["elasticPolicy"]; !elastic.isNull()) {
    if (!replicaSpecs.has("Worker"))
      causes.required("spec.pytorchReplicaSpecs[Worker]", "must be configured if elastic policy is used");
    if (elastic.has("nProcPerNode") && spec.has("nprocPerNode"))
      causes.forbidden("spec.elasticPolicy.nProcPerNode", "must not be used with spec.nprocPerNode");
  }
  if (replicaSpecs.empty()) causes.required("spec.pytorchReplicaSpecs", "must be required");
  for (const json::Member& m : replicaSpecs.members()) validateReplicaSpec(std::string(m.key), m.value, causes);
  return causes.take();
}

}  // namespace stoker::controllers::training
