// Runs a GPU kernel's grid on the host: blocks one after another, the threads of a block as fibers
// that change over at barriers and wave operations. Blocks of a grid cannot wait for each other,
// unless they are run together (a cooperative launch).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace millrace::emulated {

constexpr int kWave = 32;  // unless a launch says otherwise
constexpr int kMostWave = 64;
constexpr std::size_t kWaveMemory = 2048;

struct Index {
  unsigned x, y, z;
};

struct ThreadState {
  Index thread, block, block_extent, grid_extent;
  std::byte* dynamic_shared;  // blocks that run together lie one behind the other
  std::size_t dynamic_shared_bytes;
};

// The thread of the grid that runs now on this thread of the host.
extern constinit thread_local const ThreadState* running_thread;
inline const ThreadState& current_thread() {
  return *running_thread;
}

// `wave` lanes execute together: 32 or 64. Aborts when the threads of a block can never all arrive
// at a barrier: a bug in a kernel.
void run_grid(Index grid, Index block, std::size_t shared_bytes,
              const std::function<void()>& kernel, int wave = kWave, bool together = false);

void sync_block();
void sync_wave();
// A barrier of `count` threads of the block, always the same.
void sync_some(int count);
// For threads that look again and again until others have got somewhere.
void let_others_go();
// kWaveMemory bytes that the lanes of the wave share.
void* wave_memory();
// Returns the `bits` that lane `lane` of the wave brought.
std::uint64_t exchange_in_wave(std::uint64_t bits, int lane);

}  // namespace millrace::emulated
