#include "net/message.h"

#include <fmt/format.h>

#include <ctime>

#include "base/strings.h"

namespace stoker::net {
namespace {

std::string_view phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

bool ours(const std::string& name) {
  // Most names differ in their first letter already, so the comparison without case is rare.
  if (name.empty() || std::string_view("cCtTdD").find(name[0]) == std::string_view::npos) return false;
  std::string lower = toLower(name);
  return lower == "content-length" || lower == "transfer-encoding" || lower == "connection" || lower == "date";
}

void append(std::string& out, std::string_view text) {
  size_t start = out.size();
  out += text;
  for (size_t i = start; i < out.size(); ++i)
    if (out[i] == '\r' || out[i] == '\n' || out[i] == '\0') out[i] = ' ';
}

std::string jsonString(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace

std::string renderHead(int status, const Headers& headers, const Framing& framing, std::string_view date) {
  std::string out;
  out.reserve(256);
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += phrase(status);
  out += "\r\n";
  for (const auto& [name, value] : headers) {
    if (ours(name)) continue;
    append(out, name);
    out += ": ";
    append(out, value);
    out += "\r\n";
  }
  if (framing.contentLength) {
    out += "Content-Length: ";
    out += std::to_string(*framing.contentLength);
    out += "\r\n";
  }
  if (framing.chunked) out += "Transfer-Encoding: chunked\r\n";
  if (!framing.keepAlive)
    out += "Connection: close\r\n";
  else if (framing.version == 10)
    out += "Connection: keep-alive\r\n";
  out += "Date: ";
  out += date;
  out += "\r\n\r\n";
  return out;
}

std::string_view httpDate() {
  thread_local std::time_t at = -1;
  thread_local std::string text;
  std::time_t now = std::time(nullptr);
  if (now != at) {
    static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    std::tm parts{};
    gmtime_r(&now, &parts);
    text = fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[parts.tm_wday], parts.tm_mday,
                       kMonths[parts.tm_mon], 1900 + parts.tm_year, parts.tm_hour, parts.tm_min, parts.tm_sec);
    at = now;
  }
  return text;
}

bool bodyless(int status) { return status == 204 || status == 304 || (status >= 100 && status < 200); }

Response failure(int code, Reason reason, std::string_view message) {
  std::string body =
      R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":)" + jsonString(message);
  if (reason != Reason::Unknown) body += fmt::format(R"(,"reason":"{}")", toString(reason));
  body += fmt::format(",\"code\":{}}}\n", code);
  Response response;
  response.status = code;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = std::make_shared<const std::string>(std::move(body));
  return response;
}

}  // namespace stoker::net
