// run.h
//
// One run of one container as its supervisor keeps it: the init process, the pipes, the log, the journal's view.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "node/runtime/codec.h"
#include "node/runtime/cri_log.h"
#include "node/supervisor/cgroup.h"
#include "node/supervisor/init.h"

namespace stoker::node {

class Run {
 public:
  Run(ContainerSpec spec, std::string directory);
  ~Run();
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Opens the log and the pipes and clones the init, which builds its root and then waits for release().
  Problem launch(const SupervisorSpec& pod, const PodCgroups& cgroups);
  /// "starting" is on disk: the program may be executed.
  void release();
  /// SIGTERM now, SIGKILL at `deadline` (monotonic ns); an earlier deadline than the one set replaces it.
  void stop(long long deadline);
  /// SIGKILL to the init: the kernel ends the whole PID namespace with it.
  void kill();

  enum class Pipe { Out, Err, Report };
  int descriptor(Pipe pipe) const { return pipe == Pipe::Out ? out_ : pipe == Pipe::Err ? err_ : report_; }
  /// Reads what is there. False at the end of the stream (the pipe is closed then).
  bool readable(Pipe pipe);
  /// After the init was reaped with `initStatus`: drains the pipes and says how the run ended.
  ContainerExited finish(int initStatus, long oomKills);

  const ContainerSpec& spec() const { return spec_; }
  const std::string& directory() const { return directory_; }
  pid_t pid() const { return pid_; }
  long long killAt() const { return killAt_; }  ///< 0: no stop was asked for
  /// The report pipe ended right after exec.
  bool executed() const { return report_ < 0 && reported_.size() == 1 && reported_[0] == kReportExec; }
  long long startedAt = 0;  ///< wall ns; 0 until executed
  long long pidStart = 0;

 private:
  void closeAll();
  ContainerSpec spec_;
  std::string directory_;
  LogFile log_;
  LogFormatter outLines_{LogStream::Stdout};
  LogFormatter errLines_{LogStream::Stderr};
  int out_ = -1, err_ = -1, report_ = -1, go_ = -1, status_ = -1;
  pid_t pid_ = -1;
  int pidfd_ = -1;
  long long killAt_ = 0;
  std::string reported_;
  std::string terminationFile_;
};

}  // namespace stoker::node
