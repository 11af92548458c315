// Writing: prepare against the head, commit with a guard, prepare again when somebody was faster.

#include <fmt/format.h>

#include "apiserver/registry/encode.h"
#include "apiserver/registry/metadata.h"
#include "apiserver/registry/registry.h"
#include "base/strings.h"
#include "kube/patch.h"

namespace stoker::apiserver {
namespace {

using Verb = client::Write::Verb;

// A write that keeps losing against others is a hot object; after this many tries the client is told.
constexpr int kMaxTries = 16;
// generateName is tried with new suffixes this often (upstream since 1.32).
constexpr int kMaxGenerated = 8;

std::string_view verbName(const WriteRequest& request) {
  switch (request.verb) {
    case Verb::Create:
      return "create";
    case Verb::Update:
      return "update";
    case Verb::Patch:
      return "patch";
    case Verb::Delete:
      return "delete";
  }
  return "";
}

Error conflict(const kube::KindInfo& kind, std::string_view name, std::string_view why) {
  Error error(Reason::Conflict,
              fmt::format("Operation cannot be fulfilled on {} \"{}\": {}", kind.groupResource(), name, why));
  error.group = kind.group;
  error.kind = kind.resource;
  error.name = name;
  return error;
}

Error modified(const kube::KindInfo& kind, std::string_view name) {
  return conflict(kind, name,
                  "the object has been modified; please apply your changes to the latest version and try again");
}

Error alreadyExists(const kube::KindInfo& kind, std::string_view name) {
  Error error(Reason::AlreadyExists, fmt::format("{} \"{}\" already exists", kind.groupResource(), name));
  error.group = kind.group;
  error.kind = kind.resource;
  error.name = name;
  return error;
}

/// Everything but metadata and status: what generation counts.
bool specDiffers(json::Value a, json::Value b) {
  auto relevant = [](const json::Member& m) { return m.key != "metadata" && m.key != "status"; };
  auto x = a.members(), y = b.members();
  size_t j = 0;
  for (const json::Member& m : x) {
    if (!relevant(m)) continue;
    while (j < y.size() && !relevant(y[j])) ++j;
    if (j == y.size() || y[j].key != m.key || !(y[j].value == m.value)) return true;
    ++j;
  }
  while (j < y.size() && !relevant(y[j])) ++j;
  return j != y.size();
}

std::string spliced(const Encoded& encoded, store::Revision revision) {
  std::string bytes = encoded.bytes;
  bytes.insert(encoded.revisionAt, std::to_string(revision));
  return bytes;
}

json::Value scaleFrom(json::Arena& arena, const kube::KindInfo& kind, json::Value object) {
  auto at = [&](const std::string& path) {
    json::Value v = object;
    for (std::string_view step : split(std::string_view(path).substr(1), '.')) v = v[step];
    return v;
  };
  json::Value metadata = object["metadata"];
  json::Object meta(arena);
  for (std::string_view field : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
    if (const json::Value* value = metadata.find(field)) meta.set(field, *value);
  json::Object spec(arena), status(arena);
  spec.set("replicas", at(kind.scale->specReplicas).asInt());
  status.set("replicas", kind.scale->statusReplicas.empty() ? int64_t{0} : at(kind.scale->statusReplicas).asInt());
  if (!kind.scale->labelSelector.empty()) status.setNonEmpty("selector", at(kind.scale->labelSelector).asString());
  return json::Object(arena)
      .set("apiVersion", "autoscaling/v1")
      .set("kind", "Scale")
      .set("metadata", meta.build())
      .set("spec", spec.build())
      .set("status", status.build())
      .build();
}

}  // namespace

struct Registry::Prepared {
  Target target;
  std::string key;
  std::optional<store::Op> op;               // nothing to do without one
  store::VersionPtr current;                 // what a no-op answers
  std::shared_ptr<const std::string> fixed;  // an answer already known (dry run, Status)
  bool created = false;
  bool accepted = false;
  bool scale = false;
};

struct Registry::Batch {
  Caller caller;
  std::vector<WriteRequest> requests;
  std::vector<std::optional<Result<Written>>> results;
  size_t next = 0;
  int tries = 0;
  WriteDone done;

