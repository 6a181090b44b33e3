// Queries are rotated in place, keys and values go to the cache. A wave takes one head of one row;
// where heads have 64 or 128 dimensions and lie aligned, a few of its lanes do.
#include "device/gpu/gpu_fp8.h"
#include "ops/gpu_lanes.h"
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

// Eight neighbours of a head, to a row of queries or to the cache.
template <typename To>
__device__ void store8(To* to, const gpu::Lanes<8>& x) {
  if constexpr (sizeof(To) == 1) {
    gpu::store4(to, {x.at[0], x.at[1], x.at[2], x.at[3]});
    gpu::store4(to + 4, {x.at[4], x.at[5], x.at[6], x.at[7]});
  } else {
    gpu::store_lanes(to, x);
  }
}

// A block takes a row, kDim / 16 lanes a head of queries, keys or values: a lane has eight
// dimensions of the head's first half and the eight of the second that those rotate with. Two turns
// are all of a row of 48 heads of 64, their loads under way together.
constexpr int kWideThreads = gpu::kWave == 32 ? 96 : 128;

template <typename T, typename Kv, int kDim>
__global__ void __launch_bounds__(kWideThreads) rope_kv_wide(RopeKvParams p) {
  constexpr int kLanes = kDim / 16;
  constexpr int kAtOnce = kWideThreads / kLanes;  // heads
  constexpr int kTurns = 2;
  constexpr int kHalf = kDim / 2;
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t row = blockIdx.x;
  T* const q = static_cast<T*>(p.q.data) + row * p.q.stride;
  const T* const k = static_cast<const T*>(p.k.data) + row * p.k.stride;
  const T* const v = static_cast<const T*>(p.v.data) + row * p.v.stride;
  const int first = 8 * (static_cast<int>(threadIdx.x) % kLanes);
  const int kv_heads = p.cache.kv_heads;
  const int keys_end = p.heads + kv_heads;
  const int all = keys_end + kv_heads;
  for (int turn = 0; turn < all; turn += kTurns * kAtOnce) {
    const int head_0 = turn + static_cast<int>(threadIdx.x) / kLanes;
    gpu::Packed<8, T> low[kTurns], high[kTurns];  // as they lie in memory: half the registers
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      // Lanes beyond the last head load that one, too, and do nothing with it.
      const int wanted = head_0 + i * kAtOnce;
      const int head = wanted < all ? wanted : all - 1;
      const T* from = head < p.heads    ? q + head * kDim
                      : head < keys_end ? k + (head - p.heads) * kDim
                                        : v + (head - keys_end) * kDim;
      low[i] = gpu::load_packed<8>(from + first);
      high[i] = gpu::load_packed<8>(from + first + kHalf);
    }
    const SpanView span = p.batch.spans[p.batch.row_spans[row]];
    const std::int64_t position = span.position + (row - span.first_row);
    const float* const cosines = p.cosines + position * kHalf + first;
    const float* const sines = p.sines + position * kHalf + first;
    const std::int64_t block =
        p.batch.block_tables[span.table * p.batch.table_stride + position / p.cache.block_tokens];
    const std::int64_t in_block = position % p.cache.block_tokens;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
      const int head = head_0 + i * kAtOnce;
      gpu::Lanes<8> a = gpu::widen_lanes(low[i]);
      gpu::Lanes<8> b = gpu::widen_lanes(high[i]);
      float squares = 0;
#pragma unroll
      for (int c = 0; c < 8; ++c) squares += a.at[c] * a.at[c] + b.at[c] * b.at[c];
      for (int mask = kLanes / 2; mask > 0; mask /= 2) squares += gpu::shuffle_xor(squares, mask);
      if (head >= all) continue;
      if (head < keys_end) {
        const float scale = 1.0f / sqrtf(squares / static_cast<float>(kDim) + p.epsilon);
        const float* weight = (head < p.heads ? p.q_norm : p.k_norm) + first;
        const auto u = gpu::load_lanes<8>(weight);
        const auto w = gpu::load_lanes<8>(weight + kHalf);
        const auto cosine = gpu::load_lanes<8>(cosines);
        const auto sine = gpu::load_lanes<8>(sines);
#pragma unroll
        for (int c = 0; c < 8; ++c) {
          const float x = a.at[c] * scale * u.at[c];
          const float y = b.at[c] * scale * w.at[c];
          a.at[c] = x * cosine.at[c] - y * sine.at[c];
          b.at[c] = y * cosine.at[c] + x * sine.at[c];
        }
      }
      if (head < p.heads) {
        store8(q + head * kDim + first, a);
        store8(q + head * kDim + first + kHalf, b);
      } else if (span.writes_kv) {
        const int kv_head = head < keys_end ? head - p.heads : head - keys_end;
        Kv* to = static_cast<Kv*>(head < keys_end ? p.cache.key : p.cache.value) +
                 ((block * kv_heads + kv_head) * p.cache.block_tokens + in_block) * kDim + first;
        store8(to, a);
        store8(to + kHalf, b);
      }
    }
  }
}

template <typename T, typename Kv>
void run_typed(const RopeKvParams& p, Stream& stream) {
  const bool aligned =
      gpu::rows_are_aligned(p.q) && gpu::rows_are_aligned(p.k) && gpu::rows_are_aligned(p.v) &&
      gpu::is_aligned(p.q_norm) && gpu::is_aligned(p.k_norm) && gpu::is_aligned(p.cosines) &&
      gpu::is_aligned(p.sines) && gpu::is_aligned(p.cache.key) && gpu::is_aligned(p.cache.value);
  const int dim = p.cache.head_dim;
  if (aligned && (dim == 64 || dim == 128)) {
    return gpu::launch(
        dim == 64 ? rope_kv_wide<T, Kv, 64> : rope_kv_wide<T, Kv, 128>,
        {.grid = {static_cast<unsigned>(p.batch.rows)}, .block = {kWideThreads}, .overlaps = true},
        stream, p);
  }
  gpu::launch(rope_kv<T, Kv>,
              {.grid = {static_cast<unsigned>(p.batch.rows),
                        static_cast<unsigned>((p.heads + p.cache.kv_heads + kWaves - 1) / kWaves)},
               .block = {kThreads},
               .overlaps = true},
              stream, p);
}

template <typename T>
void run_for(const RopeKvParams& p, Stream& stream) {
  if (p.cache.dtype == DType::BF16)
    run_typed<T, BF16>(p, stream);
  else if (p.cache.dtype == DType::F8_E4M3)
    run_typed<T, F8E4M3>(p, stream);
  else
    run_typed<T, float>(p, stream);
}

}  // namespace

void run_rope_kv(const RopeKvParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.q.dtype == DType::BF16)
    run_for<BF16>(p, stream);
  else
    run_for<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
