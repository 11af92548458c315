#include "cli/flags.h"

#include <fmt/format.h>

#include <charconv>

#include "base/strings.h"

namespace stoker::cli {

const Flag* FlagSet::find(const std::string& name) const {
  for (const Flag& flag : flags_)
    if (flag.name == name) return &flag;
  return nullptr;
}

Result<void> FlagSet::store(const Flag& flag, const std::string& spelled, const std::string& value) {
  auto bad = [&](std::string_view expected) {
    return Error(Reason::BadRequest,
                 fmt::format("invalid argument {} for {}: it must be {}", quote(value), spelled, expected));
  };
  std::string word = value;
  if (!flag.refused.empty())
    return Error(Reason::BadRequest, fmt::format("{} is not supported yet: {}", spelled, flag.refused));
  switch (flag.type) {
    case Flag::Type::Bool:
      // What pflag (strconv.ParseBool) takes.
      if (value == "1" || value == "t" || value == "T" || value == "TRUE" || value == "True") word = "true";
      if (value == "0" || value == "f" || value == "F" || value == "FALSE" || value == "False") word = "false";
      if (word != "true" && word != "false") return bad("true or false");
      break;
    case Flag::Type::Int: {
      int64_t number;
      auto [end, ec] = std::from_chars(value.data(), value.data() + value.size(), number);
      if (ec != std::errc() || end != value.data() + value.size()) return bad("a whole number");
      break;
    }
    case Flag::Type::Duration:
      if (!parseGoDuration(value)) return bad("a duration such as 30s, 5m or 1h30m");
      break;
    default:
      break;
  }
  const std::string& key = flag.deprecated && !flag.instead.empty() ? flag.instead : flag.name;
  auto& slot = values_[key];
  if (flag.type != Flag::Type::List) slot.clear();
  slot.push_back(word);
  return {};
}

Result<std::vector<std::string>> FlagSet::parse(const std::vector<std::string>& arguments) {
  std::vector<std::string> positional;
  std::vector<std::string> names;
  for (const Flag& flag : flags_) names.push_back("--" + flag.name);
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "--") {
      positional.insert(positional.end(), arguments.begin() + static_cast<long>(i) + 1, arguments.end());
      break;
    }
    if (argument.size() < 2 || argument[0] != '-') {
      positional.push_back(argument);
      continue;
    }
    const Flag* flag = nullptr;
    std::string spelled, value;
    bool hasValue = false;
    if (argument[1] == '-') {
      size_t equals = argument.find('=');
      spelled = argument.substr(0, equals);
      if (equals != std::string::npos) {
        value = argument.substr(equals + 1);
        hasValue = true;
      }
      flag = find(spelled.substr(2));
      if (!flag) {
        std::string message = fmt::format("unknown flag: {}", spelled);
        if (auto near = didYouMean(spelled, names)) message += fmt::format("; did you mean {}?", *near);
        return Error(Reason::BadRequest, message);
      }
    } else {
      spelled = argument.substr(0, 2);
      for (const Flag& candidate : flags_)
        if (candidate.shorthand == argument[1]) flag = &candidate;
      if (!flag) return Error(Reason::BadRequest, fmt::format("unknown shorthand flag: {} in {}", spelled, argument));
      if (argument.size() > 2 && flag->type != Flag::Type::Bool) {
        value = argument.substr(argument[2] == '=' ? 3 : 2);
        hasValue = true;
      } else if (argument.size() > 2) {
        return Error(Reason::BadRequest,
                     fmt::format("{} takes no value; write flags of one letter apart, got {}", spelled, argument));
      }
    }
    if (!hasValue) {
      if (flag->type == Flag::Type::Bool)
        value = "true";
      else if (++i < arguments.size())
        value = arguments[i];
      else
        return Error(Reason::BadRequest, fmt::format("flag needs an argument: {}", spelled));
    }
    STOKER_CHECK(store(*flag, spelled, value));
  }
  return positional;
}

std::string FlagSet::text(const std::string& name) const {
  auto it = values_.find(name);
  if (it != values_.end()) return it->second.back();
  const Flag* flag = find(name);
  return flag ? flag->defaultValue : std::string();
}

int64_t FlagSet::number(const std::string& name) const {
  std::string value = text(name);
  int64_t out = 0;
  std::from_chars(value.data(), value.data() + value.size(), out);
  return out;
}

std::optional<Duration> FlagSet::duration(const std::string& name) const {
  std::string value = text(name);
  return value.empty() ? std::nullopt : parseGoDuration(value);
}

std::vector<std::string> FlagSet::list(const std::string& name) const {
  auto it = values_.find(name);
  return it == values_.end() ? std::vector<std::string>() : it->second;
}

std::string FlagSet::help() const {
  static constexpr const char* kTypes[] = {" string", "", " int", " duration", " stringArray"};
  std::string out;
  for (const Flag& flag : flags_) {
    if (flag.deprecated) continue;
    std::string left =
        flag.shorthand ? fmt::format("  -{}, --{}", flag.shorthand, flag.name) : fmt::format("      --{}", flag.name);
    left += kTypes[static_cast<int>(flag.type)];
    out += fmt::format("{:<34} {}", left, flag.help);
    if (!flag.defaultValue.empty() && flag.defaultValue != "false" && flag.defaultValue != "0")
      out += fmt::format(" (default {})", flag.defaultValue);
    if (!flag.refused.empty()) out += " [not supported yet]";
    out += '\n';
  }
  return out;
}

}  // namespace stoker::cli
