// channel.h: one non-blocking TCP socket, with TLS or without. Private to net/.
//
// Nothing here waits: the server waits with its loop, the client with poll(2). Ciphertext is collected and leaves in
// large writes; the file descriptor belongs to the caller.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "net/out_queue.h"

struct ssl_st;
struct ssl_ctx_st;

namespace stoker::net {

class Channel {
 public:
  enum class State {
    Ok,
    Again,   ///< the socket must become readable (read, handshake) or writable (send, flush) first
    Closed,  ///< the peer has ended its side
    Failed,  ///< see problem()
  };

  /// `context` null: plain TCP.
  Channel(int fd, ssl_ctx_st* context, bool server);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  /// One step. Whatever the outcome, flush() is due afterwards.
  State handshake();
  /// Reads once; Ok means got > 0.
  State read(char* to, size_t capacity, size_t& got);
  /// Whether reading is worth a try before the socket becomes readable. Must be asked before waiting: decrypted bytes
  /// that wait in here make no socket readable.
  bool mayHaveMore() const;
  /// Sends until the queue is empty and in the kernel's hands (Ok) or the socket is full (Again).
  State send(OutQueue& queue);
  /// Sends collected ciphertext.
  State flush();
  bool flushed() const { return sent_ == cipher_.size(); }
  /// Says goodbye (close_notify); flush() is due afterwards.
  void shutdown();

  ssl_st* ssl() const { return ssl_.get(); }
  /// Why the last call failed, in OpenSSL's or the system's words.
  const std::string& problem() const { return problem_; }

 private:
  friend struct SocketBio;
  struct SslFree {
    void operator()(ssl_st* ssl) const;
  };
  State failed();
  State systemFailed(int error);

  int fd_;
  std::unique_ptr<ssl_st, SslFree> ssl_;
  std::string cipher_;  ///< ciphertext not yet sent, from sent_ on
  size_t sent_ = 0;
  bool drained_ = false;  ///< the last receive came back short
  bool again_ = true;     ///< the last call said Again
  int receiveError_ = 0;
  std::string problem_;
};

}  // namespace stoker::net
