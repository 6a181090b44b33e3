// Matrix products over weights as they are stored.
//
// The sum over k is cut into chunks of kChunk; within a chunk lane i adds the products of elements
// i, i + kLanes, ... in order; the lanes are folded by sum(); chunk sums are added in order to
// residual + bias. Every path below keeps to this, so a row's result is the same bits whatever
// tile it falls into.
#include "ops/linear/linear_block.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr std::int64_t kChunk = 1024;  // elements of k; a multiple of every block size
constexpr int kPiece = 32;             // elements decoded at a time
constexpr int kVectors = kPiece / kLanes;

// Rows of weights by rows of activations in the register tile.
constexpr int kTileColumns = 4;
#if defined(MILLRACE_ISA_avx512)
constexpr int kTileRows = 6;  // 24 of 32 registers accumulate
#else
constexpr int kTileRows = 2;  // 8 of 16
#endif

// Piece `i` of a row: 32 weights as floats, equal to decode_row()'s.
template <DType>
struct Reader;

template <>
struct Reader<DType::F32> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const float* from = reinterpret_cast<const float*>(row) + i * kPiece;
    for (int v = 0; v < kVectors; ++v) out[v] = load(from + v * kLanes);
  }
};
template <>
struct Reader<DType::BF16> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const BF16* from = reinterpret_cast<const BF16*>(row) + i * kPiece;
    for (int v = 0; v < kVectors; ++v) out[v] = widen_bf16(from + v * kLanes);
  }
};
template <>
struct Reader<DType::F16> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const F16* from = reinterpret_cast<const F16*>(row) + i * kPiece;
    for (int v = 0; v < kVectors; ++v) out[v] = widen_f16(from + v * kLanes);
  }
};

template <>
struct Reader<DType::Q8_0> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ8_0*>(row) + i;
    const Floats d = splat(scale_of(block->d));
    for (int v = 0; v < kVectors; ++v) {
      out[v] = __builtin_convertvector(widen(block->q + v * kLanes), Floats) * d;
    }
  }
};

// Nibbles of 16 bytes: the low ones are elements 0..15, the high ones 16..31.
MILLRACE_INLINE void nibbles(const std::uint8_t* q, Ints* out) {
  constexpr int kHalf = kVectors / 2;
  for (int v = 0; v < kHalf; ++v) {
    const Ints bytes = widen(q + v * kLanes);
    out[v] = bytes & 15;
    out[v + kHalf] = bytes >> 4;
  }
}

// Adds the fifth bit of each element, bit i of the little-endian word `high`.
MILLRACE_INLINE void add_fifth_bits(const std::uint8_t* high, Ints* q) {
  const std::uint32_t word = std::uint32_t{high[0]} | std::uint32_t{high[1]} << 8 |
                             std::uint32_t{high[2]} << 16 | std::uint32_t{high[3]} << 24;
  Ints lane;
  for (int i = 0; i < kLanes; ++i) lane[i] = i;
  for (int v = 0; v < kVectors; ++v) {
    const Words bits = (Words{} + word) >> __builtin_bit_cast(Words, lane + v * kLanes);
    q[v] |= __builtin_bit_cast(Ints, (bits & 1u) << 4);
  }
}

template <>
struct Reader<DType::Q4_0> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ4_0*>(row) + i;
    const Floats d = splat(scale_of(block->d));
    Ints q[kVectors];
    nibbles(block->q, q);
    for (int v = 0; v < kVectors; ++v) out[v] = __builtin_convertvector(q[v] - 8, Floats) * d;
  }
};
template <>
struct Reader<DType::Q4_1> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ4_1*>(row) + i;
    const Floats d = splat(scale_of(block->d));
    const Floats m = splat(scale_of(block->m));
    Ints q[kVectors];
    nibbles(block->q, q);
    for (int v = 0; v < kVectors; ++v) out[v] = __builtin_convertvector(q[v], Floats) * d + m;
  }
};
template <>
struct Reader<DType::Q5_0> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ5_0*>(row) + i;
    const Floats d = splat(scale_of(block->d));
    Ints q[kVectors];
    nibbles(block->q, q);
    add_fifth_bits(block->high, q);
    for (int v = 0; v < kVectors; ++v) out[v] = __builtin_convertvector(q[v] - 16, Floats) * d;
  }
};
template <>
struct Reader<DType::Q5_1> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ5_1*>(row) + i;
    const Floats d = splat(scale_of(block->d));
    const Floats m = splat(scale_of(block->m));
    Ints q[kVectors];
    nibbles(block->q, q);
    add_fifth_bits(block->high, q);
    for (int v = 0; v < kVectors; ++v) out[v] = __builtin_convertvector(q[v], Floats) * d + m;
  }
};

