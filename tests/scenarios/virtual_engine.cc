#include "engine.h"
#include "node/simulated/simulated_nodes.h"

namespace stoker::scenarios {
namespace {

class VirtualEngine final : public Engine {
 public:
  Result<void> start(json::Value nodes) override {
    STOKER_TRY(auto configs, node::parseSimulatedNodes(nodes));
    size_t count = configs.size();
    sim::WorldOptions options{.seed = 1, .nodes = std::move(configs), .faults = {.transactions = true}};
    options.onChange = [this](const store::Event&) { ++changes_; };
    world_ = std::make_unique<sim::World>(std::move(options));
    bool ready = waitUntil(
        [&] {
          size_t there = 0;
          for (const api::Node& node : world_->all<api::Node>()) there += api::isTrue(node.status.conditions, "Ready");
          return there == count;
        },
        10s);
    if (!ready) return Error(Reason::Timeout, "the nodes did not become ready");
    return {};
  }

  std::string request(const sim::Request& request) override { return world_->request(request); }

  std::optional<json::Doc> get(const client::Gvr& resource, const std::string& ns, const std::string& name) override {
    auto version = world_->registry().find(resource.groupResource(), ns, name);
    return version ? std::optional(*json::parseDoc(version->bytes)) : std::nullopt;
  }
  std::vector<json::Doc> list(const client::Gvr& resource, const std::string& ns) override {
    std::vector<json::Doc> out;
    world_->registry().forEach(resource.groupResource(), ns,
                               [&](const auto& version) { out.push_back(*json::parseDoc(version->bytes)); });
    return out;
  }

  bool waitUntil(const std::function<bool()>& done, Duration limit) override {
    if (done()) return true;
    Time end = world_->now() + limit;
    uint64_t seen = changes_;
    for (bool more = true; more;) {
      more = world_->step(end);
      // Between two moments of virtual time all is quiet: that is when a user could look.
      if ((!world_->quiet() && more) || seen == changes_) continue;
      seen = changes_;
      if (done()) return true;
    }
    return false;
  }
  bool holdsFor(const std::function<bool()>& holds, Duration span) override {
    return !waitUntil([&] { return !holds(); }, span);
  }

  std::string fault(const std::string& verb, const std::string& what) override {
    if (verb == "advance") {
      auto span = parseGoDuration(what);
      if (!span) return "\"" + what + "\" is no duration";
      world_->runUntil(world_->now() + *span);
      return {};
    }
    if (verb == "crash") {
      if (what == "control")
        world_->crashControl();
      else if (what == "agent")
        for (size_t i = 0; i < world_->machineCount(); ++i) world_->crashAgent(i);
      else if (what == "platform")
        world_->crashServer();
      else
        return "what crashes is control, agent or platform, not \"" + what + "\"";
      return {};
    }
    size_t machine = world_->machineOf(what);
    if (machine == world_->machineCount()) return "there is no node \"" + what + "\"";
    if (verb == "failNode")
      world_->cutOff(machine);
    else if (verb == "returnNode")
      world_->reconnect(machine);
    else
      world_->reboot(machine);
    return {};
  }

  Duration patience() const override { return 120s; }

 private:
  uint64_t changes_ = 0;
  std::unique_ptr<sim::World> world_;
};

}  // namespace

std::unique_ptr<Engine> makeVirtualEngine() { return std::make_unique<VirtualEngine>(); }

}  // namespace stoker::scenarios
