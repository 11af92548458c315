// message.h: heads of answers and the Status bodies that the server writes by itself. Private to net/; pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace stoker::net {

/// How the end of an answer's body is found.
struct Framing {
  std::optional<size_t> contentLength;
  bool chunked = false;
  bool keepAlive = true;
  int version = 11;  ///< the request's
};

/// Status line and headers with the empty line. Content-Length, Transfer-Encoding, Connection and Date of `headers` are
/// left out: the server's own stand for them. Line breaks inside values become spaces.
std::string renderHead(int status, const Headers& headers, const Framing& framing, std::string_view date);
/// "Wed, 25 Nov 2026 10:00:00 GMT", computed once a second and thread.
std::string_view httpDate();
/// Answers to these codes never have a body (RFC 9110).
bool bodyless(int status);
/// An answer with a metav1.Status of Failure as its body. Without a reason of Kubernetes' own (431), `reason` is
/// Unknown.
Response failure(int code, Reason reason, std::string_view message);

}  // namespace stoker::net
