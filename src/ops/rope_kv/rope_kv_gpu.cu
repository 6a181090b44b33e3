// A wave takes one head of one row: queries are rotated in place, keys and values go to the cache.
#include "ops/gpu_support.h"
#include "ops/rope_kv/rope_kv_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kWaves = 4;
constexpr int kThreads = kWaves * gpu::kWave;
constexpr int kMostPairs = 4;  // of a lane: heads of up to 2 * 4 * kWave

// Norm and rotation of one head by one wave; a lane keeps the pairs (i, i + dim/2) with
// i % kWave == lane and hands them to store(i, low, high).
template <typename T, typename Store>
__device__ void rotate(const T* head, int dim, const float* weight, float epsilon,
                       const float* cosines, const float* sines, const Store& store) {
  const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
  const int half = dim / 2;
  float low[kMostPairs];
  float high[kMostPairs];
  float squares = 0;
  for (int j = 0; j < kMostPairs; ++j) {
    const int i = lane + j * gpu::kWave;
    low[j] = i < half ? gpu::widen(head[i]) : 0.0f;
    high[j] = i < half ? gpu::widen(head[i + half]) : 0.0f;
    squares += low[j] * low[j] + high[j] * high[j];
  }
  const float scale = 1.0f / sqrtf(gpu::wave_sum(squares) / static_cast<float>(dim) + epsilon);
  for (int j = 0; j < kMostPairs; ++j) {
    const int i = lane + j * gpu::kWave;
    if (i >= half) break;
    const float a = low[j] * scale * weight[i];
    const float b = high[j] * scale * weight[i + half];
    store(i, a * cosines[i] - b * sines[i], b * cosines[i] + a * sines[i]);
  }
}

template <typename T, typename Kv>
__global__ void __launch_bounds__(kThreads) rope_kv(RopeKvParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t row = blockIdx.x;
  const SpanView span = p.batch.spans[p.batch.row_spans[row]];
  const std::int64_t position = span.position + (row - span.first_row);
  const int dim = p.cache.head_dim;
  const int half = dim / 2;
  const float* cosines = p.cosines + position * half;
  const float* sines = p.sines + position * half;
  T* q = static_cast<T*>(p.q.data) + row * p.q.stride;
  const T* k = static_cast<const T*>(p.k.data) + row * p.k.stride;
  const T* v = static_cast<const T*>(p.v.data) + row * p.v.stride;
  const std::int64_t block =
      p.batch.block_tables[span.table * p.batch.table_stride + position / p.cache.block_tokens];
  const int heads = p.heads + (span.writes_kv ? p.cache.kv_heads : 0);
  const int h = static_cast<int>(blockIdx.y) * kWaves + static_cast<int>(threadIdx.x) / gpu::kWave;
  if (h < p.heads) {
    T* head = q + h * dim;
    rotate(head, dim, p.q_norm, p.epsilon, cosines, sines, [=](int i, float low, float high) {
      head[i] = gpu::narrow<T>(low);
      head[i + half] = gpu::narrow<T>(high);
    });
  } else if (h < heads) {
    const int kv_head = h - p.heads;
    const std::int64_t at = ((block * p.cache.kv_heads + kv_head) * p.cache.block_tokens +
                             position % p.cache.block_tokens) *
                            dim;
    Kv* key = static_cast<Kv*>(p.cache.key) + at;
    Kv* value = static_cast<Kv*>(p.cache.value) + at;
    rotate(k + kv_head * dim, dim, p.k_norm, p.epsilon, cosines, sines,
           [=](int i, float low, float high) {
             key[i] = gpu::narrow<Kv>(low);
             key[i + half] = gpu::narrow<Kv>(high);
           });
    for (int i = static_cast<int>(threadIdx.x) % gpu::kWave; i < dim; i += gpu::kWave)
      value[i] = gpu::narrow<Kv>(gpu::widen(v[kv_head * dim + i]));
  }
}

template <typename T>
void run_typed(const RopeKvParams& p, Stream& stream) {
  gpu::launch(p.cache.dtype == DType::BF16 ? rope_kv<T, BF16> : rope_kv<T, float>,
              {.grid = {static_cast<unsigned>(p.batch.rows),
                        static_cast<unsigned>((p.heads + p.cache.kv_heads + kWaves - 1) / kWaves)},
               .block = {kThreads},
               .overlaps = true},
              stream, p);
}

}  // namespace

void run_rope_kv(const RopeKvParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.q.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
