#include "scenario.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/batch.h"
#include "base/file.h"
#include "base/strings.h"
#include "json/yaml.h"
#include "shapes.h"

namespace stoker::scenarios {
namespace {

using Verb = client::Write::Verb;

const std::vector<std::string> kTop{"given", "steps", "engines"};
const std::vector<std::string> kGiven{"nodes", "priorityClasses"};
const std::vector<std::string> kSteps{"submit",     "apply",  "delete", "suspend",  "resume",
                                      "scale",      "patch",  "cordon", "uncordon", "failNode",
                                      "returnNode", "reboot", "crash",  "advance",  "expect"};
const std::vector<std::string> kSubmit{"job",     "batch",    "pod",         "master",       "workers",     "gpus",
                                       "cpu",     "memory",   "runs",        "masterRuns",   "exits",       "stops",
                                       "restart", "priority", "clean",       "backoffLimit", "deadline",    "ttl",
                                       "suspend", "selector", "tolerations", "completions",  "parallelism", "indexed"};

std::string plain(json::Value value) { return value.isString() ? value.str() : json::print(value); }

Result<void> known(json::Value object, const std::vector<std::string>& keys, const std::string& where) {
  for (const json::Member& m : object.members()) {
    if (std::find(keys.begin(), keys.end(), m.key) != keys.end()) continue;
    auto near = didYouMean(std::string(m.key), keys);
    return Error(Reason::Invalid,
                 fmt::format("{}: unknown \"{}\"{}", where, m.key, near ? "; did you mean \"" + *near + "\"?" : ""));
  }
  return {};
}

/// "5s" or a number of seconds.
int64_t seconds(json::Value value, int64_t otherwise) {
  if (value.isNumber()) return value.asInt();
  auto parsed = parseGoDuration(value.asString());
  return parsed ? std::chrono::duration_cast<std::chrono::seconds>(*parsed).count() : otherwise;
}

/// The verb of a step and what goes with it ("refused" stands beside the verb).
json::Member actionOf(json::Value step) {
  for (const json::Member& m : step.members())
    if (m.key != "refused") return m;
  return {};
}

/// Empty when an answer is what the step wants: none, or a refusal with this text.
std::string judged(const std::string& answer, const std::string& refused) {
  if (refused.empty()) return answer;
  if (answer.empty()) return "it was accepted";
  return answer.find(refused) != std::string::npos ? "" : "it was refused with: " + answer;
}

}  // namespace

Result<Scenario> Scenario::load(const std::string& path) {
  auto in = [&](const Error& error) { return Error(error.reason, fmt::format("{}: {}", path, error.message)); };
  auto text = readFile(path);
  if (!text.ok()) return text.error();
  json::Arena arena;
  auto documents = json::parseYaml(arena, *text);
  if (!documents.ok()) return in(documents.error());
  if (documents->size() != 1) return in(Error(Reason::Invalid, "a scenario is one document"));
  Scenario out;
  out.document_ = json::makeDoc(documents->front());
  json::Value root = out.document_.root;
  if (auto ok = known(root, kTop, "scenario"); !ok.ok()) return in(ok.error());
  if (auto ok = known(root["given"], kGiven, "given"); !ok.ok()) return in(ok.error());
  size_t number = 0;
  for (json::Value step : root["steps"].items()) {
    std::string where = fmt::format("step {}", ++number);
    if (step.size() != (step.has("refused") ? 2u : 1u))
      return in(Error(Reason::Invalid, where + ": a step is one action, and perhaps refused"));
    std::vector<std::string> keys = kSteps;
    keys.push_back("refused");
    if (auto ok = known(step, keys, where); !ok.ok()) return in(ok.error());
    if (step.has("submit"))
      if (auto ok = known(step["submit"], kSubmit, where); !ok.ok()) return in(ok.error());
    for (const json::Member& m : step["expect"].members())
      if (auto ok = parseExpectation(m.value); !ok.ok())
        return in(Error(Reason::Invalid, fmt::format("{}: {}: {}", where, m.key, ok.error().message)));
  }
  if (number == 0) return in(Error(Reason::Invalid, "it has no steps"));
  return out;
}

bool Scenario::runsOn(const std::string& engine) const {
  json::Value engines = document_["engines"];
  if (!engines) return true;
  auto items = engines.items();
  return std::any_of(items.begin(), items.end(), [&](json::Value e) { return e.asString() == engine; });
}

std::string Scenario::run(Engine& engine) {
  json::Value given = document_["given"];
  if (auto started = engine.start(given["nodes"]); !started.ok()) return "it did not start: " + started.error().message;
  for (json::Value c : given["priorityClasses"].items()) {
    std::string problem = engine.request(
        {.resource = client::gvrOf<api::PriorityClass>(),
         .body = fmt::format(
             R"({{"apiVersion":"scheduling.k8s.io/v1","kind":"PriorityClass","metadata":{{"name":"{}"}},"value":{}}})",
             c["name"].asString(), c["value"].asInt())});
    if (!problem.empty()) return problem;
  }
  size_t number = 0;
  for (json::Value one : document_["steps"].items()) {
    ++number;
    if (std::string problem = step(engine, one); !problem.empty())
      return fmt::format("step {}, {}: {}\n{}", number, json::print(one), problem, situation(engine));
  }
  return {};
}

std::string Scenario::step(Engine& engine, json::Value step) {
  auto [verb, what] = actionOf(step);
  std::string refused = step["refused"].str();
  if (verb == "submit") return submit(engine, what, refused);
  if (verb == "apply") return apply(engine, what, refused);
  if (verb == "delete") return remove(engine, what);
  if (verb == "expect") return expect(engine, what);
  if (verb == "suspend" || verb == "resume") {
    auto who = subject(what.str());
    if (!who.ok()) return who.error().message;
    const char* value = verb == "suspend" ? "true" : "false";
    return patch(engine, what.str(),
                 who->kind == "job" ? fmt::format(R"({{"spec":{{"runPolicy":{{"suspend":{}}}}}}})", value)
                                    : fmt::format(R"({{"spec":{{"suspend":{}}}}})", value),
                 refused);
  }
  if (verb == "cordon" || verb == "uncordon")
    return patch(engine, "node " + what.str(),
                 fmt::format(R"({{"spec":{{"unschedulable":{}}}}})", verb == "cordon" ? "true" : "null"), refused);
  if (verb == "scale" || verb == "patch") {
    for (const json::Member& m : what.members()) {
      std::string body =
          verb == "patch"
              ? json::print(m.value)
              : fmt::format(R"({{"spec":{{"pytorchReplicaSpecs":{{"Worker":{{"replicas":{}}}}}}}}})", m.value.asInt());
      if (std::string problem = patch(engine, std::string(m.key), body, refused); !problem.empty()) return problem;
    }
    return {};
  }
  return engine.fault(std::string(verb), plain(what));
}

std::string Scenario::submit(Engine& engine, json::Value what, const std::string& refused) {
  sim::Shape shape;
  std::string kind = what.has("job") ? "job" : what.has("batch") ? "batch" : "pod";
  shape.name = what[kind].str();
  shape.master = what["master"].asBool(true);
  shape.workers = static_cast<int>(what["workers"].asInt(0));
  shape.gpus = static_cast<int>(what["gpus"].asInt(0));
  shape.cpus = static_cast<int>(what["cpu"].asInt(1));
  shape.memory = what["memory"] ? plain(what["memory"]) : "";
  shape.duration = what["runs"] ? plain(what["runs"]) : "forever";
  shape.masterDuration = what["masterRuns"].str();
  shape.exitCodes = what["exits"] ? plain(what["exits"]) : "0";
  shape.stopDuration = what["stops"].str();
  shape.restartPolicy = what["restart"] ? what["restart"].str() : kind == "job" ? "OnFailure" : "Never";
  shape.priorityClass = what["priority"].str();
  shape.cleanPodPolicy = what["clean"].str();
  shape.backoffLimit = static_cast<int>(what["backoffLimit"].asInt(-1));
  shape.deadline = seconds(what["deadline"], 0);
  shape.ttl = seconds(what["ttl"], -1);
  shape.suspend = what["suspend"].asBool();
  shape.completions = static_cast<int>(what["completions"].asInt(1));
  shape.parallelism = static_cast<int>(what["parallelism"].asInt(1));
  shape.indexed = what["indexed"].asBool();
  for (const auto& [key, value] : json::stringPairs(what["selector"])) shape.nodeSelector[key] = value;
  if (what["tolerations"]) shape.tolerations = json::print(what["tolerations"]);
  std::string body = kind == "job" ? pytorchJobJson(shape) : kind == "batch" ? batchJobJson(shape) : podJson(shape);
  std::string answer =
      engine.request({.resource = *resourceOf(kind), .ns = namespace_, .name = shape.name, .body = body});
  if (answer.empty()) names_[shape.name] = {kind, namespace_, shape.name};
  return judged(answer, refused);
}

std::string Scenario::apply(Engine& engine, json::Value object, const std::string& refused) {
  std::string kind = object["kind"].str(), name = object.at({"metadata", "name"}).str();
  using Names = std::initializer_list<std::pair<const char*, const char*>>;
  for (auto [theirs, ours] : Names{{"PyTorchJob", "job"},
                                   {"Job", "batch"},
                                   {"Pod", "pod"},
                                   {"Service", "service"},
                                   {"Namespace", "namespace"}}) {
    if (kind != theirs) continue;
    std::string ns = kind == "Namespace" ? "" : namespace_;
    std::string answer =
        engine.request({.resource = *resourceOf(ours), .ns = ns, .name = name, .body = json::print(object)});
    if (answer.empty()) names_[name] = {ours, ns, name};
    return judged(answer, refused);
  }
  return "apply knows PyTorchJob, Job, Pod, Service and Namespace, not \"" + kind + "\"";
}

std::string Scenario::patch(Engine& engine, const std::string& who, const std::string& body,
                            const std::string& refused) {
  auto found = subject(who);
  if (!found.ok()) return found.error().message;
  return judged(engine.request({.verb = Verb::Patch,
                                .resource = *resourceOf(found->kind),
                                .ns = found->ns,
                                .name = found->name,
                                .body = body}),
                refused);
}

std::string Scenario::remove(Engine& engine, json::Value what) {
  auto found = subject(what.isString() ? what.str() : what["what"].str());
  if (!found.ok()) return found.error().message;
  sim::Request request{
      .verb = Verb::Delete, .resource = *resourceOf(found->kind), .ns = found->ns, .name = found->name};
  request.propagation = what["propagation"].str();
  if (what["grace"]) request.grace = seconds(what["grace"], 0);
  return engine.request(request);
}

std::string Scenario::expect(Engine& engine, json::Value expectations) {
  // All hold at the same moment. Those that must last are looked at after the others have come true.
  std::vector<std::pair<Subject, Expectation>> all;
  Duration limit = Duration::zero();
  Duration lasting = Duration::zero();
  for (const json::Member& m : expectations.members()) {
    auto who = subject(std::string(m.key));
    if (!who.ok()) return who.error().message;
    Expectation expected = *parseExpectation(m.value);
    limit = std::max(limit, expected.within.value_or(engine.patience()));
    lasting = std::max(lasting, expected.lasting.value_or(Duration::zero()));
    all.emplace_back(*who, std::move(expected));
  }
  std::string wrong;
  auto holds = [&] {
    wrong.clear();
    for (const auto& [who, expected] : all) {
      std::string problem = mismatch(engine, who, expected);
      if (!problem.empty()) wrong += fmt::format("{}{} {}", wrong.empty() ? "" : "; ", who.name, problem);
    }
    return wrong.empty();
  };
  if (!engine.waitUntil(holds, limit)) return wrong;
  if (lasting > Duration::zero() && !engine.holdsFor(holds, lasting)) return "did not last: " + wrong;
  return {};
}

Result<Subject> Scenario::subject(const std::string& text) const {
  if (auto it = names_.find(text); it != names_.end()) return it->second;
  size_t space = text.find(' ');
  std::string kind = text.substr(0, space);
  if (space == std::string::npos || !resourceOf(kind))
    return Error(Reason::Invalid, fmt::format("nothing named \"{}\" was submitted; other objects are \"pod NAME\", "
                                              "\"service NAME\", \"gang NAME\", \"node NAME\"",
                                              text));
  bool clusterWide = kind == "node" || kind == "namespace";
  return Subject{kind, clusterWide ? "" : namespace_, text.substr(space + 1)};
}

std::string Scenario::situation(Engine& engine) {
  std::string out = "as things stand:\n";
  for (const auto& [name, who] : names_) out += fmt::format("  {} {}: {}\n", who.kind, name, stateOf(engine, who));
  for (const json::Doc& gang : engine.list(client::gvrOf<api::Gang>(), ""))
    out +=
        fmt::format("  gang {}: {}\n", gang.root.at({"metadata", "name"}).asString(), json::print(gang.root["status"]));
  for (const json::Doc& pod : engine.list(client::gvrOf<api::Pod>(), "")) {
    std::string name = pod.root.at({"metadata", "name"}).str();
    out += fmt::format("  pod {} on \"{}\": {}\n", name, pod.root.at({"spec", "nodeName"}).asString(),
                       stateOf(engine, {"pod", pod.root.at({"metadata", "namespace"}).str(), name}));
  }
  for (const json::Doc& event : engine.list({"", "v1", "events"}, ""))
    out += fmt::format("  event {} {}: {}\n", event.root.at({"involvedObject", "name"}).asString(),
                       event.root["reason"].asString(), event.root["message"].asString());
  return out;
}

}  // namespace stoker::scenarios
