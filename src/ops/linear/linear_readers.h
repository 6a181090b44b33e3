// How stored weights become floats in registers, equal to decode_row()'s bit for bit. Included by
// sources that are compiled once per instruction set.
//
// A Reader hands out pieces of 32 weights. What several pieces of one stored block share (the
// scales of a K-quant) is worked out once, into Reader::Block.
#pragma once

#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {

constexpr int kPiece = 32;
constexpr int kVectors = kPiece / kLanes;

template <DType>
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

// values[q] of few values: where a register holds all sixteen, the products of scale and quant are
// computed once a block and looked up.
#if defined(MILLRACE_ISA_avx512)
using Levels = Floats;
MILLRACE_INLINE Levels levels(float first, float scale) {
  return (to_floats(lane_numbers()) + first) * scale;
}
MILLRACE_INLINE Floats level(Levels table, Ints q) {
  return _mm512_permutexvar_ps(__builtin_bit_cast(__m512i, q), table);
}
#else
struct Levels {
  float first, scale;
};
MILLRACE_INLINE Levels levels(float first, float scale) {
  return {first, scale};
}
MILLRACE_INLINE Floats level(Levels table, Ints q) {
  return (to_floats(q) + table.first) * table.scale;
}
#endif

// Plain types: a block is a piece.
template <typename Element>
struct PlainReader {
  static constexpr int kPieces = 1;
  static constexpr int kBytes = kPiece * sizeof(Element);
  struct Block {
    const Element* from;
  };
  MILLRACE_INLINE void open(const char* block, Block& state) {
    state.from = reinterpret_cast<const Element*>(block);
  }
  MILLRACE_INLINE void piece(const Block& state, int, Floats* out) {
    for (int v = 0; v < kVectors; ++v) out[v] = widen_any(state.from + v * kLanes);
  }
};
template <>
struct Reader<DType::F32> : PlainReader<float> {};
template <>
struct Reader<DType::F16> : PlainReader<F16> {};
template <>
struct Reader<DType::BF16> : PlainReader<BF16> {};

template <typename Stored>
struct SmallBlockReader {
  static constexpr int kPieces = 1;
  static constexpr int kBytes = sizeof(Stored);
  struct Block {
    const Stored* from;
  };
  MILLRACE_INLINE void open(const char* block, Block& state) {
    state.from = reinterpret_cast<const Stored*>(block);
  }
};

template <>
struct Reader<DType::Q8_0> : SmallBlockReader<BlockQ8_0> {
  MILLRACE_INLINE void piece(const Block& state, int, Floats* out) {
    const Floats d = splat(scale_of(state.from->d));
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(widen(state.from->q + v * kLanes)) * d;
  }
};
template <>
struct Reader<DType::Q4_0> : SmallBlockReader<BlockQ4_0> {
  MILLRACE_INLINE void piece(const Block& state, int, Floats* out) {
    const Levels table = levels(-8, scale_of(state.from->d));
    Ints q[kVectors];
    nibbles(state.from->q, q);
    for (int v = 0; v < kVectors; ++v) out[v] = level(table, q[v]);
  }
};
template <>
struct Reader<DType::Q4_1> : SmallBlockReader<BlockQ4_1> {
  MILLRACE_INLINE void piece(const Block& state, int, Floats* out) {
    const Levels table = levels(0, scale_of(state.from->d));
    const float m = scale_of(state.from->m);
    Ints q[kVectors];
    nibbles(state.from->q, q);
    for (int v = 0; v < kVectors; ++v) out[v] = level(table, q[v]) + m;
  }
};
template <>
struct Reader<DType::Q5_0> : SmallBlockReader<BlockQ5_0> {
  MILLRACE_INLINE void piece(const Block& state, int, Floats* out) {
    const Floats d = splat(scale_of(state.from->d));
    Ints q[kVectors];
    five_bits(state.from->q, state.from->high, q);
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(q[v] - 16) * d;
  }
};
template <>
struct Reader<DType::Q5_1> : SmallBlockReader<BlockQ5_1> {
  MILLRACE_INLINE void piece(const Block& state, int, Floats* out) {
    const Floats d = splat(scale_of(state.from->d));
    const float m = scale_of(state.from->m);
    Ints q[kVectors];
    five_bits(state.from->q, state.from->high, q);
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(q[v]) * d + m;
  }
};

