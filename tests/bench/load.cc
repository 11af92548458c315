// load.cc: load for the benchmarks, over HTTPS with the credentials of a kubeconfig; prints one JSON object of figures.
//
//   stoker_load creates KUBECONFIG COUNT BYTES CONNECTIONS   ConfigMaps of BYTES, each connection one request at a time
//   stoker_load pods    KUBECONFIG COUNT BYTES CONNECTIONS   Pods of about BYTES that nobody schedules
//   stoker_load jobs    KUBECONFIG COUNT CONNECTIONS         PyTorchJobs of one /bin/true master, until all have
//   Succeeded stoker_load watch   KUBECONFIG WATCHERS WRITES           how late WATCHERS see each of WRITES, one after
//   the other
//
// It runs on the machine that it measures, so its own work is in the figures.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

#include "base/file.h"
#include "client/kubeconfig.h"
#include "json/json.h"
#include "net/client.h"

namespace stoker::bench {
namespace {

using Clock = std::chrono::steady_clock;

double millisecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/// Nearest-rank percentile; sorts.
double percentile(std::vector<double>& values, double rank) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  size_t index = static_cast<size_t>(rank / 100 * static_cast<double>(values.size()));
  return values[std::min(index, values.size() - 1)];
}

std::string distribution(std::vector<double>& values) {
  return fmt::format(R"("p50_ms":{:.3f},"p99_ms":{:.3f},"max_ms":{:.3f})", percentile(values, 50),
                     percentile(values, 99), percentile(values, 100));
}

Result<net::ClientOptions> optionsOf(const std::string& kubeconfig) {
  STOKER_TRY(std::string text, readFile(kubeconfig));
  size_t slash = kubeconfig.rfind('/');
  STOKER_TRY(auto access,
             client::readKubeconfig(text, "", slash == std::string::npos ? "." : kubeconfig.substr(0, slash)));
  return net::ClientOptions{.host = access.host,
                            .port = access.port,
                            .tls = access.tls,
                            .serverName = access.serverName,
                            .caPem = access.caPem,
                            .insecureSkipVerify = access.insecureSkipVerify,
                            .certificatePem = access.certificatePem,
                            .keyPem = access.keyPem,
                            .readTimeoutSeconds = 120,
                            .maxIdleConnections = 1};
}

int fail(const Error& error) {
  fmt::print(stderr, "stoker_load: {}\n", error.message);
  return 1;
}

/// A namespace of its own for each run, so that runs do not see each other.
Result<std::string> makeNamespace(const net::ClientOptions& options) {
  STOKER_TRY(auto client, net::Client::create(options));
  STOKER_TRY(auto answer,
             client->call({.method = "POST",
                           .target = "/api/v1/namespaces",
                           .headers = {{"Content-Type", "application/json"}},
                           .body = R"({"apiVersion":"v1","kind":"Namespace","metadata":{"generateName":"bench-"}})"}));
  if (answer.status != 201)
    return Error(Reason::Unknown, fmt::format("creating a namespace: {} {}", answer.status, answer.body));
  json::Arena arena;
  STOKER_TRY(json::Value made, json::parse(arena, answer.body));
  return made.at({"metadata", "name"}).str();
}

struct Outcome {
  double seconds = 0;
  std::vector<double> latencies;
  std::string firstError;
};

/// Sends COUNT creates over so many connections; `body` gives the object of an index.
Outcome createAll(const net::ClientOptions& options, const std::string& target, int count, int connections,
                  const std::function<std::string(int)>& body) {
  std::vector<std::unique_ptr<net::Client>> clients;
  Outcome outcome;
  for (int i = 0; i < connections; ++i) {
    auto client = net::Client::create(options);
    if (!client.ok()) {
      outcome.firstError = client.error().message;
      return outcome;
    }
    // The connection stands before the clock runs.
    (void)(*client)->call({.target = "/version"});
    clients.push_back(std::move(*client));
  }
  std::atomic<int> next{0};
  std::mutex mutex;
  auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (auto& client : clients)
    threads.emplace_back([&, c = client.get()] {
      std::vector<double> mine;
      std::string error;
      for (int index; error.empty() && (index = next++) < count;) {
        net::Client::Request request{
            .method = "POST", .target = target, .headers = {{"Content-Type", "application/json"}}, .body = body(index)};
        auto sent = Clock::now();
        auto answer = c->call(request);
        mine.push_back(millisecondsSince(sent));
        if (!answer.ok())
          error = answer.error().message;
        else if (answer->status != 201)
          error = fmt::format("{} {}", answer->status, answer->body.substr(0, 500));
      }
      std::lock_guard lock(mutex);
      outcome.latencies.insert(outcome.latencies.end(), mine.begin(), mine.end());
      if (outcome.firstError.empty()) outcome.firstError = error;
    });
  for (std::thread& thread : threads) thread.join();
  outcome.seconds = millisecondsSince(begin) / 1000;
  return outcome;
}

int reportCreates(Outcome outcome, int count, int connections, size_t bytes) {
  if (!outcome.firstError.empty()) return fail(Error(Reason::Unknown, outcome.firstError));
  fmt::print(R"({{"count":{},"connections":{},"request_bytes":{},"seconds":{:.3f},"per_second":{:.0f},{}}})", count,
             connections, bytes, outcome.seconds, count / outcome.seconds, distribution(outcome.latencies));
  fmt::print("\n");
  return 0;
}

int creates(const net::ClientOptions& options, int count, int bytes, int connections) {
  auto ns = makeNamespace(options);
  if (!ns.ok()) return fail(ns.error());
  std::string payload(static_cast<size_t>(bytes), 'x');
  auto body = [&](int i) {
    return fmt::format(R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c-{}"}},"data":{{"k":"{}"}}}})",
                       i, payload);
  };
  return reportCreates(
      createAll(options, fmt::format("/api/v1/namespaces/{}/configmaps", *ns), count, connections, body), count,
      connections, body(0).size());
}

int pods(const net::ClientOptions& options, int count, int bytes, int connections) {
  auto ns = makeNamespace(options);
  if (!ns.ok()) return fail(ns.error());
  // Shaped like a training pod; a variable fills it up to the size asked for.
  auto body = [&](int i) {
    std::string head = fmt::format(
        R"({{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"pod-{}","labels":{{"app":"train","job":"job-{}"}}}},"spec":{{"schedulerName":"nobody",)"
        R"("restartPolicy":"Never","containers":[{{"name":"pytorch","image":"pytorch/pytorch:2","command":["python3","train.py"],)"
        R"("resources":{{"requests":{{"cpu":"4","memory":"16Gi"}},"limits":{{"nvidia.com/gpu":"1"}}}},"env":[)",
        i, i / 8);
    for (int e = 0; e < 20; ++e)
      head += fmt::format(R"({{"name":"VARIABLE_{}","value":"value {} of a variable"}},)", e, e);
    // What the server adds (uid, defaults, token volume, ...) is about 1400 bytes; the object stored should have
    // `bytes`.
    size_t target = static_cast<size_t>(std::max(0, bytes - 1400));
    std::string filler(head.size() < target ? target - head.size() : 1, 'x');
    return head + R"({"name":"FILL","value":")" + filler + R"("}]}]}})";
  };
  return reportCreates(createAll(options, fmt::format("/api/v1/namespaces/{}/pods", *ns), count, connections, body),
                       count, connections, body(0).size());
}

int jobs(const net::ClientOptions& options, int count, int connections) {
  auto ns = makeNamespace(options);
  if (!ns.ok()) return fail(ns.error());
  std::string target = fmt::format("/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs", *ns);
  auto watchOptions = options;
  watchOptions.readTimeoutSeconds = 0;
  auto watcher = net::Client::create(watchOptions);
  if (!watcher.ok()) return fail(watcher.error());
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, bool> ended;  // by name: succeeded
  std::thread watching([&] {
    std::string buffer;
    (void)(*watcher)->stream({.target = target + "?watch=true"}, [&](std::string_view data) {
      buffer += data;
      size_t begin = 0;
      for (size_t at; (at = buffer.find('\n', begin)) != std::string::npos; begin = at + 1) {
        json::Arena arena;
        auto event = json::parse(arena, std::string_view(buffer).substr(begin, at - begin));
        if (!event.ok()) continue;
        for (json::Value c : event->at({"object", "status", "conditions"}).items()) {
          std::string_view type = c["type"].asString();
          if (c["status"].asString() != "True" || (type != "Succeeded" && type != "Failed")) continue;
          std::lock_guard lock(mutex);
          ended[event->at({"object", "metadata", "name"}).str()] = type == "Succeeded";
          changed.notify_all();
        }
      }
      buffer.erase(0, begin);
      std::lock_guard lock(mutex);
      return static_cast<int>(ended.size()) < count;
    });
  });
  auto begin = Clock::now();
  Outcome outcome = createAll(options, target, count, connections, [](int i) {
    return fmt::format(
        R"({{"apiVersion":"kubeflow.org/v1","kind":"PyTorchJob","metadata":{{"name":"job-{}"}},"spec":{{"pytorchReplicaSpecs":{{"Master":)"
        R"({{"replicas":1,"restartPolicy":"Never","template":{{"spec":{{"containers":[{{"name":"pytorch","image":"host","command":["/bin/true"]}}]}}}}}}}}}}}})",
        i);
  });
  bool all = false;
  size_t failed = 0;
  if (outcome.firstError.empty()) {
    std::unique_lock lock(mutex);
    all = changed.wait_for(lock, std::chrono::minutes(5), [&] { return static_cast<int>(ended.size()) == count; });
    failed = static_cast<size_t>(std::count_if(ended.begin(), ended.end(), [](const auto& e) { return !e.second; }));
  }
  double seconds = millisecondsSince(begin) / 1000;
  (*watcher)->stop();
  watching.join();
  if (!outcome.firstError.empty()) return fail(Error(Reason::Unknown, outcome.firstError));
  if (!all || failed > 0)
    return fail(Error(Reason::Unknown, fmt::format("{} of {} jobs ended in {:.1f} s, {} of them failed", ended.size(),
                                                   count, seconds, failed)));
  fmt::print(R"({{"count":{},"connections":{},"submitted_seconds":{:.3f},"seconds":{:.3f},"jobs_per_second":{:.1f}}})",
             count, connections, outcome.seconds, seconds, count / seconds);
  fmt::print("\n");
  return 0;
}

int watch(const net::ClientOptions& options, int watchers, int writes) {
  auto ns = makeNamespace(options);
  if (!ns.ok()) return fail(ns.error());
  std::string target = fmt::format("/api/v1/namespaces/{}/configmaps", *ns);
  auto watchOptions = options;
  watchOptions.readTimeoutSeconds = 0;
  struct Watcher {
    std::unique_ptr<net::Client> client;
    std::thread thread;
    std::vector<Clock::time_point> arrivals;  // by write
  };
  std::vector<Watcher> all(static_cast<size_t>(watchers));
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<int> seen(static_cast<size_t>(writes) + 1);  // the first is the one that shows that all watch
  for (Watcher& watcher : all) {
    auto client = net::Client::create(watchOptions);
    if (!client.ok()) return fail(client.error());
    watcher.client = std::move(*client);
    watcher.arrivals.resize(seen.size());
    watcher.thread = std::thread([&] {
      std::string buffer;
      (void)watcher.client->stream({.target = target + "?watch=true&labelSelector=bench"}, [&](std::string_view data) {
        auto now = Clock::now();
        buffer += data;
        size_t begin = 0;
        for (size_t at; (at = buffer.find('\n', begin)) != std::string::npos; begin = at + 1) {
          std::string_view line = std::string_view(buffer).substr(begin, at - begin);
          size_t label = line.find(R"("bench":")");
          if (label == std::string_view::npos) continue;
          size_t index = static_cast<size_t>(std::atoi(line.data() + label + 9));
          if (index >= seen.size()) continue;
          watcher.arrivals[index] = now;
          std::lock_guard lock(mutex);
          if (++seen[index] == watchers) changed.notify_all();
        }
        buffer.erase(0, begin);
        return true;
      });
    });
  }
  auto writer = net::Client::create(options);
  std::string error;
  if (!writer.ok()) error = writer.error().message;
  std::vector<double> fromAnswer, fromSend, last, commit;
  for (size_t index = 0; error.empty() && index < seen.size(); ++index) {
    auto sent = Clock::now();
    auto answer = (*writer)->call(
        {.method = "POST",
         .target = target,
         .headers = {{"Content-Type", "application/json"}},
         .body = fmt::format(
             R"({{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"w-{0}","labels":{{"bench":"{0}"}}}},"data":{{"k":"{1}"}}}})",
             index, std::string(1000, 'x'))});
    auto answered = Clock::now();
    if (!answer.ok())
      error = answer.error().message;
    else if (answer->status != 201)
      error = answer->body;
    std::unique_lock lock(mutex);
    // The first write arrives at whoever watches later as well, as part of what is there.
    if (error.empty() && !changed.wait_for(lock, std::chrono::seconds(30), [&] { return seen[index] >= watchers; }))
      error = fmt::format("{} of {} watchers saw write {}", seen[index], watchers, index);
    if (index == 0 || !error.empty()) continue;
    commit.push_back(std::chrono::duration<double, std::milli>(answered - sent).count());
    double latest = 0;
    for (const Watcher& watcher : all) {
      double after = std::chrono::duration<double, std::milli>(watcher.arrivals[index] - answered).count();
      fromAnswer.push_back(std::max(0.0, after));
      latest = std::max(latest, after);
      fromSend.push_back(std::chrono::duration<double, std::milli>(watcher.arrivals[index] - sent).count());
    }
    last.push_back(latest);
  }
  for (Watcher& watcher : all) {
    watcher.client->stop();
    watcher.thread.join();
  }
  if (!error.empty()) return fail(Error(Reason::Unknown, error));
  fmt::print(
      R"({{"watchers":{},"writes":{},"after_answer":{{{}}},"last_watcher_after_answer":{{{}}},"after_request":{{{}}},"write":{{{}}}}})",
      watchers, writes, distribution(fromAnswer), distribution(last), distribution(fromSend), distribution(commit));
  fmt::print("\n");
  return 0;
}

int usage() {
  fmt::print(
      stderr,
      "usage: stoker_load creates|pods KUBECONFIG COUNT BYTES CONNECTIONS\n"
      "       stoker_load jobs KUBECONFIG COUNT CONNECTIONS\n       stoker_load watch KUBECONFIG WATCHERS WRITES\n");
  return 2;
}

int main(int argc, char** argv) {
  if (argc < 5) return usage();
  std::string what = argv[1];
  std::vector<int> numbers;
  for (int i = 3; i < argc; ++i) {
    numbers.push_back(std::atoi(argv[i]));
    if (numbers.back() < 1) return usage();
  }
  auto options = optionsOf(argv[2]);
  if (!options.ok()) return fail(options.error());
  if (what == "creates" && numbers.size() == 3) return creates(*options, numbers[0], numbers[1], numbers[2]);
  if (what == "pods" && numbers.size() == 3) return pods(*options, numbers[0], numbers[1], numbers[2]);
  if (what == "jobs" && numbers.size() == 2) return jobs(*options, numbers[0], numbers[1]);
  if (what == "watch" && numbers.size() == 2) return watch(*options, numbers[0], numbers[1]);
  return usage();
}

}  // namespace
}  // namespace stoker::bench

int main(int argc, char** argv) { return stoker::bench::main(argc, argv); }
