#include "device/cpu/cpu_device.h"
#include "ops/attention/attention_kernels.h"
#include "ops/isa.h"

namespace millrace {
namespace {

template <void (*kRow)(const AttentionParams&, const SpanView&, std::int64_t, int)>
void run_attention(const AttentionParams& p, Stream& stream) {
  const std::int64_t heads = p.cache.kv_heads;
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    const SpanView& span = p.batch.spans[s];
    // Later rows see more positions, so rows are dealt one by one.
    const auto one = [&](std::int64_t i) { kRow(p, span, i / heads, static_cast<int>(i % heads)); };
    const std::int64_t work =
        span.count * (span.position + span.count) * p.heads * p.cache.head_dim;
    if (work < kWorthSharing * 4)
      for (std::int64_t i = 0; i < span.count * heads; ++i) one(i);
    else
      pool_of(stream).run(span.count * heads, one);
  }
}

template <Isa kIsa>
std::string rejects(const Attention::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  if (key.kv != DType::F32 && key.kv != DType::BF16) return "the cache is neither F32 nor BF16";
  if (key.head_dim % lanes_of(kIsa) != 0)
    return fmt::format("head_dim {} is no multiple of {} lanes", key.head_dim, lanes_of(kIsa));
  if (key.head_dim > kAttentionMostHeadDim || key.group > kAttentionMostGroup)
    return fmt::format("head_dim over {} or more than {} heads a KV head", kAttentionMostHeadDim,
                       kAttentionMostGroup);
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<Attention>> cpu_attention_kernels() {
  static constexpr KernelSpec<Attention> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_attention<avx512::attention_row>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_attention<avx2::attention_row>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_attention<baseline::attention_row>},
  };
  return kSpecs;
}

}  // namespace millrace
