// file.h: whole files, read and replaced. Errors name the path and the system's reason.
#pragma once

#include <string>

#include "base/result.h"

namespace stoker {

Result<std::string> readFile(const std::string& path);
/// Writes beside `path`, fsyncs and renames over it: readers see the old or the new content, never a part.
Result<void> writeFileAtomic(const std::string& path, std::string_view content, unsigned mode = 0644);
/// mkdir -p; an existing directory keeps its mode.
Result<void> makeDirectories(const std::string& path, unsigned mode = 0755);
/// "cannot open /x: Permission denied" from errno.
Error systemError(std::string_view action, const std::string& path, int error);

}  // namespace stoker
