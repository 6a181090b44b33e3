// Matrix products over weights as they are stored. Included by sources that are compiled once per
// instruction set.
//
// The sum over k is cut into chunks of kChunk; within a chunk lane i adds the products of elements
// i, i + kLanes, ... in order; the lanes are folded by sum(); chunk sums are added in order to
// residual + bias. Every path below keeps to this, so a row's result is the same bits whatever
// tile it falls into.
#pragma once

#include "ops/linear/linear_block.h"
#include "ops/linear/linear_readers.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr std::int64_t kChunk = 1024;  // elements of k; a multiple of every block size
// Rows of weights by rows of activations in the register tile.
constexpr int kTileColumns = 4;
#if defined(MILLRACE_ISA_avx512)
constexpr int kTileRows = 6;  // 24 of 32 registers accumulate
constexpr int kStreamRows = 4;
constexpr std::int64_t kPlainStreamed = 8;
#else
constexpr int kTileRows = 2;  // 8 of 16
constexpr int kStreamRows = 2;
constexpr std::int64_t kPlainStreamed = 32;
#endif

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
MILLRACE_INLINE void tail_piece(const char* row, std::int64_t k, std::int64_t left, Floats* out) {
  using Stored = Reader<kType, 1>;
  constexpr std::int64_t kBytes = Stored::kBytes / kPiece;
  char padded[Stored::kBytes] = {};
  __builtin_memcpy(padded, row + k * kBytes, static_cast<std::size_t>(left * kBytes));
  Stored reader;
  Stored::open(reader, 0, padded);
  Stored::opened(reader);
  Stored::piece(reader, 0, 0, out);
}
MILLRACE_INLINE void tail_input(const float* from, std::int64_t left, Floats* out) {
  float padded[kPiece] = {};
  __builtin_memcpy(padded, from, static_cast<std::size_t>(left) * sizeof(float));
  for (int v = 0; v < kVectors; ++v) out[v] = load(padded + v * kLanes);
}
constexpr bool has_tail(DType type) {
  return type == DType::F32 || type == DType::F16 || type == DType::BF16;
}

// Asks for the lines of kElements stored weights.
template <DType kType, std::int64_t kElements>
MILLRACE_INLINE void fetch(const char* from) {
  constexpr std::int64_t kBytes =
      kElements / (Reader<kType, 1>::kPieces * kPiece) * Reader<kType, 1>::kBytes;
  for (std::int64_t i = 0; i < kBytes; i += 64) __builtin_prefetch(from + i);
}

// lanes += the products of one stored block at weight[c] + offset and the activations at in[r] + k.
template <DType kType, int kColumns, int kRows>
MILLRACE_INLINE void stream_block(const char* const (&weight)[kColumns], std::int64_t offset,
                                  const float* const (&in)[kRows], std::int64_t k,
                                  Floats (&lanes)[kRows][kColumns]) {
  using Stored = Reader<kType, kColumns>;
  Stored reader;
#pragma GCC unroll 4
  for (int c = 0; c < kColumns; ++c) Stored::open(reader, c, weight[c] + offset);
  Stored::opened(reader);
#pragma GCC unroll 8
  for (int i = 0; i < Stored::kPieces; ++i) {
    Floats x[kRows][kVectors];
    for (int r = 0; r < kRows; ++r)
      for (int v = 0; v < kVectors; ++v) x[r][v] = load(in[r] + k + i * kPiece + v * kLanes);
    for (int c = 0; c < kColumns; ++c) {
      Floats w[kVectors];
      Stored::piece(reader, c, i, w);
      for (int v = 0; v < kVectors; ++v)
        for (int r = 0; r < kRows; ++r) lanes[r][c] = fma(w[v], x[r][v], lanes[r][c]);
    }
  }
}

