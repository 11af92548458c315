// verbs.h: the verbs that start, stop and show the platform: up, down, status.
#pragma once

#include <string>
#include <vector>

namespace stoker::platform {

/// True when `verb` is one of ours.
bool handles(const std::string& verb);
/// `arguments` after the verb.
int run(const std::string& verb, const std::vector<std::string>& arguments);
void describeVerbs();  ///< tells the CLI's help of them

}  // namespace stoker::platform
