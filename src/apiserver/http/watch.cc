// Watches: one stream per watcher; events of the stored form are encoded once for all of them.

#include <fmt/format.h>

#include "apiserver/http/call.h"

namespace stoker::apiserver {
namespace {

constexpr double kBookmarkSeconds = 60;     // upstream's bookmark frequency
constexpr double kLastBookmarkSeconds = 2;  // and one shortly before the deadline

std::string_view typeText(store::Event::Type type) {
  switch (type) {
    case store::Event::Type::Added:
      return "ADDED";
    case store::Event::Type::Modified:
      return "MODIFIED";
    case store::Event::Type::Deleted:
      return "DELETED";
  }
  return "";
}

std::string line(std::string_view type, std::string_view object) {
  return fmt::format("{{\"type\":\"{}\",\"object\":{}}}\n", type, object);
}

/// The state before, with the revision of the event: what a watcher whose selection the object left is told.
std::string leavingObject(const store::Event& event) {
  const store::VersionPtr& last = event.type == store::Event::Type::Deleted ? event.object : event.previous;
  json::Arena arena;
  auto object = json::parse(arena, last->bytes);
  if (!object.ok()) return last->bytes;
  return json::print(json::withPath(arena, *object, {"metadata", "resourceVersion"},
                                    json::string(arena, std::to_string(event.revision))));
}

}  // namespace

class ApiHandler::WatchSession : public std::enable_shared_from_this<WatchSession> {
 public:
  WatchSession(ApiHandler& handler, std::shared_ptr<Call> call) : handler_(handler), call_(std::move(call)) {}

  void start(const WatchRequest& request, double seconds, bool bookmarks) {
    bookmarks_ = bookmarks;
    initialEndBookmark_ = bookmarks && request.sendInitialEventsGiven && request.sendInitialEvents;
    auto self = shared_from_this();
    std::string user = call_->caller.user.name;
    if (!handler_.enter(user, true)) {
      Error error(Reason::TooManyRequests,
                  fmt::format("user \"{}\" has too many watches open; close some and try again", user));
      error.retryAfterSeconds = 1;
      return call_->fail(error);
    }
    counted_ = user;
    auto id = handler_.registry_.watch(call_->caller, call_->target, request,
                                       [self](const Seen& seen) { self->onSeen(seen); });
    if (!id.ok()) {
      handler_.leave(user, true);
      counted_.clear();
      return call_->fail(id.error());
    }
    net::Headers headers = call_->headers("application/json");
    auto stream = call_->exchange->stream(200, std::move(headers));
    bool open;
    {
      std::lock_guard lock(mutex_);
      watch_ = *id;
      stream_ = stream;
      open = true;
      for (auto& piece : pending_) open = open && stream->write(std::move(piece));
      pending_.clear();
    }
    // The exchange's request is no longer needed; the call would count as in flight for as long as the watch lasts.
    if (!call_->counted.empty()) {
      handler_.leave(call_->counted, false);
      call_->counted.clear();
    }
    stream->onClosed([self] { self->close(); });
    if (!open) return close();
    if (net::Server* server = handler_.server_) {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      timers_.push_back(server->after(seconds, [self] { self->end(); }));
      if (bookmarks_) {
        if (seconds > kLastBookmarkSeconds)
          timers_.push_back(server->after(seconds - kLastBookmarkSeconds, [self] { self->bookmark(); }));
        armBookmark(*server);
      }
    }
  }

 private:
  void armBookmark(net::Server& server) {
    bookmarkTimer_ = server.after(kBookmarkSeconds, [self = shared_from_this(), &server] {
      self->bookmark();
      std::lock_guard lock(self->mutex_);
      if (!self->closed_) self->armBookmark(server);
    });
  }

  void onSeen(const Seen& seen) {
    std::shared_ptr<const std::string> piece = encode(seen);
    std::unique_lock lock(mutex_);
    last_ = std::max(last_, seen.revision);
    if (!piece) return;
    if (!stream_) {
      pending_.push_back(std::move(piece));
      return;
    }
    bool open = stream_->write(std::move(piece));
    lock.unlock();
    if (!open) close();  // gone or too slow: it may come back and take up where it stopped
  }

