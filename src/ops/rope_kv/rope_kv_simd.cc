// Plain loops over a head's 16 to 128 values: the compiler makes vectors of them for each
// instruction set. Sums run in one fixed order.
#include <cmath>

#include "ops/rope_kv/rope_kv_kernels.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

MILLRACE_INLINE void norm_and_rotate(float* __restrict head, int dim,
                                     const float* __restrict weight, float epsilon,
                                     const float* __restrict cosines,
                                     const float* __restrict sines) {
  // Four partial sums: short chains, and one order whatever the instruction set.
  float partial[4] = {};
  int i = 0;
  for (; i + 4 <= dim; i += 4)
    for (int j = 0; j < 4; ++j) partial[j] += head[i + j] * head[i + j];
  for (; i < dim; ++i) partial[0] += head[i] * head[i];
  const float total = (partial[0] + partial[1]) + (partial[2] + partial[3]);
  const float scale = 1.0f / std::sqrt(total / static_cast<float>(dim) + epsilon);
  const int half = dim / 2;
  for (int c = 0; c < half; ++c) {
    const float low = head[c] * scale * weight[c];
    const float high = head[c + half] * scale * weight[c + half];
    head[c] = low * cosines[c] - high * sines[c];
    head[c + half] = high * cosines[c] + low * sines[c];
  }
}

MILLRACE_INLINE void keep(const float* from, int dim, DType dtype, void* cache, std::int64_t at) {
  if (dtype == DType::F32) {
    __builtin_memcpy(static_cast<float*>(cache) + at, from,
                     static_cast<std::size_t>(dim) * sizeof(float));
    return;
  }
  if (dtype == DType::F8_E4M3) {
    F8E4M3* to = static_cast<F8E4M3*>(cache) + at;
    int c = 0;
    for (; c + kLanes <= dim; c += kLanes) narrow_fp8(to + c, load(from + c));
    if (c == dim) return;
    float rest[kLanes] = {};
    F8E4M3 narrowed[kLanes];
    __builtin_memcpy(rest, from + c, static_cast<std::size_t>(dim - c) * sizeof(float));
    narrow_fp8(narrowed, load(rest));
    __builtin_memcpy(to + c, narrowed, static_cast<std::size_t>(dim - c));
    return;
  }
  BF16* to = static_cast<BF16*>(cache) + at;
  int c = 0;
  for (; c + kLanes <= dim; c += kLanes) narrow_bf16(to + c, load(from + c));
  for (; c < dim; ++c) {
    const std::uint32_t bits = __builtin_bit_cast(std::uint32_t, from[c]);
    const std::uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
    to[c].bits = static_cast<std::uint16_t>(from[c] != from[c] ? (bits >> 16) | 0x40u : rounded);
  }
}

}  // namespace

void rope_kv_row(const RopeKvParams& p, const SpanView& span, std::int64_t i) {
  const int dim = p.cache.head_dim;
  const std::int64_t position = span.position + i;
  const float* cosines = p.cosines + position * (dim / 2);
  const float* sines = p.sines + position * (dim / 2);
  float* q = p.q.row<float>(span.first_row + i);
  for (int h = 0; h < p.heads; ++h)
    norm_and_rotate(q + h * dim, dim, p.q_norm, p.epsilon, cosines, sines);
  if (!span.writes_kv) return;
  float* k = p.k.row<float>(span.first_row + i);
  const float* v = p.v.row<float>(span.first_row + i);
  const std::int64_t block =
      p.batch.block_tables[span.table * p.batch.table_stride + position / p.cache.block_tokens];
  for (int h = 0; h < p.cache.kv_heads; ++h) {
    norm_and_rotate(k + h * dim, dim, p.k_norm, p.epsilon, cosines, sines);
    const std::int64_t at =
        ((block * p.cache.kv_heads + h) * p.cache.block_tokens + position % p.cache.block_tokens) *
        dim;
    keep(k + h * dim, dim, p.cache.dtype, p.cache.key, at);
    keep(v + h * dim, dim, p.cache.dtype, p.cache.value, at);
  }
}

}  // namespace millrace::MILLRACE_ISA
