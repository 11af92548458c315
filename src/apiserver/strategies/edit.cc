#include "apiserver/strategies/edit.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "kube/field_error.h"

namespace stoker::apiserver {

json::Value withCondition(json::Arena& arena, json::Value conditions, std::string_view type, std::string_view status,
                          std::string_view reason, std::string_view message, Time now) {
  std::vector<json::Value> items;
  std::string changed = formatTime(now);
  size_t at = conditions.size();
  for (size_t i = 0; i < conditions.size(); ++i) {
    items.push_back(conditions[i]);
    if (conditions[i]["type"].asString() != type) continue;
    at = i;
    if (conditions[i]["status"].asString() == status) changed = conditions[i]["lastTransitionTime"].str();
  }
  json::Object condition(arena);
  condition.set("type", type).set("status", status).setNonEmpty("lastTransitionTime", changed);
  condition.setNonEmpty("reason", reason).setNonEmpty("message", message);
  if (at == items.size()) items.emplace_back();
  items[at] = condition.build();
  return json::array(arena, items);
}

namespace {

Error about(Reason reason, std::string_view group, std::string_view resource, std::string_view name,
            std::string message) {
  Error error(reason, std::move(message));
  error.group = group;
  error.kind = resource;
  error.name = name;
  return error;
}

std::string qualified(std::string_view group, std::string_view resource) {
  return group.empty() ? std::string(resource) : fmt::format("{}.{}", resource, group);
}

}  // namespace

Error refused(std::string_view group, std::string_view resource, std::string_view name, std::string_view why) {
  return about(Reason::Forbidden, group, resource, name,
               fmt::format("{} \"{}\" is forbidden: {}", qualified(group, resource), name, why));
}

Error conflicting(std::string_view group, std::string_view resource, std::string_view name, std::string_view why) {
  return about(Reason::Conflict, group, resource, name,
               fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", qualified(group, resource), name, why));
}

Error invalidObject(std::string_view group, std::string_view kind, std::string_view name, Cause cause) {
  Error error =
      about(Reason::Invalid, group, kind, name,
            fmt::format("{} \"{}\" is invalid: {}: {}", qualified(group, kind), name, cause.field, cause.message));
  error.causes.push_back(std::move(cause));
  return error;
}

Cause notFoundCause(std::string path, std::string_view value) {
  return {"FieldValueNotFound", "Not found: " + quote(value), std::move(path)};
}

void addProblems(std::vector<Cause>& causes, const std::string& path, std::string_view value,
                 const std::vector<std::string>& problems) {
  for (const std::string& problem : problems) causes.push_back(kube::invalid(path, quote(value), problem));
}

void mustStay(std::vector<Cause>& causes, const std::string& path, json::Value value, json::Value old) {
  if (!(value == old)) causes.push_back(kube::invalid(path, kube::shown(value), "field is immutable"));
}

}  // namespace stoker::apiserver
