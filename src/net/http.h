// http.h
//
// HTTP messages as the rest of the house sees them. No Asio or Beast type leaves net/.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace stoker::net {

using Headers = std::vector<std::pair<std::string, std::string>>;
/// First value of a header, compared without case; empty when absent.
std::string_view header(const Headers& headers, std::string_view name);

/// A target split once: path is percent-decoded per segment, query decoded ('+' is a space).
struct Url {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;
  /// First value of a query parameter, nullopt when absent.
  std::optional<std::string_view> param(std::string_view name) const;
};
Result<Url> parseTarget(std::string_view target);
std::string percentEncode(std::string_view text);

struct Request {
  std::string method;
  std::string target;  ///< as received
  Url url;
  Headers headers;
  std::string body;
  /// The verified client certificate, when one was presented and its chain is trusted.
  struct Peer {
    std::string commonName;
    std::vector<std::string> organizations;
  };
  std::optional<Peer> peer;
  std::string remoteAddress;  ///< "127.0.0.1:41234"
};

struct Response {
  int status = 200;
  Headers headers;                          ///< Content-Length, Date and Connection are added by the server
  std::shared_ptr<const std::string> body;  ///< shared: stored bytes are sent without a copy; null = empty
  /// More pieces after `body`, in order; lists are spliced from stored bytes without copying them together.
  std::vector<std::shared_ptr<const std::string>> pieces;
};

/// One request being answered. Thread-safe; answering may happen later and on another thread. Dropping the last
/// reference without an answer sends 500.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const Request& request() const = 0;
  /// Exactly once, unless stream() is used.
  virtual void respond(Response response) = 0;

  /// Starts a chunked response. Pieces given to Stream::write follow, each as one chunk, in order.
  class Stream {
   public:
    virtual ~Stream() = default;
    /// False when the peer is gone or more than the server's per-stream buffer bound waits unsent (a slow reader): the
    /// stream is then closed and nothing more is sent. Never blocks.
    virtual bool write(std::shared_ptr<const std::string> piece) = 0;
    /// Ends the response in order, after what was written.
    virtual void finish() = 0;
    /// `callback` runs once, on a network thread, when the peer is gone or the stream was cut; at once if it already
    /// is.
    virtual void onClosed(std::function<void()> callback) = 0;
    /// `callback` runs (once per call of onDrained) when all that was written has been handed to the kernel.
    virtual void onDrained(std::function<void()> callback) = 0;
  };
  virtual std::shared_ptr<Stream> stream(int status, Headers headers) = 0;
};

using Handler = std::function<void(std::shared_ptr<Exchange>)>;

}  // namespace stoker::net
