// One row's query heads that share a KV head walk the cached blocks once, in order of position,
// with an online softmax (Milakov and Gimelshein 2018). A block's keys and values are loaded once
// for the whole group.
#include "ops/attention/attention_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr int kMostVectors = kAttentionMostHeadDim / kLanes;
constexpr float kNothingYet = -1e30f;  // below every score, and finite: no NaN from differences

template <DType kType>
MILLRACE_INLINE Floats cached(const void* base, std::int64_t at) {
  if constexpr (kType == DType::F32) return load(static_cast<const float*>(base) + at);
  return widen_bf16(static_cast<const BF16*>(base) + at);
}

struct Group {
  Floats q[kAttentionMostGroup][kMostVectors];  // scaled
  Floats sum[kAttentionMostGroup][kMostVectors];
  float largest[kAttentionMostGroup];
  float total[kAttentionMostGroup];
};

// Positions [first, last) of one block.
template <DType kType>
MILLRACE_INLINE void add_block(Group& state, int group, int vectors, const KvView& kv,
                               std::int64_t base, int first, int last) {
  float scores[kAttentionMostGroup][kAttentionBlock];
  for (int t = first; t < last; ++t) {
    Floats k[kMostVectors];
    const std::int64_t at = base + std::int64_t{t} * kv.head_dim;
    for (int v = 0; v < vectors; ++v) k[v] = cached<kType>(kv.key, at + v * kLanes);
    for (int g = 0; g < group; ++g) {
      Floats lanes = {};
      for (int v = 0; v < vectors; ++v) lanes = fma(state.q[g][v], k[v], lanes);
      scores[g][t] = sum(lanes);
    }
  }
  for (int g = 0; g < group; ++g) {
    float largest = state.largest[g];
    for (int t = first; t < last; ++t)
      largest = scores[g][t] > largest || scores[g][t] != scores[g][t] ? scores[g][t] : largest;
    const float shrink = exponential(splat(state.largest[g] - largest))[0];
    state.largest[g] = largest;
    float total = state.total[g] * shrink;
    // Lanes beyond the block's positions hold whatever was there; they are not read.
    for (int t = first / kLanes * kLanes; t < last; t += kLanes)
      store(&scores[g][t], exponential(load(&scores[g][t]) - largest));
    for (int t = first; t < last; ++t) total += scores[g][t];
    state.total[g] = total;
    for (int v = 0; v < vectors; ++v) state.sum[g][v] *= shrink;
  }
  for (int t = first; t < last; ++t) {
    Floats value[kMostVectors];
    const std::int64_t at = base + std::int64_t{t} * kv.head_dim;
    for (int v = 0; v < vectors; ++v) value[v] = cached<kType>(kv.value, at + v * kLanes);
    for (int g = 0; g < group; ++g) {
      const Floats weight = splat(scores[g][t]);
      for (int v = 0; v < vectors; ++v) state.sum[g][v] = fma(weight, value[v], state.sum[g][v]);
    }
  }
}

template <DType kType>
void attend(const AttentionParams& p, const SpanView& span, std::int64_t i, int kv_head) {
  const KvView& kv = p.cache;
  const int dim = kv.head_dim;
  const int vectors = dim / kLanes;
  const int group = p.heads / kv.kv_heads;
  const std::int64_t position = span.position + i;
  const std::int64_t from =
      p.window > 0 && position >= p.window ? position - p.window + 1 : std::int64_t{0};
  const float* q = p.q.row<float>(span.first_row + i) + kv_head * group * dim;
  float* out = p.out.row<float>(span.first_row + i) + kv_head * group * dim;
  const std::int32_t* blocks = p.batch.block_tables + span.table * p.batch.table_stride;

  Group state;
  for (int g = 0; g < group; ++g) {
    state.largest[g] = kNothingYet;
    state.total[g] = 0;
    for (int v = 0; v < vectors; ++v) {
      state.q[g][v] = load(q + g * dim + v * kLanes) * p.scale;
      state.sum[g][v] = Floats{};
    }
  }
  for (std::int64_t b = from / kAttentionBlock; b <= position / kAttentionBlock; ++b) {
    const std::int64_t start = b * kAttentionBlock;
    const int first = static_cast<int>(from > start ? from - start : 0);
    const int last = static_cast<int>(position - start < kAttentionBlock - 1 ? position - start + 1
                                                                             : kAttentionBlock);
    const std::int64_t base =
        (std::int64_t{blocks[b]} * kv.kv_heads + kv_head) * kAttentionBlock * dim;
    add_block<kType>(state, group, vectors, kv, base, first, last);
  }
  for (int g = 0; g < group; ++g)
    for (int v = 0; v < vectors; ++v)
      store(out + g * dim + v * kLanes, state.sum[g][v] / state.total[g]);
}

}  // namespace

void attention_row(const AttentionParams& p, const SpanView& span, std::int64_t i, int kv_head) {
  if (p.cache.dtype == DType::F32)
    attend<DType::F32>(p, span, i, kv_head);
  else
    attend<DType::BF16>(p, span, i, kv_head);
}

}  // namespace millrace::MILLRACE_ISA
