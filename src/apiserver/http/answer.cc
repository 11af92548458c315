// Answers: objects, lists, tables, errors.

#include <fmt/format.h>

#include "apiserver/http/call.h"
#include "base/strings.h"
#include "json/yaml.h"
#include "kube/table.h"

namespace stoker::apiserver {
namespace {
// A Warning header may not be longer than this (upstream truncates at 256 bytes each, 4 KiB in all).
constexpr size_t kMaxWarning = 256;
constexpr size_t kMaxWarnings = 16;
}  // namespace

bool queryFlag(const net::Url& url, std::string_view name) {
  auto value = url.param(name);
  return value && toLower(*value) != "false" && *value != "0";
}

net::Headers ApiHandler::Call::headers(std::string_view contentType) const {
  net::Headers out{{"Content-Type", std::string(contentType)}, {"Cache-Control", "no-cache, private"}};
  size_t count = 0;
  for (const std::string& warning : warnings) {
    if (++count > kMaxWarnings) break;
    std::string text;
    for (char c : warning.substr(0, kMaxWarning)) {
      if (c == '"' || c == '\\') text += '\\';
      if (static_cast<unsigned char>(c) >= 0x20) text += c;
    }
    out.emplace_back("Warning", fmt::format("299 - \"{}\"", text));
  }
  return out;
}

void ApiHandler::Call::answer(int status, std::shared_ptr<const std::string> bytes) {
  if (accepted.yaml || flag("pretty")) {
    json::Arena arena;
    if (auto parsed = json::parse(arena, *bytes); parsed.ok())
      bytes =
          std::make_shared<const std::string>(accepted.yaml ? json::printYaml(*parsed) : json::pretty(*parsed) + "\n");
  }
  exchange->respond({.status = status,
                     .headers = headers(accepted.yaml ? "application/yaml" : "application/json"),
                     .body = std::move(bytes)});
}

void ApiHandler::Call::answer(int status, json::Value value) {
  answer(status, std::make_shared<const std::string>(json::print(value) + "\n"));
}

void ApiHandler::Call::fail(const Error& error) {
  json::Arena arena;
  net::Headers extra;
  std::string body = json::print(statusOf(arena, error)) + "\n";
  net::Response response{.status = httpCode(error.reason),
                         .headers = headers("application/json"),
                         .body = std::make_shared<const std::string>(std::move(body))};
  if (error.retryAfterSeconds > 0)
    response.headers.emplace_back("Retry-After", std::to_string(error.retryAfterSeconds));
  if (error.reason == Reason::Unauthorized) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  exchange->respond(std::move(response));
}

void ApiHandler::Call::answerObject(int status, const std::shared_ptr<const std::string>& bytes) {
  if (accepted.form == Accepted::Form::Object) return answer(status, bytes);
  json::Arena arena;
  auto object = json::parse(arena, *bytes);
  if (!object.ok()) return fail(object.error());
  // An answer that is no object of the kind (a Status) goes out as it is.
  if ((*object)["kind"].asString() != target.kind->kind) return answer(status, bytes);
  if (accepted.form == Accepted::Form::PartialMetadata)
    return answer(status, partialMetadata(arena, *object, accepted.metaVersion));
  json::Value meta = json::Object(arena).set("resourceVersion", object->at({"metadata", "resourceVersion"})).build();
  answer(status, makeTable(arena, *target.kind, {*object}, accepted.metaVersion, param("includeObject"), meta, true,
                           handler->registry_.clock().now()));
}

json::Value partialMetadata(json::Arena& arena, json::Value object, std::string_view metaVersion) {
  return json::Object(arena)
      .set("apiVersion", fmt::format("meta.k8s.io/{}", metaVersion))
      .set("kind", "PartialObjectMetadata")
      .set("metadata", object["metadata"])
      .build();
}

json::Value makeTable(json::Arena& arena, const kube::KindInfo& kind, const std::vector<json::Value>& objects,
                      std::string_view metaVersion, std::string_view includeObject, json::Value listMetadata,
                      bool columns, Time now) {
  std::vector<json::Value> rows;
  rows.reserve(objects.size());
  for (json::Value object : objects) {
    json::Object row(arena);
    row.set("cells", kube::tableCells(arena, kind, object, now));
    if (includeObject == "Object")
      row.set("object", object);
    else if (includeObject != "None")
      row.set("object", partialMetadata(arena, object, metaVersion));
    rows.push_back(row.build());
  }
  return json::Object(arena)
      .set("apiVersion", fmt::format("meta.k8s.io/{}", metaVersion))
      .set("kind", "Table")
      .set("metadata", listMetadata)
      .set("columnDefinitions",
           columns ? kube::tableColumns(arena, kind) : json::array(arena, std::span<const json::Value>()))
      .set("rows", json::array(arena, rows))
      .build();
}

void ApiHandler::serveGet(const std::shared_ptr<Call>& call) {
  const Target& target = call->target;
  if (target.subresource == "scale" && target.kind->scale) {
    json::Arena arena;
    auto scale = registry_.getScale(call->caller, target, arena);
    return scale.ok() ? call->answer(200, *scale) : call->fail(scale.error());
  }
  auto connect = connects_.find({target.kind->groupResource(), target.subresource});
  bool known = target.subresource.empty() || (target.subresource == "status" && target.kind->hasStatus) ||
               connect != connects_.end();
  if (!known) return call->fail(Error(Reason::NotFound, "the server could not find the requested resource"));
  auto version = registry_.get(call->caller, target);
  if (!version.ok()) return call->fail(version.error());
  if (connect != connects_.end()) {
    auto parent = json::parseDoc((*version)->bytes);
    if (!parent.ok()) return call->fail(parent.error());
    return connect->second(call->exchange, call->caller, target, std::make_shared<json::Doc>(std::move(*parent)));
  }
  call->answerObject(200, registry_.bytesFor(*target.kind, *version));
}

void ApiHandler::serveList(const std::shared_ptr<Call>& call) {
  const kube::KindInfo& kind = *call->target.kind;
  ListRequest request{.labelSelector = call->param("labelSelector"),
                      .fieldSelector = call->param("fieldSelector"),
                      .resourceVersion = call->param("resourceVersion"),
                      .resourceVersionMatch = call->param("resourceVersionMatch"),
                      .continueToken = call->param("continue")};
  if (std::string limit = call->param("limit"); !limit.empty()) {
    auto [end, ec] = std::from_chars(limit.data(), limit.data() + limit.size(), request.limit);
    if (ec != std::errc() || *end != '\0' || request.limit < 0)
      return call->fail(
          Error(Reason::BadRequest, fmt::format("invalid limit \"{}\": it must be a whole number, 0 or more", limit)));
  }
  if (call->request().url.param("sendInitialEvents"))
    return call->fail(Error(Reason::Invalid,
                            "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: sendInitialEvents "
                            "is forbidden for list"));
  auto listed = registry_.list(call->caller, call->target, request);
  if (!listed.ok()) return call->fail(listed.error());

  json::Arena arena;
  json::Object metadata(arena);
  metadata.set("resourceVersion", std::to_string(listed->revision)).setNonEmpty("continue", listed->continueToken);
  if (listed->remaining) metadata.set("remainingItemCount", *listed->remaining);
  json::Value meta = metadata.build();
  if (call->accepted.form == Accepted::Form::Object) {
    // The stored bytes go out as they are, spliced between constant text: nothing is parsed or copied.
    static const auto comma = std::make_shared<const std::string>(",");
    net::Response response{.headers = call->headers("application/json")};
    response.body =
        std::make_shared<const std::string>(fmt::format("{{\"apiVersion\":\"{}\",\"items\":[", kind.apiVersion()));
    response.pieces.reserve(listed->items.size() * 2 + 1);
    for (const store::VersionPtr& version : listed->items) {
      if (&version != &listed->items.front()) response.pieces.push_back(comma);
      response.pieces.push_back(registry_.bytesFor(kind, version));
    }
    response.pieces.push_back(std::make_shared<const std::string>(
        fmt::format("],\"kind\":\"{}\",\"metadata\":{}}}\n", kind.listKind, json::print(meta))));
    if (!call->accepted.yaml && !call->flag("pretty")) return call->exchange->respond(std::move(response));
    std::string whole = *response.body;
    for (const auto& piece : response.pieces) whole += *piece;
    return call->answer(200, std::make_shared<const std::string>(std::move(whole)));
  }
  std::vector<json::Value> objects;
  objects.reserve(listed->items.size());
  for (const store::VersionPtr& version : listed->items) {
    auto object = json::parse(arena, *registry_.bytesFor(kind, version));
    if (object.ok()) objects.push_back(*object);
  }
  if (call->accepted.form == Accepted::Form::Table)
    return call->answer(200, makeTable(arena, kind, objects, call->accepted.metaVersion, call->param("includeObject"),
                                       meta, true, registry_.clock().now()));
  for (json::Value& object : objects) object = partialMetadata(arena, object, call->accepted.metaVersion);
  call->answer(200, json::Object(arena)
                        .set("apiVersion", fmt::format("meta.k8s.io/{}", call->accepted.metaVersion))
                        .set("kind", "PartialObjectMetadataList")
                        .set("metadata", meta)
                        .set("items", json::array(arena, objects))
                        .build());
}

}  // namespace stoker::apiserver
