#include "platform/platform.h"

#include <fmt/format.h>
#include <unistd.h>

#include <condition_variable>

#include "apiserver/auth/rbac.h"
#include "apiserver/auth/tokens.h"
#include "apiserver/bootstrap.h"
#include "apiserver/http/handler.h"
#include "apiserver/http/logs.h"
#include "apiserver/local_cluster.h"
#include "apiserver/pki.h"
#include "apiserver/strategies/strategies.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "client/manager.h"
#include "controllers/register.h"
#include "controllers/training/validation.h"
#include "controllers/workloads/event_ttl.h"
#include "net/server.h"
#include "node/agent/agent.h"
#include "node/agent/disk_files.h"
#include "node/agent/net_prober.h"
#include "node/dns/feeder.h"
#include "node/logs/pod_log_files.h"
#include "node/runtime/process_runtime.h"
#include "node/simulated/simulated_nodes.h"
#include "node/simulated/simulated_runtime.h"
#include "platform/crds.h"
#include "platform/machine.h"
#include "platform/resources.h"
#include "scheduler/controller.h"

namespace stoker::platform {
namespace {

// How long the first lists may take before something is wrong; they take milliseconds.
constexpr std::chrono::seconds kSyncTimeout{30};

// Where pods reach the API on the bridge: what KUBERNETES_SERVICE_PORT says everywhere else.
constexpr uint16_t kPodApiPort = 443;

/// The Service `kubernetes` that clients in pods look for. Headless, unlike elsewhere: its name leads to the bridge's
/// address itself, since ClusterIPs are not routed yet.
std::vector<std::string> apiService(const std::string& bridge) {
  return {
      R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"kubernetes","namespace":"default","labels":{"component":"apiserver","provider":"kubernetes"}},"spec":{"clusterIP":"None","ports":[{"name":"https","port":443,"protocol":"TCP","targetPort":443}]}})",
      fmt::format(
          R"({{"apiVersion":"discovery.k8s.io/v1","kind":"EndpointSlice","metadata":{{"name":"kubernetes","namespace":"default","labels":{{"kubernetes.io/service-name":"kubernetes"}}}},"addressType":"IPv4","endpoints":[{{"addresses":["{}"],"conditions":{{"ready":true}}}}],"ports":[{{"name":"https","port":443,"protocol":"TCP"}}]}})",
          bridge),
      fmt::format(
          R"({{"apiVersion":"v1","kind":"Endpoints","metadata":{{"name":"kubernetes","namespace":"default"}},"subsets":[{{"addresses":[{{"ip":"{}"}}],"ports":[{{"name":"https","port":443,"protocol":"TCP"}}]}}]}})",
          bridge)};
}

