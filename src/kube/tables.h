// tables.h: the data files under kube/data, as they are, compiled in by data/embed.cmake. Formats: data/README.md.
#pragma once

#include <string_view>

namespace stoker::kube::data {

extern const std::string_view kmessages;      ///< every built-in message and its fields
extern const std::string_view kdescriptions;  ///< their comments, for OpenAPI; parsed only when that is published
extern const std::string_view kresources;     ///< the served resources
extern const std::string_view kdefaults;      ///< static defaults
extern const std::string_view krules;         ///< enums, required members and bounds of built-in messages

}  // namespace stoker::kube::data
