// How a packed product is walked: tiles of columns (lanes) by rows in registers, all of k at once.
// Included by sources that are compiled once per instruction set; `Tile` says what one tile does.
#pragma once

#include "ops/packed_linear/packed_block.h"
#include "ops/packed_linear/panel_formats.h"
#include "ops/simd.h"

namespace millrace::MILLRACE_ISA {
namespace {

constexpr int kVectorsPerPanel = kPanelRows / kLanes;

// Where the vectors of a tile begin: vector v holds columns (first + v) * kLanes and on.
template <int kVectors>
struct TileColumns {
  const std::byte* panel[kVectors];
  int lane[kVectors];  // first row of the panel
};
template <int kVectors>
MILLRACE_INLINE TileColumns<kVectors> columns_at(const PackedBlock& b, std::int64_t first) {
  TileColumns<kVectors> columns;
  for (int v = 0; v < kVectors; ++v) {
    columns.panel[v] = static_cast<const std::byte*>(b.weight.panels) +
                       (first + v) / kVectorsPerPanel * b.panel_bytes;
    columns.lane[v] = static_cast<int>((first + v) % kVectorsPerPanel) * kLanes;
  }
  return columns;
}

// Asks for lines of a tile's streams before it gets there, kBytes ahead: at their ends, of the
// streams that come next, so that these do not begin by waiting for memory.
template <int kWidth, typename Panel, std::int64_t kBytes>
class LinesAhead {
 public:
  // Of the tile that begins at vector `first`.
  __attribute__((always_inline))
  LinesAhead(const PackedBlock& b, const TileColumns<kWidth>& columns, std::int64_t first) {
    constexpr std::int64_t kPanels = kWidth < kVectorsPerPanel ? 1 : kWidth / kVectorsPerPanel;
    blocks_ = b.panel_bytes / static_cast<std::int64_t>(sizeof(Panel));
    const bool is_last = first + kWidth >= b.last * kVectorsPerPanel;
    for (int v = 0; v < kWidth; ++v) {
      panel_[v] = reinterpret_cast<const Panel*>(columns.panel[v]);
      const std::byte* next = columns.panel[v] + kPanels * b.panel_bytes;
      if (is_last) next = b.next ? b.next + v / kVectorsPerPanel * b.panel_bytes : nullptr;
      next_[v] = reinterpret_cast<const Panel*>(next);
    }
  }

  // While block i is multiplied: where to ask for lines, stream by stream.
  __attribute__((always_inline)) const std::byte* at(std::int64_t i, int v) const {
    const bool ends = i + kAhead >= blocks_ && next_[v];
    return reinterpret_cast<const std::byte*>(ends ? next_[v] + (i + kAhead - blocks_)
                                                   : panel_[v] + i + kAhead);
  }

 private:
  static constexpr std::int64_t kAhead = (kBytes + static_cast<std::int64_t>(sizeof(Panel)) - 1) /
                                         static_cast<std::int64_t>(sizeof(Panel));

  std::int64_t blocks_;
  const Panel* panel_[kWidth];
  const Panel* next_[kWidth];
};

MILLRACE_INLINE const std::byte* encoded_row(const PackedBlock& b, std::int64_t t) {
  return b.rows + (b.in_rows ? b.in_rows[t] : t) * b.row_bytes;
}

// out = residual + bias + total, of the columns that there are.
MILLRACE_INLINE void finish(const PackedBlock& b, std::int64_t t, std::int64_t n, Floats total) {
  const std::int64_t left = b.weight.n - n;
  float* out = b.out + t * b.out_stride + n;
  const float* residual = b.residual ? b.residual + t * b.residual_stride + n : nullptr;
  const float* bias = b.bias ? b.bias + n : nullptr;
  if (left >= kLanes) {
    if (bias) total += load(bias);
    if (residual) total += load(residual);
    return store(out, total);
  }
  float values[kLanes];
  store(values, total);
  for (std::int64_t i = 0; i < left; ++i) {
    if (bias) values[i] += bias[i];
    if (residual) values[i] += residual[i];
    out[i] = values[i];
  }
}

// Tile::run<kVectors, kRows>(block, first vector, first row), and what is left of the rows in tiles
// of half as many: every tile reads the weights once.
template <typename Tile, int kVectors, int kRows>
MILLRACE_INLINE void rows_of(const PackedBlock& b, std::int64_t vector, std::int64_t t = 0) {
  for (; t + kRows <= b.count; t += kRows) Tile::template run<kVectors, kRows>(b, vector, t);
  if constexpr (kRows > 1) rows_of<Tile, kVectors, (kRows + 1) / 2>(b, vector, t);
}

// Few rows wait for memory: wide tiles, one stream a panel. Many rows share what a tile unpacks.
template <typename Tile>
MILLRACE_INLINE void walk(const PackedBlock& b) {
  const std::int64_t end = b.last * kVectorsPerPanel;
  std::int64_t vector = b.first * kVectorsPerPanel;
  if (b.count <= Tile::kFewRows) {
    for (; vector + Tile::kWide <= end; vector += Tile::kWide)
      rows_of<Tile, Tile::kWide, Tile::kFewRows>(b, vector);
  }
  for (; vector + Tile::kVectors <= end; vector += Tile::kVectors)
    rows_of<Tile, Tile::kVectors, Tile::kRows>(b, vector);
  for (; vector < end; ++vector) rows_of<Tile, 1, Tile::kRows>(b, vector);
}

}  // namespace
}  // namespace millrace::MILLRACE_ISA
