#include "ops/machine_ceilings.h"

#include <algorithm>
#include <chrono>
#include <tuple>
#include <utility>
#include <vector>

#include "base/check.h"
#include "device/cpu/cpu_device.h"
#include "ops/machine_ceilings_kernels.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

template <typename Work>
std::vector<double> seconds_of(int passes, const Work& work) {
  std::vector<double> seconds;
  for (int i = 0; i < passes; ++i) {
    const Clock::time_point start = Clock::now();
    work();
    seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  return seconds;
}

GpuCeilingKernels kernels_of(Backend backend) {
  if (backend == Backend::Cuda) return cuda::gpu_ceiling_kernels();
  if (backend == Backend::Hip) return hip::gpu_ceiling_kernels();
  return emulated::gpu_ceiling_kernels();
}

MachineCeilings measure_gpu(Device& device) {
  const GpuCeilingKernels kernels = kernels_of(device.traits().backend);
  check(kernels.read != nullptr, "a device without its backend's kernels");
  // Far beyond every cache; queued several times, since a wait costs as much as megabytes.
  const bool emulated = device.traits().backend == Backend::Emulated;
  const std::int64_t bytes = emulated ? std::int64_t{1} << 20 : std::int64_t{2} << 30;
  constexpr int kQueued = 8;
  const DeviceBuffer buffer = device.allocate(static_cast<std::size_t>(bytes));
  const std::unique_ptr<Stream> stream = device.make_stream();
  const auto best_and_median = [&](const auto& queue) {
    const std::vector<double> seconds = seconds_of(emulated ? 1 : 9, [&] {
      for (int i = 0; i < kQueued; ++i) queue();
      device.synchronize(*stream);
    });
    const double moved = static_cast<double>(bytes) * kQueued / 1e9;
    return std::pair(moved / seconds.front(), moved / seconds[seconds.size() / 2]);
  };
  MachineCeilings ceilings;
  std::tie(ceilings.read_gb_s, ceilings.read_gb_s_median) = best_and_median(
      [&] { kernels.read(buffer.as<void>(), bytes, buffer.as<std::uint32_t>(), *stream); });
  std::byte* upper = buffer.as<std::byte>() + bytes / 2;
  ceilings.copy_gb_s =
      best_and_median([&] { kernels.copy(buffer.as<void>(), upper, bytes / 2, *stream); }).first;
  return ceilings;
}

}  // namespace

MachineCeilings measure_ceilings(Device& device) {
  const DeviceTraits& traits = device.traits();
  if (traits.backend != Backend::Cpu) return measure_gpu(device);
#if defined(__x86_64__)
  const CeilingKernels kernels = traits.cpu.avx512 ? avx512::ceiling_kernels()
                                 : traits.cpu.avx2 ? avx2::ceiling_kernels()
                                                   : baseline::ceiling_kernels();
#else
  const CeilingKernels kernels = baseline::ceiling_kernels();
#endif
  const std::unique_ptr<Stream> stream = device.make_stream();
  ThreadPool& pool = pool_of(*stream);
  std::vector<float> sinks(64, 0.0f);  // results must be used, or the loops vanish

  constexpr std::size_t kBytes = std::size_t{256} << 20;  // far beyond every cache
  constexpr std::int64_t kPieces = 64;
  const DeviceBuffer buffer = device.allocate(kBytes);
  std::fill_n(buffer.as<float>(), kBytes / sizeof(float), 1.0f);
  const std::vector<double> reads = seconds_of(9, [&] {
    pool.run(kPieces, [&](std::int64_t i) {
      constexpr std::size_t kPiece = kBytes / sizeof(float) / kPieces;
      sinks[static_cast<std::size_t>(i)] +=
          kernels.read(buffer.as<float>() + static_cast<std::size_t>(i) * kPiece, kPiece);
    });
  });
  constexpr std::int64_t kRounds = 1'000'000;
  const std::vector<double> floats = seconds_of(9, [&] {
    pool.run(pool.size(), [&](std::int64_t i) {
      sinks[static_cast<std::size_t>(i % 64)] += kernels.multiply_add(kRounds);
    });
  });
  MachineCeilings ceilings;
  ceilings.read_gb_s = static_cast<double>(kBytes) / reads.front() / 1e9;
  ceilings.read_gb_s_median = static_cast<double>(kBytes) / reads[reads.size() / 2] / 1e9;
  ceilings.gflop_s =
      static_cast<double>(kRounds * kernels.flops_per_round * pool.size()) / floats.front() / 1e9;
  check(sinks[0] != -1.0f, "unreachable: sums of ones");
  return ceilings;
}

}  // namespace millrace
