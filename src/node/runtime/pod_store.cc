#include "node/runtime/pod_store.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"

namespace stoker::node {
namespace {

// A supervisor needs some milliseconds from its lock to its socket; under a full machine much more.
constexpr auto kConnectPatience = std::chrono::seconds(10);
constexpr auto kConnectPoll = std::chrono::milliseconds(2);
// How long a killed process may take to be gone; one in uninterruptible sleep is left to the kernel.
constexpr int kKillPatienceMillis = 2000;

/// Start time in clock ticks since boot (/proc/PID/stat field 22); 0 when there is no such process.
int64_t processStart(int64_t pid) {
  Result<std::string> stat = readFile("/proc/" + std::to_string(pid) + "/stat");
  if (!stat) return 0;
  const size_t bracket = stat->rfind(')');
  if (bracket == std::string::npos) return 0;
  const std::vector<std::string_view> fields = split(std::string_view(*stat).substr(bracket + 2), ' ');
  constexpr size_t kStart = 19;  // field 22, counted from field 3
  int64_t start = 0;
  if (fields.size() > kStart)
    std::from_chars(fields[kStart].data(), fields[kStart].data() + fields[kStart].size(), start);
  return start;
}

/// SIGKILL to a run's init, if it is still that process, and waits until it is gone.
void endLeftover(const JournalRun& run) {
  if (run.pid <= 0) return;
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, static_cast<pid_t>(run.pid), 0));
  if (fd < 0) return;
  if (processStart(run.pid) == run.pidStart) {
    syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0);
    pollfd gone{fd, POLLIN, 0};
    poll(&gone, 1, kKillPatienceMillis);
  }
  close(fd);
}

void makeReadable(const std::filesystem::path& path) {
  std::error_code ignored;
  std::filesystem::permissions(path, std::filesystem::perms::owner_all, std::filesystem::perm_options::add, ignored);
  for (std::filesystem::directory_iterator entry(path, ignored), end; entry != end; entry.increment(ignored)) {
    if (entry->is_directory(ignored) && !entry->is_symlink(ignored)) makeReadable(entry->path());
  }
}

}  // namespace

std::string currentBootId() {
  Result<std::string> text = readFile("/proc/sys/kernel/random/boot_id");
  return text ? std::string(trim(*text)) : std::string();
}

Result<int> startSupervisor(const std::string& supervisorPath, const std::string& podDirectory,
                            const SupervisorSpec& spec) {
  const std::string path = podDirectory + "/spec";
  const std::string partial = path + ".new";
  const std::string text = encode(toRecord("spec", spec)) + "\n";
  // Renamed but not synced: after a machine's end nothing of the pod runs, and its uid is the directory's name.
  const int file = open(partial.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return systemError("cannot create", partial, errno);
  const ssize_t written = write(file, text.data(), text.size());
  const int writeError = errno;
  close(file);
  if (written != static_cast<ssize_t>(text.size())) return systemError("cannot write", partial, writeError);
  if (rename(partial.c_str(), path.c_str()) != 0) return systemError("cannot rename", partial, errno);

  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    return systemError("cannot create socket for", path, errno);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  constexpr int kControlFd = 3;
  // Out of the way first: dup2 onto itself would keep close-on-exec.
  const int above = fcntl(ends[1], F_DUPFD_CLOEXEC, kControlFd + 1);
  posix_spawn_file_actions_adddup2(&actions, above, kControlFd);
  posix_spawn_file_actions_addclosefrom_np(&actions, kControlFd + 1);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const char* argv[] = {supervisorPath.c_str(), podDirectory.c_str(), "--control", nullptr};
  const char* env[] = {nullptr};
  pid_t pid = 0;
  const int error = posix_spawn(&pid, supervisorPath.c_str(), &actions, &attributes, const_cast<char**>(argv),
                                const_cast<char**>(env));
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  close(above);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return systemError("cannot start", supervisorPath, error);
  }
  // It forks and its first process ends at once; the second belongs to init.
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return ends[0];
}

bool supervisorAlive(const std::string& podDirectory) {
  const int fd = open((podDirectory + "/journal").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return false;
  struct flock whole {};
  whole.l_type = F_WRLCK;
  // Asks without taking: a supervisor that starts at this moment is not turned away.
  const bool held = fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
  close(fd);
  return held;
}

Result<int> connectSupervisor(const std::string& podDirectory) {
  const auto deadline = std::chrono::steady_clock::now() + kConnectPatience;
  // Through a descriptor of the directory, because a socket's path may have 107 characters only.
  const int directory = open(podDirectory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return systemError("cannot open", podDirectory, errno);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, ("/proc/self/fd/" + std::to_string(directory) + "/socket").c_str());
  Result<int> result = Error(Reason::NotFound, "the supervisor of " + podDirectory + " is not running");
  while (supervisorAlive(podDirectory)) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      result = fd;
      break;
    }
    result = systemError("cannot connect to", podDirectory + "/socket", errno);
    close(fd);
    if (std::chrono::steady_clock::now() > deadline) break;
    std::this_thread::sleep_for(kConnectPoll);
  }
  close(directory);
  return result;
}

SupervisorSpec readPodSpec(const std::string& podDirectory, const std::string& podUid) {
  if (Result<std::string> text = readFile(podDirectory + "/spec")) {
    if (std::optional<Record> record = parseRecord(trim(*text))) {
      if (std::optional<SupervisorSpec> spec = fromRecord<SupervisorSpec>(*record)) return *std::move(spec);
    }
  }
  SupervisorSpec spec;
  spec.pod.uid = podUid;
  return spec;
}

SettledPod settlePod(const std::string& podDirectory) {
  SettledPod settled;
  const std::string path = podDirectory + "/journal";
  Result<std::string> text = readFile(path);
  if (!text) return settled;  // it never got as far
  settled.journal = replayJournal(parseJournal(*text));
  settled.rebooted = settled.journal.bootId != currentBootId();
  if (!settled.rebooted) {
    for (const JournalRun& run : settled.journal.runs)
      if (!run.exited) endLeftover(run);
  }
  const Time now = std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());
  settled.closed = closeUnfinished(settled.journal, now, settled.rebooted);
  if (settled.closed.empty()) return settled;
  // Written down, so that the next recovery tells the same story.
  std::string lines = text->empty() || text->back() == '\n' ? "" : "\n";
  for (const ContainerExited& exited : settled.closed) lines += journalLine(exitedRecord(exited));
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  if (fd < 0 || write(fd, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size()) || fdatasync(fd) != 0) {
    log::warn("node", "cannot close the journal {}: {}", path, std::strerror(errno));
  }
  if (fd >= 0) close(fd);
  return settled;
}

void removeDirectoryTree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path,
                              error);  // never follows links; nothing is mounted below once the supervisor is gone
  if (error) {
    // overlayfs leaves directories of mode 0, which stop everyone but root.
    makeReadable(path);
    std::filesystem::remove_all(path, error);
  }
  if (error) log::warn("node", "cannot remove {}: {}", path, error.message());
}

}  // namespace stoker::node
