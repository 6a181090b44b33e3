// What a backend is: where memory lives, how work is queued, what the hardware offers.
// The model, the caches and the engine know only this; cpu/, cuda/ and hip/ implement it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "device/cpu/cpu_features.h"

namespace millrace {

// Emulated: the GPU kernels, run on the host; see emulated/emulated_device.h.
enum class Backend { Cpu, Cuda, Hip, Emulated };
std::string_view to_string(Backend backend);

// Everything kernel selection may depend on; plain data, so that a choice can be printed for a
// machine that is not here.
struct DeviceTraits {
  Backend backend = Backend::Cpu;
  std::string name;               // "AMD EPYC 9354", "NVIDIA H200"
  int arch = 0;                   // 90 for sm_90, 942 for gfx942, 0 on a CPU
  int parallelism = 1;            // threads, or multiprocessors
  std::int64_t memory_bytes = 0;  // of a GPU
  CpuFeatures cpu;                // of the host
};

// The machine failed us: no device, no memory on it, an error it reported. Thrown; the edge turns
// it into one line.
class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A queue of work in order. On the CPU work is done when launch() returns; elsewhere it is not.
class Stream {
 public:
  virtual ~Stream() = default;
};

// A point in a stream's work.
class Event {
 public:
  virtual ~Event() = default;
  // The work queued on the stream so far.
  virtual void record(Stream& stream) = 0;
  // Has it been done? True before the first record().
  virtual bool done() const = 0;
  // Blocks the calling thread until it has.
  virtual void wait() const = 0;
};

// One of which the time is kept.
class TimedEvent : public Event {
 public:
  // From `earlier`, of the same device, to this one. Both have been done.
  virtual double seconds_after(const TimedEvent& earlier) const = 0;
};

// Work that was recorded once and can be queued again as a whole.
class Graph {
 public:
  virtual ~Graph() = default;
  virtual void launch(Stream& stream) = 0;
};

class Device;

enum class MemoryKind {
  Device,  // where kernels work
  Pinned,  // of the host, in reach of the device: copies to and from it run beside kernels
};

// Owns memory of a device; freed (to the device's pool) on destruction. The device must outlive it.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  DeviceBuffer(Device* device, void* data, std::size_t bytes, MemoryKind kind = MemoryKind::Device)
      : device_(device), data_(data), bytes_(bytes), kind_(kind) {}
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
    std::swap(kind_, other.kind_);
  }

  Device* device_ = nullptr;
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  MemoryKind kind_ = MemoryKind::Device;
};

class Device {
 public:
  virtual ~Device() = default;

  virtual const DeviceTraits& traits() const = 0;

  // False for one that is only described, for asking what would be done with it: its memory can be
  // named but not touched, what is copied to it goes nowhere.
  virtual bool is_there() const { return true; }

  // Zero-filled memory, 256-byte aligned at least. Throws std::bad_alloc. Where the host can see
  // device memory, pages are committed only when touched.
  virtual DeviceBuffer allocate(std::size_t bytes) = 0;

  // Zero-filled host memory for staging: page-locked where that makes a difference.
  virtual DeviceBuffer allocate_pinned(std::size_t bytes) = 0;

  // True where kernels read host memory at full speed: weights are then used where they are
  // mapped, without a copy.
  virtual bool uses_host_memory() const = 0;

  // To be called once by every thread that queues work on the device's streams.
  virtual void use_on_this_thread() {}

  virtual std::unique_ptr<Stream> make_stream() = 0;

  // Ordered on the stream. Host memory must stay as it is until the stream has passed the copy.
  virtual void copy_in(void* device, const void* host, std::size_t bytes, Stream& stream) = 0;
  virtual void copy_out(void* host, const void* device, std::size_t bytes, Stream& stream) = 0;
  // From one place of the device's memory to another; they do not overlap.
  virtual void copy_within(void* to, const void* from, std::size_t bytes, Stream& stream) = 0;
  // Waits until all work queued so far is done. Never called inside a step.
  virtual void synchronize(Stream& stream) = 0;

  virtual std::unique_ptr<Event> make_event() = 0;
  // Null where work is done when the call that queues it returns: the host can time that.
  virtual std::unique_ptr<TimedEvent> make_timed_event() { return nullptr; }

  // What `work` queues on the stream, recorded instead of run; null where the device cannot.
  virtual std::unique_ptr<Graph> record(Stream& stream, const std::function<void()>& work) = 0;

 private:
  friend class DeviceBuffer;
  virtual void release(void* data, std::size_t bytes, MemoryKind kind) noexcept = 0;
};

// For devices whose work is done when the call that queues it returns.
class ImmediateEvent final : public Event {
 public:
  void record(Stream&) override {}
  bool done() const override { return true; }
  void wait() const override {}
};

}  // namespace millrace
