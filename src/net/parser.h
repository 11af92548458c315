// parser.h: HTTP/1.1 messages out of bytes, one after the other, for both sides. Private to net/; Beast stays in
// parser.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "net/http.h"

namespace stoker::net {

/// What is known of a message once its head is complete.
struct Head {
  std::string method;  ///< requests
  std::string target;  ///< requests
  int status = 0;      ///< responses
  int version = 11;    ///< 10 or 11
  Headers headers;
};

class Parser {
 public:
  enum class Kind { Request, Response };
  enum class Event {
    NeedMore,  ///< everything usable was used
    Complete,  ///< the message ends here; bytes beyond `used` belong to the next one
    Malformed,
    HeadTooLarge,
    BodyTooLarge,
  };

  Parser(Kind kind, uint32_t maxHeaderBytes, uint64_t maxBodyBytes);
  ~Parser();

  /// Takes from the front of `input`; `used` says how much. What was not used must be given again, with more behind it.
  Event feed(std::string_view input, size_t& used);
  /// The other side has closed: Complete for a body that ends with the connection, else Malformed.
  Event end();
  /// Forgets this message and waits for the next one.
  void reset();
  /// The next response has no body whatever its headers say (it answers HEAD).
  void expectNoBody();

  bool started() const;  ///< any byte of this message was used
  bool headDone() const;
  bool keepAlive() const;  ///< after the head
  Head& head();
  /// The body so far; may be taken away piece by piece.
  std::string& body();
  const std::string& problem() const;  ///< after Malformed

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace stoker::net
