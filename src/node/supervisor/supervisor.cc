#include "node/supervisor/supervisor.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include "node/runtime/wire.h"
#include "node/supervisor/sandbox.h"

namespace stoker::node {
namespace {

// Exits may be lost with the machine for this long (the machine's end is then their end): one sync serves many records.
constexpr long long kSyncDelayNanos = 50'000'000;
// Grace for a SIGTERM from outside (machine shutdown).
constexpr int kShutdownGraceSeconds = 10;
// A platform that does not read is dropped beyond this; it reconnects and is told everything again.
constexpr size_t kMaxOutputBytes = 16 << 20;
constexpr int kMaxEvents = 32;
// When the supervisor leaves the platform's own cgroups: soon, but not while the pod's first containers wait for it.
constexpr long long kLeaveDelayNanos = 200'000'000;

}  // namespace

Supervisor::Supervisor(std::string directory, int control) : directory_(std::move(directory)), control_(control) {}

Supervisor::~Supervisor() {
  for (const int fd : {journal_, epoll_, listener_, signals_})
    if (fd >= 0) close(fd);
}

void Supervisor::watch(int fd, unsigned events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = fd;
  if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) != 0) epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
}

Problem Supervisor::prepare() {
  const std::string path = directory_ + "/journal";
  journal_ = open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (journal_ < 0) return systemProblem("cannot open " + path);
  struct flock whole {};
  whole.l_type = F_WRLCK;
  if (fcntl(journal_, F_OFD_SETLK, &whole) != 0) return {kPodHeld};
  std::string text = readAll(directory_ + "/spec", kMaxRecordBytes);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  const std::optional<Record> record = parseRecord(text);
  std::optional<SupervisorSpec> spec = record ? fromRecord<SupervisorSpec>(*record) : std::nullopt;
  if (!spec) return {"cannot read " + directory_ + "/spec"};
  if (spec->version != kProtocolVersion) {
    return {"spec version " + std::to_string(spec->version) + " is not " + std::to_string(kProtocolVersion) +
            ": stoker and stoker-supervisor are of different releases"};
  }
  spec_ = std::move(*spec);
  bootId_ = readAll("/proc/sys/kernel/random/boot_id", 64);
  if (!bootId_.empty() && bootId_.back() == '\n') bootId_.pop_back();

  const std::string past = readAll(path, 64 << 20);
  history_ = replayJournal(parseJournal(past));
  const std::string pastBoot = history_.bootId;
  if (!past.empty() && past.back() != '\n') static_cast<void>(!write(journal_, "\n", 1));  // closes a torn line
  if (!append(Record("pod").add("boot", bootId_).add("version", kProtocolVersion), false)) {
    return systemProblem("cannot write " + path);
  }
  // Runs of a former supervisor are over, whatever became of them.
  for (const ContainerExited& exited : closeUnfinished(history_, fromNanos(wallNanos()), pastBoot != bootId_)) {
    if (!append(exitedRecord(exited), false)) return systemProblem("cannot write " + path);
  }

  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  for (const int ignored : {SIGPIPE, SIGHUP, SIGINT, SIGQUIT}) signal(ignored, SIG_IGN);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  epoll_ = epoll_create1(EPOLL_CLOEXEC);

  cgroups_ = std::make_unique<PodCgroups>(spec_.cgroup);
  if (Problem p = cgroups_->createPod(spec_.pod.limits)) return p;
  if (Problem p = createSandbox(spec_)) return p;

  // Relative, because a socket's path may have 107 characters only.
  if (chdir(directory_.c_str()) != 0) return systemProblem("cannot enter " + directory_);
  unlink("socket");
  listener_ = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, "socket");
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || listen(listener_, 8) != 0) {
    return systemProblem("cannot listen on " + directory_ + "/socket");
  }
  chmod("socket", 0600);
  leaveAt_ = spec_.cgroup.supervisorProcs.empty() ? 0 : monotonicNanos() + kLeaveDelayNanos;
  watch(listener_, EPOLLIN);
  watch(signals_, EPOLLIN);
  if (control_ >= 0) {
    addClient(control_);
    control_ = -1;
  }
  return {};
}

