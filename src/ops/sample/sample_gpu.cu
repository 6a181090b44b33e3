// Two kernels. The first spreads every row over many blocks: penalties, and the best of each
// chunk. The second, one block a row, merges these; that is all for a greedy row. For a draw it
// goes over the row, which is in the second-level cache by then: two or three times for a limit
// set by top-k or top-p (a radix descent, kLimitBits of the order a time), and once for the draw.
#include "ops/gpu_support.h"
#include "ops/sample/sample_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kChunkThreads = 256;
constexpr int kChunks = static_cast<int>(kSampleMostTokens / kSampleChunk);
constexpr int kThreads = 512;
constexpr int kWaves = kThreads / gpu::kWave;
constexpr int kBatch = 8;  // loads of a thread on their way at once
constexpr int kBins = 2048;
constexpr int kTile = kThreads * kBatch;
constexpr int kTiles = static_cast<int>(kSampleMostTokens / kTile);

struct ChunkBest {
  float logit;
  std::int32_t token;  // -1: the chunk holds a NaN
};

// Of two, the better; ties go to the lower id, and a NaN wins over all.
__device__ ChunkBest better(const ChunkBest& a, const ChunkBest& b) {
  const bool first =
      a.token < 0 || (b.token >= 0 && (a.logit != b.logit ? a.logit > b.logit : a.token < b.token));
  return {first ? a.logit : b.logit, first ? a.token : b.token};
}

__device__ ChunkBest wave_best(ChunkBest best) {
  for (int mask = gpu::kWave / 2; mask > 0; mask /= 2)
    best = better(best, {gpu::shuffle_xor(best.logit, mask), gpu::shuffle_xor(best.token, mask)});
  return best;
}

__device__ float penalised(float logit, const SampleRow& row, std::uint32_t seen) {
  logit = logit > 0 ? logit / row.repetition : logit * row.repetition;
  const auto count = static_cast<float>(seen & kHistoryMostTimes);
  return count > 0 ? logit - (row.presence + row.frequency * count) : logit;
}

__global__ void __launch_bounds__(kChunkThreads) sample_chunks(SampleParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const SampleRow& row = p.samples[blockIdx.y];
  if (row.slot < 0) return;
  const int vocab = static_cast<int>(p.logits.columns);
  const int first = static_cast<int>(blockIdx.x * kSampleChunk);
  float* logits = static_cast<float*>(p.logits.data) + blockIdx.y * p.logits.stride;
  const std::uint16_t* history = p.history + row.slot * p.logits.columns;
  const std::uint32_t* mask =
      row.mask < 0 ? nullptr : p.masks + row.mask * sample_mask_words(p.logits.columns);
  constexpr int kPerThread = static_cast<int>(kSampleChunk) / kChunkThreads;
  ChunkBest best = {-INFINITY, vocab};
  float values[kPerThread];
#pragma unroll
  for (int j = 0; j < kPerThread; ++j) {
    const int token = first + j * kChunkThreads + static_cast<int>(threadIdx.x);
    values[j] = token < vocab ? logits[token] : -INFINITY;
  }
#pragma unroll
  for (int j = 0; j < kPerThread; ++j) {
    const int token = first + j * kChunkThreads + static_cast<int>(threadIdx.x);
    if (token >= vocab) continue;
    // 32 neighbours read one word.
    if (mask != nullptr && (mask[token / 32] >> (token % 32) & 1) == 0 && values[j] == values[j])
      logits[token] = values[j] = -INFINITY;
    if (row.uses_history) {
      const std::uint32_t seen = history[token];
      if (seen != 0) logits[token] = values[j] = penalised(values[j], row, seen);
    }
    best = better(best, {values[j], values[j] != values[j] ? -1 : token});
  }
  __shared__ ChunkBest waves[kChunkThreads / gpu::kWave];
  best = wave_best(best);
  if (threadIdx.x % gpu::kWave == 0) waves[threadIdx.x / gpu::kWave] = best;
  __syncthreads();
  if (threadIdx.x != 0) return;
  for (const ChunkBest& other : waves) best = better(best, other);
  static_cast<ChunkBest*>(p.workspace)[blockIdx.y * kChunks + blockIdx.x] = best;
}

