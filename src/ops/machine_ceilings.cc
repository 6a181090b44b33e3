#include "ops/machine_ceilings.h"

#include <algorithm>
#include <chrono>
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

}  // namespace

MachineCeilings measure_ceilings(Device& device) {
  const DeviceTraits& traits = device.traits();
  check(traits.backend == Backend::Cpu, "ceilings of another backend are measured by that backend");
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