// Few rows: weights go from memory through registers, each read once for all kRows rows.
template <DType kType, int kColumns, int kRows>
MILLRACE_INLINE void stream_tile(const LinearBlock& b, std::int64_t n0, std::int64_t t0) {
  constexpr std::int64_t kBlock = Reader<kType, 1>::kPieces * kPiece;
  constexpr std::int64_t kBytes = Reader<kType, 1>::kBytes;
  constexpr std::int64_t kStep = 256;  // elements between requests for what comes next
  const char* weight[kColumns];
  for (int c = 0; c < kColumns; ++c)
    weight[c] = static_cast<const char*>(b.weight) + (n0 + c) * b.row_bytes;
  const float* in[kRows];
  float total[kRows][kColumns];
  for (int r = 0; r < kRows; ++r) {
    in[r] = input_row(b, t0 + r);
    for (int c = 0; c < kColumns; ++c) total[r][c] = start_value(b, t0 + r, n0 + c);
  }
  // The next tile's rows: each is too short for the hardware to guess how it goes on.
  const std::int64_t ahead = kColumns * b.row_bytes;
  for (std::int64_t chunk = 0; chunk < b.k; chunk += kChunk) {
    const std::int64_t end = chunk + kChunk < b.k ? chunk + kChunk : b.k;
    Floats lanes[kRows][kColumns] = {};
    std::int64_t k = chunk;
    std::int64_t offset = chunk / kBlock * kBytes;
    while (k + kStep <= end) {
      for (int c = 0; c < kColumns; ++c) fetch<kType, kStep>(weight[c] + offset + ahead);
      for (std::int64_t i = 0; i < kStep; i += kBlock, k += kBlock, offset += kBytes)
        stream_block<kType>(weight, offset, in, k, lanes);
    }
    for (; k + kBlock <= end; k += kBlock, offset += kBytes)
      stream_block<kType>(weight, offset, in, k, lanes);
    if constexpr (has_tail(kType)) {
      if (k < end) {
        for (int r = 0; r < kRows; ++r) {
          Floats x[kVectors];
          tail_input(in[r] + k, end - k, x);
          for (int c = 0; c < kColumns; ++c) {
            Floats w[kVectors];
            tail_piece<kType>(weight[c], k, end - k, w);
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

// Rows in groups of what the registers hold; a further group finds the weights in the cache.
template <DType kType>
MILLRACE_INLINE void stream_rows(const LinearBlock& b, std::int64_t n) {
  std::int64_t t = 0;
  for (; t + kStreamRows <= b.count; t += kStreamRows)
    stream_tile<kType, kTileColumns, kStreamRows>(b, n, t);
  switch (b.count - t) {
    case 3:
      if constexpr (kStreamRows > 3) stream_tile<kType, kTileColumns, 3>(b, n, t);
      return;
    case 2:
      if constexpr (kStreamRows > 2) stream_tile<kType, kTileColumns, 2>(b, n, t);
      return;
    case 1:
      return stream_tile<kType, kTileColumns, 1>(b, n, t);
    default:
      return;
  }
}

template <DType kType>
void stream(const LinearBlock& b) {
  std::int64_t n = b.first;
  // One row of plain weights waits for memory alone, which gives more to fewer streams.
  if constexpr (has_tail(kType)) {
    if (b.count == 1)
      for (; n + 2 <= b.last; n += 2) stream_tile<kType, 2, 1>(b, n, 0);
  }
  for (; n + kTileColumns <= b.last; n += kTileColumns) stream_rows<kType>(b, n);
  for (; n < b.last; ++n)
    for (std::int64_t t = 0; t < b.count; ++t) stream_tile<kType, 1, 1>(b, n, t);
}

// Many rows: a chunk of up to kLinearColumns weight rows is decoded into a scratch that stays in
// the second-level cache, and every tile of activation rows runs over it.
struct Scratch {
  alignas(64) float weights[kLinearColumns * kChunk];
  std::int64_t chunk;   // first element of k
  std::int64_t length;  // elements; zeros follow up to a whole vector
};

template <int kColumns, int kRows>
MILLRACE_INLINE void scratch_tile(const LinearBlock& b, const Scratch& scratch, std::int64_t n0,
                                  std::int64_t t0) {
  const float* in[kRows];
  for (int r = 0; r < kRows; ++r) in[r] = input_row(b, t0 + r) + scratch.chunk;
  const float* weight[kColumns];
  for (int c = 0; c < kColumns; ++c) weight[c] = scratch.weights + (n0 - b.first + c) * kChunk;
  Floats lanes[kRows][kColumns] = {};
  std::int64_t k = 0;
  for (; k + kLanes <= scratch.length; k += kLanes) {
    Floats w[kColumns];
    for (int c = 0; c < kColumns; ++c) w[c] = load(weight[c] + k);
    for (int r = 0; r < kRows; ++r) {
      const Floats x = load(in[r] + k);
      for (int c = 0; c < kColumns; ++c) lanes[r][c] = fma(w[c], x, lanes[r][c]);
    }
  }
  if (k < scratch.length) {  // the scratch is padded with zeros, the activations are not
    for (int r = 0; r < kRows; ++r) {
      float padded[kLanes] = {};
      __builtin_memcpy(padded, in[r] + k,
                       static_cast<std::size_t>(scratch.length - k) * sizeof(float));
      const Floats x = load(padded);
      for (int c = 0; c < kColumns; ++c) lanes[r][c] = fma(load(weight[c] + k), x, lanes[r][c]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* out = b.out + (t0 + r) * b.out_stride + n0;
    for (int c = 0; c < kColumns; ++c)
      out[c] = (scratch.chunk == 0 ? start_value(b, t0 + r, n0 + c) : out[c]) + sum(lanes[r][c]);
  }
}

template <int kRows>
void scratch_rows(const LinearBlock& b, const Scratch& scratch, std::int64_t t0) {
  std::int64_t n = b.first;
  for (; n + kTileColumns <= b.last; n += kTileColumns)
    scratch_tile<kTileColumns, kRows>(b, scratch, n, t0);
  for (; n < b.last; ++n) scratch_tile<1, kRows>(b, scratch, n, t0);
}

void all_scratch_rows(const LinearBlock& b, const Scratch& scratch) {
  std::int64_t t = 0;
  for (; t + kTileRows <= b.count; t += kTileRows) scratch_rows<kTileRows>(b, scratch, t);
  switch (b.count - t) {
    case 5:
      if constexpr (kTileRows > 5) scratch_rows<5>(b, scratch, t);
      return;
    case 4:
      if constexpr (kTileRows > 4) scratch_rows<4>(b, scratch, t);
      return;
    case 3:
      if constexpr (kTileRows > 3) scratch_rows<3>(b, scratch, t);
      return;
    case 2:
      if constexpr (kTileRows > 2) scratch_rows<2>(b, scratch, t);
      return;
    case 1:
      return scratch_rows<1>(b, scratch, t);
    default:
      return;
  }
}

template <DType kType>
void through_scratch(const LinearBlock& b) {
  using Stored = Reader<kType, 1>;
  constexpr std::int64_t kBlock = Stored::kPieces * kPiece;
  Scratch scratch;
  for (scratch.chunk = 0; scratch.chunk < b.k; scratch.chunk += kChunk) {
    const std::int64_t chunk = scratch.chunk;
    scratch.length = chunk + kChunk < b.k ? kChunk : b.k - chunk;
    for (std::int64_t n = b.first; n < b.last; ++n) {
      const char* row = static_cast<const char*>(b.weight) + n * b.row_bytes;
      // Rows further on, or the next chunk of the first ones.
      constexpr std::int64_t kAhead = 4;
      const char* ahead = n + kAhead < b.last ? row + kAhead * b.row_bytes
                                              : row + (kAhead - (b.last - b.first)) * b.row_bytes +
                                                    kChunk / kBlock * Stored::kBytes;
      float* to = scratch.weights + (n - b.first) * kChunk;
      std::int64_t k = 0;
      Floats w[kVectors];
      for (; k + kBlock <= scratch.length; k += kBlock) {
        const std::int64_t at = (chunk + k) / kBlock * Stored::kBytes;
        fetch<kType, kBlock>(ahead + at);
        Stored reader;
        Stored::open(reader, 0, row + at);
        Stored::opened(reader);
#pragma GCC unroll 8
        for (int i = 0; i < Stored::kPieces; ++i) {
          Stored::piece(reader, 0, i, w);
          for (int v = 0; v < kVectors; ++v) store(to + k + i * kPiece + v * kLanes, w[v]);
        }
      }
      if constexpr (has_tail(kType)) {
        if (k < scratch.length) {
          tail_piece<kType>(row, chunk + k, scratch.length - k, w);
          for (int v = 0; v < kVectors; ++v) store(to + k + v * kLanes, w[v]);
        }
      }
    }
    all_scratch_rows(b, scratch);
  }
}

template <DType kType>
void run(const LinearBlock& b) {
  // Up to where reading once more for each group of rows costs less than the scratch.
  constexpr std::int64_t kStreamed = has_tail(kType) ? kPlainStreamed : kStreamRows;
  if (b.count > kStreamed)
    through_scratch<kType>(b);
  else
    stream<kType>(b);
}

}  // namespace
}  // namespace millrace::MILLRACE_ISA
