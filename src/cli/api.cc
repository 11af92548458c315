#include "cli/api.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "base/file.h"
#include "base/strings.h"

namespace stoker::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

bool readable(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

Error statusError(int code, const std::string& body) {
  json::Arena arena;
  auto parsed = json::parse(arena, body);
  if (!parsed.ok() || (*parsed)["kind"].asString() != "Status")
    return Error(Reason::Unknown,
                 fmt::format("the server answered {}: {}", code, trim(std::string_view(body).substr(0, 300))));
  Error error(reasonFromString((*parsed)["reason"].asString()), (*parsed)["message"].str());
  error.name = parsed->at({"details", "name"}).str();
  error.kind = parsed->at({"details", "kind"}).str();
  return error;
}

}  // namespace

std::string defaultDataDirectory() {
  if (::geteuid() == 0) return "/var/lib/stoker";
  std::string data = environment("XDG_DATA_HOME");
  return data.empty() ? environment("HOME") + "/.local/share/stoker" : data + "/stoker";
}

int runningProcess(const std::string& dataDirectory) {
  auto text = readFile(dataDirectory + "/stoker.pid");
  int pid = text.ok() ? std::atoi(text->c_str()) : 0;
  if (pid <= 0) return 0;
  // "PID (name) STATE ...": the pid may have been given to another program since, and a process that was killed is
  // there (Z) until its parent has looked.
  auto stat = readFile(fmt::format("/proc/{}/stat", pid));
  if (!stat.ok()) return 0;
  size_t open = stat->find('('), close = stat->rfind(") ");
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat->size()) return 0;
  std::string name = stat->substr(open + 1, close - open - 1);
  char state = (*stat)[close + 2];
  return (name == "stoker" || name == "arena") && state != 'Z' && state != 'X' ? pid : 0;
}

Result<std::string> findKubeconfig(const std::string& given) {
  if (!given.empty()) return given;
  if (std::string path = environment("KUBECONFIG"); !path.empty()) {
    // Several files are merged by kubectl; the first that exists decides here.
    for (std::string_view part : split(path, ':'))
      if (readable(std::string(part))) return std::string(part);
    return path;
  }
  std::string local = defaultDataDirectory();
  if (runningProcess(local) && readable(local + "/admin.kubeconfig")) return local + "/admin.kubeconfig";
  std::string home = environment("HOME") + "/.kube/config";
  if (readable(home)) return home;
  return Error(
      Reason::NotFound,
      fmt::format("no cluster to talk to: no --kubeconfig, no $KUBECONFIG, no instance running in {} and no {}; "
                  "start one with: stoker up --detach",
                  local, home));
}

Result<std::unique_ptr<Api>> Api::connect(const std::string& kubeconfigPath, const std::string& context) {
  STOKER_TRY(std::string text, readFile(kubeconfigPath));
  size_t slash = kubeconfigPath.rfind('/');
  auto api = std::make_unique<Api>();
  STOKER_TRY(api->access_,
             client::readKubeconfig(text, context, slash == std::string::npos ? "." : kubeconfigPath.substr(0, slash)));
  const client::ServerAccess& access = api->access_;
  api->options_ = {.host = access.host,
                   .port = access.port,
                   .tls = access.tls,
                   .serverName = access.serverName,
                   .caPem = access.caPem,
                   .insecureSkipVerify = access.insecureSkipVerify,
                   .certificatePem = access.certificatePem,
                   .keyPem = access.keyPem,
                   .readTimeoutSeconds = 60};
  STOKER_TRY(api->client_, net::Client::create(api->options_));
  return api;
}

Error Api::explain(Error error) const {
  if (error.reason == Reason::ServiceUnavailable)
    error.message += fmt::format(
        "\nThe server of context {} is not running or not reachable; a local one is started with: stoker up --detach",
        quote(access_.context));
  return error;
}

Result<json::Doc> Api::call(const std::string& method, const std::string& path, const std::string& body,
                            const std::string& contentType) {
  net::Client::Request request{.method = method,
                               .target = access_.path + path,
                               .headers = {{"Accept", "application/json"}, {"User-Agent", "stoker"}},
                               .body = body};
  if (!body.empty()) request.headers.emplace_back("Content-Type", contentType);
  if (!access_.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + access_.token);
  auto answer = client_->call(request);
  if (!answer.ok()) return explain(answer.error());
  if (answer->status >= 400) return statusError(answer->status, answer->body);
  return json::parseDoc(answer->body);
}

Result<json::Doc> Api::get(const std::string& path) { return call("GET", path, "", ""); }
Result<json::Doc> Api::create(const std::string& path, const std::string& body) {
  return call("POST", path, body, "application/json");
}
Result<json::Doc> Api::patch(const std::string& path, const std::string& mergePatch) {
  return call("PATCH", path, mergePatch, "application/merge-patch+json");
}
Result<json::Doc> Api::remove(const std::string& path, const std::string& options) {
  return call("DELETE", path, options, "application/json");
}

Result<void> Api::stream(const std::string& path, const std::function<bool(std::string_view)>& onData) {
  net::ClientOptions patient = options_;
  patient.readTimeoutSeconds = 0;
  STOKER_TRY(auto client, net::Client::create(patient));
  net::Client::Request request{.target = access_.path + path, .headers = {{"Accept", "*/*"}}};
  if (!access_.token.empty()) request.headers.emplace_back("Authorization", "Bearer " + access_.token);
  auto answer = client->stream(request, onData);
  if (!answer.ok()) return explain(answer.error());
  if (answer->status >= 400) return statusError(answer->status, answer->body);
  return {};
}

}  // namespace stoker::cli
