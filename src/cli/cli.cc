#include "cli/cli.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "api/gang.h"
#include "base/strings.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/submit.h"
#include "kube/quantity.h"
#include "scheduler/why.h"

namespace stoker::cli {
namespace {

using Arguments = std::vector<std::string>;
using Type = Flag::Type;

struct Command {
  std::string usage, help;
  std::vector<Flag> flags;
  std::function<int(const FlagSet&, const Arguments&)> run;
};

std::map<std::string, std::string>& otherVerbs() {
  static std::map<std::string, std::string> verbs;
  return verbs;
}

Time now() { return SystemClock().now(); }

Result<void> checkOutput(const std::string& output, std::initializer_list<std::string_view> allowed) {
  if (output.empty()) return {};
  for (std::string_view word : allowed)
    if (output == word) return {};
  std::string list;
  for (std::string_view word : allowed) list += (list.empty() ? "" : ", ") + std::string(word);
  return Error(Reason::BadRequest, fmt::format("invalid --output {}: it must be one of {}", quote(output), list));
}

// ---- submit
// ------------------------------------------------------------------------------------------------------------

int submitPytorch(const FlagSet& flags, const Arguments& arguments) {
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  json::Arena arena;
  auto job = pytorchJob(arena, flags, arguments, {session->ns(), session->api().access().user});
  if (!job.ok()) return fail(job.error());
  std::string name = flags.text("name");
  auto created =
      session->api().create(fmt::format("/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs?fieldValidation=Strict",
                                        net::percentEncode(session->ns())),
                            json::print(*job));
  if (!created.ok()) {
    if (created.error().reason == Reason::AlreadyExists)
      return fail(
          Error(Reason::AlreadyExists,
                fmt::format("the job {} is already exist, please delete it first. use 'arena delete {}'", name, name)));
    return fail(created.error());
  }
  fmt::print("pytorchjob.kubeflow.org/{} created\n", name);
  fmt::print("INFO[0000] The Job {} has been submitted successfully\n", name);
  fmt::print("INFO[0000] You can run `arena get {} --type pytorchjob -n {}` to check the job status\n", name,
             session->ns());
  return 0;
}

int submit(const FlagSet&, const Arguments&) {
  fmt::print(
      "Submit a job.\n\nUsage:\n  stoker submit pytorch --name NAME --image IMAGE [flags] \"COMMAND\"\n\nTypes: "
      "pytorchjob (alias pytorch)\n");
  return 0;
}

// ---- list, get, delete
// -------------------------------------------------------------------------------------------------

int list(const FlagSet& flags, const Arguments&) {
  if (auto ok = checkType(flags.text("type")); !ok.ok()) return fail(ok.error());
  if (auto ok = checkOutput(flags.text("output"), {"wide", "json", "yaml"}); !ok.ok()) return fail(ok.error());
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  bool all = flags.flag("all-namespaces");
  auto jobs = session->jobs(all, now());
  if (!jobs.ok()) return fail(jobs.error());
  std::string output = flags.text("output");
  if (output == "json" || output == "yaml") {
    json::Arena arena;
    std::vector<json::Value> items;
    for (const JobView& job : *jobs) items.push_back(jobJson(arena, job));
    fmt::print("{}", render(json::array(arena, items), output));
  } else {
    fmt::print("{}", listTable(*jobs, all));
  }
  return 0;
}

std::string eventTable(Session& session, const JobView& job) {
  std::vector<std::vector<std::string>> rows{{"SOURCE", "TYPE", "AGE", "MESSAGE"},
                                             {"------", "----", "---", "-------"}};
  std::vector<std::pair<std::string, std::string>> about{{"pytorchjob/" + job.name, job.name}};
  for (const Instance& i : job.instances) about.emplace_back("pod/" + i.name, i.name);
  for (const auto& [label, name] : about) {
    auto events = session.api().get(fmt::format("/api/v1/namespaces/{}/events?fieldSelector=involvedObject.name%3D{}",
                                                net::percentEncode(job.namespace_), net::percentEncode(name)));
    if (!events.ok()) continue;
    for (json::Value e : (*events)["items"].items()) {
      Time last = parseTime(e["lastTimestamp"].asString()).value_or(now());
      rows.push_back({label, e["type"].str(), formatAge(now() - last),
                      fmt::format("[{}] {}", e["reason"].asString(), e["message"].asString())});
    }
  }
  std::string out = "\nEvents:\n";
  if (rows.size() == 2) return out + "  No events for this job\n";
  return out + alignColumns(rows, 2);
}

int get(const FlagSet& flags, const Arguments& arguments) {
  if (arguments.empty()) return fail(Error(Reason::BadRequest, "not set job name: stoker get JOB"));
  if (auto ok = checkType(flags.text("type")); !ok.ok()) return fail(ok.error());
  if (auto ok = checkOutput(flags.text("output"), {"wide", "json", "yaml", "name"}); !ok.ok()) return fail(ok.error());
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  auto job = session->job(arguments[0], now());
  if (!job.ok()) return fail(job.error());
  std::string output = flags.text("output");
  if (output == "json" || output == "yaml") {
    json::Arena arena;
    fmt::print("{}", render(jobJson(arena, *job), output));
  } else if (output == "name") {
    fmt::print("{}\n", job->name);
  } else {
    fmt::print("{}", getPage(*job, flags.flag("gpus")));
    if (flags.flag("events")) fmt::print("{}", eventTable(*session, *job));
  }
  return 0;
}

int remove(const FlagSet& flags, const Arguments& arguments) {
  if (arguments.empty()) return fail(Error(Reason::BadRequest, "not set job name: stoker delete JOB..."));
  if (auto ok = checkType(flags.text("type")); !ok.ok()) return fail(ok.error());
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  int status = 0;
  for (const std::string& name : arguments) {
    auto deleted = session->api().remove(
        fmt::format("/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs/{}?propagationPolicy=Background",
                    net::percentEncode(session->ns()), net::percentEncode(name)));
    if (deleted.ok()) {
      fmt::print("INFO[0000] The training job {} has been deleted successfully\n", name);
    } else if (deleted.error().reason == Reason::NotFound) {
      status = fail(Error(Reason::NotFound,
                          fmt::format("training job {} not found in namespace {}", quote(name), session->ns())));
    } else {
      status = fail(deleted.error());
    }
  }
  return status;
}

// ---- logs
// --------------------------------------------------------------------------------------------------------------

/// The pod's container has started, or never will.
bool logsReady(json::Value pod) {
  std::string_view phase = pod.at({"status", "phase"}).asString();
  if (phase == "Running" || phase == "Succeeded" || phase == "Failed") return true;
  return false;
}

/// Waits (by watch, not by polling) until the chief of the job, or the instance named, has started; its name.
Result<std::string> waitForInstance(Session& session, const std::string& job, const std::string& instance) {
  std::string selector = "labelSelector=training.kubeflow.org%2Fjob-name%3D" + net::percentEncode(job);
  std::string base = fmt::format("/api/v1/namespaces/{}/pods?{}", net::percentEncode(session.ns()), selector);
  STOKER_TRY(JobView view, session.job(job, now()));
  std::string found, buffer;
  bool told = false;
  auto look = [&](json::Value pod) {
    std::string name = pod.at({"metadata", "name"}).str();
    json::Value labels = pod.at({"metadata", "labels"});
    bool chief = labels["training.kubeflow.org/job-role"].asString() == "master" ||
                 (labels["training.kubeflow.org/replica-index"].asString() == "0" && view.chief.empty());
    if (instance.empty() ? !chief && name != view.chief : name != instance) return;
    if (logsReady(pod)) found = name;
  };
  STOKER_CHECK(session.api().stream(base + "&watch=true", [&](std::string_view data) {
    buffer += data;
    size_t at;
    while ((at = buffer.find('\n')) != std::string::npos) {
      json::Arena arena;
      auto event = json::parse(arena, std::string_view(buffer).substr(0, at));
      if (event.ok() && (*event)["type"].asString() != "BOOKMARK") look((*event)["object"]);
      buffer.erase(0, at + 1);
    }
    if (found.empty() && !told && ::isatty(STDERR_FILENO)) {
      fmt::print(stderr, "waiting for {} to start\n", instance.empty() ? job : instance);
      told = true;
    }
    return found.empty();
  }));
  if (found.empty())
    return Error(Reason::NotFound,
                 fmt::format("the server ended the watch before an instance of {} started; try again", job));
  return found;
}

int logs(const FlagSet& flags, const Arguments& arguments) {
  if (arguments.empty()) return fail(Error(Reason::BadRequest, "not set job name: stoker logs JOB"));
  if (auto ok = checkType(flags.text("type")); !ok.ok()) return fail(ok.error());
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  bool follow = flags.flag("follow");
  std::string instance = flags.text("instance");
  if (follow) {
    auto started = waitForInstance(*session, arguments[0], instance);
    if (!started.ok()) return fail(started.error());
    instance = *started;
  } else if (instance.empty()) {
    auto job = session->job(arguments[0], now());
    if (!job.ok()) return fail(job.error());
    instance = job->chief.empty() && !job->instances.empty() ? job->instances[0].name : job->chief;
    if (instance.empty())
      return fail(Error(Reason::NotFound, fmt::format("job {} has no instance yet{}{}", job->name,
                                                      job->reason.empty() ? "" : ": ", job->reason)));
  }
  std::string path = fmt::format("/api/v1/namespaces/{}/pods/{}/log?follow={}", net::percentEncode(session->ns()),
                                 net::percentEncode(instance), follow);
  if (std::string c = flags.text("container"); !c.empty()) path += "&container=" + net::percentEncode(c);
  if (flags.number("tail") >= 0) path += fmt::format("&tailLines={}", flags.number("tail"));
  if (flags.flag("timestamps")) path += "&timestamps=true";
  if (std::string since = flags.text("since"); !since.empty()) {
    auto duration = parseGoDuration(since);
    if (!duration)
      return fail(Error(Reason::BadRequest,
                        fmt::format("invalid --since {}: it must be a duration such as 30s or 5m", quote(since))));
    path += fmt::format("&sinceSeconds={}",
                        std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(*duration).count()));
  }
  if (std::string since = flags.text("since-time"); !since.empty()) path += "&sinceTime=" + net::percentEncode(since);
  auto streamed = session->api().stream(path, [](std::string_view data) {
    bool written = std::fwrite(data.data(), 1, data.size(), stdout) == data.size();
    std::fflush(stdout);
    return written;
  });
  return streamed.ok() ? 0 : fail(streamed.error());
}

// ---- wait
// ----------------------------------------------------------------------------------------------------------------

/// Ends with the job: 0 when it succeeded, 1 when it failed or went away, 2 when the time was over.
int wait(const FlagSet& flags, const Arguments& arguments) {
  if (arguments.empty()) return fail(Error(Reason::BadRequest, "not set job name: stoker wait JOB"));
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  if (auto job = session->job(arguments[0], now()); !job.ok()) return fail(job.error());
  int64_t seconds = 0;
  if (auto timeout = flags.duration("timeout"))
    seconds = std::max<int64_t>(1, std::chrono::duration_cast<std::chrono::seconds>(*timeout).count());
  std::string path =
      fmt::format("/apis/kubeflow.org/v1/namespaces/{}/pytorchjobs?watch=true&fieldSelector=metadata.name%3D{}",
                  net::percentEncode(session->ns()), net::percentEncode(arguments[0]));
  if (seconds > 0) path += fmt::format("&timeoutSeconds={}", seconds);
  int outcome = 2;
  std::string buffer;
  auto streamed = session->api().stream(path, [&](std::string_view data) {
    buffer += data;
    for (size_t at; (at = buffer.find('\n')) != std::string::npos; buffer.erase(0, at + 1)) {
      json::Arena arena;
      auto event = json::parse(arena, std::string_view(buffer).substr(0, at));
      if (!event.ok()) continue;
      auto job = api::decode<api::PyTorchJob>((*event)["object"]);
      if (api::isTrue(job.status.conditions, "Succeeded"))
        outcome = 0;
      else if (api::isTrue(job.status.conditions, "Failed") || (*event)["type"].asString() == "DELETED")
        outcome = 1;
    }
    return outcome == 2;
  });
  if (!streamed.ok() && outcome == 2) return fail(streamed.error());
  if (outcome == 2) {
    fmt::print(stderr, "error: job {} has not ended{}\n", arguments[0],
               seconds > 0 ? fmt::format(" within {} s", seconds) : "");
    return 2;
  }
  fmt::print("job {} {}\n", arguments[0], outcome == 0 ? "succeeded" : "failed");
  return outcome;
}

// ---- why, top, whoami
// --------------------------------------------------------------------------------------------------

int why(const FlagSet& flags, const Arguments& arguments) {
  if (arguments.empty()) return fail(Error(Reason::BadRequest, "not set job name: stoker why JOB"));
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  auto job = session->job(arguments[0], now());
  if (!job.ok()) return fail(job.error());
  fmt::print("Job {} in namespace {}: {}\n", job->name, job->namespace_, job->status);
  if (!job->reason.empty()) fmt::print("Reason: {}\n", job->reason);
  auto gangs = session->api().get("/apis/stoker.dev/v1alpha1/gangs");
  if (!gangs.ok())
    gangs = session->api().get(
        fmt::format("/apis/stoker.dev/v1alpha1/namespaces/{}/gangs", net::percentEncode(session->ns())));
  if (!gangs.ok()) return fail(gangs.error());
  std::vector<api::Gang> all;
  size_t mine = SIZE_MAX;
  for (json::Value item : (*gangs)["items"].items()) {
    all.push_back(api::decode<api::Gang>(item));
    const api::OwnerReference* owner = all.back().metadata.controller();
    if (owner && owner->uid == job->uid) mine = all.size() - 1;
  }
  if (mine == SIZE_MAX) {
    fmt::print("The scheduler has not been asked for places yet: the job's Gang does not exist.\n");
    return 0;
  }
  fmt::print("{}", scheduler::whyText(all[mine], now(), scheduler::queuePlace(all[mine], all)));
  return 0;
}

std::string bytesText(int64_t bytes) { return fmt::format("{:.1f}Gi", static_cast<double>(bytes) / (1 << 30)); }

int topNode(const FlagSet& flags, const Arguments& arguments) {
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  if (auto ok = checkOutput(flags.text("output"), {"wide", "json", "yaml"}); !ok.ok()) return fail(ok.error());
  auto nodes = session->api().get("/api/v1/nodes");
  if (!nodes.ok()) return fail(nodes.error());
  auto pods = session->api().get("/api/v1/pods?fieldSelector=status.phase%21%3DSucceeded%2Cstatus.phase%21%3DFailed");
  if (!pods.ok()) return fail(pods.error());
  struct Use {
    int64_t gpus = 0, cpuMilli = 0, memory = 0;
  };
  std::map<std::string, Use> used;
  auto amount = [](const api::ResourceList& list, const char* name, bool milli) -> int64_t {
    auto it = list.find(name);
    if (it == list.end()) return 0;
    auto q = kube::Quantity::parse(it->second);
    return !q.ok() ? 0 : milli ? q->milliValue() : q->value();
  };
  for (json::Value item : (*pods)["items"].items()) {
    auto pod = api::decode<api::Pod>(item);
    Use& use = used[pod.spec.nodeName];
    for (const api::Container& c : pod.spec.containers) {
      use.gpus += amount(c.resources.requests, "nvidia.com/gpu", false);
      use.cpuMilli += amount(c.resources.requests, "cpu", true);
      use.memory += amount(c.resources.requests, "memory", false);
    }
  }
  json::Arena arena;
  std::vector<json::Value> items;
  std::vector<std::vector<std::string>> rows{{"NAME", "IPADDRESS", "ROLE", "STATUS", "GPU(Total)", "GPU(Allocated)",
                                              "CPU(Total)", "CPU(Requested)", "MEMORY(Total)", "MEMORY(Requested)"}};
  int64_t total = 0, allocated = 0;
  for (json::Value item : (*nodes)["items"].items()) {
    auto node = api::decode<api::Node>(item);
    const std::string& name = node.metadata.name;
    if (!arguments.empty() && std::find(arguments.begin(), arguments.end(), name) == arguments.end()) continue;
    std::string ip = "N/A", role = "<none>";
    for (const api::NodeAddress& address : node.status.addresses)
      if (address.type == "InternalIP") ip = address.address;
    for (const auto& [label, value] : node.metadata.labels)
      if (label.starts_with("node-role.kubernetes.io/")) role = label.substr(24);
    const api::Condition* ready = api::findCondition(node.status.conditions, "Ready");
    std::string status = ready && ready->status == "True" ? "Ready" : "NotReady";
    if (node.spec.unschedulable) status += ",SchedulingDisabled";
    int64_t gpus = amount(node.status.allocatable, "nvidia.com/gpu", false);
    const Use& use = used[name];
    total += gpus;
    allocated += use.gpus;
    rows.push_back({name, ip, role, status, std::to_string(gpus), std::to_string(use.gpus),
                    fmt::format("{:g}", static_cast<double>(amount(node.status.allocatable, "cpu", true)) / 1000),
                    fmt::format("{:g}", static_cast<double>(use.cpuMilli) / 1000),
                    bytesText(amount(node.status.allocatable, "memory", false)), bytesText(use.memory)});
    items.push_back(json::Object(arena)
                        .set("name", name)
                        .set("ip", ip)
                        .set("role", role)
                        .set("status", status)
                        .set("totalGPUs", gpus)
                        .set("allocatedGPUs", use.gpus)
                        .build());
  }
  std::string output = flags.text("output");
  if (output == "json" || output == "yaml") {
    fmt::print("{}", render(json::array(arena, items), output));
    return 0;
  }
  fmt::print("{}{}\nAllocated/Total GPUs In Cluster:\n{}/{} ({}%)\n", alignColumns(rows), std::string(87, '-'),
             allocated, total, total > 0 ? allocated * 100 / total : 0);
  return 0;
}

int topJob(const FlagSet& flags, const Arguments& arguments) {
  if (auto ok = checkType(flags.text("type")); !ok.ok()) return fail(ok.error());
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  bool all = flags.flag("all-namespaces");
  auto jobs = session->jobs(all, now());
  if (!jobs.ok()) return fail(jobs.error());
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> header{"NAME", "STATUS", "TRAINER", "AGE", "GPU(Requested)", "GPU(Allocated)", "NODE"};
  if (all) header.insert(header.begin(), "NAMESPACE");
  rows.push_back(header);
  int64_t total = 0, requested = 0;
  std::stable_sort(jobs->begin(), jobs->end(), [](const JobView& a, const JobView& b) {
    return a.allocatedGpus.value_or(0) > b.allocatedGpus.value_or(0);
  });
  json::Arena arena;
  std::vector<json::Value> items;
  for (const JobView& job : *jobs) {
    if (!arguments.empty() && job.name != arguments[0]) continue;
    items.push_back(json::Object(arena)
                        .set("name", job.name)
                        .set("namespace", job.namespace_)
                        .set("status", job.status)
                        .set("requestedGPUs", job.requestedGpus)
                        .set("allocatedGPUs", job.allocatedGpus.value_or(0))
                        .set("node", job.node)
                        .build());
    std::vector<std::string> row{job.name,
                                 job.status,
                                 "PYTORCHJOB",
                                 formatAge(now() - job.created),
                                 std::to_string(job.requestedGpus),
                                 std::to_string(job.allocatedGpus.value_or(0)),
                                 job.node};
    if (all) row.insert(row.begin(), job.namespace_);
    rows.push_back(row);
    total += job.allocatedGpus.value_or(0);
    requested += job.requestedGpus;
  }
  if (!arguments.empty() && items.empty())
    return fail(Error(Reason::NotFound, fmt::format("training job {} is not there; stoker list shows those that are",
                                                    quote(arguments[0]))));
  std::string output = flags.text("output");
  if (output == "json" || output == "yaml") {
    fmt::print("{}", render(json::array(arena, items), output));
    return 0;
  }
  fmt::print("{}\nTotal Allocated/Requested GPUs of Training Jobs: {}/{}\n", alignColumns(rows), total, requested);
  return 0;
}

int top(const FlagSet&, const Arguments& arguments) {
  if (!arguments.empty())
    return fail(
        Error(Reason::BadRequest,
              fmt::format("unknown command {} for top; use: stoker top node or stoker top job", quote(arguments[0]))));
  fmt::print("Display what nodes and jobs use.\n\nUsage:\n  stoker top node [NODE...]\n  stoker top job [JOB]\n");
  return 0;
}

int whoami(const FlagSet& flags, const Arguments&) {
  auto session = Session::open(flags);
  if (!session.ok()) return fail(session.error());
  auto answer = session->api().create("/apis/authentication.k8s.io/v1/selfsubjectreviews",
                                      R"({"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"})");
  if (!answer.ok()) return fail(answer.error());
  json::Value user = answer->root.at({"status", "userInfo"});
  std::string groups;
  for (json::Value g : user["groups"].items()) groups += (groups.empty() ? "" : ", ") + g.str();
  fmt::print("User:      {}\nGroups:    {}\nNamespace: {}\nContext:   {}\n", user["username"].asString(), groups,
             session->ns(), session->api().access().context);
  return 0;
}

int version(const FlagSet& flags, const Arguments&) {
  if (flags.flag("short"))
    fmt::print("stoker {}\n", kVersion);
  else
    fmt::print("stoker: {}\n  Kubernetes API: v1.35.4\n  arena commands: 0.15\n", kVersion);
  return 0;
}

// ---- the table of commands
// ---------------------------------------------------------------------------------------------

int completion(const FlagSet& flags, const Arguments& arguments);

const std::map<std::string, Command>& commands() {
  static const std::map<std::string, Command> table = [] {
    std::map<std::string, Command> out;
    Flag type{"type", 'T', Type::String, "", "type of the job"};
    Flag output{"output", 'o', Type::String, "", "wide, json or yaml"};
    Flag all{"all-namespaces", 'A', Type::Bool, "false", "all namespaces"};
    Flag allOld{"allNamespaces", 0, Type::Bool, "false", "", true, "all-namespaces"};
    auto add = [&](const std::string& name, Command command) {
      command.flags = withGlobals(std::move(command.flags));
      out[name] = std::move(command);
    };
    Command pytorch{"submit pytorch --name NAME --image IMAGE [flags] \"COMMAND\"", "Submit a PyTorchJob.",
                    pytorchFlags(), submitPytorch};
    add("submit", {"submit TYPE", "Submit a job.", {}, submit});
    add("submit pytorchjob", pytorch);
    add("submit pytorch", pytorch);
    Command listCommand{"list", "List jobs and why they wait.", {type, output, all, allOld}, list};
    add("list", listCommand);
    add("ls", listCommand);
    add("get", {"get JOB",
                "Show a job and its instances.",
                {type,
                 output,
                 {"events", 'e', Type::Bool, "false", "show events"},
                 {"gpus", 'g', Type::Bool, "false", "show GPUs"}},
                get});
    Command logsCommand{"logs JOB",
                        "Show the log of a job's chief instance.",
                        {type,
                         {"follow", 'f', Type::Bool, "false", "go on as the log grows; waits for the job to start"},
                         {"since", 0, Type::String, "", "only lines younger than this, e.g. 5m"},
                         {"since-time", 0, Type::String, "", "only lines after this RFC 3339 time"},
                         {"tail", 't', Type::Int, "-1", "only this many last lines"},
                         {"timestamps", 0, Type::Bool, "false", "show the time of each line"},
                         {"instance", 'i', Type::String, "", "pod whose log to show"},
                         {"container", 'c', Type::String, "", "container"}},
                        logs};
    add("logs", logsCommand);
    add("log", logsCommand);
    Command deleteCommand{"delete JOB...", "Delete jobs and all that belongs to them.", {type}, remove};
    add("delete", deleteCommand);
    add("del", deleteCommand);
    add("wait", {"wait JOB",
                 "Wait until a job has ended; exit status 0 when it succeeded, 1 when it failed.",
                 {{"timeout", 0, Type::Duration, "", "give up after this long (exit status 2)"}},
                 wait});
    add("why", {"why JOB", "Say in numbers why a job waits.", {}, why});
    std::vector<Flag> refresh{{"refresh", 'r', Type::Bool, "false", "repeat", false, "", "use watch -n 2 stoker top"}};
    add("top", {"top node|job", "Show what nodes and jobs use.", {}, top});
    add("top node",
        {"top node [NODE...]",
         "Show GPUs, CPUs and memory of nodes.",
         {output,
          refresh[0],
          {"details", 'd', Type::Bool, "false", "accepted; details are always shown"},
          {"gpu-mode", 'm', Type::String, "", "only nodes of this mode", false, "",
           "GPU sharing comes with the device part"},
          {"metric", 0, Type::Bool, "false", "GPU metrics", false, "", "GPU metrics come with the device part"}},
         topNode});
    add("top job", {"top job [JOB]",
                    "Show GPUs of jobs.",
                    {type,
                     output,
                     all,
                     allOld,
                     refresh[0],
                     {"instance", 'i', Type::String, "", "one instance", false, "",
                      "use of single pods is not measured yet; kubectl get pods shows them"}},
                    topJob});
    add("whoami", {"whoami", "Show who the server takes you for.", {}, whoami});
    add("version", {"version",
                    "Show the version.",
                    {{"short", 0, Type::Bool, "false", "one line"}, {"verbose", 'v', Type::Bool, "false", "accepted"}},
                    version});
    add("completion", {"completion bash|zsh", "Print a completion script for a shell.", {}, completion});
    return out;
  }();
  return table;
}

std::vector<std::string> verbs() {
  std::vector<std::string> out;
  for (const auto& [name, command] : commands())
    if (name.find(' ') == std::string::npos) out.push_back(name);
  for (const auto& [name, help] : otherVerbs()) out.push_back(name);
  std::sort(out.begin(), out.end());
  return out;
}

int completion(const FlagSet&, const Arguments& arguments) {
  std::string shell = arguments.empty() ? "bash" : arguments[0];
  if (shell != "bash" && shell != "zsh")
    return fail(
        Error(Reason::BadRequest, fmt::format("no completion for shell {}; there is bash and zsh", quote(shell))));
  std::string cases;
  for (const auto& [name, command] : commands()) {
    std::string words;
    for (const Flag& flag : command.flags)
      if (!flag.deprecated && flag.refused.empty()) words += " --" + flag.name;
    if (name == "submit") words += " pytorch pytorchjob";
    if (name == "top") words += " node job";
    cases += fmt::format("    {}) words=\"{}\";;\n", quote(name), words.substr(words.empty() ? 0 : 1));
  }
  if (shell == "zsh") fmt::print("autoload -U +X bashcompinit && bashcompinit\n");
  fmt::print(
      "_stoker() {{\n"
      "  local words=\"{}\" command=\"${{COMP_WORDS[1]}}\"\n"
      "  case \"$command\" in submit|top) [ \"$COMP_CWORD\" -gt 2 ] && command=\"$command ${{COMP_WORDS[2]}}\";; esac\n"
      "  [ \"$COMP_CWORD\" -gt 1 ] && case \"$command\" in\n{}  esac\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -F _stoker stoker arena\n",
      join(verbs(), " "), cases);
  return 0;
}

void usage(const std::string& program) {
  fmt::print("{} runs and watches training jobs on GPUs.\n\nUsage:\n  {} COMMAND [flags]\n\nCommands:\n", program,
             program);
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, help] : otherVerbs()) rows.push_back({name, help});
  for (const auto& [name, command] : commands())
    if (name.find(' ') == std::string::npos && name != "ls" && name != "log" && name != "del")
      rows.push_back({name, command.help});
  std::sort(rows.begin(), rows.end());
  fmt::print("{}\n`{} COMMAND --help` shows the flags of a command.\n", alignColumns(rows, 2), program);
}

}  // namespace

