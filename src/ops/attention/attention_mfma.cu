// Attention on AMD's matrix units, straight from the paged cache into registers.
//
// A wave holds 16 * kTiles query rows: the query heads of one KV head, times as many tokens as fit
// (row r is head r % group of token r / group), so that they share every key and value it loads. It
// walks a sequence's cache blocks of 16 tokens two at a time, lane = 16g + r:
//   scores = K Q^T   keys are the product's rows: a lane gets four keys (4g to 4g+3) of each block,
//                    all for query row r
//   out   += V^T P^T the eight weights a lane then holds are already the operand: the order of keys
//                    within a product is free. Of the values it loads kPer neighbouring dimensions
//                    of those eight keys; row r of product j is dimension kPer * r + j. What comes
//                    out is 4 * kPer neighbouring dimensions of query row r
// So everything a lane holds belongs to one query row a tile: softmax (online, in base 2) needs two
// shuffles a step.
//
//   prefill  (spans of more than one token): a block of waves takes neighbouring tokens
//   decode   (spans of one token): the waves of several blocks share out the sequence's cache
//            blocks; the last of them to finish puts the parts together. The fences are of agent
//            scope: the parts come through the separate L2 caches of eight dies
//
// FP8 numbers are BF16 numbers: they become those when they are loaded.
#include <algorithm>

#include "device/gpu/gpu_fp8.h"
#include "device/gpu/gpu_mfma.h"
#include "ops/attention/attention_flash.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kBlockTokens = 16;
constexpr int kPair = 2 * kBlockTokens;  // keys of a step
constexpr float kLog2E = 1.44269504f;

// Sequence memory of one (span, KV head).
template <typename Element>
struct Keys {
  const Element* key;
  const Element* value;
  const std::int32_t* blocks;
  std::int64_t block_stride;  // elements from block to block
  std::int64_t head_offset;   // elements to this head's part of a block
  std::int64_t first, last;   // positions that any row of the wave may see
  int window;
  float scale;
};

// kPer neighbouring values, in kPer / 2 words.
template <int kPer>
struct alignas(2 * kPer) Values {
  std::uint32_t words[kPer / 2];
};

// kPer neighbours of the cache, as factors.
template <int kPer>
__device__ Values<kPer> load_values(const BF16* from) {
  return *reinterpret_cast<const Values<kPer>*>(from);
}
template <int kPer>
__device__ Values<kPer> load_values(const F8E4M3* from) {
  struct alignas(kPer) Bytes {
    std::uint32_t words[kPer / 4];
  };
  const Bytes bytes = *reinterpret_cast<const Bytes*>(from);
  Values<kPer> values;
#pragma unroll
  for (int i = 0; i < kPer / 4; ++i) {
    float four[4];
    gpu::unpack_fp8(bytes.words[i], four);
    for (int h = 0; h < 2; ++h)
      values.words[2 * i + h] = gpu::exact_bf16(four[2 * h], four[2 * h + 1]);
  }
  return values;
}
template <typename Element>
__device__ gpu::Bits16 load_eight(const Element* from) {
  const Values<8> v = load_values<8>(from);
  return {v.words[0], v.words[1], v.words[2], v.words[3]};
}

// What the factors that load_values() makes have to be multiplied with.
template <typename Element>
constexpr float kUnit = 1;
template <>
constexpr float kUnit<F8E4M3> = gpu::kFp8Unit;

template <typename Element, int kDim, int kTiles>
class WaveAttention {
 public:
  static constexpr int kChunks = kDim / 32;
  static constexpr int kPer = kDim / 16;  // dimensions a lane loads of a value; products of `out`

  __device__ WaveAttention() {
    const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
    g = lane / 16;
    r = lane % 16;
  }

  // This lane's row of tile m, its query (null: no such row) and its position.
  __device__ void load_query(int m, const BF16* query, std::int64_t at) {
    position[m] = query ? at : -1;
    for (int c = 0; c < kChunks; ++c)
      q[m][c] =
          query ? *reinterpret_cast<const gpu::Bits16*>(query + 32 * c + 8 * g) : gpu::Bits16{};
  }

