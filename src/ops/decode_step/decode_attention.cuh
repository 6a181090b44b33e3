// Attention of one step, by the eight waves that multiply. An item is one KV head of one sequence
// over a part of its cache, which comes through the ring like weights do: tiles of up to four cache
// blocks of 16 tokens, keys then values. Waves take eight tokens of a tile each; what they hold is
// put together per item here, and over items by the reader of the output (Inputs::load_parts).
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::cuda::decode {

constexpr float kLog2E = 1.44269504f;
constexpr int kGroup = kDecodeMostGroup;
constexpr int kDim = kDecodeHeadDim;

struct AttentionScratch {
  float* queries;           // [group][64], times scale * log2(e)
  std::uint32_t* new_key;   // BF16 pairs of the token at hand
  std::uint32_t* new_value;
  float* sums;              // [wave][group][64]
  float* best;              // [wave][group]
  float* total;
};
inline __device__ AttentionScratch attention_scratch(const Block& b) {
  float* at = reinterpret_cast<float*>(b.input);
  AttentionScratch s;
  s.queries = at;
  s.new_key = reinterpret_cast<std::uint32_t*>(at + kGroup * kDim);
  s.new_value = s.new_key + kDim / 2;
  s.sums = at + kGroup * kDim + kDim;
  s.best = s.sums + kDecodeWaves * kGroup * kDim;
  s.total = s.best + kDecodeWaves * kGroup;
  return s;
}

// A lane's pair of a head's 64 values (2 * lane, 2 * lane + 1), as the product left them.
inline __device__ std::uint32_t look_for_pair(const std::uint32_t* word) {
  std::uint32_t v = load_word(word);
  for (int looks = 0; v == kDecodeUnwritten; ++looks) {
    if (looks > kMostLooks) __trap();
    v = load_word(word);
  }
  return v;
}

// Norm and rotation of a head; rounded to BF16 as a pair of neighbours.
inline __device__ std::uint32_t rotate(std::uint32_t pair, const float* weight, float epsilon,
                                       const float* cosines, const float* sines) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  float a = low_half(pair);
  float b = high_half(pair);
  const float scale = 1.0f / sqrtf(wave_sum(a * a + b * b) / kDim + epsilon);
  a *= scale * weight[2 * lane];
  b *= scale * weight[2 * lane + 1];
  const float other_a = __shfl_xor_sync(~0u, a, 16);
  const float other_b = __shfl_xor_sync(~0u, b, 16);
  const int angle = 2 * lane % 32;
  const float sign = lane < 16 ? -1.0f : 1.0f;
  return pack_pair(a * cosines[angle] + sign * other_a * sines[angle],
                   b * cosines[angle + 1] + sign * other_b * sines[angle + 1]);
}

// Query heads by waves 0 to 3, key by 4, value by 5.
inline __device__ void prepare(const DecodeStepParams& p, const Block& b, const DecodePhase& ph,
                               const AttentionItem& item, const SpanView& span,
                               const AttentionScratch& scratch) {
  const int wave = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int group = p.heads / p.kv_heads;
  const std::uint32_t* in = b.exchange + item.row * p.row_words + ph.in + lane;
  const float* cosines = p.cosines + std::int64_t{span.position} * (kDim / 2);
  const float* sines = p.sines + std::int64_t{span.position} * (kDim / 2);
  if (wave < group) {
    const std::uint32_t pair = look_for_pair(in + (item.kv_head * group + wave) * (kDim / 2));
    const std::uint32_t q = rotate(pair, ph.norm, p.epsilon, cosines, sines);
    constexpr float kScale = 0.125f * kLog2E;  // 1 / sqrt(64)
    scratch.queries[wave * kDim + 2 * lane] = low_half(q) * kScale;
    scratch.queries[wave * kDim + 2 * lane + 1] = high_half(q) * kScale;
  }
  const bool newest = item.split == b.splits - 1;  // its part holds the token at hand
  if (!newest || wave < 4 || wave > 5) return;
  const bool key = wave == 4;
  const int head = p.heads + (key ? 0 : p.kv_heads) + item.kv_head;
  std::uint32_t pair = look_for_pair(in + head * (kDim / 2));
  if (key) pair = rotate(pair, ph.k_norm, p.epsilon, cosines, sines);
  (key ? scratch.new_key : scratch.new_value)[lane] = pair;
  if (!span.writes_kv) return;
  const std::int64_t block =
      p.batch.block_tables[span.table * p.batch.table_stride + span.position / kDecodeBlockTokens];
  const std::int64_t at = ((block * p.kv_heads + item.kv_head) * kDecodeBlockTokens +
                           span.position % kDecodeBlockTokens) *
                          (kDim / 2);
  std::byte* layer = (key ? p.keys : p.values) + ph.cache_layer * p.kv_layer_stride;
  reinterpret_cast<std::uint32_t*>(layer)[at + lane] = pair;
}

// What a wave has seen so far.
struct WaveState {
  float q[kGroup][16];       // dimensions 8t..8t+7 and 32+8t..
  float sums[kGroup][2];     // dimensions 2 lane, 2 lane + 1
  float best[kGroup];
  float total[kGroup];       // of this lane's tokens
};

