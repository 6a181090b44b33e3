#include "device/emulated/grid.h"

#include <array>
#include <memory>
#include <vector>

#include "base/check.h"
#include "device/emulated/fiber.h"

namespace millrace::emulated {

constinit thread_local const ThreadState* running_thread = nullptr;

namespace {

// Threads that wait for each other: all of a block, or of a wave, or some of a block.
struct Group {
  int alive = 0;
  int arrived = 0;
  std::uint64_t generation = 0;  // barriers passed

  void pass_if_complete() {
    if (arrived == 0 || arrived < alive) return;
    arrived = 0;
    ++generation;
  }
};

struct Wave : Group {
  // What the lanes hand to each other, for this generation and the next: who has come to the next
  // one may write while others still read.
  std::array<std::array<std::uint64_t, kMostWave>, 2> exchange = {};
  alignas(16) std::array<std::byte, kWaveMemory> memory = {};
};

struct Thread {
  ThreadState state;  // first: running_thread points at it
  Group* block = nullptr;
  Group* some = nullptr;  // of the block
  Wave* wave = nullptr;
  unsigned lane = 0;
  Fiber* fiber = nullptr;  // that it began on
  // At a barrier until the group's generation is another; null where it only let others go first.
  const Group* waits_for = nullptr;
  std::uint64_t generation = 0;
  bool ended = false;

  bool can_go_on() const {
    return !ended && (waits_for == nullptr || waits_for->generation != generation);
  }
};

// A block, or several at once; kept from launch to launch so that stacks are made once. A fiber
// runs one thread after another as long as they do not wait: a kernel without barriers needs a
// single one.
class BlockRunner {
 public:
  // Blocks [first, first + count) of the grid, in the order of x, y, z; each has `shared_bytes`
  // from `shared` on.
  void run(unsigned first, unsigned count, Index extent, Index grid, std::byte* shared,
           std::size_t shared_bytes, const std::function<void()>& kernel, unsigned wave) {
    const unsigned in_block = extent.x * extent.y * extent.z;
    check(in_block > 0 && in_block <= 1024, "a block has 1 to 1024 threads");
    const unsigned waves_in_block = (in_block + wave - 1) / wave;
    kernel_ = &kernel;
    blocks_.assign(count, Group{});
    some_.assign(count, Group{});
    wave_ = wave;
    waves_.assign(std::size_t{count} * waves_in_block, Wave{});
    threads_.assign(std::size_t{count} * in_block, Thread{});
    for (std::size_t t = 0; t < threads_.size(); ++t) {
      Thread& thread = threads_[t];
      const auto block = static_cast<unsigned>(t / in_block);
      const auto i = static_cast<unsigned>(t % in_block);
      const unsigned at = first + block;
      thread.state = {.thread = {i % extent.x, i / extent.x % extent.y, i / (extent.x * extent.y)},
                      .block = {at % grid.x, at / grid.x % grid.y, at / (grid.x * grid.y)},
                      .block_extent = extent,
                      .grid_extent = grid,
                      .dynamic_shared = shared + block * shared_bytes,
                      .dynamic_shared_bytes = shared_bytes};
      thread.block = &blocks_[block];
      thread.some = &some_[block];
      thread.wave = &waves_[block * waves_in_block + i / wave];
      thread.lane = i % wave;
      ++thread.block->alive;
      ++thread.wave->alive;
    }
    next_ = 0;
    left_ = threads_.size();
    while (next_ < threads_.size()) begin_threads();
    // Every other pass goes backwards, so that a missing barrier does not stay unseen because
    // lower threads always come first.
    for (bool backwards = true; left_ > 0; backwards = !backwards) {
      bool moved = false;
      for (std::size_t i = 0; i < threads_.size(); ++i) {
        Thread& thread = threads_[backwards ? threads_.size() - 1 - i : i];
        if (!thread.can_go_on()) continue;
        moved = true;
        running_ = &thread;
        running_thread = &thread.state;
        thread.fiber->resume();
      }
      check(moved, "the threads of an emulated block wait for each other for ever");
    }
  }

  void sync_block() { sync(*running().block); }
  void sync_wave() { sync(*running().wave); }
  void sync_some(int count) {
    Group& group = *running().some;
    group.alive = count;
    sync(group);
  }
  void* wave_memory() { return running().wave->memory.data(); }

  void let_others_go() {
    Thread& thread = running();
    thread.waits_for = nullptr;
    thread.fiber->suspend();
  }

  std::uint64_t exchange(std::uint64_t bits, int lane) {
    check(lane >= 0 && lane < static_cast<int>(wave_), "a shuffle names a lane outside its wave");
    Wave& wave = *running().wave;
    auto& brought = wave.exchange[wave.generation % 2];
    brought[running_->lane] = bits;
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
    --thread.block->alive;
    --thread.wave->alive;
    thread.block->pass_if_complete();
    thread.wave->pass_if_complete();
  }

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  std::vector<Thread> threads_;
  std::vector<Group> blocks_, some_;
  std::vector<Wave> waves_;
  unsigned wave_ = kWave;  // lanes
  std::size_t next_ = 0;   // thread to begin
  std::size_t left_ = 0;
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
              const std::function<void()>& kernel, int wave, bool together) {
  check(wave == 32 || wave == kMostWave, "a wave has 32 or 64 lanes");
  check(grid.x > 0 && grid.y > 0 && grid.z > 0, "a grid has at least one block");
  const unsigned blocks = grid.x * grid.y * grid.z;
  const unsigned at_once = together ? blocks : 1;
  // 16-byte units, poisoned for every block: shared memory starts with anything.
  const std::size_t units = (shared_bytes + 15) / 16;
  std::vector<std::array<std::uint64_t, 2>> shared(units * at_once);
  for (unsigned first = 0; first < blocks; first += at_once) {
    for (auto& unit : shared) unit.fill(0x7fc0dead7fc0deadULL);
    runner().run(first, at_once, block, grid, reinterpret_cast<std::byte*>(shared.data()),
                 units * 16, kernel, static_cast<unsigned>(wave));
  }
}

void sync_block() {
  runner().sync_block();
}
void sync_wave() {
  runner().sync_wave();
}
void sync_some(int count) {
  runner().sync_some(count);
}
void* wave_memory() {
  return runner().wave_memory();
}
void let_others_go() {
  runner().let_others_go();
}
std::uint64_t exchange_in_wave(std::uint64_t bits, int lane) {
  return runner().exchange(bits, lane);
}

}  // namespace millrace::emulated