  // Cache blocks 2 * index and 2 * index + 1.
  __device__ void visit(const Keys<Element>& keys, std::int64_t index) {
    const std::int64_t base = index * kPair;
    gpu::Bits16 k[2][kChunks] = {};
    Values<kPer> v[8] = {};
#pragma unroll
    for (int b = 0; b < 2; ++b) {
      const std::int64_t start = base + b * kBlockTokens;
      if (start > keys.last || start + kBlockTokens <= keys.first) continue;
      const std::int64_t at = keys.blocks[2 * index + b] * keys.block_stride + keys.head_offset;
#pragma unroll
      for (int c = 0; c < kChunks; ++c)
        k[b][c] = load_eight(keys.key + at + r * kDim + 32 * c + 8 * g);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int token = 4 * g + i;
        // What nobody sees may be anything, NaN too: zero weight would not keep it out.
        if (start + token >= keys.first && start + token <= keys.last)
          v[4 * b + i] = load_values<kPer>(keys.value + at + token * kDim + kPer * r);
      }
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      float scores[2][4] = {};
#pragma unroll
      for (int b = 0; b < 2; ++b)
#pragma unroll
        for (int c = 0; c < kChunks; ++c) gpu::mfma_16x16x32(scores[b], k[b][c], q[m][c]);
      const gpu::Bits16 weights = weigh(m, base, keys, scores);
#pragma unroll
      for (int j = 0; j < kPer; ++j)
        gpu::mfma_16x16x32(
            out[m][j],
            {pair(v[0], v[1], j), pair(v[2], v[3], j), pair(v[4], v[5], j), pair(v[6], v[7], j)},
            weights);
    }
  }

  // After the last visit: the sums of a row over the four lanes that share it.
  __device__ void finish() {
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      total[m] += gpu::shuffle_xor(total[m], 16);
      total[m] += gpu::shuffle_xor(total[m], 32);
      if constexpr (kUnit<Element> != 1)
        for (int j = 0; j < kPer; ++j)
          for (int i = 0; i < 4; ++i) out[m][j][i] *= kUnit<Element>;
    }
  }

  // Value n of the 4 * kPer neighbouring dimensions that this lane has of its row, which begin at
  // first_dimension().
  __device__ float value(int m, int n) const {
    return out[m][n % kPer][n / kPer];
  }
  __device__ int first_dimension() const {
    return 4 * kPer * g;
  }

  int g, r;  // lane 16g + r
  gpu::Bits16 q[kTiles][kChunks];
  float out[kTiles][kPer][4] = {};
  float best[kTiles];
  float total[kTiles] = {};
  std::int64_t position[kTiles];  // of this lane's row; -1: there is no such row

  __device__ void start() {
    for (int m = 0; m < kTiles; ++m) best[m] = -INFINITY;
  }

 private:
  // Scores to weights; rescales what has been summed.
  __device__ gpu::Bits16 weigh(int m, std::int64_t base, const Keys<Element>& keys,
                               const float (&scores)[2][4]) {
    float s[8];
    float highest = best[m];
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const std::int64_t at = base + i / 4 * kBlockTokens + 4 * g + i % 4;
      const bool visible =
          at <= position[m] && (keys.window == 0 || at > position[m] - keys.window);
      s[i] = visible ? scores[i / 4][i % 4] * (keys.scale * kUnit<Element> * kLog2E) : -INFINITY;
      highest = fmaxf(highest, s[i]);
    }
    highest = fmaxf(highest, gpu::shuffle_xor(highest, 16));
    highest = fmaxf(highest, gpu::shuffle_xor(highest, 32));
    const float zero = highest == -INFINITY ? 0.0f : highest;
    const float rescale = exp2f(best[m] - zero);
    best[m] = highest;
    float sum = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      s[i] = exp2f(s[i] - zero);
      sum += s[i];
    }
    total[m] = fmaf(total[m], rescale, sum);
#pragma unroll
    for (int j = 0; j < kPer; ++j)
      for (int i = 0; i < 4; ++i) out[m][j][i] *= rescale;
    return {gpu::pack_bf16(s[0], s[1]), gpu::pack_bf16(s[2], s[3]), gpu::pack_bf16(s[4], s[5]),
            gpu::pack_bf16(s[6], s[7])};
  }

  // Dimension j of two tokens, in one word.
  static __device__ std::uint32_t pair(const Values<kPer>& a, const Values<kPer>& b, int j) {
    const std::uint32_t low = a.words[j / 2];
    const std::uint32_t high = b.words[j / 2];
    return j % 2 == 0 ? (low & 0xffffu) | high << 16 : low >> 16 | (high & 0xffff0000u);
  }
};

template <typename Element, int kDim>
__device__ Keys<Element> keys_of(const AttentionParams& p, const SpanView& span, int kv_head,
                                 std::int64_t first_position, std::int64_t last_position) {
  Keys<Element> keys = {static_cast<const Element*>(p.cache.key),
                        static_cast<const Element*>(p.cache.value),
                        p.batch.block_tables + span.table * p.batch.table_stride,
                        std::int64_t{p.cache.kv_heads} * kBlockTokens * kDim,
                        std::int64_t{kv_head} * kBlockTokens * kDim,
                        0,
                        last_position,
                        p.window,
                        p.scale};
  if (p.window > 0 && first_position - p.window + 1 > 0) keys.first = first_position - p.window + 1;
  return keys;
}

