#include "base/result.h"

#include <array>

namespace stoker {
namespace {

struct Row {
  Reason reason;
  std::string_view name;
  int code;
};

constexpr std::array kRows{
    Row{Reason::Unknown, "", 500},
    Row{Reason::BadRequest, "BadRequest", 400},
    Row{Reason::Unauthorized, "Unauthorized", 401},
    Row{Reason::Forbidden, "Forbidden", 403},
    Row{Reason::NotFound, "NotFound", 404},
    Row{Reason::MethodNotAllowed, "MethodNotAllowed", 405},
    Row{Reason::NotAcceptable, "NotAcceptable", 406},
    Row{Reason::AlreadyExists, "AlreadyExists", 409},
    Row{Reason::Conflict, "Conflict", 409},
    Row{Reason::Gone, "Gone", 410},
    Row{Reason::Expired, "Expired", 410},
    Row{Reason::RequestEntityTooLarge, "RequestEntityTooLarge", 413},
    Row{Reason::UnsupportedMediaType, "UnsupportedMediaType", 415},
    Row{Reason::Invalid, "Invalid", 422},
    Row{Reason::TooManyRequests, "TooManyRequests", 429},
    Row{Reason::InternalError, "InternalError", 500},
    Row{Reason::ServerTimeout, "ServerTimeout", 500},
    Row{Reason::ServiceUnavailable, "ServiceUnavailable", 503},
    Row{Reason::Timeout, "Timeout", 504},
};

}  // namespace

std::string_view toString(Reason reason) {
  for (const Row& row : kRows)
    if (row.reason == reason) return row.name;
  return "";
}

Reason reasonFromString(std::string_view text) {
  for (const Row& row : kRows)
    if (row.name == text) return row.reason;
  return Reason::Unknown;
}

int httpCode(Reason reason) {
  for (const Row& row : kRows)
    if (row.reason == reason) return row.code;
  return 500;
}

}  // namespace stoker
