#include "device/emulated/grid.h"

#include <array>
#include <memory>
#include <vector>

#include "base/check.h"
#include "device/emulated/fiber.h"

namespace millrace::emulated {

constinit thread_local const ThreadState* running_thread = nullptr;

namespace {

// Threads that wait for each other: all of a block, or of a wave.
struct Group {
  int alive = 0;
  int arrived = 0;
  std::uint64_t generation = 0;  // barriers passed
  // What the lanes hand to each other, for this generation and the next: who has come to the next
  // one may write while others still read.
  std::array<std::array<std::uint64_t, kMostWave>, 2> exchange = {};

  void pass_if_complete() {
    if (arrived == 0 || arrived < alive) return;
    arrived = 0;
    ++generation;
  }
};

struct Thread {
  ThreadState state;  // first: running_thread points at it
  Group* wave = nullptr;
  Fiber* fiber = nullptr;  // that it began on
  // At a barrier until the group's generation is another.
  const Group* waits_for = nullptr;
  std::uint64_t generation = 0;
  bool ended = false;
};

// One block at a time; kept from launch to launch so that stacks are made once. A fiber runs one
// thread after another as long as they do not wait: a kernel without barriers needs a single one.
class BlockRunner {
 public:
  void run(Index block, Index extent, Index grid, std::byte* shared,
           const std::function<void()>& kernel, unsigned wave) {
    const unsigned count = extent.x * extent.y * extent.z;
    check(count > 0 && count <= 1024, "a block has 1 to 1024 threads");
    kernel_ = &kernel;
    block_ = {};
    block_.alive = static_cast<int>(count);
    wave_ = wave;
    waves_.assign((count + wave - 1) / wave, Group{});
    threads_.assign(count, Thread{});
    for (unsigned i = 0; i < count; ++i) {
      Thread& thread = threads_[i];
      thread.state = {.thread = {i % extent.x, i / extent.x % extent.y, i / (extent.x * extent.y)},
                      .block = block,
                      .block_extent = extent,
                      .grid_extent = grid,
                      .dynamic_shared = shared};
      thread.wave = &waves_[i / wave];
      ++thread.wave->alive;
    }
    next_ = 0;
    left_ = count;
    while (next_ < count) begin_threads();
    // Every other pass goes backwards, so that a missing barrier does not stay unseen because
    // lower threads always come first.
    for (bool backwards = true; left_ > 0; backwards = !backwards) {
      bool moved = false;
      for (unsigned i = 0; i < count; ++i) {
        Thread& thread = threads_[backwards ? count - 1 - i : i];
        if (thread.ended || thread.waits_for->generation == thread.generation) continue;
        moved = true;
        running_ = &thread;
        running_thread = &thread.state;
        thread.fiber->resume();
      }
      check(moved, "the threads of an emulated block wait for each other for ever");
    }
  }

  void sync_block() { sync(block_); }
  void sync_wave() { sync(*running().wave); }

  std::uint64_t exchange(std::uint64_t bits, int lane) {
    check(lane >= 0 && lane < static_cast<int>(wave_), "a shuffle names a lane outside its wave");
    Group& wave = *running().wave;
    auto& brought = wave.exchange[wave.generation % 2];
    brought[static_cast<std::size_t>(running_ - threads_.data()) % wave_] = bits;
    sync(wave);
    return brought[static_cast<std::size_t>(lane)];
  }

 private:
  Thread& running() const {
    check(running_ != nullptr, "this is for the threads of an emulated kernel");
    return *running_;
  }

  // A fiber that waits for work, given threads that have not begun; returns when one waits or all
  // have begun.
  void begin_threads() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>(
          [](void* self) { static_cast<BlockRunner*>(self)->work(); }, this));
      idle_.push_back(fibers_.back().get());
    }
    beginning_ = idle_.back();
    idle_.pop_back();
    beginning_->resume();
  }

  // Runs on each fiber.
  [[noreturn]] void work() {
    Fiber* self = beginning_;
    for (;;) {
      while (next_ < threads_.size()) {
        Thread& thread = threads_[next_++];
        thread.fiber = self;
        running_ = &thread;
        running_thread = &thread.state;
        (*kernel_)();
        leave();
      }
      idle_.push_back(self);
      self->suspend();
    }
  }

  void sync(Group& group) {
    Thread& thread = running();
    thread.waits_for = &group;
    thread.generation = group.generation;
    ++group.arrived;
    group.pass_if_complete();
    if (group.generation == thread.generation) thread.fiber->suspend();
  }

  // A thread that has ended is not waited for at barriers.
  void leave() {
    Thread& thread = running();
    thread.ended = true;
    --left_;
    --block_.alive;
    --thread.wave->alive;
    block_.pass_if_complete();
    thread.wave->pass_if_complete();
  }

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::vector<Thread> threads_;
  std::vector<Group> waves_;
  Group block_;
  unsigned wave_ = kWave;  // lanes
  std::size_t next_ = 0;   // thread to begin
  unsigned left_ = 0;
  Thread* running_ = nullptr;
  Fiber* beginning_ = nullptr;
  const std::function<void()>* kernel_ = nullptr;
};

BlockRunner& runner() {
  static thread_local BlockRunner instance;
  return instance;
}

}  // namespace

void run_grid(Index grid, Index block, std::size_t shared_bytes,
              const std::function<void()>& kernel, int wave) {
  check(wave == 32 || wave == kMostWave, "a wave has 32 or 64 lanes");
  check(grid.x > 0 && grid.y > 0 && grid.z > 0, "a grid has at least one block");
  // 16-byte units, poisoned for every block: shared memory starts with anything.
  std::vector<std::array<std::uint64_t, 2>> shared((shared_bytes + 15) / 16);
  for (unsigned z = 0; z < grid.z; ++z)
    for (unsigned y = 0; y < grid.y; ++y)
      for (unsigned x = 0; x < grid.x; ++x) {
        for (auto& unit : shared) unit.fill(0x7fc0dead7fc0deadULL);
        runner().run({x, y, z}, block, grid, reinterpret_cast<std::byte*>(shared.data()), kernel,
                     static_cast<unsigned>(wave));
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
