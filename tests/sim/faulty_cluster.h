// faulty_cluster.h: a Cluster as unreliable as a network makes it, from one seed. What it does is what a real server
// and its clients must live with; nothing a Kubernetes client need not expect.
#pragma once

#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "client/cluster.h"
#include "client/loop.h"

namespace stoker::sim {

/// Probabilities, but for the first.
struct Faults {
  bool transactions =
      false;               ///< sequences are one transaction, as when embedded; else write by write, as over a network
  double breakWatch = 0;   ///< per event: the stream ends before it; the client takes up where it was
  double stallWatch = 0;   ///< per event: it and those behind it come up to kLongestDelay later; other watches go on
  double repeatEvent = 0;  ///< per event: delivered twice
  double expireWatch = 0;  ///< per watch started: 410, the client lists again
  double failWrite = 0;    ///< per write: refused before anything happened
  double loseAnswer = 0;   ///< per write: done, but reported as failed
  double conflict = 0;     ///< per write: refused as a conflict
  double cutSequence = 0;  ///< per sequence (no transactions): ends after a random write, as a crash between two would
  double delayWrite = 0;   ///< per call: it arrives up to kLongestDelay later; the world goes on meanwhile
  double failList = 0;     ///< per list
};

inline constexpr Duration kLongestDelay = 300ms;

class FaultyCluster final : public client::Cluster {
 public:
  /// Events and answers arrive through `loop` (the network), so that they are late relative to writes.
  FaultyCluster(client::Cluster& inner, client::Loop& loop, std::mt19937_64& random, const Faults& faults);
  ~FaultyCluster() override;

  /// Nothing gets through in either direction while it is cut; open watches end.
  void cut(bool cut);

  void get(const client::Gvr& resource, const std::string& ns, const std::string& name,
           client::Done<client::Object> done) override;
  void list(const client::Gvr& resource, const client::ListOptions& options,
            client::Done<client::ObjectList> done) override;
  std::unique_ptr<client::Subscription> watch(const client::Gvr& resource, const client::WatchOptions& options,
                                              std::function<void(const client::WatchEvent&)> onEvent) override;
  void write(std::vector<client::Write> writes, client::Mode mode,
             std::function<void(std::vector<Result<client::Object>>)> done) override;

 private:
  using Results = std::vector<Result<client::Object>>;
  class Stream;
  void arrive(const std::shared_ptr<Stream>& stream, const client::WatchEvent& event);
  bool chance(double probability);
  Duration someDelay();
  void perform(std::vector<client::Write> writes, client::Mode mode, Results& results);
  void performTogether(std::vector<client::Write> writes, Results& results);

  client::Cluster& inner_;
  client::Loop& loop_;
  std::mt19937_64& random_;
  const Faults& faults_;
  bool cut_ = false;
  std::vector<std::weak_ptr<Stream>> streams_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace stoker::sim
