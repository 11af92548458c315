#include "apiserver/http/logs.h"

#include <fmt/format.h>

#include "apiserver/http/call.h"
#include "base/strings.h"

namespace stoker::apiserver {
namespace {

class StreamSink final : public client::LogSink {
 public:
  StreamSink(std::shared_ptr<net::Exchange> exchange) : exchange_(std::move(exchange)) {}
  void begin() {
    stream_ = exchange_->stream(200, {{"Content-Type", "text/plain"}, {"Cache-Control", "no-cache, private"}});
  }
  bool write(std::string text) override { return stream_->write(std::make_shared<const std::string>(std::move(text))); }
  void finish() override { stream_->finish(); }
  void onClosed(std::function<void()> callback) override { stream_->onClosed(std::move(callback)); }

 private:
  std::shared_ptr<net::Exchange> exchange_;
  std::shared_ptr<net::Exchange::Stream> stream_;
};

Result<std::optional<int64_t>> wholeNumber(const net::Request& request, std::string_view name) {
  auto text = request.url.param(name);
  if (!text || text->empty()) return std::optional<int64_t>();
  int64_t value = 0;
  auto [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
  if (ec != std::errc() || end != text->data() + text->size() || value < 0)
    return Error(Reason::Invalid,
                 fmt::format("PodLogOptions \"\" is invalid: {}: Invalid value: {}: must be a whole number, 0 or more",
                             name, quote(*text)));
  return std::optional(value);
}

bool flag(const net::Request& request, std::string_view name) { return queryFlag(request.url, name); }

}  // namespace

Result<std::string> resolveContainer(json::Value pod, std::string_view asked) {
  json::Value spec = pod["spec"];
  std::string all, inits;
  for (json::Value c : spec["containers"].items()) {
    if (!asked.empty() && c["name"].asString() == asked) return std::string(asked);
    all += (all.empty() ? "" : " ") + c["name"].str();
  }
  for (json::Value c : spec["initContainers"].items()) {
    if (!asked.empty() && c["name"].asString() == asked) return std::string(asked);
    inits += (inits.empty() ? "" : " ") + c["name"].str();
  }
  std::string_view name = pod.at({"metadata", "name"}).asString();
  if (!asked.empty())
    return Error(Reason::BadRequest, fmt::format("container {} is not valid for pod {}", asked, name));
  if (spec["containers"].size() == 1) return spec["containers"][0]["name"].str();
  std::string preferred = pod.at({"metadata", "annotations", "kubectl.kubernetes.io/default-container"}).str();
  if (!preferred.empty()) return resolveContainer(pod, preferred);
  std::string message = fmt::format("a container name must be specified for pod {}, choose one of: [{}]", name, all);
  if (!inits.empty()) message += fmt::format(" or one of the init containers: [{}]", inits);
  return Error(Reason::BadRequest, message);
}

Result<void> hasStarted(json::Value pod, std::string_view container, bool previous) {
  std::string_view name = pod.at({"metadata", "name"}).asString();
  for (std::string_view list : {"containerStatuses", "initContainerStatuses"}) {
    for (json::Value status : pod["status"][list].items()) {
      if (status["name"].asString() != container) continue;
      if (previous) {
        if (status.at({"lastState"}).has("terminated")) return {};
        return Error(Reason::BadRequest, fmt::format("previous terminated container {} in pod {} not found",
                                                     quote(container), quote(name)));
      }
      json::Value waiting = status["state"]["waiting"];
      if (!waiting.isObject() || status["lastState"].has("terminated")) return {};
      std::string_view reason = waiting["reason"].asString();
      return Error(Reason::BadRequest, fmt::format("container {} in pod {} is waiting to start: {}", quote(container),
                                                   quote(name), reason.empty() ? "ContainerCreating" : reason));
    }
  }
  if (pod["spec"]["nodeName"].asString().empty())
    return Error(Reason::BadRequest, fmt::format("pod {} does not have a host assigned", name));
  return Error(Reason::BadRequest, fmt::format("container {} in pod {} is waiting to start: ContainerCreating",
                                               quote(container), quote(name)));
}

ConnectHandler podLogHandler(client::PodLogs& logs, const Clock& clock) {
  return [&logs, &clock](std::shared_ptr<net::Exchange> exchange, const Caller&, const Target&,
                         std::shared_ptr<json::Doc> pod) {
    const net::Request& request = exchange->request();
    auto fail = [&](const Error& error) {
      json::Arena arena;
      exchange->respond({.status = httpCode(error.reason),
                         .headers = {{"Content-Type", "application/json"}},
                         .body = std::make_shared<const std::string>(json::print(statusOf(arena, error)) + "\n")});
    };
    client::LogOptions options{.follow = flag(request, "follow"),
                               .previous = flag(request, "previous"),
                               .timestamps = flag(request, "timestamps")};
    auto container = resolveContainer(pod->root, request.url.param("container").value_or(""));
    if (!container.ok()) return fail(container.error());
    options.container = *container;
    auto tail = wholeNumber(request, "tailLines");
    if (!tail.ok()) return fail(tail.error());
    options.tailLines = *tail;
    auto limit = wholeNumber(request, "limitBytes");
    if (!limit.ok()) return fail(limit.error());
    options.limitBytes = *limit;
    auto since = wholeNumber(request, "sinceSeconds");
    if (!since.ok()) return fail(since.error());
    if (*since) options.since = plusSeconds(clock.now(), -**since);
    if (auto text = request.url.param("sinceTime"); text && !text->empty()) {
      options.since = parseTime(*text);
      if (!options.since)
        return fail(Error(Reason::BadRequest,
                          fmt::format("invalid sinceTime {}: it must be an RFC 3339 time such as 2026-01-02T15:04:05Z",
                                      quote(*text))));
    }
    if (auto started = hasStarted(pod->root, *container, options.previous); !started.ok()) return fail(started.error());
    auto sink = std::make_shared<StreamSink>(exchange);
    // The head goes out with the first text, so that an error can still be answered as one.
    class Lazy final : public client::LogSink {
     public:
      explicit Lazy(std::shared_ptr<StreamSink> sink) : sink_(std::move(sink)) {}
      bool write(std::string text) override { return open().write(std::move(text)); }
      void finish() override { open().finish(); }
      void onClosed(std::function<void()> callback) override { open().onClosed(std::move(callback)); }

     private:
      StreamSink& open() {
        std::call_once(once_, [&] { sink_->begin(); });
        return *sink_;
      }
      std::shared_ptr<StreamSink> sink_;
      std::once_flag once_;
    };
    if (auto opened = logs.open(pod->root.at({"metadata", "uid"}).str(), options, std::make_shared<Lazy>(sink));
        !opened.ok())
      fail(opened.error());
  };
}

}  // namespace stoker::apiserver
