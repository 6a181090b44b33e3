#include "base/thread_pool.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

namespace millrace {
namespace {

TEST(ThreadPool, CallsEveryIndexOnce) {
  for (const int threads : {1, 2, 4}) {
    ThreadPool pool(threads);
    for (const std::int64_t count : {0, 1, 3, 1000}) {
      std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
      pool.run(count, [&](std::int64_t i) { ++calls[static_cast<std::size_t>(i)]; });
      for (const auto& c : calls) EXPECT_EQ(c, 1);
    }
  }
}

TEST(ThreadPool, RangesCoverTheTotalInGrains) {
  ThreadPool pool(3);
  for (const std::int64_t total : {1, 7, 64, 1001}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(total));
    pool.run_ranges(total, 8, [&](std::int64_t first, std::int64_t last) {
      EXPECT_EQ(first % 8, 0);
      for (std::int64_t i = first; i < last; ++i) ++calls[static_cast<std::size_t>(i)];
    });
    for (const auto& c : calls) EXPECT_EQ(c, 1);
  }
}

TEST(ThreadPool, ManyShortLoopsAndPausesLoseNothing) {
  ThreadPool pool(2);
  std::atomic<std::int64_t> sum = 0;
  for (int loop = 0; loop < 5000; ++loop) {
    pool.run(4, [&](std::int64_t i) { sum += i; });
    // Long enough for workers to fall asleep once in a while.
    if (loop % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(sum, 5000 * 6);
}

// Workers come late, or not at all, to loops that end without them: no call is lost, none is made
// with what belongs to another loop.
TEST(ThreadPool, LateWorkersFindTheLoopThatRuns) {
  ThreadPool pool(16);
  for (std::int64_t loop = 1; loop <= 3000; ++loop) {
    const std::int64_t count = 2 + loop % 5;
    std::atomic<std::int64_t> sum = 0;
    std::atomic<bool> over = false;
    pool.run(count, [&](std::int64_t i) {
      EXPECT_FALSE(over);
      sum += loop * (i + 1);
    });
    over = true;
    ASSERT_EQ(sum, loop * count * (count + 1) / 2);
  }
}

}  // namespace
}  // namespace millrace
