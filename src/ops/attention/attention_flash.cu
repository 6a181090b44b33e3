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
// Softmax is online, in base 2, maximum and sum per row in registers. Turns whose every position
// every row sees are most of them, and compare no positions.
//
//   prefill  (spans of more than one token): a block of waves takes neighbouring tokens; they read
//            the same keys at about the same time, from the first cache
//   decode   (spans of one token): the waves of several blocks share out the sequence's cache
//            blocks; the last of them to finish puts the parts together
#include <algorithm>
#include <type_traits>

#include "ops/attention/attention_flash.h"
#include "ops/attention/attention_flash_cache.cuh"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kBlockTokens = 16;
constexpr float kLog2E = 1.44269504f;

// What one wave holds of 16 * kTiles query rows; kHalves 1 leaves rows 8 to 15 of a tile out.
// Positions are counted in 32 bits: the engine's contexts are far below.
template <typename Cache, int kDim, int kTiles, int kHalves>
class WaveAttention {
 public:
  using Element = typename Cache::Element;
  using Bits = typename Cache::Bits;
  static constexpr int kChunks = kDim / 32;
  static constexpr int kColumns = kDim / 8;  // products that make a row of `out`
  // Cache blocks that are worked on at once: as many as registers hold, since every turn may have
  // to rescale the sums.
  static constexpr int kBlocks = kDim > 64 ? 1 : kTiles == 1 && sizeof(Element) == 1 ? 4 : 2;
  static constexpr int kTurn = kBlocks * kBlockTokens;  // tokens

  // Sequence memory of one (span, KV head), and which positions this wave's rows may see.
  struct Keys {
    const Element* key;
    const Element* value;
    const std::int32_t* blocks;
    std::int64_t block_stride;  // elements from block to block
    std::int64_t head_offset;   // elements to this head's part of a block
  };
  // What rows may see: row r positions up to its own, with a window only the last ones.
  struct Range {
    int first, last;       // positions outside are nobody's
    int all_from, all_to;  // every row sees these
    int window;
    float scale;  // of scores, in base 2
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
  __device__ void load_query(int m, int half, const BF16* query, int at) {
    position[m][half] = query ? at : -1;
    for (int c = 0; c < kChunks; ++c)
      q[m][c][half] =
          query ? Cache::query(*reinterpret_cast<const gpu::Bits16*>(query + 32 * c + 8 * t))
                : gpu::Bits16{};
  }

