#include "node/runtime/process_runtime.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <deque>
#include <filesystem>
#include <set>
#include <thread>
#include <unordered_map>

#include "base/file.h"
#include "base/log.h"
#include "base/strings.h"
#include "node/runtime/cgroups.h"
#include "node/runtime/network.h"
#include "node/runtime/pod_store.h"
#include "node/runtime/privileges.h"
#include "node/runtime/worker_pool.h"

namespace stoker::node {
namespace {

// Spawning and deleting wait for the kernel more than they compute; more threads than this only queue up in it.
constexpr int kPoolThreads = 4;
constexpr int kMaxEvents = 64;
// A supervisor answers in well under a millisecond; a machine at its limits may take long to schedule it.
constexpr int kRecoverPatienceMillis = 10000;

// Among the pods' directories, so that it is seen where they are; no pod has such a uid.
constexpr const char* kMemory = ".memory";

std::string nameUpTo63(const PodSandboxSpec& spec) {
  std::string hostname = (spec.hostname.empty() ? spec.name : spec.hostname).substr(0, 63);
  while (!hostname.empty() && (hostname.back() == '-' || hostname.back() == '.')) hostname.pop_back();
  return hostname;
}

bool wantsPids(const PodSandboxSpec& spec) { return spec.limits.pids > 0; }

}  // namespace

struct ProcessRuntime::Impl {
  struct RunState {
    std::optional<ContainerStarted> started;
    std::optional<ContainerExited> exited;
  };

  struct Pod {
    enum class State { Starting, Ready, Gone };
    State state = State::Gone;
    PodSandboxSpec spec;
    std::string ip;
    int fd = -1;
    LineBuffer input;
    std::string output;                ///< what the socket would not take yet
    std::vector<std::string> waiting;  ///< commands given before the supervisor was ready
    std::map<std::pair<std::string, int>, RunState> runs;
    bool endedInOrder = false;  ///< the supervisor said so
    bool failed = false;        ///< it said that it could not start
    bool killing = false;
    bool removing = false;
  };

  ProcessRuntimeOptions options;
  RuntimeCapabilities capabilities;
  CgroupLayout cgroups;
  std::unique_ptr<PodNetwork> network;
  std::unique_ptr<IpAllocator> addresses;
  bool userNamespace = false;
  bool memory = false;                  ///< a tmpfs is mounted at kMemory
  std::set<std::string> withoutMemory;  ///< pods from before it was; does not change after recover()
  Listener listener;

  int epoll = -1;
  int wake = -1;
  std::mutex mutex;
  std::deque<std::function<void()>> posted;  ///< guarded by mutex
  bool stopping = false;                     ///< guarded by mutex
  std::thread thread;
  std::unique_ptr<WorkerPool> pool;

  // Owned by the thread (by recover() before it runs).
  std::unordered_map<std::string, Pod> pods;
  std::unordered_map<int, std::string> podByFd;

  ~Impl();
  std::string directory(const std::string& uid) const { return options.dataDirectory + "/pods/" + uid; }
  std::string memoryDirectory(const std::string& uid) const {
    return memory && !withoutMemory.contains(uid) ? options.dataDirectory + "/pods/" + kMemory + "/" + uid
                                                  : directory(uid);
  }
  void post(std::function<void()> job);
  void loop();
  void emit(const std::string& uid, decltype(PodEvent::what) what) {
    if (listener) listener(PodEvent{uid, std::move(what)});
  }
  void fail(const std::string& uid, const char* what, std::string message) {
    emit(uid, RuntimeFailed{what, std::move(message)});
  }

  Result<RecoveredPod> recoverLive(const std::string& uid, Pod& pod);
  RecoveredPod recoverDead(const std::string& uid, Pod& pod);
  void remember(Pod& pod, const JournalRun& run);

