// Vectors of floats as wide as the instruction set this source is compiled for (see
// millrace_isa_sources in cmake/MillraceBuild.cmake). Included by *_simd.cc only: everything is in
// the namespace of the instruction set and inlined, so that no symbol is shared between sets.
#pragma once

#ifndef MILLRACE_ISA
#error "simd.h belongs to sources that are compiled once per instruction set"
#endif

#include <cstdint>

#if defined(MILLRACE_ISA_avx512) || defined(MILLRACE_ISA_avx2)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "tensor/dtype.h"
#include "tensor/fp8.h"
#include "tensor/quant_blocks.h"

#define MILLRACE_INLINE static inline __attribute__((always_inline))

namespace millrace::MILLRACE_ISA {

#if defined(MILLRACE_ISA_avx512)
constexpr int kLanes = 16;
#elif defined(MILLRACE_ISA_avx2)
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;  // SSE2 or NEON
#endif

using Floats __attribute__((vector_size(kLanes * 4))) = float;
using Ints __attribute__((vector_size(kLanes * 4))) = std::int32_t;
using Words __attribute__((vector_size(kLanes * 4))) = std::uint32_t;
using Shorts __attribute__((vector_size(kLanes * 2))) = std::uint16_t;
using Bytes __attribute__((vector_size(kLanes))) = std::uint8_t;
using SignedBytes __attribute__((vector_size(kLanes))) = std::int8_t;

template <typename Vector>
MILLRACE_INLINE Vector load_as(const void* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(vector));  // need not be aligned
  return vector;
}
MILLRACE_INLINE Floats load(const float* from) {
  return load_as<Floats>(from);
}
MILLRACE_INLINE void store(float* to, Floats vector) {
  __builtin_memcpy(to, &vector, sizeof(vector));
}
MILLRACE_INLINE Floats splat(float x) {
  return x - Floats{};
}

// a * b + c, rounded once where the hardware can.
MILLRACE_INLINE Floats fma(Floats a, Floats b, Floats c) {
#if defined(MILLRACE_ISA_avx512)
  return _mm512_fmadd_ps(a, b, c);
#elif defined(MILLRACE_ISA_avx2)
  return _mm256_fmadd_ps(a, b, c);
#elif defined(__ARM_NEON)
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}

MILLRACE_INLINE Floats as_floats(Words bits) {
  return __builtin_bit_cast(Floats, bits);
}
MILLRACE_INLINE Words as_words(Floats values) {
  return __builtin_bit_cast(Words, values);
}

// Integers of 8 and 16 bits to 32. The intrinsics stand here because GCC takes the generic form of
// these conversions apart into scalars.
MILLRACE_INLINE Ints widen(const std::uint8_t* from) {
#if defined(MILLRACE_ISA_avx512)
  return __builtin_bit_cast(Ints, _mm512_cvtepu8_epi32(load_as<__m128i>(from)));
#elif defined(MILLRACE_ISA_avx2)
  return __builtin_bit_cast(Ints, _mm256_cvtepu8_epi32(_mm_loadu_si64(from)));
#elif defined(__SSE2__)
  const __m128i zero = _mm_setzero_si128();
  const __m128i bytes = _mm_cvtsi32_si128(load_as<int>(from));
  return __builtin_bit_cast(Ints, _mm_unpacklo_epi16(_mm_unpacklo_epi8(bytes, zero), zero));
#else
  return __builtin_convertvector(load_as<Bytes>(from), Ints);
#endif
}
MILLRACE_INLINE Ints widen(const std::int8_t* from) {
#if defined(MILLRACE_ISA_avx512)
  return __builtin_bit_cast(Ints, _mm512_cvtepi8_epi32(load_as<__m128i>(from)));
#elif defined(MILLRACE_ISA_avx2)
  return __builtin_bit_cast(Ints, _mm256_cvtepi8_epi32(_mm_loadu_si64(from)));
#elif defined(__SSE2__)
  const __m128i bytes = _mm_cvtsi32_si128(load_as<int>(from));
  const __m128i pairs = _mm_unpacklo_epi8(bytes, bytes);  // the value, in the top byte of four
  return __builtin_bit_cast(Ints, _mm_srai_epi32(_mm_unpacklo_epi16(pairs, pairs), 24));
#else
  return __builtin_convertvector(load_as<SignedBytes>(from), Ints);
#endif
}

