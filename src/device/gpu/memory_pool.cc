#include "device/gpu/memory_pool.h"

#include <new>

#include "base/check.h"

namespace millrace::gpu {
namespace {

std::size_t round_up(std::size_t bytes) {
  const std::size_t unit = bytes < (std::size_t{1} << 20) ? 512 : std::size_t{1} << 21;
  if (bytes > SIZE_MAX - unit) throw std::bad_alloc();
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

void* MemoryPool::take(std::size_t bytes) {
  const std::size_t rounded = round_up(bytes);
  {
    const std::lock_guard lock(mutex_);
    const auto it = free_.lower_bound(rounded);
    if (it != free_.end() && it->first <= rounded + rounded / 8) {
      void* data = it->second;
      sizes_.emplace(data, it->first);
      free_.erase(it);
      return data;
    }
  }
  void* data = source_.allocate(rounded);
  if (data == nullptr) {
    trim();
    data = source_.allocate(rounded);
  }
  if (data == nullptr) throw std::bad_alloc();
  const std::lock_guard lock(mutex_);
  sizes_.emplace(data, rounded);
  return data;
}

void MemoryPool::give(void* data) noexcept {
  const std::lock_guard lock(mutex_);
  const auto it = sizes_.find(data);
  check(it != sizes_.end(), "memory is given to a pool that did not hand it out");
  free_.emplace(it->second, data);
  sizes_.erase(it);
}

void MemoryPool::trim() {
  const std::lock_guard lock(mutex_);
  for (const auto& [bytes, data] : free_) source_.free(data);
  free_.clear();
}

}  // namespace millrace::gpu
