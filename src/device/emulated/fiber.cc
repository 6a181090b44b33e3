// swapcontext() is a system call, 0.5 us; an emulated wave changes stacks for every shuffle of
// every lane. On x86-64 a few instructions do it, elsewhere setjmp() (swapcontext() only begins a
// fiber). Sanitizers follow swapcontext() alone.
#undef _FORTIFY_SOURCE  // forbids longjmp() to another stack
#include "device/emulated/fiber.h"

#include <setjmp.h>
#include <ucontext.h>

#include <algorithm>
#include <cstdint>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__x86_64__)
#define MILLRACE_STACK_SWITCH 1

// Leaves what a called function must preserve on this stack, whose pointer goes to *from, and takes
// it from the other. A new stack begins with a call of r13(r12).
extern "C" void millrace_switch_stack(void** from, void* to);
extern "C" void millrace_begin_stack();
asm(R"(
  .text
  .p2align 4
  .type millrace_switch_stack, @function
millrace_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size millrace_switch_stack, . - millrace_switch_stack
  .p2align 4
  .type millrace_begin_stack, @function
millrace_begin_stack:
  movq %r12, %rdi
  callq *%r13
  ud2
  .size millrace_begin_stack, . - millrace_begin_stack
)");
#endif

namespace millrace::emulated {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;  // touched pages only are committed

}  // namespace

struct Fiber::Parts {
  std::unique_ptr<std::byte[]> stack;
#if !defined(MILLRACE_STACK_SWITCH)
  void (*body)(void*);
  void* argument;
  ucontext_t inside, outside;
#endif
#if defined(__SANITIZE_ADDRESS__)
  void* inside_fake_stack = nullptr;
  void* outside_fake_stack = nullptr;
  const void* outside_stack = nullptr;
  std::size_t outside_bytes = 0;
#elif defined(__SANITIZE_THREAD__)
  void* inside_fiber = nullptr;
  void* outside_fiber = nullptr;
#elif defined(MILLRACE_STACK_SWITCH)
  void* inside_pointer = nullptr;
  void* outside_pointer = nullptr;
#else
  jmp_buf inside_place, outside_place;
  bool begun = false;
#endif
};

#if defined(MILLRACE_STACK_SWITCH)

Fiber::Fiber(void (*body)(void*), void* argument) : parts_(std::make_unique<Parts>()) {
  Parts& p = *parts_;
  p.stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
  std::byte* end = p.stack.get() + kStackBytes;
  end -= reinterpret_cast<std::uintptr_t>(end) % 16;
  // As millrace_switch_stack() leaves a stack: r15, r14, r13, r12, rbx, rbp, where to return to;
  // then aligned to 16 bytes, as a call wants it.
  auto* top = reinterpret_cast<std::uintptr_t*>(end) - 9;
  std::fill_n(top, 9, std::uintptr_t{0});
  top[2] = reinterpret_cast<std::uintptr_t>(body);
  top[3] = reinterpret_cast<std::uintptr_t>(argument);
  top[6] = reinterpret_cast<std::uintptr_t>(&millrace_begin_stack);
  p.inside_pointer = top;
}

Fiber::~Fiber() = default;

void Fiber::resume() {
  millrace_switch_stack(&parts_->outside_pointer, parts_->inside_pointer);
}

void Fiber::suspend() {
  millrace_switch_stack(&parts_->inside_pointer, parts_->outside_pointer);
}

#else

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

#endif  // MILLRACE_STACK_SWITCH

}  // namespace millrace::emulated