template <>
struct Reader<DType::Q4_K> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ4_K*>(row) + i / 8;
    const int group = static_cast<int>(i % 8);
    const KScaleMin s = k_scale_min(block->scales, group);
    const Floats scale = splat(scale_of(block->d) * static_cast<float>(s.scale));
    const Floats min = splat(scale_of(block->dmin) * static_cast<float>(s.min));
    const std::uint8_t* q = block->q + group / 2 * 32;
    for (int v = 0; v < kVectors; ++v) {
      const Ints bytes = widen(q + v * kLanes);
      const Ints nibble = (bytes >> (group % 2 * 4)) & 15;
      out[v] = scale * __builtin_convertvector(nibble, Floats) - min;
    }
  }
};
template <>
struct Reader<DType::Q5_K> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ5_K*>(row) + i / 8;
    const int group = static_cast<int>(i % 8);
    const KScaleMin s = k_scale_min(block->scales, group);
    const Floats scale = splat(scale_of(block->d) * static_cast<float>(s.scale));
    const Floats min = splat(scale_of(block->dmin) * static_cast<float>(s.min));
    const std::uint8_t* q = block->q + group / 2 * 32;
    for (int v = 0; v < kVectors; ++v) {
      const Ints bytes = widen(q + v * kLanes);
      const Ints high = widen(block->high + v * kLanes);
      const Ints value = ((bytes >> (group % 2 * 4)) & 15) | (((high >> group) & 1) << 4);
      out[v] = scale * __builtin_convertvector(value, Floats) - min;
    }
  }
};
template <>
struct Reader<DType::Q6_K> {
  MILLRACE_INLINE void piece(const char* row, std::int64_t i, Floats* out) {
    const auto* block = reinterpret_cast<const BlockQ6_K*>(row) + i / 8;
    const int part = static_cast<int>(i % 8);  // 32 elements: quarter part%4 of half part/4
    const std::uint8_t* low = block->low + part / 4 * 64 + part % 2 * 32;
    const std::uint8_t* high = block->high + part / 4 * 32;
    const int low_shift = part % 4 / 2 * 4;
    const int high_shift = part % 4 * 2;
    const float d = scale_of(block->d);
    for (int v = 0; v < kVectors; ++v) {
      const Ints l = widen(low + v * kLanes);
      const Ints h = widen(high + v * kLanes);
      const Ints value = (((l >> low_shift) & 15) | (((h >> high_shift) & 3) << 4)) - 32;
      const int group = part * 2 + v * kLanes / 16;  // scales are per 16 elements
      const Floats scale = splat(d * static_cast<float>(block->scales[group]));
      out[v] = scale * __builtin_convertvector(value, Floats);
    }
  }
};

// What stands before the first chunk: residual + bias.
MILLRACE_INLINE float start_value(const LinearBlock& b, std::int64_t t, std::int64_t n) {
  float value = b.residual ? b.residual[t * b.residual_stride + n] : 0.0f;
  if (b.bias) value += b.bias[n];
  return value;
}

MILLRACE_INLINE const float* input_row(const LinearBlock& b, std::int64_t t) {
  return b.in + (b.in_rows ? b.in_rows[t] : t) * b.in_stride;
}

// The last elements of a row whose length is no multiple of 32, padded with zeros. Only plain
// types have such rows.
template <DType kType>
MILLRACE_INLINE void tail_piece(const char* row, std::int64_t i, std::int64_t left, Floats* out) {
  constexpr std::int64_t kBytes = kType == DType::F32 ? 4 : 2;
  char padded[kPiece * 4] = {};
  __builtin_memcpy(padded, row + i * kPiece * kBytes, static_cast<std::size_t>(left * kBytes));
  Reader<kType>::piece(padded, 0, out);
}
MILLRACE_INLINE void tail_input(const float* from, std::int64_t left, Floats* out) {
  float padded[kPiece] = {};
  __builtin_memcpy(padded, from, static_cast<std::size_t>(left) * sizeof(float));
  for (int v = 0; v < kVectors; ++v) out[v] = load(padded + v * kLanes);
}
constexpr bool has_tail(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16;
}

