#include "controllers/workloads/endpoints.h"

#include <charconv>

namespace stoker::controllers {
namespace {

constexpr const char* kServiceNameLabel = "kubernetes.io/service-name";
constexpr const char* kManagedByLabel = "endpointslice.kubernetes.io/managed-by";
constexpr const char* kManager = "endpointslice-controller.k8s.io";
constexpr const char* kHeadlessLabel = "service.kubernetes.io/headless";
constexpr const char* kNameAlphabet = "bcdfghjklmnpqrstvwxz2456789";  // as generateName's

std::string sliceName(const api::Service& service, size_t index) {
  // Deterministic, so that a cut plan finds its slice again; hashed, so that it meets no other Service's name.
  uint64_t hash = 14695981039346656037ull;  // FNV-1a
  for (char c : service.metadata.uid + "/" + std::to_string(index))
    hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
  std::string out = service.metadata.name + "-";
  for (int i = 0; i < 5; ++i, hash /= 27) out += kNameAlphabet[hash % 27];
  return out;
}

bool selects(const std::map<std::string, std::string>& selector, const api::Pod& pod) {
  for (const auto& [key, value] : selector) {
    auto it = pod.metadata.labels.find(key);
    if (it == pod.metadata.labels.end() || it->second != value) return false;
  }
  return true;
}

/// The number a Service port has in the pod: its own, or that of the container port it names. Nullopt: the pod has no
/// such.
std::optional<int32_t> portIn(const api::Pod& pod, const api::ServicePort& port) {
  std::string protocol = port.protocol.empty() ? "TCP" : port.protocol;
  if (port.targetPort.empty()) return port.port;
  int32_t number = 0;
  auto [end, error] = std::from_chars(port.targetPort.data(), port.targetPort.data() + port.targetPort.size(), number);
  if (error == std::errc() && end == port.targetPort.data() + port.targetPort.size())
    return number == 0 ? port.port : number;
  auto search = [&](const std::vector<api::Container>& containers, bool sidecarsOnly) -> std::optional<int32_t> {
    for (const api::Container& c : containers) {
      if (sidecarsOnly && c.restartPolicy != "Always") continue;
      for (const api::ContainerPort& p : c.ports)
        if (p.name == port.targetPort && (p.protocol.empty() ? "TCP" : p.protocol) == protocol) return p.containerPort;
    }
    return std::nullopt;
  };
  if (auto found = search(pod.spec.containers, false)) return found;
  return search(pod.spec.initContainers, true);
}

struct Member {
  const api::Pod* pod;
  bool ready, serving, terminating;
};

std::map<std::string, std::string> labelsOf(const api::Service& service) {
  std::map<std::string, std::string> labels = service.metadata.labels;
  if (service.spec.clusterIP == "None") labels[kHeadlessLabel] = "";
  return labels;
}

json::Value ownerOf(json::Arena& arena, const api::Service& service) {
  api::OwnerReference owner{.apiVersion = "v1",
                            .kind = "Service",
                            .name = service.metadata.name,
                            .uid = service.metadata.uid,
                            .controller = true,
                            .blockOwnerDeletion = true};
  return api::encode(arena, std::vector<api::OwnerReference>{owner});
}

/// Creates or patches `name` so that its labels and `fields` are as wanted.
template <class T>
void put(client::Plan& plan, const client::View& view, const api::Service& service, const std::string& name,
         const std::map<std::string, std::string>& labels,
         const std::function<json::Value(json::Arena&, const T&)>& fields, const T& wanted, bool createEmpty) {
  json::Arena arena;
  const std::string& ns = service.metadata.namespace_;
  const T* present = view.of<T>().get(ns, name);
  json::Value body = fields(arena, wanted);
  if (!present) {
    if (!createEmpty) return;
    json::Object metadata(arena);
    metadata.set("name", name)
        .set("namespace", ns)
        .set("labels", api::encode(arena, labels))
        .set("ownerReferences", ownerOf(arena, service));
    std::vector<json::Member> all(body.members().begin(), body.members().end());
    all.push_back({"apiVersion", json::string(arena, client::apiVersionOf(T::gvk))});
    all.push_back({"kind", json::string(arena, T::gvk.kind)});
    all.push_back({"metadata", metadata.build()});
    plan.create<T>(ns, name, json::print(json::object(arena, all)));
    return;
  }
  json::Object metadata(arena);
  json::Object changedLabels(arena);
  for (const auto& [key, value] : labels)
    if (!present->metadata.labels.contains(key) || present->metadata.label(key) != value) changedLabels.set(key, value);
  for (const auto& [key, value] : present->metadata.labels)
    if (!labels.contains(key)) changedLabels.set(key, json::Value());
  bool sameFields = json::print(fields(arena, *present)) == json::print(body);
  if (sameFields && changedLabels.empty()) return;
  if (!changedLabels.empty())
    body = json::with(arena, body, "metadata", json::object(arena, {{"labels", changedLabels.build()}}));
  plan.patch<T>(ns, name, json::print(body)).resourceVersion = present->metadata.resourceVersion;
}

json::Value sliceFields(json::Arena& arena, const api::EndpointSlice& slice) {
  return json::object(arena, {{"addressType", json::string(arena, slice.addressType)},
                              {"endpoints", api::encode(arena, slice.endpoints)},
                              {"ports", api::encode(arena, slice.ports)}});
}
json::Value endpointsFields(json::Arena& arena, const api::Endpoints& endpoints) {
  return json::object(arena, {{"subsets", api::encode(arena, endpoints.subsets)}});
}

class EndpointsController final : public client::Controller {
 public:
  std::string name() const override { return "endpointslice-controller"; }
  void setup(client::Watches& watches) override {
    watches.on<api::Service>([this](const client::Key& key, const api::ObjectMeta*, const api::ObjectMeta* after) {
      if (!after) forget(key);
      return std::vector{key};
    });
    watches.on<api::Pod>([this](const client::Key& key, const api::ObjectMeta* before, const api::ObjectMeta* after) {
      std::set<client::Key> dirty;
      for (const api::ObjectMeta* meta : {before, after})
        if (meta)
          for (const auto& [label, value] : meta->labels)
            if (const auto* services = services_.find(key.namespace_, label, value))
              for (const std::string& service : *services) dirty.insert({key.namespace_, service});
      if (before) pods_.drop(key.namespace_, before->labels, key.name);
      if (after) pods_.put(key.namespace_, after->labels, key.name);
      return std::vector(dirty.begin(), dirty.end());
    });
    watches.on<api::EndpointSlice>(client::controllerKey("Service"));
    watches.on<api::Endpoints>(client::selfKey);
  }

