#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/short_conv/short_conv_kernels.h"

namespace millrace {
namespace {

template <void (*kChannels)(const ShortConvParams&, std::int64_t, std::int64_t)>
void run_short_conv(const ShortConvParams& p, Stream& stream) {
  const std::int64_t channels = p.out.columns;
  if (p.batch.rows * channels < kWorthSharing) return kChannels(p, 0, channels);
  // Whole cache lines of channels, so that threads never write to the same one.
  pool_of(stream).run_ranges(
      channels, 64, [&](std::int64_t first, std::int64_t last) { kChannels(p, first, last); });
}

template <Isa kIsa>
std::string rejects(const ShortConv::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  if (key.taps > 64) return "more than 64 taps";
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<ShortConv>> cpu_short_conv_kernels() {
  static constexpr KernelSpec<ShortConv> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_short_conv<avx512::short_conv_channels>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_short_conv<avx2::short_conv_channels>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_short_conv<baseline::short_conv_channels>},
  };
  return kSpecs;
}

}  // namespace millrace
