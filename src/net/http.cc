#include "net/http.h"

#include "base/strings.h"

namespace stoker::net {
namespace {

bool equalsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    auto lower = [](unsigned char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> percentDecode(std::string_view text, bool plusIsSpace, std::string_view where) {
  std::string decoded;
  decoded.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plusIsSpace) {
      decoded += ' ';
    } else if (text[i] == '%') {
      bool room = i + 2 < text.size();
      int high = room ? hexDigit(text[i + 1]) : -1;
      int low = room ? hexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0)
        return Error(Reason::BadRequest, "the " + std::string(where) +
                                             " of the request target holds a '%' without two "
                                             "hexadecimal digits after it; write a plain percent sign as %25");
      decoded += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  if (decoded.find('\0') != std::string::npos)
    return Error(Reason::BadRequest, "the " + std::string(where) + " of the request target holds a zero byte (%00)");
  return decoded;
}

}  // namespace

std::string_view header(const Headers& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (equalsIgnoringCase(key, name)) return value;
  return {};
}

std::optional<std::string_view> Url::param(std::string_view name) const {
  for (const auto& [key, value] : query)
    if (key == name) return std::string_view(value);
  return std::nullopt;
}

Result<Url> parseTarget(std::string_view target) {
  Url url;
  if (target == "*") {
    url.path = "*";
    return url;
  }
  // The absolute form that proxies use: what follows the authority counts.
  if (!target.starts_with('/')) {
    auto scheme = target.find("://");
    if (scheme == std::string_view::npos || target.find_first_of("/?") < scheme)
      return Error(Reason::BadRequest, "the request target must be a path that starts with '/'");
    target.remove_prefix(scheme + 3);
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
  }
  auto mark = target.find('?');
  STOKER_TRY(url.path, percentDecode(target.substr(0, mark), false, "path"));
  if (url.path.empty()) url.path = "/";
  if (mark == std::string_view::npos) return url;
  for (std::string_view pair : split(target.substr(mark + 1), '&')) {
    if (pair.empty()) continue;
    auto equals = pair.find('=');
    STOKER_TRY(std::string name, percentDecode(pair.substr(0, equals), true, "query"));
    std::string value;
    if (equals != std::string_view::npos) {
      STOKER_TRY(value, percentDecode(pair.substr(equals + 1), true, "query"));
    }
    url.query.emplace_back(std::move(name), std::move(value));
  }
  return url;
}

std::string percentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  encoded.reserve(text.size());
  for (unsigned char c : text) {
    bool unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                      c == '.' || c == '_' || c == '~';
    if (unreserved) {
      encoded += static_cast<char>(c);
    } else {
      encoded += '%';
      encoded += kHex[c >> 4];
      encoded += kHex[c & 15];
    }
  }
  return encoded;
}

}  // namespace stoker::net
