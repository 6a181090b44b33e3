#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "device/emulated/grid.h"

namespace millrace::emulated {
namespace {

TEST(EmulatedGrid, EveryThreadOfEveryBlockRunsOnce) {
  std::vector<int> runs(2 * 3 * 2 * 40 * 2 * 3, 0);
  run_grid({2, 3, 2}, {40, 2, 3}, 0, [&] {
    const ThreadState& s = current_thread();
    const unsigned block = s.block.x + 2 * (s.block.y + 3 * s.block.z);
    const unsigned thread = s.thread.x + 40 * (s.thread.y + 2 * s.thread.z);
    ++runs[block * 240 + thread];
  });
  for (const int count : runs) EXPECT_EQ(count, 1);
}

TEST(EmulatedGrid, ABarrierSeparatesWritesFromReads) {
  std::vector<int> values(1000), sums(1000);
  run_grid({1, 1, 1}, {1000, 1, 1}, 0, [&] {
    const unsigned t = current_thread().thread.x;
    for (int round = 1; round <= 5; ++round) {
      values[t] = round;
      sync_block();
      sums[t] += values[999 - t] + values[(t + 1) % 1000];
      sync_block();
    }
  });
  for (const int sum : sums) EXPECT_EQ(sum, 2 * (1 + 2 + 3 + 4 + 5));
}

TEST(EmulatedGrid, LanesExchangeWithinTheirWave) {
  std::vector<std::uint64_t> got(70);
  run_grid({1, 1, 1}, {70, 1, 1}, 0, [&] {
    const unsigned t = current_thread().thread.x;
    const unsigned lane = t % kWave;
    const unsigned lanes = t < 64 ? kWave : 6;  // the last wave is short
    std::uint64_t value = t;
    for (int round = 0; round < 7; ++round) {
      value = exchange_in_wave(value, static_cast<int>((lane + 1) % lanes));
      if (round % 3 == 1) sync_wave();
    }
    got[t] = value;
  });
  for (unsigned t = 0; t < 70; ++t) {
    const unsigned lanes = t < 64 ? kWave : 6;
    EXPECT_EQ(got[t], t / kWave * kWave + (t % kWave + 7) % lanes) << t;
  }
}

TEST(EmulatedGrid, WhoHasEndedIsNotWaitedFor) {
  std::vector<int> order;
  run_grid({1, 1, 1}, {64, 1, 1}, 0, [&] {
    const unsigned t = current_thread().thread.x;
    if (t % 2 == 1) return;
    sync_block();
    if (t >= 32) return;
    sync_wave();
    sync_block();
    order.push_back(static_cast<int>(t));
  });
  EXPECT_EQ(order.size(), 16u);
}

TEST(EmulatedGrid, SharedMemoryStartsPoisonedInEveryBlock) {
  int poisoned = 0;
  run_grid({3, 1, 1}, {2, 1, 1}, 20, [&] {
    auto* words = reinterpret_cast<std::uint32_t*>(current_thread().dynamic_shared);
    if (current_thread().thread.x == 0)
      for (int i = 0; i < 5; ++i) poisoned += words[i] == 0x7fc0dead;
    sync_block();
    words[current_thread().thread.x] = 1;
  });
  EXPECT_EQ(poisoned, 15);
}

// Some wait for the block, others for their wave: nobody can go on.
TEST(EmulatedGridDeath, ThreadsThatWaitForEachOther) {
  EXPECT_DEATH(run_grid({1, 1, 1}, {32, 1, 1}, 0,
                        [] {
                          if (current_thread().thread.x == 0)
                            sync_block();
                          else
                            sync_wave();
                        }),
               "wait for each other for ever");
}

TEST(EmulatedGridDeath, LanesAndBlocksOutOfRange) {
  EXPECT_DEATH(run_grid({1, 1, 1}, {1, 1, 1}, 0, [] { exchange_in_wave(0, kWave); }),
               "outside its wave");
  EXPECT_DEATH(run_grid({1, 1, 1}, {1025, 1, 1}, 0, [] {}), "1 to 1024 threads");
}

}  // namespace
}  // namespace millrace::emulated
