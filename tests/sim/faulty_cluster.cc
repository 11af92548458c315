#include "faulty_cluster.h"

namespace stoker::sim {

using client::WatchEvent;

FaultyCluster::FaultyCluster(client::Cluster& inner, client::Loop& loop, std::mt19937_64& random, const Faults& faults)
    : inner_(inner), loop_(loop), random_(random), faults_(faults) {}

FaultyCluster::~FaultyCluster() { *alive_ = false; }

bool FaultyCluster::chance(double probability) {
  return probability > 0 && std::uniform_real_distribution<>(0, 1)(random_) < probability;
}

void FaultyCluster::get(const client::Gvr& resource, const std::string& ns, const std::string& name, client::Done<client::Object> done) {
  inner_.get(resource, ns, name, std::move(done));
}

void FaultyCluster::list(const client::Gvr& resource, const client::ListOptions& options, client::Done<client::ObjectList> done) {
  if (chance(faults_.failList)) return done(Error(Reason::ServiceUnavailable, "injected: the list did not arrive"));
  inner_.list(resource, options, std::move(done));
}

// Shared with the tasks that deliver its events; dead once the client dropped its subscription or the stream broke.
class FaultyCluster::Stream {
 public:
  explicit Stream(std::function<void(const WatchEvent&)> onEvent) : onEvent_(std::move(onEvent)) {}
  bool open = true;
  std::unique_ptr<client::Subscription> inner;
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

std::unique_ptr<client::Subscription> FaultyCluster::watch(const client::Gvr& resource, const client::WatchOptions& options,
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
  if (chance(faults_.expireWatch)) {
    loop_.post([stream] { stream->fail(Reason::Expired, "injected: too old resource version"); });
    return std::make_unique<Handle>(stream);
  }
  stream->inner = inner_.watch(resource, options, [this, alive = alive_, stream](const WatchEvent& event) {
    loop_.post([this, alive, stream, event] {
      if (!*alive || !stream->open) return;
      if (chance(faults_.breakWatch)) return stream->fail(Reason::ServiceUnavailable, "injected: the stream broke");
      stream->deliver(event);
      if (chance(faults_.repeatEvent)) stream->deliver(event);
    });
  });
  return std::make_unique<Handle>(stream);
}

void FaultyCluster::write(std::vector<client::Write> writes, client::Mode mode,
                          std::function<void(std::vector<Result<client::Object>>)> done) {
  using Results = std::vector<Result<client::Object>>;
  size_t total = writes.size();
  size_t cut = total;
  if (mode == client::Mode::Sequence && total > 1 && chance(faults_.cutSequence)) cut = 1 + random_() % (total - 1);
  // One by one, as on a server without transactions: each may fail for itself.
  auto results = std::make_shared<Results>();
  bool stopped = false;
  for (size_t i = 0; i < total; ++i) {
    if (stopped) {
      results->push_back(Error(Reason::Unknown, client::kAborted));
      continue;
    }
    if (i >= cut || chance(faults_.failWrite)) {
      results->push_back(Error(Reason::ServiceUnavailable, "injected: the write did not arrive"));
      stopped = mode == client::Mode::Sequence;
      continue;
    }
    if (chance(faults_.conflict)) {
      results->push_back(Error(Reason::Conflict, "injected: somebody else was faster"));
      stopped = mode == client::Mode::Sequence;
      continue;
    }
    bool lose = chance(faults_.loseAnswer);
    std::vector<client::Write> one;
    one.push_back(std::move(writes[i]));
    inner_.write(std::move(one), client::Mode::Each, [&](Results answer) {
      if (lose) results->push_back(Error(Reason::Timeout, "injected: the answer was lost"));
      else results->push_back(std::move(answer[0]));
    });
    if (!results->back().ok()) stopped = mode == client::Mode::Sequence;
  }
  // The answer travels too.
  loop_.post([alive = alive_, results, done = std::move(done)] {
    if (*alive) done(std::move(*results));
  });
}

}  // namespace stoker::sim
