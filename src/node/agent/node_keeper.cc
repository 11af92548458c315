#include "node/agent/node_keeper.h"

#include "base/log.h"

namespace stoker::node {
namespace {

using client::Write;
constexpr Duration kRetry = 1s;  // a first lease that failed: its namespace may be made just now

client::Gvr nodesGvr() { return client::gvrOf<api::Node>(); }
client::Gvr leasesGvr() { return client::gvrOf<api::Lease>(); }

}  // namespace

NodeKeeper::NodeKeeper(client::Cluster& cluster, client::Loop& loop, const std::vector<NodeConfig>& nodes,
                       std::function<Pressure()> pressure)
    : cluster_(cluster), loop_(loop), nodes_(nodes), pressure_(std::move(pressure)), leased_(nodes.size(), false) {
  for (size_t i = 0; i < nodes.size(); ++i) byName_[nodes[i].name] = i;
  ObjectWatch::Scope scope;
  if (nodes.size() == 1) scope.fieldSelector = "metadata.name=" + nodes[0].name;
  watch_ = std::make_unique<ObjectWatch>(
      cluster, loop, nodesGvr(), scope,
      [this](const client::Key& key, const client::Object* after) {
        // What we wrote comes back as a change: it is looked at again with the next heartbeat, not at once.
        if (!after) reported_.erase(key.name);
        if (!reported_.contains(key.name)) touch(key.name);
      },
      [this] {
        for (const auto& node : nodes_) touch(node.name);
      });
}

NodeKeeper::~NodeKeeper() { *alive_ = false; }

void NodeKeeper::start() {
  watch_->start();
  tick();
}

void NodeKeeper::setDown(const std::string& node, bool down) {
  if (down) {
    down_.insert(node);
    return;
  }
  down_.erase(node);
  touch(node);
}

void NodeKeeper::touch(const std::string& node) {
  if (!byName_.contains(node) || down_.contains(node) || !watch_->synced()) return;
  dirty_.insert(node);
  if (std::exchange(reportPosted_, true)) return;
  loop_.post([this, alive = alive_] {
    if (*alive) report();
  });
}

void NodeKeeper::report() {
  reportPosted_ = false;
  std::vector<Write> writes;
  for (const std::string& name : std::exchange(dirty_, {})) {
    const NodeConfig& node = nodes_[byName_.at(name)];
    const client::Object* object = watch_->find({"", name});
    Write write{.verb = Write::Verb::Create, .resource = nodesGvr(), .name = name};
    if (!object) {
      write.body = newNode(node);
      writes.push_back(std::move(write));
      continue;
    }
    json::Arena arena;
    auto parsed = json::parse(arena, *object->bytes);
    if (!parsed.ok()) continue;
    write.verb = Write::Verb::Patch;
    if (std::string patch = nodePatch(*parsed, node); !patch.empty()) {
      write.body = std::move(patch);
      writes.push_back(write);
    }
    if (std::string patch = nodeStatusPatch(*parsed, node, now_, loop_.now()); !patch.empty()) {
      reported_.insert(name);
      write.subresource = "status";
      write.patchType = client::PatchType::Strategic;
      write.body = std::move(patch);
      writes.push_back(std::move(write));
    }
  }
  if (writes.empty()) return;
  cluster_.write(std::move(writes), client::Mode::Each, [](std::vector<Result<client::Object>> results) {
    for (const auto& result : results)
      if (!result.ok() && result.error().reason != Reason::AlreadyExists)
        log::warn("node", "node status: {}", result.error().message);
  });
}

void NodeKeeper::tick() {
  // Heartbeats and pressure ride on the lease's clock.
  if (pressure_) now_ = pressure_();
  for (const auto& node : nodes_) touch(node.name);
  loop_.at(loop_.now() + kLeaseInterval, [this, alive = alive_] {
    if (*alive) tick();
  });
  renew();
}

void NodeKeeper::renew() {
  if (renewing_) return;
  Time now = loop_.now();
  std::vector<Write> creates, patches;
  std::vector<size_t> created, patched;
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (down_.contains(nodes_[i].name)) continue;
    Write write{
        .verb = Write::Verb::Create, .resource = leasesGvr(), .namespace_ = kLeaseNamespace, .name = nodes_[i].name};
    if (leased_[i]) {
      write.verb = Write::Verb::Patch;
      write.body = leasePatch(nodes_[i], now);
      patches.push_back(std::move(write));
      patched.push_back(i);
    } else {
      write.body = newLease(nodes_[i], now);
      creates.push_back(std::move(write));
      created.push_back(i);
    }
  }
  if (creates.empty() && patches.empty()) return;
  renewing_ = true;
  bool isCreate = !creates.empty();
  auto& writes = isCreate ? creates : patches;
  auto& which = isCreate ? created : patched;
  // Creations fail one by one (a lease that is there already); renewals are one transaction.
  cluster_.write(std::move(writes), isCreate ? client::Mode::Each : client::Mode::Sequence,
                 [this, &loop = loop_, alive = alive_, which = std::move(which),
                  isCreate](std::vector<Result<client::Object>> results) mutable {
                   loop.post([this, alive, which = std::move(which), isCreate, results = std::move(results)]() mutable {
                     if (*alive) renewed(std::move(which), isCreate, results);
                   });
                 });
}

void NodeKeeper::renewed(std::vector<size_t> which, bool created, const std::vector<Result<client::Object>>& results) {
  renewing_ = false;
  bool again = false;
  for (size_t i = 0; i < which.size() && i < results.size(); ++i) {
    const auto& result = results[i];
    if (result.ok() || (created && result.error().reason == Reason::AlreadyExists)) {
      // One that was there already still carries an old time.
      again = again || !result.ok();
      leased_[which[i]] = true;
    } else if (result.error().reason == Reason::NotFound) {
      again = true;
      if (!created) leased_[which[i]] = false;
    } else if (result.error().message != client::kAborted) {
      log::warn("node", "lease of node {}: {}", nodes_[which[i]].name, result.error().message);
    }
  }
  if (!again) return;
  loop_.at(loop_.now() + kRetry, [this, alive = alive_] {
    if (*alive) renew();
  });
}

}  // namespace stoker::node
