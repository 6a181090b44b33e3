// Attention of one step, by the eight waves that multiply. An item is one KV head of one sequence
// over a part of its cache, which comes through the ring like weights do: tiles of up to four cache
// blocks of 16 tokens, eight in FP8, keys then values. A wave takes a block by tensor cores as in
// ops/attention/attention_flash.cu, and a tile busies four waves, or all of them in FP8: rows are
// the query heads of the KV head, and
//   scores = Q K^T   the order of dimensions is free: a lane reads 8 neighbours
//   out   += P V     column g of product j is dimension 8g + j, so that a lane's 8 neighbours of a
//                    value row serve eight products
// What waves hold is put together per item here, and over items by the reader of the output
// (Inputs::load_parts).
#pragma once

#include "ops/decode_step/decode_block.cuh"
#include "ops/decode_step/decode_cache.cuh"

namespace millrace::MILLRACE_GPU::decode {

constexpr float kLog2E = 1.44269504f;
constexpr int kGroup = kDecodeMostGroup;
constexpr int kDim = kDecodeHeadDim;
constexpr int kKeyWave = kGroup;

struct AttentionScratch {
  std::uint32_t* queries;  // [group][64] pairs of factors
  std::byte* new_key;      // of the token at hand, as the cache has it
  std::byte* new_value;
  float* sums;  // [wave][group][64]
  float* best;  // [wave][group]
  float* total;
};
inline __device__ AttentionScratch attention_scratch(const Block& b) {
  float* at = reinterpret_cast<float*>(b.input);
  AttentionScratch s;
  s.queries = reinterpret_cast<std::uint32_t*>(at);
  s.new_key = reinterpret_cast<std::byte*>(at + kGroup * kDim);
  s.new_value = s.new_key + kDim * 2;
  s.sums = at + kGroup * kDim + kDim;
  s.best = s.sums + kDecodeWaves * kGroup * kDim;
  s.total = s.best + kDecodeWaves * kGroup;
  return s;
}

// A lane's pair of a head's 64 values (2 * lane, 2 * lane + 1), as the product left them.
inline __device__ std::uint32_t look_for_pair(const Block& b, const std::uint32_t* word) {
  std::uint32_t v = load_word(word);
  while (v == kDecodeUnwritten && keep_looking(b)) v = load_word(word);
  return v;
}

// What a wave needs for its head beside the product's output: loaded before that is awaited.
struct Preparation {
  Floats2 weight, cosine, sine;  // of this lane's pair
  std::int64_t cache_at;         // where the new pair goes in the layer's keys or values; pairs
};
inline __device__ Preparation preparation_of(const DecodeStepParams& p, const DecodePhase& ph,
                                             const AttentionItem& item, const SpanView& span) {
  const int wave = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t angle = std::int64_t{span.position} * (kDim / 2) + 2 * lane % (kDim / 2);
  const float* norm = wave == kKeyWave ? ph.k_norm : ph.norm;
  const std::int64_t block =
      p.batch.block_tables[span.table * p.batch.table_stride + span.position / kDecodeBlockTokens];
  return {.weight = load_constant(reinterpret_cast<const Floats2*>(norm + 2 * lane)),
          .cosine = load_constant(reinterpret_cast<const Floats2*>(p.cosines + angle)),
          .sine = load_constant(reinterpret_cast<const Floats2*>(p.sines + angle)),
          .cache_at = ((block * p.kv_heads + item.kv_head) * kDecodeBlockTokens +
                       span.position % kDecodeBlockTokens) *
                          (kDim / 2) +
                      lane};
}

// Norm and rotation of a head: a pair of neighbours.
inline __device__ Floats2 rotate(std::uint32_t pair, const Preparation& with, float epsilon) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  float a = low_half(pair);
  float b = high_half(pair);
  const float scale = inverse_root(wave_sum(a * a + b * b) / kDim + epsilon);
  a *= scale * with.weight.x;
  b *= scale * with.weight.y;
  const float other_a = shuffle_xor(a, 16);
  const float other_b = shuffle_xor(b, 16);
  const float sign = lane < 16 ? -1.0f : 1.0f;
  return {a * with.cosine.x + sign * other_a * with.sine.x,
          b * with.cosine.y + sign * other_b * with.sine.y};
}