MILLRACE_INLINE Floats widen_bf16(const BF16* from) {
#if defined(MILLRACE_ISA_avx512)
  const auto words = __builtin_bit_cast(Words, _mm512_cvtepu16_epi32(load_as<__m256i>(from)));
#elif defined(MILLRACE_ISA_avx2)
  const auto words = __builtin_bit_cast(Words, _mm256_cvtepu16_epi32(load_as<__m128i>(from)));
#elif defined(__SSE2__)
  const auto words = __builtin_bit_cast(
      Words, _mm_unpacklo_epi16(_mm_cvtsi64_si128(load_as<long long>(from)), _mm_setzero_si128()));
#else
  const Words words = __builtin_convertvector(load_as<Shorts>(from), Words);
#endif
  return as_floats(words << 16);
}

// One half, as a block's scale is stored.
MILLRACE_INLINE float scale_of(F16 half) {
#if defined(MILLRACE_ISA_avx512) || defined(MILLRACE_ISA_avx2)
  return _cvtsh_ss(half.bits);
#elif defined(__ARM_NEON)
  return static_cast<float>(__builtin_bit_cast(__fp16, half.bits));
#else
  return to_float(half);
#endif
}

// Several at once. They are left in memory, where splat() costs no shuffle.
template <int kCount>
MILLRACE_INLINE void scales_of(const F16* halves, float* out) {
#if defined(MILLRACE_ISA_avx512) || defined(MILLRACE_ISA_avx2)
  if constexpr (kCount == 4) {
    const std::uint64_t packed =
        std::uint64_t{halves[0].bits} | std::uint64_t{halves[1].bits} << 16 |
        std::uint64_t{halves[2].bits} << 32 | std::uint64_t{halves[3].bits} << 48;
    _mm_storeu_ps(out, _mm_cvtph_ps(_mm_cvtsi64_si128(static_cast<long long>(packed))));
    asm volatile("" ::: "memory");  // or the compiler shuffles them out of the register after all
    return;
  }
#endif
  for (int i = 0; i < kCount; ++i) out[i] = scale_of(halves[i]);
}

// Round to nearest even; NaN stays NaN.
MILLRACE_INLINE void narrow_bf16(BF16* to, Floats values) {
  const Words bits = as_words(values);
  const Words rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const Words quiet = (bits >> 16) | 0x40u;
  const Words is_nan = __builtin_bit_cast(Words, values != values);
  const Shorts halves = __builtin_convertvector((rounded & ~is_nan) | (quiet & is_nan), Shorts);
  __builtin_memcpy(to, &halves, sizeof(halves));
}

MILLRACE_INLINE Floats widen_f16(const F16* from) {
#if defined(MILLRACE_ISA_avx512)
  return _mm512_cvtph_ps(load_as<__m256i>(from));
#elif defined(MILLRACE_ISA_avx2)
  return _mm256_cvtph_ps(load_as<__m128i>(from));
#elif defined(__ARM_NEON)
  return vcvt_f32_f16(load_as<float16x4_t>(from));
#else
#if defined(__SSE2__)
  const auto halves = __builtin_bit_cast(
      Words, _mm_unpacklo_epi16(_mm_cvtsi64_si128(load_as<long long>(from)), _mm_setzero_si128()));
#else
  const Words halves = __builtin_convertvector(load_as<Shorts>(from), Words);
#endif
  // Exponent and fraction in a float's place are the value times 2^-112, also for subnormals.
  const Words magnitude = halves & 0x7fffu;
  const Words finite = as_words(as_floats(magnitude << 13) * 0x1p112f);
  const Words special = 0x7f800000u | (magnitude << 13);
  const Words is_special = __builtin_bit_cast(Words, magnitude >= 0x7c00u);
  return as_floats((finite & ~is_special) | (special & is_special) | ((halves & 0x8000u) << 16));
#endif
}

