// How stored weights become floats in registers, equal to decode_row()'s bit for bit. Included by
// sources that are compiled once per instruction set.
//
// A Reader opens one stored block in each of kColumns rows and hands out pieces of 32 weights of
// them; what a block's pieces share (its scales) is worked out once, when it is opened.
#pragma once

#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {

constexpr int kPiece = 32;
constexpr int kVectors = kPiece / kLanes;

template <DType, int kColumns>
struct Reader;

// 32 bytes between the byte-wise part of a decoding and the widening.
using Staged __attribute__((vector_size(kPiece))) = std::uint8_t;
MILLRACE_INLINE void stage(const void* from, Staged& to) {
  __builtin_memcpy(&to, from, sizeof(to));
}

MILLRACE_INLINE Floats to_floats(Ints values) {
  return __builtin_convertvector(values, Floats);
}

// Nibbles of 16 bytes: the low ones are elements 0..15, the high ones 16..31. With 16 lanes bits
// above the low four are left in place: level() does not look at them.
MILLRACE_INLINE void nibbles(const std::uint8_t* q, Ints* out) {
  constexpr int kHalf = kVectors / 2;
  for (int v = 0; v < kHalf; ++v) {
    const Ints bytes = widen(q + v * kLanes);
    out[v] = kLanes == 16 ? bytes : bytes & 15;
    out[v + kHalf] = bytes >> 4;
  }
}

// The same for formats with a fifth bit, bit i of the little-endian word `high`.
MILLRACE_INLINE void five_bits(const std::uint8_t* q, const std::uint8_t* high, Ints* out) {
  std::uint32_t word;
  __builtin_memcpy(&word, high, sizeof(word));
  nibbles(q, out);
  for (int v = 0; v < kVectors; ++v) {
    const Words bits = (Words{} + word) >> __builtin_bit_cast(Words, lane_numbers() + v * kLanes);
    out[v] = (out[v] & 15) | __builtin_bit_cast(Ints, (bits & 1u) << 4);
  }
}

// The values of four-bit quants. Where a register holds all sixteen they are computed once a block
// and looked up.
#if defined(MILLRACE_ISA_avx512)
struct Levels {
  Floats values;
};
// (q + first) * scale
MILLRACE_INLINE Levels levels(float first, float scale) {
  return {(to_floats(lane_numbers()) + first) * scale};
}
// q * scale + offset
MILLRACE_INLINE Levels offset_levels(float scale, float offset) {
  return {to_floats(lane_numbers()) * scale + offset};
}
MILLRACE_INLINE Floats level(const Levels& table, Ints q) {
  return _mm512_permutexvar_ps(__builtin_bit_cast(__m512i, q), table.values);
}
#else
struct Levels {
  float first, scale;
};
struct OffsetLevels {
  float scale, offset;
};
MILLRACE_INLINE Levels levels(float first, float scale) {
  return {first, scale};
}
MILLRACE_INLINE OffsetLevels offset_levels(float scale, float offset) {
  return {scale, offset};
}
MILLRACE_INLINE Floats level(const Levels& table, Ints q) {
  return (to_floats(q) + table.first) * table.scale;
}
MILLRACE_INLINE Floats level(const OffsetLevels& table, Ints q) {
  return to_floats(q) * table.scale + table.offset;
}
#endif

// Plain types: a block is a piece.
template <typename Element, int kColumns>
struct PlainReader {
  static constexpr int kPieces = 1;
  static constexpr int kBytes = kPiece * sizeof(Element);
  const Element* from[kColumns];

  MILLRACE_INLINE void open(PlainReader& r, int c, const char* block) {
    r.from[c] = reinterpret_cast<const Element*>(block);
  }
  MILLRACE_INLINE void opened(PlainReader&) {}
  MILLRACE_INLINE void piece(const PlainReader& r, int c, int, Floats* out) {
    for (int v = 0; v < kVectors; ++v) out[v] = widen_any(r.from[c] + v * kLanes);
  }
};
template <int kColumns>
struct Reader<DType::F32, kColumns> : PlainReader<float, kColumns> {};
template <int kColumns>
struct Reader<DType::F16, kColumns> : PlainReader<F16, kColumns> {};
template <int kColumns>
struct Reader<DType::BF16, kColumns> : PlainReader<BF16, kColumns> {};

