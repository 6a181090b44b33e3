#include "device/cpu/cpu_device.h"

#include <sys/mman.h>

#include <cstring>
#include <new>

namespace millrace {
namespace {

constexpr std::size_t kWorthHugePages = std::size_t{4} << 20;

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(int threads) : pool_(threads) {
    traits_.backend = Backend::Cpu;
    traits_.cpu = detect_cpu_features();
    traits_.name = traits_.cpu.model;
    traits_.parallelism = threads;
  }

  const DeviceTraits& traits() const override { return traits_; }
  bool uses_host_memory() const override { return true; }

  DeviceBuffer allocate(std::size_t bytes) override {
    if (bytes == 0) return {};
    void* data = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) throw std::bad_alloc();
    // Weights are read from end to end: fewer, larger pages. Small memory stays small.
    if (bytes >= kWorthHugePages) ::madvise(data, bytes, MADV_HUGEPAGE);
    return {this, data, bytes};
  }
  DeviceBuffer allocate_pinned(std::size_t bytes) override { return allocate(bytes); }

  std::unique_ptr<Stream> make_stream() override { return std::make_unique<CpuStream>(pool_); }

  void copy_in(void* device, const void* host, std::size_t bytes, Stream&) override {
    std::memcpy(device, host, bytes);
  }
  void copy_out(void* host, const void* device, std::size_t bytes, Stream&) override {
    std::memcpy(host, device, bytes);
  }
  void copy_within(void* to, const void* from, std::size_t bytes, Stream&) override {
    std::memcpy(to, from, bytes);
  }
  void synchronize(Stream&) override {}
  std::unique_ptr<Event> make_event() override { return std::make_unique<ImmediateEvent>(); }
  std::unique_ptr<Graph> record(Stream&, const std::function<void()>&) override { return nullptr; }

 private:
  void release(void* data, std::size_t bytes, MemoryKind) noexcept override {
    ::munmap(data, bytes);
  }

  ThreadPool pool_;
  DeviceTraits traits_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(int threads) {
  return std::make_unique<CpuDevice>(threads > 0 ? threads : available_cores());
}

}  // namespace millrace
