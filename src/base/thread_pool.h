// A fixed set of worker threads for data-parallel loops.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <type_traits>
#include <vector>

namespace millrace {

// The thread that calls run() works too, so ThreadPool(1) starts none. Workers spin for a short
// while after a loop (loops of one step follow each other within microseconds) and then sleep.
// run() may be called from one thread at a time; it neither allocates nor locks.
class ThreadPool {
 public:
  // count >= 1. See available_cores() for a default.
  explicit ThreadPool(int count);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const { return size_; }

  // Calls body(index) for every index in [0, count), each once, spread over the threads by a
  // shared counter so that a slow thread takes less. Returns when all are done.
  template <typename Body>
  void run(std::int64_t count, const Body& body) {
    run_erased(
        count, [](const void* b, std::int64_t i) { (*static_cast<const Body*>(b))(i); }, &body);
  }

  // Calls body(first, last) for consecutive ranges that cover [0, total), each a multiple of
  // `grain` long (but the last), about four ranges a thread.
  template <typename Body>
  void run_ranges(std::int64_t total, std::int64_t grain, const Body& body) {
    if (total <= 0) return;
    const std::int64_t pieces = std::int64_t{size_} * (size_ > 1 ? 4 : 1);
    std::int64_t step = (total + pieces - 1) / pieces;
    step = (step + grain - 1) / grain * grain;
    const std::int64_t count = (total + step - 1) / step;
    run(count, [&](std::int64_t i) {
      const std::int64_t first = i * step;
      body(first, first + step < total ? first + step : total);
    });
  }

 private:
  using Call = void (*)(const void* body, std::int64_t index);

  void run_erased(std::int64_t count, Call call, const void* body);
  void work();
  void loop();

  int size_;
  std::vector<std::thread> threads_;
  Call call_ = nullptr;
  const void* body_ = nullptr;
  std::int64_t count_ = 0;
  alignas(64) std::atomic<std::int64_t> next_ = 0;    // calls that nobody has taken yet
  alignas(64) std::atomic<int> busy_ = 0;             // calls that have not ended
  alignas(64) std::atomic<std::uint32_t> epoch_ = 0;  // grows by one for each loop
  std::atomic<bool> stop_ = false;
};

// Cores this process may use: the affinity mask, capped by the cgroup's CPU quota. At least 1.
int available_cores();

}  // namespace millrace
