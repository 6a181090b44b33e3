// A stack of its own, and the change between it and the stack of the thread that uses it.
#pragma once

#include <cstddef>
#include <memory>

namespace millrace::emulated {

class Fiber {
 public:
  // `body(argument)` runs from the first resume() on and must never return. A fiber stays on one
  // thread of the host, and is destroyed while it is suspended: nothing on its stack is cleaned up.
  Fiber(void (*body)(void*), void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // From the thread's own stack: goes on where the fiber was suspended, returns when it is again.
  void resume();
  // From the fiber.
  void suspend();

 private:
  struct Parts;
  static void enter(unsigned low, unsigned high);

  std::unique_ptr<Parts> parts_;
};

}  // namespace millrace::emulated
