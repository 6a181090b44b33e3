#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/rope_kv/rope_kv_kernels.h"

namespace millrace {
namespace {

template <void (*kRow)(const RopeKvParams&, const SpanView&, std::int64_t)>
void run_rope_kv(const RopeKvParams& p, Stream& stream) {
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    const SpanView& span = p.batch.spans[s];
    const auto rows = [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) kRow(p, span, i);
    };
    if (span.count * p.q.columns < kWorthSharing)
      rows(0, span.count);
    else
      pool_of(stream).run_ranges(span.count, 1, rows);
  }
}

template <Isa kIsa>
std::string rejects(const RopeKv::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  if (!is_cache_type(key.kv)) return "the cache is neither F32, BF16 nor FP8";
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<RopeKv>> cpu_rope_kv_kernels() {
  static constexpr KernelSpec<RopeKv> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_rope_kv<avx512::rope_kv_row>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_rope_kv<avx2::rope_kv_row>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_rope_kv<baseline::rope_kv_row>},
  };
  return kSpecs;
}

}  // namespace millrace
