// Services: addresses and node ports, and what follows from the type.

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "apiserver/strategies/edit.h"
#include "apiserver/strategies/groups.h"
#include "apiserver/strategies/pod_spec.h"
#include "apiserver/strategies/slot_pool.h"
#include "base/strings.h"
#include "kube/field_error.h"
#include "kube/names.h"

namespace stoker::apiserver {
namespace {

constexpr uint32_t kFirstNodePort = 30000, kLastNodePort = 32767;
constexpr uint32_t kChosenNodePorts = 86;    // KEP-3668: left to those who choose
constexpr int64_t kAffinitySeconds = 10800;  // three hours, upstream's default
constexpr int64_t kMaxAffinitySeconds = 86400;
constexpr const char* kPrefix = "services/";

std::optional<uint32_t> parseIp(std::string_view text) {
  in_addr address{};
  if (inet_pton(AF_INET, std::string(text).c_str(), &address) != 1) return std::nullopt;
  return ntohl(address.s_addr);
}

std::string formatIp(uint32_t ip) {
  return fmt::format("{}.{}.{}.{}", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255);
}

struct Range {
  std::string cidr;
  uint32_t first = 0, last = 0;
};

Result<Range> parseCidr(const std::string& cidr) {
  Error bad(Reason::BadRequest,
            fmt::format("service CIDR {}: it must be an IPv4 network such as 10.96.0.0/16, with a prefix of /12 to /28",
                        quote(cidr)));
  size_t slash = cidr.find('/');
  if (slash == std::string::npos) return bad;
  auto network = parseIp(std::string_view(cidr).substr(0, slash));
  unsigned bits = 0;
  auto [end, ec] = std::from_chars(cidr.data() + slash + 1, cidr.data() + cidr.size(), bits);
  if (!network || ec != std::errc() || end != cidr.data() + cidr.size() || bits < 12 || bits > 28) return bad;
  uint32_t mask = ~((1u << (32 - bits)) - 1);
  return Range{cidr, (*network & mask) + 1, (*network | ~mask) - 1};
}

/// Upstream's dynamic band begins after min(max(16, size/16), 256) addresses (KEP-3070).
uint32_t dynamicFrom(const Range& range) {
  uint32_t size = range.last - range.first + 1;
  return range.first + std::min(size - 1, std::min(std::max(16u, size / 16), 256u));
}

std::string_view typeOf(json::Value service) { return service["spec"]["type"].asString(); }
bool usesNodePorts(json::Value service) {
  if (typeOf(service) == "NodePort") return true;
  return typeOf(service) == "LoadBalancer" && service["spec"]["allocateLoadBalancerNodePorts"].asBool(true);
}
bool headless(json::Value service) { return service["spec"]["clusterIP"].asString() == "None"; }

class ServiceStrategy final : public Strategy {
 public:
  ServiceStrategy(store::Store& store, Range range)
      : store_(store),
        range_(std::move(range)),
        ips_(range_.first, range_.last, dynamicFrom(range_)),
        ports_(kFirstNodePort, kLastNodePort, kFirstNodePort + kChosenNodePorts) {}
  ~ServiceStrategy() override {
    if (watch_) store_.unwatch(*watch_);
  }

  Result<void> follow() {
    auto watch = store_.listAndWatch(
        {.prefix = kPrefix},
        [this](const store::Listing& listing) {
          for (const store::VersionPtr& version : listing.items) seen(*version, false);
        },
        [this](const store::EventPtr& event) { seen(*event->object, event->type == store::Event::Type::Deleted); });
    if (!watch.ok()) return watch.error();
    watch_ = *watch;
    return {};
  }

  std::vector<std::string> validateName(std::string_view name) const override { return kube::dns1035Label(name); }

  Result<json::Value> prepareCreate(const StrategyContext& context, json::Value service) const override {
    return settled(context, defaulted(context.arena, service));
  }

  Result<json::Value> prepareUpdate(const StrategyContext& context, json::Value service,
                                    json::Value old) const override {
    if (service["spec"] == old["spec"]) return service;
    return settled(context, kept(context.arena, defaulted(context.arena, service), old));
  }

