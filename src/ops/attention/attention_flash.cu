// Attention by tensor cores, straight from the paged cache into registers: no shared memory on the
// way, no barrier in the loop.
//
// A wave holds 16 * kTiles query rows: the query heads of one KV head, times as many tokens as fit
// (row r is head r % group of token r / group), so that they share every key and value it loads.
// It walks a sequence's cache blocks of 16 tokens, each block [16][dim] neighbouring memory:
//   scores = Q K^T   a lane's 16 bytes of a key are 8 neighbouring dimensions; the order of
//                    dimensions within a product is free, so queries are loaded the same way
//   out   += P V     P is in the layout that the scores came out in; a lane's 16 bytes of a value
//                    row are 8 neighbouring dimensions again: column g of product j is dimension
//                    8g + j, so pairs of tokens are put together with byte permutations alone
// Softmax is online, in base 2, maximum and sum per row in registers.
//
//   prefill  (spans of more than one token): a block of waves takes neighbouring tokens; they read
//            the same keys at about the same time, from the first cache
//   decode   (spans of one token): the waves of several blocks share out the sequence's cache
//            blocks; the last of them to finish puts the parts together
#include <algorithm>

#include "device/gpu/gpu_mma.h"
#include "ops/attention/attention_flash.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kBlockTokens = 16;
constexpr float kLog2E = 1.44269504f;

// What one wave holds of 16 * kTiles query rows; kHalves 1 leaves rows 8 to 15 of a tile out.
template <int kDim, int kTiles, int kHalves>
class WaveAttention {
 public:
  static constexpr int kChunks = kDim / 32;
  static constexpr int kColumns = kDim / 8;  // products that make a row of `out`

  // Sequence memory of one (span, KV head), and which positions this wave's rows may see.
  struct Keys {
    const BF16* key;
    const BF16* value;
    const std::int32_t* blocks;
    std::int64_t block_stride;  // elements from block to block
    std::int64_t head_offset;   // elements to this head's part of a block
  };

  __device__ WaveAttention() {
    const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
    g = lane / 4;
    t = lane % 4;
#pragma unroll
    for (int m = 0; m < kTiles; ++m)
      for (int h = 0; h < 2; ++h) {
        best[m][h] = -INFINITY;
        total[m][h] = 0;
        position[m][h] = -1;
        for (int j = 0; j < kColumns; ++j) out[m][j][2 * h] = out[m][j][2 * h + 1] = 0;
      }
  }

  // Row r of tile m, its query (null: no such row) and its position.
  __device__ void load_query(int m, int half, const BF16* query, std::int64_t at) {
    position[m][half] = query ? at : -1;
    for (int c = 0; c < kChunks; ++c)
      q[m][c][half] =
          query ? *reinterpret_cast<const gpu::Bits16*>(query + 32 * c + 8 * t) : gpu::Bits16{};
  }

  // The keys of one cache block, as products want them.
  struct KeyBlock {
    gpu::Bits16 k[2][kChunks];
  };
  __device__ KeyBlock load_keys(const Keys& keys, std::int64_t index) const {
    const std::int64_t at = keys.blocks[index] * keys.block_stride + keys.head_offset;
    KeyBlock block;
    for (int n = 0; n < 2; ++n)
      for (int c = 0; c < kChunks; ++c)
        block.k[n][c] = *reinterpret_cast<const gpu::Bits16*>(keys.key + at + (8 * n + g) * kDim +
                                                              32 * c + 8 * t);
    return block;
  }

  // Blocks first_block, first_block + step, ... up to last_block. Each one's keys are asked for
  // before the one before it is worked on. Positions outside [first, last] are nobody's.
  __device__ void walk(const Keys& keys, std::int64_t first_block, std::int64_t last_block,
                       std::int64_t step, std::int64_t first, std::int64_t last, int window,
                       float scale) {
    if (first_block > last_block) return;
    KeyBlock even = load_keys(keys, first_block);
    KeyBlock odd;
    for (std::int64_t block = first_block; block <= last_block; block += 2 * step) {
      const bool second = block + step <= last_block;
      if (second) odd = load_keys(keys, block + step);
      visit(keys, even, block, first, last, window, scale);
      if (!second) break;
      if (block + 2 * step <= last_block) even = load_keys(keys, block + 2 * step);
      visit(keys, odd, block + step, first, last, window, scale);
    }
  }

