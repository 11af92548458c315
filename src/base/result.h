// result.h
//
// A value or an Error. Whatever input, the network, the disk or another writer can cause travels as a Result;
// exceptions never cross a folder. Reasons are Kubernetes' own (metav1.StatusReason), so an Error becomes a Status
// without loss.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace stoker {

enum class Reason {
  Unknown,
  BadRequest,
  Unauthorized,
  Forbidden,
  NotFound,
  MethodNotAllowed,
  NotAcceptable,
  AlreadyExists,
  Conflict,
  Gone,
  Expired,
  RequestEntityTooLarge,
  UnsupportedMediaType,
  Invalid,
  TooManyRequests,
  InternalError,
  ServerTimeout,
  ServiceUnavailable,
  Timeout,
};

/// The StatusReason as Kubernetes spells it, e.g. "AlreadyExists"; empty for Unknown.
std::string_view toString(Reason reason);
/// The Reason spelled `text`; Unknown when there is none.
Reason reasonFromString(std::string_view text);
/// The HTTP status code that goes with a reason (Unknown and InternalError: 500).
int httpCode(Reason reason);

/// One entry of Status.details.causes. `type` is a metav1.CauseType such as "FieldValueInvalid".
struct Cause {
  std::string type;
  std::string message;
  std::string field;
  bool operator==(const Cause&) const = default;
};

struct Error {
  Reason reason = Reason::Unknown;
  std::string message;
  // Status.details; empty strings and 0 mean "not stated".
  std::string group;
  std::string kind;  ///< the resource ("pods") or kind ("Pod") the error is about, as upstream fills details.kind
  std::string name;
  std::string uid;
  std::vector<Cause> causes;
  int retryAfterSeconds = 0;
  std::string continueToken;  ///< Status.metadata.continue, for expired list tokens

  Error() = default;
  Error(Reason r, std::string m) : reason(r), message(std::move(m)) {}
};

/// Result<T>: holds a T or an Error. Result<void> holds nothing or an Error.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : value_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return value_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& operator*() & { return std::get<0>(value_); }
  const T& operator*() const& { return std::get<0>(value_); }
  T&& operator*() && { return std::get<0>(std::move(value_)); }
  T* operator->() { return &std::get<0>(value_); }
  const T* operator->() const { return &std::get<0>(value_); }
  const Error& error() const { return std::get<1>(value_); }
  Error& error() { return std::get<1>(value_); }

 private:
  std::variant<T, Error> value_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const { return *error_; }
  Error& error() { return *error_; }

 private:
  std::optional<Error> error_;
};

}  // namespace stoker

#define STOKER_CONCAT_(a, b) a##b
#define STOKER_CONCAT(a, b) STOKER_CONCAT_(a, b)
/// `STOKER_TRY(auto x, f());` : x is the value, or the enclosing function returns the error.
#define STOKER_TRY(decl, expr)                                                                      \
  auto STOKER_CONCAT(try_, __LINE__) = (expr);                                                      \
  if (!STOKER_CONCAT(try_, __LINE__).ok()) return std::move(STOKER_CONCAT(try_, __LINE__).error()); \
  decl = *std::move(STOKER_CONCAT(try_, __LINE__))
/// `STOKER_CHECK(f());` : the enclosing function returns f's error, if any.
#define STOKER_CHECK(expr)                                                    \
  do {                                                                        \
    if (auto check_ = (expr); !check_.ok()) return std::move(check_.error()); \
  } while (0)
