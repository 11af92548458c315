#include "node/dns/records.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace stoker::node::dns {
namespace {

Record addressRecord(const std::string& name, const std::string& address) {
  return {.name = name, .type = kA, .ttl = kTtl, .address = address};
}

std::string dashed(const std::string& address) {
  std::string text = addressText(address);
  std::replace(text.begin(), text.end(), '.', '-');
  return text;
}

}  // namespace

void Records::setService(const std::string& ns, const std::string& name, const api::Service* service) {
  Key key{ns, name};
  if (!service) {
    services_.erase(key);
    return;
  }
  Service& out = services_[key];
  out = {};
  if (auto address = addressBytes(service->spec.clusterIP)) out.clusterIp = *address;
  out.publishNotReady = service->spec.publishNotReadyAddresses;
  for (const auto& port : service->spec.ports)
    out.ports.push_back(
        {toLower(port.name), toLower(port.protocol.empty() ? "TCP" : port.protocol), static_cast<uint16_t>(port.port)});
}

void Records::setSlice(const std::string& ns, const std::string& name, const api::EndpointSlice* slice) {
  Key key{ns, name};
  if (auto old = slices_.find(key); old != slices_.end()) {
    Key service{ns, old->second.service};
    slicesOf_[service].erase(name);
    if (slicesOf_[service].empty()) slicesOf_.erase(service);
    slices_.erase(old);
  }
  if (!slice) return;
  Slice& out = slices_[key];
  out.service = slice->metadata.label(kServiceNameLabel);
  slicesOf_[{ns, out.service}].insert(name);
  for (const auto& endpoint : slice->endpoints) {
    if (endpoint.addresses.empty()) continue;
    auto address = addressBytes(endpoint.addresses.front());
    if (!address) continue;
    std::string host = endpoint.hostname.empty() ? dashed(*address) : toLower(endpoint.hostname);
    out.endpoints.push_back({{*address, host}, endpoint.conditions.ready.value_or(true)});
  }
  for (const auto& port : slice->ports)
    out.ports.push_back({toLower(port.name.value_or("")), toLower(port.protocol.empty() ? "TCP" : port.protocol),
                         static_cast<uint16_t>(port.port)});
}

void Records::setFixed(const std::string& name, const std::string& address) {
  if (auto bytes = addressBytes(address)) fixed_[toLower(name)] = *bytes;
}

std::vector<Records::Endpoint> Records::endpointsOf(const Key& service, const Service& of) const {
  std::vector<Endpoint> out;
  auto slices = slicesOf_.find(service);
  if (slices == slicesOf_.end()) return out;
  for (const std::string& name : slices->second)
    for (const auto& [endpoint, ready] : slices_.at({service.first, name}).endpoints)
      if (ready || of.publishNotReady) out.push_back(endpoint);
  return out;
}

Answer Records::resolveService(const std::vector<std::string>& labels, const std::string& name, uint16_t type) const {
  // labels: NAMESPACE, SERVICE, then what stands before them, nearest first.
  Answer nothing{true, kNxDomain, {}}, empty{true, kNoError, {}};
  auto inNamespace = services_.lower_bound({labels[0], ""});
  if (labels.size() == 1)
    return inNamespace != services_.end() && inNamespace->first.first == labels[0] ? empty : nothing;
  Key key{labels[0], labels[1]};
  auto found = services_.find(key);
  if (found == services_.end()) return nothing;
  const Service& service = found->second;
  bool headless = service.clusterIp.empty();
  auto endpoints = endpointsOf(key, service);
  Answer out = empty;

  if (labels.size() == 2) {
    if (headless && endpoints.empty()) return nothing;
    if (type != kA && type != kAny) return empty;
    std::set<std::string> seen;
    if (!headless)
      out.records.push_back(addressRecord(name, service.clusterIp));
    else
      for (const Endpoint& endpoint : endpoints)
        if (seen.insert(endpoint.address).second) out.records.push_back(addressRecord(name, endpoint.address));
    return out;
  }
  if (labels.size() == 3) {
    bool exists = false;
    for (const Endpoint& endpoint : endpoints) {
      if (endpoint.host != labels[2]) continue;
      exists = true;
      if (type == kA || type == kAny) out.records.push_back(addressRecord(name, endpoint.address));
    }
    return exists ? out : nothing;
  }
  if (labels.size() == 4 && labels[2].starts_with("_") && labels[3].starts_with("_")) {
    std::string protocol = labels[2].substr(1), port = labels[3].substr(1);
    std::string base = fmt::format("{}.{}.svc.{}", labels[1], labels[0], domain_);
    auto add = [&](const std::string& target, uint16_t number) {
      out.records.push_back({.name = name, .type = kSrv, .ttl = kTtl, .target = target, .weight = 100, .port = number});
    };
    bool exists = false;
    if (!headless) {
      for (const Port& one : service.ports)
        if (one.name == port && one.protocol == protocol) {
          exists = true;
          if (type == kSrv || type == kAny) add(base, one.port);
        }
    } else if (auto slices = slicesOf_.find(key); slices != slicesOf_.end()) {
      for (const std::string& sliceName : slices->second) {
        const Slice& slice = slices_.at({key.first, sliceName});
        for (const Port& one : slice.ports) {
          if (one.name != port || one.protocol != protocol) continue;
          exists = true;
          for (const auto& [endpoint, ready] : slice.endpoints)
            if ((ready || service.publishNotReady) && (type == kSrv || type == kAny))
              add(endpoint.host + "." + base, one.port);
        }
      }
    }
    return exists ? out : nothing;
  }
  return nothing;
}

Answer Records::resolve(const std::string& asked, uint16_t type) const {
  std::string name = toLower(asked);
  Answer nothing{true, kNxDomain, {}}, empty{true, kNoError, {}};
  if (auto fixed = fixed_.find(name); fixed != fixed_.end()) {
    if (type == kA || type == kAny) empty.records.push_back(addressRecord(name, fixed->second));
    return empty;
  }
  if (name == domain_) return empty;
  if (!name.ends_with("." + domain_)) return {};
  std::string_view rest = std::string_view(name).substr(0, name.size() - domain_.size() - 1);
  std::vector<std::string> labels;
  for (std::string_view label : split(rest, '.')) labels.emplace(labels.begin(), label);
  std::string kind = labels.front();
  labels.erase(labels.begin());
  if (kind == "svc") return labels.empty() ? empty : resolveService(labels, name, type);
  if (kind == "pod") {
    // NAMESPACE, then the address with dashes. Answered as CoreDNS' "pods insecure" does: the name says the address.
    if (labels.size() < 2) return labels.empty() ? empty : nothing;
    std::string dotted = labels[1];
    std::replace(dotted.begin(), dotted.end(), '-', '.');
    auto address = addressBytes(dotted);
    if (labels.size() != 2 || !address) return nothing;
    if (type == kA || type == kAny) empty.records.push_back(addressRecord(name, *address));
    return empty;
  }
  return nothing;
}

}  // namespace stoker::node::dns
