#include "base/thread_pool.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <limits>
#include <string>

#include "base/check.h"

namespace millrace {
namespace {

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits until value differs from old: spinning for about 50 us, then asleep in the kernel.
void wait_for_change(const std::atomic<std::uint32_t>& value, std::uint32_t old) {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - start < std::chrono::microseconds(50)) {
    for (int i = 0; i < 32; ++i) {
      if (value.load(std::memory_order_acquire) != old) return;
      relax();
    }
  }
  value.wait(old, std::memory_order_acquire);
}

}  // namespace

ThreadPool::ThreadPool(int count) : size_(count) {
  check(count >= 1, "a thread pool needs at least one thread");
  for (int i = 1; i < count; ++i) threads_.emplace_back([this] { loop(); });
}

ThreadPool::~ThreadPool() {
  stop_ = true;
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::run_erased(std::int64_t count, Call call, const void* body) {
  if (threads_.empty() || count <= 1) {
    for (std::int64_t i = 0; i < count; ++i) call(body, i);
    return;
  }
  call_ = call;
  body_ = body;
  count_ = count;
  check(count <= std::numeric_limits<int>::max(), "a loop of more calls than can be counted");
  busy_.store(static_cast<int>(count), std::memory_order_relaxed);
  next_.store(count, std::memory_order_release);
  epoch_.fetch_add(1, std::memory_order_release);
  epoch_.notify_all();
  work();
  // Only calls that were begun are waited for: a worker that sleeps on holds nobody up. One that
  // the system has put aside within a call gets this core after a while.
  for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins) {
    if (spins < 20'000)
      relax();
    else
      std::this_thread::yield();
  }
}

// Whoever takes a call finds the loop it belongs to in call_, body_ and count_: they stay until the
// last call that was taken has ended.
void ThreadPool::work() {
  int finished = 0;
  std::int64_t left = next_.load(std::memory_order_relaxed);
  while (left > 0) {
    if (!next_.compare_exchange_weak(left, left - 1, std::memory_order_acquire,
                                     std::memory_order_relaxed))
      continue;
    call_(body_, count_ - left);
    ++finished;
    left = next_.load(std::memory_order_relaxed);
  }
  if (finished > 0) busy_.fetch_sub(finished, std::memory_order_release);
}

void ThreadPool::loop() {
  std::uint32_t seen = 0;
  for (;;) {
    wait_for_change(epoch_, seen);
    seen = epoch_.load(std::memory_order_acquire);
    if (stop_) return;
    work();
  }
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  int cores = 1;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) cores = CPU_COUNT(&set);
  // cgroup v2: "max 100000" or "150000 100000".
  std::ifstream quota_file("/sys/fs/cgroup/cpu.max");
  std::string quota;
  double period = 0;
  if (quota_file >> quota >> period && quota != "max" && period > 0) {
    const int allowed = static_cast<int>(std::strtod(quota.c_str(), nullptr) / period);
    cores = std::min(cores, std::max(1, allowed));
  }
  return std::max(1, cores);
}

}  // namespace millrace
