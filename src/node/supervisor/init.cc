#include "node/supervisor/init.h"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "node/supervisor/security.h"

namespace stoker::node {
namespace {

constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// Docker's default soft limit: enough for every server, not so much that old programs that close all of them crawl.
constexpr rlim_t kOpenFiles = 1048576;

// Where the init keeps its pipes, below the descriptors it closes.
constexpr int kReportFd = 3;
constexpr int kGoFd = 4;
constexpr int kStatusFd = 5;

void say(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    text.remove_prefix(static_cast<size_t>(n));
  }
}

[[noreturn]] void giveUp(const Problem& problem) {
  say(kReportFd, problem.text);
  _exit(1);
}

void require(const Problem& problem) {
  if (problem) giveUp(problem);
}

/// Pipes to fixed numbers, /dev/null as stdin, everything else closed.
void arrangeDescriptors(const InitPipes& pipes) {
  const int null = open("/dev/null", O_RDONLY);
  int from[] = {null, pipes.out, pipes.err, pipes.report, pipes.go, pipes.status};
  constexpr int kCount = 6;
  constexpr int kAbove = 64;  // out of the way of the numbers wanted
  for (int& fd : from) fd = fcntl(fd, F_DUPFD_CLOEXEC, kAbove);
  for (int i = 0; i < kCount; ++i) dup3(from[i], i, i < 3 ? 0 : O_CLOEXEC);
  syscall(SYS_close_range, kCount, ~0U, 0);
}

const std::string* envValue(const std::vector<std::string>& env, std::string_view name) {
  for (const std::string& entry : env)
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.compare(0, name.size(), name) == 0)
      return &entry;
  return nullptr;
}

/// The home directory of `uid` in the container's own /etc/passwd.
std::string homeOf(unsigned uid) {
  std::istringstream passwd(readAll("/etc/passwd"));
  std::string line;
  while (std::getline(passwd, line)) {
    std::vector<std::string> fields;
    std::istringstream words(line);
    std::string word;
    while (std::getline(words, word, ':')) fields.push_back(word);
    if (fields.size() >= 6 && fields[2] == std::to_string(uid)) return fields[5].empty() ? "/" : fields[5];
  }
  return uid == 0 ? "/root" : "/";
}

void setLimits() {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min(kOpenFiles, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
  // Pinned memory is what RDMA and CUDA need; refused without CAP_SYS_RESOURCE.
  limit = {RLIM_INFINITY, RLIM_INFINITY};
  setrlimit(RLIMIT_MEMLOCK, &limit);
  getrlimit(RLIMIT_CORE, &limit);
  limit.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &limit);
}