void Supervisor::reportFailure(const Problem& problem) {
  static_cast<void>(writeAll(directory_ + "/supervisor.log", logTime(wallNanos()) + " " + problem.text + "\n", 0600));
  if (control_ < 0) return;
  const std::string line = encode(Record("failed").add("what", "ensurePod").add("message", problem.text)) + "\n";
  static_cast<void>(!::send(control_, line.data(), line.size(), MSG_NOSIGNAL));
}

bool Supervisor::append(const Record& record, bool durable) {
  const std::string line = journalLine(record);
  const off_t before = lseek(journal_, 0, SEEK_END);
  if (write(journal_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    const int error = errno;
    static_cast<void>(!ftruncate(journal_, before));
    errno = error;
    return false;
  }
  if (durable) return fdatasync(journal_) == 0;
  if (syncAt_ == 0) syncAt_ = monotonicNanos() + kSyncDelayNanos;
  return true;
}

// ---------------------------------------------------------------------------------------------------------------
// clients

void Supervisor::accept() {
  const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (fd >= 0) addClient(fd);
}

void Supervisor::addClient(int fd) {
  fcntl(fd, F_SETFL, O_NONBLOCK);
  fcntl(fd, F_SETFD, FD_CLOEXEC);
  auto client = std::make_unique<Client>();
  client->fd = fd;
  clients_.push_back(std::move(client));
  watch(fd, EPOLLIN);
  greet(*clients_.back());
}

void Supervisor::greet(Client& client) {
  Record hello("hello");
  hello.add("version", kProtocolVersion).add("pod", spec_.pod.uid).add("ip", spec_.network.ip).add("boot", bootId_);
  send(client, hello);
  for (const JournalRun& run : history_.runs) {
    if (run.exited) {
      send(client, exitedRecord(*run.exited));
    } else if (run.startedAt != Time{}) {
      send(client, Record("started")
                       .add("name", run.name)
                       .add("attempt", run.attempt)
                       .add("pid", run.pid)
                       .add("pidStart", run.pidStart)
                       .add("time", toNanos(run.startedAt)));
    } else {
      send(client, Record("starting").add("name", run.name).add("attempt", run.attempt));
    }
  }
  send(client, Record("synced"));
}

void Supervisor::send(Client& client, const Record& record) {
  if (client.closed) return;
  client.output += encode(record) + "\n";
  flush(client);
}

void Supervisor::flush(Client& client) {
  while (!client.output.empty()) {
    const ssize_t n = ::send(client.fd, client.output.data(), client.output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN && client.output.size() < kMaxOutputBytes) {
      if (!std::exchange(client.waiting, true)) watch(client.fd, EPOLLIN | EPOLLOUT);
      return;
    }
    if (n <= 0) {
      client.closed = true;
      return;
    }
    client.output.erase(0, static_cast<size_t>(n));
  }
  if (std::exchange(client.waiting, false)) watch(client.fd, EPOLLIN);
}

void Supervisor::broadcast(const Record& record) {
  for (const auto& client : clients_) send(*client, record);
}

void Supervisor::dropClosed() {
  for (size_t i = clients_.size(); i-- > 0;) {
    if (!clients_[i]->closed) continue;
    close(clients_[i]->fd);
    clients_.erase(clients_.begin() + static_cast<long>(i));
  }
}

void Supervisor::clientEvent(Client& client, unsigned events) {
  if ((events & EPOLLOUT) != 0) flush(client);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0) return;
  static char buffer[64 << 10];
  const ssize_t n = recv(client.fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) {
    client.closed = true;
    return;
  }
  client.input.append(std::string_view(buffer, static_cast<size_t>(n)));
  while (std::optional<std::string> line = client.input.next()) {
    if (std::optional<Record> command = parseRecord(*line)) {
      handle(client, *command);
    } else {
      send(client, Record("failed").add("what", "parse").add("message", "not a record: " + line->substr(0, 200)));
    }
  }
  if (client.input.overflowing()) client.closed = true;
}