// Eight tokens: lane 4i + t scores token i over a quarter of the dimensions.
inline __device__ void visit(WaveState& s, const std::byte* keys, const std::byte* values,
                             std::int64_t position, std::int64_t last, bool there,
                             const AttentionScratch& scratch) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int token = lane / 4;
  const int t = lane % 4;
  const bool visible = there && position + token <= last;
  const std::byte* key = position + token == last
                             ? reinterpret_cast<const std::byte*>(scratch.new_key)
                             : keys + token * kDim * 2;
  float scores[kGroup] = {};
  if (visible) {
    const uint4 k[2] = {*reinterpret_cast<const uint4*>(key + 16 * t),
                        *reinterpret_cast<const uint4*>(key + 64 + 16 * t)};
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const std::uint32_t w[4] = {k[half].x, k[half].y, k[half].z, k[half].w};
#pragma unroll
      for (int i = 0; i < 4; ++i)
#pragma unroll
        for (int h = 0; h < kGroup; ++h) {
          scores[h] = fmaf(s.q[h][8 * half + 2 * i], low_half(w[i]), scores[h]);
          scores[h] = fmaf(s.q[h][8 * half + 2 * i + 1], high_half(w[i]), scores[h]);
        }
    }
  }
  float weights[kGroup];
#pragma unroll
  for (int h = 0; h < kGroup; ++h) {
    float score = scores[h];
    score += __shfl_xor_sync(~0u, score, 1);
    score += __shfl_xor_sync(~0u, score, 2);
    if (!visible) score = -INFINITY;
    float best = fmaxf(s.best[h], score);
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 4));
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 8));
    best = fmaxf(best, __shfl_xor_sync(~0u, best, 16));
    const float zero = best == -INFINITY ? 0.0f : best;
    const float rescale = exp2f(s.best[h] - zero);
    s.best[h] = best;
    weights[h] = exp2f(score - zero);
    s.total[h] = fmaf(s.total[h], rescale, weights[h]);
    s.sums[h][0] *= rescale;
    s.sums[h][1] *= rescale;
  }
  if (!there) return;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    if (position + i > last) break;
    const std::uint32_t v =
        position + i == last ? scratch.new_value[lane]
                             : reinterpret_cast<const std::uint32_t*>(values)[i * (kDim / 2) + lane];
#pragma unroll
    for (int h = 0; h < kGroup; ++h) {
      const float weight = __shfl_sync(~0u, weights[h], 4 * i);
      s.sums[h][0] = fmaf(weight, low_half(v), s.sums[h][0]);
      s.sums[h][1] = fmaf(weight, high_half(v), s.sums[h][1]);
    }
  }
}

inline __device__ void attend(const DecodeStepParams& p, const Block& b, const DecodePhase& ph,
                              int phase, Turn& tile) {
  const int thread = static_cast<int>(threadIdx.x);
  const int wave = thread / kLanes;
  const int lane = thread % kLanes;
  const int group = p.heads / p.kv_heads;
  const int items = attention_items(p, b);
  if (static_cast<int>(blockIdx.x) >= items) return;
  const AttentionScratch scratch = attention_scratch(b);
  await_input(b, phase);
  for (int index = blockIdx.x; index < items; index += p.processors) {
    const AttentionItem item = attention_item(p, b, index);
    const SpanView span = p.batch.spans[item.row];
    sync_multipliers();  // scratch was somebody's input, or the item's before
    prepare(p, b, ph, item, span, scratch);
    sync_multipliers();
    if (thread == 0) stamp(p, phase, kStampLoaded, clock64());
    WaveState s;
#pragma unroll
    for (int h = 0; h < kGroup; ++h) {
      s.best[h] = -INFINITY;
      s.total[h] = s.sums[h][0] = s.sums[h][1] = 0;
#pragma unroll
      for (int i = 0; i < 16; ++i)
        s.q[h][i] = h < group ? scratch.queries[h * kDim + i / 8 * 32 + 8 * (lane % 4) + i % 8]
                              : 0.0f;
    }
    for (std::int64_t block = item.first_block; block < item.last_block; block += 4) {
      wait_for(&b.full[tile.at], tile.parity);
      const std::byte* keys = b.ring + tile.at * kDecodeTileBytes + wave / 2 * 4096 + wave % 2 * 1024;
      visit(s, keys, keys + 2048, (block + wave / 2) * kDecodeBlockTokens + wave % 2 * 8,
            span.position, block + wave / 2 < item.last_block, scratch);
      __syncwarp();
      if (lane == 0) arrive(&b.empty[tile.at]);
      tile.advance(p.tiles);
    }
    if (thread == 0) stamp(p, phase, kStampLast, clock64());
#pragma unroll
    for (int h = 0; h < kGroup; ++h) {
      float total = s.total[h];
      total += __shfl_xor_sync(~0u, total, 4);
      total += __shfl_xor_sync(~0u, total, 8);
      total += __shfl_xor_sync(~0u, total, 16);
      *reinterpret_cast<float2*>(scratch.sums + (wave * kGroup + h) * kDim + 2 * lane) = {
          s.sums[h][0], s.sums[h][1]};
      if (lane == 0) {
        scratch.best[wave * kGroup + h] = s.best[h];
        scratch.total[wave * kGroup + h] = total;
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
        const float scale = exp2f(scratch.best[w * kGroup + h] - zero);
        total = fmaf(scale, scratch.total[w * kGroup + h], total);
        sum = fmaf(scale, scratch.sums[(w * kGroup + h) * kDim + d], sum);
      }
      const int head = item.kv_head * group + h;
      std::uint32_t* out = b.exchange + item.row * p.row_words + ph.out;
      store_word(out + item.split * part_words(p) + head * kDim + d,
                 __float_as_uint(total > 0 ? sum / total : 0.0f));
      if (d == 0)
        store_word(out + kDecodeStepMostSplits * part_words(p) + item.split * p.heads + head,
                   __float_as_uint(total > 0 ? best + log2f(total) : -INFINITY));
    }
  }
  sync_multipliers();  // nobody's input may overwrite what is still being read
  if (thread == 0) {
    count_up(b.hint(phase));
    stamp(p, phase, kStampPublished, clock64());
  }
}

}  // namespace millrace::cuda::decode
