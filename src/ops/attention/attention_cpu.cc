#include <algorithm>

#include "device/cpu/cpu_device.h"
#include "ops/attention/attention_kernels.h"
#include "ops/isa.h"

namespace millrace {
namespace {

using RowsFn = void (*)(const AttentionParams&, const SpanView&, std::int64_t, int, int);

// Rows [first, last) of the step, whichever spans they belong to.
template <RowsFn kRows>
void run_tile(const AttentionParams& p, std::int64_t first, std::int64_t last, int kv_head) {
  const SpanView* spans = p.batch.spans;
  const SpanView* span =
      std::upper_bound(spans, spans + p.batch.span_count, first,
                       [](std::int64_t row, const SpanView& s) { return row < s.first_row; }) -
      1;
  for (; first < last; ++span) {
    const std::int64_t in_span = first - span->first_row;
    const std::int64_t count = std::min<std::int64_t>(last - first, span->count - in_span);
    if (count > 0) kRows(p, *span, in_span, static_cast<int>(count), kv_head);
    first += count;
  }
}

template <RowsFn kRows>
void run_attention(const AttentionParams& p, Stream& stream) {
  const int heads = p.cache.kv_heads;
  // A tile of several rows loads keys and values once for all of them; decodes share none.
  const std::int64_t tile =
      p.batch.max_count > 1 ? std::max(1, kAttentionMostQueries / (p.heads / heads)) : 1;
  const std::int64_t tiles = (p.batch.rows + tile - 1) / tile;
  std::int64_t work = 0;
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    const SpanView& span = p.batch.spans[s];
    work += std::int64_t{span.count} * (span.position + span.count) * p.heads * p.cache.head_dim;
  }
  const auto one = [&](std::int64_t task) {
    // A head's tiles in a row: they read the same keys. The last tile is the longest.
    const std::int64_t first = (tiles - 1 - task % tiles) * tile;
    run_tile<kRows>(p, first, std::min(first + tile, p.batch.rows), static_cast<int>(task / tiles));
  };
  if (work < kWorthSharing * 4) {
    for (std::int64_t task = 0; task < tiles * heads; ++task) one(task);
    return;
  }
  pool_of(stream).run(tiles * heads, one);
}

template <Isa kIsa>
std::string rejects(const Attention::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  if (!is_cache_type(key.kv)) return "the cache is neither F32, BF16 nor FP8";
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
     run_attention<avx512::attention_rows>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_attention<avx2::attention_rows>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_attention<baseline::attention_rows>},
  };
  return kSpecs;
}

}  // namespace millrace