  // Turns first_turn, first_turn + step, ... up to the one that holds range.last. The keys of the
  // next are asked for as soon as this one's scores are made.
  __device__ void walk(const Keys& keys, int first_turn, int step, const Range& range) {
    const int last_turn = range.last / kTurn;
    if (first_turn > last_turn) return;
    load_keys(keys, first_turn, range);
    for (int turn = first_turn; turn <= last_turn; turn += step) {
      const int next = turn + step <= last_turn ? turn + step : turn;
      const int from = turn * kTurn;
      if (from >= range.all_from && from + kTurn - 1 <= range.all_to)
        visit<false>(keys, turn, next, range);
      else
        visit<true>(keys, turn, next, range);
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
  float best[kTiles][2];  // of the scores, before scaling
  float total[kTiles][2];
  int position[kTiles][2];  // of rows g and g + 8; -1: there is no such row

 private:
  // Where a turn's block lies; one past the sequence's last is read as its last, and not seen.
  __device__ std::int64_t place(const Keys& keys, int turn, int b, const Range& range) const {
    const int last_block = range.last / kBlockTokens;
    const int block = turn * kBlocks + b < last_block ? turn * kBlocks + b : last_block;
    return keys.blocks[block] * keys.block_stride + keys.head_offset;
  }

  __device__ void load_keys(const Keys& keys, int turn, const Range& range) {
#pragma unroll
    for (int b = 0; b < kBlocks; ++b) {
      const Element* at = keys.key + place(keys, turn, b, range);
      for (int n = 0; n < 2; ++n)
        for (int c = 0; c < kChunks; ++c)
          k[b][n][c] = *reinterpret_cast<const Bits*>(at + (8 * n + g) * kDim + 32 * c + 8 * t);
    }
  }

  template <bool kMasked>
  __device__ void visit(const Keys& keys, int turn, int next, const Range& range) {
    Bits v[kBlocks][4][kDim / 64];
    const int base = turn * kTurn;
#pragma unroll
    for (int b = 0; b < kBlocks; ++b) {
      const Element* at = keys.value + place(keys, turn, b, range);
      for (int i = 0; i < 4; ++i) {
        const int token = 2 * t + i % 2 + i / 2 * 8;
        const int where = base + b * kBlockTokens + token;
        // What nobody sees may be anything, NaN too: zero weight would not keep it out.
        const bool visible = !kMasked || (where >= range.first && where <= range.last);
        for (int h = 0; h < kDim / 64; ++h)
          v[b][i][h] =
              visible ? *reinterpret_cast<const Bits*>(at + token * kDim + 64 * h + 8 * g) : Bits{};
      }
    }
    // Neighbouring products add to different sums: each waits for the one before it otherwise.
    float scores[kTiles][2 * kBlocks][4] = {};
#pragma unroll
    for (int c = 0; c < kChunks; ++c)
#pragma unroll
      for (int step = 0; step < 2; ++step)
#pragma unroll
        for (int n = 0; n < 2 * kBlocks; ++n) {
          const Bits& eight = k[n / 2][n % 2][c];
          const gpu::Halves4 key = step == 0 ? Cache::first_four(eight) : Cache::last_four(eight);
#pragma unroll
          for (int m = 0; m < kTiles; ++m) {
            const gpu::Bits16 low = q[m][c][0];
            gpu::Bits16 high = {};
            if constexpr (kHalves == 2) high = q[m][c][1];
            if (step == 0)
              Cache::multiply(scores[m][n], {low.x, high.x, low.y, high.y}, {key.x, key.y});
            else
              Cache::multiply(scores[m][n], {low.z, high.z, low.w, high.w}, {key.x, key.y});
          }
        }
    load_keys(keys, next, range);
    gpu::Halves4 wide[kBlocks][4][kDim / 64][2];  // values as factors
#pragma unroll
    for (int b = 0; b < kBlocks; ++b)
      for (int i = 0; i < 4; ++i)
        for (int h = 0; h < kDim / 64; ++h) {
          wide[b][i][h][0] = Cache::first_four(v[b][i][h]);
          wide[b][i][h][1] = Cache::last_four(v[b][i][h]);
        }
#pragma unroll
    for (int m = 0; m < kTiles; ++m) {
      std::uint32_t p[2][2 * kBlocks] = {};  // [half][n]: weights of tokens 2t, 2t+1 of product n
      for (int h = 0; h < kHalves; ++h) weigh<kMasked>(m, h, base, range, scores[m], p[h]);
#pragma unroll
      for (int b = 0; b < kBlocks; ++b)
#pragma unroll
        for (int j = 0; j < kColumns; ++j) {
          const int part = j / 8;
          const auto& rows = wide[b];
          const std::uint32_t low = pair(rows[0][part], rows[1][part], j % 8);
          const std::uint32_t high = pair(rows[2][part], rows[3][part], j % 8);
          Cache::multiply(out[m][j], {p[0][2 * b], p[1][2 * b], p[0][2 * b + 1], p[1][2 * b + 1]},
                          {low, high});
        }
    }
  }

  // Scores to weights; rescales what has been summed where the maximum of any row has grown.
  template <bool kMasked>
  __device__ void weigh(int m, int h, int base, const Range& range, float (&scores)[2 * kBlocks][4],
                        std::uint32_t (&p)[2 * kBlocks]) {
    float highest = best[m][h];
#pragma unroll
    for (int n = 0; n < 2 * kBlocks; ++n)
      for (int i = 0; i < 2; ++i) {
        float& score = scores[n][2 * h + i];
        if constexpr (kMasked) {
          const int at = base + 8 * n + 2 * t + i;
          const bool visible =
              at <= position[m][h] && (range.window == 0 || at > position[m][h] - range.window);
          if (!visible) score = -INFINITY;
        }
        highest = fmaxf(highest, score);
      }
    highest = fmaxf(highest, gpu::shuffle_xor(highest, 1));
    highest = fmaxf(highest, gpu::shuffle_xor(highest, 2));
    const float zero = highest == -INFINITY ? 0.0f : highest * range.scale;
    if (gpu::any_lane(highest > best[m][h])) {
      const float rescale = gpu::exp2_fast(fmaf(best[m][h], range.scale, -zero));
      total[m][h] *= rescale;
      for (int j = 0; j < kColumns; ++j) {
        out[m][j][2 * h] *= rescale;
        out[m][j][2 * h + 1] *= rescale;
      }
      best[m][h] = highest;
    }
    float sum = 0;
#pragma unroll
    for (int n = 0; n < 2 * kBlocks; ++n) {
      const float low = gpu::exp2_fast(fmaf(scores[n][2 * h], range.scale, -zero));
      const float high = gpu::exp2_fast(fmaf(scores[n][2 * h + 1], range.scale, -zero));
      sum += low + high;
      p[n] = Cache::pack(low, high);
    }
    total[m][h] += sum;
  }

  static __device__ std::uint32_t word(const gpu::Halves4 (&v)[2], int i) {
    return i % 2 == 0 ? v[i / 2].x : v[i / 2].y;
  }
  // Element j of two rows of eight, in one word.
  static __device__ std::uint32_t pair(const gpu::Halves4 (&a)[2], const gpu::Halves4 (&b)[2],
                                       int j) {
    const std::uint32_t low = word(a, j / 2);
    const std::uint32_t high = word(b, j / 2);
    return j % 2 == 0 ? (low & 0xffffu) | high << 16 : low >> 16 | (high & 0xffff0000u);
  }

  Bits k[kBlocks][2][kChunks];  // of the turn that comes
};

__device__ int not_negative(int i) {
  return i < 0 ? 0 : i;
}

template <typename Wave, int kDim>
__device__ typename Wave::Keys keys_of(const AttentionParams& p, const SpanView& span,
                                       int kv_head) {
  using Element = typename Wave::Element;
  return {static_cast<const Element*>(p.cache.key), static_cast<const Element*>(p.cache.value),
          p.batch.block_tables + span.table * p.batch.table_stride,
          std::int64_t{p.cache.kv_heads} * kBlockTokens * kDim,
          std::int64_t{kv_head} * kBlockTokens * kDim};
}

constexpr int kPrefillWaves = 8;
// Of 16 rows a wave: what registers hold.
template <int kDim>
constexpr int kPrefillTiles = kDim <= 64 ? 2 : 1;

// Grid: token tiles of the longest span, KV heads, spans. Rounded up to whole tokens a wave.
template <typename Cache, int kDim>
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
  using Wave = WaveAttention<Cache, kDim, kPrefillTiles<kDim>, 2>;
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
          span.position + token);
    }
  const int last_token =
      first_token + per_wave < span.count ? first_token + per_wave - 1 : span.count - 1;
  typename Wave::Range range = {
      0, span.position + last_token, 0, span.position + first_token, p.window, p.scale * kLog2E};
  if (p.window > 0) {
    range.first = not_negative(span.position + first_token - p.window + 1);
    range.all_from = not_negative(range.last - p.window + 1);
  }
  const auto keys = keys_of<Wave, kDim>(p, span, kv_head);
  state.walk(keys, range.first / Wave::kTurn, 1, range);
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

// Grid: parts, KV heads, spans. Turn i of a sequence belongs to wave i % (parts * waves).
template <typename Cache, int kDim>
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
  using Wave = WaveAttention<Cache, kDim, 1, 1>;
  Wave state;
  const int last = span.position;
  const auto* q = static_cast<const BF16*>(p.q.data) + span.first_row * p.q.stride;
  state.load_query(0, 0, state.g < group ? q + (kv_head * group + state.g) * kDim : nullptr, last);
  const int first = p.window > 0 ? not_negative(last - p.window + 1) : 0;
  const auto keys = keys_of<Wave, kDim>(p, span, kv_head);
  state.walk(keys, first / Wave::kTurn + static_cast<int>(blockIdx.x) * kDecodeWaves + wave,
             static_cast<int>(gridDim.x) * kDecodeWaves,
             {first, last, first, last, p.window, p.scale * kLog2E});
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
  const float unit = p.scale * kLog2E;
  const auto merge = [unit](const Part<kDim>* from, int count, int head, int d, float& best,
                            float& total) {
    best = -INFINITY;
    for (int i = 0; i < count; ++i) best = fmaxf(best, from[i].best[head]);
    const float zero = best == -INFINITY ? 0.0f : best;
    float sum = 0;
    total = 0;
    for (int i = 0; i < count; ++i) {
      const float scale = exp2f((from[i].best[head] - zero) * unit);
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

template <typename Cache, int kDim>
void run_prefill(const AttentionParams& p, Stream& stream) {
  const int group = p.heads / p.cache.kv_heads;
  const std::int64_t tokens = std::int64_t{kPrefillWaves} * (16 * kPrefillTiles<kDim> / group);
  gpu::launch(
      flash_prefill<Cache, kDim>,
      {.grid = {static_cast<unsigned>((p.batch.max_count + tokens - 1) / tokens),
                static_cast<unsigned>(p.cache.kv_heads), static_cast<unsigned>(p.batch.span_count)},
       .block = {kPrefillWaves * gpu::kWave},
       .overlaps = true},
      stream, p, group);
}

template <typename Cache, int kDim>
void run_decode(const AttentionParams& p, Stream& stream) {
  const int group = p.heads / p.cache.kv_heads;
  const auto kv_heads = static_cast<unsigned>(p.cache.kv_heads);
  const auto spans = static_cast<unsigned>(p.batch.span_count);
  const std::int64_t pairs = std::int64_t{spans} * kv_heads;
  std::int64_t splits = 1;
  // As many blocks as multiprocessors, while their parts have a place to wait.
  if (p.workspace)
    splits = std::min((gpu::multiprocessors(stream) + pairs - 1) / pairs,
                      std::max<std::int64_t>(1, kFlashMostParts / pairs));
  auto* parts = static_cast<Part<kDim>*>(p.workspace);
  auto* arrivals = reinterpret_cast<int*>(parts + kFlashMostParts);
  gpu::launch(flash_decode<Cache, kDim>,
              {.grid = {static_cast<unsigned>(splits), kv_heads, spans},
               .block = {kDecodeThreads},
               .overlaps = true},
              stream, p, group, parts, arrivals);
}

// kernel(Cache, head_dim) for the cache at hand.
template <typename Kernel>
void for_cache(const KvView& cache, const Kernel& kernel) {
  const auto for_dim = [&](auto type) {
    if (cache.head_dim == 64)
      kernel(type, std::integral_constant<int, 64>());
    else
      kernel(type, std::integral_constant<int, 128>());
  };
  if (cache.dtype == DType::F8_E4M3)
    for_dim(Fp8Cache());
  else
    for_dim(Bf16Cache());
}

}  // namespace

void run_flash_decode(const AttentionParams& p, Stream& stream) {
  // Decodes have spans to themselves: when every span has more rows there are none.
  if (p.batch.max_count > 1 && p.batch.span_count == 1) return;
  for_cache(p.cache, [&](auto cache, auto dim) { run_decode<decltype(cache), dim>(p, stream); });
}

void run_flash_attention(const AttentionParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.batch.max_count > 1)
    for_cache(p.cache, [&](auto cache, auto dim) { run_prefill<decltype(cache), dim>(p, stream); });
  run_flash_decode(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
