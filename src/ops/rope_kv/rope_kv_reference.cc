// The oracle: plain loops, sums in double.
#include <cmath>

#include "ops/rope_kv/rope_kv_kernels.h"
#include "tensor/fp8.h"
#include "tensor/half.h"

namespace millrace {
namespace {

// Norm over one head, then rotation of the pairs (i, i + dim/2).
void norm_and_rotate(float* head, int dim, const float* weight, float epsilon, const float* cosines,
                     const float* sines) {
  double sum = 0;
  for (int i = 0; i < dim; ++i) sum += double{head[i]} * head[i];
  const double scale = 1.0 / std::sqrt(sum / dim + double{epsilon});
  const int half = dim / 2;
  for (int i = 0; i < half; ++i) {
    const double low = head[i] * scale * weight[i];
    const double high = head[i + half] * scale * weight[i + half];
    head[i] = static_cast<float>(low * cosines[i] - high * sines[i]);
    head[i + half] = static_cast<float>(high * cosines[i] + low * sines[i]);
  }
}

// Without -0: see device/gpu/gpu_fp8.h.
F8E4M3 cached_fp8(float x) {
  const std::uint8_t bits = fp8_from_float(x, Fp8::Ocp);
  return {bits == 0x80 ? std::uint8_t{0} : bits};
}

void store(const float* from, int dim, DType dtype, void* cache, std::int64_t at) {
  for (int i = 0; i < dim; ++i) {
    if (dtype == DType::F32)
      static_cast<float*>(cache)[at + i] = from[i];
    else if (dtype == DType::F8_E4M3)
      static_cast<F8E4M3*>(cache)[at + i] = cached_fp8(from[i]);
    else
      static_cast<BF16*>(cache)[at + i] = to_bf16(from[i]);
  }
}

void run_reference(const RopeKvParams& params, Stream&) {
  const RopeKvParams& p = params;
  const int dim = p.cache.head_dim;
  const int half = dim / 2;
  for (std::int64_t s = 0; s < p.batch.span_count; ++s) {
    const SpanView& span = p.batch.spans[s];
    const std::int32_t* blocks = p.batch.block_tables + span.table * p.batch.table_stride;
    for (std::int64_t i = 0; i < span.count; ++i) {
      const std::int64_t position = span.position + i;
      const float* cosines = p.cosines + position * half;
      const float* sines = p.sines + position * half;
      float* q = p.q.row<float>(span.first_row + i);
      float* k = p.k.row<float>(span.first_row + i);
      const float* v = p.v.row<float>(span.first_row + i);
      for (int h = 0; h < p.heads; ++h)
        norm_and_rotate(q + h * dim, dim, p.q_norm, p.epsilon, cosines, sines);
      if (!span.writes_kv) continue;
      const std::int64_t block = blocks[position / p.cache.block_tokens];
      const std::int64_t in_block = position % p.cache.block_tokens;
      for (int h = 0; h < p.cache.kv_heads; ++h) {
        norm_and_rotate(k + h * dim, dim, p.k_norm, p.epsilon, cosines, sines);
        const std::int64_t at =
            ((block * p.cache.kv_heads + h) * p.cache.block_tokens + in_block) * dim;
        store(k + h * dim, dim, p.cache.dtype, p.cache.key, at);
        store(v + h * dim, dim, p.cache.dtype, p.cache.value, at);
      }
    }
  }
}

std::string rejects(const RopeKv::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 || !is_cache_type(key.kv)
             ? "the reference computes with F32 activations"
             : "";
}

}  // namespace

std::span<const KernelSpec<RopeKv>> reference_rope_kv_kernels() {
  static constexpr KernelSpec<RopeKv> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