  void ensure(PodSandboxSpec spec);
  void attach(const std::string& uid, Pod& pod, int fd);
  void supervisorStarted(const std::string& uid, Result<int> fd);
  void start(const std::string& uid, ContainerSpec spec);
  void command(const std::string& uid, Pod& pod, const Record& record);
  void send(Pod& pod, std::string_view line);
  void flush(Pod& pod);
  void readable(const std::string& uid, Pod& pod);
  void heard(const std::string& uid, Pod& pod, const Record& record);
  void disconnected(const std::string& uid, Pod& pod);
  void gone(const std::string& uid, Pod& pod);
  void kill(const std::string& uid, int graceSeconds);
  void remove(const std::string& uid);
  void removeFiles(const std::string& uid);
};

ProcessRuntime::Impl::~Impl() {
  {
    std::lock_guard lock(mutex);
    stopping = true;
  }
  if (wake >= 0) eventfd_write(wake, 1);
  if (thread.joinable()) thread.join();
  pool.reset();
  for (const auto& [fd, uid] : podByFd) close(fd);
  if (epoll >= 0) close(epoll);
  if (wake >= 0) close(wake);
}

void ProcessRuntime::Impl::post(std::function<void()> job) {
  {
    std::lock_guard lock(mutex);
    posted.push_back(std::move(job));
  }
  eventfd_write(wake, 1);
}

void ProcessRuntime::Impl::loop() {
  pthread_setname_np(pthread_self(), "node-runtime");
  for (;;) {
    epoll_event events[kMaxEvents];
    const int count = epoll_wait(epoll, events, kMaxEvents, -1);
    std::deque<std::function<void()>> jobs;
    {
      std::lock_guard lock(mutex);
      if (stopping) return;
      jobs.swap(posted);
    }
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == wake) {
        eventfd_t ignored = 0;
        eventfd_read(wake, &ignored);
        continue;
      }
      const auto owner = podByFd.find(fd);
      if (owner == podByFd.end()) continue;
      const std::string uid = owner->second;
      Pod& pod = pods[uid];
      if ((events[i].events & EPOLLOUT) != 0) flush(pod);
      if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) readable(uid, pod);
    }
    for (const auto& job : jobs) job();
  }
}

// --------------------------------------------------------------------------------------------------------------
// recovery

void ProcessRuntime::Impl::remember(Pod& pod, const JournalRun& run) {
  RunState& state = pod.runs[{run.name, run.attempt}];
  if (run.startedAt != Time{}) state.started = ContainerStarted{run.name, run.attempt, run.pid, run.startedAt};
  state.exited = run.exited;
}

Result<RecoveredPod> ProcessRuntime::Impl::recoverLive(const std::string& uid, Pod& pod) {
  STOKER_TRY(const int fd, connectSupervisor(directory(uid)));
  RecoveredPod recovered;
  recovered.spec = pod.spec;
  recovered.ip = pod.ip;
  recovered.alive = true;
  std::vector<Record> history;
  for (bool synced = false; !synced;) {
    pollfd ready{fd, POLLIN, 0};
    char buffer[64 << 10];
    const ssize_t n = poll(&ready, 1, kRecoverPatienceMillis) > 0 ? recv(fd, buffer, sizeof buffer, 0) : -1;
    if (n <= 0) {
      close(fd);
      return Error(Reason::Timeout, "the supervisor in " + directory(uid) + " does not answer");
    }
    pod.input.append(std::string_view(buffer, static_cast<size_t>(n)));
    while (!synced) {
      const std::optional<std::string> line = pod.input.next();
      if (!line) break;
      std::optional<Record> record = parseRecord(*line);
      if (!record) continue;
      synced = record->type == "synced";
      if (record->type == "hello" && record->number("version") != kProtocolVersion) {
        close(fd);
        return Error(Reason::Conflict, "the supervisor in " + directory(uid) + " speaks protocol version " +
                                           record->get("version") + ", this program speaks " +
                                           std::to_string(kProtocolVersion));
      }
      if (record->type == "starting" || record->type == "started" || record->type == "exited") {
        history.push_back(std::move(*record));
      }
    }
  }
  for (const JournalRun& run : replayJournal(history).runs) {
    remember(pod, run);
    recovered.containers.push_back({run.name, run.attempt, !run.exited, run.pid, run.startedAt, run.exited});
  }
  pod.state = Pod::State::Ready;
  attach(uid, pod, fd);
  return recovered;
}

