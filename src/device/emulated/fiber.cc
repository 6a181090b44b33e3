// swapcontext() is a system call. It begins a fiber; from then on setjmp() changes stacks, forty
// times as fast. Sanitizers want swapcontext() always.
#undef _FORTIFY_SOURCE  // forbids longjmp() to another stack
#include "device/emulated/fiber.h"

#include <setjmp.h>
#include <ucontext.h>

#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace millrace::emulated {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;  // touched pages only are committed

}  // namespace

struct Fiber::Parts {
  void (*body)(void*);
  void* argument;
  std::unique_ptr<std::byte[]> stack;
  ucontext_t inside, outside;
#if defined(__SANITIZE_ADDRESS__)
  void* inside_fake_stack = nullptr;
  void* outside_fake_stack = nullptr;
  const void* outside_stack = nullptr;
  std::size_t outside_bytes = 0;
#elif defined(__SANITIZE_THREAD__)
  void* inside_fiber = nullptr;
  void* outside_fiber = nullptr;
#else
  jmp_buf inside_place, outside_place;
  bool begun = false;
#endif
};

Fiber::Fiber(void (*body)(void*), void* argument) : parts_(std::make_unique<Parts>()) {
  Parts& p = *parts_;
  p.body = body;
  p.argument = argument;
  p.stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
  ::getcontext(&p.inside);
  p.inside.uc_stack.ss_sp = p.stack.get();
  p.inside.uc_stack.ss_size = kStackBytes;
  p.inside.uc_link = nullptr;
  const auto self = reinterpret_cast<std::uintptr_t>(&p);
  ::makecontext(&p.inside, reinterpret_cast<void (*)()>(&Fiber::enter), 2,
                static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
#if defined(__SANITIZE_THREAD__)
  p.inside_fiber = __tsan_create_fiber(0);
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_THREAD__)
  __tsan_destroy_fiber(parts_->inside_fiber);
#endif
}

// makecontext() hands on integers alone.
void Fiber::enter(unsigned low, unsigned high) {
  const std::uintptr_t parts = (std::uintptr_t{high} << 32) | low;
  Parts& p = *reinterpret_cast<Parts*>(parts);  // NOLINT(performance-no-int-to-ptr)
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &p.outside_stack, &p.outside_bytes);
#endif
  p.body(p.argument);
}

#if defined(__SANITIZE_ADDRESS__)

void Fiber::resume() {
  Parts& p = *parts_;
  __sanitizer_start_switch_fiber(&p.outside_fake_stack, p.stack.get(), kStackBytes);
  ::swapcontext(&p.outside, &p.inside);
  __sanitizer_finish_switch_fiber(p.outside_fake_stack, nullptr, nullptr);
}

void Fiber::suspend() {
  Parts& p = *parts_;
  __sanitizer_start_switch_fiber(&p.inside_fake_stack, p.outside_stack, p.outside_bytes);
  ::swapcontext(&p.inside, &p.outside);
  __sanitizer_finish_switch_fiber(p.inside_fake_stack, &p.outside_stack, &p.outside_bytes);
}

#elif defined(__SANITIZE_THREAD__)

void Fiber::resume() {
  Parts& p = *parts_;
  p.outside_fiber = __tsan_get_current_fiber();
  __tsan_switch_to_fiber(p.inside_fiber, 0);
  ::swapcontext(&p.outside, &p.inside);
}

void Fiber::suspend() {
  Parts& p = *parts_;
  __tsan_switch_to_fiber(p.outside_fiber, 0);
  ::swapcontext(&p.inside, &p.outside);
}

#else

void Fiber::resume() {
  Parts& p = *parts_;
  if (_setjmp(p.outside_place) != 0) return;
  if (p.begun) _longjmp(p.inside_place, 1);
  p.begun = true;
  ::setcontext(&p.inside);
}

void Fiber::suspend() {
  Parts& p = *parts_;
  if (_setjmp(p.inside_place) == 0) _longjmp(p.outside_place, 1);
}

#endif

}  // namespace millrace::emulated
