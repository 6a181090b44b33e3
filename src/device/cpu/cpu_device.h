// The CPU as a device: memory is host memory, a stream is the thread pool, work is synchronous.
#pragma once

#include <memory>

#include "base/thread_pool.h"
#include "device/device.h"
#include "tensor/buffer.h"

namespace millrace {

class CpuStream final : public Stream {
 public:
  explicit CpuStream(ThreadPool& pool) : pool_(&pool) {}
  ThreadPool& pool() const { return *pool_; }
  // Memory for intermediate values of the kernel that is running, aligned to 64 bytes. Grows to
  // the most that was asked for, so that it is allocated in the first steps alone.
  std::byte* scratch(std::int64_t bytes) {
    if (scratch_.size() < static_cast<std::size_t>(bytes))
      scratch_ = Buffer(static_cast<std::size_t>(bytes));
    return scratch_.as<std::byte>();
  }

 private:
  ThreadPool* pool_;  // the device's; outlives the stream
  Buffer scratch_;
};

// Kernels registered for Backend::Cpu are only ever launched on a CpuStream.
inline ThreadPool& pool_of(Stream& stream) {
  return static_cast<CpuStream&>(stream).pool();
}
inline std::byte* scratch_of(Stream& stream, std::int64_t bytes) {
  return static_cast<CpuStream&>(stream).scratch(bytes);
}

// threads 0: one per core this process may use.
std::unique_ptr<Device> make_cpu_device(int threads = 0);

}  // namespace millrace