  client::Plan reconcile(const client::View& view, const client::Key& key, Time) override {
    const api::Service* service = view.of<api::Service>().get(key.namespace_, key.name);
    forget(key);
    if (!service || service->metadata.deleting() || service->spec.selector.empty() ||
        service->spec.type == "ExternalName")
      return {};
    // The Service is found again under the label that fewest pods and Services share.
    const auto& selector = service->spec.selector;
    auto weight = [&](const auto& pair) {
      const auto* pods = pods_.find(key.namespace_, pair.first, pair.second);
      const auto* services = services_.find(key.namespace_, pair.first, pair.second);
      return (pods ? pods->size() : 0) + (services ? services->size() : 0);
    };
    auto rarest = std::min_element(selector.begin(), selector.end(),
                                   [&](const auto& a, const auto& b) { return weight(a) < weight(b); });
    registered_[key] = {{rarest->first, rarest->second}};
    services_.put(key.namespace_, registered_[key], key.name);
    std::vector<const api::Pod*> candidates;
    if (const auto* names = pods_.find(key.namespace_, rarest->first, rarest->second))
      for (const std::string& name : *names)
        if (const api::Pod* pod = view.of<api::Pod>().get(key.namespace_, name)) candidates.push_back(pod);
    return endpointsPlan(view, *service, candidates);
  }

