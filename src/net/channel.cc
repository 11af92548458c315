#include "net/channel.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <system_error>

namespace stoker::net {
namespace {

constexpr size_t kRecordBytes = 16 << 10;  // the largest plaintext of a TLS record
constexpr size_t kBatchBytes =
    128 << 10;                          // ciphertext collected before a write: large enough to make system calls rare
constexpr size_t kKeptBytes = 4 << 10;  // what an idle connection may keep of its ciphertext buffer
constexpr int kGatherPieces = 64;

}  // namespace

/// The socket as OpenSSL sees it: reads go to the kernel (no SIGPIPE, no hidden blocking), writes are collected.
struct SocketBio {
  static int write(BIO* bio, const char* data, int size) {
    static_cast<Channel*>(BIO_get_data(bio))->cipher_.append(data, static_cast<size_t>(size));
    return size;
  }
  static int read(BIO* bio, char* to, int capacity) {
    auto* channel = static_cast<Channel*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    ssize_t got;
    do got = ::recv(channel->fd_, to, static_cast<size_t>(capacity), 0);
    while (got < 0 && errno == EINTR);
    channel->drained_ = got < capacity;
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      BIO_set_retry_read(bio);
    } else if (got < 0) {
      channel->receiveError_ = errno;
    } else if (got == 0) {
      BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
    }
    return static_cast<int>(got);
  }
  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
  }
  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stoker socket");
      BIO_meth_set_write(method, write);
      BIO_meth_set_read(method, read);
      BIO_meth_set_ctrl(method, control);
      return method;
    }();
    return made;
  }
};

void Channel::SslFree::operator()(ssl_st* ssl) const { SSL_free(ssl); }

Channel::Channel(int fd, ssl_ctx_st* context, bool server) : fd_(fd) {
  if (!context) return;
  ssl_.reset(SSL_new(context));
  BIO* bio = BIO_new(SocketBio::method());
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_read_ahead(ssl_.get(), 1);
  if (server)
    SSL_set_accept_state(ssl_.get());
  else
    SSL_set_connect_state(ssl_.get());
}

Channel::~Channel() = default;

Channel::State Channel::systemFailed(int error) {
  problem_ = std::generic_category().message(error);
  return State::Failed;
}

Channel::State Channel::failed() {
  unsigned long code = ERR_peek_last_error();
  if (code != 0) {
    const char* reason = ERR_reason_error_string(code);
    problem_ = reason ? reason : "TLS error " + std::to_string(code);
  } else if (receiveError_ != 0) {
    return systemFailed(receiveError_);
  } else {
    problem_ = "the connection was closed";
  }
  ERR_clear_error();
  return State::Failed;
}

Channel::State Channel::handshake() {
  if (!ssl_) return State::Ok;
  ERR_clear_error();
  int result = SSL_do_handshake(ssl_.get());
  again_ = result != 1;
  if (result == 1) return State::Ok;
  return SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ ? State::Again : failed();
}

Channel::State Channel::read(char* to, size_t capacity, size_t& got) {
  got = 0;
  again_ = false;
  if (!ssl_) {
    ssize_t result;
    do result = ::recv(fd_, to, capacity, 0);
    while (result < 0 && errno == EINTR);
    drained_ = result < static_cast<ssize_t>(capacity);
    if (result > 0) {
      got = static_cast<size_t>(result);
      return State::Ok;
    }
    if (result == 0) return State::Closed;
    again_ = errno == EAGAIN || errno == EWOULDBLOCK;
    return again_ ? State::Again : systemFailed(errno);
  }
  ERR_clear_error();
  int result = SSL_read(ssl_.get(), to, static_cast<int>(std::min<size_t>(capacity, 1 << 30)));
  if (result > 0) {
    got = static_cast<size_t>(result);
    return State::Ok;
  }
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ:
      again_ = true;
      return State::Again;
    case SSL_ERROR_ZERO_RETURN:
      return State::Closed;
    default:
      return failed();
  }
}

bool Channel::mayHaveMore() const { return !again_ && (!drained_ || (ssl_ && SSL_has_pending(ssl_.get()))); }

Channel::State Channel::flush() {
  while (sent_ < cipher_.size()) {
    ssize_t result = ::send(fd_, cipher_.data() + sent_, cipher_.size() - sent_, MSG_NOSIGNAL);
    if (result < 0 && errno == EINTR) continue;
    if (result < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? State::Again : systemFailed(errno);
    sent_ += static_cast<size_t>(result);
  }
  sent_ = 0;
  cipher_.clear();
  if (cipher_.capacity() > kKeptBytes) cipher_ = std::string{};
  return State::Ok;
}

Channel::State Channel::send(OutQueue& queue) {
  if (!ssl_) {
    while (!queue.empty()) {
      std::array<iovec, kGatherPieces> list;
      msghdr message{};
      message.msg_iov = list.data();
      message.msg_iovlen = static_cast<size_t>(queue.gather(list.data(), kGatherPieces));
      ssize_t result = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
      if (result < 0 && errno == EINTR) continue;
      if (result < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? State::Again : systemFailed(errno);
      queue.consume(static_cast<size_t>(result));
    }
    return State::Ok;
  }
  ERR_clear_error();
  do {
    while (!queue.empty() && cipher_.size() - sent_ < kBatchBytes) {
      // Small pieces share a record; a large one is encrypted where it lies.
      std::string_view first = queue.front();
      std::array<char, kRecordBytes> gathered;
      size_t size;
      bool inPlace = first.size() >= kRecordBytes || first.size() == queue.size();
      if (inPlace) {
        size = std::min(first.size(), kRecordBytes);
      } else {
        size = queue.take(gathered.data(), kRecordBytes);
        first = {gathered.data(), size};
      }
      // The collecting BIO takes everything, so a record is always written whole.
      if (SSL_write(ssl_.get(), first.data(), static_cast<int>(size)) <= 0) return failed();
      if (inPlace) queue.consume(size);
    }
    if (State state = flush(); state != State::Ok) return state;
  } while (!queue.empty());
  return State::Ok;
}

void Channel::shutdown() {
  if (!ssl_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace stoker::net
