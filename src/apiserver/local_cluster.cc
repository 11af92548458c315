#include "apiserver/local_cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "apiserver/registry/encode.h"

namespace stoker::apiserver {
namespace {

client::Object toObject(const store::VersionPtr& version, std::shared_ptr<const std::string> bytes) {
  KeyParts parts = splitKey(version->key);
  return {std::string(parts.namespace_), std::string(parts.name), version->revision, std::move(bytes)};
}

Error unknownResource(const client::Gvr& resource) {
  return Error(Reason::NotFound, fmt::format("the server could not find the requested resource: {} of version {}",
                                             resource.groupResource(), resource.version));
}

class LocalSubscription final : public client::Subscription {
 public:
  LocalSubscription(const Registry& registry, store::WatchId id) : registry_(registry), id_(id) {}
  ~LocalSubscription() override { registry_.unwatch(id_); }

 private:
  const Registry& registry_;
  store::WatchId id_;
};

}  // namespace

User serviceAccountUser(const std::string& ns, const std::string& name) {
  return {.name = fmt::format("system:serviceaccount:{}:{}", ns, name),
          .groups = {"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"}};
}

void LocalCluster::get(const client::Gvr& resource, const std::string& ns, const std::string& name,
                       client::Done<client::Object> done) {
  auto kind = registry_.kinds()->find(resource.group, resource.version, resource.resource);
  if (!kind) return done(unknownResource(resource));
  auto version = registry_.get(caller_, {kind, ns, name, ""});
  if (!version.ok()) return done(version.error());
  done(toObject(*version, registry_.bytesFor(*kind, *version)));
}

void LocalCluster::list(const client::Gvr& resource, const client::ListOptions& options,
                        client::Done<client::ObjectList> done) {
  auto kind = registry_.kinds()->find(resource.group, resource.version, resource.resource);
  if (!kind) return done(unknownResource(resource));
  auto answer = registry_.list(caller_, {kind, options.namespace_, "", ""},
                               {.labelSelector = options.labelSelector,
                                .fieldSelector = options.fieldSelector,
                                .resourceVersion = options.resourceVersion,
                                .limit = options.limit,
                                .continueToken = options.continueToken});
  if (!answer.ok()) return done(answer.error());
  client::ObjectList list{.resourceVersion = answer->revision, .continueToken = answer->continueToken};
  list.items.reserve(answer->items.size());
  for (const store::VersionPtr& version : answer->items)
    list.items.push_back(toObject(version, registry_.bytesFor(*kind, version)));
  done(std::move(list));
}

std::unique_ptr<client::Subscription> LocalCluster::watch(const client::Gvr& resource,
                                                          const client::WatchOptions& options,
                                                          std::function<void(const client::WatchEvent&)> onEvent) {
  using Type = client::WatchEvent::Type;
  auto kind = registry_.kinds()->find(resource.group, resource.version, resource.resource);
  if (!kind) {
    onEvent({.type = Type::Error, .error = unknownResource(resource)});
    return nullptr;
  }
  auto id = registry_.watch(caller_, {kind, options.namespace_, "", ""},
                            {.labelSelector = options.labelSelector,
                             .fieldSelector = options.fieldSelector,
                             .resourceVersion = std::to_string(options.resourceVersion)},
                            [&registry = registry_, kind, onEvent](const Seen& seen) {
                              if (!seen.object) return;
                              client::WatchEvent event;
                              event.type = seen.type == store::Event::Type::Added      ? Type::Added
                                           : seen.type == store::Event::Type::Modified ? Type::Modified
                                                                                       : Type::Deleted;
                              event.object = toObject(seen.object, registry.bytesFor(*kind, seen.object));
                              event.object.resourceVersion = seen.revision;
                              onEvent(event);
                            });
  if (!id.ok()) {
    onEvent({.type = Type::Error, .error = id.error()});
    return nullptr;
  }
  return std::make_unique<LocalSubscription>(registry_, *id);
}

void LocalCluster::write(std::vector<client::Write> writes, client::Mode mode,
                         std::function<void(std::vector<Result<client::Object>>)> done) {
  auto table = registry_.kinds();
  // A write that cannot even be read fails alone (Each) or stops its sequence there.
  std::vector<std::optional<Result<client::Object>>> early(writes.size());
  std::vector<size_t> position;
  std::vector<WriteRequest> requests;
  std::vector<std::pair<std::string, std::string>> names;
  for (size_t i = 0; i < writes.size(); ++i) {
    client::Write& write = writes[i];
    names.emplace_back(write.namespace_, write.name);
    WriteRequest request{.verb = write.verb,
                         .target = {table->find(write.resource.group, write.resource.version, write.resource.resource),
                                    write.namespace_, write.name, write.subresource},
                         .arena = std::make_shared<json::Arena>(),
                         .patchType = write.patchType,
                         .resourceVersion = write.resourceVersion,
                         .uid = write.uid,
                         .gracePeriodSeconds = write.gracePeriodSeconds,
                         .propagation = write.propagation};
    if (!request.target.kind)
      early[i] = unknownResource(write.resource);
    else if (!write.body.empty()) {
      auto body = json::parse(*request.arena, write.body);
      if (body.ok())
        request.body = *body;
      else
        early[i] = body.error();
    }
    // Calls (a TokenRequest) store nothing: they are answered here, before the writes around them. In a sequence none
    // may have to wait for those.
    bool call = !early[i] && write.verb == client::Write::Verb::Create && registry_.isCall(request.target);
    if (call && mode == client::Mode::Sequence && !position.empty())
      early[i] = Error(Reason::BadRequest, "a call can only begin a sequence of writes");
    else if (call) {
      auto answer = registry_.call(caller_, request);
      if (answer.ok())
        early[i] =
            client::Object{write.namespace_, write.name, 0, std::make_shared<const std::string>(json::print(*answer))};
      else
        early[i] = answer.error();
    }
    if (early[i]) {
      if (!early[i]->ok() && mode == client::Mode::Sequence) break;
      continue;
    }
    position.push_back(i);
    requests.push_back(std::move(request));
  }
  registry_.write(caller_, std::move(requests), mode,
                  [total = writes.size(), mode, position = std::move(position), early = std::move(early),
                   names = std::move(names), done = std::move(done)](std::vector<Result<Written>> written) {
                    std::vector<Result<client::Object>> out;
                    out.reserve(total);
                    for (size_t i = 0; i < total; ++i)
                      out.push_back(early[i] ? *early[i] : Error(Reason::Unknown, client::kAborted));
                    for (size_t i = 0; i < position.size(); ++i) {
                      if (written[i].ok())
                        out[position[i]] = client::Object{names[position[i]].first, names[position[i]].second,
                                                          written[i]->resourceVersion, written[i]->bytes};
                      else
                        out[position[i]] = written[i].error();
                    }
                    // What could not begin is told only where nothing before it stopped the sequence.
                    auto failed = std::find_if(out.begin(), out.end(), [](const auto& one) { return !one.ok(); });
                    if (mode == client::Mode::Sequence && failed != out.end())
                      std::fill(failed + 1, out.end(), Error(Reason::Unknown, client::kAborted));
                    done(std::move(out));
                  });
}

}  // namespace stoker::apiserver