// Lane by lane: a where `mask` is -1, b where it is 0.
MILLRACE_INLINE Floats select(Ints mask, Floats a, Floats b) {
  return __builtin_bit_cast(
      Floats, (__builtin_bit_cast(Ints, a) & mask) | (__builtin_bit_cast(Ints, b) & ~mask));
}

// OCP's E4M3: see tensor/fp8.h.
MILLRACE_INLINE Floats fp8_of(Words bytes) {
  // Exponent and fraction in a float's place are the value times 2^-120, also for subnormals.
  const Words magnitude = bytes & 0x7fu;
  const Words finite = as_words(as_floats(magnitude << 20) * 0x1p120f);
  const Words is_nan = __builtin_bit_cast(Words, magnitude == 0x7fu);
  return as_floats(finite | (is_nan & 0x7fc00000u) | ((bytes & 0x80u) << 24));
}
MILLRACE_INLINE Floats widen_fp8(const F8E4M3* from) {
  return fp8_of(__builtin_bit_cast(Words, widen(&from->bits)));
}

// Round to nearest even; what is too large becomes the largest, -0 becomes 0 (see
// device/gpu/gpu_fp8.h); NaN stays NaN.
MILLRACE_INLINE void narrow_fp8(F8E4M3* to, Floats values) {
  const Words bits = as_words(values);
  const Words is_nan = __builtin_bit_cast(Words, values != values);
  const Floats size = as_floats(bits & 0x7fffffffu);
  const Floats bounded = select(size > 448.0f, splat(448.0f), size);
  const Words at = as_words(bounded);
  const Words normal = ((at + 0x7ffffu + ((at >> 20) & 1u)) >> 20) - (120u << 3);
  // Below 2^-6 numbers are 2^-9 apart: counted by adding what leaves no smaller digits.
  const Words small = as_words(bounded * 0x1p9f + 0x1.8p23f) - 0x4b400000u;
  const Words is_small = __builtin_bit_cast(Words, bounded < 0x1p-6f);
  const Words finite = (normal & ~is_small) | (small & is_small);
  const Words is_zero = __builtin_bit_cast(Words, finite == 0u);
  const Words code = (finite & ~is_nan) | (is_nan & 0x7fu) | ((bits >> 24) & 0x80u & ~is_zero);
  const Bytes bytes = __builtin_convertvector(code, Bytes);
  __builtin_memcpy(to, &bytes, sizeof(bytes));
}

// What one cache element is, and vectors of it.
template <DType>
struct CacheElement;
template <>
struct CacheElement<DType::F32> {
  using Type = float;
};
template <>
struct CacheElement<DType::BF16> {
  using Type = BF16;
};
template <>
struct CacheElement<DType::F8_E4M3> {
  using Type = F8E4M3;
};
MILLRACE_INLINE Floats widen_any(const float* from) {
  return load(from);
}
MILLRACE_INLINE Floats widen_any(const BF16* from) {
  return widen_bf16(from);
}
MILLRACE_INLINE Floats widen_any(const F16* from) {
  return widen_f16(from);
}
MILLRACE_INLINE Floats widen_any(const F8E4M3* from) {
  return widen_fp8(from);
}

MILLRACE_INLINE Floats maximum(Floats a, Floats b) {
  const Ints keep = a > b;
  return __builtin_bit_cast(
      Floats, (__builtin_bit_cast(Ints, a) & keep) | (__builtin_bit_cast(Ints, b) & ~keep));
}

