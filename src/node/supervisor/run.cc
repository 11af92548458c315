#include "node/supervisor/run.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

#include "node/supervisor/sandbox.h"

namespace stoker::node {
namespace {

constexpr size_t kReadBytes = 64 << 10;          // a pipe's whole capacity
constexpr size_t kMaxReportBytes = 4 << 10;      // an error text; anything longer is not ours
constexpr size_t kMaxTerminationMessage = 4096;  // Kubernetes' limit per container
constexpr int kStartErrorCode = 128;             // what CRI runtimes report for a program that never ran

bool makePipe(int& readEnd, int& writeEnd) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  readEnd = ends[0];
  writeEnd = ends[1];
  return true;
}

void closeFd(int& fd) {
  if (fd >= 0) close(fd);
  fd = -1;
}

std::string parentOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

}  // namespace

Run::Run(ContainerSpec spec, std::string directory)
    : spec_(std::move(spec)),
      directory_(std::move(directory)),
      log_(spec_.logPath, spec_.logMaxBytes, spec_.logMaxFiles) {}

Run::~Run() { closeAll(); }

void Run::closeAll() {
  for (int* fd : {&out_, &err_, &report_, &go_, &status_, &pidfd_}) closeFd(*fd);
}

Problem Run::launch(const SupervisorSpec& pod, const PodCgroups& cgroups) {
  if (spec_.logPath.empty() || spec_.logPath[0] != '/') return {"log path \"" + spec_.logPath + "\" must be absolute"};
  if (!makeDirs(directory_, 0700)) return systemProblem("cannot create " + directory_);
  if (!makeDirs(parentOf(spec_.logPath))) return systemProblem("cannot create " + parentOf(spec_.logPath));
  if (!log_.open()) return {log_.error()};
  const std::string& memory = pod.runDirectory;
  const std::string self = spec_.name + "-" + std::to_string(spec_.attempt);
  const bool host = spec_.root.kind == RootFs::Kind::Host;
  RootPlan root;
  root.directory = directory_;
  root.target = memory + "/root";
  root.cover = memory + (host ? "/cover-host" : "/cover-" + self);
  root.shm = memory + "/shm";
  root.masked = pod.masked;
  root.cgroupVersion = cgroups.version();
  root.cgroups = cgroups.directories(spec_.name);
  root.userNamespace = pod.userNamespace;
  if (!host || access(root.cover.c_str(), F_OK) != 0) {
    if (Problem p = prepareCover(spec_.root, root.cover, nameFiles(pod), pod.masked, pod.userNamespace)) return p;
  }
  if (!spec_.terminationMessagePath.empty()) {
    terminationFile_ = memory + "/termination-" + self;
    root.terminationFile = terminationFile_;
    if (Problem p = writeAll(terminationFile_, "", 0666)) return p;
    chmod(terminationFile_.c_str(), 0666);
  }

  InitPipes ends;
  if (!makePipe(out_, ends.out) || !makePipe(err_, ends.err) || !makePipe(report_, ends.report) ||
      !makePipe(ends.go, go_) || !makePipe(status_, ends.status)) {
    return systemProblem("cannot create pipes");
  }
  for (const int fd : {out_, err_, report_, status_}) fcntl(fd, F_SETFL, O_NONBLOCK);

  clone_args args{};
  args.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_PIDFD;
  args.exit_signal = SIGCHLD;
  args.pidfd = reinterpret_cast<uint64_t>(&pidfd_);
  int cgroup = cgroups.openForClone(spec_.name);
  if (cgroup >= 0) {
    args.flags |= CLONE_INTO_CGROUP;
    args.cgroup = static_cast<uint64_t>(cgroup);
  }
  const auto pid = static_cast<pid_t>(syscall(SYS_clone3, &args, sizeof args));
  if (pid == 0) runInit({spec_, root, ends});
  const Problem failed = systemProblem("cannot clone the container's init");
  const bool born = cgroup >= 0;
  closeFd(cgroup);
  for (int* fd : {&ends.out, &ends.err, &ends.report, &ends.go, &ends.status}) closeFd(*fd);
  if (pid < 0) return failed;
  pid_ = pid;
  // From here, while the init builds its root: entering a group can wait for the kernel longer than all the rest takes.
  if (!born) return cgroups.enter(spec_.name, pid_);
  return {};
}