// Blocks of 32 with a scale each, some with a minimum.
template <typename Stored, int kColumns>
struct SmallReader {
  static constexpr int kPieces = 1;
  static constexpr int kBytes = sizeof(Stored);
  const Stored* from[kColumns];
  alignas(16) float d[kColumns];
  alignas(16) float m[kColumns];

  MILLRACE_INLINE void open(SmallReader& r, int c, const char* block) {
    r.from[c] = reinterpret_cast<const Stored*>(block);
  }
  MILLRACE_INLINE void opened(SmallReader& r) {
    F16 halves[kColumns];
    for (int c = 0; c < kColumns; ++c) halves[c] = r.from[c]->d;
    scales_of<kColumns>(halves, r.d);
    if constexpr (requires(Stored block) { block.m; }) {
      for (int c = 0; c < kColumns; ++c) halves[c] = r.from[c]->m;
      scales_of<kColumns>(halves, r.m);
    }
  }
};

template <int kColumns>
struct Reader<DType::Q8_0, kColumns> : SmallReader<BlockQ8_0, kColumns> {
  MILLRACE_INLINE void piece(const Reader& r, int c, int, Floats* out) {
    const Floats d = splat(r.d[c]);
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(widen(r.from[c]->q + v * kLanes)) * d;
  }
};
template <int kColumns>
struct Reader<DType::Q4_0, kColumns> : SmallReader<BlockQ4_0, kColumns> {
  MILLRACE_INLINE void piece(const Reader& r, int c, int, Floats* out) {
    const Levels table = levels(-8, r.d[c]);
    Ints q[kVectors];
    nibbles(r.from[c]->q, q);
    for (int v = 0; v < kVectors; ++v) out[v] = level(table, q[v]);
  }
};
template <int kColumns>
struct Reader<DType::Q4_1, kColumns> : SmallReader<BlockQ4_1, kColumns> {
  MILLRACE_INLINE void piece(const Reader& r, int c, int, Floats* out) {
    const auto table = offset_levels(r.d[c], r.m[c]);
    Ints q[kVectors];
    nibbles(r.from[c]->q, q);
    for (int v = 0; v < kVectors; ++v) out[v] = level(table, q[v]);
  }
};
template <int kColumns>
struct Reader<DType::Q5_0, kColumns> : SmallReader<BlockQ5_0, kColumns> {
  MILLRACE_INLINE void piece(const Reader& r, int c, int, Floats* out) {
    const Floats d = splat(r.d[c]);
    Ints q[kVectors];
    five_bits(r.from[c]->q, r.from[c]->high, q);
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(q[v] - 16) * d;
  }
};
template <int kColumns>
struct Reader<DType::Q5_1, kColumns> : SmallReader<BlockQ5_1, kColumns> {
  MILLRACE_INLINE void piece(const Reader& r, int c, int, Floats* out) {
    const Floats d = splat(r.d[c]);
    Ints q[kVectors];
    five_bits(r.from[c]->q, r.from[c]->high, q);
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(q[v]) * d + r.m[c];
  }
};

// d * scale of the eight groups of a Q4_K or Q5_K block, then -dmin * min: k_scale_min() for four
// groups at a time.
MILLRACE_INLINE void group_factors(F16 d, F16 dmin, const std::uint8_t* scales, float* out) {
  std::uint32_t a, b, c;
  __builtin_memcpy(&a, scales, sizeof(a));
  __builtin_memcpy(&b, scales + 4, sizeof(b));
  __builtin_memcpy(&c, scales + 8, sizeof(c));
  const std::uint64_t packed[2] = {
      (a & 0x3f3f3f3fu) | std::uint64_t{(c & 0x0f0f0f0fu) | ((a >> 2) & 0x30303030u)} << 32,
      (b & 0x3f3f3f3fu) | std::uint64_t{((c >> 4) & 0x0f0f0f0fu) | ((b >> 2) & 0x30303030u)} << 32};
  std::uint8_t bytes[16];
  __builtin_memcpy(bytes, packed, sizeof(bytes));
  const Floats of_scales = splat(scale_of(d));
  const Floats of_mins = splat(-scale_of(dmin));
  for (int v = 0; v < 16; v += kLanes)
    store(out + v,
          to_floats(widen(bytes + v)) * select(lane_numbers() + v < 8, of_scales, of_mins));
}

