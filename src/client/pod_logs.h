// pod_logs.h: where container logs come from: the node agent in this process, or (another issue) an agent over HTTPS.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace stoker::client {

/// PodLogOptions.
struct LogOptions {
  std::string container;  ///< resolved: never empty
  bool follow = false, previous = false, timestamps = false;
  std::optional<int64_t> tailLines, limitBytes;
  std::optional<Time> since;
};

/// Who receives the text. Called from one thread at a time.
class LogSink {
 public:
  virtual ~LogSink() = default;
  /// False when the reader is gone: stop.
  virtual bool write(std::string text) = 0;
  virtual void finish() = 0;
  /// `callback` runs once when the reader goes away (at once if it already has).
  virtual void onClosed(std::function<void()> callback) = 0;
};

class PodLogs {
 public:
  virtual ~PodLogs() = default;
  /// Ok: text follows to `sink` (possibly after the call returns), then finish(). Error: nothing was written; NotFound
  /// when the container has not started ("container \"x\" in pod \"y\" is waiting to start: ContainerCreating" is
  /// BadRequest and decided by the API server, which knows the pod's status).
  virtual Result<void> open(const std::string& podUid, const LogOptions& options, std::shared_ptr<LogSink> sink) = 0;
};

}  // namespace stoker::client