void Supervisor::handle(Client& client, const Record& command) {
  if (command.type == "start") {
    start(client, command);
  } else if (command.type == "stop") {
    Run* run = running(command.get("name"));
    if (run == nullptr) return;
    const int64_t grace = command.number("grace");
    if (grace <= 0) {
      run->kill();
    } else {
      run->stop(monotonicNanos() + grace * 1'000'000'000);
    }
  } else if (command.type == "kill") {
    endAll(static_cast<int>(command.number("grace")));
  } else {
    send(client, Record("failed").add("what", command.type).add("message", "unknown command"));
  }
}

Run* Supervisor::running(const std::string& name) {
  for (const auto& run : runs_)
    if (run->spec().name == name) return run.get();
  return nullptr;
}

// ------------------------------------------------------------------------------------------------------------------
// runs

void Supervisor::start(Client& client, const Record& command) {
  std::optional<ContainerSpec> spec = fromRecord<ContainerSpec>(command);
  const auto refuse = [&](const std::string& message) {
    send(client, Record("failed")
                     .add("what", "startContainer")
                     .add("name", command.get("name"))
                     .add("attempt", command.number("attempt"))
                     .add("message", message));
  };
  if (!spec || spec->name.empty()) return refuse("malformed container spec");
  if (const JournalRun* known = history_.find(spec->name, spec->attempt)) {
    // At most once: say what became of it.
    if (known->exited) {
      send(client, exitedRecord(*known->exited));
    } else if (known->startedAt != Time{}) {
      send(client, Record("started")
                       .add("name", known->name)
                       .add("attempt", known->attempt)
                       .add("pid", known->pid)
                       .add("pidStart", known->pidStart)
                       .add("time", toNanos(known->startedAt)));
    }
    return;
  }
  if (ending_) return refuse("the pod is ending");
  if (const Run* other = running(spec->name)) {
    return refuse("container " + spec->name + " still runs its attempt " + std::to_string(other->spec().attempt));
  }
  const std::string directory = directory_ + "/c-" + spec->name + "-" + std::to_string(spec->attempt);
  const long long now = wallNanos();
  JournalRun& record = history_.runs.emplace_back();
  record.name = spec->name;
  record.attempt = spec->attempt;
  record.startingAt = fromNanos(now);
  auto run = std::make_unique<Run>(std::move(*spec), directory);

  Problem problem = cgroups_->createContainer(run->spec().name, run->spec().limits);
  if (!problem) problem = run->launch(spec_, *cgroups_);
  // The init builds its root meanwhile; it executes nothing before this record is on disk.
  Record starting("starting");
  starting.add("name", record.name).add("attempt", record.attempt).add("time", now);
  if (!problem && !append(starting, true)) problem = systemProblem("cannot write the pod's journal");
  if (problem) {
    ContainerExited exited;
    exited.name = record.name;
    exited.attempt = record.attempt;
    exited.exitCode = 128;
    exited.reason = "StartError";
    exited.message = problem.text;
    exited.finishedAt = fromNanos(wallNanos());
    record.exited = exited;
    if (run->pid() > 0) run->kill();  // reaped as an unknown child
    append(exitedRecord(exited), false);
    broadcast(exitedRecord(exited));
    cgroups_->removeContainer(record.name);
    removeLater(directory);
    return;
  }
  run->release();
  for (const Run::Pipe pipe : {Run::Pipe::Out, Run::Pipe::Err, Run::Pipe::Report})
    watch(run->descriptor(pipe), EPOLLIN);
  runs_.push_back(std::move(run));
}

void Supervisor::runEvent(Run& run, Run::Pipe pipe) {
  if (!run.readable(pipe) && pipe == Run::Pipe::Report && run.executed()) noticeStarted(run);
}

void Supervisor::noticeStarted(Run& run) {
  if (run.startedAt != 0) return;
  run.startedAt = wallNanos();
  run.pidStart = processStart(run.pid());
  if (JournalRun* record = history_.find(run.spec().name, run.spec().attempt)) {
    record->pid = run.pid();
    record->pidStart = run.pidStart;
    record->startedAt = fromNanos(run.startedAt);
  }
  Record started("started");
  started.add("name", run.spec().name).add("attempt", run.spec().attempt).add("pid", run.pid());
  started.add("pidStart", run.pidStart).add("time", run.startedAt);
  append(started, false);
  broadcast(started);
}

void Supervisor::reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = waitpid(-1, &status, WNOHANG);
    if (pid <= 0) return;
    for (size_t i = 0; i < runs_.size(); ++i) {
      if (runs_[i]->pid() != pid) continue;
      finished(i, status);
      break;
    }
  }
}