// d * scale of the eight groups of a Q4_K or Q5_K block, then dmin * min: k_scale_min() for four
// groups at a time.
MILLRACE_INLINE void group_factors(F16 d, F16 dmin, const std::uint8_t* scales, float* out) {
  std::uint32_t word[3];
  __builtin_memcpy(word, scales, sizeof(word));
  const std::uint32_t packed[4] = {
      word[0] & 0x3f3f3f3fu, (word[2] & 0x0f0f0f0fu) | ((word[0] >> 2) & 0x30303030u),
      word[1] & 0x3f3f3f3fu, ((word[2] >> 4) & 0x0f0f0f0fu) | ((word[1] >> 2) & 0x30303030u)};
  std::uint8_t bytes[16];
  __builtin_memcpy(bytes, packed, sizeof(bytes));
  const Floats of_scales = splat(scale_of(d));
  const Floats of_mins = splat(scale_of(dmin));
  for (int v = 0; v < 16; v += kLanes)
    store(out + v,
          to_floats(widen(bytes + v)) * select(lane_numbers() + v < 8, of_scales, of_mins));
}

template <>
struct Reader<DType::Q4_K> {
  static constexpr int kPieces = 8;
  static constexpr int kBytes = sizeof(BlockQ4_K);
  struct Block {
    const std::uint8_t* q;
    alignas(64) float factors[16];
  };
  MILLRACE_INLINE void open(const char* block, Block& state) {
    const auto* from = reinterpret_cast<const BlockQ4_K*>(block);
    state.q = from->q;
    group_factors(from->d, from->dmin, from->scales, state.factors);
  }
  MILLRACE_INLINE void piece(const Block& state, int i, Floats* out) {
    const Levels table = levels(0, state.factors[i]);
    const Floats min = splat(state.factors[8 + i]);
    const std::uint8_t* q = state.q + i / 2 * 32;
    for (int v = 0; v < kVectors; ++v) {
      const Ints bytes = widen(q + v * kLanes);
      out[v] = level(table, i % 2 == 1 ? bytes >> 4 : kLanes == 16 ? bytes : bytes & 15) - min;
    }
  }
};

template <>
struct Reader<DType::Q5_K> {
  static constexpr int kPieces = 8;
  static constexpr int kBytes = sizeof(BlockQ5_K);
  struct Block {
    const std::uint8_t* q;
    Staged high;
    alignas(64) float factors[16];
  };
  MILLRACE_INLINE void open(const char* block, Block& state) {
    const auto* from = reinterpret_cast<const BlockQ5_K*>(block);
    state.q = from->q;
    stage(from->high, state.high);
    group_factors(from->d, from->dmin, from->scales, state.factors);
  }
  MILLRACE_INLINE void piece(const Block& state, int i, Floats* out) {
    Staged q;
    stage(state.q + i / 2 * 32, q);
    const Staged low = i % 2 == 1 ? q >> 4 : q & 15;
    const Staged whole = low | (((state.high >> i) & 1) << 4);
    std::uint8_t bytes[kPiece];
    __builtin_memcpy(bytes, &whole, sizeof(bytes));
    const Floats scale = splat(state.factors[i]);
    const Floats min = splat(state.factors[8 + i]);
    for (int v = 0; v < kVectors; ++v) out[v] = to_floats(widen(bytes + v * kLanes)) * scale - min;
  }
};

template <>
struct Reader<DType::Q6_K> {
  static constexpr int kPieces = 8;
  static constexpr int kBytes = sizeof(BlockQ6_K);
  struct Block {
    const BlockQ6_K* from;
    alignas(64) float factors[16];  // d * scale, one for 16 elements
  };
  MILLRACE_INLINE void open(const char* block, Block& state) {
    state.from = reinterpret_cast<const BlockQ6_K*>(block);
    const Floats d = splat(scale_of(state.from->d));
    for (int v = 0; v < 16; v += kLanes)
      store(state.factors + v, to_floats(widen(state.from->scales + v)) * d);
  }
  // Quarter i % 4 of half i / 4.
  MILLRACE_INLINE void piece(const Block& state, int i, Floats* out) {
    Staged low;
    Staged high;
    stage(state.from->low + i / 4 * 64 + i % 2 * 32, low);
    stage(state.from->high + i / 4 * 32, high);
    const Staged whole = (i % 4 >= 2 ? low >> 4 : low & 15) | (((high >> (i % 4 * 2)) & 3) << 4);
    std::uint8_t bytes[kPiece];
    __builtin_memcpy(bytes, &whole, sizeof(bytes));
    for (int v = 0; v < kVectors; ++v) {
      const Floats scale = splat(state.factors[i * 2 + v * kLanes / 16]);
      out[v] = to_floats(widen(bytes + v * kLanes) - 32) * scale;
    }
  }
};

}  // namespace millrace::MILLRACE_ISA
