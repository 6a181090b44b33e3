#include "device/emulated/emulated_device.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "device/hip/hip_kernels.h"

namespace millrace {
namespace {

class EmulatedDevice final : public Device {
 public:
  EmulatedDevice(Backend backend, std::string name, int arch) {
    traits_.backend = backend;
    traits_.name = std::move(name);
    traits_.arch = arch;
    traits_.parallelism = 4;
    traits_.cpu = detect_cpu_features();
  }

  const DeviceTraits& traits() const override { return traits_; }
  bool uses_host_memory() const override { return false; }

  DeviceBuffer allocate(std::size_t bytes) override {
    if (bytes == 0) return {};
    const std::size_t rounded = (bytes + 255) / 256 * 256;
    void* data = std::aligned_alloc(256, rounded);
    if (data == nullptr) throw std::bad_alloc();
    std::memset(data, 0, rounded);
    return {this, data, bytes};
  }
  DeviceBuffer allocate_pinned(std::size_t bytes) override { return allocate(bytes); }

  std::unique_ptr<Stream> make_stream() override { return std::make_unique<Stream>(); }

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

  // Replays by running the work again: what it captured must stay valid, as for a real graph.
  std::unique_ptr<Graph> record(Stream&, const std::function<void()>& work) override {
    return std::make_unique<ReplayedWork>(work);
  }

 private:
  class ReplayedWork final : public Graph {
   public:
    explicit ReplayedWork(std::function<void()> work) : work_(std::move(work)) {}
    void launch(Stream&) override { work_(); }

   private:
    std::function<void()> work_;
  };

  void release(void* data, std::size_t, MemoryKind) noexcept override { std::free(data); }

  DeviceTraits traits_;
};

}  // namespace

std::unique_ptr<Device> make_emulated_device() {
  return std::make_unique<EmulatedDevice>(Backend::Emulated, "emulated GPU", 0);
}

Result<std::unique_ptr<Device>> make_emulated_amd_device() {
  if (!hip::code_images().empty())
    return fail(ErrorCode::Unavailable,
                "emulated-amd: this build's AMD kernels are machine code; expected a build without "
                "MILLRACE_HIP");
  return std::make_unique<EmulatedDevice>(Backend::Hip, "emulated AMD GPU", 942);
}

}  // namespace millrace
