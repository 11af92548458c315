// scenario.h: one scenario file, run on one engine. The language is told in README.md.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "expectation.h"

namespace stoker::scenarios {

class Scenario {
 public:
  /// Reads the file; errors name the place.
  static Result<Scenario> load(const std::string& path);
  bool runsOn(const std::string& engine) const;
  /// Empty when all went as the file says, else which step did not and how things stand.
  std::string run(Engine& engine);

 private:
  std::string step(Engine& engine, json::Value step);
  std::string submit(Engine& engine, json::Value what, const std::string& refused);
  std::string apply(Engine& engine, json::Value object, const std::string& refused);
  std::string remove(Engine& engine, json::Value what);
  std::string patch(Engine& engine, const std::string& who, const std::string& body, const std::string& refused);
  std::string expect(Engine& engine, json::Value expectations);
  std::string situation(Engine& engine);
  Result<Subject> subject(const std::string& text) const;

  json::Doc document_;
  std::map<std::string, Subject> names_;
  std::string namespace_ = "default";
};

}  // namespace stoker::scenarios
