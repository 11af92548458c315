// Kinds, strategies and reading.

#include "apiserver/registry/registry.h"

#include <fmt/format.h>

#include "apiserver/registry/encode.h"
#include "base/log.h"
#include "base/strings.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr std::string_view kCrds = "customresourcedefinitions.apiextensions.k8s.io";

/// A resourceVersion parameter: 0 when empty or "0"; nullopt when it is not a revision.
std::optional<uint64_t> parseRevision(std::string_view text) {
  if (text.empty()) return 0;
  uint64_t value = 0;
  auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (ec != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error badRevision(std::string_view text) {
  return Error(Reason::BadRequest, fmt::format("invalid resourceVersion {}: it must be a decimal number", quote(text)));
}

Error expired(std::string message) { return Error(Reason::Expired, std::move(message)); }

Error tooLarge(uint64_t asked, uint64_t current) {
  Error error(Reason::Timeout, fmt::format("Too large resource version: {}, current: {}", asked, current));
  error.causes.push_back({"ResourceVersionTooLarge", "Too large resource version", ""});
  error.retryAfterSeconds = 1;
  return error;
}

struct Token {
  uint64_t revision = 0;  // 0: an inconsistent continuation, from whatever is there now
  std::string start;      // key within the listed prefix after which to go on
};

std::string encodeToken(uint64_t revision, std::string_view start) {
  json::Arena arena;
  std::string text = json::print(json::Object(arena)
                                     .set("v", "meta.k8s.io/v1")
                                     .set("rv", revision == 0 ? int64_t{-1} : static_cast<int64_t>(revision))
                                     .set("start", std::string(start) + '\0')
                                     .build());
  return base64UrlEncode(text);
}

Result<Token> decodeToken(std::string_view text) {
  Error bad(Reason::BadRequest,
            "continue key is not valid: it must be the token of an earlier list response, unchanged");
  auto decoded = base64UrlDecode(text);
  if (!decoded) return bad;
  json::Arena arena;
  auto parsed = json::parse(arena, *decoded);
  if (!parsed.ok() || (*parsed)["v"].asString() != "meta.k8s.io/v1") return bad;
  auto revision = (*parsed)["rv"].integer();
  std::string_view start = (*parsed)["start"].asString();
  if (!revision || *revision < -1 || *revision == 0 || !start.ends_with('\0')) return bad;
  start.remove_suffix(1);
  return Token{*revision == -1 ? 0 : static_cast<uint64_t>(*revision), std::string(start)};
}

}  // namespace

// ---- KindTable
// -------------------------------------------------------------------------------------------------------

KindTable::KindTable(std::vector<kube::KindPtr> kinds) : kinds_(std::move(kinds)) {
  for (const kube::KindPtr& kind : kinds_) {
    byName_[{kind->group, kind->version, kind->resource}] = kind;
    auto& storage = storage_[kind->groupResource()];
    if (!storage || kind->storage) storage = kind;
  }
}

kube::KindPtr KindTable::find(std::string_view group, std::string_view version, std::string_view resource) const {
  auto it = byName_.find(std::tuple(std::string(group), std::string(version), std::string(resource)));
  return it == byName_.end() ? nullptr : it->second;
}

kube::KindPtr KindTable::storageOf(const kube::KindInfo& kind) const {
  auto it = storage_.find(kind.groupResource());
  return it == storage_.end() ? nullptr : it->second;
}

std::vector<std::string> Strategy::validateName(std::string_view name) const { return kube::dns1123Subdomain(name); }

// ---- set-up
// ----------------------------------------------------------------------------------------------------------

Registry::Registry(store::Store& store, Ids& ids, const Clock& clock)
    : store_(store), ids_(ids), clock_(clock), kinds_(std::make_shared<KindTable>(kube::builtinKinds())) {}

Registry::~Registry() {
  if (crdWatch_) store_.unwatch(*crdWatch_);
}

void Registry::addStrategy(const std::string& groupResource, std::unique_ptr<Strategy> strategy) {
  strategies_[groupResource] = std::move(strategy);
}
void Registry::addSubresource(const std::string& groupResource, const std::string& name, SubresourceWrite write) {
  subresources_[{groupResource, name}] = std::move(write);
}
void Registry::addCall(const std::string& groupResource, const std::string& name, SubresourceCall call) {
  calls_[{groupResource, name}] = std::move(call);
}

Result<void> Registry::start() {
  // The listing is read by reloadKinds; the watch only says that something changed.
  auto watch = store_.listAndWatch(
      {.prefix = std::string(kCrds) + "/"}, [](const store::Listing&) {},
      [this](const store::EventPtr&) { reloadKinds(); });
  if (!watch.ok()) return watch.error();
  crdWatch_ = *watch;
  reloadKinds();
  return {};
}

void Registry::reloadKinds() {
  std::vector<kube::KindPtr> all = kube::builtinKinds();
  auto listing = store_.list({.prefix = std::string(kCrds) + "/"});
  if (!listing.ok()) return;
  for (const store::VersionPtr& version : listing->items) {
    auto doc = json::parseDoc(version->bytes);
    if (!doc.ok()) continue;
    auto kinds = kube::kindsOfCrd(doc->root);
    if (!kinds.ok()) {
      log::error("registry", "stored CRD {} cannot be served: {}", version->key, kinds.error().message);
      continue;
    }
    for (kube::KindPtr& kind : *kinds) all.push_back(std::move(kind));
  }
  auto table = std::make_shared<KindTable>(std::move(all));
  {
    std::unique_lock lock(kindsMutex_);
    kinds_ = std::move(table);
  }
  ++kindsGeneration_;
}

std::shared_ptr<const KindTable> Registry::kinds() const {
  std::shared_lock lock(kindsMutex_);
  return kinds_;
}

std::vector<std::string> Registry::subresourcesOf(const kube::KindInfo& kind) const {
  std::vector<std::string> out;
  std::string groupResource = kind.groupResource();
  for (const auto& [key, write] : subresources_)
    if (key.first == groupResource) out.push_back(key.second);
  for (const auto& [key, call] : calls_)
    if (key.first == groupResource) out.push_back(key.second);
  return out;
}

bool Registry::isCall(const Target& target) const {
  return calls_.contains({target.kind->groupResource(), target.subresource});
}

const Strategy& Registry::strategyOf(const kube::KindInfo& kind) const {
  static const Strategy kPlain;
  auto it = strategies_.find(kind.groupResource());
  return it == strategies_.end() ? kPlain : *it->second;
}

store::VersionPtr Registry::find(std::string_view groupResource, std::string_view ns, std::string_view name) const {
  return store_.get(storeKey(groupResource, ns, name), store::Read::Head);
}

void Registry::forEach(std::string_view groupResource, std::string_view ns,
                       const std::function<void(const store::VersionPtr&)>& visit) const {
  auto listing = store_.list({.prefix = storeKey(groupResource, ns, "")});
  if (!listing.ok()) return;
  for (const store::VersionPtr& version : listing->items) visit(version);
}

// ---- reading
// ---------------------------------------------------------------------------------------------------------

Result<void> Registry::authorize(const Caller& caller, std::string_view verb, const Target& target) const {
  Attributes attributes{.verb = verb,
                        .group = target.kind->group,
                        .resource = target.kind->resource,
                        .subresource = target.subresource,
                        .namespace_ = target.namespace_,
                        .name = target.name};
  if (authorizer_ && !authorizer_->allowed(caller.user, attributes)) return forbidden(caller.user, attributes);
  return {};
}

Result<store::VersionPtr> Registry::get(const Caller& caller, const Target& target) const {
  STOKER_CHECK(authorize(caller, "get", target));
  auto version = store_.get(storeKey(target.kind->groupResource(), target.namespace_, target.name));
  if (!version) return notFound(*target.kind, target.name);
  return version;
}

std::shared_ptr<const std::string> Registry::bytesFor(const kube::KindInfo& kind,
                                                      const store::VersionPtr& version) const {
  if (kind.storage) return {version, &version->bytes};
  json::Arena arena;
  auto object = json::parse(arena, version->bytes);
  if (!object.ok()) return {version, &version->bytes};
  return std::make_shared<const std::string>(
      json::print(json::with(arena, *object, "apiVersion", json::string(arena, kind.apiVersion()))));
}

std::function<bool(const store::Version&)> Registry::matcher(const kube::LabelSelector& labels,
                                                             const kube::FieldSelector& fields) const {
  if (labels.empty() && fields.empty()) return nullptr;
  return [labels, fields](const store::Version& version) {
    if (!labels.empty() && !labels.matchesFlat(version.index.labels)) return false;
    if (fields.empty()) return true;
    KeyParts key = splitKey(version.key);
    json::Arena arena;
    std::optional<json::Value> object;  // parsed only for fields that the index does not have
    std::vector<std::string> kept;
    kept.reserve(fields.terms().size());
    return fields.matches([&](std::string_view field) -> std::optional<std::string_view> {
      if (field == "metadata.name") return key.name;
      if (field == "metadata.namespace") return key.namespace_;
      if (field == "spec.nodeName") return version.index.node;
      if (!object) {
        auto parsed = json::parse(arena, version.bytes);
        object = parsed.ok() ? *parsed : json::Value();
      }
      kept.push_back(kube::fieldValue(*object, field));
      return kept.back();
    });
  };
}

namespace {

struct Selectors {
  kube::LabelSelector labels;
  kube::FieldSelector fields;
};

Result<Selectors> readSelectors(const kube::KindInfo& kind, const std::string& labelText,
                                const std::string& fieldText) {
  Selectors out;
  STOKER_TRY(out.labels, kube::LabelSelector::parse(labelText));
  STOKER_TRY(out.fields, kube::FieldSelector::parse(fieldText));
  for (const auto& term : out.fields.terms()) {
    bool known = term.field == "metadata.name" || (term.field == "metadata.namespace" && kind.namespaced) ||
                 std::find(kind.selectableFields.begin(), kind.selectableFields.end(), term.field) !=
                     kind.selectableFields.end();
    if (!known)
      return Error(Reason::BadRequest,
                   fmt::format("Unable to find {} that match label selector \"{}\", field selector \"{}\": "
                               "field label not supported: {}",
                               quote(kind.groupResource()), labelText, fieldText, term.field));
  }
  return out;
}

}  // namespace

Result<ListAnswer> Registry::list(const Caller& caller, const Target& target, const ListRequest& request) const {
  STOKER_CHECK(authorize(caller, "list", target));
  STOKER_TRY(Selectors selectors, readSelectors(*target.kind, request.labelSelector, request.fieldSelector));
  auto asked = parseRevision(request.resourceVersion);
  if (!asked) return badRevision(request.resourceVersion);
  const std::string& match = request.resourceVersionMatch;
  auto refused = [&](std::string message) {
    Error error(Reason::Invalid, fmt::format("ListOptions.meta.k8s.io \"\" is invalid: {}", message));
    error.causes.push_back({"FieldValueForbidden", message, "resourceVersionMatch"});
    return error;
  };
  if (!match.empty()) {
    if (match != "Exact" && match != "NotOlderThan")
      return refused(fmt::format(
          "resourceVersionMatch: Unsupported value: {}: supported values: \"Exact\", \"NotOlderThan\"", quote(match)));
    if (request.resourceVersion.empty())
      return refused(
          "resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided");
    if (!request.continueToken.empty())
      return refused("resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided");
    if (match == "Exact" && *asked == 0)
      return refused(
          "resourceVersionMatch: Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
  }
  uint64_t current = store_.revision();
  if (*asked > current) return tooLarge(*asked, current);

  store::ListOptions options{.prefix = storeKey(target.kind->groupResource(), target.namespace_, "")};
  bool exact = match == "Exact" || (match.empty() && *asked != 0 && request.limit > 0);
  if (exact) options.revision = *asked;
  if (!request.continueToken.empty()) {
    if (*asked != 0) return Error(Reason::BadRequest, "specifying resource version is not allowed when using continue");
    STOKER_TRY(Token token, decodeToken(request.continueToken));
    if (token.revision > current) return tooLarge(token.revision, current);
    options.revision = token.revision;
    options.startAfter = options.prefix + token.start;
  }
  // With rv=0 upstream answers from its cache and ignores the limit; so do we, and clients rely on either.
  size_t limit = request.limit > 0 ? static_cast<size_t>(request.limit) : 0;
  bool filtered = !selectors.labels.empty() || !selectors.fields.empty();
  options.limit = filtered ? 0 : limit;

  // A name pinned by the selector is a lookup, not a scan.
  auto pinned = selectors.fields.exact("metadata.name");
  auto matches = matcher(selectors.labels, selectors.fields);
  ListAnswer answer;
  if (pinned && options.revision == 0 && (!target.kind->namespaced || !target.namespace_.empty())) {
    answer.revision = current;
    auto version = store_.get(storeKey(target.kind->groupResource(), target.namespace_, *pinned));
    if (version && matches(*version)) answer.items.push_back(std::move(version));
    return answer;
  }
  auto listing = store_.list(options);
  if (!listing.ok()) {
    if (listing.error().reason != Reason::Expired) return listing.error();
    Error error = expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list "
        "without the continue parameter, or use the continue token in this response to retrieve the remainder of "
        "the results. Continuing with the provided token results in an inconsistent list - objects that were "
        "created, modified, or deleted between the time the first chunk was returned and now may show up in the list.");
    if (request.continueToken.empty())
      error.message = fmt::format("The resourceVersion for the provided list is too old: {}", *asked);
    else
      error.continueToken = encodeToken(0, std::string_view(options.startAfter).substr(options.prefix.size()));
    return error;
  }
  answer.revision = listing->revision;
  if (!matches) {
    answer.items = std::move(listing->items);
    if (listing->more) {
      answer.continueToken =
          encodeToken(answer.revision, std::string_view(answer.items.back()->key).substr(options.prefix.size()));
      answer.remaining = static_cast<int64_t>(listing->remaining);
    }
    return answer;
  }
  for (store::VersionPtr& version : listing->items) {
    if (!matches(*version)) continue;
    if (limit > 0 && answer.items.size() == limit) {
      answer.continueToken =
          encodeToken(answer.revision, std::string_view(answer.items.back()->key).substr(options.prefix.size()));
      break;
    }
    answer.items.push_back(std::move(version));
  }
  return answer;
}

Result<store::WatchId> Registry::watch(const Caller& caller, const Target& target, const WatchRequest& request,
                                       std::function<void(const Seen&)> onSeen) const {
  STOKER_CHECK(authorize(caller, "watch", target));
  STOKER_TRY(Selectors selectors, readSelectors(*target.kind, request.labelSelector, request.fieldSelector));
  auto asked = parseRevision(request.resourceVersion);
  if (!asked) return badRevision(request.resourceVersion);
  auto refused = [&](std::string message, std::string field) {
    Error error(Reason::Invalid, fmt::format("ListOptions.meta.k8s.io \"\" is invalid: {}: {}", field, message));
    error.causes.push_back({"FieldValueForbidden", message, field});
    return error;
  };
  if (request.sendInitialEventsGiven && request.resourceVersionMatch != "NotOlderThan")
    return refused("Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
                   "resourceVersionMatch");
  if (!request.sendInitialEventsGiven && !request.resourceVersionMatch.empty())
    return refused("Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided",
                   "resourceVersionMatch");
  uint64_t current = store_.revision();
  if (*asked > current) return tooLarge(*asked, current);

  auto matches = matcher(selectors.labels, selectors.fields);
  auto onEvent = [matches, onSeen](const store::EventPtr& event) {
    using Type = store::Event::Type;
    if (!matches)
      return onSeen({.type = event->type, .event = event, .object = event->object, .revision = event->revision});
    bool before = event->previous && matches(*event->previous);
    bool after = event->type != Type::Deleted && matches(*event->object);
    if (after)
      onSeen({.type = before ? Type::Modified : Type::Added,
              .event = event,
              .object = event->object,
              .revision = event->revision});
    else if (before)
      onSeen({.type = Type::Deleted, .event = event, .object = event->object, .revision = event->revision});
  };
  std::string prefix = storeKey(target.kind->groupResource(), target.namespace_, "");
  // "" and "0": the state first, then what follows. sendInitialEvents asks for the same at any revision.
  bool initial = request.sendInitialEventsGiven ? request.sendInitialEvents : *asked == 0;
  if (!initial) {
    uint64_t from = *asked == 0 ? current : *asked;
    auto id = store_.watch(prefix, from, onEvent);
    if (!id.ok() && id.error().reason == Reason::Expired)
      return expired(fmt::format("too old resource version: {} ({})", from, store_.oldestRevision()));
    return id;
  }
  return store_.listAndWatch(
      {.prefix = prefix},
      [&](const store::Listing& listing) {
        for (const store::VersionPtr& version : listing.items)
          if (!matches || matches(*version))
            onSeen({.type = store::Event::Type::Added,
                    .event = nullptr,
                    .object = version,
                    .revision = version->revision});
        onSeen({.type = store::Event::Type::Added,
                .event = nullptr,
                .object = nullptr,
                .initialEnd = true,
                .revision = listing.revision});
      },
      onEvent);
}

}  // namespace stoker::apiserver