  __device__ void visit(const Keys& keys, const KeyBlock& block, std::int64_t index,
                        std::int64_t first, std::int64_t last, int window, float scale) {
    const std::int64_t at = keys.blocks[index] * keys.block_stride + keys.head_offset;
    gpu::Bits16 v[4][kDim / 64];
    const std::int64_t base = index * kBlockTokens;
    for (int i = 0; i < 4; ++i) {
      const int token = 2 * t + i % 2 + i / 2 * 8;
      const bool visible = base + token >= first && base + token <= last;
      for (int h = 0; h < kDim / 64; ++h)
        // What nobody sees may be anything, NaN too: zero weight would not keep it out.
        v[i][h] = visible ? *reinterpret_cast<const gpu::Bits16*>(keys.value + at + token * kDim +
                                                                  64 * h + 8 * g)
                          : gpu::Bits16{};
    }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      float scores[2][4] = {};
      for (int n = 0; n < 2; ++n)
        for (int c = 0; c < kChunks; ++c) {
          const gpu::Bits16 low = q[m][c][0];
          gpu::Bits16 high = {};
          if constexpr (kHalves == 2) high = q[m][c][1];
          gpu::mma_16x8x16(scores[n], {low.x, high.x, low.y, high.y},
                           {block.k[n][c].x, block.k[n][c].y});
          gpu::mma_16x8x16(scores[n], {low.z, high.z, low.w, high.w},
                           {block.k[n][c].z, block.k[n][c].w});
        }
      std::uint32_t p[2][2] = {};  // [half][n]: weights of tokens 2t, 2t+1 of product n
      for (int h = 0; h < kHalves; ++h) weigh(m, h, base, window, scale, scores, p[h]);
      for (int j = 0; j < kColumns; ++j) {
        const int part = j / 8;
        const std::uint32_t low = pair(v[0][part], v[1][part], j % 8);
        const std::uint32_t high = pair(v[2][part], v[3][part], j % 8);
        gpu::mma_16x8x16(out[m][j], {p[0][0], p[1][0], p[0][1], p[1][1]}, {low, high});
      }
    }
  }

  // After the last visit: the sums of a row over the four lanes that share it.
  __device__ void finish() {
#pragma unroll
    for (int m = 0; m < kTiles; ++m)
      for (int h = 0; h < kHalves; ++h) {
        total[m][h] += gpu::shuffle_xor(total[m][h], 1);
        total[m][h] += gpu::shuffle_xor(total[m][h], 2);
      }
  }

  // Dimension of out[m][j][2 * half + i] of row g + 8 * half.
  __device__ int dimension(int j, int i) const {
    return j / 8 * 64 + 8 * (2 * t + i) + j % 8;
  }

  int g, t;  // lane 4g + t
  gpu::Bits16 q[kTiles][kChunks][kHalves];
  float out[kTiles][kColumns][4];
  float best[kTiles][2];
  float total[kTiles][2];
  std::int64_t position[kTiles][2];  // of rows g and g + 8; -1: there is no such row

 private:
  // Scores to weights; rescales what has been summed.
  __device__ void weigh(int m, int h, std::int64_t base, int window, float scale,
                        const float (&scores)[2][4], std::uint32_t (&p)[2]) {
    float s[2][2];
    float highest = best[m][h];
    for (int n = 0; n < 2; ++n)
      for (int i = 0; i < 2; ++i) {
        const std::int64_t at = base + 8 * n + 2 * t + i;
        const bool visible = at <= position[m][h] && (window == 0 || at > position[m][h] - window);
        s[n][i] = visible ? scores[n][2 * h + i] * (scale * kLog2E) : -INFINITY;
        highest = fmaxf(highest, s[n][i]);
      }
    highest = fmaxf(highest, gpu::shuffle_xor(highest, 1));
    highest = fmaxf(highest, gpu::shuffle_xor(highest, 2));
    const float zero = highest == -INFINITY ? 0.0f : highest;
    const float rescale = exp2f(best[m][h] - zero);
    best[m][h] = highest;
    float sum = 0;
    for (int n = 0; n < 2; ++n) {
      const float low = exp2f(s[n][0] - zero);
      const float high = exp2f(s[n][1] - zero);
      sum += low + high;
      p[n] = gpu::pack_bf16(low, high);
    }
    total[m][h] = fmaf(total[m][h], rescale, sum);
    for (int j = 0; j < kColumns; ++j) {
      out[m][j][2 * h] *= rescale;
      out[m][j][2 * h + 1] *= rescale;
    }
  }

  static __device__ std::uint32_t word(const gpu::Bits16& v, int i) {
    return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
  }
  // Element j of two rows of eight, in one word.
  static __device__ std::uint32_t pair(const gpu::Bits16& a, const gpu::Bits16& b, int j) {
    const std::uint32_t low = word(a, j / 2);
    const std::uint32_t high = word(b, j / 2);
    return j % 2 == 0 ? (low & 0xffffu) | high << 16 : low >> 16 | (high & 0xffff0000u);
  }
};

