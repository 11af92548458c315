// pod_log_files.h
//
// Container logs read from the CRI files that the supervisors write: <directory>/NS_NAME_UID/CONTAINER/ATTEMPT.log with
// its rotated predecessors beside it. Following waits on inotify and on the agent's word that the run has ended;
// nothing polls. One thread per reader, bounded.
#pragma once

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "client/pod_logs.h"

namespace stoker::node {

class PodLogFiles final : public client::PodLogs {
 public:
  explicit PodLogFiles(std::string directory);
  ~PodLogFiles() override;  ///< ends all readers

  /// NotFound: the container has no log here (yet); BadRequest: no previous run; TooManyRequests: too many readers.
  Result<void> open(const std::string& podUid, const client::LogOptions& options,
                    std::shared_ptr<client::LogSink> sink) override;

  /// The agent's word: a run began or ended. Followers of a run that ended read to its end and finish. From any thread.
  void setRunning(const std::string& podUid, const std::string& container, int attempt, bool running);

 private:
  class Reader;
  bool isRunning(const std::string& podUid, const std::string& container, int attempt);

  std::string directory_;
  std::mutex mutex_;
  std::set<std::string> running_;  ///< "uid/container/attempt"
  std::list<std::unique_ptr<Reader>> readers_;
  bool stopping_ = false;
};

/// The files of one run in the order they were written: rotated ones by name, then the current one. Names only.
std::vector<std::string> filesOfRun(const std::vector<std::string>& names, int attempt);
/// The latest attempt with a file among `names`; -1 when there is none.
int latestAttempt(const std::vector<std::string>& names);

}  // namespace stoker::node