constexpr int kPrefillWaves = 4;
// Of 16 rows a wave: what registers hold.
template <int kDim>
constexpr int kPrefillTiles = kDim <= 64 ? 2 : 1;

// Grid: token tiles of the longest span, KV heads, spans.
template <typename Element, int kDim>
__global__ void __launch_bounds__(kPrefillWaves* gpu::kWave, 2)
    mfma_prefill(AttentionParams p, int group) {
  const SpanView span = p.batch.spans[blockIdx.z];
  constexpr int kTiles = kPrefillTiles<kDim>;
  const int per_wave = 16 * kTiles / group;
  const int wave = static_cast<int>(threadIdx.x) / gpu::kWave;
  // Late tokens see most and start first.
  const int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const int first_token = (tile * kPrefillWaves + wave) * per_wave;
  if (span.count == 1 || first_token >= span.count) return;
  const int kv_head = static_cast<int>(blockIdx.y);
  WaveAttention<Element, kDim, kTiles> state;
  state.start();
  const auto* q = static_cast<const BF16*>(p.q.data);
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
    const int row = 16 * m + state.r;
    const int token = first_token + row / group;
    const bool there = row / group < per_wave && token < span.count;
    const std::int64_t at = span.first_row + token;
    state.load_query(m,
                     there ? q + at * p.q.stride + (kv_head * group + row % group) * kDim : nullptr,
                     std::int64_t{span.position} + token);
  }
  const std::int64_t last_token =
      first_token + per_wave < span.count ? first_token + per_wave - 1 : span.count - 1;
  const Keys<Element> keys =
      keys_of<Element, kDim>(p, span, kv_head, std::int64_t{span.position} + first_token,
                             std::int64_t{span.position} + last_token);
  for (std::int64_t index = keys.first / kPair; index <= keys.last / kPair; ++index)
    state.visit(keys, index);
  state.finish();
  auto* out = static_cast<BF16*>(p.out.data);
#pragma unroll
  for (int m = 0; m < kTiles; ++m) {
    if (state.position[m] < 0) continue;
    const int row = 16 * m + state.r;
    BF16* to = out + (span.first_row + first_token + row / group) * p.out.stride +
               (kv_head * group + row % group) * kDim + state.first_dimension();
    const float inverse = 1.0f / state.total[m];
#pragma unroll
    for (int n = 0; n < kDim / 4; n += 8) {
      const auto at = [&](int i) { return state.value(m, n + i) * inverse; };
      *reinterpret_cast<gpu::Bits16*>(to + n) = {
          gpu::pack_bf16(at(0), at(1)), gpu::pack_bf16(at(2), at(3)), gpu::pack_bf16(at(4), at(5)),
          gpu::pack_bf16(at(6), at(7))};
    }
  }
}

constexpr int kDecodeWaves = 4;
constexpr int kDecodeThreads = kDecodeWaves * gpu::kWave;
constexpr int kMostGroup = 8;

// Where a (span, KV head)'s parts wait for the last of them: unnormalised sums, then per row the
// maximum and the sum of weights.
template <int kDim>
struct Part {
  float out[kMostGroup][kDim];
  float best[kMostGroup];
  float total[kMostGroup];
};

// The value of one output over `count` parts, whose maxima differ.
template <int kDim>
__device__ float merge(const Part<kDim>* from, int count, int head, int d, float& best,
                       float& total) {
  best = -INFINITY;
  for (int i = 0; i < count; ++i) best = fmaxf(best, from[i].best[head]);
  const float zero = best == -INFINITY ? 0.0f : best;
  float sum = 0;
  total = 0;
  for (int i = 0; i < count; ++i) {
    const float scale = exp2f(from[i].best[head] - zero);
    sum = fmaf(from[i].out[head][d], scale, sum);
    total = fmaf(from[i].total[head], scale, total);
  }
  return sum;
}

