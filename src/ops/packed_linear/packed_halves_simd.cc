// Products of BF16 weights with rows rounded to BF16, by the instruction that multiplies pairs.
#include "ops/packed_linear/packed_tiles.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace::MILLRACE_ISA {
namespace {

// Pairs of neighbouring k, one of each lane's column.
#if defined(__ARM_NEON)
using Pairs = bfloat16x8_t;
#else
using Pairs = __m512bh;
#endif

MILLRACE_INLINE Pairs splat_pair(const BF16* x) {
  std::int32_t pair;
  __builtin_memcpy(&pair, x, sizeof(pair));
#if defined(__ARM_NEON)
  return vreinterpretq_bf16_s32(vdupq_n_s32(pair));
#else
  return __builtin_bit_cast(Pairs, _mm512_set1_epi32(pair));
#endif
}

// acc[lane] += the products of both elements of the pairs.
MILLRACE_INLINE Floats dot2(Floats acc, Pairs w, Pairs x) {
#if defined(__ARM_NEON)
  return vbfdotq_f32(acc, w, x);
#else
  return __builtin_bit_cast(Floats, _mm512_dpbf16_ps(__builtin_bit_cast(__m512, acc), w, x));
#endif
}

struct HalfTile {
#if defined(__ARM_NEON)
  static constexpr int kVectors = 4, kRows = 4;
  static constexpr int kWide = 8, kFewRows = 2;
#else
  static constexpr int kVectors = 2, kRows = 12;
  static constexpr int kWide = 4, kFewRows = 4;
#endif

  template <int kWidth, int kHeight>
  MILLRACE_INLINE void run(const PackedBlock& b, std::int64_t vector, std::int64_t t) {
    const TileColumns<kWidth> columns = columns_at<kWidth>(b, vector);
    const EncodedHalves* in[kHeight];
    for (int r = 0; r < kHeight; ++r)
      in[r] = reinterpret_cast<const EncodedHalves*>(encoded_row(b, t + r));
    Floats total[kHeight][kWidth] = {};
    const LinesAhead<kWidth, PanelBF16, 4096> ahead(b, columns, vector);
    const bool from_memory = t == 0 && b.count <= kRows;
    const std::int64_t blocks = (b.weight.k + kEncodedLength - 1) / kEncodedLength;
    for (std::int64_t i = 0; i < blocks; ++i) {
      const PanelBF16* panel[kWidth];
      for (int v = 0; v < kWidth; ++v)
        panel[v] = reinterpret_cast<const PanelBF16*>(columns.panel[v]) + i;
#pragma GCC unroll 2
      for (int pair = 0; pair < 32; ++pair) {
        Pairs w[kWidth];
        for (int v = 0; v < kWidth; ++v) {
          w[v] = load_as<Pairs>(panel[v]->w[pair] + columns.lane[v]);
          // Line by line, so that products go on meanwhile.
          if (from_memory && v % kVectorsPerPanel == 0)
            __builtin_prefetch(ahead.at(i, v) + pair * static_cast<int>(sizeof(panel[v]->w[pair])));
        }
        for (int r = 0; r < kHeight; ++r) {
          const Pairs x = splat_pair(in[r][i].x + 2 * pair);
          for (int v = 0; v < kWidth; ++v) total[r][v] = dot2(total[r][v], w[v], x);
        }
      }
    }
    for (int r = 0; r < kHeight; ++r)
      for (int v = 0; v < kWidth; ++v) finish(b, t + r, (vector + v) * kLanes, total[r][v]);
  }
};

}  // namespace

void encode_halves(const float* in, std::int64_t k, void* to) {
  auto* x = static_cast<EncodedHalves*>(to)->x;
  std::int64_t i = 0;
  for (; i + kLanes <= k; i += kLanes) narrow_bf16(x + i, load(in + i));
  float last[kLanes] = {};
  for (std::int64_t j = i; j < k; ++j) last[j - i] = in[j];
  for (const std::int64_t end = encoded_blocks(k) * kEncodedLength; i < end; i += kLanes) {
    narrow_bf16(x + i, load(last));
    for (float& value : last) value = 0;
  }
}

void packed_halves(const PackedBlock& b) {
  walk<HalfTile>(b);
}

}  // namespace millrace::MILLRACE_ISA
