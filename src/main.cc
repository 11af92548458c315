// One program, several names: stoker (or arena) for people, nslookup inside pods (the applet that init containers
// call).

#include <string_view>

#include "cli/cli.h"
#include "node/dns/nslookup.h"
#include "platform/verbs.h"

int main(int argc, char** argv) {
  std::string_view name = argc > 0 ? argv[0] : "stoker";
  if (size_t slash = name.rfind('/'); slash != std::string_view::npos) name.remove_prefix(slash + 1);
  if (name == "nslookup") return stoker::node::dns::nslookupMain(argc, argv);
  std::vector<std::string> arguments(argv + (argc > 0 ? 1 : 0), argv + argc);
  stoker::platform::describeVerbs();
  if (!arguments.empty() && stoker::platform::handles(arguments[0]))
    return stoker::platform::run(arguments[0], {arguments.begin() + 1, arguments.end()});
  return stoker::cli::run(name == "arena" ? "arena" : "stoker", arguments);
}