  std::vector<Cause> validate(json::Value service, json::Value old) const override {
    json::Value spec = service["spec"];
    if (old && spec == old["spec"]) return {};
    causesOf out;
    validatePorts(service, out);
    std::string_view type = typeOf(service);
    if (type == "ExternalName") {
      std::string_view external = spec["externalName"].asString();
      if (external.empty())
        out.push_back(kube::required("spec.externalName"));
      else
        addProblems(
            out, "spec.externalName", external,
            kube::dns1123Subdomain(external.ends_with('.') ? external.substr(0, external.size() - 1) : external));
      if (!spec["clusterIP"].asString().empty())
        out.push_back(kube::forbidden("spec.clusterIPs", "may not be set when `type` is 'ExternalName'"));
    }
    for (const json::Member& m : spec["selector"].members()) {
      addProblems(out, "spec.selector", m.key, kube::qualifiedName(m.key));
      addProblems(out, "spec.selector", m.value.asString(), kube::labelValue(m.value.asString()));
    }
    if (headless(service) && (type == "NodePort" || type == "LoadBalancer"))
      out.push_back(kube::invalid("spec.clusterIPs[0]", "[\"None\"]",
                                  fmt::format("may not be set to 'None' for {} services", type)));
    if (json::Value seconds = spec.at({"sessionAffinityConfig", "clientIP", "timeoutSeconds"});
        seconds && (seconds.asInt() < 1 || seconds.asInt() > kMaxAffinitySeconds))
      out.push_back(kube::invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", kube::shown(seconds),
                                  fmt::format("must be greater than 0 and less than {}", kMaxAffinitySeconds)));
    if (std::string_view policy = spec["internalTrafficPolicy"].asString();
        !policy.empty() && policy != "Cluster" && policy != "Local")
      out.push_back(
          kube::unsupported("spec.internalTrafficPolicy", spec["internalTrafficPolicy"], {"Cluster", "Local"}));
    json::Value before = old["spec"]["clusterIP"];
    if (!before.asString().empty() && type != "ExternalName" && typeOf(old) != "ExternalName" &&
        !(spec["clusterIP"] == before))
      out.push_back(kube::invalid("spec.clusterIPs[0]", json::print(spec["clusterIPs"]), "may not change once set"));
    return out;
  }

 private:
  using causesOf = std::vector<Cause>;

  static void validatePorts(json::Value service, causesOf& out) {
    json::Value ports = service["spec"]["ports"];
    std::string_view type = typeOf(service);
    if (ports.empty() && type != "ExternalName" && !headless(service)) out.push_back(kube::required("spec.ports"));
    std::set<std::string_view> names;
    std::set<std::string> seen, nodePorts;
    for (size_t i = 0; i < ports.size(); ++i) {
      std::string at = fmt::format("spec.ports[{}]", i);
      json::Value port = ports[i], name = port["name"];
      if (name.asString().empty()) {
        if (ports.size() > 1) out.push_back(kube::required(at + ".name"));
      } else {
        addProblems(out, at + ".name", name.asString(), kube::dns1123Label(name.asString()));
        if (!names.insert(name.asString()).second) out.push_back(kube::duplicate(at + ".name", name));
      }
      std::string protocol = port["protocol"].str();
      if (!seen.insert(fmt::format("{}/{}", protocol, port["port"].asInt())).second)
        out.push_back(kube::duplicate(at, port));
      json::Value target = port["targetPort"];
      if (target.isNumber() && (target.asInt() < 1 || target.asInt() > 65535))
        out.push_back(kube::invalid(at + ".targetPort", kube::shown(target), "must be between 1 and 65535, inclusive"));
      int64_t nodePort = port["nodePort"].asInt();
      if (nodePort == 0) continue;
      if (type == "ClusterIP")
        out.push_back(kube::forbidden(at + ".nodePort", "may not be used when `type` is 'ClusterIP'"));
      else if (!nodePorts.insert(fmt::format("{}/{}", protocol, nodePort)).second)
        out.push_back(kube::invalid(at + ".nodePort", std::to_string(nodePort), "provided port is already allocated"));
    }
  }