// Few rows: weights go from memory through registers, each read once for all kRows rows.
template <DType kType, int kColumns, int kRows>
MILLRACE_INLINE void stream_tile(const LinearBlock& b, std::int64_t n0, std::int64_t t0) {
  const char* weight[kColumns];
  for (int c = 0; c < kColumns; ++c)
    weight[c] = static_cast<const char*>(b.weight) + (n0 + c) * b.row_bytes;
  const float* in[kRows];
  float total[kRows][kColumns];
  for (int r = 0; r < kRows; ++r) {
    in[r] = input_row(b, t0 + r);
    for (int c = 0; c < kColumns; ++c) total[r][c] = start_value(b, t0 + r, n0 + c);
  }
  for (std::int64_t chunk = 0; chunk < b.k; chunk += kChunk) {
    const std::int64_t end = chunk + kChunk < b.k ? chunk + kChunk : b.k;
    Floats lanes[kRows][kColumns] = {};
    std::int64_t k = chunk;
    for (; k + kPiece <= end; k += kPiece) {
      Floats x[kRows][kVectors];
      for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVectors; ++v) x[r][v] = load(in[r] + k + v * kLanes);
      for (int c = 0; c < kColumns; ++c) {
        Floats w[kVectors];
        Reader<kType>::piece(weight[c], k / kPiece, w);
        for (int v = 0; v < kVectors; ++v)
          for (int r = 0; r < kRows; ++r) lanes[r][c] = fma(w[v], x[r][v], lanes[r][c]);
      }
    }
    if constexpr (has_tail(kType)) {
      if (k < end) {
        for (int r = 0; r < kRows; ++r) {
          Floats x[kVectors];
          tail_input(in[r] + k, end - k, x);
          for (int c = 0; c < kColumns; ++c) {
            Floats w[kVectors];
            tail_piece<kType>(weight[c], k / kPiece, end - k, w);
            for (int v = 0; v < kVectors; ++v) lanes[r][c] = fma(w[v], x[v], lanes[r][c]);
          }
        }
      }
    }
    for (int r = 0; r < kRows; ++r)
      for (int c = 0; c < kColumns; ++c) total[r][c] += sum(lanes[r][c]);
  }
  for (int r = 0; r < kRows; ++r)
    for (int c = 0; c < kColumns; ++c) b.out[(t0 + r) * b.out_stride + n0 + c] = total[r][c];
}

template <DType kType, int kRows>
void stream_rows(const LinearBlock& b, std::int64_t t0) {
  std::int64_t n = b.first;
  for (; n + kTileColumns <= b.last; n += kTileColumns)
    stream_tile<kType, kTileColumns, kRows>(b, n, t0);
  for (; n < b.last; ++n) stream_tile<kType, 1, kRows>(b, n, t0);
}

