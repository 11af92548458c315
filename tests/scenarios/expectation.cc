#include "expectation.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/strings.h"

namespace stoker::scenarios {
namespace {

struct State {
  std::string name, text;
};
using Names = std::initializer_list<std::pair<const char*, const char*>>;

json::Value conditionTrue(json::Value object, std::string_view type) {
  for (json::Value c : object.at({"status", "conditions"}).items())
    if (c["type"].asString() == type && c["status"].asString() == "True") return c;
  return {};
}

std::string ownerUid(json::Value object) {
  for (json::Value owner : object.at({"metadata", "ownerReferences"}).items())
    if (owner["controller"].asBool()) return owner["uid"].str();
  return {};
}

std::vector<json::Doc> ownedBy(Engine& engine, const char* resource, const Subject& subject, std::string_view uid) {
  std::vector<json::Doc> out;
  for (json::Doc& doc : engine.list({"", "v1", resource}, subject.ns))
    if (ownerUid(doc.root) == uid) out.push_back(std::move(doc));
  return out;
}

State podState(json::Value pod) {
  if (pod.at({"metadata", "deletionTimestamp"})) return {"terminating", ""};
  std::string phase = pod.at({"status", "phase"}).str();
  if (phase == "Running") return {"running", ""};
  if (phase == "Succeeded") return {"succeeded", ""};
  if (phase == "Failed") {
    std::string text = pod.at({"status", "reason"}).str() + " " + pod.at({"status", "message"}).str();
    for (json::Value s : pod.at({"status", "containerStatuses"}).items())
      if (json::Value t = s.at({"state", "terminated"}))
        text += fmt::format(" exit code {} {}", t["exitCode"].asInt(), t["reason"].asString());
    return {"failed", text};
  }
  for (json::Value c : pod.at({"status", "conditions"}).items())
    if (c["type"].asString() == "PodScheduled" && c["status"].asString() == "False")
      return {"pending", c["message"].str()};
  return {"pending", ""};
}

State jobState(Engine& engine, const Subject& subject, json::Value job) {
  if (job.at({"metadata", "deletionTimestamp"})) return {"terminating", ""};
  for (auto [type, name] :
       Names{{"Failed", "failed"}, {"Succeeded", "succeeded"}, {"Complete", "succeeded"}, {"Suspended", "suspended"}})
    if (json::Value c = conditionTrue(job, type)) return {name, c["reason"].str() + ": " + c["message"].str()};
  if (subject.kind == "batch") {
    if (job.at({"status", "ready"}).asInt() > 0) return {"running", ""};
    for (const json::Doc& pod : ownedBy(engine, "pods", subject, job.at({"metadata", "uid"}).asString()))
      if (State state = podState(pod.root); state.name == "pending" && !state.text.empty()) return state;
    return {"pending", ""};
  }
  for (auto [type, name] : Names{{"Restarting", "restarting"}, {"Running", "running"}})
    if (json::Value c = conditionTrue(job, type)) return {name, c["message"].str()};
  auto gang = engine.get(client::gvrOf<api::Gang>(), subject.ns, "pytorchjob-" + subject.name);
  return {"pending", gang ? gang->root.at({"status", "verdict", "message"}).str() : ""};
}

State read(Engine& engine, const Subject& subject, std::optional<json::Doc>& object) {
  object = engine.get(*resourceOf(subject.kind), subject.ns, subject.name);
  if (!object) return {"gone", ""};
  if (subject.kind == "pod") return podState(object->root);
  if (subject.kind == "job" || subject.kind == "batch") return jobState(engine, subject, object->root);
  if (subject.kind == "node") return {conditionTrue(object->root, "Ready") ? "ready" : "not ready", ""};
  if (subject.kind == "gang") {
    std::string phase = object->root.at({"status", "phase"}).str();
    std::transform(phase.begin(), phase.end(), phase.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return {phase.empty() ? "pending" : phase, object->root.at({"status", "verdict", "message"}).str()};
  }
  return {object->root.at({"metadata", "deletionTimestamp"}) ? "terminating" : "present", ""};
}

std::string show(const State& state) {
  return state.text.empty() ? state.name : fmt::format("{} \"{}\"", state.name, state.text);
}

/// Pods made again, and containers that restarted within the present ones.
int64_t restartsOf(json::Value job, const std::vector<json::Doc>& pods) {
  int64_t sum = 0;
  std::string counted;
  json::Arena arena;
  if (std::string text = job.at({"metadata", "annotations", "stoker.dev/restarts"}).str(); !text.empty())
    if (auto parsed = json::parse(arena, text); parsed.ok())
      for (const json::Member& m : parsed->members()) {
        sum += m.value["count"].asInt();
        counted += m.value["pod"].str() + " ";
      }
  for (const json::Doc& pod : pods) {
    if (counted.find(pod.root.at({"metadata", "uid"}).asString()) != std::string::npos) continue;
    for (json::Value s : pod.root.at({"status", "containerStatuses"}).items()) sum += s["restartCount"].asInt();
  }
  return sum;
}

std::string cardsOf(json::Value pod) {
  std::string text = pod.at({"metadata", "annotations", api::kCardsAnnotation}).str();
  return text.starts_with("nvidia.com/gpu=") ? text.substr(15) : text;
}

std::vector<std::string> texts(json::Value list) {
  std::vector<std::string> out;
  for (json::Value item : list.items()) out.push_back(item.str());
  return out;
}

std::string plain(json::Value value) { return value.isString() ? value.str() : json::print(value); }

Result<void> parseState(Expectation& out, std::string_view text) {
  auto bad = [&](std::string_view what) { return Error(Reason::Invalid, fmt::format("\"{}\": {}", text, what)); };
  std::string_view rest = text;
  std::string_view state = rest.substr(0, rest.find('"'));
  if (state.size() < rest.size()) {
    size_t close = rest.rfind('"');
    if (close <= state.size()) return bad("the quote is not closed");
    out.text = std::string(rest.substr(state.size() + 1, close - state.size() - 1));
    rest = rest.substr(close + 1);
  } else {
    size_t tail = std::min(state.find(" within "), state.find(" for "));
    state = rest.substr(0, tail);
    rest = tail == std::string_view::npos ? std::string_view() : rest.substr(tail);
  }
  out.state = std::string(trim(state));
  static constexpr std::string_view kStates[] = {"pending",   "running",     "succeeded", "failed",  "restarting",
                                                 "suspended", "terminating", "gone",      "present", "placed",
                                                 "finished",  "ready",       "not ready"};
  if (std::find(std::begin(kStates), std::end(kStates), out.state) == std::end(kStates))
    return bad(fmt::format("there is no state \"{}\"; states are {}", out.state, fmt::join(kStates, ", ")));
  rest = trim(rest);
  for (bool within : {true, false}) {
    std::string_view word = within ? "within " : "for ";
    if (!rest.starts_with(word)) continue;
    auto duration = parseGoDuration(trim(rest.substr(word.size())));
    if (!duration) return bad("a duration such as 5s or 2m is needed");
    (within ? out.within : out.lasting) = duration;
    rest = {};
  }
  return rest.empty() ? Result<void>()
                      : bad(fmt::format("\"{}\" is not understood; write STATE \"text\" within 5s", rest));
}

}  // namespace

std::optional<client::Gvr> resourceOf(const std::string& kind) {
  if (kind == "job") return client::gvrOf<api::PyTorchJob>();
  if (kind == "batch") return client::Gvr{"batch", "v1", "jobs"};
  if (kind == "pod") return client::gvrOf<api::Pod>();
  if (kind == "gang") return client::gvrOf<api::Gang>();
  if (kind == "service") return client::gvrOf<api::Service>();
  if (kind == "node") return client::gvrOf<api::Node>();
  if (kind == "namespace") return client::gvrOf<api::Namespace>();
  return std::nullopt;
}

Result<Expectation> parseExpectation(json::Value value) {
  Expectation out;
  if (value.isString()) {
    STOKER_CHECK(parseState(out, value.asString()));
    return out;
  }
  if (!value.isObject()) return Error(Reason::Invalid, "an expectation is a state or an object");
  for (const json::Member& m : value.members()) {
    if (m.key == "state") {
      STOKER_CHECK(parseState(out, m.value.asString()));
    } else if (m.key == "within") {
      out.within = parseGoDuration(m.value.asString());
    } else if (m.key == "restarts") {
      out.restarts = m.value.asInt();
    } else if (m.key == "services") {
      out.services = m.value.asInt();
    } else if (m.key == "pods" && m.value.isNumber()) {
      out.pods = m.value.asInt();
    } else if (m.key == "pods" || m.key == "nodes" || m.key == "cards") {
      auto& where = m.key == "pods" ? out.podStates : m.key == "nodes" ? out.nodes : out.cards;
      for (const json::Member& pod : m.value.members()) where[std::string(pod.key)] = plain(pod.value);
    } else if (m.key == "conditions") {
      out.conditions = texts(m.value);
      out.hasConditions = true;
    } else if (m.key == "events") {
      out.events = texts(m.value);
    } else {
      return Error(Reason::Invalid, fmt::format("unknown \"{}\"; an expectation has state, within, restarts, pods, "
                                                "nodes, cards, services, conditions, events",
                                                m.key));
    }
  }
  return out;
}

std::string stateOf(Engine& engine, const Subject& subject) {
  std::optional<json::Doc> object;
  return show(read(engine, subject, object));
}

std::string mismatch(Engine& engine, const Subject& subject, const Expectation& expected) {
  std::optional<json::Doc> object;
  State state = read(engine, subject, object);
  if (!expected.state.empty() && state.name != expected.state) return "is " + show(state);
  if (!expected.text.empty() && state.text.find(expected.text) == std::string::npos) return "is " + show(state);
  if (!object) return {};
  std::string uid = object->root.at({"metadata", "uid"}).str();

  std::vector<json::Doc> pods;
  if (expected.pods || expected.restarts || !expected.podStates.empty() || !expected.nodes.empty() ||
      !expected.cards.empty()) {
    if (subject.kind == "pod")
      pods.push_back(*object);
    else
      pods = ownedBy(engine, "pods", subject, uid);
  }
  if (expected.pods && static_cast<int64_t>(pods.size()) != *expected.pods)
    return fmt::format("has {} pods", pods.size());
  if (expected.restarts)
    if (int64_t restarts = restartsOf(object->root, pods); restarts != *expected.restarts)
      return fmt::format("has {} restarts", restarts);
  if (expected.services)
    if (size_t services = ownedBy(engine, "services", subject, uid).size();
        static_cast<int64_t>(services) != *expected.services)
      return fmt::format("has {} services", services);
  auto podNamed = [&](const std::string& rest) -> json::Value {
    for (const json::Doc& pod : pods) {
      std::string_view name = pod.root.at({"metadata", "name"}).asString();
      if (name == subject.name + "-" + rest || (subject.kind == "pod" && name == subject.name)) return pod.root;
    }
    return {};
  };
  for (const auto& [rest, wanted] : expected.podStates) {
    json::Value pod = podNamed(rest);
    State is = pod ? podState(pod) : State{"gone", ""};
    if (is.name != wanted) return fmt::format("its pod {} is {}", rest, show(is));
  }
  for (const auto& [rest, wanted] : expected.nodes)
    if (std::string node = podNamed(rest).at({"spec", "nodeName"}).str(); node != wanted)
      return fmt::format("its pod {} is on node \"{}\"", rest, node);
  for (const auto& [rest, wanted] : expected.cards)
    if (std::string cards = cardsOf(podNamed(rest)); cards != wanted)
      return fmt::format("its pod {} has cards \"{}\"", rest, cards);
  if (expected.hasConditions) {
    std::vector<std::string> types;
    for (json::Value c : object->root.at({"status", "conditions"}).items()) types.push_back(c["type"].str());
    if (types != expected.conditions) return fmt::format("has conditions {}", fmt::join(types, ", "));
  }
  if (!expected.events.empty()) {
    std::vector<std::string> reasons;
    for (const json::Doc& event : engine.list({"", "v1", "events"}, subject.ns))
      if (event.root.at({"involvedObject", "name"}).asString() == subject.name)
        reasons.push_back(event.root["reason"].str());
    for (const std::string& wanted : expected.events)
      if (std::find(reasons.begin(), reasons.end(), wanted) == reasons.end())
        return fmt::format("has events {}", fmt::join(reasons, ", "));
  }
  return {};
}

}  // namespace stoker::scenarios