template <int kDim, int kTiles, int kHalves>
__device__ typename WaveAttention<kDim, kTiles, kHalves>::Keys keys_of(const AttentionParams& p,
                                                                       const SpanView& span,
                                                                       int kv_head) {
  return {static_cast<const BF16*>(p.cache.key), static_cast<const BF16*>(p.cache.value),
          p.batch.block_tables + span.table * p.batch.table_stride,
          std::int64_t{p.cache.kv_heads} * kBlockTokens * kDim,
          std::int64_t{kv_head} * kBlockTokens * kDim};
}

constexpr int kPrefillWaves = 8;
// Of 16 rows a wave: what registers hold.
template <int kDim>
constexpr int kPrefillTiles = kDim <= 64 ? 2 : 1;

// Grid: token tiles of the longest span, KV heads, spans. Rounded up to whole tokens a wave.
template <int kDim>
__global__ void __launch_bounds__(kPrefillWaves* gpu::kWave, 1)
    flash_prefill(AttentionParams p, int group) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const SpanView span = p.batch.spans[blockIdx.z];
  const int per_wave = 16 * kPrefillTiles<kDim> / group;
  const int wave = static_cast<int>(threadIdx.x) / gpu::kWave;
  // Late tokens see most and start first.
  const int tile = static_cast<int>(gridDim.x - 1 - blockIdx.x);
  const int first_token = (tile * kPrefillWaves + wave) * per_wave;
  if (span.count == 1 || first_token >= span.count) return;
  const int kv_head = static_cast<int>(blockIdx.y);
  using Wave = WaveAttention<kDim, kPrefillTiles<kDim>, 2>;
  Wave state;
  const auto* q = static_cast<const BF16*>(p.q.data);
#pragma unroll
  for (int m = 0; m < kPrefillTiles<kDim>; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = 16 * m + state.g + 8 * half;
      const int token = first_token + r / group;
      const bool there = r / group < per_wave && token < span.count;
      const std::int64_t row = span.first_row + token;
      state.load_query(
          m, half, there ? q + row * p.q.stride + (kv_head * group + r % group) * kDim : nullptr,
          std::int64_t{span.position} + token);
    }
  const std::int64_t last_token =
      first_token + per_wave < span.count ? first_token + per_wave - 1 : span.count - 1;
  const std::int64_t last = span.position + last_token;
  std::int64_t first = 0;
  if (p.window > 0 && span.position + first_token - p.window + 1 > 0)
    first = span.position + first_token - p.window + 1;
  const auto keys = keys_of<kDim, kPrefillTiles<kDim>, 2>(p, span, kv_head);
  state.walk(keys, first / kBlockTokens, last / kBlockTokens, 1, first, last, p.window, p.scale);
  state.finish();
  auto* out = static_cast<BF16*>(p.out.data);
