// faulty_cluster.h: a Cluster as unreliable as a network makes it, from one seed. What it does is what a real server and its
// clients must live with; nothing a Kubernetes client need not expect.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <random>

#include "client/cluster.h"
#include "client/loop.h"

namespace stoker::sim {

struct Faults {
  double breakWatch = 0;     ///< per event: the stream ends before it; the client takes up where it was
  double repeatEvent = 0;    ///< per event: delivered twice
  double expireWatch = 0;    ///< per watch started: 410, the client lists again
  double failWrite = 0;      ///< per write: refused before anything happened
  double loseAnswer = 0;     ///< per write: done, but reported as failed
  double conflict = 0;       ///< per write: refused as a conflict
  double cutSequence = 0;    ///< per sequence: ends after a random write, as a crash between two writes would
  double failList = 0;       ///< per list
};

class FaultyCluster final : public client::Cluster {
 public:
  /// Events arrive through `loop` (the network), so that they are late relative to writes.
  FaultyCluster(client::Cluster& inner, client::Loop& loop, std::mt19937_64& random, const Faults& faults);
  ~FaultyCluster() override;

  void get(const client::Gvr& resource, const std::string& ns, const std::string& name, client::Done<client::Object> done) override;
  void list(const client::Gvr& resource, const client::ListOptions& options, client::Done<client::ObjectList> done) override;
  std::unique_ptr<client::Subscription> watch(const client::Gvr& resource, const client::WatchOptions& options,
                                              std::function<void(const client::WatchEvent&)> onEvent) override;
  void write(std::vector<client::Write> writes, client::Mode mode,
             std::function<void(std::vector<Result<client::Object>>)> done) override;

 private:
  class Stream;
  bool chance(double probability);
  client::Cluster& inner_;
  client::Loop& loop_;
  std::mt19937_64& random_;
  const Faults& faults_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::sim
