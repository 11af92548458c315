// scenarios --engine virtual|real [--stoker PROGRAM] FILE...: runs scenario files; exits 1 when one does not go as it
// says.

#include <cstdio>
#include <cstring>

#include "base/log.h"
#include "scenario.h"

int main(int argc, char** argv) {
  using namespace stoker;
  std::string engine = "virtual", program;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--engine") && i + 1 < argc)
      engine = argv[++i];
    else if (!std::strcmp(argv[i], "--stoker") && i + 1 < argc)
      program = argv[++i];
    else
      files.push_back(argv[i]);
  }
  if (files.empty() || (engine != "virtual" && engine != "real") || (engine == "real" && program.empty())) {
    std::fprintf(stderr, "usage: scenarios --engine virtual|real [--stoker PROGRAM] FILE...\n");
    return 2;
  }
  log::setLevel(log::Level::Error);
  int failed = 0;
  for (const std::string& file : files) {
    auto scenario = scenarios::Scenario::load(file);
    if (!scenario.ok()) {
      std::printf("FAILED %s\n", scenario.error().message.c_str());
      ++failed;
      continue;
    }
    if (!scenario->runsOn(engine)) continue;
    auto stage = engine == "virtual" ? scenarios::makeVirtualEngine() : scenarios::makeRealEngine(program);
    std::string problem = scenario->run(*stage);
    std::printf("%s %s%s%s\n", problem.empty() ? "ok    " : "FAILED", file.c_str(), problem.empty() ? "" : ": ",
                problem.c_str());
    std::fflush(stdout);
    failed += !problem.empty();
  }
  return failed == 0 ? 0 : 1;
}
