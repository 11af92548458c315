// cli.h: every verb a person types, but for those that start and stop the platform (src/platform).
#pragma once

#include <string>
#include <vector>

namespace stoker::cli {

/// argv without the program's name. Returns the exit status; errors are on stderr.
int run(const std::string& program, const std::vector<std::string>& arguments);

/// Verbs of other parts, for help, completion and "did you mean".
void addVerb(const std::string& name, const std::string& help);

inline constexpr const char* kVersion = "0.1.0";

}  // namespace stoker::cli
