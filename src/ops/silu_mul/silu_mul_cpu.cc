#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace {
namespace {

template <void (*kRow)(const SiluMulParams&, std::int64_t)>
void run_silu_mul(const SiluMulParams& p, Stream& stream) {
  const auto rows = [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) kRow(p, t);
  };
  // A few rows are done before another thread has woken up.
  if (p.rows * p.out.columns < kWorthSharing) return rows(0, p.rows);
  pool_of(stream).run_ranges(p.rows, 1, rows);
}

template <Isa kIsa>
std::string rejects(const SiluMul::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<SiluMul>> cpu_silu_mul_kernels() {
  static constexpr KernelSpec<SiluMul> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_silu_mul<avx512::silu_mul_row>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_silu_mul<avx2::silu_mul_row>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_silu_mul<baseline::silu_mul_row>},
  };
  return kSpecs;
}

}  // namespace millrace
