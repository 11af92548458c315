// engine.h: where a scenario runs. The virtual engine is the simulator's world (tests/sim); the real one is a `stoker
// up` with simulated nodes, spoken to over HTTPS.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "json/json.h"
#include "world.h"

namespace stoker::scenarios {

class Engine {
 public:
  virtual ~Engine() = default;
  /// `nodes`: the scenario's "given.nodes".
  virtual Result<void> start(json::Value nodes) = 0;
  /// As a user with all rights; empty when it worked, else the server's message.
  virtual std::string request(const sim::Request& request) = 0;
  virtual std::optional<json::Doc> get(const client::Gvr& resource, const std::string& ns, const std::string& name) = 0;
  virtual std::vector<json::Doc> list(const client::Gvr& resource, const std::string& ns) = 0;
  /// Lets the platform work until `done` holds; false when `limit` passed first. Looks again at every change.
  virtual bool waitUntil(const std::function<bool()>& done, Duration limit) = 0;
  /// The same, but `holds` must hold all the time; false as soon as it does not.
  virtual bool holdsFor(const std::function<bool()>& holds, Duration span) = 0;
  /// crash, reboot, failNode, returnNode, advance. Empty when done, else why this engine cannot.
  virtual std::string fault(const std::string& verb, const std::string& what) = 0;
  /// The longest an expectation may take that does not say how long.
  virtual Duration patience() const = 0;
};

std::unique_ptr<Engine> makeVirtualEngine();
/// `program`: path of the stoker program.
std::unique_ptr<Engine> makeRealEngine(const std::string& program);

}  // namespace stoker::scenarios
