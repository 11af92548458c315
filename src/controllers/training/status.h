// status.h
//
// The rules by which a training job's conditions change (training-operator 1.9, pkg/util/status.go): nothing changes
// once Failed is True; Running and Restarting evict each other; Running turns False when the job ends; what changed
// stands last.
#pragma once

#include "client/plan.h"
#include "controllers/training/workload.h"

namespace stoker::controllers::training {

inline constexpr const char* kCreated = "Created";
inline constexpr const char* kRunning = "Running";
inline constexpr const char* kRestarting = "Restarting";
inline constexpr const char* kSuspended = "Suspended";
inline constexpr const char* kSucceeded = "Succeeded";
inline constexpr const char* kFailed = "Failed";

bool isFinished(const api::JobStatus& status);

/// Sets a condition by the rules above. True when something changed.
bool setCondition(api::JobStatus& status, const std::string& type, bool value, const std::string& reason,
                  const std::string& message, Time now);

/// A status being worked out, and the events that go with it.
class StatusEditor {
 public:
  StatusEditor(const Workload& job, Time now) : job_(job), now_(now), next_(job.status) {}
  const Workload& job() const { return job_; }
  Time now() const { return now_; }
  api::JobStatus& status() { return next_; }
  const api::JobStatus& status() const { return next_; }
  bool is(const char* type) const { return api::isTrue(next_.conditions, type); }
  bool finished() const { return isFinished(next_); }

  /// Sets the condition with reason <Kind><reason>. Tells it as an event when something changed and `eventType` is
  /// given.
  bool set(const char* type, bool value, const char* reason, const std::string& message,
           const char* eventType = nullptr);
  void event(const char* eventType, const std::string& reason, const std::string& message);
  /// Ends the job: completionTime, condition, event.
  void finish(const char* type, const std::string& message);

  /// True when anything but lastReconcileTime differs from the job's present status.
  bool changed() const;
  /// The merge patch {"status": ...}; lastReconcileTime set. Call only when changed().
  std::string patch();
  std::vector<client::EventNote>& events() { return events_; }

 private:
  const Workload& job_;
  Time now_;
  api::JobStatus next_;
  std::vector<client::EventNote> events_;
};

}  // namespace stoker::controllers::training
