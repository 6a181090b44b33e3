// What a backend is: where memory lives, how work is queued, what the hardware offers.
// The model, the caches and the engine know only this; cpu/, cuda/ and hip/ implement it.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "device/cpu/cpu_features.h"

namespace millrace {

enum class Backend { Cpu, Cuda, Hip };
std::string_view to_string(Backend backend);

// Everything kernel selection may depend on; plain data, so that a choice can be printed for a
// machine that is not here.
struct DeviceTraits {
  Backend backend = Backend::Cpu;
  std::string name;     // "AMD EPYC 9354", "NVIDIA H200"
  int arch = 0;         // 90 for sm_90, 942 for gfx942, 0 on a CPU
  int parallelism = 1;  // threads, or multiprocessors
  CpuFeatures cpu;      // of the host
};

// A queue of work in order. On the CPU work is done when launch() returns; elsewhere it is not.
class Stream {
 public:
  virtual ~Stream() = default;
};

class Device;

// Owns device memory; freed (to the device's pool) on destruction. The device must outlive it.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device* device, void* data, std::size_t bytes)
      : device_(device), data_(data), bytes_(bytes) {}
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  ~DeviceBuffer();

  std::size_t bytes() const { return bytes_; }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void swap(DeviceBuffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
  }

  Device* device_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceTraits& traits() const = 0;

  // Zero-filled memory, 256-byte aligned at least. Throws std::bad_alloc. Where the host can see
  // device memory, pages are committed only when touched.
  virtual DeviceBuffer allocate(std::size_t bytes) = 0;

  // True where kernels read host memory at full speed: weights are then used where they are
  // mapped, without a copy.
  virtual bool uses_host_memory() const = 0;

  virtual std::unique_ptr<Stream> make_stream() = 0;

  // Ordered on the stream. Host memory must stay as it is until the stream has passed the copy.
  virtual void copy_in(void* device, const void* host, std::size_t bytes, Stream& stream) = 0;
  virtual void copy_out(void* host, const void* device, std::size_t bytes, Stream& stream) = 0;
  // Waits until all work queued so far is done. Never called inside a step.
  virtual void synchronize(Stream& stream) = 0;

 private:
  friend class DeviceBuffer;
  virtual void release(void* data, std::size_t bytes) noexcept = 0;
};

}  // namespace millrace
