#include "device/emulated/grid.h"

#include <ucontext.h>

#include <array>
#include <memory>
#include <vector>

#include "base/check.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif

namespace millrace::emulated {
namespace {

constexpr std::size_t kStackBytes = 256 * 1024;  // touched pages only are committed

// Threads that wait for each other: all of a block, or of a wave.
struct Group {
  int alive = 0;
  int arrived = 0;
  std::uint64_t generation = 0;  // barriers passed
  std::array<std::uint64_t, kWave> exchange = {};

  void pass_if_complete() {
    if (arrived == 0 || arrived < alive) return;
    arrived = 0;
    ++generation;
  }
};

struct Fiber {
  ucontext_t context;
  std::unique_ptr<std::byte[]> stack;
  ThreadState state;
  Group* wave = nullptr;
  bool ended = false;
  void* sanitizer = nullptr;
};

// One block at a time; kept from launch to launch so that stacks are made once.
class BlockRunner {
 public:
  void run(Index block, Index extent, Index grid, std::byte* shared,
           const std::function<void()>& kernel) {
    const unsigned count = extent.x * extent.y * extent.z;
    check(count > 0 && count <= 1024, "a block has 1 to 1024 threads");
    kernel_ = &kernel;
    block_ = {};
    block_.alive = static_cast<int>(count);
    waves_.assign((count + kWave - 1) / kWave, Group{});
    while (fibers_.size() < count) fibers_.push_back(std::make_unique<Fiber>());
    for (unsigned i = 0; i < count; ++i) {
      Fiber& fiber = *fibers_[i];
      fiber.state = {.thread = {i % extent.x, i / extent.x % extent.y, i / (extent.x * extent.y)},
                     .block = block,
                     .block_extent = extent,
                     .grid_extent = grid,
                     .dynamic_shared = shared};
      fiber.wave = &waves_[i / kWave];
      ++fiber.wave->alive;
      prepare(fiber);
    }
    // Every other pass goes backwards, so that a missing barrier does not stay unseen because
    // lower threads always come first.
    unsigned left = count;
    for (bool backwards = false; left > 0; backwards = !backwards) {
      const std::uint64_t before = progress_;
      for (unsigned i = 0; i < count; ++i) {
        Fiber& fiber = *fibers_[backwards ? count - 1 - i : i];
        if (fiber.ended) continue;
        resume(fiber);
        left -= fiber.ended;
      }
      check(progress_ != before, "the threads of an emulated block wait for each other for ever");
    }
  }

  const ThreadState& current() const { return current_->state; }

  void sync(Group& group) {
    ++progress_;
    const std::uint64_t generation = group.generation;
    ++group.arrived;
    group.pass_if_complete();
    while (group.generation == generation) yield();
  }
  void sync_block() { sync(block_); }
  void sync_wave() { sync(*current_->wave); }

  std::uint64_t exchange(std::uint64_t bits, int lane) {
    Group& wave = *current_->wave;
    check(lane >= 0 && lane < kWave, "a shuffle names a lane outside its wave");
    wave.exchange[lane_of_current()] = bits;
    sync(wave);
    const std::uint64_t other = wave.exchange[static_cast<std::size_t>(lane)];
    sync(wave);
    return other;
  }

 private:
  std::size_t lane_of_current() const {
    const ThreadState& s = current_->state;
    const unsigned flat =
        s.thread.x + s.block_extent.x * (s.thread.y + s.block_extent.y * s.thread.z);
    return flat % kWave;
  }

  static void enter(unsigned low, unsigned high) {
    auto* runner = reinterpret_cast<BlockRunner*>((std::uintptr_t{high} << 32) | low);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &runner->main_stack_, &runner->main_stack_bytes_);
#endif
    (*runner->kernel_)();
    runner->leave();
  }

  void prepare(Fiber& fiber) {
    if (!fiber.stack) fiber.stack = std::make_unique_for_overwrite<std::byte[]>(kStackBytes);
    fiber.ended = false;
    ::getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = kStackBytes;
    fiber.context.uc_link = nullptr;
    const auto self = reinterpret_cast<std::uintptr_t>(this);
    ::makecontext(&fiber.context, reinterpret_cast<void (*)()>(&BlockRunner::enter), 2,
                  static_cast<unsigned>(self), static_cast<unsigned>(self >> 32));
#if defined(__SANITIZE_THREAD__)
    fiber.sanitizer = __tsan_create_fiber(0);
#endif
  }

  void resume(Fiber& fiber) {
    current_ = &fiber;
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&main_fake_stack_, fiber.stack.get(), kStackBytes);
#elif defined(__SANITIZE_THREAD__)
    main_sanitizer_ = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(fiber.sanitizer, 0);
#endif
    ::swapcontext(&main_, &fiber.context);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(main_fake_stack_, nullptr, nullptr);
#elif defined(__SANITIZE_THREAD__)
    if (fiber.ended) __tsan_destroy_fiber(fiber.sanitizer);
#endif
  }

  void to_main(bool ends) {
    Fiber& fiber = *current_;
#if defined(__SANITIZE_ADDRESS__)
    void* fake_stack = nullptr;
    __sanitizer_start_switch_fiber(ends ? nullptr : &fake_stack, main_stack_, main_stack_bytes_);
#elif defined(__SANITIZE_THREAD__)
    __tsan_switch_to_fiber(main_sanitizer_, 0);
#endif
    static_cast<void>(ends);
    ::swapcontext(&fiber.context, &main_);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
#endif
  }

  void yield() {
    to_main(false);
  }

  // A thread that has ended is not waited for at barriers.
  void leave() {
    ++progress_;
    Fiber& fiber = *current_;
    fiber.ended = true;
    --block_.alive;
    --fiber.wave->alive;
    block_.pass_if_complete();
    fiber.wave->pass_if_complete();
    to_main(true);
  }

  ucontext_t main_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Group> waves_;
  Group block_;
  Fiber* current_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
  std::uint64_t progress_ = 0;  // arrivals and ends
#if defined(__SANITIZE_ADDRESS__)
  void* main_fake_stack_ = nullptr;
  const void* main_stack_ = nullptr;
  std::size_t main_stack_bytes_ = 0;
#elif defined(__SANITIZE_THREAD__)
  void* main_sanitizer_ = nullptr;
#endif
};

BlockRunner& runner() {
  static thread_local BlockRunner instance;
  return instance;
}

}  // namespace

const ThreadState& current_thread() {
  return runner().current();
}

void run_grid(Index grid, Index block, std::size_t shared_bytes,
              const std::function<void()>& kernel) {
  check(grid.x > 0 && grid.y > 0 && grid.z > 0, "a grid has at least one block");
  // 16-byte units, poisoned for every block: shared memory starts with anything.
  std::vector<std::array<std::uint64_t, 2>> shared((shared_bytes + 15) / 16);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        for (auto& unit : shared) unit.fill(0x7fc0dead7fc0deadULL);
        runner().run({x, y, z}, block, grid, reinterpret_cast<std::byte*>(shared.data()), kernel);
      }
}

void sync_block() {
  runner().sync_block();
}
void sync_wave() {
  runner().sync_wave();
}
std::uint64_t exchange_in_wave(std::uint64_t bits, int lane) {
  return runner().exchange(bits, lane);
}

}  // namespace millrace::emulated
