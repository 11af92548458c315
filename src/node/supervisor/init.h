// init.h
//
// The first process of a container: it builds the root, starts the program, forwards signals, reaps orphans, and ends
// with the program, taking the whole PID namespace with it. Never returns.
#pragma once

#include "node/runtime/codec.h"
#include "node/supervisor/rootfs.h"

namespace stoker::node {

/// What the supervisor and an init tell each other. The init's ends are these descriptors.
struct InitPipes {
  int out = -1;     ///< the program's stdout
  int err = -1;     ///< the program's stderr
  int report = -1;  ///< written: kReportExec just before exec, then text when exec fails; text alone when set-up fails
  int go = -1;      ///< read: one byte once "starting" is on disk; end of file: the supervisor has died
  int status = -1;  ///< written: the program's wait status (int)
};

inline constexpr char kReportExec = '\x01';

struct InitPlan {
  const ContainerSpec& spec;
  const RootPlan& root;
  InitPipes pipes;
};

[[noreturn]] void runInit(const InitPlan& plan);

/// Where exec would find `program`, as shells do; the message is the container runtimes' own
/// ("exec: \"x\": executable file not found in $PATH").
Problem findProgram(const std::string& program, const std::string& path, std::string& found);

}  // namespace stoker::node
