#include "net/out_queue.h"

#include <algorithm>
#include <cstring>

namespace stoker::net {

void OutQueue::push(std::string text) {
  if (text.empty()) return;
  size_ += text.size();
  items_.push_back({.own = std::move(text)});
}

void OutQueue::push(std::shared_ptr<const std::string> bytes, bool counted) {
  if (!bytes || bytes->empty()) return;
  size_ += bytes->size();
  items_.push_back({.shared = std::move(bytes), .counted = counted});
}

void OutQueue::pushBorrowed(std::string_view bytes) {
  if (bytes.empty()) return;
  size_ += bytes.size();
  items_.push_back({.borrowed = bytes});
}

std::string_view OutQueue::front() const { return items_.front().view().substr(offset_); }

int OutQueue::gather(iovec* list, int capacity) const {
  int count = 0;
  for (const Item& item : items_) {
    if (count == capacity) break;
    std::string_view bytes = count == 0 ? front() : item.view();
    list[count++] = {const_cast<char*>(bytes.data()), bytes.size()};
  }
  return count;
}

size_t OutQueue::take(char* to, size_t capacity) {
  size_t copied = 0;
  while (copied < capacity && !items_.empty()) {
    std::string_view bytes = front();
    size_t part = std::min(bytes.size(), capacity - copied);
    std::memcpy(to + copied, bytes.data(), part);
    copied += part;
    consume(part);
  }
  return copied;
}

void OutQueue::consume(size_t bytes) {
  size_ -= bytes;
  while (bytes > 0) {
    size_t left = items_.front().view().size() - offset_;
    if (bytes < left) {
      offset_ += bytes;
      return;
    }
    bytes -= left;
    offset_ = 0;
    if (items_.front().counted) released_ += items_.front().view().size();
    items_.pop_front();
  }
}

size_t OutQueue::takeReleased() { return std::exchange(released_, 0); }

void OutQueue::clear() {
  items_.clear();
  offset_ = size_ = released_ = 0;
}

}  // namespace stoker::net