RecoveredPod ProcessRuntime::Impl::recoverDead(const std::string& uid, Pod& pod) {
  const SettledPod settled = settlePod(directory(uid));
  removePodCgroups(cgroups, uid);
  RecoveredPod recovered;
  recovered.spec = pod.spec;
  recovered.ip = pod.ip;
  recovered.rebooted = settled.rebooted;
  for (const JournalRun& run : settled.journal.runs) {
    remember(pod, run);
    recovered.containers.push_back({run.name, run.attempt, false, run.pid, run.startedAt, run.exited});
  }
  pod.state = Pod::State::Gone;
  return recovered;
}

Result<std::vector<RecoveredPod>> ProcessRuntime::recover() {
  Impl& impl = *impl_;
  std::vector<std::string> uids;
  const std::string root = impl.options.dataDirectory + "/pods";
  DIR* handle = opendir(root.c_str());
  if (handle == nullptr) return systemError("cannot read", root, errno);
  while (const dirent* entry = readdir(handle))
    if (entry->d_name[0] != '.') uids.emplace_back(entry->d_name);
  closedir(handle);
  std::sort(uids.begin(), uids.end());

  std::vector<RecoveredPod> recovered;
  for (const std::string& uid : uids) {
    Impl::Pod& pod = impl.pods[uid];
    const SupervisorSpec spec = readPodSpec(impl.directory(uid), uid);
    pod.spec = spec.pod;
    pod.ip = spec.network.ip;
    uint32_t address = 0;
    if (impl.addresses && parseIpv4(pod.ip, address) && !impl.addresses->reserve(uid, address)) {
      log::warn("node", "pod {} has address {}, which is not free in this instance's subnet", uid, pod.ip);
    }
    if (supervisorAlive(impl.directory(uid))) {
      Result<RecoveredPod> live = impl.recoverLive(uid, pod);
      if (live) {
        recovered.push_back(*std::move(live));
        continue;
      }
      // It may have ended between the two looks; if not, it is left alone.
      if (supervisorAlive(impl.directory(uid))) {
        log::error("node", "{}; its pod is left as it is", live.error().message);
        continue;
      }
    }
    recovered.push_back(impl.recoverDead(uid, pod));
  }
  if (impl.memory) {
    std::error_code ignored;
    for (const auto& [uid, pod] : impl.pods)
      if (pod.state == Impl::Pod::State::Ready && access(impl.memoryDirectory(uid).c_str(), F_OK) != 0 &&
          access((impl.directory(uid) + "/volumes").c_str(), F_OK) == 0)
        impl.withoutMemory.insert(uid);
    for (const auto& left : std::filesystem::directory_iterator(root + "/" + kMemory, ignored))
      if (!impl.pods.contains(left.path().filename().string())) removeDirectoryTree(left.path().string());
  }
  impl.thread = std::thread([&impl] { impl.loop(); });
  return recovered;
}

// --------------------------------------------------------------------------------------------------------------
// commands