 private:
  void forget(const client::Key& key) {
    auto it = registered_.find(key);
    if (it == registered_.end()) return;
    services_.drop(key.namespace_, it->second, key.name);
    registered_.erase(it);
  }
  LabelIndex pods_, services_;
  std::map<client::Key, LabelIndex::Pairs> registered_;
};

}  // namespace

client::Plan endpointsPlan(const client::View& view, const api::Service& service,
                           const std::vector<const api::Pod*>& candidates) {
  // By ports: a named target port may mean another number in another pod.
  std::map<std::string, std::pair<std::vector<api::EndpointPort>, std::vector<Member>>> groups;
  for (const api::Pod* pod : candidates) {
    if (!selects(service.spec.selector, *pod) || pod->finished() || pod->status.podIP.empty()) continue;
    std::vector<api::EndpointPort> ports;
    for (const api::ServicePort& port : service.spec.ports)
      if (auto number = portIn(*pod, port))
        ports.push_back({.name = port.name,
                         .port = *number,
                         .protocol = port.protocol.empty() ? "TCP" : port.protocol,
                         .appProtocol = port.appProtocol});
    bool serving = api::isTrue(pod->status.conditions, "Ready"), terminating = pod->metadata.deleting();
    bool ready = service.spec.publishNotReadyAddresses || (serving && !terminating);
    auto& group = groups[api::encodeText(ports)];
    group.first = std::move(ports);
    group.second.push_back({pod, ready, serving, terminating});
  }

  std::vector<api::EndpointSlice> slices;
  api::Endpoints endpoints;
  for (auto& [text, group] : groups) {
    auto& [ports, members] = group;
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.pod->metadata.name < b.pod->metadata.name; });
    api::EndpointSubset subset{.ports = ports};
    for (api::EndpointPort& port : subset.ports)
      if (port.name->empty()) port.name.reset();
    for (size_t i = 0; i < members.size(); ++i) {
      const api::Pod& pod = *members[i].pod;
      if (i % kMaxEndpointsPerSlice == 0) slices.push_back({.addressType = "IPv4", .ports = ports});
      api::ObjectReference target{"Pod", pod.metadata.namespace_, pod.metadata.name, pod.metadata.uid};
      std::string hostname = pod.spec.subdomain == service.metadata.name ? pod.spec.hostname : "";
      slices.back().endpoints.push_back({.addresses = {pod.status.podIP},
                                         .conditions = {members[i].ready, members[i].serving, members[i].terminating},
                                         .hostname = hostname,
                                         .nodeName = pod.spec.nodeName,
                                         .targetRef = target});
      api::EndpointAddress address{pod.status.podIP, hostname, pod.spec.nodeName, target};
      if (members[i].ready)
        subset.addresses.push_back(address);
      else if (!members[i].terminating)
        subset.notReadyAddresses.push_back(address);
    }
    if (!subset.addresses.empty() || !subset.notReadyAddresses.empty()) endpoints.subsets.push_back(std::move(subset));
  }
  bool headless = service.spec.clusterIP == "None";
  if (slices.empty()) slices.push_back({.addressType = "IPv4"});

  client::Plan plan;
  auto labels = labelsOf(service);
  put<api::Endpoints>(plan, view, service, service.metadata.name, labels, endpointsFields, endpoints,
                      !headless || !endpoints.subsets.empty());
  labels[kServiceNameLabel] = service.metadata.name;
  labels[kManagedByLabel] = kManager;
  std::set<std::string> wanted;
  for (size_t i = 0; i < slices.size(); ++i) {
    std::string name = sliceName(service, i);
    wanted.insert(name);
    put<api::EndpointSlice>(plan, view, service, name, labels, sliceFields, slices[i],
                            !headless || !slices[i].endpoints.empty());
  }
  for (const auto& entry : view.of<api::EndpointSlice>().ownedBy(service.metadata.uid)) {
    const api::ObjectMeta& meta = entry->object.metadata;
    if (!wanted.contains(meta.name) && meta.label(kManagedByLabel) == kManager && !meta.deleting())
      plan.remove<api::EndpointSlice>(meta.namespace_, meta.name, meta.uid);
  }
  return plan;
}

void LabelIndex::put(const std::string& ns, const Pairs& pairs, const std::string& name) {
  for (const auto& [key, value] : pairs) names_[ns + "/" + key + "=" + value].insert(name);
}
void LabelIndex::drop(const std::string& ns, const Pairs& pairs, const std::string& name) {
  for (const auto& [key, value] : pairs) {
    auto it = names_.find(ns + "/" + key + "=" + value);
    if (it == names_.end()) continue;
    it->second.erase(name);
    if (it->second.empty()) names_.erase(it);
  }
}
const std::set<std::string>* LabelIndex::find(const std::string& ns, const std::string& key,
                                              const std::string& value) const {
  auto it = names_.find(ns + "/" + key + "=" + value);
  return it == names_.end() ? nullptr : &it->second;
}

std::unique_ptr<client::Controller> makeEndpointsController() { return std::make_unique<EndpointsController>(); }

}  // namespace stoker::controllers
