#include "cli/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::cli {

std::vector<Flag> globalFlags() {
  using Type = Flag::Type;
  return {
      {"kubeconfig", 0, Type::String, "", "kubeconfig of the cluster"},
      {"config", 0, Type::String, "", "the same, as arena calls it"},
      {"context", 0, Type::String, "", "context of the kubeconfig"},
      {"namespace", 'n', Type::String, "", "namespace"},
      {"loglevel", 0, Type::String, "info", "accepted for arena's scripts"},
      {"pprof", 0, Type::Bool, "false", "accepted for arena's scripts"},
      {"trace", 0, Type::Bool, "false", "accepted for arena's scripts"},
      {"arena-namespace", 0, Type::String, "arena-system", "accepted for arena's scripts"},
      {"helm-binary", 0, Type::Bool, "false", "accepted for arena's scripts"},
      {"help", 'h', Type::Bool, "false", "this text"},
  };
}

std::vector<Flag> withGlobals(std::vector<Flag> flags) {
  for (Flag& flag : globalFlags()) flags.push_back(std::move(flag));
  return flags;
}

int fail(const Error& error) {
  fmt::print(stderr, "error: {}\n", error.message);
  return 1;
}

namespace {

/// A key of arena's config file: $ARENA_CONFIG, else ~/.arena/config, lines of key=value.
std::string arenaConfig(std::string_view key) {
  const char* given = std::getenv("ARENA_CONFIG");
  const char* home = std::getenv("HOME");
  auto text = readFile(given ? given : std::string(home ? home : "") + "/.arena/config");
  if (!text.ok()) return {};
  for (std::string_view line : split(*text, '\n')) {
    size_t equals = line.find('=');
    if (equals != std::string_view::npos && trim(line.substr(0, equals)) == key)
      return std::string(trim(line.substr(equals + 1)));
  }
  return {};
}

}  // namespace

Result<void> checkType(const std::string& type) {
  if (type.empty() || type == "pytorchjob" || type == "pytorch") return {};
  return Error(Reason::BadRequest,
               fmt::format("jobs of type {} are not supported yet; supported: pytorchjob", quote(type)));
}

Result<Session> Session::open(const FlagSet& flags) {
  std::string given = flags.text("kubeconfig");
  if (given.empty()) given = flags.text("config");
  STOKER_TRY(std::string path, findKubeconfig(given));
  Session session;
  STOKER_TRY(session.api_, Api::connect(path, flags.text("context")));
  session.namespace_ = flags.text("namespace");
  if (session.namespace_.empty()) session.namespace_ = arenaConfig("namespace");
  if (session.namespace_.empty()) session.namespace_ = session.api_->access().namespace_;
  if (session.namespace_.empty()) session.namespace_ = "default";
  return session;
}

Result<std::vector<JobView>> Session::read(const std::string& ns, const std::string& name, Time now) {
  std::string scope = ns.empty() ? "" : "/namespaces/" + net::percentEncode(ns);
  std::string only = name.empty() ? "" : "?fieldSelector=metadata.name%3D" + net::percentEncode(name);
  STOKER_TRY(json::Doc jobs, api_->get("/apis/kubeflow.org/v1" + scope + "/pytorchjobs" + only));
  if (jobs["items"].empty()) return std::vector<JobView>();
  std::string label = name.empty() ? "training.kubeflow.org%2Fjob-name"
                                   : "training.kubeflow.org%2Fjob-name%3D" + net::percentEncode(name);
  STOKER_TRY(json::Doc podList, api_->get("/api/v1" + scope + "/pods?labelSelector=" + label));
  STOKER_TRY(json::Doc gangList, api_->get("/apis/stoker.dev/v1alpha1" + scope + "/gangs"));
  std::map<std::string, std::vector<api::Pod>> pods;  // by uid of the owner
  for (json::Value item : podList["items"].items()) {
    auto pod = api::decode<api::Pod>(item);
    if (const api::OwnerReference* owner = pod.metadata.controller()) pods[owner->uid].push_back(std::move(pod));
  }
  std::map<std::string, api::Gang> gangs;
  for (json::Value item : gangList["items"].items()) {
    auto gang = api::decode<api::Gang>(item);
    if (const api::OwnerReference* owner = gang.metadata.controller()) gangs.emplace(owner->uid, std::move(gang));
  }
  std::vector<JobView> out;
  for (json::Value item : jobs["items"].items()) {
    auto job = api::decode<api::PyTorchJob>(item);
    auto gang = gangs.find(job.metadata.uid);
    out.push_back(viewOf(job, pods[job.metadata.uid], gang == gangs.end() ? nullptr : &gang->second, now));
  }
  std::stable_sort(out.begin(), out.end(), [](const JobView& a, const JobView& b) { return a.created > b.created; });
  return out;
}

Result<std::vector<JobView>> Session::jobs(bool allNamespaces, Time now) {
  return read(allNamespaces ? "" : namespace_, "", now);
}

Result<JobView> Session::job(const std::string& name, Time now) {
  STOKER_TRY(std::vector<JobView> found, read(namespace_, name, now));
  if (found.empty())
    return Error(Reason::NotFound, fmt::format("training job not found: there is no job {} in namespace {}, please use "
                                               "'arena list' to make sure job is existed",
                                               quote(name), namespace_));
  return found[0];
}

}  // namespace stoker::cli