// Query heads by waves 0 to 3, key by kKeyWave, value by the next.
template <typename Cache>
__device__ void prepare(const DecodeStepParams& p, const Block& b, const DecodePhase& ph,
                        const AttentionItem& item, const SpanView& span, const Preparation& with,
                        const AttentionScratch& scratch) {
  const int wave = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int group = p.heads / p.kv_heads;
  const std::uint32_t* in = b.exchange + item.row * p.row_words + ph.in + lane;
  if (wave < group) {
    const std::uint32_t pair = look_for_pair(b, in + (item.kv_head * group + wave) * (kDim / 2));
    const Floats2 query = rotate(pair, with, p.epsilon);
    scratch.queries[wave * (kDim / 2) + lane] = Cache::factors(pack_pair(query.x, query.y));
  }
  const bool newest = item.split == b.splits - 1;  // its part holds the token at hand
  if (!newest || wave < kKeyWave || wave > kKeyWave + 1) return;
  const bool key = wave == kKeyWave;
  const int head = p.heads + (key ? 0 : p.kv_heads) + item.kv_head;
  const std::uint32_t product = look_for_pair(b, in + head * (kDim / 2));
  const Floats2 row =
      key ? rotate(product, with, p.epsilon) : Floats2{low_half(product), high_half(product)};
  using Pair = typename Cache::Pair;
  const Pair pair = Cache::pack(row.x, row.y);
  reinterpret_cast<Pair*>(key ? scratch.new_key : scratch.new_value)[lane] = pair;
  if (!span.writes_kv) return;
  std::byte* layer = (key ? p.keys : p.values) + ph.cache_layer * p.kv_layer_stride;
  reinterpret_cast<Pair*>(layer)[with.cache_at] = pair;
}

// What a wave has seen so far, for query head g where lane = 4g + t.
struct WaveState {
  Words4 q[2];      // dimensions 32c + 8t ..
  float out[8][4];  // [j][i]: dimension 8 (2t + i) + j; the last two are no row's
  float best;
  float total;  // of this lane's tokens
};

// Element j of two rows of eight, in one word.
inline __device__ std::uint32_t pair_of(const Words4& a, const Words4& b, int j) {
  const std::uint32_t low = j < 2 ? a.x : j < 4 ? a.y : j < 6 ? a.z : a.w;
  const std::uint32_t high = j < 2 ? b.x : j < 4 ? b.y : j < 6 ? b.z : b.w;
  return pick_halves(low, high, j % 2 != 0);
}

// One cache block, whose first token is at `position`; those after `last` are not there yet, and
// `last` itself is in scratch.
template <typename Cache>
__device__ void attend_block(WaveState& s, const std::byte* keys, std::int64_t position,
                             std::int64_t last, const AttentionScratch& scratch) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int g = lane / 4;
  const int t = lane % 4;
  constexpr int kRowBytes = CacheSizes<Cache>::kRowBytes;
  constexpr int kEight = 8 * Cache::kElementBytes;
  const std::byte* values = keys + CacheSizes<Cache>::kBlockBytes;
  float scores[2][4] = {};
  Words4 v[4];
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const int token = 2 * t + i % 2 + i / 2 * 8;
    const std::byte* row =
        position + token == last ? scratch.new_value : values + token * kRowBytes;
    v[i] = {};  // what nobody sees may be anything, NaN too
    if (position + token <= last) v[i] = Cache::read_eight(row + kEight * g);
  }
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    const int token = 8 * n + g;
    const std::byte* row = position + token == last ? scratch.new_key : keys + token * kRowBytes;
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const Words4 k = Cache::read_eight(row + kEight * (4 * c + t));
      Cache::multiply(scores[n], s.q[c].x, s.q[c].y, k.x, k.y);
      Cache::multiply(scores[n], s.q[c].z, s.q[c].w, k.z, k.w);
    }
  }
  float best = s.best;
  float weights[2][2];
#pragma unroll
  for (int n = 0; n < 2; ++n)
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const bool visible = position + 8 * n + 2 * t + i <= last;
      weights[n][i] = visible ? scores[n][i] * (0.125f * kLog2E) : -INFINITY;
      best = fmaxf(best, weights[n][i]);
    }
  best = fmaxf(best, shuffle_xor(best, 1));
  best = fmaxf(best, shuffle_xor(best, 2));
  const float rescale = exp2_fast(s.best - best);
  s.best = best;
  s.total *= rescale;
  std::uint32_t p[2];
#pragma unroll
  for (int n = 0; n < 2; ++n) {
    const float low = exp2_fast(weights[n][0] - best);
    const float high = exp2_fast(weights[n][1] - best);
    s.total += low + high;
    p[n] = Cache::factors(low, high);
  }
#pragma unroll
  for (int j = 0; j < 8; ++j) {
    s.out[j][0] *= rescale;
    s.out[j][1] *= rescale;
    Cache::multiply(s.out[j], p[0], p[1], pair_of(v[0], v[1], j), pair_of(v[2], v[3], j));
  }
}

