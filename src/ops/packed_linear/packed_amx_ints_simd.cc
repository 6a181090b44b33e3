// Products of quantised weights by AMX: 16 rows by the 16 columns of a panel, sub-block by
// sub-block. Sums of integers are exact and what follows is done in the order of packed_ints.h, so
// the bits are the same, and rows that fill no register go to its kernel.
#include "ops/packed_linear/amx_tiles.h"
#include "ops/packed_linear/packed_ints.h"

namespace millrace::MILLRACE_ISA {
namespace {

// Rows whose sums wait in memory while a part of k is multiplied, and the elements of such a part:
// what is unpacked of a panel, and the sums, stay in the first cache.
constexpr int kRowsAtOnce = 128;
constexpr int kPartLength = 512;

template <DType kType>
class AmxInts {
  using Tile = IntTile<kType>;
  using Panel = typename Tile::Panel;
  static constexpr int kHalves = Tile::kHalves;       // of a sub-block, each with its own scale
  static constexpr int kSums = 2 * kHalves;           // in 64 elements of k
  static constexpr int kBytes = kSubBlock / kHalves;  // of k in a register

 public:
  explicit AmxInts(const PackedBlock& b) : b_(b) {
    const TileShape sums = {kTileRows, kTileBytes};
    const TileShape rows = {kTileRows, kBytes};
    const TileShape weights = {kBytes / 4, kTileBytes};
    tiles_.configure({sums, sums, sums, sums, rows, weights, rows, weights});
  }

  // Rows [0, rows), a multiple of 16, times panel p.
  void run(std::int64_t p, std::int64_t rows) {
    panel_ = reinterpret_cast<const Panel*>(static_cast<const std::byte*>(b_.weight.panels) +
                                            p * b_.panel_bytes);
    const std::int64_t padded =
        (b_.weight.k + Tile::Of::kLength - 1) / Tile::Of::kLength * Tile::Of::kLength;
    for (std::int64_t from = 0; from < rows; from += kRowsAtOnce) {
      const std::int64_t count = rows - from < kRowsAtOnce ? rows - from : kRowsAtOnce;
      Floats totals[kRowsAtOnce] = {};
      for (std::int64_t k = 0; k < padded; k += kPartLength) {
        const std::int64_t end = padded - k < kPartLength ? padded : k + kPartLength;
        unpack_part(k, end);
        for (std::int64_t t = 0; t < count; t += kTileRows)
          rows_by_part(from + t, k, end, totals + t);
      }
      for (std::int64_t t = 0; t < count; ++t) finish(b_, from + t, p * kPanelRows, totals[t]);
    }
  }

 private:
  using Groups = std::uint8_t[8][64];  // of four k, as in a panel of Q8_0
  struct Sums {
    alignas(64) std::int32_t of[kSums][kTileRows][16];
  };

  const Panel& panel_at(std::int64_t sub_block) const {
    return panel_[sub_block / Tile::kSubBlocks];
  }

  void unpack_part(std::int64_t k, std::int64_t end) {
    if constexpr (kType != DType::Q8_0) {
      for (std::int64_t s = k / kSubBlock; s < end / kSubBlock; ++s) {
        Groups& to = unpacked_[s - k / kSubBlock];
        for (int g = 0; g < 4; ++g) {
          Words low, high;
          unpack(panel_at(s), static_cast<int>(s % Tile::kSubBlocks), g, 0, low, high);
          __builtin_memcpy(to[g], &low, sizeof(low));
          __builtin_memcpy(to[g + 4], &high, sizeof(high));
        }
      }
    }
  }
  const Groups& groups(std::int64_t sub_block, std::int64_t k) const {
    if constexpr (kType == DType::Q8_0)
      return panel_at(sub_block).q[sub_block % Tile::kSubBlocks];
    else
      return unpacked_[sub_block - k / kSubBlock];
  }

  // totals[r] += elements [k, end) of row t + r times the panel's.
  void rows_by_part(std::int64_t t, std::int64_t k, std::int64_t end, Floats* totals) {
    const EncodedInts* in[kTileRows];
    for (int r = 0; r < kTileRows; ++r)
      in[r] = reinterpret_cast<const EncodedInts*>(encoded_row(b_, t + r));
    Floats total[kTileRows];
    for (int r = 0; r < kTileRows; ++r) total[r] = totals[r];
    Sums sums[2];
    // Registers multiply a block while the sums of the one before are scaled.
    const std::int64_t first = k / kEncodedLength;
    const std::int64_t last = end / kEncodedLength;
    multiply(in, first, k, sums[first % 2]);
    for (std::int64_t x = first; x < last; ++x) {
      if (x + 1 < last) multiply(in, x + 1, k, sums[(x + 1) % 2]);
      add(in, x, sums[x % 2], total);
    }
    for (int r = 0; r < kTileRows; ++r) totals[r] = total[r];
  }

