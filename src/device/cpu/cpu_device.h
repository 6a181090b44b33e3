// The CPU as a device: memory is host memory, a stream is the thread pool, work is synchronous.
#pragma once

#include <memory>

#include "base/thread_pool.h"
#include "device/device.h"

namespace millrace {

class CpuStream final : public Stream {
 public:
  explicit CpuStream(ThreadPool& pool) : pool_(&pool) {}
  ThreadPool& pool() const { return *pool_; }

 private:
  ThreadPool* pool_;  // the device's; outlives the stream
};

// Kernels registered for Backend::Cpu are only ever launched on a CpuStream.
inline ThreadPool& pool_of(Stream& stream) {
  return static_cast<CpuStream&>(stream).pool();
}

// threads 0: one per core this process may use.
std::unique_ptr<Device> make_cpu_device(int threads = 0);

}  // namespace millrace