// 64 random bits: as in sample_row.cc.
__device__ std::uint64_t mixed(std::uint64_t z) {
  z += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// The upper 64 bits of a product.
__device__ std::uint64_t high_product(std::uint64_t a, std::uint64_t b) {
  const std::uint64_t al = a & 0xffffffffu;
  const std::uint64_t ah = a >> 32;
  const std::uint64_t bl = b & 0xffffffffu;
  const std::uint64_t bh = b >> 32;
  const std::uint64_t middle = ah * bl + (al * bl >> 32);
  return ah * bh + (middle >> 32) + ((al * bh + (middle & 0xffffffffu)) >> 32);
}

__device__ std::uint32_t order_of(float x) {
  const std::uint32_t bits = gpu::bits_of_float(x + 0.0f);  // -0 is 0
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

// Of a histogram of weights: how many, and the sums of their lower 15 and upper bits.
struct Bins {
  std::uint32_t count[kBins], low[kBins], high[kBins];

  __device__ std::uint64_t weight(int bin) const {
    return low[bin] + (std::uint64_t{high[bin]} << 15);
  }
};

struct Scratch {
  union {
    Bins bins;
    std::uint64_t tiles[kTiles][kWaves];
  };
  std::uint64_t waves[kWaves];
  std::uint64_t found[3];
};

// The sum of the values of lower threads; `total` of all.
__device__ std::uint64_t sum_before(std::uint64_t value, Scratch& scratch, std::uint64_t& total) {
  const int lane = static_cast<int>(threadIdx.x % gpu::kWave);
  const int wave = static_cast<int>(threadIdx.x / gpu::kWave);
  std::uint64_t upto = value;
  for (int distance = 1; distance < gpu::kWave; distance *= 2) {
    const std::uint64_t other = gpu::shuffle(upto, lane >= distance ? lane - distance : lane);
    if (lane >= distance) upto += other;
  }
  __syncthreads();
  if (lane == gpu::kWave - 1) scratch.waves[wave] = upto;
  __syncthreads();
  std::uint64_t before = upto - value;
  total = 0;
  for (int i = 0; i < kWaves; ++i) {
    if (i < wave) before += scratch.waves[i];
    total += scratch.waves[i];
  }
  return before;
}

// What is left of the row after min-p.
struct Kept {
  const float* logits;
  int vocab;
  float best, floor, inverse_temperature;
  std::uint32_t limit = 0;  // order of the last one kept by top-k or top-p
  int ties_end = 1 << 30;   // of those equal to it, only ids below this are

  __device__ std::uint32_t weight(float logit) const {
    if (!(logit >= floor)) return 0;
    const float scaled = expf((logit - best) * inverse_temperature) * 1073741824.0f + 0.5f;
    const auto w = static_cast<std::uint32_t>(scaled);
    return w < kSampleOne ? w : kSampleOne;
  }
  __device__ std::uint32_t weight(float logit, int token) const {
    const std::uint32_t order = order_of(logit);
    const bool in = order > limit || (order == limit && token < ties_end);
    return in ? weight(logit) : 0;
  }

  // Calls use(j, logit, token) for the thread's kBatch tokens of a tile; NaN beyond the end, which
  // weighs nothing.
  template <typename Use>
  __device__ void each_of_tile(int tile, const Use& use) const {
    float values[kBatch];
#pragma unroll
    for (int j = 0; j < kBatch; ++j) {
      const int token = tile * kTile + j * kThreads + static_cast<int>(threadIdx.x);
      values[j] = token < vocab ? logits[token] : NAN;
    }
#pragma unroll
    for (int j = 0; j < kBatch; ++j)
      use(j, values[j], tile * kTile + j * kThreads + static_cast<int>(threadIdx.x));
  }
  __device__ int tiles() const {
    return (vocab + kTile - 1) / kTile;
  }
};

// Where the best end that together are `wanted`, counted or weighed.
struct Limit {
  std::uint32_t order;
  std::uint64_t weight;          // of all in
  std::uint64_t ties, all_ties;  // of those equal to `order`: in, and there
};

// Bins from the top: the first whose sum, with all above it, reaches `wanted`.
__device__ int find_bin(std::uint64_t wanted, bool by_weight, Scratch& s, std::uint64_t& above) {
  constexpr int kPerThread = kBins / kThreads;
  std::uint64_t mine = 0;
  const auto value = [&](int bin) {
    return by_weight ? s.bins.weight(bin) : std::uint64_t{s.bins.count[bin]};
  };
  const int top = kBins - 1 - static_cast<int>(threadIdx.x) * kPerThread;
  for (int i = 0; i < kPerThread; ++i) mine += value(top - i);
  std::uint64_t total = 0;
  std::uint64_t before = sum_before(mine, s, total);
  for (int i = 0; i < kPerThread; ++i) {
    const std::uint64_t v = value(top - i);
    if (before < wanted && wanted <= before + v) {
      s.found[0] = static_cast<std::uint64_t>(top - i);
      s.found[1] = before;
    }
    before += v;
  }
  __syncthreads();
  above = s.found[1];
  return static_cast<int>(s.found[0]);
}

// `share` of everything if `by_weight`, else `wanted` tokens; false if these are all there are.
__device__ bool descend(const Kept& kept, bool by_weight, double share, std::uint64_t wanted,
                        Scratch& s, Limit& limit) {
  std::uint32_t prefix = 0;
  limit.weight = 0;
  for (int digit = 0; digit < 3; ++digit) {
    const int shift = digit == 0 ? 21 : digit == 1 ? 10 : 0;
    const int known = digit == 0 ? 32 : digit == 1 ? 21 : 10;  // bits below the prefix
    __syncthreads();
    for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kThreads)
      s.bins.count[b] = s.bins.low[b] = s.bins.high[b] = 0;
    __syncthreads();
    for (int tile = 0; tile < kept.tiles(); ++tile)
      kept.each_of_tile(tile, [&](int, float logit, int) {
        const std::uint32_t order = order_of(logit);
        if (digit > 0 && order >> known != prefix) return;
        const std::uint32_t w = kept.weight(logit);
        if (w == 0) return;
        const std::uint32_t bin = (order >> shift) & (digit < 2 ? kBins - 1 : kBins / 2 - 1);
        gpu::add_atomic(&s.bins.count[bin], 1u);
        gpu::add_atomic(&s.bins.low[bin], w & 0x7fffu);
        gpu::add_atomic(&s.bins.high[bin], w >> 15);
      });
    __syncthreads();
    if (digit == 0) {
      std::uint64_t count = 0;
      std::uint64_t weight = 0;
      for (int b = static_cast<int>(threadIdx.x); b < kBins; b += kThreads) {
        count += s.bins.count[b];
        weight += s.bins.weight(b);
      }
      std::uint64_t all = 0;
      sum_before(by_weight ? weight : count, s, all);
      if (by_weight && wanted == 0)
        wanted = static_cast<std::uint64_t>(ceil(share * static_cast<double>(all)));
      if (wanted >= all && !by_weight) return false;
    }
    std::uint64_t above = 0;
    const int bin = find_bin(wanted, by_weight, s, above);
    // Weights of what is above, whichever way was counted.
    std::uint64_t heavier = 0;
    for (int b = bin + 1 + static_cast<int>(threadIdx.x); b < kBins; b += kThreads)
      heavier += s.bins.weight(b);
    std::uint64_t sum = 0;
    sum_before(heavier, s, sum);
    limit.weight += sum;
    wanted -= above;
    prefix = digit < 2 ? prefix << 11 | static_cast<std::uint32_t>(bin)
                       : prefix << 10 | static_cast<std::uint32_t>(bin);
    if (digit == 2) {
      limit.all_ties = s.bins.count[bin];
      const std::uint64_t each = s.bins.weight(bin) / limit.all_ties;
      limit.ties = by_weight ? (wanted + each - 1) / each : wanted;
      limit.weight += limit.ties * each;
    }
  }
  limit.order = prefix;
  return true;
}

// The id after the `count`-th token that equals the limit.
__device__ int end_of_ties(const Kept& kept, std::uint32_t order, std::uint64_t count, Scratch& s) {
  std::uint64_t seen = 0;
  for (int base = 0; base < kept.vocab; base += kThreads) {
    const int token = base + static_cast<int>(threadIdx.x);
    const bool tie = token < kept.vocab && order_of(kept.logits[token]) == order;
    std::uint64_t total = 0;
    const std::uint64_t before = seen + sum_before(tie ? 1 : 0, s, total);
    if (tie && before + 1 == count) s.found[2] = static_cast<std::uint64_t>(token) + 1;
    seen += total;
    if (seen >= count) break;
  }
  __syncthreads();
  return static_cast<int>(s.found[2]);
}

__device__ int draw(const Kept& kept, const SampleRow& row, Scratch& s) {
  __syncthreads();
  for (int tile = 0; tile < kept.tiles(); ++tile) {
    std::uint64_t sum = 0;
    kept.each_of_tile(tile, [&](int, float logit, int token) { sum += kept.weight(logit, token); });
    for (int mask = gpu::kWave / 2; mask > 0; mask /= 2) sum += gpu::shuffle_xor(sum, mask);
    if (threadIdx.x % gpu::kWave == 0) s.tiles[tile][threadIdx.x / gpu::kWave] = sum;
  }
  __syncthreads();
  std::uint64_t mine = 0;
  if (static_cast<int>(threadIdx.x) < kept.tiles())
    for (int i = 0; i < kWaves; ++i) mine += s.tiles[threadIdx.x][i];
  std::uint64_t total = 0;
  const std::uint64_t before = sum_before(mine, s, total);
  const std::uint64_t target =
      high_product(mixed(mixed(row.seed) ^ static_cast<std::uint64_t>(row.position)), total);
  if (before <= target && target < before + mine) {
    s.found[0] = threadIdx.x;
    s.found[1] = before;
  }
  __syncthreads();
  const int tile = static_cast<int>(s.found[0]);
  std::uint64_t passed = s.found[1];
  for (int j = 0; j < kBatch; ++j) {
    const int token = tile * kTile + j * kThreads + static_cast<int>(threadIdx.x);
    const std::uint64_t w = token < kept.vocab ? kept.weight(kept.logits[token], token) : 0;
    std::uint64_t sum = 0;
    const std::uint64_t start = passed + sum_before(w, s, sum);
    if (start <= target && target < start + w) s.found[2] = static_cast<std::uint64_t>(token);
    passed += sum;
    if (target < passed) break;
  }
  __syncthreads();
  return static_cast<int>(s.found[2]);
}

__global__ void __launch_bounds__(kThreads) sample_rows(SampleParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const SampleRow& row = p.samples[blockIdx.x];
  if (row.slot < 0) return;
  __shared__ Scratch scratch;
  __shared__ ChunkBest first;
  const int vocab = static_cast<int>(p.logits.columns);
  const int chunks = (vocab + static_cast<int>(kSampleChunk) - 1) / static_cast<int>(kSampleChunk);
  if (threadIdx.x < gpu::kWave) {
    const auto* bests = static_cast<const ChunkBest*>(p.workspace) + blockIdx.x * kChunks;
    const int lane = static_cast<int>(threadIdx.x);
    const ChunkBest best = wave_best(lane < chunks ? bests[lane] : bests[0]);
    if (lane == 0) first = best;
  }
  __syncthreads();
  int token = first.token;
  const float best = first.logit;
  if (token >= 0 && row.inverse_temperature > 0 && best > -INFINITY && best < INFINITY) {
    Kept kept = {static_cast<const float*>(p.logits.data) + blockIdx.x * p.logits.stride, vocab,
                 best, best - row.min_p_distance, row.inverse_temperature};
    Limit limit = {};
    bool limited = false;
    std::uint64_t weight = 0;  // of those that top-k kept; 0: of all
    if (row.top_k > 0 && row.top_k < vocab) {
      limited = descend(kept, false, 0, static_cast<std::uint64_t>(row.top_k), scratch, limit);
      if (limited) weight = limit.weight;
    }
    if (row.top_p < 1) {
      const std::uint64_t wanted =
          static_cast<std::uint64_t>(ceil(row.top_p * static_cast<double>(weight)));
      descend(kept, true, row.top_p, wanted, scratch, limit);
      limited = true;
    }
    if (limited) {
      kept.limit = limit.order;
      if (limit.ties < limit.all_ties)
        kept.ties_end = end_of_ties(kept, limit.order, limit.ties, scratch);
    }
    token = draw(kept, row, scratch);
  }
  if (threadIdx.x != 0) return;
  if (row.kept) p.sampled[row.slot] = token < 0 ? 0 : token;
  p.results[row.result] = token;
  if (!row.uses_history || token < 0) return;
  std::uint16_t& seen = p.history[row.slot * p.logits.columns + token];
  if ((seen & kHistoryMostTimes) != kHistoryMostTimes) ++seen;
}

}  // namespace

void run_sample(const SampleParams& p, Stream& stream) {
  if (p.rows == 0) return;
  const auto rows = static_cast<unsigned>(p.rows);
  const auto chunks = static_cast<unsigned>((p.logits.columns + kSampleChunk - 1) / kSampleChunk);
  gpu::launch(sample_chunks, {.grid = {chunks, rows}, .block = {kChunkThreads}, .overlaps = true},
              stream, p);
  gpu::launch(sample_rows, {.grid = {rows}, .block = {kThreads}, .overlaps = true}, stream, p);
}

}  // namespace millrace::MILLRACE_GPU
