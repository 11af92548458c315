// out_queue.h: bytes waiting to be sent on one connection, as a list of pieces that are shared with whoever stored
// them. Private to net/. Not thread-safe: a connection's lane owns it.
#pragma once

#include <sys/uio.h>

#include <deque>
#include <memory>
#include <string>
#include <string_view>

namespace stoker::net {

class OutQueue {
 public:
  /// Own bytes: heads, chunk framing.
  void push(std::string text);
  /// Shared bytes, never copied into the queue. `counted`: their size is reported by takeReleased() once they left.
  void push(std::shared_ptr<const std::string> bytes, bool counted = false);
  /// Bytes of the caller, who keeps them alive until the queue is empty.
  void pushBorrowed(std::string_view bytes);

  bool empty() const { return items_.empty(); }
  size_t size() const { return size_; }
  /// The unsent rest of the first piece; the queue is not empty.
  std::string_view front() const;
  /// The first pieces as a gather list of at most `capacity` entries; returns how many.
  int gather(iovec* list, int capacity) const;
  /// Copies up to `capacity` bytes from the front, over piece borders, and consumes them.
  size_t take(char* to, size_t capacity);
  void consume(size_t bytes);
  /// Counted bytes consumed since the last call (whole pieces only).
  size_t takeReleased();
  void clear();

 private:
  struct Item {
    std::string own;
    std::shared_ptr<const std::string> shared;
    std::string_view borrowed;
    bool counted = false;
    std::string_view view() const { return shared ? std::string_view(*shared) : borrowed.data() ? borrowed : own; }
  };
  std::deque<Item> items_;
  size_t offset_ = 0;  ///< sent bytes of the first item
  size_t size_ = 0;
  size_t released_ = 0;
};

}  // namespace stoker::net