  void finish() {
    std::vector<Result<Written>> out;
    out.reserve(results.size());
    for (auto& result : results)
      out.push_back(result ? std::move(*result) : Result<Written>(Error(Reason::Unknown, client::kAborted)));
    done(std::move(out));
  }
};

// ---- reading the body
// --------------------------------------------------------------------------------------------------

Result<json::Value> Registry::readBody(const Caller& caller, WriteRequest& request, json::Value body) const {
  const kube::KindInfo& kind = *request.target.kind;
  if (!body.isObject())
    return Error(Reason::BadRequest, fmt::format("the body must be a JSON object of kind {}, got {}", kind.kind,
                                                 json::typeName(body.type())));
  std::string_view apiVersion = body["apiVersion"].asString(), kindName = body["kind"].asString();
  if (apiVersion.empty() && kindName.empty()) {
    body = json::with(*request.arena, body, "apiVersion", json::string(*request.arena, kind.apiVersion()));
    body = json::with(*request.arena, body, "kind", json::string(*request.arena, kind.kind));
  } else if (kindName != kind.kind) {
    return Error(
        Reason::BadRequest,
        fmt::format("{} in version {} cannot be handled as a {}: the request path serves kind {}",
                    kindName.empty() ? "an object without kind" : kindName, quote(apiVersion), kind.kind, kind.kind));
  } else if (apiVersion != kind.apiVersion()) {
    return Error(Reason::BadRequest,
                 fmt::format("the API version in the data ({}) does not match the expected API version ({})",
                             apiVersion, kind.apiVersion()));
  }
  STOKER_TRY(kube::Coerced coerced, kube::coerce(*request.arena, *kind.schema, body));
  std::vector<std::string> problems;
  for (const std::string& path : coerced.unknown) problems.push_back(fmt::format("unknown field {}", quote(path)));
  for (const std::string& path : request.duplicates) problems.push_back(fmt::format("duplicate field {}", quote(path)));
  if (!problems.empty() && caller.fieldValidation == FieldValidation::Strict)
    return Error(Reason::BadRequest, "strict decoding error: " + join(problems, ", "));
  if (caller.fieldValidation == FieldValidation::Warn && caller.warnings)
    caller.warnings->insert(caller.warnings->end(), problems.begin(), problems.end());
  return coerced.value;
}

Result<json::Value> Registry::patched(const Caller&, WriteRequest& request, json::Value current) const {
  json::Arena& arena = *request.arena;
  const kube::KindInfo& kind = *request.target.kind;
  switch (request.patchType) {
    case client::PatchType::Json:
      return kube::jsonPatch(arena, current, request.body);
    case client::PatchType::Merge:
      if (!request.body.isObject()) return Error(Reason::BadRequest, "a merge patch must be a JSON object");
      return kube::mergePatch(arena, current, request.body);
    case client::PatchType::Strategic:
      if (kind.custom)
        return Error(Reason::UnsupportedMediaType,
                     "the body of the request was in an unknown format - accepted media types include: "
                     "application/json-patch+json, application/merge-patch+json");
      if (!request.body.isObject()) return Error(Reason::BadRequest, "a strategic merge patch must be a JSON object");
      return kube::strategicMerge(arena, *kind.schema, current, request.body);
  }
  return current;
}

Result<void> Registry::checkNamespace(const Target& target) const {
  if (!target.kind->namespaced) return {};
  store::VersionPtr ns = find("namespaces", "", target.namespace_);
  if (!ns) {
    Error error(Reason::NotFound, fmt::format("namespaces \"{}\" not found", target.namespace_));
    error.kind = "namespaces";
    error.name = target.namespace_;
    return error;
  }
  if (ns->bytes.find("\"deletionTimestamp\":") == std::string::npos) return {};
  auto doc = json::parseDoc(ns->bytes);
  if (!doc.ok() || !doc->root["metadata"].has("deletionTimestamp")) return {};
  Error error(
      Reason::Forbidden,
      fmt::format("{} \"{}\" is forbidden: unable to create new content in namespace {} because it is being terminated",
                  target.kind->groupResource(), target.name, target.namespace_));
  error.group = target.kind->group;
  error.kind = target.kind->resource;
  error.name = target.name;
  error.causes.push_back({"NamespaceTerminating", fmt::format("namespace {} is being terminated", target.namespace_),
                          "metadata.namespace"});
  return error;
}

Result<void> Registry::validated(const kube::KindInfo& kind, const Strategy& strategy, json::Value object,
                                 json::Value old) const {
  json::Value metadata = object["metadata"];
  std::string_view name = metadata["name"].asString();
  std::vector<Cause> causes;
  if (old.isNull()) {
    for (const std::string& problem : strategy.validateName(name))
      causes.push_back(
          {"FieldValueInvalid", fmt::format("Invalid value: {}: {}", quote(name), problem), "metadata.name"});
  }
  for (Cause& cause : validateMetadata(metadata, old["metadata"])) causes.push_back(std::move(cause));
  for (Cause& cause : kube::validate(*kind.schema, object)) causes.push_back(std::move(cause));
  for (Cause& cause : strategy.validate(object, old)) causes.push_back(std::move(cause));
  if (!causes.empty()) return invalid(kind, name, std::move(causes));
  return {};
}

// ---- create
// ------------------------------------------------------------------------------------------------------------

Result<Registry::Prepared> Registry::prepareCreate(const Caller& caller, WriteRequest& request) const {
  Target& target = request.target;
  const kube::KindInfo& kind = *target.kind;
  const Strategy& strategy = strategyOf(kind);
  json::Arena& arena = *request.arena;
  STOKER_TRY(json::Value object, readBody(caller, request, request.body));
  json::Value metadata = object["metadata"];
  std::string name = metadata["name"].str();
  std::string ns = metadata["namespace"].str();
  if (!target.name.empty() && !name.empty() && target.name != name)
    return Error(Reason::BadRequest,
                 fmt::format("the name of the object ({}) does not match the name on the URL ({})", name, target.name));
  if (kind.namespaced && !ns.empty() && ns != target.namespace_)
    return Error(Reason::BadRequest,
                 "the namespace of the provided object does not match the namespace sent on the request");
  if (!kind.namespaced && !ns.empty())
    return Error(Reason::BadRequest,
                 fmt::format("metadata.namespace must be empty: {} is not namespaced", kind.groupResource()));
  if (!metadata["resourceVersion"].asString().empty())
    return Error(Reason::BadRequest, "resourceVersion should not be set on objects to be created");
  bool generated = name.empty();
  if (generated) {
    std::string_view base = metadata["generateName"].asString();
    if (base.empty())
      return invalid(kind, "",
                     {{"FieldValueRequired", "Required value: name or generateName is required", "metadata.name"}});
    for (int i = 0; i < kMaxGenerated; ++i) {
      name = std::string(generateBase(base)) + ids_.suffix(5);
      if (!find(kind.groupResource(), target.namespace_, name)) break;
    }
  }
  Target placed{target.kind, target.namespace_, name, ""};
  STOKER_CHECK(checkNamespace(placed));
  if (find(kind.groupResource(), placed.namespace_, name)) return alreadyExists(kind, name);

  for (std::string_view dropped :
       {"managedFields", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"})
    metadata = json::without(arena, metadata, dropped);
  metadata = json::with(arena, metadata, "name", json::string(arena, name));
  if (kind.namespaced) metadata = json::with(arena, metadata, "namespace", json::string(arena, placed.namespace_));
  metadata = json::with(arena, metadata, "uid", json::string(arena, ids_.uid()));
  metadata = json::with(arena, metadata, "creationTimestamp", json::string(arena, formatTime(clock_.now())));
  if (kind.custom || strategy.tracksGeneration())
    metadata = json::with(arena, metadata, "generation", json::number(arena, int64_t{1}));
  object = json::with(arena, object, "metadata", metadata);
  if (kind.hasStatus && !strategy.statusOnCreate()) object = json::without(arena, object, "status");
  object = kube::applyDefaults(arena, *kind.schema, object);
  StrategyContext context{arena, *this, caller.user, clock_.now(), caller.dryRun, caller.warnings};
  STOKER_TRY(object, strategy.prepareCreate(context, object));
  STOKER_CHECK(validated(kind, strategy, object, {}));
  if (kind.custom) {
    auto table = kinds();
    if (auto storage = table->storageOf(kind); storage && storage->version != kind.version)
      object = json::with(arena, object, "apiVersion", json::string(arena, storage->apiVersion()));
  }
  Prepared prepared{.target = placed, .key = storeKey(kind.groupResource(), placed.namespace_, name), .created = true};
  Encoded encoded = encodeObject(object);
  if (caller.dryRun) {
    prepared.fixed = std::make_shared<const std::string>(
        json::print(json::withoutPath(arena, object, {"metadata", "resourceVersion"})));
    return prepared;
  }
  prepared.op = store::Op{.kind = store::Op::Kind::Put,
                          .key = prepared.key,
                          .expect = store::kAbsent,
                          .bytes = std::move(encoded.bytes),
                          .revisionAt = encoded.revisionAt,
                          .index = indexOf(object)};
  return prepared;
}

// ---- update and patch
// ----------------------------------------------------------------------------------------------------

Result<Registry::Prepared> Registry::prepareUpdate(const Caller& caller, WriteRequest& request) const {
  Target& target = request.target;
  const kube::KindInfo& kind = *target.kind;
  json::Arena& arena = *request.arena;
  std::string key = storeKey(kind.groupResource(), target.namespace_, target.name);
  store::VersionPtr current = store_.get(key, store::Read::Head);
  if (!current) return notFound(kind, target.name);
  STOKER_TRY(json::Value stored, json::parse(arena, current->bytes));
  json::Value old =
      kind.storage ? stored : json::with(arena, stored, "apiVersion", json::string(arena, kind.apiVersion()));
  std::string_view uid = old.at({"metadata", "uid"}).asString();
  if (!request.uid.empty() && request.uid != uid)
    return conflict(
        kind, target.name,
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", request.uid, uid));
  if (!request.resourceVersion.empty() && request.resourceVersion != std::to_string(current->revision))
    return modified(kind, target.name);

  auto special = subresources_.find({kind.groupResource(), target.subresource});
  if (!target.subresource.empty() && special != subresources_.end()) {
    StrategyContext context{arena, *this, caller.user, clock_.now(), caller.dryRun, caller.warnings};
    json::Value body = request.body;
    if (request.verb == Verb::Patch) {
      STOKER_TRY(body, patched(caller, request, old));
    }
    STOKER_TRY(json::Value object, special->second.apply(context, old, body));
    STOKER_TRY(Prepared prepared, settle(caller, request, current, old, object));
    if (special->second.answersStatus) {
      json::Value status = json::Object(arena)
                               .set("apiVersion", "v1")
                               .set("kind", "Status")
                               .set("metadata", json::object(arena, std::span<const json::Member>()))
                               .set("status", "Success")
                               .set("code", 201)
                               .build();
      prepared.fixed = std::make_shared<const std::string>(json::print(status));
      prepared.created = true;
    }
    return prepared;
  }
  if (target.subresource == "scale" && kind.scale) {
    json::Value scale = scaleFrom(arena, kind, old);
    json::Value wanted = request.body;
    if (request.verb == Verb::Patch) {
      if (request.patchType == client::PatchType::Json) {
        STOKER_TRY(wanted, kube::jsonPatch(arena, scale, request.body));
      } else {
        wanted = kube::mergePatch(arena, scale, request.body);
      }
    }
    std::string_view revision = wanted.at({"metadata", "resourceVersion"}).asString();
    if (!revision.empty() && revision != std::to_string(current->revision)) return modified(kind, target.name);
    auto replicas = wanted.at({"spec", "replicas"}).integer();
    if (!replicas || *replicas < 0)
      return invalid(kind, target.name,
                     {{"FieldValueInvalid",
                       fmt::format("Invalid value: {}: must be a whole number greater than or equal to 0",
                                   json::print(wanted.at({"spec", "replicas"}))),
                       "spec.replicas"}});
    auto path = split(std::string_view(kind.scale->specReplicas).substr(1), '.');
    json::Value object =
        json::withPath(arena, old, std::span<const std::string_view>(path), json::number(arena, *replicas));
    STOKER_TRY(Prepared prepared, settle(caller, request, current, old, object));
    prepared.scale = true;
    return prepared;
  }
  if (!target.subresource.empty() && !(target.subresource == "status" && kind.hasStatus))
    return Error(Reason::NotFound, "the server could not find the requested resource");

  json::Value body = request.body;
  if (request.verb == Verb::Patch) {
    STOKER_TRY(body, patched(caller, request, old));
  }
  STOKER_TRY(json::Value object, readBody(caller, request, body));
  json::Value metadata = object["metadata"];
  std::string_view name = metadata["name"].asString();
  if (!name.empty() && name != target.name)
    return Error(Reason::BadRequest,
                 fmt::format("the name of the object ({}) does not match the name on the URL ({})", name, target.name));
  std::string_view ns = metadata["namespace"].asString();
  if (!ns.empty() && ns != target.namespace_)
    return Error(Reason::BadRequest,
                 "the namespace of the provided object does not match the namespace sent on the request");
  std::string_view revision = metadata["resourceVersion"].asString();
  if (revision.empty()) {
    if (request.verb == Verb::Update && (kind.custom || !strategyOf(kind).unconditionalUpdate()))
      return invalid(
          kind, target.name,
          {{"FieldValueInvalid", "Invalid value: 0x0: must be specified for an update", "metadata.resourceVersion"}});
  } else if (revision != std::to_string(current->revision)) {
    return modified(kind, target.name);
  }
  std::string_view givenUid = metadata["uid"].asString();
  if (!givenUid.empty() && givenUid != uid)
    return conflict(kind, target.name,
                    fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", givenUid, uid));

  if (target.subresource == "status") {
    // Only the status; of built-in kinds also labels and annotations, as upstream's status strategies let through.
    json::Value status = object["status"];
    json::Value result = old;
    if (!kind.custom)
      for (std::string_view field : {"labels", "annotations"}) {
        json::Value value = metadata[field];
        result = json::with(arena, result, "metadata",
                            value.isNull() ? json::without(arena, result["metadata"], field)
                                           : json::with(arena, result["metadata"], field, value));
      }
    object = status.isNull() ? json::without(arena, result, "status") : json::with(arena, result, "status", status);
  } else {
    if (kind.hasStatus) {
      const json::Value* status = old.find("status");
      object = status ? json::with(arena, object, "status", *status) : json::without(arena, object, "status");
    }
    object = json::with(arena, object, "metadata", keepSystemMetadata(arena, metadata, old["metadata"]));
  }
  object = kube::applyDefaults(arena, *kind.schema, object);
  const Strategy& strategy = strategyOf(kind);
  StrategyContext context{arena, *this, caller.user, clock_.now(), caller.dryRun, caller.warnings};
  STOKER_TRY(object, strategy.prepareUpdate(context, object, old));
  STOKER_CHECK(validated(kind, strategy, object, old));
  return settle(caller, request, current, old, object);
}

// From a new state to an operation: nothing if nothing changed, a removal if this was the last thing it waited for.
Result<Registry::Prepared> Registry::settle(const Caller& caller, WriteRequest& request,
                                            const store::VersionPtr& current, json::Value old,
                                            json::Value object) const {
  const kube::KindInfo& kind = *request.target.kind;
  const Strategy& strategy = strategyOf(kind);
  json::Arena& arena = *request.arena;
  json::Value metadata = object["metadata"];
  if ((kind.custom || strategy.tracksGeneration()) && specDiffers(object, old)) {
    metadata = json::with(arena, metadata, "generation", json::number(arena, metadata["generation"].asInt() + 1));
    object = json::with(arena, object, "metadata", metadata);
  }
  if (kind.custom) {
    auto table = kinds();
    if (auto storage = table->storageOf(kind))
      object = json::with(arena, object, "apiVersion", json::string(arena, storage->apiVersion()));
  }
  Prepared prepared{.target = request.target, .key = current->key, .current = current};
  Encoded encoded = encodeObject(object);
  std::string same = spliced(encoded, current->revision);
  if (same == current->bytes) return prepared;
  if (caller.dryRun) {
    prepared.fixed = std::make_shared<const std::string>(std::move(same));
    return prepared;
  }
  bool leaves = metadata.has("deletionTimestamp") && metadata["finalizers"].empty() && !strategy.heldBack(object) &&
                metadata["deletionGracePeriodSeconds"].asInt() == 0;
  prepared.op = store::Op{.kind = leaves ? store::Op::Kind::Delete : store::Op::Kind::Put,
                          .key = current->key,
                          .expect = current->revision,
                          .bytes = std::move(encoded.bytes),
                          .revisionAt = encoded.revisionAt,
                          .index = indexOf(object)};
  return prepared;
}

// ---- delete
// --------------------------------------------------------------------------------------------------------------

Result<Registry::Prepared> Registry::prepareDelete(const Caller& caller, WriteRequest& request) const {
  Target& target = request.target;
  const kube::KindInfo& kind = *target.kind;
  const Strategy& strategy = strategyOf(kind);
  json::Arena& arena = *request.arena;
  store::VersionPtr current =
      store_.get(storeKey(kind.groupResource(), target.namespace_, target.name), store::Read::Head);
  if (!current) return notFound(kind, target.name);
  STOKER_TRY(json::Value object, json::parse(arena, current->bytes));
  json::Value metadata = object["metadata"];
  std::string_view uid = metadata["uid"].asString();
  if (!request.uid.empty() && request.uid != uid)
    return conflict(
        kind, target.name,
        fmt::format("Precondition failed: UID in precondition: {}, UID in object meta: {}", request.uid, uid));
  if (!request.resourceVersion.empty() && request.resourceVersion != std::to_string(current->revision))
    return conflict(
        kind, target.name,
        fmt::format("Precondition failed: ResourceVersion in precondition: {}, ResourceVersion in object meta: {}",
                    request.resourceVersion, current->revision));
  if (!request.propagation.empty() && request.propagation != "Orphan" && request.propagation != "Background" &&
      request.propagation != "Foreground")
    return Error(
        Reason::Invalid,
        fmt::format("DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: {}: supported "
                    "values: \"Background\", \"Foreground\", \"Orphan\"",
                    quote(request.propagation)));
  if (request.gracePeriodSeconds && *request.gracePeriodSeconds < 0) request.gracePeriodSeconds = 1;
  STOKER_CHECK(strategy.mayDelete(object));

  Prepared prepared{.target = target, .key = current->key, .current = current};
  bool deleting = metadata.has("deletionTimestamp");
  json::Value finalizers = finalizersFor(arena, metadata["finalizers"], request.propagation);
  int64_t grace = strategy.gracePeriod(object, request.gracePeriodSeconds).value_or(0);
  if (deleting) {
    // A later delete may shorten the wait, never lengthen it.
    int64_t before = metadata["deletionGracePeriodSeconds"].asInt();
    grace = request.gracePeriodSeconds ? std::min(before, grace) : before;
    Time wasDue = parseTime(metadata["deletionTimestamp"].asString()).value_or(clock_.now());
    if (grace < before)
      metadata = json::with(arena, metadata, "deletionTimestamp",
                            json::string(arena, formatTime(plusSeconds(wasDue, grace - before))));
  } else {
    metadata = json::with(arena, metadata, "deletionTimestamp",
                          json::string(arena, formatTime(plusSeconds(clock_.now(), grace))));
    if (metadata.has("generation"))
      metadata = json::with(arena, metadata, "generation", json::number(arena, metadata["generation"].asInt() + 1));
  }
  metadata = json::with(arena, metadata, "deletionGracePeriodSeconds", json::number(arena, grace));
  metadata = finalizers.empty() ? json::without(arena, metadata, "finalizers")
                                : json::with(arena, metadata, "finalizers", finalizers);
  bool stays = !finalizers.empty() || grace > 0 || strategy.heldBack(object);
  json::Value next = json::with(arena, object, "metadata", metadata);
  if (stays && !deleting) next = strategy.onDeletionStart(arena, next);
  Encoded encoded = encodeObject(stays ? next : object);
  prepared.accepted = stays;
  if (!stays && !caller.dryRun) {
    prepared.fixed = std::make_shared<const std::string>(json::print(successStatus(arena, target, uid)));
    if (strategy.gracePeriod(object, std::nullopt))
      prepared.fixed = nullptr;  // kinds that end gracefully answer with the object
  }
  if (caller.dryRun) {
    prepared.fixed = std::make_shared<const std::string>(spliced(encoded, current->revision));
    return prepared;
  }
  if (stays && spliced(encoded, current->revision) == current->bytes) return prepared;
  prepared.op = store::Op{.kind = stays ? store::Op::Kind::Put : store::Op::Kind::Delete,
                          .key = current->key,
                          .expect = current->revision,
                          .bytes = std::move(encoded.bytes),
                          .revisionAt = encoded.revisionAt,
                          .index = indexOf(stays ? next : object)};
  return prepared;
}

// ---- committing
// ------------------------------------------------------------------------------------------------------------

Result<Registry::Prepared> Registry::prepare(const Caller& caller, WriteRequest& request) const {
  STOKER_CHECK(authorize(caller, verbName(request), request.target));
  bool special = !request.target.subresource.empty();
  if (request.verb == Verb::Delete) return prepareDelete(caller, request);
  if (request.verb == Verb::Create && !special) return prepareCreate(caller, request);
  return prepareUpdate(caller, request);
}

void Registry::commitPrepared(std::vector<Prepared> prepared, std::function<void(Result<std::vector<Written>>)> done) {
  store::Transaction transaction;
  std::vector<int> opOf(prepared.size(), -1);
  for (size_t i = 0; i < prepared.size(); ++i) {
    Prepared& p = prepared[i];
    if (!p.op && p.current && !p.fixed) {
      // Nothing changes, but what the answer shows must be durable: wait for it if it is not yet.
      store::VersionPtr published = store_.get(p.key);
      if (published != p.current)
        p.op = store::Op{.kind = store::Op::Kind::Check, .key = p.key, .expect = p.current->revision};
    }
    if (!p.op) continue;
    opOf[i] = static_cast<int>(transaction.ops.size());
    transaction.ops.push_back(std::move(*p.op));
  }
  auto answer = [this, opOf = std::move(opOf)](std::vector<Prepared>& all, const store::Committed& committed) {
    std::vector<Written> out;
    for (size_t i = 0; i < all.size(); ++i) {
      Prepared& p = all[i];
      store::VersionPtr version = opOf[i] >= 0 && committed[opOf[i]] ? committed[opOf[i]] : p.current;
      Written written{.created = p.created, .accepted = p.accepted};
      if (version) {
        written.resourceVersion = version->revision;
        written.bytes = bytesFor(*p.target.kind, version);
      }
      if (p.fixed) written.bytes = p.fixed;
      if (p.scale && version) {
        json::Arena arena;
        auto object = json::parse(arena, version->bytes);
        if (object.ok())
          written.bytes = std::make_shared<const std::string>(json::print(scaleFrom(arena, *p.target.kind, *object)));
      }
      out.push_back(std::move(written));
    }
    return out;
  };
  if (transaction.ops.empty()) return done(answer(prepared, {}));
  // `done` is needed on both ways out: the store calls it after a commit, we call it when the commit was refused.
  auto shared = std::make_shared<std::function<void(Result<std::vector<Written>>)>>(std::move(done));
  auto kept = std::make_shared<std::vector<Prepared>>(std::move(prepared));
  Result<void> accepted =
      store_.commit(std::move(transaction), [shared, kept, answer](Result<store::Committed> committed) {
        if (committed.ok())
          (*shared)(answer(*kept, *committed));
        else
          (*shared)(committed.error());
      });
  if (!accepted.ok()) (*shared)(accepted.error());
}

void Registry::runSequence(std::shared_ptr<Batch> batch) {
  for (;;) {
    std::vector<Prepared> prepared;
    std::map<std::string, int, std::less<>> keys;
    size_t end = batch->next;
    for (; end < batch->requests.size(); ++end) {
      auto one = prepare(batch->caller, batch->requests[end]);
      if (!one.ok()) {
        // It may need what stands before it in the sequence (an object in a namespace just made): commit that first.
        if (!prepared.empty()) break;
        batch->results[end] = std::move(one.error());
        break;
      }
      if (!keys.emplace(one->key, 0).second) break;  // the same object again: in the next transaction
      prepared.push_back(std::move(*one));
    }
    if (prepared.empty()) return batch->finish();

    // commitPrepared may answer at once or later on the commit thread; a refused guard is answered at once.
    enum class Outcome { Again, Over };
    auto outcome = std::make_shared<std::atomic<Outcome>>(Outcome::Over);
    auto state = std::make_shared<std::atomic<int>>(0);  // 0: still in commitPrepared, 1: left it, 2: answered inside
    commitPrepared(std::move(prepared), [this, batch, end, state, outcome](Result<std::vector<Written>> written) {
      bool guard = !written.ok() &&
                   (written.error().reason == Reason::Conflict || written.error().reason == Reason::AlreadyExists ||
                    written.error().reason == Reason::NotFound);
      if (guard && ++batch->tries < kMaxTries) {
        *outcome = Outcome::Again;
      } else if (!written.ok()) {
        for (size_t i = batch->next; i < end; ++i) batch->results[i] = written.error();
        *outcome = Outcome::Over;
      } else {
        for (size_t i = batch->next; i < end; ++i) batch->results[i] = std::move((*written)[i - batch->next]);
        batch->next = end;
        batch->tries = 0;
        *outcome = end == batch->requests.size() ? Outcome::Over : Outcome::Again;
      }
      int expected = 0;
      if (state->compare_exchange_strong(expected, 2)) return;  // the loop below goes on
      if (*outcome == Outcome::Over)
        batch->finish();
      else
        runSequence(batch);
    });
    int expected = 0;
    if (state->compare_exchange_strong(expected, 1)) return;  // the callback goes on later
    if (*outcome == Outcome::Over) return batch->finish();
  }
}

void Registry::write(const Caller& caller, std::vector<WriteRequest> requests, client::Mode mode, WriteDone done) {
  if (mode == client::Mode::Sequence || requests.size() == 1) {
    auto batch =
        std::make_shared<Batch>(Batch{.caller = caller, .requests = std::move(requests), .done = std::move(done)});
    batch->results.resize(batch->requests.size());
    return runSequence(std::move(batch));
  }
  if (requests.empty()) return done({});
  struct Gather {
    std::mutex mutex;
    std::vector<std::optional<Result<Written>>> results;
    size_t missing;
    WriteDone done;
  };
  auto gather = std::make_shared<Gather>();
  gather->results.resize(requests.size());
  gather->missing = requests.size();
  gather->done = std::move(done);
  for (size_t i = 0; i < requests.size(); ++i) {
    auto batch = std::make_shared<Batch>(Batch{.caller = caller});
    batch->requests.push_back(std::move(requests[i]));
    batch->results.resize(1);
    batch->done = [gather, i](std::vector<Result<Written>> one) {
      {
        std::lock_guard lock(gather->mutex);
        gather->results[i] = std::move(one[0]);
        if (--gather->missing > 0) return;
      }
      std::vector<Result<Written>> all;
      all.reserve(gather->results.size());
      for (auto& result : gather->results) all.push_back(std::move(*result));
      gather->done(std::move(all));
    };
    runSequence(std::move(batch));
  }
}

void Registry::deleteCollection(const Caller& caller, const Target& target, const ListRequest& selection,
                                const WriteRequest& options,
                                std::function<void(Result<std::vector<store::VersionPtr>>)> done) {
  if (auto allowed = authorize(caller, "deletecollection", target); !allowed.ok()) return done(allowed.error());
  Caller privileged = caller;
  privileged.user.groups.push_back("system:masters");  // the collection verb covers reading and deleting its members
  auto listing = list(privileged, target, selection);
  if (!listing.ok()) return done(listing.error());
  auto items = std::make_shared<std::vector<store::VersionPtr>>(std::move(listing->items));
  std::vector<WriteRequest> requests;
  for (const store::VersionPtr& version : *items) {
    KeyParts parts = splitKey(version->key);
    WriteRequest one{.verb = Verb::Delete,
                     .target = {target.kind, std::string(parts.namespace_), std::string(parts.name), ""},
                     .arena = std::make_shared<json::Arena>()};
    one.gracePeriodSeconds = options.gracePeriodSeconds;
    one.propagation = options.propagation;
    requests.push_back(std::move(one));
  }
  write(privileged, std::move(requests), client::Mode::Each, [items, done](std::vector<Result<Written>> results) {
    for (auto& result : results)
      if (!result.ok() && result.error().reason != Reason::NotFound) return done(result.error());
    done(*items);
  });
}

Result<json::Value> Registry::getScale(const Caller& caller, const Target& target, json::Arena& arena) const {
  if (!target.kind->scale) return Error(Reason::NotFound, "the server could not find the requested resource");
  STOKER_TRY(store::VersionPtr version, get(caller, target));
  STOKER_TRY(json::Value object, json::parse(arena, version->bytes));
  return scaleFrom(arena, *target.kind, object);
}

Result<json::Value> Registry::call(const Caller& caller, WriteRequest& request) const {
  STOKER_CHECK(authorize(caller, verbName(request), request.target));
  const Target& target = request.target;
  auto it = calls_.find({target.kind->groupResource(), target.subresource});
  if (it == calls_.end()) return Error(Reason::NotFound, "the server could not find the requested resource");
  store::VersionPtr parent = find(target.kind->groupResource(), target.namespace_, target.name);
  if (!parent) return notFound(*target.kind, target.name);
  STOKER_TRY(json::Value object, json::parse(*request.arena, parent->bytes));
  StrategyContext context{*request.arena, *this, caller.user, clock_.now(), caller.dryRun, caller.warnings};
  return it->second(context, object, request.body);
}

}  // namespace stoker::apiserver
