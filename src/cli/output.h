// output.h: what goes to the screen: aligned tables, JSON, YAML. Pure.
#pragma once

#include <string>
#include <vector>

#include "json/json.h"

namespace stoker::cli {

/// Go's tabwriter with two spaces of padding, left aligned: the first row is the header. No trailing spaces.
std::string alignColumns(const std::vector<std::vector<std::string>>& rows, size_t indent = 0);

/// "json" or "yaml".
std::string render(json::Value value, const std::string& format);

}  // namespace stoker::cli
