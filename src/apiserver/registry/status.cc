// Errors as the API speaks them.

#include <fmt/format.h>

#include "apiserver/registry/registry.h"

namespace stoker::apiserver {

json::Value statusOf(json::Arena& arena, const Error& error) {
  json::Object status(arena);
  status.set("apiVersion", "v1").set("kind", "Status").set("status", "Failure").set("message", error.message);
  std::string_view reason = toString(error.reason);
  if (!reason.empty()) status.set("reason", reason);
  status.set("code", httpCode(error.reason));
  json::Object metadata(arena);
  metadata.setNonEmpty("continue", error.continueToken);
  status.set("metadata", metadata.build());
  json::Object details(arena);
  details.setNonEmpty("name", error.name)
      .setNonEmpty("group", error.group)
      .setNonEmpty("kind", error.kind)
      .setNonEmpty("uid", error.uid);
  if (!error.causes.empty()) {
    std::vector<json::Value> causes;
    for (const Cause& cause : error.causes) {
      json::Object one(arena);
      one.setNonEmpty("reason", cause.type).setNonEmpty("message", cause.message).setNonEmpty("field", cause.field);
      causes.push_back(one.build());
    }
    details.set("causes", json::array(arena, causes));
  }
  if (error.retryAfterSeconds > 0) details.set("retryAfterSeconds", error.retryAfterSeconds);
  if (!details.empty()) status.set("details", details.build());
  return status.build();
}

json::Value successStatus(json::Arena& arena, const Target& target, std::string_view uid) {
  json::Object details(arena);
  details.setNonEmpty("name", target.name)
      .setNonEmpty("group", target.kind->group)
      .set("kind", target.kind->resource)
      .setNonEmpty("uid", uid);
  return json::Object(arena)
      .set("apiVersion", "v1")
      .set("kind", "Status")
      .set("metadata", json::object(arena, std::span<const json::Member>()))
      .set("status", "Success")
      .set("details", details.build())
      .build();
}

Error notFound(const kube::KindInfo& kind, std::string_view name) {
  Error error(Reason::NotFound, fmt::format("{} \"{}\" not found", kind.groupResource(), name));
  error.group = kind.group;
  error.kind = kind.resource;
  error.name = name;
  return error;
}

Error invalid(const kube::KindInfo& kind, std::string_view name, std::vector<Cause> causes) {
  std::string text;
  for (const Cause& cause : causes) {
    if (!text.empty()) text += ", ";
    text += cause.field.empty() ? cause.message : fmt::format("{}: {}", cause.field, cause.message);
  }
  if (causes.size() > 1) text = "[" + text + "]";
  std::string qualified = kind.group.empty() ? kind.kind : fmt::format("{}.{}", kind.kind, kind.group);
  Error error(Reason::Invalid, fmt::format("{} \"{}\" is invalid: {}", qualified, name, text));
  error.group = kind.group;
  error.kind = kind.kind;
  error.name = name;
  error.causes = std::move(causes);
  return error;
}

Error forbidden(const User& user, const Attributes& a) {
  if (!a.path.empty())
    return Error(Reason::Forbidden,
                 fmt::format("forbidden: User \"{}\" cannot {} path \"{}\"", user.name, a.verb, a.path));
  std::string qualified(a.resource);
  if (!a.group.empty()) qualified += fmt::format(".{}", a.group);
  std::string resource(a.resource);
  if (!a.subresource.empty()) resource += fmt::format("/{}", a.subresource);
  std::string text = qualified;
  if (!a.name.empty()) text += fmt::format(" \"{}\"", a.name);
  text += fmt::format(" is forbidden: User \"{}\" cannot {} resource \"{}\" in API group \"{}\"", user.name, a.verb,
                      resource, a.group);
  text += a.namespace_.empty() ? std::string(" at the cluster scope")
                               : fmt::format(" in the namespace \"{}\"", a.namespace_);
  Error error(Reason::Forbidden, text);
  error.group = a.group;
  error.kind = a.resource;
  error.name = a.name;
  return error;
}

}  // namespace stoker::apiserver