  // The exact sums of 64 elements, from 64 x on.
  __attribute__((always_inline)) void multiply(const EncodedInts* const (&in)[kTileRows],
                                               std::int64_t x, std::int64_t k, Sums& to) {
    const std::int8_t* rows = in[0][x].q;
    std::int64_t stride = b_.row_bytes;
    alignas(64) std::int8_t gathered[kTileRows][kEncodedLength];
    if (b_.in_rows) {  // rows lie anywhere
      for (int r = 0; r < kTileRows; ++r) __builtin_memcpy(gathered[r], in[r][x].q, kEncodedLength);
      rows = gathered[0];
      stride = kEncodedLength;
    }
    const Groups& even = groups(2 * x, k);
    const Groups& odd = groups(2 * x + 1, k);
    multiply_one<0, 4, 5>(rows, stride, even[0]);
    if constexpr (kHalves == 1) {
      multiply_one<1, 6, 7>(rows + kSubBlock, stride, odd[0]);
    } else {
      multiply_one<1, 6, 7>(rows + kBytes, stride, even[4]);
      multiply_one<2, 4, 5>(rows + kSubBlock, stride, odd[0]);
      multiply_one<3, 6, 7>(rows + kSubBlock + kBytes, stride, odd[4]);
    }
    tiles_.template store<0>(to.of[0], kTileBytes);
    tiles_.template store<1>(to.of[1], kTileBytes);
    if constexpr (kHalves == 2) {
      tiles_.template store<2>(to.of[2], kTileBytes);
      tiles_.template store<3>(to.of[3], kTileBytes);
    }
  }
  template <int kC, int kA, int kB>
  __attribute__((always_inline)) void multiply_one(const std::int8_t* rows, std::int64_t stride,
                                                   const std::uint8_t* weights) {
    tiles_.template zero<kC>();
    tiles_.template load<kA>(rows, stride);
    tiles_.template load<kB>(weights, kTileBytes);
    tiles_.template multiply_bytes<kC, kA, kB>();
  }

  // As in IntTile::sub_block.
  __attribute__((always_inline)) void add(const EncodedInts* const (&in)[kTileRows], std::int64_t x,
                                          const Sums& sums, Floats (&total)[kTileRows]) {
    for (int odd = 0; odd < 2; ++odd) {
      const std::int64_t sub_block = 2 * x + odd;
      const Panel& panel = panel_at(sub_block);
      const auto s = static_cast<int>(sub_block % Tile::kSubBlocks);
      for (int half = 0; half < kHalves; ++half) {
        const Floats scale = scale_of_sum(panel, s, half, 0);
#pragma GCC unroll 16
        for (int r = 0; r < kTileRows; ++r) {
          const std::int32_t* of_rows = in[r][x].sum + 2 * odd;
          const Ints offset =
              splat_int(-Tile::kOffset * (kHalves == 2 ? of_rows[half] : of_rows[0] + of_rows[1]));
          const Ints sum = load_as<Ints>(sums.of[kHalves * odd + half][r]) + offset;
          total[r] = fma(as_float(sum) * splat(in[r][x].d[odd]), scale, total[r]);
        }
      }
      if constexpr (Tile::kHasMinimum) {
        const Floats minimum = minimum_of(panel, s, 0);
#pragma GCC unroll 16
        for (int r = 0; r < kTileRows; ++r)
          total[r] = fma(minimum, splat(in[r][x].sum_x[odd]), total[r]);
      }
    }
  }

  const PackedBlock& b_;
  const Panel* panel_ = nullptr;
  Tiles tiles_;
  alignas(64) Groups unpacked_[kType == DType::Q8_0 ? 1 : kPartLength / kSubBlock];
};

// Rows from `first` on.
PackedBlock rows_from(PackedBlock b, std::int64_t first) {
  if (b.in_rows)
    b.in_rows += first;
  else
    b.rows += first * b.row_bytes;
  if (b.residual) b.residual += first * b.residual_stride;
  b.out += first * b.out_stride;
  b.count -= first;
  return b;
}

}  // namespace

void packed_ints(const PackedBlock& b) {
  const std::int64_t whole = b.count / kTileRows * kTileRows;
  if (whole > 0)
    with_quantised(b.weight.dtype, [&]<DType kType>() {
      AmxInts<kType> amx(b);
      for (std::int64_t p = b.first; p < b.last; ++p) amx.run(p, whole);
    });
  if (whole < b.count) avx512_vnni::packed_ints(rows_from(b, whole));
}

}  // namespace millrace::MILLRACE_ISA
