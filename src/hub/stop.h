// How the threads of a download learn that it is over.
#pragma once

#include <atomic>

namespace millrace::hub {

// Raised by the user's flag (set by a signal handler, say) or by a sibling thread that failed.
class Stop {
 public:
  // `user` may be null; it must outlive this.
  explicit Stop(const std::atomic<bool>* user = nullptr) : user_(user) {}

  void raise() { raised_.store(true, std::memory_order_relaxed); }
  bool by_user() const { return user_ != nullptr && user_->load(std::memory_order_relaxed); }
  bool raised() const { return raised_.load(std::memory_order_relaxed) || by_user(); }

 private:
  const std::atomic<bool>* user_;
  std::atomic<bool> raised_ = false;
};

}  // namespace millrace::hub
