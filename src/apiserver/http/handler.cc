#include "apiserver/http/handler.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include "apiserver/http/call.h"
#include "apiserver/http/discovery.h"
#include "base/log.h"
#include "base/strings.h"
#include "json/yaml.h"
#include "kube/openapi.h"

namespace stoker::apiserver {
namespace {

using Verb = client::Write::Verb;

Error noSuchPath() {
  Error error(Reason::NotFound, "the server could not find the requested resource");
  return error;
}

/// The protobuf message of a kind that is read from a body: "v1" Binding -> k8s.io.api.core.v1.Binding.
const kube::Schema* messageFor(std::string_view apiVersion, std::string_view kind) {
  auto schemas = kube::builtinSchemas();
  size_t slash = apiVersion.find('/');
  std::string group(slash == std::string_view::npos ? std::string_view() : apiVersion.substr(0, slash));
  std::string version(slash == std::string_view::npos ? apiVersion : apiVersion.substr(slash + 1));
  if (group == "apiextensions.k8s.io")
    return schemas->message(fmt::format("k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.{}.{}", version, kind));
  std::string package = group.empty() ? "core" : std::string(split(group, '.')[0]);
  const kube::Schema* found = schemas->message(fmt::format("k8s.io.api.{}.{}.{}", package, version, kind));
  return found ? found : schemas->message(fmt::format("k8s.io.apimachinery.pkg.apis.meta.v1.{}", kind));
}

}  // namespace

ApiHandler::ApiHandler(Registry& registry, const Authenticator& authenticator, const Authorizer& authorizer, Ids& ids,
                       HandlerOptions options)
    : registry_(registry),
      authenticator_(authenticator),
      authorizer_(authorizer),
      ids_(ids),
      options_(std::move(options)) {}

ApiHandler::~ApiHandler() = default;

bool ApiHandler::enter(const std::string& user, bool watch) {
  std::lock_guard lock(countsMutex_);
  Counts& counts = counts_[user];
  int& count = watch ? counts.watches : counts.requests;
  if (count >= (watch ? options_.maxWatchesPerUser : options_.maxInFlightPerUser)) return false;
  ++count;
  return true;
}

void ApiHandler::leave(const std::string& user, bool watch) {
  std::lock_guard lock(countsMutex_);
  auto it = counts_.find(user);
  if (it == counts_.end()) return;
  --(watch ? it->second.watches : it->second.requests);
  if (it->second.watches == 0 && it->second.requests == 0) counts_.erase(it);
}

std::vector<std::string> ApiHandler::subresourcesOf(const kube::KindInfo& kind) const {
  std::vector<std::string> out = registry_.subresourcesOf(kind);
  for (const auto& [key, handler] : connects_)
    if (key.first == kind.groupResource()) out.push_back(key.second);
  std::sort(out.begin(), out.end());
  return out;
}

void ApiHandler::handle(std::shared_ptr<net::Exchange> exchange) {
  auto call = std::make_shared<Call>();
  call->handler = this;
  call->exchange = std::move(exchange);
  call->caller.warnings = &call->warnings;
  call->route = parseRoute(call->request().url.path);
  auto user = authenticator_.authenticate(call->request());
  if (!user.ok()) return call->fail(user.error());
  call->caller.user = std::move(*user);
  if (!enter(call->caller.user.name, false)) {
    Error error(Reason::TooManyRequests, "too many requests, please try again later");
    error.retryAfterSeconds = 1;
    return call->fail(error);
  }
  call->counted = call->caller.user.name;
  dispatch(call);
}

void ApiHandler::dispatch(const std::shared_ptr<Call>& call) {
  using What = Route::What;
  if (call->route.what == What::Resource) return serveResource(call);
  // Everything else is a non-resource path: allowed by nonResourceURLs.
  std::string verb = toLower(call->request().method);
  const std::string& path = call->request().url.path;
  Attributes attributes{.verb = verb, .path = path};
  if (!authorizer_.allowed(call->caller.user, attributes)) return call->fail(forbidden(call->caller.user, attributes));
  if (call->request().method != "GET" && call->request().method != "HEAD")
    return call->fail(
        Error(Reason::MethodNotAllowed, fmt::format("{} does not support {}", path, call->request().method)));
  switch (call->route.what) {
    case What::Health:
      return serveHealth(call);
    case What::Version:
      return serveVersion(call);
    case What::OpenApiV2:
      return serveOpenApi(call);
    case What::Metrics: {
      std::string text = metrics_ ? metrics_() : std::string();
      return call->exchange->respond({.headers = {{"Content-Type", "text/plain; version=0.0.4"}},
                                      .body = std::make_shared<const std::string>(std::move(text))});
    }
    case What::NotFound:
      return call->fail(noSuchPath());
    default:
      return serveDiscovery(call);
  }
}

void ApiHandler::serveHealth(const std::shared_ptr<Call>& call) {
  bool ready = ready_ || !call->request().url.path.starts_with("/readyz");
  std::string text = ready ? "ok" : "not ready: the platform is still starting";
  if (call->request().url.param("verbose"))
    text = fmt::format("[+]ping ok\n[{}]startup {}\n{} check {}\n", ready ? "+" : "-", ready ? "ok" : "not finished",
                       std::string_view(call->request().url.path).substr(1), ready ? "passed" : "failed");
  call->exchange->respond({.status = ready ? 200 : 500,
                           .headers = {{"Content-Type", "text/plain; charset=utf-8"}},
                           .body = std::make_shared<const std::string>(std::move(text))});
}

void ApiHandler::serveVersion(const std::shared_ptr<Call>& call) {
  json::Arena arena;
  // major and minor are pure digits of gitVersion ("v1.35.4").
  auto parts = split(std::string_view(options_.gitVersion).substr(1), '.');
  utsname system{};
  ::uname(&system);
  bool arm = std::string_view(system.machine) == "aarch64";
  call->answer(200, json::Object(arena)
                        .set("major", parts[0])
                        .set("minor", parts.size() > 1 ? parts[1] : "0")
                        .set("gitVersion", options_.gitVersion)
                        .set("gitCommit", "stoker-" + options_.stokerVersion)
                        .set("gitTreeState", "clean")
                        .set("buildDate", "1970-01-01T00:00:00Z")
                        .set("goVersion", "none")
                        .set("compiler", "gcc")
                        .set("platform", arm ? "linux/arm64" : "linux/amd64")
                        .build());
}

void ApiHandler::serveDiscovery(const std::shared_ptr<Call>& call) {
  // Legacy documents only: a client that asks for the aggregated form first accepts plain JSON as well.
  auto accepted = negotiate(net::header(call->request().headers, "Accept"), false);
  if (!accepted.ok()) {
    // "application/json;as=APIGroupDiscoveryList" alone: answered in the legacy form, as upstream's older versions do.
    if (!accepts(net::header(call->request().headers, "Accept"), "application/json"))
      return call->fail(accepted.error());
    accepted = Accepted{};
  }
  call->accepted = *accepted;
  json::Arena arena;
  auto table = registry_.kinds();
  DiscoveryInput input{*table, reviews_, [this](const kube::KindInfo& kind) { return subresourcesOf(kind); },
                       server_ ? server_->address() : std::string()};
  const Route& route = call->route;
  std::optional<json::Value> document;
  switch (route.what) {
    case Route::What::CoreVersions:
      document = coreVersions(arena, input);
      break;
    case Route::What::Groups:
      document = groupList(arena, input);
      break;
    case Route::What::Group:
      document = group(arena, input, route.group);
      break;
    default:
      document = resourceList(arena, input, route.group, route.version);
  }
  if (!document) return call->fail(noSuchPath());
  call->answer(200, *document);
}

void ApiHandler::serveOpenApi(const std::shared_ptr<Call>& call) {
  std::string_view accept = net::header(call->request().headers, "Accept");
  bool protobuf = accepts(accept, "application/com.github.proto-openapi.spec.v2@v1.0+protobuf");
  std::shared_ptr<const std::string> body;
  std::string tag;
  {
    std::lock_guard lock(openApiMutex_);
    uint64_t generation = registry_.kindsGeneration();
    if (generation != openApiGeneration_) {
      openApiJson_ = openApiProtobuf_ = nullptr;
      openApiGeneration_ = generation;
      openApiTag_ = fmt::format("\"{:x}\"", generation);
    }
    auto& slot = protobuf ? openApiProtobuf_ : openApiJson_;
    if (!slot) {
      auto table = registry_.kinds();
      slot = std::make_shared<const std::string>(protobuf ? kube::openapiV2Protobuf(table->all())
                                                          : kube::openapiV2Json(table->all()));
    }
    body = slot;
    tag = openApiTag_;
  }
  net::Headers headers{
      {"ETag", tag},
      {"Vary", "Accept"},
      {"Cache-Control", "no-cache, private"},
      {"Content-Type", protobuf ? "application/com.github.proto-openapi.spec.v2.v1.0+protobuf" : "application/json"}};
  if (net::header(call->request().headers, "If-None-Match") == tag)
    return call->exchange->respond({.status = 304, .headers = std::move(headers)});
  call->exchange->respond({.headers = std::move(headers), .body = std::move(body)});
}

// ---- resources
// -------------------------------------------------------------------------------------------------------

void ApiHandler::serveResource(const std::shared_ptr<Call>& call) {
  const Route& route = call->route;
  auto accepted = negotiate(net::header(call->request().headers, "Accept"), true);
  if (!accepted.ok()) return call->fail(accepted.error());
  call->accepted = *accepted;
  for (const Review& review : reviews_)
    if (review.group == route.group && review.version == route.version && review.resource == route.resource &&
        route.name.empty() && review.namespaced == !route.namespace_.empty())
      return serveReview(call, review);
  auto kind = registry_.kinds()->find(route.group, route.version, route.resource);
  bool fits = kind && (kind->namespaced ? !route.namespace_.empty() || route.name.empty() : route.namespace_.empty());
  if (!fits) return call->fail(noSuchPath());
  call->target = {kind, route.namespace_, route.name, route.subresource};

  if (auto dryRun = call->request().url.param("dryRun"); dryRun && !dryRun->empty()) {
    if (*dryRun != "All")
      return call->fail(Error(
          Reason::Invalid,
          fmt::format(" \"\" is invalid: dryRun: Unsupported value: {}: supported values: \"All\"", quote(*dryRun))));
    call->caller.dryRun = true;
  }
  std::string validation = call->param("fieldValidation");
  if (validation.empty() || validation == "Warn")
    call->caller.fieldValidation = FieldValidation::Warn;
  else if (validation == "Strict")
    call->caller.fieldValidation = FieldValidation::Strict;
  else if (validation == "Ignore")
    call->caller.fieldValidation = FieldValidation::Ignore;
  else
    return call->fail(Error(Reason::Invalid,
                            fmt::format(" \"\" is invalid: fieldValidation: Unsupported value: {}: supported values: "
                                        "\"Ignore\", \"Strict\", \"Warn\"",
                                        quote(validation))));

  const std::string& method = call->request().method;
  bool collection = route.name.empty();
  auto allowed = [&](std::string_view verb) {
    return std::find(kind->verbs.begin(), kind->verbs.end(), verb) != kind->verbs.end();
  };
  auto refuse = [&] {
    call->fail(Error(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource"));
  };
  if (method == "GET" || method == "HEAD") {
    bool watch = route.watch || call->flag("watch");
    if (watch && route.subresource.empty()) return allowed("watch") ? serveWatch(call) : refuse();
    if (collection) return allowed("list") ? serveList(call) : refuse();
    return allowed("get") || !route.subresource.empty() ? serveGet(call) : refuse();
  }
  if (method == "POST") {
    if (collection ? !allowed("create") : route.subresource.empty()) return refuse();
    if (kind->namespaced && route.namespace_.empty()) return refuse();
    return serveWrite(call, Verb::Create);
  }
  if (method == "PUT") return collection || !allowed("update") ? refuse() : serveWrite(call, Verb::Update);
  if (method == "PATCH") return collection || !allowed("patch") ? refuse() : serveWrite(call, Verb::Patch);
  if (method == "DELETE") {
    if (collection) return allowed("deletecollection") ? serveDeleteCollection(call) : refuse();
    return !allowed("delete") || !route.subresource.empty() ? refuse() : serveWrite(call, Verb::Delete);
  }
  refuse();
}

Result<json::Value> ApiHandler::readBody(const std::shared_ptr<Call>& call, json::Arena& arena, BodyType type,
                                         std::vector<std::string>* duplicates) {
  const std::string& body = call->request().body;
  if (type == BodyType::Protobuf) {
    STOKER_TRY(kube::ProtobufEnvelope envelope, kube::openProtobufEnvelope(body));
    // DeleteOptions come in the group of the kind they are about.
    const kube::Schema* message = messageFor(envelope.apiVersion, envelope.kind);
    if (!message)
      return Error(Reason::UnsupportedMediaType,
                   fmt::format("cannot read a protobuf body of kind {} in version {}; send JSON", envelope.kind,
                               envelope.apiVersion));
    STOKER_TRY(json::Value value, kube::decodeProtobuf(arena, *message, envelope.raw));
    value = json::with(arena, value, "apiVersion", json::string(arena, envelope.apiVersion));
    return json::with(arena, value, "kind", json::string(arena, envelope.kind));
  }
  if (type == BodyType::Yaml) {
    STOKER_TRY(std::vector<json::Value> documents, json::parseYaml(arena, body));
    if (documents.size() != 1)
      return Error(Reason::BadRequest, fmt::format("the body must hold one YAML document, got {}", documents.size()));
    return documents[0];
  }
  return json::parse(arena, body, {.duplicates = duplicates});
}

Result<WriteRequest> ApiHandler::readWrite(const std::shared_ptr<Call>& call, Verb verb) {
  WriteRequest request{.verb = verb, .target = call->target, .arena = std::make_shared<json::Arena>()};
  STOKER_TRY(BodyType type, bodyType(net::header(call->request().headers, "Content-Type"), verb == Verb::Patch));
  switch (type) {
    case BodyType::JsonPatch:
      request.patchType = client::PatchType::Json;
      break;
    case BodyType::MergePatch:
      request.patchType = client::PatchType::Merge;
      break;
    case BodyType::StrategicPatch:
      request.patchType = client::PatchType::Strategic;
      break;
    case BodyType::ApplyPatch:
      return Error(Reason::UnsupportedMediaType,
                   "server-side apply is not served yet: use kubectl apply without --server-side - accepted media "
                   "types include: "
                   "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json");
    default:
      break;
  }
  if (verb != Verb::Delete) {
    STOKER_TRY(request.body, readBody(call, *request.arena, type, &request.duplicates));
    return request;
  }
  // DeleteOptions: in the body or in the query.
  json::Value options;
  if (!call->request().body.empty()) {
    STOKER_TRY(options, readBody(call, *request.arena, type, nullptr));
    if (!options.isObject()) return Error(Reason::BadRequest, "the body of a DELETE must be DeleteOptions");
  }
  request.gracePeriodSeconds = options["gracePeriodSeconds"].integer();
  request.propagation = options["propagationPolicy"].str();
  request.uid = options.at({"preconditions", "uid"}).str();
  request.resourceVersion = options.at({"preconditions", "resourceVersion"}).str();
  if (!options["dryRun"].empty()) call->caller.dryRun = true;
  if (std::string text = call->param("gracePeriodSeconds"); !text.empty()) {
    int64_t seconds = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (ec != std::errc() || *end != '\0')
      return Error(Reason::BadRequest, fmt::format("invalid gracePeriodSeconds {}", quote(text)));
    request.gracePeriodSeconds = seconds;
  }
  if (std::string text = call->param("propagationPolicy"); !text.empty()) request.propagation = text;
  auto orphan = options.has("orphanDependents") ? std::optional(options["orphanDependents"].asBool()) : std::nullopt;
  if (call->request().url.param("orphanDependents")) orphan = call->flag("orphanDependents");
  if (orphan && request.propagation.empty()) request.propagation = *orphan ? "Orphan" : "Background";
  return request;
}

void ApiHandler::serveWrite(const std::shared_ptr<Call>& call, Verb verb) {
  auto request = readWrite(call, verb);
  if (!request.ok()) return call->fail(request.error());
  if (verb == Verb::Create && registry_.isCall(request->target)) {
    auto answer = registry_.call(call->caller, *request);
    return answer.ok() ? call->answer(201, *answer) : call->fail(answer.error());
  }
  bool deletion = verb == Verb::Delete;
  std::vector<WriteRequest> requests;
  requests.push_back(std::move(*request));
  registry_.write(call->caller, std::move(requests), client::Mode::Each,
                  [call, deletion](std::vector<Result<Written>> results) {
                    Result<Written>& result = results[0];
                    if (!result.ok()) return call->fail(result.error());
                    call->answerObject(result->created && !deletion ? 201 : 200, result->bytes);
                  });
}

void ApiHandler::serveDeleteCollection(const std::shared_ptr<Call>& call) {
  auto request = readWrite(call, Verb::Delete);
  if (!request.ok()) return call->fail(request.error());
  ListRequest selection{.labelSelector = call->param("labelSelector"), .fieldSelector = call->param("fieldSelector")};
  registry_.deleteCollection(call->caller, call->target, selection, *request,
                             [call](Result<std::vector<store::VersionPtr>> deleted) {
                               if (!deleted.ok()) return call->fail(deleted.error());
                               const kube::KindInfo& kind = *call->target.kind;
                               std::string body = fmt::format("{{\"apiVersion\":\"{}\",\"items\":[", kind.apiVersion());
                               for (const store::VersionPtr& version : *deleted) {
                                 if (&version != &deleted->front()) body += ',';
                                 body += version->bytes;
                               }
                               body += fmt::format("],\"kind\":\"{}\",\"metadata\":{{\"resourceVersion\":\"{}\"}}}}\n",
                                                   kind.listKind, call->handler->registry_.store().revision());
                               call->answer(200, std::make_shared<const std::string>(std::move(body)));
                             });
}

void ApiHandler::serveReview(const std::shared_ptr<Call>& call, const Review& review) {
  if (call->request().method != "POST")
    return call->fail(
        Error(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource"));
  Attributes attributes{
      .verb = "create", .group = review.group, .resource = review.resource, .namespace_ = call->route.namespace_};
  if (!authorizer_.allowed(call->caller.user, attributes)) return call->fail(forbidden(call->caller.user, attributes));
  auto type = bodyType(net::header(call->request().headers, "Content-Type"), false);
  if (!type.ok()) return call->fail(type.error());
  json::Arena arena;
  auto body = readBody(call, arena, *type, nullptr);
  if (!body.ok()) return call->fail(body.error());
  auto answer = review.answer(arena, call->caller.user, call->route.namespace_, *body);
  if (!answer.ok()) return call->fail(answer.error());
  call->answer(201, *answer);
}

}  // namespace stoker::apiserver
