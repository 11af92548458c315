#include "client/kubeconfig.h"

#include <fmt/format.h>

#include <charconv>

#include "base/file.h"
#include "base/strings.h"
#include "json/yaml.h"

namespace stoker::client {
namespace {

/// The entry called `name` in a list of {name, <key>: {...}}.
Result<json::Value> entry(json::Value config, const char* list, const char* key, std::string_view name) {
  for (json::Value item : config[list].items())
    if (item["name"].asString() == name) return item[key];
  return Error(Reason::NotFound, fmt::format("the kubeconfig has no entry named {} under {}", quote(name), list));
}

/// KEY-data in base64, or the file KEY names; empty when neither is given.
Result<std::string> material(json::Value from, const std::string& key, const std::string& directory) {
  if (std::string data = from[key + "-data"].str(); !data.empty()) {
    auto decoded = base64Decode(data);
    if (!decoded) return Error(Reason::BadRequest, fmt::format("{}-data in the kubeconfig is not valid base64", key));
    return *decoded;
  }
  std::string path = from[key].str();
  if (path.empty()) return std::string();
  return readFile(path[0] == '/' ? path : directory + "/" + path);
}

}  // namespace

Result<ServerAccess> readKubeconfig(const std::string& text, const std::string& context, const std::string& directory) {
  json::Arena arena;
  STOKER_TRY(std::vector<json::Value> documents, json::parseYaml(arena, text));
  if (documents.empty() || !documents[0].isObject()) return Error(Reason::BadRequest, "the kubeconfig is empty");
  json::Value config = documents[0];
  ServerAccess out;
  out.context = context.empty() ? config["current-context"].str() : context;
  if (out.context.empty())
    return Error(Reason::BadRequest, "the kubeconfig has no current-context; set one with kubectl config use-context");
  STOKER_TRY(json::Value chosen, entry(config, "contexts", "context", out.context));
  out.cluster = chosen["cluster"].str();
  out.user = chosen["user"].str();
  out.namespace_ = chosen["namespace"].str();
  STOKER_TRY(json::Value cluster, entry(config, "clusters", "cluster", out.cluster));
  std::string server = cluster["server"].str();
  std::string_view rest = server;
  if (rest.starts_with("https://"))
    rest.remove_prefix(8);
  else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    out.tls = false;
  } else
    return Error(Reason::BadRequest, fmt::format("server {} of cluster {} must start with https:// or http://",
                                                 quote(server), out.cluster));
  out.port = out.tls ? 443 : 80;
  size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    out.path = rest.substr(slash);
    while (out.path.ends_with('/')) out.path.pop_back();
    rest = rest.substr(0, slash);
  }
  size_t colon = rest.rfind(':');
  bool bracketed = rest.starts_with('[');
  if (colon != std::string_view::npos && (!bracketed || colon > rest.find(']'))) {
    std::string_view digits = rest.substr(colon + 1);
    auto [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (ec != std::errc() || end != digits.data() + digits.size() || out.port == 0)
      return Error(Reason::BadRequest,
                   fmt::format("server {} of cluster {} has no valid port", quote(server), out.cluster));
    rest = rest.substr(0, colon);
  }
  if (bracketed && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  out.host = rest;
  if (out.host.empty())
    return Error(Reason::BadRequest, fmt::format("server {} of cluster {} names no host", quote(server), out.cluster));
  out.insecureSkipVerify = cluster["insecure-skip-tls-verify"].asBool();
  out.serverName = cluster["tls-server-name"].str();
  STOKER_TRY(out.caPem, material(cluster, "certificate-authority", directory));
  if (out.user.empty()) return out;
  STOKER_TRY(json::Value user, entry(config, "users", "user", out.user));
  if (user.has("exec") || user.has("auth-provider"))
    return Error(Reason::BadRequest,
                 fmt::format("user {} of the kubeconfig needs a credential plugin, which is not supported yet; use a "
                             "certificate or a token",
                             out.user));
  if (user.has("username") || user.has("password"))
    return Error(
        Reason::BadRequest,
        fmt::format("user {} of the kubeconfig has a name and a password, which Kubernetes no longer knows; use "
                    "a certificate or a token",
                    out.user));
  STOKER_TRY(out.certificatePem, material(user, "client-certificate", directory));
  STOKER_TRY(out.keyPem, material(user, "client-key", directory));
  out.token = user["token"].str();
  if (std::string file = user["tokenFile"].str(); out.token.empty() && !file.empty()) {
    out.tokenFile = file[0] == '/' ? file : directory + "/" + file;
    STOKER_TRY(std::string token, readFile(out.tokenFile));
    out.token = trim(token);
  }
  return out;
}

}  // namespace stoker::client