void Run::release() {
  // Should the init be gone already, its exit says so.
  static_cast<void>(!write(go_, "g", 1));
  closeFd(go_);
}

void Run::stop(long long deadline) {
  if (killAt_ == 0) syscall(SYS_pidfd_send_signal, pidfd_, SIGTERM, nullptr, 0);
  if (killAt_ == 0 || deadline < killAt_) killAt_ = deadline;
}

void Run::kill() {
  syscall(SYS_pidfd_send_signal, pidfd_, SIGKILL, nullptr, 0);
  killAt_ = -1;  // done; nothing left to wait for
}

bool Run::readable(Pipe pipe) {
  static char buffer[kReadBytes];
  int& fd = pipe == Pipe::Out ? out_ : pipe == Pipe::Err ? err_ : report_;
  if (fd < 0) return false;
  const ssize_t n = read(fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
  if (pipe == Pipe::Report) {
    if (n <= 0) {
      closeFd(fd);
      return false;
    }
    if (reported_.size() < kMaxReportBytes) reported_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  LogFormatter& lines = pipe == Pipe::Out ? outLines_ : errLines_;
  const long long now = wallNanos();
  std::string text;
  if (n <= 0) {
    lines.finish(logTime(now), text);
    closeFd(fd);
  } else {
    lines.add(std::string_view(buffer, static_cast<size_t>(n)), logTime(now), text);
  }
  if (!text.empty()) log_.write(text, now);
  return n > 0;
}

ContainerExited Run::finish(int initStatus, long oomKills) {
  const long long now = wallNanos();
  // The PID namespace is empty now, so the pipes hold all there will ever be. A writer outside it (a descriptor passed
  // over a socket) must not hold up the end: what is there is taken, the rest is not waited for.
  for (const Pipe pipe : {Pipe::Report, Pipe::Out, Pipe::Err}) {
    int waiting = 1;
    while (waiting > 0 && readable(pipe)) {
      if (ioctl(descriptor(pipe), FIONREAD, &waiting) != 0) waiting = 0;
    }
  }
  std::string rest;
  outLines_.finish(logTime(now), rest);
  errLines_.finish(logTime(now), rest);
  if (!rest.empty()) log_.write(rest, now);

  ContainerExited exited;
  exited.name = spec_.name;
  exited.attempt = spec_.attempt;
  exited.finishedAt = Time(Duration(now));

  const bool ran = !reported_.empty() && reported_[0] == kReportExec;
  const std::string failure = reported_.substr(ran ? 1 : 0);
  if (!failure.empty()) {
    exited.exitCode = kStartErrorCode;
    exited.reason = "StartError";
    exited.message = failure;
    return exited;
  }
  // A run that ended before its exec was noticed did start.
  if (ran && startedAt == 0) startedAt = now;
  exited.startedAt = Time(Duration(startedAt));

  int status = 0;
  if (read(status_, &status, sizeof status) != sizeof status)
    status = initStatus;  // the init was killed with the program
  if (WIFSIGNALED(status)) {
    exited.signal = WTERMSIG(status);
    exited.exitCode = 128 + exited.signal;
  } else {
    exited.exitCode = WEXITSTATUS(status);
  }
  exited.oomKilled = oomKills > 0 && exited.exitCode != 0;
  exited.reason = exited.oomKilled ? "OOMKilled" : exited.exitCode == 0 ? "Completed" : "Error";
  if (!terminationFile_.empty()) {
    exited.message = readAll(terminationFile_, kMaxTerminationMessage);
    unlink(terminationFile_.c_str());
  }
  return exited;
}

}  // namespace stoker::node