[[noreturn]] void runProgram(const InitPlan& plan) {
  const ContainerSpec& spec = plan.spec;
  setsid();
  sigset_t none;
  sigemptyset(&none);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
  setLimits();
  static_cast<void>(!fchown(STDOUT_FILENO, spec.uid, spec.gid));
  static_cast<void>(!fchown(STDERR_FILENO, spec.uid, spec.gid));

  std::vector<std::string> env = spec.env;
  if (envValue(env, "PATH") == nullptr) env.push_back(std::string("PATH=") + kDefaultPath);
  if (envValue(env, "HOME") == nullptr) env.push_back("HOME=" + homeOf(spec.uid));
  if (envValue(env, "HOSTNAME") == nullptr) {
    char name[65] = {};
    gethostname(name, sizeof name - 1);
    env.push_back(std::string("HOSTNAME=") + name);
  }

  const std::string directory = spec.workingDir.empty() ? "/" : spec.workingDir;
  require(makeWorkingDirectory(directory, spec.uid, spec.gid));
  const bool entered = chdir(directory.c_str()) == 0;

  uint64_t capabilities = 0;
  require(capabilitySet(spec, capabilities));
  const bool filtered = !spec.privileged && !spec.seccompUnconfined;
  const bool noNewPrivileges = spec.noNewPrivileges || (spec.uid != 0 && !spec.privileged) || plan.root.userNamespace;
  if (!spec.privileged) require(limitBoundingSet(capabilities));
  std::vector<gid_t> groups(spec.supplementaryGroups.begin(), spec.supplementaryGroups.end());
  if (!plan.root.userNamespace && setgroups(groups.size(), groups.data()) != 0)
    giveUp(systemProblem("cannot set groups"));
  if (setresgid(spec.gid, spec.gid, spec.gid) != 0)
    giveUp(systemProblem("cannot become group " + std::to_string(spec.gid)));
  // Without no_new_privs the filter needs a capability that is dropped below, so it goes in first.
  if (filtered && !noNewPrivileges) require(installSeccomp(capabilities));
  if (setresuid(spec.uid, spec.uid, spec.uid) != 0)
    giveUp(systemProblem("cannot become user " + std::to_string(spec.uid)));
  if (!spec.privileged) require(applyCapabilities(capabilities));
  if (noNewPrivileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) giveUp(systemProblem("cannot set no_new_privs"));
  if (filtered && noNewPrivileges) require(installSeccomp(capabilities));
  if (!entered && chdir(directory.c_str()) != 0) giveUp(systemProblem("cannot enter working directory " + directory));

  if (spec.argv.empty()) giveUp({"exec: no command: neither the container nor its image names one"});
  std::string program;
  require(findProgram(spec.argv[0], envValue(env, "PATH")->substr(5), program));
  std::vector<char*> argv;
  std::vector<char*> envp;
  for (const std::string& text : spec.argv) argv.push_back(const_cast<char*>(text.c_str()));
  for (const std::string& text : env) envp.push_back(const_cast<char*>(text.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  say(kReportFd, std::string_view(&kReportExec, 1));
  execve(program.c_str(), argv.data(), envp.data());
  const int error = errno;
  giveUp({"exec " + program + ": " + (error == ENOEXEC ? "exec format error" : std::strerror(error))});
}

void lowerName(std::string& text) {
  if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z') text[0] = static_cast<char>(text[0] - 'A' + 'a');
}

}  // namespace

Problem findProgram(const std::string& program, const std::string& path, std::string& found) {
  const std::string prefix = "exec: \"" + program + "\": ";
  if (program.empty()) return {"exec: \"\": the command is empty"};
  const auto reason = [] {
    std::string text = std::strerror(errno);
    lowerName(text);  // as Go writes it
    return text;
  };
  struct stat info {};
  if (program.find('/') != std::string::npos) {
    if (stat(program.c_str(), &info) != 0) return {prefix + "stat " + program + ": " + reason()};
    if (S_ISDIR(info.st_mode)) return {prefix + "is a directory"};
    if (access(program.c_str(), X_OK) != 0) return {prefix + reason()};
    found = program;
    return {};
  }
  std::string denied;
  std::istringstream directories(path);
  std::string directory;
  while (std::getline(directories, directory, ':')) {
    const std::string candidate = (directory.empty() ? "." : directory) + "/" + program;
    if (stat(candidate.c_str(), &info) != 0 || !S_ISREG(info.st_mode)) continue;
    if (access(candidate.c_str(), X_OK) == 0) {
      found = candidate;
      return {};
    }
    denied = reason();
  }
  if (!denied.empty()) return {prefix + denied};
  return {prefix + "executable file not found in $PATH"};
}

void runInit(const InitPlan& plan) {
  sigset_t all;
  sigfillset(&all);
  // Blocked, not ignored: a signal sent during set-up waits for the program it is meant for.
  sigprocmask(SIG_SETMASK, &all, nullptr);
  arrangeDescriptors(plan.pipes);
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  pollfd alive{kReportFd, 0, 0};
  if (poll(&alive, 1, 0) > 0 && (alive.revents & POLLERR) != 0) _exit(1);  // the supervisor died before the line above
  prctl(PR_SET_NAME, "stoker-init", 0, 0, 0);
  umask(0022);

  // Lowering it needs CAP_SYS_RESOURCE; where that is missing, the value of the platform stays.
  static_cast<void>(writeExisting("/proc/self/oom_score_adj", std::to_string(plan.spec.oomScoreAdj)));
  require(enterRoot(plan.root, plan.spec));

  char byte = 0;
  ssize_t n = 0;
  do {
    n = read(kGoFd, &byte, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) _exit(1);

  const pid_t child = fork();
  if (child < 0) giveUp(systemProblem("cannot fork"));
  if (child == 0) runProgram(plan);
  for (int fd = 0; fd <= kGoFd; ++fd) close(fd);

  for (;;) {
    siginfo_t info{};
    const int number = sigwaitinfo(&all, &info);
    if (number < 0) continue;
    if (number != SIGCHLD) {
      kill(child, number);
      continue;
    }
    for (;;) {
      int status = 0;
      const pid_t pid = waitpid(-1, &status, WNOHANG);
      if (pid <= 0) break;
      if (pid != child) continue;
      static_cast<void>(!write(kStatusFd, &status, sizeof status));
      _exit(0);
    }
  }
}

}  // namespace stoker::node