#pragma unroll
  for (int m = 0; m < kPrefillTiles<kDim>; ++m)
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int r = 16 * m + state.g + 8 * half;
      if (state.position[m][half] < 0) continue;
      BF16* row = out + (span.first_row + first_token + r / group) * p.out.stride +
                  (kv_head * group + r % group) * kDim;
      const float inverse = 1.0f / state.total[m][half];
      for (int part = 0; part < kDim / 64; ++part)
        for (int i = 0; i < 2; ++i) {
          const auto at = [&](int j) { return state.out[m][8 * part + j][2 * half + i] * inverse; };
          *reinterpret_cast<gpu::Bits16*>(row + state.dimension(8 * part, i)) = {
              gpu::pack_bf16(at(0), at(1)), gpu::pack_bf16(at(2), at(3)),
              gpu::pack_bf16(at(4), at(5)), gpu::pack_bf16(at(6), at(7))};
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

// Grid: parts, KV heads, spans. Block b of a sequence belongs to wave b % (parts * waves).
template <int kDim>
__global__ void __launch_bounds__(kDecodeThreads)
    flash_decode(AttentionParams p, int group, Part<kDim>* parts, int* arrivals) {
  __shared__ Part<kDim> shared[kDecodeWaves];
  __shared__ int arrived;
  gpu::wait_for_previous();
  gpu::let_next_start();
  const SpanView span = p.batch.spans[blockIdx.z];
  if (span.count != 1) return;
  const int kv_head = static_cast<int>(blockIdx.y);
  const int wave = static_cast<int>(threadIdx.x) / gpu::kWave;
  using Wave = WaveAttention<kDim, 1, 1>;
  Wave state;
  const std::int64_t last = span.position;
  const auto* q = static_cast<const BF16*>(p.q.data) + span.first_row * p.q.stride;
  state.load_query(0, 0, state.g < group ? q + (kv_head * group + state.g) * kDim : nullptr, last);
  std::int64_t first = 0;
  if (p.window > 0 && last - p.window + 1 > 0) first = last - p.window + 1;
  const auto keys = keys_of<kDim, 1, 1>(p, span, kv_head);
  const std::int64_t step = std::int64_t{gridDim.x} * kDecodeWaves;
  state.walk(keys,
             first / kBlockTokens + static_cast<std::int64_t>(blockIdx.x) * kDecodeWaves + wave,
             last / kBlockTokens, step, first, last, p.window, p.scale);
  state.finish();

  Part<kDim>& mine = shared[wave];
  if (state.g < group) {
    for (int j = 0; j < Wave::kColumns; ++j)
      for (int i = 0; i < 2; ++i) mine.out[state.g][state.dimension(j, i)] = state.out[0][j][i];
    if (state.t == 0) {
      mine.best[state.g] = state.best[0][0];
      mine.total[state.g] = state.total[0][0];
    }
  }
  __syncthreads();

  // The value of one output over `count` parts, whose maxima differ.
  const auto merge = [](const Part<kDim>* from, int count, int head, int d, float& best,
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
  };
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

template <int kDim>
void run_shaped(const AttentionParams& p, Stream& stream) {
  const int group = p.heads / p.cache.kv_heads;
  const auto kv_heads = static_cast<unsigned>(p.cache.kv_heads);
  const auto spans = static_cast<unsigned>(p.batch.span_count);
  if (p.batch.max_count > 1) {
    const std::int64_t tokens = std::int64_t{kPrefillWaves} * (16 * kPrefillTiles<kDim> / group);
    gpu::launch(flash_prefill<kDim>,
                {.grid = {static_cast<unsigned>((p.batch.max_count + tokens - 1) / tokens),
                          kv_heads, spans},
                 .block = {kPrefillWaves * gpu::kWave},
                 .overlaps = true},
                stream, p, group);
  }
  // Decodes have spans to themselves: when every span has more rows there are none.
  if (p.batch.max_count > 1 && p.batch.span_count == 1) return;
  const std::int64_t pairs = std::int64_t{spans} * kv_heads;
  std::int64_t splits = 1;
  // As many blocks as multiprocessors, while their parts have a place to wait.
  if (p.workspace)
    splits = std::min((gpu::multiprocessors(stream) + pairs - 1) / pairs,
                      std::max<std::int64_t>(1, kFlashMostParts / pairs));
  auto* parts = static_cast<Part<kDim>*>(p.workspace);
  auto* arrivals = reinterpret_cast<int*>(parts + kFlashMostParts);
  gpu::launch(flash_decode<kDim>,
              {.grid = {static_cast<unsigned>(splits), kv_heads, spans},
               .block = {kDecodeThreads},
               .overlaps = true},
              stream, p, group, parts, arrivals);
}

}  // namespace

void run_flash_attention(const AttentionParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.cache.head_dim == 64)
    run_shaped<64>(p, stream);
  else
    run_shaped<128>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
