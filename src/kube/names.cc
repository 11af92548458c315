#include "kube/names.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"

namespace stoker::kube {

namespace {

using Messages = std::vector<std::string>;

constexpr size_t kLabelLength = 63;       // DNS labels and label values
constexpr size_t kSubdomainLength = 253;  // DNS names

constexpr std::string_view kLabelRegex = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
constexpr std::string_view kQualifiedRegex = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
constexpr std::string_view kSubdomainRegex = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";

bool isLower(char c) { return c >= 'a' && c <= 'z'; }
bool isDigit(char c) { return c >= '0' && c <= '9'; }
bool isLowerOrDigit(char c) { return isLower(c) || isDigit(c); }
bool isAlphanumeric(char c) { return isLowerOrDigit(c) || (c >= 'A' && c <= 'Z'); }

// Not empty, `inner` all along and `outer` at both ends.
template <class Inner, class Outer>
bool consistsOf(std::string_view text, Inner inner, Outer outer) {
  return !text.empty() && outer(text.front()) && outer(text.back()) && std::all_of(text.begin(), text.end(), inner);
}

bool isLabel(std::string_view text) {
  return consistsOf(
      text, [](char c) { return isLowerOrDigit(c) || c == '-'; }, isLowerOrDigit);
}
bool isSubdomain(std::string_view text) {
  auto labels = split(text, '.');
  return std::all_of(labels.begin(), labels.end(), isLabel);
}
bool isQualified(std::string_view text) {
  return consistsOf(
      text, [](char c) { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.'; }, isAlphanumeric);
}

std::string regexMessage(std::string_view message, std::string_view regex, const Messages& examples) {
  std::string out = std::string(message) + " (e.g. ";
  for (const std::string& example : examples) out += (&example == &examples.front() ? "'" : " or '") + example + "', ";
  return out + fmt::format("regex used for validation is '{}')", regex);
}

// Upstream counts bytes everywhere; only the newer half of its messages says so.
std::string tooManyCharacters(size_t limit) { return fmt::format("must be no more than {} characters", limit); }
std::string tooManyBytes(size_t limit) { return fmt::format("must be no more than {} bytes", limit); }

std::string subdomainMessage() {
  return regexMessage(
      "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
      "and end "
      "with an alphanumeric character",
      kSubdomainRegex, {"example.com"});
}

std::string qualifiedMessage() {
  return regexMessage(
      "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
      kQualifiedRegex, {"MyName", "my.name", "123-abc"});
}

// Names that become files must not climb out of their directory.
void checkNotParent(std::string_view value, Messages& out) {
  if (value == "." || value == "..")
    out.push_back(fmt::format("must not be '{}'", value));
  else if (value.starts_with(".."))
    out.push_back("must not start with '..'");
}

}  // namespace

Messages dns1123Label(std::string_view value) {
  Messages out;
  if (value.size() > kLabelLength) out.push_back(tooManyCharacters(kLabelLength));
  if (isLabel(value)) return out;
  if (isSubdomain(value))
    out.push_back("must not contain dots");
  else
    out.push_back(
        regexMessage("a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must "
                     "start and end with an "
                     "alphanumeric character",
                     kLabelRegex, {"my-name", "123-abc"}));
  return out;
}

Messages dns1123Subdomain(std::string_view value) {
  Messages out;
  if (value.size() > kSubdomainLength) out.push_back(tooManyCharacters(kSubdomainLength));
  if (!isSubdomain(value)) out.push_back(subdomainMessage());
  return out;
}

Messages dns1035Label(std::string_view value) {
  Messages out;
  if (value.size() > kLabelLength) out.push_back(tooManyCharacters(kLabelLength));
  if (!isLabel(value) || !isLower(value[0]))
    out.push_back(
        regexMessage("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an "
                     "alphabetic character, and "
                     "end with an alphanumeric character",
                     "[a-z]([-a-z0-9]*[a-z0-9])?", {"my-name", "abc-123"}));
  return out;
}

Messages qualifiedName(std::string_view value) {
  Messages out;
  auto parts = split(value, '/');
  if (parts.size() > 2)
    return {"a valid label key " + qualifiedMessage() +
            " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"};
  if (parts.size() == 2) {
    if (parts[0].empty())
      out.push_back("prefix part must be non-empty");
    else {
      if (parts[0].size() > kSubdomainLength) out.push_back("prefix part " + tooManyBytes(kSubdomainLength));
      if (!isSubdomain(parts[0])) out.push_back("prefix part " + subdomainMessage());
    }
  }
  std::string_view name = parts.back();
  if (name.empty())
    out.push_back("name part must be non-empty");
  else if (name.size() > kLabelLength)
    out.push_back("name part " + tooManyBytes(kLabelLength));
  if (!isQualified(name)) out.push_back("name part " + qualifiedMessage());
  return out;
}

Messages labelValue(std::string_view value) {
  Messages out;
  if (value.size() > kLabelLength) out.push_back(tooManyBytes(kLabelLength));
  if (!value.empty() && !isQualified(value))
    out.push_back(
        regexMessage("a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
                     "and must start and end "
                     "with an alphanumeric character",
                     fmt::format("({})?", kQualifiedRegex), {"MyValue", "my_value", "12345"}));
  return out;
}

Messages envVarName(std::string_view value) {
  if (value.empty()) return {"environment variable name must be non-empty"};
  if (!std::all_of(value.begin(), value.end(), [](char c) { return c >= 0x20 && c < 0x7f && c != '='; }))
    return {"a valid environment variable name must consist only of printable ASCII characters other than '='"};
  return {};
}

Messages configMapKey(std::string_view value) {
  Messages out;
  if (value.size() > kSubdomainLength) out.push_back(tooManyCharacters(kSubdomainLength));
  auto allowed = [](char c) { return isAlphanumeric(c) || c == '-' || c == '_' || c == '.'; };
  if (!consistsOf(value, allowed, allowed))
    out.push_back(regexMessage("a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
                               "[-._a-zA-Z0-9]+", {"key.name", "KEY_NAME", "key-name"}));
  checkNotParent(value, out);
  return out;
}

Messages pathSegmentName(std::string_view value) {
  if (value == "." || value == "..") return {fmt::format("may not be '{}'", value)};
  Messages out;
  for (char c : {'/', '%'})
    if (value.find(c) != std::string_view::npos) out.push_back(fmt::format("may not contain '{}'", c));
  return out;
}

}  // namespace stoker::kube