// Grid: parts, KV heads, spans. Pair i of a sequence's blocks belongs to wave i % (parts * waves).
template <typename Element, int kDim>
__global__ void __launch_bounds__(kDecodeThreads)
    mfma_decode(AttentionParams p, int group, Part<kDim>* parts, int* arrivals) {
  __shared__ Part<kDim> shared[kDecodeWaves];
  __shared__ int arrived;
  const SpanView span = p.batch.spans[blockIdx.z];
  if (span.count != 1) return;
  const int kv_head = static_cast<int>(blockIdx.y);
  const int wave = static_cast<int>(threadIdx.x) / gpu::kWave;
  WaveAttention<Element, kDim, 1> state;
  state.start();
  const auto* q = static_cast<const BF16*>(p.q.data) + span.first_row * p.q.stride;
  state.load_query(0, state.r < group ? q + (kv_head * group + state.r) * kDim : nullptr,
                   span.position);
  const Keys<Element> keys = keys_of<Element, kDim>(p, span, kv_head, span.position, span.position);
  const std::int64_t step = std::int64_t{gridDim.x} * kDecodeWaves;
  for (std::int64_t index = keys.first / kPair + std::int64_t{blockIdx.x} * kDecodeWaves + wave;
       index <= keys.last / kPair; index += step)
    state.visit(keys, index);
  state.finish();

  Part<kDim>& mine = shared[wave];
  if (state.r < group) {
    for (int n = 0; n < kDim / 4; ++n)
      mine.out[state.r][state.first_dimension() + n] = state.value(0, n);
    if (state.g == 0) {
      mine.best[state.r] = state.best[0];
      mine.total[state.r] = state.total[0];
    }
  }
  __syncthreads();

  auto* out =
      static_cast<BF16*>(p.out.data) + span.first_row * p.out.stride + kv_head * group * kDim;
  const int splits = static_cast<int>(gridDim.x);
  const std::int64_t pair = std::int64_t{blockIdx.z} * gridDim.y + kv_head;
  Part<kDim>* const all = parts + pair * splits;
  for (int i = static_cast<int>(threadIdx.x); i < group * kDim; i += kDecodeThreads) {
    float best = 0;
    float total = 0;
    const float sum = merge(shared, kDecodeWaves, i / kDim, i % kDim, best, total);
    if (splits == 1) {
      out[i] = gpu::narrow<BF16>(sum / total);
      continue;
    }
    Part<kDim>& part = all[blockIdx.x];
    part.out[i / kDim][i % kDim] = sum;
    if (i % kDim == 0) {
      part.best[i / kDim] = best;
      part.total[i / kDim] = total;
    }
  }
  if (splits == 1) return;
  gpu::fence();
  __syncthreads();
  if (threadIdx.x == 0) arrived = gpu::add_atomic(&arrivals[pair], 1);
  __syncthreads();
  if (arrived != splits - 1) return;
  gpu::fence();
  for (int i = static_cast<int>(threadIdx.x); i < group * kDim; i += kDecodeThreads) {
    float best = 0;
    float total = 0;
    const float sum = merge(all, splits, i / kDim, i % kDim, best, total);
    out[i] = gpu::narrow<BF16>(sum / total);
  }
  if (threadIdx.x == 0) arrivals[pair] = 0;  // for the next launch
}

template <typename Element, int kDim>
void run_shaped(const AttentionParams& p, Stream& stream) {
  const int group = p.heads / p.cache.kv_heads;
  const auto kv_heads = static_cast<unsigned>(p.cache.kv_heads);
  const auto spans = static_cast<unsigned>(p.batch.span_count);
  if (p.batch.max_count > 1) {
    const std::int64_t tokens = std::int64_t{kPrefillWaves} * (16 * kPrefillTiles<kDim> / group);
    gpu::launch(mfma_prefill<Element, kDim>,
                {.grid = {static_cast<unsigned>((p.batch.max_count + tokens - 1) / tokens),
                          kv_heads, spans},
                 .block = {kPrefillWaves * gpu::kWave}},
                stream, p, group);
  }
  // Decodes have spans to themselves: when every span has more rows there are none.
  if (p.batch.max_count > 1 && p.batch.span_count == 1) return;
  const std::int64_t pairs = std::int64_t{spans} * kv_heads;
  std::int64_t splits = 1;
  // As many blocks as compute units, while their parts have a place to wait.
  if (p.workspace)
    splits = std::min((gpu::multiprocessors(stream) + pairs - 1) / pairs,
                      std::max<std::int64_t>(1, kFlashMostParts / pairs));
  auto* parts = static_cast<Part<kDim>*>(p.workspace);
  auto* arrivals = reinterpret_cast<int*>(parts + kFlashMostParts);
  gpu::launch(mfma_decode<Element, kDim>,
              {.grid = {static_cast<unsigned>(splits), kv_heads, spans}, .block = {kDecodeThreads}},
              stream, p, group, parts, arrivals);
}

template <typename Element>
void run_typed(const AttentionParams& p, Stream& stream) {
  if (p.cache.head_dim == 64)
    run_shaped<Element, 64>(p, stream);
  else
    run_shaped<Element, 128>(p, stream);
}

}  // namespace

void run_flash_attention(const AttentionParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.cache.dtype == DType::F8_E4M3)
    run_typed<F8E4M3>(p, stream);
  else
    run_typed<BF16>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