  static json::Value defaulted(json::Arena& arena, json::Value service) {
    json::Value spec = service["spec"];
    spec = mapMember(arena, spec, "ports", [&](json::Value port) {
      json::Value target = port["targetPort"];
      bool missing =
          !target || (target.isNumber() && target.asInt() == 0) || (target.isString() && target.asString().empty());
      return missing ? json::with(arena, port, "targetPort", port["port"]) : port;
    });
    if (spec["sessionAffinity"].asString() == "ClientIP") {
      if (!spec.at({"sessionAffinityConfig", "clientIP", "timeoutSeconds"}))
        spec = json::withPath(arena, spec, {"sessionAffinityConfig", "clientIP", "timeoutSeconds"},
                              json::number(arena, kAffinitySeconds));
    } else {
      spec = json::without(arena, spec, "sessionAffinityConfig");
    }
    std::string_view type = spec["type"].asString();
    if (type != "ExternalName") spec = orElse(arena, spec, "internalTrafficPolicy", json::string(arena, "Cluster"));
    if (type == "NodePort" || type == "LoadBalancer")
      spec = orElse(arena, spec, "externalTrafficPolicy", json::string(arena, "Cluster"));
    else
      spec = json::without(arena, spec, "externalTrafficPolicy");
    if (type == "LoadBalancer") spec = orElse(arena, spec, "allocateLoadBalancerNodePorts", json::boolean(true));
    if (spec["clusterIP"].asString().empty() && !spec["clusterIPs"].empty())
      spec = json::with(arena, spec, "clusterIP", spec["clusterIPs"][0]);
    return json::with(arena, service, "spec", spec);
  }