void addVerb(const std::string& name, const std::string& help) { otherVerbs()[name] = help; }

int run(const std::string& program, const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "help" || arguments[0] == "--help" || arguments[0] == "-h") {
    usage(program);
    return 0;
  }
  std::string name = arguments[0];
  size_t used = 1;
  if (arguments.size() > 1 && commands().contains(name + " " + arguments[1])) {
    name += " " + arguments[1];
    used = 2;
  } else if (name == "submit" && arguments.size() > 1 && arguments[1][0] != '-') {
    return fail(Error(Reason::BadRequest,
                      fmt::format("jobs of type {} are not supported yet; supported: pytorchjob (alias pytorch)",
                                  quote(arguments[1]))));
  }
  auto it = commands().find(name);
  if (it == commands().end()) {
    std::string message = fmt::format("unknown command {} for {}", quote(name), program);
    if (auto near = didYouMean(name, verbs())) message += fmt::format("; did you mean {}?", *near);
    return fail(Error(Reason::BadRequest, message + fmt::format("\n{} help lists the commands", program)));
  }
  const Command& command = it->second;
  FlagSet flags(command.flags);
  auto positional = flags.parse({arguments.begin() + static_cast<long>(used), arguments.end()});
  if (!positional.ok())
    return fail(Error(Reason::BadRequest,
                      positional.error().message + fmt::format("\n{} {} --help shows the flags", program, name)));
  if (flags.flag("help")) {
    fmt::print("{}\n\nUsage:\n  {} {}\n\nFlags:\n{}", command.help, program, command.usage, flags.help());
    return 0;
  }
  return command.run(flags, *positional);
}

}  // namespace stoker::cli