  std::shared_ptr<const std::string> encode(const Seen& seen) {
    const kube::KindInfo& kind = *call_->target.kind;
    if (seen.initialEnd) {
      if (!initialEndBookmark_) return nullptr;
      return std::make_shared<const std::string>(bookmarkLine(seen.revision, true));
    }
    bool leaving =
        seen.type == store::Event::Type::Deleted && seen.event && seen.event->type != store::Event::Type::Deleted;
    if (call_->accepted.form == Accepted::Form::Object && kind.storage) {
      if (!seen.event) return std::make_shared<const std::string>(line("ADDED", seen.object->bytes));
      int slot = leaving ? 3 : static_cast<int>(seen.type);
      return seen.event->encoded(slot, [&](const store::Event& event) {
        return line(typeText(seen.type), leaving ? leavingObject(event) : event.object->bytes);
      });
    }
    json::Arena arena;
    std::string text = leaving ? leavingObject(*seen.event) : *handler_.registry_.bytesFor(kind, seen.object);
    auto object = json::parse(arena, text);
    if (!object.ok()) return nullptr;
    if (leaving && !kind.storage)
      *object = json::with(arena, *object, "apiVersion", json::string(arena, kind.apiVersion()));
    json::Value shown = *object;
    if (call_->accepted.form == Accepted::Form::PartialMetadata) {
      shown = partialMetadata(arena, *object, call_->accepted.metaVersion);
    } else if (call_->accepted.form == Accepted::Form::Table) {
      json::Value meta =
          json::Object(arena).set("resourceVersion", object->at({"metadata", "resourceVersion"})).build();
      shown = makeTable(arena, kind, {*object}, call_->accepted.metaVersion, call_->param("includeObject"), meta,
                        !columnsSent_, handler_.registry_.clock().now());
      columnsSent_ = true;
    }
    return std::make_shared<const std::string>(line(typeText(seen.type), json::print(shown)));
  }

  std::string bookmarkLine(uint64_t revision, bool initialEnd) {
    const kube::KindInfo& kind = *call_->target.kind;
    json::Arena arena;
    json::Object metadata(arena);
    metadata.set("resourceVersion", std::to_string(revision)).set("creationTimestamp", json::Value());
    if (initialEnd) metadata.set("annotations", json::Object(arena).set("k8s.io/initial-events-end", "true").build());
    json::Value object;
    if (call_->accepted.form == Accepted::Form::Table)
      object = makeTable(arena, kind, {}, call_->accepted.metaVersion, "None",
                         json::without(arena, metadata.build(), "creationTimestamp"), false, {});
    else
      object = json::Object(arena)
                   .set("apiVersion", kind.apiVersion())
                   .set("kind", kind.kind)
                   .set("metadata", metadata.build())
                   .build();
    return line("BOOKMARK", json::print(object));
  }

  void bookmark() {
    uint64_t published = handler_.registry_.store().revision();
    bool open = true;
    {
      std::lock_guard lock(mutex_);
      if (closed_ || !stream_) return;
      last_ = std::max(last_, published);
      open = stream_->write(std::make_shared<const std::string>(bookmarkLine(last_, false)));
    }
    if (!open) close();
  }

  void end() {
    std::shared_ptr<net::Exchange::Stream> stream;
    {
      std::lock_guard lock(mutex_);
      stream = stream_;
    }
    close();
    if (stream) stream->finish();
  }

  void close() {
    std::optional<store::WatchId> watch;
    std::vector<uint64_t> timers;
    {
      std::lock_guard lock(mutex_);
      if (closed_) return;
      closed_ = true;
      watch = watch_;
      timers = std::move(timers_);
      if (bookmarkTimer_) timers.push_back(bookmarkTimer_);
    }
    if (watch) handler_.registry_.unwatch(*watch);
    if (handler_.server_)
      for (uint64_t timer : timers) handler_.server_->cancel(timer);
    if (!counted_.empty()) handler_.leave(counted_, true);
  }

  ApiHandler& handler_;
  std::shared_ptr<Call> call_;
  std::mutex mutex_;
  std::shared_ptr<net::Exchange::Stream> stream_;
  std::vector<std::shared_ptr<const std::string>> pending_;  // before the stream exists
  std::optional<store::WatchId> watch_;
  std::vector<uint64_t> timers_;
  uint64_t bookmarkTimer_ = 0;
  uint64_t last_ = 0;  // highest revision the watcher has been told
  bool bookmarks_ = false, initialEndBookmark_ = false, columnsSent_ = false, closed_ = false;
  std::string counted_;
};

void ApiHandler::serveWatch(const std::shared_ptr<Call>& call) {
  WatchRequest request{.labelSelector = call->param("labelSelector"),
                       .fieldSelector = call->param("fieldSelector"),
                       .resourceVersion = call->param("resourceVersion"),
                       .sendInitialEvents = call->flag("sendInitialEvents"),
                       .resourceVersionMatch = call->param("resourceVersionMatch"),
                       .sendInitialEventsGiven = call->request().url.param("sendInitialEvents").has_value()};
  if (!call->target.name.empty()) {
    if (!request.fieldSelector.empty()) request.fieldSelector += ",";
    request.fieldSelector += "metadata.name=" + call->target.name;
  }
  double seconds = options_.minRequestTimeoutSeconds * (1.0 + static_cast<double>(ids_.random() % 1000) / 1000.0);
  if (std::string text = call->param("timeoutSeconds"); !text.empty()) {
    int64_t asked = 0;
    auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), asked);
    if (ec != std::errc() || *end != '\0' || asked < 0)
      return call->fail(
          Error(Reason::BadRequest,
                fmt::format("invalid timeoutSeconds \"{}\": it must be a whole number, 0 or more", text)));
    if (asked > 0) seconds = static_cast<double>(asked);
  }
  std::make_shared<WatchSession>(*this, call)->start(request, seconds, call->flag("allowWatchBookmarks"));
}

}  // namespace stoker::apiserver
