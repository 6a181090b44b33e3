#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/rms_norm/rms_norm_kernels.h"

namespace millrace {
namespace {

template <void (*kRow)(const RmsNormParams&, std::int64_t)>
void run_rms_norm(const RmsNormParams& p, Stream& stream) {
  const auto rows = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) kRow(p, t);
  };
  // A few rows are done before another thread has woken up.
  if (p.rows * p.in.columns < kWorthSharing) return rows(0, p.rows);
  pool_of(stream).run_ranges(p.rows, 1, rows);
}

template <Isa kIsa>
std::string rejects(const RmsNorm::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<RmsNorm>> cpu_rms_norm_kernels() {
  static constexpr KernelSpec<RmsNorm> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_rms_norm<avx512::rms_norm_row>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_rms_norm<avx2::rms_norm_row>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_rms_norm<baseline::rms_norm_row>},
  };
  return kSpecs;
}

}  // namespace millrace
