// The string formats that a custom resource's schema may name (kube-openapi's strfmt). A format not listed here is a
// comment, as it is upstream.
#include <arpa/inet.h>
#include <re2/re2.h>

#include <map>
#include <string>
#include <string_view>

#include "base/strings.h"
#include "base/time.h"

namespace stoker::kube {
namespace {

bool address(int family, std::string_view text) {
  unsigned char bytes[16];
  return inet_pton(family, std::string(text).c_str(), bytes) == 1;
}

bool cidr(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  std::string_view host = text.substr(0, slash), bits = text.substr(slash + 1);
  bool four = address(AF_INET, host);
  if (!four && !address(AF_INET6, host)) return false;
  if (bits.empty() || bits.size() > 3 || bits.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return std::stoi(std::string(bits)) <= (four ? 32 : 128);
}

bool matches(const RE2& re, std::string_view text) {
  return RE2::FullMatch(re2::StringPiece(text.data(), text.size()), re);
}

bool date(std::string_view text) {
  static const RE2 shape(R"(\d{4}-\d{2}-\d{2})");
  return matches(shape, text) && parseTime(std::string(text) + "T00:00:00Z").has_value();
}

}  // namespace

bool formatHolds(std::string_view format, std::string_view text) {
  static const RE2 mac(
      "([0-9A-Fa-f]{2}([:-])([0-9A-Fa-f]{2}[:-]){4,}[0-9A-Fa-f]{2})|([0-9A-Fa-f]{4}\\.){2,}[0-9A-Fa-f]{4}");
  static const RE2 uuid("(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}");
  static const RE2 hostname("[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62})(\\.[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,62}))*\\.?");
  static const RE2 email("[^@\\s]+@[^@\\s]+");
  static const RE2 uri("([a-zA-Z][a-zA-Z0-9+.-]*:\\S+)|(/\\S*)");
  static const RE2 duration(
      "(-?\\d+(\\.\\d+)?(ns|us|µs|ms|s|m|h|d|w| ?(nano|micro|milli)?(seconds?|secs?)| ?min(ute)?s?| ?h(ou)?rs?| "
      "?days?| ?weeks?)\\s*)+");
  static const RE2 color("#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})");
  if (format == "ipv4") return address(AF_INET, text);
  if (format == "ipv6") return address(AF_INET6, text);
  if (format == "cidr") return cidr(text);
  if (format == "mac") return matches(mac, text);
  if (format.starts_with("uuid")) return matches(uuid, text);
  if (format == "hostname") return text.size() <= 255 && matches(hostname, text);
  if (format == "email") return matches(email, text);
  if (format == "uri") return matches(uri, text);
  if (format == "byte") return base64Decode(text).has_value();
  if (format == "date") return date(text);
  if (format == "date-time" || format == "datetime") return parseTime(text).has_value();
  if (format == "duration") return parseGoDuration(text).has_value() || matches(duration, text);
  if (format == "hexcolor") return matches(color, text);
  return true;
}

}  // namespace stoker::kube