/// Waits until a number of parts have reported.
class Latch {
 public:
  explicit Latch(int count) : count_(count) {}
  void arrive() {
    std::lock_guard lock(mutex_);
    if (--count_ <= 0) wake_.notify_all();
  }
  bool wait() {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, kSyncTimeout, [&] { return count_ <= 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable wake_;
  int count_;
};

class PlatformImpl final : public Platform {
 public:
  explicit PlatformImpl(Options options) : options_(std::move(options)) {}

  ~PlatformImpl() override {
    if (handler_) handler_->setReady(false);
    // Requests first, then who acts by itself, then what they stand on.
    server_.reset();
    if (agentLoop_)
      agentLoop_->call([&] {
        dnsFeeder_.reset();
        agent_.reset();
        simulatedAgent_.reset();
      });
    if (controlLoop_)
      controlLoop_->call([&] {
        janitor_.reset();
        crds_.reset();
        namespaces_.reset();
        collector_.reset();
        manager_.reset();
      });
    prober_.reset();
    if (agentLoop_) agentLoop_->stop();
    if (controlLoop_) controlLoop_->stop();
    dns_.reset();
    logs_.reset();
    simulatedRuntime_.reset();
    runtime_.reset();
    handler_.reset();
    registry_.reset();
    authorizer_.reset();
    store_.reset();
  }

  Result<void> run() {
    const std::string& dir = options_.dataDir;
    STOKER_CHECK(makeDirectories(dir, 0700));
    STOKER_TRY(auto log, store::openSqliteLog({.path = dir + "/state.db"}));
    STOKER_TRY(store_, store::Store::open(std::shared_ptr<store::Log>(std::move(log))));

    std::string bridge;
    if (options_.node) {
      STOKER_CHECK(openRuntime());
      bridge = runtime_->capabilities().bridgeAddress;
    }
    std::vector<std::string> addresses{options_.host == "0.0.0.0" ? hostAddress() : options_.host};
    if (!bridge.empty()) addresses.push_back(bridge);
    STOKER_TRY(apiserver::Pki pki, apiserver::ensurePki(dir, addresses, clock_.now()));
    STOKER_CHECK(openApi(pki));
    STOKER_CHECK(openServer(pki, bridge));
    std::vector<std::string> objects = ownCrds();
    if (!bridge.empty())
      for (std::string& object : apiService(bridge)) objects.push_back(std::move(object));
    STOKER_CHECK(apiserver::bootstrap(*registry_, objects));
    STOKER_CHECK(apiserver::writeKubeconfig(dir, server_->address(), pki));

    Latch ready(2);
    startControllers(pki, ready);
    STOKER_CHECK(startAgents(bridge, ready));
    if (!ready.wait())
      return Error(Reason::Timeout, "the controllers did not get their first lists in 30 s; see the log");
    handler_->setReady(true);
    return {};
  }

  std::string address() const override { return server_->address(); }
  std::vector<std::string> missing() const override {
    return runtime_ ? runtime_->capabilities().missing : std::vector<std::string>();
  }

 private:
  Result<void> openRuntime() {
    STOKER_TRY(std::string supervisor, node::findSupervisor());
    STOKER_TRY(runtime_,
               node::ProcessRuntime::create({.dataDirectory = options_.dataDir, .supervisorPath = supervisor}));
    for (const std::string& missing : runtime_->capabilities().missing) log::warn("node", "{}", missing);
    return {};
  }

  Result<void> openApi(const apiserver::Pki& pki) {
    registry_ = std::make_unique<apiserver::Registry>(*store_, ids_, clock_);
    STOKER_TRY(net::SigningKey signing, net::SigningKey::read(pki.signingKey));
    apiserver::TokenKeys keys{.key = signing};
    apiserver::StrategyOptions strategies;
    strategies.tokenKeys = keys;
    strategies.validators["pytorchjobs.kubeflow.org"] = [](json::Value job) {
      return controllers::training::validatePyTorchJob(job);
    };
    STOKER_CHECK(apiserver::registerStrategies(*registry_, strategies));
    STOKER_TRY(authorizer_, apiserver::RbacAuthorizer::open(*store_));
    registry_->setAuthorizer(authorizer_);
    STOKER_CHECK(registry_->start());
    authenticator_ = std::make_unique<apiserver::RequestAuthenticator>(keys, *registry_, *authorizer_, clock_);
    handler_ = std::make_unique<apiserver::ApiHandler>(*registry_, *authenticator_, *authorizer_, ids_,
                                                       apiserver::HandlerOptions{.stokerVersion = cli::kVersion});
    for (apiserver::Review& review : apiserver::makeReviews(*authorizer_, *authenticator_, authorizer_.get()))
      handler_->addReview(std::move(review));
    logs_ = std::make_unique<node::PodLogFiles>(options_.dataDir + "/logs");
    handler_->addConnect("pods", "log", apiserver::podLogHandler(*logs_, clock_));
    handler_->setMetrics([this] { return metrics(); });
    return {};
  }

  Result<void> openServer(const apiserver::Pki& pki, const std::string& bridge) {
    net::ServerOptions options{.host = options_.host,
                               .port = options_.port,
                               .certificatePem = pki.server.certificatePem,
                               .keyPem = pki.server.keyPem,
                               .clientCaPem = pki.ca.certificatePem};
    STOKER_TRY(server_, net::Server::listen(std::move(options), [this](std::shared_ptr<net::Exchange> exchange) {
                 handler_->handle(std::move(exchange));
               }));
    handler_->setServer(server_.get());
    if (!bridge.empty())
      if (auto also = server_->alsoListen(bridge, kPodApiPort); !also.ok())
        log::warn("platform", "pods cannot reach the API: {}", also.error().message);
    return {};
  }

  client::Cluster& clusterOf(const char* account) {
    auto& slot = clusters_[account];
    if (!slot)
      slot = std::make_unique<apiserver::LocalCluster>(
          *registry_, apiserver::serviceAccountUser(apiserver::kSystemNamespace, account));
    return *slot;
  }

  void startControllers(const apiserver::Pki& pki, Latch& ready) {
    controlLoop_ = std::make_unique<client::ThreadLoop>("control", clock_);
    client::Cluster& cluster = clusterOf(apiserver::kControllersAccount);
    client::Cluster& scheduling = clusterOf(apiserver::kSchedulerAccount);
    controlLoop_->call([&] {
      manager_ = std::make_unique<client::Manager>(cluster, *controlLoop_, ids_,
                                                   client::Manager::Options{.component = "stoker"});
      controllers::registerControllers(*manager_, {});
      manager_->add(std::make_unique<scheduler::SchedulerController>(), &scheduling);
      collector_ = std::make_unique<controllers::GarbageCollector>(cluster, *controlLoop_, builtinResources());
      namespaces_ = std::make_unique<controllers::NamespaceKeeper>(cluster, *controlLoop_, builtinResources(),
                                                                   pki.ca.certificatePem);
      crds_ =
          std::make_unique<CrdFollower>(cluster, *controlLoop_, [this](const controllers::CollectedResource& resource) {
            collector_->addResource(resource);
            namespaces_->addResource(resource);
          });
      janitor_ = std::make_unique<controllers::EventJanitor>(cluster, *controlLoop_);
      manager_->onSynced([this, &ready] {
        ready.arrive();
        // Whose work can wait reads its lists after those that jobs wait for.
        collector_->start();
        janitor_->start();
      });
      manager_->start();
      crds_->start();
      namespaces_->start();
    });
  }

  Result<void> startAgents(const std::string& bridge, Latch& ready) {
    agentLoop_ = std::make_unique<client::ThreadLoop>("agent", clock_);
    client::Cluster& cluster = clusterOf(apiserver::kAgentAccount);
    node::AgentOptions real, simulated;
    if (options_.node) {
      STOKER_TRY(node::NodeConfig machine, thisMachine({.address = bridge.empty() ? hostAddress() : bridge,
                                                        .pods = options_.pods,
                                                        .simulateDevices = options_.simulateDevices},
                                                       options_.dataDir));
      real.nodes.push_back(std::move(machine));
      STOKER_TRY(real.images, options_.imagesFile.empty()
                                  ? node::ImageMap::loadIfThere(options_.dataDir + "/images.yaml")
                                  : node::ImageMap::load(options_.imagesFile));
      real.logsDirectory = options_.dataDir + "/logs";
      char self[4096] = {};
      if (::readlink("/proc/self/exe", self, sizeof self - 1) > 0) real.appletProgram = self;
      real.apiHost = bridge;
      real.apiPort = kPodApiPort;
      real.onRun = [logs = logs_.get()](const std::string& podUid, const std::string& container, int attempt,
                                        bool running) { logs->setRunning(podUid, container, attempt, running); };
    }
    if (!options_.simulateNodes.empty()) {
      STOKER_TRY(simulated.nodes, node::loadSimulatedNodes(options_.simulateNodes));
      simulated.materialise = false;
    }
    if (!bridge.empty()) {
      auto resolv = readFile("/etc/resolv.conf");
      auto dns = node::dns::Server::start(
          {.address = bridge,
           .upstreams = resolv.ok() ? node::dns::nameserversOf(*resolv, bridge) : std::vector<std::string>()});
      if (dns.ok())
        dns_ = std::move(*dns);
      else
        log::warn("platform", "pods have no DNS: {}", dns.error().message);
    }
    Result<void> started;
    agentLoop_->call([&] {
      if (dns_) {
        dnsFeeder_ = std::make_unique<node::dns::Feeder>(cluster, *agentLoop_, *dns_);
        dnsFeeder_->start();
      }
      if (options_.node) {
        prober_ = std::make_unique<node::NetProber>();
        agent_ = std::make_unique<node::NodeAgent>(cluster, *agentLoop_, *runtime_, files_, prober_.get(), ids_, real);
        started = agent_->start();
      }
      if (started.ok() && !simulated.nodes.empty()) {
        simulatedRuntime_ = std::make_unique<node::SimulatedRuntime>(*agentLoop_);
        simulatedAgent_ = std::make_unique<node::NodeAgent>(cluster, *agentLoop_, *simulatedRuntime_, noFiles_, nullptr,
                                                            ids_, simulated);
        started = simulatedAgent_->start();
      }
      ready.arrive();
    });
    return started;
  }

  std::string metrics() const {
    store::Store::Stats stats = store_->stats();
    return fmt::format(
        "# HELP stoker_store_objects Objects in the store.\n# TYPE stoker_store_objects gauge\nstoker_store_objects "
        "{}\n"
        "# HELP stoker_store_object_bytes Bytes of all objects.\n# TYPE stoker_store_object_bytes "
        "gauge\nstoker_store_object_bytes {}\n"
        "# HELP stoker_store_revision Latest published revision.\n# TYPE stoker_store_revision "
        "counter\nstoker_store_revision {}\n"
        "# HELP stoker_store_watches Open watches.\n# TYPE stoker_store_watches gauge\nstoker_store_watches {}\n"
        "# HELP stoker_store_disk_bytes Bytes on disk.\n# TYPE stoker_store_disk_bytes gauge\nstoker_store_disk_bytes "
        "{}\n",
        stats.objects, stats.objectBytes, store_->revision(), stats.watches, stats.diskBytes);
  }

  Options options_;
  SystemClock clock_;
  SystemIds ids_;
  std::unique_ptr<store::Store> store_;
  std::shared_ptr<apiserver::RbacAuthorizer> authorizer_;
  std::unique_ptr<apiserver::Registry> registry_;
  std::unique_ptr<apiserver::RequestAuthenticator> authenticator_;
  std::unique_ptr<apiserver::ApiHandler> handler_;
  std::unique_ptr<node::ProcessRuntime> runtime_;
  std::unique_ptr<node::PodLogFiles> logs_;
  std::unique_ptr<net::Server> server_;
  std::map<std::string, std::unique_ptr<apiserver::LocalCluster>> clusters_;
  std::unique_ptr<client::ThreadLoop> controlLoop_, agentLoop_;
  std::unique_ptr<client::Manager> manager_;
  std::unique_ptr<controllers::GarbageCollector> collector_;
  std::unique_ptr<controllers::NamespaceKeeper> namespaces_;
  std::unique_ptr<CrdFollower> crds_;
  std::unique_ptr<controllers::EventJanitor> janitor_;
  std::unique_ptr<node::dns::Server> dns_;
  std::unique_ptr<node::dns::Feeder> dnsFeeder_;
  node::DiskFiles files_;
  node::NoFiles noFiles_;
  std::unique_ptr<node::NetProber> prober_;
  std::unique_ptr<node::NodeAgent> agent_, simulatedAgent_;
  std::unique_ptr<node::SimulatedRuntime> simulatedRuntime_;
};

}  // namespace

Result<std::unique_ptr<Platform>> Platform::start(Options options) {
  auto platform = std::make_unique<PlatformImpl>(std::move(options));
  STOKER_CHECK(platform->run());
  return std::unique_ptr<Platform>(std::move(platform));
}

}  // namespace stoker::platform