  /// What the client left out although it was allocated before stays (kubectl replace of the file the Service came
  /// from).
  static json::Value kept(json::Arena& arena, json::Value service, json::Value old) {
    json::Value spec = service["spec"], before = old["spec"];
    if (typeOf(service) != "ExternalName" && typeOf(old) != "ExternalName") {
      if (spec["clusterIP"].asString().empty() && before.has("clusterIP"))
        for (std::string_view field : {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"})
          if (before.has(field)) spec = json::with(arena, spec, field, before[field]);
    } else if (typeOf(service) == "ExternalName" && spec["clusterIP"] == before["clusterIP"]) {
      // Turning into a name: the address goes back.
      for (std::string_view field :
           {"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"})
        spec = json::without(arena, spec, field);
    }
    bool now = usesNodePorts(json::with(arena, service, "spec", spec)), then = usesNodePorts(old);
    spec = mapMember(arena, spec, "ports", [&](json::Value port) {
      for (json::Value was : before["ports"].items()) {
        if (!(was["port"] == port["port"]) || !(was["protocol"] == port["protocol"]) || !was.has("nodePort")) continue;
        if (now && then && port["nodePort"].asInt() == 0) return json::with(arena, port, "nodePort", was["nodePort"]);
        if (!now && then && port["nodePort"] == was["nodePort"]) return json::without(arena, port, "nodePort");
      }
      return port;
    });
    return json::with(arena, service, "spec", spec);
  }

  Result<json::Value> settled(const StrategyContext& context, json::Value service) const {
    if (typeOf(service) == "ExternalName") return service;
    json::Arena& arena = context.arena;
    json::Value spec = service["spec"];
    std::string name = service.at({"metadata", "name"}).str();
    std::string owner = fmt::format("{}/{}", service.at({"metadata", "namespace"}).asString(), name);
    auto bad = [&](std::string field, std::string value, std::string why) {
      return invalidObject("", "Service", name, kube::invalid(std::move(field), value, why));
    };
    std::string ip = spec["clusterIP"].str();
    if (ip.empty()) {
      auto slot = ips_.take(owner, context.now, context.dryRun);
      if (!slot)
        return Error(Reason::InternalError,
                     fmt::format("failed to allocate a serviceIP: range {} is full", range_.cidr));
      ip = formatIp(*slot);
    } else if (ip != "None") {
      auto slot = parseIp(ip);
      std::string shown = fmt::format("[{}]", quote(ip));
      if (!slot)
        return bad("spec.clusterIPs[0]", quote(ip), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
      if (!ips_.contains(*slot))
        return bad("spec.clusterIPs", shown,
                   fmt::format("failed to allocate IP {}: the provided IP ({}) is not in the valid range. The range of "
                               "valid IPs is {}",
                               ip, ip, range_.cidr));
      if (!ips_.claim(*slot, owner, context.now, context.dryRun))
        return bad("spec.clusterIPs", shown,
                   fmt::format("failed to allocate IP {}: provided IP is already allocated", ip));
    }
    spec = json::with(arena, spec, "clusterIP", json::string(arena, ip));
    spec = json::with(arena, spec, "clusterIPs", json::array(arena, {json::string(arena, ip)}));
    spec = orElse(arena, spec, "ipFamilies", json::array(arena, {json::string(arena, "IPv4")}));
    spec = orElse(arena, spec, "ipFamilyPolicy", json::string(arena, "SingleStack"));
    if (!usesNodePorts(service)) return json::with(arena, service, "spec", spec);

    json::Value ports = spec["ports"];
    std::vector<json::Value> settledPorts;
    for (size_t i = 0; i < ports.size(); ++i) {
      json::Value port = ports[i];
      std::string at = fmt::format("spec.ports[{}].nodePort", i);
      int64_t wanted = port["nodePort"].asInt();
      // Each port of a Service is a holder of its own, but for TCP and UDP on one number, which may share.
      std::string holder = fmt::format("{}:{}", owner, port["port"].asInt());
      if (wanted == 0) {
        auto slot = ports_.take(holder, context.now, context.dryRun);
        if (!slot) return Error(Reason::InternalError, "failed to allocate a nodePort: range 30000-32767 is full");
        port = json::with(arena, port, "nodePort", json::number(arena, int64_t{*slot}));
      } else if (wanted < kFirstNodePort || wanted > kLastNodePort) {
        return bad(at, std::to_string(wanted),
                   fmt::format("provided port is not in the valid range. The range of valid ports is {}-{}",
                               kFirstNodePort, kLastNodePort));
      } else if (!ports_.claim(static_cast<uint32_t>(wanted), holder, context.now, context.dryRun)) {
        return bad(at, std::to_string(wanted), "provided port is already allocated");
      }
      settledPorts.push_back(port);
    }
    spec = json::with(arena, spec, "ports", json::array(arena, settledPorts));
    return json::with(arena, service, "spec", spec);
  }

  void seen(const store::Version& version, bool gone) {
    std::string owner = version.key.substr(std::string_view(kPrefix).size());
    json::Arena arena;
    auto parsed = json::parse(arena, version.bytes);
    json::Value spec = parsed.ok() && !gone ? (*parsed)["spec"] : json::Value();
    std::vector<uint32_t> ips;
    for (json::Value ip : spec["clusterIPs"].items())
      if (auto slot = parseIp(ip.asString())) ips.push_back(*slot);
    ips_.hold(owner, std::move(ips));
    std::lock_guard lock(mutex_);
    std::set<std::string> holders;
    for (json::Value port : spec["ports"].items()) {
      std::string holder = fmt::format("{}:{}", owner, port["port"].asInt());
      if (int64_t number = port["nodePort"].asInt(); number > 0) {
        ports_.hold(holder, {static_cast<uint32_t>(number)});
        holders.insert(holder);
      }
    }
    for (const std::string& before : portHolders_[owner])
      if (!holders.contains(before)) ports_.hold(before, {});
    if (holders.empty())
      portHolders_.erase(owner);
    else
      portHolders_[owner] = std::move(holders);
  }

  store::Store& store_;
  Range range_;
  mutable SlotPool ips_, ports_;
  std::optional<store::WatchId> watch_;
  std::mutex mutex_;
  std::map<std::string, std::set<std::string>> portHolders_;
};

}  // namespace

Result<void> registerServices(Registry& registry, const std::string& cidr) {
  STOKER_TRY(Range range, parseCidr(cidr));
  auto strategy = std::make_unique<ServiceStrategy>(registry.store(), std::move(range));
  STOKER_CHECK(strategy->follow());
  registry.addStrategy("services", std::move(strategy));
  return {};
}

}  // namespace stoker::apiserver
