// pod_store.h
//
// DIR/pods/UID as the platform sees it: writing a pod's spec, starting its supervisor, finding out what became of it.
// Blocking; called from the runtime's pool and from recover().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "node/runtime/codec.h"
#include "node/runtime/journal.h"

namespace stoker::node {

/// Spec written, supervisor started. The descriptor is the connection to it.
Result<int> startSupervisor(const std::string& supervisorPath, const std::string& podDirectory,
                            const SupervisorSpec& spec);

/// True while a supervisor holds the lock on the pod's journal.
bool supervisorAlive(const std::string& podDirectory);
/// Connects to a live supervisor, waiting a moment for one that is just starting; NotFound when it is dead.
Result<int> connectSupervisor(const std::string& podDirectory);

/// The spec; a pod whose file is unreadable (the machine died as it was written) is known by its uid alone.
SupervisorSpec readPodSpec(const std::string& podDirectory, const std::string& podUid);

struct SettledPod {
  JournalState journal;
  std::vector<ContainerExited> closed;  ///< runs nobody saw the end of, closed now
  bool rebooted = false;
};

/// For a pod whose supervisor is dead: ends what may still run of it, closes its unfinished runs in the journal.
SettledPod settlePod(const std::string& podDirectory);

/// rm -rf that stays on one file system.
void removeDirectoryTree(const std::string& path);

std::string currentBootId();

}  // namespace stoker::node