// 0, 1, 2, ...
MILLRACE_INLINE Ints lane_numbers() {
#if defined(MILLRACE_ISA_avx512)
  return Ints{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
#elif defined(MILLRACE_ISA_avx2)
  return Ints{0, 1, 2, 3, 4, 5, 6, 7};
#else
  return Ints{0, 1, 2, 3};
#endif
}

// rows[i][j] <-> rows[j][i], for a square of kLanes rows: blocks of 8, 4, 2, 1 lanes off the
// diagonal change places.
template <int... kLane>
struct LaneList {};
#if defined(MILLRACE_ISA_avx512)
using AllLanes = LaneList<0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15>;
#elif defined(MILLRACE_ISA_avx2)
using AllLanes = LaneList<0, 1, 2, 3, 4, 5, 6, 7>;
#else
using AllLanes = LaneList<0, 1, 2, 3>;
#endif
template <int kStep, int... kLane>
MILLRACE_INLINE void exchange(Floats& a, Floats& b, LaneList<kLane...>) {
  const Floats low =
      __builtin_shufflevector(a, b, ((kLane & kStep) ? kLanes + kLane - kStep : kLane)...);
  b = __builtin_shufflevector(a, b, ((kLane & kStep) ? kLanes + kLane : kLane + kStep)...);
  a = low;
}
template <int kStep>
MILLRACE_INLINE void transpose_by(Floats* rows) {
  for (int i = 0; i < kLanes; ++i)
    if ((i & kStep) == 0) exchange<kStep>(rows[i], rows[i + kStep], AllLanes{});
  if constexpr (kStep > 1) transpose_by<kStep / 2>(rows);
}
MILLRACE_INLINE void transpose(Floats* rows) {
  transpose_by<kLanes / 2>(rows);
}

// The largest lane; which, if some are NaN, is undefined.
MILLRACE_INLINE float greatest(Floats v) {
#if defined(MILLRACE_ISA_avx512)
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(MILLRACE_ISA_avx2)
  const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
#else
  float best = v[0];
  for (int i = 1; i < kLanes; ++i) best = v[i] > best ? v[i] : best;
  return best;
#endif
#if defined(MILLRACE_ISA_avx512) || defined(MILLRACE_ISA_avx2)
  const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_max_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
#endif
}

// The sum of the lanes, always by the same tree: halves folded onto each other.
MILLRACE_INLINE float sum(Floats v) {
  float lanes[kLanes];
  __builtin_memcpy(lanes, &v, sizeof(v));
#if defined(MILLRACE_ISA_avx512)
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
#elif defined(MILLRACE_ISA_avx2)
  const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
#else
  return (lanes[0] + lanes[2]) + (lanes[1] + lanes[3]);
#endif
#if defined(MILLRACE_ISA_avx512) || defined(MILLRACE_ISA_avx2)
  const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
  return _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps(pair, pair, 1)));
#endif
}

// e^x for x <= about 88, relative error under 2e-7; below -87 it is 0. Cephes' polynomial after
// reduction to [-ln2/2, ln2/2].
MILLRACE_INLINE Floats exponential(Floats x) {
  const Floats low = splat(-87.3f);
  const Ints vanishes = x < low;
  const Floats bounded = maximum(-maximum(-x, splat(-88.7f)), low);
  // NaN compares false everywhere: let it through at the end.
  const Floats shifted = fma(bounded, splat(1.44269504088896341f), splat(12582912.f));
  const Floats n = shifted - splat(12582912.f);  // nearest integer
  Floats r = fma(n, splat(-0.693359375f), bounded);
  r = fma(n, splat(2.12194440e-4f), r);
  Floats p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r + 1.0f);
  const Ints exponent = __builtin_convertvector(n, Ints) + 127;
  const Floats scale = __builtin_bit_cast(Floats, exponent << 23);
  const Ints kept = __builtin_bit_cast(Ints, p * scale) & ~vanishes;
  const Ints nan = x != x;
  return __builtin_bit_cast(Floats, (kept & ~nan) | (__builtin_bit_cast(Ints, x) & nan));
}

}  // namespace millrace::MILLRACE_ISA
