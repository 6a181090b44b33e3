// Freed device memory, kept for the next request of about its size: the runtimes' own free waits
// for the device. Thread-safe; weights are loaded by several threads.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>

namespace millrace::gpu {

class MemoryPool {
 public:
  struct Source {
    // Null when there is no more memory; throws on any other failure.
    std::function<void*(std::size_t bytes)> allocate;
    std::function<void(void* data)> free;
  };

  explicit MemoryPool(Source source) : source_(std::move(source)) {}
  ~MemoryPool() { trim(); }
  MemoryPool(const MemoryPool&) = delete;
  MemoryPool& operator=(const MemoryPool&) = delete;

  // At least `bytes`, of any content. Throws std::bad_alloc.
  void* take(std::size_t bytes);
  // What take() returned.
  void give(void* data) noexcept;

 private:
  void trim();

  Source source_;
  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::map<void*, std::size_t> sizes_;  // of what is in use
};

}  // namespace millrace::gpu
