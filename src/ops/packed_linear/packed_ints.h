// A tile of quantised columns times rows of small integers: exact sums of 32 products (16 for
// Q6_K), scaled and added up in float. The same bits on every instruction set. Included by sources
// that are compiled once per instruction set.
#pragma once

#include "ops/packed_linear/packed_tiles.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace::MILLRACE_ISA {
namespace {

// What dot4() takes off the bytes of w, which are at most kMost: NEON's instruction has signed
// ones.
#if defined(__ARM_NEON)
template <int kMost>
constexpr int kTakenOff = kMost > 127 ? 128 : 0;
#else
template <int kMost>
constexpr int kTakenOff = 0;
#endif

// acc[lane] += sum of four products of the unsigned bytes of w, less kTakenOff, with the signed
// ones of x.
template <int kMost>
MILLRACE_INLINE Ints dot4(Ints acc, Words w, std::int32_t x) {
#if defined(MILLRACE_ISA_avx512)
  return __builtin_bit_cast(
      Ints, _mm512_dpbusd_epi32(__builtin_bit_cast(__m512i, acc), __builtin_bit_cast(__m512i, w),
                                _mm512_set1_epi32(x)));
#elif defined(__ARM_NEON)
  if constexpr (kTakenOff < kMost >> 0) w ^= 0x80808080u;
  return vdotq_s32(acc, __builtin_bit_cast(int8x16_t, w), vreinterpretq_s8_s32(vdupq_n_s32(x)));
#else
  const __m256i xs = _mm256_set1_epi32(x);
  const auto ws = __builtin_bit_cast(__m256i, w);
  __m256i sums;
  if constexpr (2 * kMost * 127 < 32768) {
    sums = _mm256_madd_epi16(_mm256_maddubs_epi16(ws, xs), _mm256_set1_epi16(1));
  } else {  // pairs of products of whole bytes do not fit 16 bits: even and odd bytes apart
    const __m256i even = _mm256_madd_epi16(_mm256_and_si256(ws, _mm256_set1_epi16(255)),
                                           _mm256_srai_epi16(_mm256_slli_epi16(xs, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(ws, 8), _mm256_srai_epi16(xs, 8));
    sums = _mm256_add_epi32(even, odd);
  }
  return acc + __builtin_bit_cast(Ints, sums);
#endif
}

MILLRACE_INLINE Ints splat_int(std::int32_t x) {
  return Ints{} + x;
}
MILLRACE_INLINE Floats as_float(Ints values) {
  return __builtin_convertvector(values, Floats);
}

// Integers of groups g and g + 4 of sub-block s, lanes from `lane` on.
template <typename Panel>
MILLRACE_INLINE void unpack(const Panel& panel, int s, int g, int lane, Words& low, Words& high) {
  constexpr int kLow = 0x0f0f0f0f;
  if constexpr (sizeof(panel.q[0]) == 8 * 64) {
    low = load_as<Words>(panel.q[s][g] + 4 * lane);
    high = load_as<Words>(panel.q[s][g + 4] + 4 * lane);
    return;
  } else {
    const Words both = load_as<Words>(panel.q[s][g] + 4 * lane);
    low = both & kLow;
    high = (both >> 4) & kLow;
    if constexpr (requires { panel.scale[0][0][0]; }) {  // Q6_K
      const Words first = load_as<Words>(panel.high[s][0] + 4 * lane);
      const Words second = load_as<Words>(panel.high[s][1] + 4 * lane);
      low |= ((first >> (2 * g)) & 0x03030303u) << 4;
      high |= ((second >> (2 * g)) & 0x03030303u) << 4;
    } else if constexpr (requires { panel.high; }) {
      const Words fifth = load_as<Words>(panel.high[s] + 4 * lane);
      low |= ((fifth >> g) & 0x01010101u) << 4;
      high |= ((fifth >> (g + 4)) & 0x01010101u) << 4;
    }
  }
}

// What an exact sum of sub-block s is multiplied with (half: of Q6_K's two), and what the sum of
// the row's elements is.
template <typename Panel>
MILLRACE_INLINE Floats scale_of_sum(const Panel& panel, int s, int half, int lane) {
  if constexpr (requires { panel.dmin; })
    return widen_f16(panel.d + lane) * as_float(widen(panel.scale[s] + lane));
  else if constexpr (requires { panel.scale; })
    return widen_f16(panel.d + lane) * as_float(widen(panel.scale[s][half] + lane));
  else
    return widen_f16(panel.d[s] + lane);
}
template <typename Panel>
MILLRACE_INLINE Floats minimum_of(const Panel& panel, int s, int lane) {
  if constexpr (requires { panel.dmin; })
    return -(widen_f16(panel.dmin + lane) * as_float(widen(panel.min[s] + lane)));
  else
    return widen_f16(panel.m[s] + lane);
}

template <DType kType>
struct IntTile {
#if defined(MILLRACE_ISA_avx512)
  static constexpr int kVectors = 2, kRows = 6;
  static constexpr int kWide = 4, kFewRows = 2;
#elif defined(__ARM_NEON)
  static constexpr int kVectors = 4, kRows = 4;
  static constexpr int kWide = 8, kFewRows = 1;
#else
  static constexpr int kVectors = 2, kRows = 2;
  static constexpr int kWide = 2, kFewRows = 1;
#endif
  using Of = PanelOf<kType>;
  using Panel = typename Of::Type;
  static constexpr int kSubBlocks = Of::kLength / kSubBlock;
  // Groups of four that share a scale: all eight, but for Q6_K.
  static constexpr int kHalves = kType == DType::Q6_K ? 2 : 1;
  static constexpr bool kHasMinimum =
      kType == DType::Q4_1 || kType == DType::Q5_1 || kType == DType::Q4_K || kType == DType::Q5_K;
  static constexpr int kMost = kType == DType::Q8_0 ? 255 : kType == DType::Q6_K ? 63 : 31;
  // Still to be taken off the stored integers once dot4() has its part.
  static constexpr int kOffset = Of::kOffset - kTakenOff<kMost>;

  template <int kWidth, int kHeight>
  MILLRACE_INLINE void run(const PackedBlock& b, std::int64_t vector, std::int64_t t) {
    if (t == 0 && b.count <= 2 * kRows)
      run_tile<kWidth, kHeight, true>(b, vector, t);
    else
      run_tile<kWidth, kHeight, false>(b, vector, t);
  }

  // kFromMemory: nobody has read these weights before, and products do not take long. A function of
  // its own: all tiles in one took GCC two minutes.
  template <int kWidth, int kHeight, bool kFromMemory>
  static __attribute__((noinline)) void run_tile(const PackedBlock& b, std::int64_t vector,
                                                 std::int64_t t) {
    const TileColumns<kWidth> columns = columns_at<kWidth>(b, vector);
    const EncodedInts* in[kHeight];
    for (int r = 0; r < kHeight; ++r)
      in[r] = reinterpret_cast<const EncodedInts*>(encoded_row(b, t + r));
    Floats total[kHeight][kWidth] = {};
    const LinesAhead<kWidth, Panel, 2048> ahead(b, columns, vector);
    const std::int64_t blocks = (b.weight.k + Of::kLength - 1) / Of::kLength;
    for (std::int64_t i = 0; i < blocks; ++i) {
      const Panel* panel[kWidth];
      for (int v = 0; v < kWidth; ++v)
        panel[v] = reinterpret_cast<const Panel*>(columns.panel[v]) + i;
      for (int s = 0; s < kSubBlocks; ++s) {
        // Some lines at a time, so that products go on meanwhile.
        constexpr std::size_t kShare = (sizeof(Panel) / 64 + kSubBlocks - 1) / kSubBlocks;
        if constexpr (kFromMemory)
          for (int v = 0; v < kWidth; v += kVectorsPerPanel)
            for (std::size_t line = 0; line < kShare; ++line)
              __builtin_prefetch(ahead.at(i, v) +
                                 64 * (static_cast<std::size_t>(s) * kShare + line));
        const std::int64_t x = i * (Of::kLength / kEncodedLength) + s / 2;
        sub_block<kWidth, kHeight>(panel, columns.lane, s, in, x, total);
      }
    }
    for (int r = 0; r < kHeight; ++r)
      for (int v = 0; v < kWidth; ++v) finish(b, t + r, (vector + v) * kLanes, total[r][v]);
  }

  // total += sub-block s of the panels times elements 64 x + 32 (s % 2) and on of the rows.
  template <int kWidth, int kHeight>
  MILLRACE_INLINE void sub_block(const Panel* const (&panel)[kWidth], const int (&lane)[kWidth],
                                 int s, const EncodedInts* const (&in)[kHeight], std::int64_t x,
                                 Floats (&total)[kHeight][kWidth]) {
    const int odd = s % 2;
    Ints sums[kHalves][kHeight][kWidth];
    for (int r = 0; r < kHeight; ++r) {
      const std::int32_t* sum = in[r][x].sum + 2 * odd;
      for (int half = 0; half < kHalves; ++half) {
        const std::int32_t of_rows = kHalves == 2 ? sum[half] : sum[0] + sum[1];
        for (int v = 0; v < kWidth; ++v) sums[half][r][v] = splat_int(-kOffset * of_rows);
      }
    }
#pragma GCC unroll 4
    for (int g = 0; g < 4; ++g) {
      Words low[kWidth];
      Words high[kWidth];
      for (int v = 0; v < kWidth; ++v) unpack(*panel[v], s, g, lane[v], low[v], high[v]);
      for (int r = 0; r < kHeight; ++r) {
        const std::int8_t* q = in[r][x].q + 32 * odd + 4 * g;
        std::int32_t x_low;
        std::int32_t x_high;
        __builtin_memcpy(&x_low, q, 4);
        __builtin_memcpy(&x_high, q + 16, 4);
        for (int v = 0; v < kWidth; ++v) {
          sums[0][r][v] = dot4<kMost>(sums[0][r][v], low[v], x_low);
          Ints& upper = sums[kHalves - 1][r][v];
          upper = dot4<kMost>(upper, high[v], x_high);
        }
      }
    }
    for (int v = 0; v < kWidth; ++v) {
      for (int half = 0; half < kHalves; ++half) {
        const Floats scale = scale_of_sum(*panel[v], s, half, lane[v]);
        for (int r = 0; r < kHeight; ++r)
          total[r][v] =
              fma(as_float(sums[half][r][v]) * splat(in[r][x].d[odd]), scale, total[r][v]);
      }
      if constexpr (kHasMinimum) {
        const Floats minimum = minimum_of(*panel[v], s, lane[v]);
        for (int r = 0; r < kHeight; ++r)
          total[r][v] = fma(minimum, splat(in[r][x].sum_x[odd]), total[r][v]);
      }
    }
  }
};

}  // namespace
}  // namespace millrace::MILLRACE_ISA