void Supervisor::finished(size_t index, int status) {
  std::unique_ptr<Run> run = std::move(runs_[index]);
  runs_.erase(runs_.begin() + static_cast<long>(index));
  // The exec and the exit may both have happened since the last look.
  while (run->descriptor(Run::Pipe::Report) >= 0 && run->readable(Run::Pipe::Report)) {
  }
  if (run->executed()) noticeStarted(*run);
  const ContainerExited exited = run->finish(status, cgroups_->oomKills(run->spec().name));
  if (JournalRun* record = history_.find(exited.name, exited.attempt)) record->exited = exited;
  append(exitedRecord(exited), false);
  broadcast(exitedRecord(exited));
  cgroups_->removeContainer(exited.name);
  removeLater(run->directory());
}

void Supervisor::removeLater(const std::string& directory) {
  // A layer may hold gigabytes; another process deletes it. Should it be cut off, the pod's removal does it.
  if (fork() != 0) return;
  prctl(PR_SET_NAME, "stoker-cleanup", 0, 0, 0);
  close(journal_);  // or the pod would look alive
  removeTree(directory);
  _exit(0);
}

void Supervisor::endAll(int graceSeconds) {
  ending_ = true;
  for (const auto& run : runs_) {
    if (graceSeconds <= 0) {
      run->kill();
    } else {
      run->stop(monotonicNanos() + graceSeconds * 1'000'000'000LL);
    }
  }
}

void Supervisor::checkDeadlines() {
  const long long now = monotonicNanos();
  for (const auto& run : runs_)
    if (run->killAt() > 0 && now >= run->killAt()) run->kill();
  if (leaveAt_ > 0 && now >= leaveAt_) {
    leaveAt_ = 0;
    // Not worth a pod: it only stays in the platform's groups.
    static_cast<void>(cgroups_->leavePlatform());
  }
  if (syncAt_ > 0 && now >= syncAt_) {
    fdatasync(journal_);
    syncAt_ = 0;
  }
}

int Supervisor::waitMillis() const {
  long long next = syncAt_;
  if (leaveAt_ > 0 && (next == 0 || leaveAt_ < next)) next = leaveAt_;
  for (const auto& run : runs_)
    if (run->killAt() > 0 && (next == 0 || run->killAt() < next)) next = run->killAt();
  if (next == 0) return -1;
  const long long left = next - monotonicNanos();
  return left <= 0 ? 0 : static_cast<int>(left / 1'000'000 + 1);
}

void Supervisor::loop() {
  while (!ending_ || !runs_.empty()) {
    epoll_event events[kMaxEvents];
    const int count = epoll_wait(epoll_, events, kMaxEvents, waitMillis());
    bool reapNow = false;
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener_) {
        accept();
        continue;
      }
      if (fd == signals_) {
        signalfd_siginfo info{};
        while (read(signals_, &info, sizeof info) == sizeof info) {
          if (info.ssi_signo == SIGTERM) endAll(kShutdownGraceSeconds);
        }
        reapNow = true;
        continue;
      }
      // Looked up by descriptor: an earlier event of this round may have ended its owner.
      for (const auto& run : runs_) {
        for (const Run::Pipe pipe : {Run::Pipe::Out, Run::Pipe::Err, Run::Pipe::Report})
          if (run->descriptor(pipe) == fd) runEvent(*run, pipe);
      }
      for (size_t c = 0; c < clients_.size(); ++c)
        if (clients_[c]->fd == fd && !clients_[c]->closed) clientEvent(*clients_[c], events[i].events);
    }
    if (reapNow) reap();  // after the pipes: their descriptors are still the runs'
    checkDeadlines();
    dropClosed();
  }
  append(Record("ended"), false);
  cgroups_->removePod();
  unlink("socket");
  // The lock must be free before the platform hears of the end: it may bring the pod up again at once.
  close(journal_);
  journal_ = -1;
  broadcast(Record("gone"));
  for (const auto& client : clients_) close(client->fd);
}

}  // namespace stoker::node