// Many rows: a chunk of up to kLinearColumns weight rows is decoded into a scratch that stays in
// the second-level cache, and every tile of activation rows runs over it.
template <int kColumns, int kRows>
MILLRACE_INLINE void scratch_tile(const LinearBlock& b, const float* scratch, std::int64_t n0,
                                  std::int64_t t0, std::int64_t chunk, std::int64_t length) {
  const float* in[kRows];
  for (int r = 0; r < kRows; ++r) in[r] = input_row(b, t0 + r) + chunk;
  const float* weight[kColumns];
  for (int c = 0; c < kColumns; ++c) weight[c] = scratch + (n0 - b.first + c) * kChunk;
  Floats lanes[kRows][kColumns] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= length; k += kLanes) {
    Floats w[kColumns];
    for (int c = 0; c < kColumns; ++c) w[c] = load(weight[c] + k);
    for (int r = 0; r < kRows; ++r) {
      const Floats x = load(in[r] + k);
      for (int c = 0; c < kColumns; ++c) lanes[r][c] = fma(w[c], x, lanes[r][c]);
    }
  }
  if (k < length) {  // the scratch is padded with zeros, the activations are not
    for (int r = 0; r < kRows; ++r) {
      float padded[kLanes] = {};
      __builtin_memcpy(padded, in[r] + k, static_cast<std::size_t>(length - k) * sizeof(float));
      const Floats x = load(padded);
      for (int c = 0; c < kColumns; ++c) lanes[r][c] = fma(load(weight[c] + k), x, lanes[r][c]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* out = b.out + (t0 + r) * b.out_stride + n0;
    for (int c = 0; c < kColumns; ++c)
      out[c] = (chunk == 0 ? start_value(b, t0 + r, n0 + c) : out[c]) + sum(lanes[r][c]);
  }
}

template <int kRows>
MILLRACE_INLINE void scratch_rows(const LinearBlock& b, const float* scratch, std::int64_t t0,
                                  std::int64_t chunk, std::int64_t length) {
  std::int64_t n = b.first;
  for (; n + kTileColumns <= b.last; n += kTileColumns)
    scratch_tile<kTileColumns, kRows>(b, scratch, n, t0, chunk, length);
  for (; n < b.last; ++n) scratch_tile<1, kRows>(b, scratch, n, t0, chunk, length);
}

template <DType kType>
void through_scratch(const LinearBlock& b) {
  alignas(64) float scratch[kLinearColumns * kChunk];
  for (std::int64_t chunk = 0; chunk < b.k; chunk += kChunk) {
    const std::int64_t length = chunk + kChunk < b.k ? kChunk : b.k - chunk;
    for (std::int64_t n = b.first; n < b.last; ++n) {
      const char* row = static_cast<const char*>(b.weight) + n * b.row_bytes;
      float* to = scratch + (n - b.first) * kChunk;
      std::int64_t k = 0;
      Floats w[kVectors];
      for (; k + kPiece <= length; k += kPiece) {
        Reader<kType>::piece(row, (chunk + k) / kPiece, w);
        for (int v = 0; v < kVectors; ++v) store(to + k + v * kLanes, w[v]);
      }
      if constexpr (has_tail(kType)) {
        if (k < length) {
          tail_piece<kType>(row, (chunk + k) / kPiece, length - k, w);
          for (int v = 0; v < kVectors; ++v) store(to + k + v * kLanes, w[v]);
        }
      }
    }
    std::int64_t t = 0;
    for (; t + kTileRows <= b.count; t += kTileRows)
      scratch_rows<kTileRows>(b, scratch, t, chunk, length);
    for (; t < b.count; ++t) scratch_rows<1>(b, scratch, t, chunk, length);
  }
}

template <DType kType>
void run(const LinearBlock& b) {
  // Through registers each further row costs arithmetic alone, until they run out.
  constexpr std::int64_t kStreamed = kTileRows > 2 ? 4 : 2;
  if (b.count > kStreamed) return through_scratch<kType>(b);
  switch (b.count) {
    case 1:
      return stream_rows<kType, 1>(b, 0);
    case 2:
      return stream_rows<kType, 2>(b, 0);
    case 3:
      if constexpr (kStreamed >= 3) stream_rows<kType, 3>(b, 0);
      return;
    case 4:
      if constexpr (kStreamed >= 4) stream_rows<kType, 4>(b, 0);
      return;
    default:
      return;
  }
}

}  // namespace

void linear_block(const LinearBlock& block) {
  switch (block.dtype) {
    case DType::F32:
      return run<DType::F32>(block);
    case DType::F16:
      return run<DType::F16>(block);
    case DType::BF16:
      return run<DType::BF16>(block);
    case DType::Q8_0:
      return run<DType::Q8_0>(block);
    case DType::Q4_0:
      return run<DType::Q4_0>(block);
    case DType::Q4_1:
      return run<DType::Q4_1>(block);
    case DType::Q5_0:
      return run<DType::Q5_0>(block);
    case DType::Q5_1:
      return run<DType::Q5_1>(block);
    case DType::Q4_K:
      return run<DType::Q4_K>(block);
    case DType::Q5_K:
      return run<DType::Q5_K>(block);
    case DType::Q6_K:
      return run<DType::Q6_K>(block);
    case DType::I32:
      return;  // never a weight: the registry refuses it
  }
}

}  // namespace millrace::MILLRACE_ISA
