#include "node/agent/prober.h"

#include <fmt/format.h>

#include <charconv>

namespace stoker::node {
namespace {

std::optional<int> portOf(const std::string& text, const podspec::Container& container) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  for (const auto& port : container.ports)
    if (port.name == text) return port.containerPort;
  return std::nullopt;
}

}  // namespace

const char* toString(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::Startup:
      return "Startup";
    case ProbeKind::Readiness:
      return "Readiness";
    case ProbeKind::Liveness:
      return "Liveness";
  }
  return "";
}

Result<std::optional<ProbeTarget>> probeTarget(const podspec::Probe& probe, const podspec::Container& container,
                                               const std::string& podIp) {
  if (!probe.httpGet && !probe.tcpSocket) return std::optional<ProbeTarget>();
  ProbeTarget target;
  target.timeout = std::chrono::seconds(std::max(probe.timeoutSeconds, 1));
  const std::string& port = probe.httpGet ? probe.httpGet->port : probe.tcpSocket->port;
  const std::string& host = probe.httpGet ? probe.httpGet->host : probe.tcpSocket->host;
  auto number = portOf(port, container);
  if (!number || *number < 1 || *number > 65535)
    return Error(Reason::Invalid, fmt::format("port \"{}\" of the probe is neither a number nor the name of a port of "
                                              "container \"{}\"",
                                              port, container.name));
  target.port = *number;
  target.host = host.empty() ? podIp : host;
  if (probe.httpGet) {
    target.http = true;
    target.tls = probe.httpGet->scheme == "HTTPS";
    target.path = probe.httpGet->path.empty() ? "/" : probe.httpGet->path;
    if (target.path.front() != '/') target.path.insert(0, "/");
    target.headers = probe.httpGet->httpHeaders;
  }
  return std::optional<ProbeTarget>(std::move(target));
}

}  // namespace stoker::node