template <typename Cache>
__device__ void attend(const DecodeStepParams& p, const Block& b, const DecodePhase& ph, int phase,
                       Turn& tile) {
  const int thread = static_cast<int>(threadIdx.x);
  const int wave = thread / kLanes;
  const int lane = thread % kLanes;
  const int group = p.heads / p.kv_heads;
  const int items = attention_items(p, b);
  if (static_cast<int>(blockIdx.x) >= items) return;
  const AttentionScratch scratch = attention_scratch(b);
  for (int index = blockIdx.x; index < items; index += p.processors) {
    const AttentionItem item = attention_item(p, b, index);
    const SpanView span = p.batch.spans[item.row];
    const Preparation preparation = preparation_of(p, ph, item, span);
    await_input(b, phase);
    sync_multipliers();  // scratch was somebody's input, or the item's before
    prepare<Cache>(p, b, ph, item, span, preparation, scratch);
    sync_multipliers();
    if (thread == 0) stamp(p, phase, kStampLoaded, ticks());
    const int g = lane / 4;
    const int t = lane % 4;
    WaveState s = {};
    s.best = -INFINITY;
#pragma unroll
    for (int c = 0; c < 2; ++c)
      if (g < group)
        s.q[c] =
            *reinterpret_cast<const Words4*>(scratch.queries + g * (kDim / 2) + 16 * c + 4 * t);
    constexpr int kBlocks = CacheSizes<Cache>::kTileBlocks;
    static_assert(kDecodeWaves % kBlocks == 0);
    int turn = 0;
    for (std::int64_t block = item.first_block; block < item.last_block && !*b.stuck;
         block += kBlocks, turn = (turn + 1) % (kDecodeWaves / kBlocks)) {
      wait_for(b, &b.full[tile.at], tile.parity);
      const std::int64_t mine = block + wave % kBlocks;
      if (wave / kBlocks == turn && mine < item.last_block)
        attend_block<Cache>(s,
                            b.ring + tile.at * kDecodeTileBytes +
                                wave % kBlocks * (2 * CacheSizes<Cache>::kBlockBytes),
                            mine * kDecodeBlockTokens, span.position, scratch);
      sync_wave();
      if (lane == 0) arrive(&b.empty[tile.at]);
      tile.advance(p.tiles);
    }
    if (thread == 0) stamp(p, phase, kStampLast, ticks());
    s.total += shuffle_xor(s.total, 1);
    s.total += shuffle_xor(s.total, 2);
    if (g < group) {
      float* to = scratch.sums + (wave * kGroup + g) * kDim + 16 * t;
#pragma unroll
      for (int i = 0; i < 2; ++i)
#pragma unroll
        for (int j = 0; j < 8; j += 4)
          *reinterpret_cast<Floats4*>(to + 8 * i + j) = {s.out[j][i], s.out[j + 1][i],
                                                         s.out[j + 2][i], s.out[j + 3][i]};
      if (t == 0) {
        scratch.best[wave * kGroup + g] = s.best;
        scratch.total[wave * kGroup + g] = s.total;
      }
    }
    sync_multipliers();
    const int h = thread / kDim;
    const int d = thread % kDim;
    if (h < group) {
      float best = -INFINITY;
#pragma unroll
      for (int w = 0; w < kDecodeWaves; ++w) best = fmaxf(best, scratch.best[w * kGroup + h]);
      const float zero = best == -INFINITY ? 0.0f : best;
      float sum = 0;
      float total = 0;
#pragma unroll
      for (int w = 0; w < kDecodeWaves; ++w) {
        const float scale = exp2_fast(scratch.best[w * kGroup + h] - zero);
        total = fmaf(scale, scratch.total[w * kGroup + h], total);
        sum = fmaf(scale, scratch.sums[(w * kGroup + h) * kDim + d], sum);
      }
      const int head = item.kv_head * group + h;
      std::uint32_t* out = b.exchange + item.row * p.row_words + ph.out;
      store_word(out + item.split * part_words(p) + head * kDim + d,
                 bits_of_float(total > 0 ? divide_fast(sum, total) : 0.0f));
      if (d == 0)
        store_word(out + kDecodeStepMostSplits * part_words(p) + item.split * p.heads + head,
                   bits_of_float(total > 0 ? best + log2f(total) : -INFINITY));
    }
  }
  sync_multipliers();  // nobody's input may overwrite what is still being read
  if (thread == 0) {
    count_up(b.hint(phase));
    stamp(p, phase, kStampPublished, ticks());
  }
}

}  // namespace millrace::MILLRACE_GPU::decode
