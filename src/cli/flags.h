// flags.h
//
// Command lines as pflag reads them, so that arena's scripts work unmodified: --flag=value, --flag value, -f value,
// -fvalue,
// --bool, flags anywhere among the arguments, -- ends them. Unknown flags are refused with the nearest known one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"

namespace stoker::cli {

struct Flag {
  enum class Type { String, Bool, Int, Duration, List };
  std::string name;
  char shorthand = 0;
  Type type = Type::String;
  std::string defaultValue;
  std::string help;
  bool deprecated = false;
  std::string instead;  ///< deprecated: the flag that replaces it
  /// Known, but what it needs is not there yet: given, the command is refused with this reason.
  std::string refused;
};

class FlagSet {
 public:
  explicit FlagSet(std::vector<Flag> flags) : flags_(std::move(flags)) {}
  /// Positional arguments in order. BadRequest says what is wrong and what would be right.
  Result<std::vector<std::string>> parse(const std::vector<std::string>& arguments);

  bool given(const std::string& name) const { return values_.contains(name); }
  std::string text(const std::string& name) const;
  bool flag(const std::string& name) const { return text(name) == "true"; }
  int64_t number(const std::string& name) const;
  std::optional<Duration> duration(const std::string& name) const;
  std::vector<std::string> list(const std::string& name) const;
  std::string help() const;  ///< one line a flag, aligned
  const std::vector<Flag>& flags() const { return flags_; }

 private:
  const Flag* find(const std::string& name) const;
  Result<void> store(const Flag& flag, const std::string& spelled, const std::string& value);
  std::vector<Flag> flags_;
  std::map<std::string, std::vector<std::string>> values_;
};

}  // namespace stoker::cli
