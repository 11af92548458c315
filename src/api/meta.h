// meta.h: metav1, as far as our code reads it.
#pragma once

#include <algorithm>

#include "api/codec.h"

namespace stoker::api {

struct OwnerReference {
  std::string apiVersion, kind, name, uid;
  bool controller = false, blockOwnerDeletion = false;
  bool operator==(const OwnerReference&) const = default;
  static constexpr auto describe() {
    return std::tuple{field("apiVersion", &OwnerReference::apiVersion),
                      field("kind", &OwnerReference::kind),
                      field("name", &OwnerReference::name),
                      field("uid", &OwnerReference::uid),
                      field("controller", &OwnerReference::controller),
                      field("blockOwnerDeletion", &OwnerReference::blockOwnerDeletion)};
  }
};

struct ObjectMeta {
  std::string name, generateName, namespace_, uid, resourceVersion;
  int64_t generation = 0;
  Time creationTimestamp{};
  std::optional<Time> deletionTimestamp;
  std::optional<int64_t> deletionGracePeriodSeconds;
  std::map<std::string, std::string> labels, annotations;
  std::vector<OwnerReference> ownerReferences;
  std::vector<std::string> finalizers;

  static constexpr auto describe() {
    return std::tuple{field("name", &ObjectMeta::name),
                      field("generateName", &ObjectMeta::generateName),
                      field("namespace", &ObjectMeta::namespace_),
                      field("uid", &ObjectMeta::uid),
                      field("resourceVersion", &ObjectMeta::resourceVersion),
                      field("generation", &ObjectMeta::generation),
                      field("creationTimestamp", &ObjectMeta::creationTimestamp),
                      field("deletionTimestamp", &ObjectMeta::deletionTimestamp),
                      field("deletionGracePeriodSeconds", &ObjectMeta::deletionGracePeriodSeconds),
                      field("labels", &ObjectMeta::labels),
                      field("annotations", &ObjectMeta::annotations),
                      field("ownerReferences", &ObjectMeta::ownerReferences),
                      field("finalizers", &ObjectMeta::finalizers)};
  }
  bool deleting() const { return deletionTimestamp.has_value(); }
  /// The owner that manages this object (controller: true), or null.
  const OwnerReference* controller() const {
    auto it = std::find_if(ownerReferences.begin(), ownerReferences.end(), [](const auto& o) { return o.controller; });
    return it == ownerReferences.end() ? nullptr : &*it;
  }
  /// "" when there is none.
  std::string label(const std::string& key) const {
    auto it = labels.find(key);
    return it == labels.end() ? std::string() : it->second;
  }
  std::string annotation(const std::string& key) const {
    auto it = annotations.find(key);
    return it == annotations.end() ? std::string() : it->second;
  }
};

/// metav1.Condition and its older relatives (lastUpdateTime: kubeflow; lastProbeTime: pods).
struct Condition {
  std::string type, status, reason, message;
  Time lastUpdateTime{}, lastTransitionTime{};
  int64_t observedGeneration = 0;
  static constexpr auto describe() {
    return std::tuple{
        field("type", &Condition::type, "Type of the condition.").required(),
        field("status", &Condition::status, "True, False or Unknown.").required(),
        field("reason", &Condition::reason, "One word, machine readable, why."),
        field("message", &Condition::message, "The same for people."),
        field("lastUpdateTime", &Condition::lastUpdateTime, "When it was last written."),
        field("lastTransitionTime", &Condition::lastTransitionTime, "When its status last changed."),
        field("observedGeneration", &Condition::observedGeneration, "The generation it was derived from.")};
  }
};

inline const Condition* findCondition(const std::vector<Condition>& conditions, std::string_view type) {
  auto it = std::find_if(conditions.begin(), conditions.end(), [&](const Condition& c) { return c.type == type; });
  return it == conditions.end() ? nullptr : &*it;
}
inline bool isTrue(const std::vector<Condition>& conditions, std::string_view type) {
  const Condition* c = findCondition(conditions, type);
  return c && c->status == "True";
}

/// Which resource a struct is: specialised as `static constexpr Gvk gvk{...}` members.
struct Gvk {
  const char* group;
  const char* version;
  const char* kind;
  const char* resource;
};

#define STOKER_META_STRUCTS(X) X(OwnerReference) X(ObjectMeta) X(Condition)
STOKER_META_STRUCTS(STOKER_DECLARE_CODEC)

}  // namespace stoker::api
