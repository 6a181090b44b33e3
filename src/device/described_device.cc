#include "device/described_device.h"

#include <sys/mman.h>

#include <new>
#include <vector>

namespace millrace {
namespace {

class DescribedDevice final : public Device {
 public:
  explicit DescribedDevice(DeviceTraits traits) : traits_(std::move(traits)) {}

  const DeviceTraits& traits() const override { return traits_; }
  bool uses_host_memory() const override { return traits_.backend == Backend::Cpu; }
  bool is_there() const override { return false; }

  DeviceBuffer allocate(std::size_t bytes) override {
    if (bytes == 0) return {};
    // Address space alone; a touch is a crash and not a wrong answer.
    void* data =
        ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (data == MAP_FAILED) throw std::bad_alloc();
    return {this, data, bytes};
  }
  DeviceBuffer allocate_pinned(std::size_t bytes) override { return allocate(bytes); }

  std::unique_ptr<Stream> make_stream() override { return std::make_unique<Stream>(); }
  void copy_in(void*, const void*, std::size_t, Stream&) override {}
  void copy_out(void*, const void*, std::size_t, Stream&) override {}
  void copy_within(void*, const void*, std::size_t, Stream&) override {}
  void synchronize(Stream&) override {}
  std::unique_ptr<Event> make_event() override { return std::make_unique<ImmediateEvent>(); }
  std::unique_ptr<Graph> record(Stream&, const std::function<void()>&) override { return nullptr; }

 private:
  void release(void* data, std::size_t bytes, MemoryKind) noexcept override {
    ::munmap(data, bytes);
  }

  DeviceTraits traits_;
};

std::string arch_name(const DeviceTraits& traits) {
  return (traits.backend == Backend::Hip ? "gfx" : "sm_") + std::to_string(traits.arch);
}

}  // namespace

std::span<const DeviceTraits> known_gpus() {
  constexpr std::int64_t kGb = 1'000'000'000;
  static const std::vector<DeviceTraits> kGpus = {
      {Backend::Hip, "AMD Instinct MI300X", 942, 304, 192 * kGb, {}},
      {Backend::Hip, "AMD Instinct MI325X", 942, 304, 256 * kGb, {}},
      {Backend::Hip, "AMD Instinct MI350X", 950, 256, 288 * kGb, {}},
      {Backend::Hip, "AMD Instinct MI355X", 950, 256, 288 * kGb, {}},
      {Backend::Cuda, "NVIDIA H100", 90, 132, 80 * kGb, {}},
      {Backend::Cuda, "NVIDIA H200", 90, 132, 141 * kGb, {}},
      {Backend::Cuda, "NVIDIA B200", 100, 148, 180 * kGb, {}},
      {Backend::Cuda, "NVIDIA B300", 103, 148, 288 * kGb, {}},
  };
  return kGpus;
}

Result<DeviceTraits> find_known_gpu(const std::string& backend, const std::string& arch) {
  std::string known;
  for (const DeviceTraits& gpu : known_gpus()) {
    if (!backend.empty() && to_string(gpu.backend) != backend) continue;
    if (arch.empty() || arch_name(gpu) == arch || gpu.name.ends_with(" " + arch)) return gpu;
    known += (known.empty() ? "" : ", ") + arch_name(gpu) + " (" + gpu.name + ")";
  }
  if (known.empty())
    return fail(ErrorCode::InvalidArgument, "--backend: found '{}', expected cuda or hip", backend);
  return fail(ErrorCode::InvalidArgument, "--arch: found '{}', expected one of {}", arch, known);
}

std::unique_ptr<Device> make_described_device(DeviceTraits traits) {
  return std::make_unique<DescribedDevice>(std::move(traits));
}

}  // namespace millrace
