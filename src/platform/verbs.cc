#include "platform/verbs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <charconv>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "cli/api.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/session.h"
#include "node/runtime/pod_store.h"
#include "node/runtime/process_runtime.h"
#include "platform/machine.h"
#include "platform/platform.h"

namespace stoker::platform {
namespace {

using cli::Flag;
using cli::FlagSet;
using Type = Flag::Type;

// `down` waits this long for the platform to end; it takes milliseconds unless the disk hangs.
constexpr int kStopTimeoutMs = 30'000;
// And this long beyond the grace for pods to end.
constexpr int kPodGraceSeconds = 30;

std::string pidFile(const std::string& dataDir) { return dataDir + "/stoker.pid"; }

/// Pid and address of the running instance; pid 0 when none runs.
struct Running {
  int pid = 0;
  std::string address;
};
Running runningInstance(const std::string& dataDir) {
  int pid = cli::runningProcess(dataDir);
  if (pid == 0) return {};
  auto text = readFile(pidFile(dataDir));
  if (!text.ok()) return {};
  auto lines = split(*text, '\n');
  return {pid, lines.size() > 1 ? std::string(lines[1]) : ""};
}

Result<std::string> absoluteDirectory(const FlagSet& flags) {
  std::string dir = flags.text("data");
  if (dir.empty()) dir = cli::defaultDataDirectory();
  std::error_code error;
  auto absolute = std::filesystem::absolute(dir, error).lexically_normal().string();
  if (error) return Error(Reason::BadRequest, fmt::format("invalid --data {}: {}", quote(dir), error.message()));
  while (absolute.size() > 1 && absolute.ends_with('/')) absolute.pop_back();
  return absolute;
}

std::vector<Flag> dataFlag() {
  return {{"data", 0, Type::String, "", "data directory (default " + cli::defaultDataDirectory() + ")"},
          {"help", 'h', Type::Bool, "false", "this text"}};
}

std::vector<Flag> upFlags() {
  std::vector<Flag> flags = dataFlag();
  for (Flag flag : std::vector<Flag>{
           {"listen", 0, Type::String, "127.0.0.1:6443", "address of the API"},
           {"detach", 'd', Type::Bool, "false", "return when ready and go on in the background"},
           {"simulate-devices", 0, Type::String, "", "devices this machine pretends to have, e.g. nvidia=8"},
           {"simulate-nodes", 0, Type::String, "", "file of nodes whose pods only pretend to run"},
           {"node-pods", 0, Type::Int, "110", "most pods on this machine"},
           {"no-node", 0, Type::Bool, "false", "do not run pods on this machine"},
           {"images", 0, Type::String, "", "image map (default DIR/images.yaml)"},
           {"log-level", 0, Type::String, "info", "debug, info, warn or error"}})
    flags.push_back(std::move(flag));
  return flags;
}

Result<Options> readOptions(const FlagSet& flags) {
  Options options;
  STOKER_TRY(options.dataDir, absoluteDirectory(flags));
  std::string listen = flags.text("listen");
  size_t colon = listen.rfind(':');
  int port = -1;
  const char* end = listen.data() + listen.size();
  if (colon != std::string::npos)
    if (auto [at, error] = std::from_chars(listen.data() + colon + 1, end, port); error != std::errc() || at != end)
      port = -1;
  if (port < 0 || port > 65535)
    return Error(Reason::BadRequest,
                 fmt::format("invalid --listen {}: it must be HOST:PORT, e.g. 127.0.0.1:6443", quote(listen)));
  options.host = listen.substr(0, colon);
  options.port = static_cast<uint16_t>(port);
  options.node = !flags.flag("no-node");
  options.pods = static_cast<int>(flags.number("node-pods"));
  if (options.pods < 1 || options.pods > 4000)
    return Error(Reason::BadRequest, fmt::format("invalid --node-pods {}: it must be from 1 to 4000", options.pods));
  STOKER_TRY(options.simulateDevices, parseDevices(flags.text("simulate-devices")));
  options.simulateNodes = flags.text("simulate-nodes");
  options.imagesFile = flags.text("images");
  std::string level = flags.text("log-level");
  if (level == "debug")
    log::setLevel(log::Level::Debug);
  else if (level == "info")
    log::setLevel(log::Level::Info);
  else if (level == "warn")
    log::setLevel(log::Level::Warning);
  else if (level == "error")
    log::setLevel(log::Level::Error);
  else
    return Error(Reason::BadRequest,
                 fmt::format("invalid --log-level {}: it must be debug, info, warn or error", quote(level)));
  return options;
}

/// Runs the platform until SIGTERM or SIGINT; tells `tell` "ready ..." or "error ...".
int serve(const Options& options, const std::function<void(const std::string&)>& tell) {
  // Blocked before any thread exists, so that only this one takes them.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  ::signal(SIGPIPE, SIG_IGN);
  auto platform = Platform::start(options);
  if (!platform.ok()) {
    tell("error " + platform.error().message);
    return 1;
  }
  std::string address = (*platform)->address();
  if (auto written = writeFileAtomic(pidFile(options.dataDir), fmt::format("{}\n{}\n", ::getpid(), address), 0600);
      !written.ok()) {
    tell("error " + written.error().message);
    return 1;
  }
  std::string ready = "ready " + address;
  for (const std::string& missing : (*platform)->missing()) ready += "\n" + missing;
  tell(ready);
  int signal = 0;
  ::sigwait(&signals, &signal);
  log::info("platform", "stopping; pods go on running");
  ::unlink(pidFile(options.dataDir).c_str());
  platform->reset();
  return 0;
}

int up(const FlagSet& flags, const std::vector<std::string>&) {
  auto options = readOptions(flags);
  if (!options.ok()) return cli::fail(options.error());
  const std::string& dir = options->dataDir;
  if (Running other = runningInstance(dir); other.pid)
    return cli::fail(
        Error(Reason::AlreadyExists,
              fmt::format("Stoker is already running in {} (pid {}, https://{}); stop it with: stoker down --data {}",
                          dir, other.pid, other.address, dir)));
  // The address, then a line for each thing that this machine does not let pods have.
  auto announce = [&](const std::string& message) {
    std::vector<std::string_view> lines = split(message, '\n');
    fmt::print("Stoker is ready at https://{}\n  export KUBECONFIG={}/admin.kubeconfig\n", lines[0], dir);
    std::fflush(stdout);
    for (size_t i = 1; i < lines.size(); ++i) fmt::print(stderr, "warning: {}\n", lines[i]);
  };
  if (!flags.flag("detach")) {
    return serve(*options, [&](const std::string& message) {
      if (message.starts_with("ready "))
        announce(message.substr(6));
      else
        cli::fail(Error(Reason::Unknown, message.substr(6)));
    });
  }
  if (auto made = makeDirectories(dir, 0700); !made.ok()) return cli::fail(made.error());
  std::string logPath = dir + "/stoker.log";
  int logFd = ::open(logPath.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (logFd < 0) return cli::fail(systemError("open", logPath, errno));
  int ready[2];
  if (::pipe2(ready, O_CLOEXEC) != 0) return cli::fail(systemError("make", "a pipe", errno));
  pid_t child = ::fork();
  if (child < 0) return cli::fail(systemError("start", "the background process", errno));
  if (child == 0) {
    ::setsid();
    ::close(ready[0]);
    int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(null, STDIN_FILENO);
    ::dup2(logFd, STDOUT_FILENO);
    ::dup2(logFd, STDERR_FILENO);
    int status = serve(*options, [&](const std::string& message) {
      log::info("platform", "{}", message);
      [[maybe_unused]] auto n = ::write(ready[1], message.data(), message.size());
      ::close(ready[1]);
    });
    std::_Exit(status);
  }
  ::close(ready[1]);
  std::string message;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ready[0], buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;
    message.append(buffer, static_cast<size_t>(n));
  }
  if (message.starts_with("ready ")) {
    announce(message.substr(6));
    return 0;
  }
  ::waitpid(child, nullptr, 0);
  return cli::fail(
      Error(Reason::Unknown, message.starts_with("error ")
                                 ? message.substr(6)
                                 : fmt::format("the platform ended before it was ready; see {}", logPath)));
}

/// Ends every pod of a stopped instance; how many there were.
Result<size_t> endPods(const std::string& dir, bool release) {
  STOKER_TRY(std::string supervisor, node::findSupervisor());
  STOKER_TRY(auto runtime, node::ProcessRuntime::create({.dataDirectory = dir, .supervisorPath = supervisor}));
  std::mutex mutex;
  std::condition_variable gone;
  std::map<std::string, bool> alive;
  runtime->setListener([&](node::PodEvent event) {
    if (!std::holds_alternative<node::PodGone>(event.what)) return;
    std::lock_guard lock(mutex);
    alive[event.podUid] = false;
    gone.notify_all();
  });
  STOKER_TRY(auto pods, runtime->recover());
  size_t count = 0;
  for (const node::RecoveredPod& pod : pods) {
    if (!pod.alive) continue;
    ++count;
    std::lock_guard lock(mutex);
    alive.try_emplace(pod.spec.uid, true);
  }
  for (const node::RecoveredPod& pod : pods)
    if (pod.alive) runtime->killPod(pod.spec.uid, kPodGraceSeconds);
  {
    std::unique_lock lock(mutex);
    gone.wait_for(lock, std::chrono::seconds(kPodGraceSeconds + 10),
                  [&] { return std::none_of(alive.begin(), alive.end(), [](const auto& p) { return p.second; }); });
  }
  if (release) runtime->releaseMachine();
  return count;
}

size_t livePods(const std::string& dir) {
  // A pod lives as long as its supervisor holds its journal; asking for that needs no connection.
  size_t count = 0;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(dir + "/pods", error))
    count += node::supervisorAlive(entry.path().string());
  return count;
}

int down(const FlagSet& flags, const std::vector<std::string>&) {
  auto dir = absoluteDirectory(flags);
  if (!dir.ok()) return cli::fail(dir.error());
  Running running = runningInstance(*dir);
  bool purge = flags.flag("purge"), pods = flags.flag("pods") || purge;
  if (!running.pid && !pods) {
    fmt::print("Stoker is not running in {}.\n", *dir);
    return 0;
  }
  if (running.pid) {
    int fd = static_cast<int>(::syscall(SYS_pidfd_open, running.pid, 0));
    ::kill(running.pid, SIGTERM);
    if (fd >= 0) {
      pollfd poll{fd, POLLIN, 0};
      int ended = ::poll(&poll, 1, kStopTimeoutMs);
      ::close(fd);
      if (ended <= 0)
        return cli::fail(Error(
            Reason::Timeout,
            fmt::format("Stoker (pid {}) did not end within 30 s; look at {}/stoker.log, or end it with: kill -9 {}",
                        running.pid, *dir, running.pid)));
    }
  }
  if (pods && ::access((*dir + "/pods").c_str(), F_OK) == 0) {
    auto ended = endPods(*dir, purge);
    if (!ended.ok()) return cli::fail(ended.error());
    if (*ended > 0) fmt::print("Ended {} pod{}.\n", *ended, *ended == 1 ? "" : "s");
  }
  if (purge) {
    // Only a directory that this program made is removed.
    if (::access(dir->c_str(), F_OK) == 0 && ::access((*dir + "/state.db").c_str(), F_OK) != 0 &&
        ::access((*dir + "/pki").c_str(), F_OK) != 0)
      return cli::fail(
          Error(Reason::BadRequest, fmt::format("{} is not a data directory of Stoker; nothing was removed", *dir)));
    std::error_code error;
    std::filesystem::remove_all(*dir, error);
    if (error)
      return cli::fail(Error(Reason::InternalError, fmt::format("cannot remove {}: {}", *dir, error.message())));
    fmt::print("Stoker is stopped and {} is removed.\n", *dir);
    return 0;
  }
  size_t left = livePods(*dir);
  fmt::print("Stoker is stopped; {} pod{} running{}.\n", left, left == 1 ? " goes on" : "s go on",
             left > 0 ? " (end them with: stoker down --pods)" : "");
  return 0;
}

int status(const FlagSet& flags, const std::vector<std::string>&) {
  auto dir = absoluteDirectory(flags);
  if (!dir.ok()) return cli::fail(dir.error());
  Running running = runningInstance(*dir);
  if (!running.pid) {
    size_t left = livePods(*dir);
    fmt::print("Stoker is not running in {}.{}\n", *dir, left > 0 ? fmt::format(" {} of its pods go on.", left) : "");
    return 3;
  }
  fmt::print("Stoker {} runs in {} (pid {})\n  API:        https://{}\n  kubeconfig: {}/admin.kubeconfig\n",
             cli::kVersion, *dir, running.pid, running.address, *dir);
  auto api = cli::Api::connect(*dir + "/admin.kubeconfig", "");
  if (!api.ok()) return cli::fail(api.error());
  auto nodes = (*api)->get("/api/v1/nodes");
  auto pods = (*api)->get("/api/v1/pods");
  auto gangs = (*api)->get("/apis/stoker.dev/v1alpha1/gangs");
  for (const auto* answer : {&nodes, &pods, &gangs})
    if (!answer->ok()) return cli::fail(answer->error());
  size_t ready = 0, active = 0, waiting = 0;
  for (json::Value node : nodes->root["items"].items())
    for (json::Value condition : node.at({"status", "conditions"}).items())
      ready += condition["type"].asString() == "Ready" && condition["status"].asString() == "True";
  for (json::Value pod : pods->root["items"].items()) active += pod.at({"status", "phase"}).asString() == "Running";
  for (json::Value gang : gangs->root["items"].items()) waiting += gang.at({"status", "phase"}).asString() == "Pending";
  fmt::print("  nodes:      {} of {} ready\n  pods:       {} running of {}\n  jobs:       {} waiting for a place\n",
             ready, nodes->root["items"].size(), active, pods->root["items"].size(), waiting);
  return 0;
}

struct Verb {
  std::string help;
  std::vector<Flag> flags;
  int (*run)(const FlagSet&, const std::vector<std::string>&);
};

const std::map<std::string, Verb>& verbs() {
  static const std::map<std::string, Verb> table = [] {
    std::vector<Flag> downFlags = dataFlag();
    downFlags.push_back({"pods", 0, Type::Bool, "false", "end the pods as well, gracefully"});
    downFlags.push_back({"purge", 0, Type::Bool, "false", "end the pods and remove the data directory"});
    return std::map<std::string, Verb>{
        {"up", {"Start the platform on this machine.", upFlags(), up}},
        {"down", {"Stop the platform; pods go on running.", downFlags, down}},
        {"status", {"Show whether the platform runs and what it has.", dataFlag(), status}}};
  }();
  return table;
}

}  // namespace

bool handles(const std::string& verb) { return verbs().contains(verb); }

void describeVerbs() {
  for (const auto& [name, verb] : verbs()) cli::addVerb(name, verb.help);
}

int run(const std::string& name, const std::vector<std::string>& arguments) {
  const Verb& verb = verbs().at(name);
  FlagSet flags(verb.flags);
  auto positional = flags.parse(arguments);
  if (!positional.ok())
    return cli::fail(Error(Reason::BadRequest,
                           positional.error().message + fmt::format("\nstoker {} --help shows the flags", name)));
  if (flags.flag("help")) {
    fmt::print("{}\n\nUsage:\n  stoker {} [flags]\n\nFlags:\n{}", verb.help, name, flags.help());
    return 0;
  }
  if (!positional->empty())
    return cli::fail(
        Error(Reason::BadRequest, fmt::format("stoker {} takes no arguments, got {}", name, quote((*positional)[0]))));
  return verb.run(flags, *positional);
}

}  // namespace stoker::platform
