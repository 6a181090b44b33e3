// The fallback and oracle for any shape: a block per row and KV head, a wave per query head of the
// group. A lane takes a key at a time; keys are visited in tiles of kWave, in order of position.
#include "device/gpu/gpu_fp8.h"
#include "ops/attention/attention_gpu.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kMostGroup = 8;
constexpr int kMostDims = 8;  // of a lane: heads of up to 8 * kWave

template <typename T, typename Kv>
__global__ void __launch_bounds__(kMostGroup* gpu::kWave) attention(AttentionParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t row = blockIdx.x;
  const int kv_head = static_cast<int>(blockIdx.y);
  const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
  const int group = p.heads / p.cache.kv_heads;
  const int head = kv_head * group + static_cast<int>(threadIdx.x) / gpu::kWave;
  const int dim = p.cache.head_dim;
  const int tokens = p.cache.block_tokens;
  const SpanView span = p.batch.spans[p.batch.row_spans[row]];
  const std::int64_t position = span.position + (row - span.first_row);
  const std::int32_t* blocks = p.batch.block_tables + span.table * p.batch.table_stride;
  const T* q = static_cast<const T*>(p.q.data) + row * p.q.stride + head * dim;
  const auto offset_of = [&](std::int64_t at) {
    return ((blocks[at / tokens] * std::int64_t{p.cache.kv_heads} + kv_head) * tokens +
            at % tokens) *
           dim;
  };

  std::int64_t first = 0;
  if (p.window > 0 && position - p.window + 1 > 0) first = position - p.window + 1;
  float best = -INFINITY;
  float total = 0;
  float sums[kMostDims] = {};  // of dimensions lane, lane + kWave, ...
  for (std::int64_t tile = first / gpu::kWave * gpu::kWave; tile <= position; tile += gpu::kWave) {
    const std::int64_t at = tile + lane;
    float score = -INFINITY;
    if (at >= first && at <= position) {
      const Kv* key = static_cast<const Kv*>(p.cache.key) + offset_of(at);
      float dot = 0;
      for (int i = 0; i < dim; ++i) dot = fmaf(gpu::widen(q[i]), gpu::widen(key[i]), dot);
      score = dot * p.scale;
    }
    const float new_best = fmaxf(best, gpu::wave_max(score));
    const float rescale = expf(best - new_best);
    const float weight = expf(score - new_best);
    total = fmaf(total, rescale, gpu::wave_sum(weight));
    for (int j = 0; j < kMostDims; ++j) sums[j] *= rescale;
    for (int i = 0; i < gpu::kWave; ++i) {
      const std::int64_t other = tile + i;
      const float w = gpu::shuffle(weight, i);
      if (other < first || other > position) continue;
      const Kv* value = static_cast<const Kv*>(p.cache.value) + offset_of(other);
      for (int j = 0; j < kMostDims; ++j) {
        const int d = lane + j * gpu::kWave;
        if (d < dim) sums[j] = fmaf(w, gpu::widen(value[d]), sums[j]);
      }
    }
    best = new_best;
  }
  T* out = static_cast<T*>(p.out.data) + row * p.out.stride + head * dim;
  for (int j = 0; j < kMostDims; ++j) {
    const int d = lane + j * gpu::kWave;
    if (d < dim) out[d] = gpu::narrow<T>(sums[j] / total);
  }
}

template <typename T>
void run_typed(const AttentionParams& p, Stream& stream) {
  const auto group = static_cast<unsigned>(p.heads / p.cache.kv_heads);
  gpu::launch(
      p.cache.dtype == DType::BF16      ? attention<T, BF16>
      : p.cache.dtype == DType::F8_E4M3 ? attention<T, F8E4M3>
                                        : attention<T, float>,
      {.grid = {static_cast<unsigned>(p.batch.rows), static_cast<unsigned>(p.cache.kv_heads)},
       .block = {group * gpu::kWave},
       .overlaps = true},
      stream, p);
}

}  // namespace

void run_attention(const AttentionParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.q.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