void ProcessRuntime::Impl::ensure(PodSandboxSpec spec) {
  const std::string uid = spec.uid;
  Pod& pod = pods[uid];
  if (pod.removing || pod.killing) return fail(uid, "ensurePod", "the pod is being ended");
  if (pod.state == Pod::State::Ready) return emit(uid, PodSandboxReady{pod.ip});
  if (pod.state == Pod::State::Starting) return;
  spec.hostname = nameUpTo63(spec);
  SupervisorSpec full;
  if (network && !spec.hostNetwork) {
    std::optional<uint32_t> wish;
    uint32_t wished = 0;
    if (parseIpv4(pod.ip.empty() ? spec.ip.value_or("") : pod.ip, wished)) wish = wished;
    Result<uint32_t> ip = addresses->allocate(uid, wish);
    if (!ip) return fail(uid, "ensurePod", ip.error().message);
    pod.ip = formatIpv4(*ip);
    full.network = {pod.ip, network->subnet().length, network->gateway(), network->bridge(),
                    network->hostInterface(uid)};
  }
  pod.spec = spec;
  pod.state = Pod::State::Starting;
  pod.failed = pod.endedInOrder = false;
  full.pod = std::move(spec);
  full.cgroup = podCgroups(cgroups, uid, wantsPids(full.pod));
  full.masked = options.maskedPaths;
  full.runDirectory = options.dataDirectory + "/run";
  full.userNamespace = userNamespace;
  pool->submit([this, uid, full = std::move(full)] {
    Result<int> fd = startSupervisor(options.supervisorPath, directory(uid), full);
    post([this, uid, fd = std::move(fd)]() mutable { supervisorStarted(uid, std::move(fd)); });
  });
}