template <int kColumns>
struct Reader<DType::Q4_K, kColumns> {
  static constexpr int kPieces = 8;
  static constexpr int kBytes = sizeof(BlockQ4_K);
  const BlockQ4_K* from[kColumns];
  alignas(64) float factors[kColumns][16];

  MILLRACE_INLINE void open(Reader& r, int c, const char* block) {
    r.from[c] = reinterpret_cast<const BlockQ4_K*>(block);
    group_factors(r.from[c]->d, r.from[c]->dmin, r.from[c]->scales, r.factors[c]);
  }
  MILLRACE_INLINE void opened(Reader&) {}
  MILLRACE_INLINE void piece(const Reader& r, int c, int i, Floats* out) {
    const auto table = offset_levels(r.factors[c][i], r.factors[c][8 + i]);
    const std::uint8_t* q = r.from[c]->q + i / 2 * 32;
    for (int v = 0; v < kVectors; ++v) {
      const Ints bytes = widen(q + v * kLanes);
      out[v] = level(table, i % 2 == 1 ? bytes >> 4 : kLanes == 16 ? bytes : bytes & 15);
    }
  }
};

template <int kColumns>
struct Reader<DType::Q5_K, kColumns> {
  static constexpr int kPieces = 8;
  static constexpr int kBytes = sizeof(BlockQ5_K);
  const BlockQ5_K* from[kColumns];
  alignas(64) float factors[kColumns][16];

  MILLRACE_INLINE void open(Reader& r, int c, const char* block) {
    r.from[c] = reinterpret_cast<const BlockQ5_K*>(block);
    group_factors(r.from[c]->d, r.from[c]->dmin, r.from[c]->scales, r.factors[c]);
  }
  MILLRACE_INLINE void opened(Reader&) {}
  MILLRACE_INLINE void piece(const Reader& r, int c, int i, Floats* out) {
    Staged q;
    Staged high;
    stage(r.from[c]->q + i / 2 * 32, q);
    stage(r.from[c]->high, high);
    const Staged low = i % 2 == 1 ? q >> 4 : q & 15;
    const Staged whole = low | (((high >> i) & 1) << 4);
    std::uint8_t bytes[kPiece];
    __builtin_memcpy(bytes, &whole, sizeof(bytes));
    const Floats scale = splat(r.factors[c][i]);
    const Floats offset = splat(r.factors[c][8 + i]);
    for (int v = 0; v < kVectors; ++v)
      out[v] = to_floats(widen(bytes + v * kLanes)) * scale + offset;
  }
};

template <int kColumns>
struct Reader<DType::Q6_K, kColumns> {
  static constexpr int kPieces = 8;
  static constexpr int kBytes = sizeof(BlockQ6_K);
  const BlockQ6_K* from[kColumns];
  alignas(64) float factors[kColumns][16];  // d * scale, one for 16 elements

  MILLRACE_INLINE void open(Reader& r, int c, const char* block) {
    r.from[c] = reinterpret_cast<const BlockQ6_K*>(block);
    const Floats d = splat(scale_of(r.from[c]->d));
    for (int v = 0; v < 16; v += kLanes)
      store(r.factors[c] + v, to_floats(widen(r.from[c]->scales + v)) * d);
  }
  MILLRACE_INLINE void opened(Reader&) {}
  // Quarter i % 4 of half i / 4.
  MILLRACE_INLINE void piece(const Reader& r, int c, int i, Floats* out) {
    Staged low;
    Staged high;
    stage(r.from[c]->low + i / 4 * 64 + i % 2 * 32, low);
    stage(r.from[c]->high + i / 4 * 32, high);
    const Staged whole = (i % 4 >= 2 ? low >> 4 : low & 15) | (((high >> (i % 4 * 2)) & 3) << 4);
    const Staged centred = whole - 32;
    std::int8_t bytes[kPiece];
    __builtin_memcpy(bytes, &centred, sizeof(bytes));
    for (int v = 0; v < kVectors; ++v) {
      const Floats scale = splat(r.factors[c][i * 2 + v * kLanes / 16]);
      out[v] = to_floats(widen(bytes + v * kLanes)) * scale;
    }
  }
};

}  // namespace millrace::MILLRACE_ISA
