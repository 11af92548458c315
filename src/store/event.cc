#include <array>
#include <mutex>

#include "store/store.h"

namespace stoker::store {

class EncodingSlots {
 public:
  std::mutex mutex;
  std::array<std::shared_ptr<const std::string>, 4> slots;
};

Event::Event() : slots_(std::make_unique<EncodingSlots>()) {}
Event::~Event() = default;

std::shared_ptr<const std::string> Event::encoded(int slot,
                                                  const std::function<std::string(const Event&)>& encode) const {
  // The lock is held while encoding: whoever comes second waits for the result instead of making it again.
  std::lock_guard lock(slots_->mutex);
  auto& kept = slots_->slots.at(slot);
  if (!kept) kept = std::make_shared<const std::string>(encode(*this));
  return kept;
}

void Event::dropEncodings() const {
  std::lock_guard lock(slots_->mutex);
  for (auto& kept : slots_->slots) kept.reset();
}

}  // namespace stoker::store