void ProcessRuntime::Impl::attach(const std::string& uid, Pod& pod, int fd) {
  pod.fd = fd;
  podByFd[fd] = uid;
  fcntl(fd, F_SETFL, O_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

void ProcessRuntime::Impl::supervisorStarted(const std::string& uid, Result<int> fd) {
  Pod& pod = pods[uid];
  if (fd) {
    pod.input = {};
    pod.output.clear();
    pod.failed = pod.endedInOrder = false;
    return attach(uid, pod, *fd);
  }
  fail(uid, "ensurePod", fd.error().message);
  gone(uid, pod);
}

void ProcessRuntime::Impl::start(const std::string& uid, ContainerSpec spec) {
  const auto it = pods.find(uid);
  if (it == pods.end() || it->second.state == Pod::State::Gone) {
    return fail(uid, "startContainer", "container " + spec.name + ": the pod is not up; ensurePod comes first");
  }
  Pod& pod = it->second;
  RunState& run = pod.runs[{spec.name, spec.attempt}];
  if (run.exited) return emit(uid, *run.exited);
  if (run.started) return emit(uid, *run.started);
  command(uid, pod, toRecord("start", spec));
}

void ProcessRuntime::Impl::command(const std::string& uid, Pod& pod, const Record& record) {
  std::string line = encode(record) + "\n";
  if (line.size() > kMaxRecordBytes) {
    return fail(uid, "startContainer",
                "container " + record.get("name") + ": arguments and environment exceed " +
                    std::to_string(kMaxRecordBytes) + " bytes");
  }
  if (pod.state == Pod::State::Starting) {
    pod.waiting.push_back(std::move(line));
  } else {
    send(pod, line);
  }
}

void ProcessRuntime::Impl::send(Pod& pod, std::string_view line) {
  pod.output += line;
  flush(pod);
}

void ProcessRuntime::Impl::flush(Pod& pod) {
  if (pod.fd < 0) return;
  while (!pod.output.empty()) {
    const ssize_t n = ::send(pod.fd, pod.output.data(), pod.output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;  // full: EPOLLOUT goes on; broken: the read side will say so
    pod.output.erase(0, static_cast<size_t>(n));
  }
  epoll_event event{};
  event.events = EPOLLIN | (pod.output.empty() ? 0U : static_cast<uint32_t>(EPOLLOUT));
  event.data.fd = pod.fd;
  epoll_ctl(epoll, EPOLL_CTL_MOD, pod.fd, &event);
}

void ProcessRuntime::Impl::kill(const std::string& uid, int graceSeconds) {
  const auto it = pods.find(uid);
  if (it == pods.end() || it->second.state == Pod::State::Gone) return emit(uid, PodGone{});
  it->second.killing = true;
  command(uid, it->second, Record("kill").add("grace", graceSeconds));
}

void ProcessRuntime::Impl::remove(const std::string& uid) {
  Pod& pod = pods[uid];
  if (pod.removing) return;
  pod.removing = true;
  if (pod.state == Pod::State::Gone) return removeFiles(uid);
  pod.killing = true;
  command(uid, pod, Record("kill").add("grace", 0));
}

void ProcessRuntime::Impl::removeFiles(const std::string& uid) {
  pool->submit([this, uid] {
    removePodCgroups(cgroups, uid);
    removeDirectoryTree(directory(uid));
    if (memory) removeDirectoryTree(memoryDirectory(uid));
    post([this, uid] {
      if (addresses) addresses->release(uid);
      pods.erase(uid);
      emit(uid, PodRemoved{});
    });
  });
}

// ----------------------------------------------------------------------------------------------------------------
// events

void ProcessRuntime::Impl::readable(const std::string& uid, Pod& pod) {
  char buffer[64 << 10];
  const ssize_t n = recv(pod.fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0) return disconnected(uid, pod);
  pod.input.append(std::string_view(buffer, static_cast<size_t>(n)));
  while (const std::optional<std::string> line = pod.input.next()) {
    if (const std::optional<Record> record = parseRecord(*line)) heard(uid, pod, *record);
  }
}

void ProcessRuntime::Impl::heard(const std::string& uid, Pod& pod, const Record& record) {
  if (record.type == "started") {
    ContainerStarted started{record.get("name"), static_cast<int>(record.number("attempt")), record.number("pid"),
                             fromNanos(record.number("time"))};
    RunState& run = pod.runs[{started.name, started.attempt}];
    if (run.started || run.exited) return;  // told before
    run.started = started;
    emit(uid, std::move(started));
  } else if (record.type == "exited") {
    ContainerExited exited = exitedFromRecord(record);
    RunState& run = pod.runs[{exited.name, exited.attempt}];
    if (run.exited) return;
    run.exited = exited;
    emit(uid, std::move(exited));
  } else if (record.type == "synced") {
    pod.state = Pod::State::Ready;
    emit(uid, PodSandboxReady{pod.ip});
    for (const std::string& line : std::exchange(pod.waiting, {})) send(pod, line);
  } else if (record.type == "gone") {
    pod.endedInOrder = true;
  } else if (record.type == "failed") {
    const std::string what = record.get("what");
    if (what != "ensurePod") {
      const std::string name = record.get("name");
      return fail(uid, what == "startContainer" ? "startContainer" : "command",
                  name.empty() ? record.get("message") : "container " + name + ": " + record.get("message"));
    }
    pod.failed = true;
    if (record.get("message") != kPodHeld) return fail(uid, "ensurePod", record.get("message"));
    // Started by a former life of the platform that never heard of it: talk to that one.
    pool->submit([this, uid] {
      Result<int> fd = connectSupervisor(directory(uid));
      post([this, uid, fd = std::move(fd)]() mutable { supervisorStarted(uid, std::move(fd)); });
    });
    epoll_ctl(epoll, EPOLL_CTL_DEL, pod.fd, nullptr);
    podByFd.erase(pod.fd);
    close(pod.fd);
    pod.fd = -1;
  }
}

void ProcessRuntime::Impl::disconnected(const std::string& uid, Pod& pod) {
  epoll_ctl(epoll, EPOLL_CTL_DEL, pod.fd, nullptr);
  podByFd.erase(pod.fd);
  close(pod.fd);
  pod.fd = -1;
  if (pod.endedInOrder) return gone(uid, pod);
  const bool starting = pod.state == Pod::State::Starting;
  if (starting && !pod.failed) {
    fail(uid, "ensurePod", "the pod's supervisor died as it started; see " + directory(uid) + "/supervisor.log");
  }
  pool->submit([this, uid] {
    const SettledPod settled = settlePod(directory(uid));
    removePodCgroups(cgroups, uid);
    post([this, uid, settled] {
      Pod& ended = pods[uid];
      for (const JournalRun& run : settled.journal.runs) {
        // Also exits the supervisor wrote down but could not tell any more.
        RunState& state = ended.runs[{run.name, run.attempt}];
        if (state.exited || !run.exited) continue;
        state.exited = run.exited;
        emit(uid, *run.exited);
      }
      gone(uid, ended);
    });
  });
}

void ProcessRuntime::Impl::gone(const std::string& uid, Pod& pod) {
  const bool never = pod.state == Pod::State::Starting && !pod.killing;
  pod.state = Pod::State::Gone;
  pod.waiting.clear();
  pod.output.clear();
  pod.killing = false;
  if (!never) emit(uid, PodGone{});  // a pod that never came up was reported as failed
  if (pod.removing) removeFiles(uid);
}

// -------------------------------------------------------------------------------------------------------------
// interface

ProcessRuntime::ProcessRuntime(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ProcessRuntime::~ProcessRuntime() = default;

namespace {

bool isMountPoint(const std::string& path) {
  struct statx info {};
  return ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, 0, &info) == 0 &&
         (info.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
}

/// What the agent mounts in a pod's directory (memory volumes) must reach the supervisors, which live in mount
/// namespaces of their own and take what their peers mount. Where the machine's "/" is private nothing would: so the
/// pods' directory becomes a shared mount of itself. It stays when the platform stops, as the pods do.
Result<void> sharePods(const std::string& pods) {
  if ((!isMountPoint(pods) && ::mount(pods.c_str(), pods.c_str(), nullptr, MS_BIND, nullptr) != 0) ||
      ::mount(nullptr, pods.c_str(), nullptr, MS_SHARED, nullptr) != 0)
    return Error(
        Reason::Forbidden,
        std::string("volumes in memory are on disk: the pods' directory cannot be shared: ") + std::strerror(errno));
  const std::string memory = pods + "/" + kMemory;
  STOKER_CHECK(makeDirectories(memory, 0700));
  if (!isMountPoint(memory) && ::mount("tmpfs", memory.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, "mode=0700") != 0)
    return Error(Reason::Forbidden,
                 std::string("secrets and tokens are on disk: no tmpfs can be mounted: ") + std::strerror(errno));
  return {};
}

}  // namespace

Result<std::unique_ptr<ProcessRuntime>> ProcessRuntime::create(ProcessRuntimeOptions options) {
  if (options.dataDirectory.empty() || options.dataDirectory[0] != '/') {
    return Error(Reason::Invalid, "data directory \"" + options.dataDirectory + "\" must be an absolute path");
  }
  if (access(options.supervisorPath.c_str(), X_OK) != 0) {
    return Error(Reason::NotFound,
                 "no supervisor at " + options.supervisorPath + ": stoker-supervisor belongs beside stoker");
  }
  STOKER_CHECK(makeDirectories(options.dataDirectory, 0700));
  STOKER_CHECK(makeDirectories(options.dataDirectory + "/pods", 0700));
  STOKER_CHECK(makeDirectories(options.dataDirectory + "/run", 0700));
  std::error_code error;
  options.dataDirectory = std::filesystem::canonical(options.dataDirectory, error).string();
  if (options.instanceId.empty()) options.instanceId = hexEncode(sha256(options.dataDirectory)).substr(0, 10);
  options.maskedPaths.insert(options.maskedPaths.begin(), kDefaultMasked.begin(), kDefaultMasked.end());
  options.maskedPaths.insert(options.maskedPaths.begin(), options.dataDirectory);

  auto impl = std::make_unique<Impl>();
  const Privileges privileges = readPrivileges();
  RuntimeCapabilities& can = impl->capabilities;
  can.root = privileges.root;
  can.missing = privileges.missing;
  if (!privileges.isolation) return Error(Reason::Forbidden, "cannot run pods: " + join(privileges.missing, "; "));
  can.isolation = true;
  impl->userNamespace = privileges.userNamespace;
  if (privileges.root) {
    if (Result<void> shared = sharePods(options.dataDirectory + "/pods"); !shared.ok())
      can.missing.push_back(shared.error().message);
    else
      impl->memory = true;
    impl->cgroups = openCgroups(options.instanceId);
    can.missing.insert(can.missing.end(), impl->cgroups.missing.begin(), impl->cgroups.missing.end());
  }
  const bool unified = impl->cgroups.version == 2;
  can.cgroupVersion = impl->cgroups.version == 0 ? "" : unified ? "v2" : "v1";
  can.memoryLimits = unified || !impl->cgroups.memory.empty();
  can.cpuLimits = unified || !impl->cgroups.cpu.empty();
  can.pidLimits = unified || !impl->cgroups.pids.empty();
  if (privileges.network) {
    if (Result<std::unique_ptr<PodNetwork>> network = PodNetwork::open(options.dataDirectory, options.instanceId)) {
      impl->network = *std::move(network);
      impl->addresses = std::make_unique<IpAllocator>(impl->network->subnet());
      can.podNetwork = true;
      can.masquerade = impl->network->masquerade();
      can.bridgeAddress = impl->network->gateway();
      if (!can.masquerade)
        can.missing.emplace_back("pods reach only this machine: nft (package nftables) is missing or was refused");
    } else {
      can.missing.push_back("pods share the machine's network: " + network.error().message);
    }
  }
  impl->options = std::move(options);
  impl->epoll = epoll_create1(EPOLL_CLOEXEC);
  impl->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (impl->epoll < 0 || impl->wake < 0) return systemError("cannot create", "epoll", errno);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = impl->wake;
  epoll_ctl(impl->epoll, EPOLL_CTL_ADD, impl->wake, &event);
  impl->pool = std::make_unique<WorkerPool>("node-blocking", kPoolThreads);
  return std::unique_ptr<ProcessRuntime>(new ProcessRuntime(std::move(impl)));
}

void ProcessRuntime::setListener(Listener listener) { impl_->listener = std::move(listener); }
const RuntimeCapabilities& ProcessRuntime::capabilities() const { return impl_->capabilities; }
std::string ProcessRuntime::podDirectory(const std::string& podUid) const { return impl_->directory(podUid); }
std::string ProcessRuntime::memoryDirectory(const std::string& podUid) const { return impl_->memoryDirectory(podUid); }

void ProcessRuntime::ensurePod(PodSandboxSpec spec) {
  // Here, so that the agent may put volumes into it at once.
  if (Result<void> made = makeDirectories(podDirectory(spec.uid), 0700); !made) {
    impl_->post([impl = impl_.get(), uid = spec.uid, message = made.error().message] {
      impl->fail(uid, "ensurePod", message);
    });
    return;
  }
  impl_->post([impl = impl_.get(), spec = std::move(spec)]() mutable { impl->ensure(std::move(spec)); });
}

void ProcessRuntime::startContainer(const std::string& podUid, ContainerSpec spec) {
  impl_->post([impl = impl_.get(), podUid, spec = std::move(spec)]() mutable { impl->start(podUid, std::move(spec)); });
}

void ProcessRuntime::stopContainer(const std::string& podUid, const std::string& name, int graceSeconds) {
  impl_->post([impl = impl_.get(), podUid, name, graceSeconds] {
    const auto it = impl->pods.find(podUid);
    if (it == impl->pods.end() || it->second.state == Impl::Pod::State::Gone) return;
    impl->command(podUid, it->second, Record("stop").add("name", name).add("grace", graceSeconds));
  });
}

void ProcessRuntime::killPod(const std::string& podUid, int graceSeconds) {
  impl_->post([impl = impl_.get(), podUid, graceSeconds] { impl->kill(podUid, graceSeconds); });
}

void ProcessRuntime::removePod(const std::string& podUid) {
  impl_->post([impl = impl_.get(), podUid] { impl->remove(podUid); });
}

Result<PodUsage> ProcessRuntime::usage(const std::string& podUid) const { return readUsage(impl_->cgroups, podUid); }

void ProcessRuntime::releaseMachine() {
  if (impl_->network) impl_->network->destroy();
  removeCgroups(impl_->cgroups);
  ::umount2((impl_->options.dataDirectory + "/pods").c_str(), MNT_DETACH);
}

}  // namespace stoker::node
