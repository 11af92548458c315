#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "base/strings.h"
#include "cli/api.h"
#include "engine.h"

namespace stoker::scenarios {
namespace {

/// Runs a program to its end; its output goes with ours. The exit status, or 128 + signal.
int runProgram(const std::vector<std::string>& arguments) {
  pid_t child = ::fork();
  if (child == 0) {
    std::vector<char*> argv;
    for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    std::_Exit(127);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

std::string collection(const client::Gvr& resource, const std::string& ns) {
  std::string path =
      resource.group.empty() ? "/api/" + resource.version : "/apis/" + resource.group + "/" + resource.version;
  if (!ns.empty()) path += "/namespaces/" + ns;
  return path + "/" + resource.resource;
}

class RealEngine final : public Engine {
 public:
  explicit RealEngine(std::string program) : program_(std::move(program)) {}

  ~RealEngine() override {
    stopping_ = true;
    if (!data_.empty()) runProgram({program_, "down", "--data", data_, "--purge"});
    for (std::thread& watcher : watchers_) watcher.join();
    std::error_code ignored;
    if (!data_.empty()) std::filesystem::remove_all(data_, ignored);
    if (!nodesFile_.empty()) std::filesystem::remove(nodesFile_, ignored);
  }

  Result<void> start(json::Value nodes) override {
    char directory[] = "/tmp/stoker-scenario-XXXXXX";
    if (!::mkdtemp(directory)) return systemError("make a directory like", directory, errno);
    data_ = directory;
    nodesFile_ = data_ + ".nodes.yaml";
    STOKER_CHECK(writeFileAtomic(nodesFile_, json::print(nodes)));
    STOKER_CHECK(up("127.0.0.1:0"));
    STOKER_TRY(api_, cli::Api::connect(data_ + "/admin.kubeconfig", ""));
    for (const client::Gvr& resource :
         {client::gvrOf<api::Pod>(), client::gvrOf<api::PyTorchJob>(), client::gvrOf<api::Gang>(),
          client::gvrOf<api::Node>(), client::Gvr{"batch", "v1", "jobs"}, client::Gvr{"", "v1", "events"}})
      watchers_.emplace_back([this, path = collection(resource, "")] { follow(path); });
    size_t count = 0;
    for (json::Value node : nodes.items()) count += static_cast<size_t>(node["count"].asInt(1));
    bool ready = waitUntil(
        [&] {
          size_t there = 0;
          for (const json::Doc& node : list(client::gvrOf<api::Node>(), ""))
            for (json::Value c : node.root.at({"status", "conditions"}).items())
              there += c["type"].asString() == "Ready" && c["status"].asString() == "True";
          return there == count;
        },
        10s);
    if (!ready) return Error(Reason::Timeout, "the nodes did not become ready");
    return {};
  }

  std::string request(const sim::Request& request) override {
    std::string path = collection(request.resource, request.ns);
    if (request.verb != client::Write::Verb::Create) path += "/" + request.name;
    Result<json::Doc> answer = Error();
    switch (request.verb) {
      case client::Write::Verb::Create:
        answer = api_->create(path, request.body);
        break;
      case client::Write::Verb::Patch:
        answer = api_->patch(path, request.body);
        break;
      default: {
        json::Arena arena;
        json::Object options(arena);
        options.set("apiVersion", "v1")
            .set("kind", "DeleteOptions")
            .setNonEmpty("propagationPolicy", request.propagation);
        if (request.grace) options.set("gracePeriodSeconds", *request.grace);
        answer = api_->remove(path, json::print(options.build()));
      }
    }
    return answer.ok() ? "" : answer.error().message;
  }

  std::optional<json::Doc> get(const client::Gvr& resource, const std::string& ns, const std::string& name) override {
    auto answer = api_->get(collection(resource, ns) + "/" + name);
    return answer.ok() ? std::optional(*answer) : std::nullopt;
  }
  std::vector<json::Doc> list(const client::Gvr& resource, const std::string& ns) override {
    std::vector<json::Doc> out;
    auto answer = api_->get(collection(resource, ns));
    if (!answer.ok()) return out;
    for (json::Value item : answer->root["items"].items()) out.push_back(json::makeDoc(item));
    return out;
  }

  bool waitUntil(const std::function<bool()>& done, Duration limit) override {
    auto end = std::chrono::steady_clock::now() + limit;
    std::unique_lock lock(mutex_);
    for (;;) {
      uint64_t seen = changes_;
      lock.unlock();
      if (done()) return true;
      lock.lock();
      if (!changed_.wait_until(lock, end, [&] { return changes_ != seen; })) {
        lock.unlock();
        return done();
      }
    }
  }
  bool holdsFor(const std::function<bool()>& holds, Duration span) override {
    return !waitUntil([&] { return !holds(); }, span);
  }

  std::string fault(const std::string& verb, const std::string& what) override {
    if (verb != "crash" || what != "platform")
      return fmt::format("a real platform cannot {} {}; say engines: [virtual]", verb, what);
    auto pid = readFile(data_ + "/stoker.pid");
    if (!pid.ok()) return pid.error().message;
    auto lines = split(*pid, '\n');
    pid_t victim = std::atoi(std::string(lines[0]).c_str());
    int handle = static_cast<int>(::syscall(SYS_pidfd_open, victim, 0));
    ::kill(victim, SIGKILL);
    pollfd death{.fd = handle, .events = POLLIN, .revents = 0};
    ::poll(&death, 1, 10'000);
    ::close(handle);
    // The same address again, as after a crash: clients find it where it was.
    auto restarted = up(lines.size() > 1 ? std::string(lines[1]) : "127.0.0.1:0");
    if (!restarted.ok()) return restarted.error().message;
    auto connected = cli::Api::connect(data_ + "/admin.kubeconfig", "");
    if (!connected.ok()) return connected.error().message;
    api_ = std::move(*connected);
    return {};
  }

  Duration patience() const override { return 30s; }

 private:
  Result<void> up(const std::string& listen) {
    int status = runProgram(
        {program_, "up", "--no-node", "--simulate-nodes", nodesFile_, "--data", data_, "--listen", listen, "--detach"});
    if (status != 0) return Error(Reason::Unknown, fmt::format("stoker up ended with {}", status));
    return {};
  }

  /// Counts the changes of one kind until the end. A watch that breaks is taken up again; what was missed counts as a
  /// change.
  void follow(const std::string& path) {
    while (!stopping_) {
      if (auto api = cli::Api::connect(data_ + "/admin.kubeconfig", ""); api.ok()) {
        auto ended = (*api)->stream(path + "?watch=1", [&](std::string_view) {
          tell();
          return !stopping_;
        });
        (void)ended;
      }
      tell();
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, 100ms, [&] { return stopping_.load(); });
    }
  }
  void tell() {
    std::lock_guard lock(mutex_);
    ++changes_;
    changed_.notify_all();
  }

  std::string program_, data_, nodesFile_;
  std::unique_ptr<cli::Api> api_;
  std::vector<std::thread> watchers_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t changes_ = 0;
};

}  // namespace

std::unique_ptr<Engine> makeRealEngine(const std::string& program) { return std::make_unique<RealEngine>(program); }

}  // namespace stoker::scenarios
