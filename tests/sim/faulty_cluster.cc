#include "faulty_cluster.h"

#include <algorithm>
#include <deque>

namespace stoker::sim {

using client::WatchEvent;

FaultyCluster::FaultyCluster(client::Cluster& inner, client::Loop& loop, std::mt19937_64& random, const Faults& faults)
    : inner_(inner), loop_(loop), random_(random), faults_(faults) {}

FaultyCluster::~FaultyCluster() { *alive_ = false; }

bool FaultyCluster::chance(double probability) {
  return probability > 0 && static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
}

Duration FaultyCluster::someDelay() {
  return Duration(static_cast<int64_t>(random_() % static_cast<uint64_t>(kLongestDelay.count())));
}

void FaultyCluster::get(const client::Gvr& resource, const std::string& ns, const std::string& name,
                        client::Done<client::Object> done) {
  if (cut_) return done(Error(Reason::ServiceUnavailable, "injected: no way to the server"));
  inner_.get(resource, ns, name, std::move(done));
}

void FaultyCluster::list(const client::Gvr& resource, const client::ListOptions& options,
                         client::Done<client::ObjectList> done) {
  if (cut_ || chance(faults_.failList))
    return done(Error(Reason::ServiceUnavailable, "injected: the list did not arrive"));
  inner_.list(resource, options, std::move(done));
}

// Shared with the tasks that deliver its events; dead once the client dropped its subscription or the stream broke.
class FaultyCluster::Stream {
 public:
  explicit Stream(std::function<void(const WatchEvent&)> onEvent) : onEvent_(std::move(onEvent)) {}
  bool open = true;
  std::unique_ptr<client::Subscription> inner;
  std::deque<WatchEvent> stalled;
  void deliver(const WatchEvent& event) {
    if (open) onEvent_(event);
  }
  void fail(Reason reason, const char* why) {
    if (!open) return;
    WatchEvent event{.type = WatchEvent::Type::Error, .error = Error(reason, why)};
    onEvent_(event);
    open = false;
    inner.reset();
  }

 private:
  std::function<void(const WatchEvent&)> onEvent_;
};

void FaultyCluster::cut(bool cut) {
  cut_ = cut;
  if (!cut) return;
  for (const auto& weak : std::exchange(streams_, {}))
    if (auto stream = weak.lock()) stream->fail(Reason::ServiceUnavailable, "injected: the connection went");
}

std::unique_ptr<client::Subscription> FaultyCluster::watch(const client::Gvr& resource,
                                                           const client::WatchOptions& options,
                                                           std::function<void(const WatchEvent&)> onEvent) {
  class Handle final : public client::Subscription {
   public:
    explicit Handle(std::shared_ptr<Stream> stream) : stream_(std::move(stream)) {}
    ~Handle() override {
      stream_->open = false;
      stream_->inner.reset();
    }

   private:
    std::shared_ptr<Stream> stream_;
  };
  auto stream = std::make_shared<Stream>(std::move(onEvent));
  bool expire = chance(faults_.expireWatch);
  if (cut_ || expire) {
    loop_.post([stream, expire] {
      if (expire)
        stream->fail(Reason::Expired, "injected: too old resource version");
      else
        stream->fail(Reason::ServiceUnavailable, "injected: no way to the server");
    });
    return std::make_unique<Handle>(stream);
  }
  std::erase_if(streams_, [](const auto& weak) { return weak.expired(); });
  streams_.push_back(stream);
  stream->inner = inner_.watch(resource, options, [this, alive = alive_, stream](const WatchEvent& event) {
    loop_.post([this, alive, stream, event] {
      if (*alive) arrive(stream, event);
    });
  });
  return std::make_unique<Handle>(stream);
}

void FaultyCluster::arrive(const std::shared_ptr<Stream>& stream, const WatchEvent& event) {
  if (!stream->open) return;
  if (!stream->stalled.empty()) return stream->stalled.push_back(event);
  if (chance(faults_.breakWatch)) return stream->fail(Reason::ServiceUnavailable, "injected: the stream broke");
  if (chance(faults_.stallWatch)) {
    stream->stalled.push_back(event);
    loop_.at(loop_.now() + someDelay(), [stream] {
      for (const WatchEvent& late : std::exchange(stream->stalled, {})) stream->deliver(late);
    });
    return;
  }
  stream->deliver(event);
  if (chance(faults_.repeatEvent)) stream->deliver(event);
}

void FaultyCluster::write(std::vector<client::Write> writes, client::Mode mode, std::function<void(Results)> done) {
  auto go = [this, alive = alive_, writes = std::make_shared<std::vector<client::Write>>(std::move(writes)), mode,
             done = std::move(done)] {
    if (!*alive) return;
    auto results = std::make_shared<Results>();
    if (mode == client::Mode::Sequence && faults_.transactions)
      performTogether(std::move(*writes), *results);
    else
      perform(std::move(*writes), mode, *results);
    // The answer travels too.
    loop_.post([alive, results, done] {
      if (*alive) done(std::move(*results));
    });
  };
  if (!chance(faults_.delayWrite)) return go();
  loop_.at(loop_.now() + someDelay(), std::move(go));
}

void FaultyCluster::performTogether(std::vector<client::Write> writes, Results& results) {
  size_t total = writes.size();
  auto refuse = [&](Reason reason, const char* why) {
    for (size_t i = 0; i < total; ++i)
      results.push_back(i == 0 ? Error(reason, why) : Error(Reason::Unknown, client::kAborted));
  };
  if (cut_ || chance(faults_.failWrite))
    return refuse(Reason::ServiceUnavailable, "injected: the writes did not arrive");
  if (chance(faults_.conflict)) return refuse(Reason::Conflict, "injected: somebody else was faster");
  bool lose = chance(faults_.loseAnswer);
  inner_.write(std::move(writes), client::Mode::Sequence, [&](Results answer) { results = std::move(answer); });
  if (!lose) return;
  results.clear();
  for (size_t i = 0; i < total; ++i) results.push_back(Error(Reason::Timeout, "injected: the answer was lost"));
}

void FaultyCluster::perform(std::vector<client::Write> writes, client::Mode mode, Results& results) {
  size_t total = writes.size();
  size_t end = total;
  if (mode == client::Mode::Sequence && total > 1 && chance(faults_.cutSequence)) end = 1 + random_() % (total - 1);
  bool stopped = false;
  for (size_t i = 0; i < total; ++i) {
    if (stopped) {
      results.push_back(Error(Reason::Unknown, client::kAborted));
      continue;
    }
    bool lose = false;
    if (cut_ || i >= end || chance(faults_.failWrite)) {
      results.push_back(Error(Reason::ServiceUnavailable, "injected: the write did not arrive"));
    } else if (chance(faults_.conflict)) {
      results.push_back(Error(Reason::Conflict, "injected: somebody else was faster"));
    } else {
      lose = chance(faults_.loseAnswer);
      std::vector<client::Write> one;
      one.push_back(std::move(writes[i]));
      inner_.write(std::move(one), client::Mode::Each, [&](Results answer) {
        if (lose)
          results.push_back(Error(Reason::Timeout, "injected: the answer was lost"));
        else
          results.push_back(std::move(answer[0]));
      });
    }
    if (!results.back().ok()) stopped = mode == client::Mode::Sequence;
  }
}

}  // namespace stoker::sim
