// journal.h
//
// DIR/pods/UID/journal: what happened to a pod's containers, written by its supervisor only, read by anyone, and locked
// by it for as long as it lives: the lock means that a pod is started at most once. Append-only lines "CRC32 record"; a
// line that a crash tore fails its checksum and is passed over. "starting" is on disk before the program of a run is
// executed, which makes a run start at most once; the others follow as soon as they can.
//
//   pod boot=ID version=N             a supervisor took over (again)
//   starting name= attempt= time=     durable before exec
//   started name= attempt= pid= pidStart= time=
//   exited name= attempt= code= signal= oom= reason= message= startedAt= finishedAt=
//   ended                             the supervisor ended the pod in order
//
// Times are nanoseconds since 1970. Standard library only: compiled into the supervisor too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "node/runtime/pod_runtime.h"
#include "node/runtime/wire.h"

namespace stoker::node {

/// "CRC32 record\n".
std::string journalLine(const Record& record);
/// Every intact record of `text`, in order.
std::vector<Record> parseJournal(std::string_view text);

/// One run of one container, as the journal tells it.
struct JournalRun {
  std::string name;
  int attempt = 0;
  int64_t pid = 0;  ///< of the run's init on the host; 0 when it never started
  int64_t pidStart =
      0;  ///< that process's start time (/proc/PID/stat field 22), so that a reused id is not mistaken for it
  Time startingAt{};
  Time startedAt{};
  std::optional<ContainerExited> exited;
};

struct JournalState {
  std::string bootId;
  bool ended = false;
  std::vector<JournalRun> runs;
  JournalRun* find(std::string_view name, int attempt);
};

JournalState replayJournal(const std::vector<Record>& records);

/// Closes every run that has no end (its supervisor is dead) as ContainerStatusUnknown found at `now`; returns those
/// exits. `rebooted` only changes the message.
std::vector<ContainerExited> closeUnfinished(JournalState& state, Time now, bool rebooted);

Record exitedRecord(const ContainerExited& exited);
ContainerExited exitedFromRecord(const Record& record);

int64_t toNanos(Time time);
Time fromNanos(int64_t nanos);

}  // namespace stoker::node
