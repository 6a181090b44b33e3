// Rows are sorted by expert; then a block multiplies up to 128 of an expert's rows with a tile of
// its weights (ops/mfma/mfma_tile.cuh). Four kernels: places, gate and up, down, and the weighted
// sum of each row's experts in ascending order.
#include "ops/mfma/mfma_tile.cuh"
#include "ops/moe_experts/moe_experts_mfma.h"
#include "ops/moe_experts/sorted_pairs.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

// Tiles of each group of rows, groups changing fastest: a die's blocks share weights.
struct Grid {
  std::int64_t groups;  // at most; the device knows how many there are
  std::int64_t tiles;   // of columns
};

// A tile's columns are sixteen of w1, the same sixteen of w3, and so on, so that a lane has a gate
// and its up. Which one of the tile's hidden columns one belongs to:
__device__ int hidden_column(int tile_column) {
  return tile_column / 32 * 16 + tile_column % 16;
}

template <int kRows, int kColumns, int kStep>
__global__ void __launch_bounds__(mfma::kThreads, 2)
    gate_and_up_mfma(MoeExpertsParams p, SortedPairs l, const BF16* w1, const BF16* w3, Grid grid) {
  using Tile = mfma::Tile<kRows, kColumns, kStep>;
  static_assert(Tile::kColumnBlocks % 2 == 0);
  const std::int64_t index = mfma::tile_of_block();
  if (index % grid.groups >= *l.group_count || index / grid.groups >= grid.tiles) return;
  const RowGroup group = l.groups[index % grid.groups];
  const std::int64_t first = index / grid.groups * (kColumns / 2);
  const std::int64_t k = p.in.columns;
  const std::int64_t skipped = group.matrix * p.width * k;
  Tile tile;
  typename Tile::Sums sums = {};
  tile.multiply(
      k,
      [&](int i) {
        const std::int64_t n = first + hidden_column(i);
        return n < p.width ? (i / 16 % 2 == 0 ? w1 : w3) + skipped + n * k : nullptr;
      },
      [&](int i) {
        return i < group.rows ? static_cast<const BF16*>(p.in.data) +
                                    l.source[group.first_row + i] * p.in.stride
                              : nullptr;
      },
      sums);
  for (int column = 0; column < Tile::kColumnBlocks; column += 2)
    for (int row = 0; row < Tile::kRowBlocks; ++row) {
      const int m = tile.row_of(row);
      const std::int64_t n = first + hidden_column(tile.column_of(column));
      if (m >= group.rows || n >= p.width) continue;
      const float(&gate)[4] = sums[column][row];
      const float(&up)[4] = sums[column + 1][row];
      gpu::store4(l.hidden + (group.first_row + m) * p.width + n,
                  {gpu::gated(gate[0], up[0]), gpu::gated(gate[1], up[1]),
                   gpu::gated(gate[2], up[2]), gpu::gated(gate[3], up[3])});
    }
}

template <int kRows, int kColumns, int kStep>
__global__ void __launch_bounds__(mfma::kThreads, 2)
    down_mfma(MoeExpertsParams p, SortedPairs l, const BF16* w2, Grid grid) {
  using Tile = mfma::Tile<kRows, kColumns, kStep>;
  const std::int64_t index = mfma::tile_of_block();
  if (index % grid.groups >= *l.group_count || index / grid.groups >= grid.tiles) return;
  const RowGroup group = l.groups[index % grid.groups];
  const std::int64_t first = index / grid.groups * kColumns;
  const std::int64_t k = p.width;
  const BF16* weight = w2 + group.matrix * p.out.columns * k;
  Tile tile;
  typename Tile::Sums sums = {};
  tile.multiply(
      k, [&](int i) { return first + i < p.out.columns ? weight + (first + i) * k : nullptr; },
      [&](int i) { return i < group.rows ? l.hidden + (group.first_row + i) * k : nullptr; }, sums);
  for (int column = 0; column < Tile::kColumnBlocks; ++column)
    for (int row = 0; row < Tile::kRowBlocks; ++row) {
      const int m = tile.row_of(row);
      const std::int64_t n = first + tile.column_of(column);
      if (m >= group.rows || n >= p.out.columns) continue;
      const float(&v)[4] = sums[column][row];
      gpu::store4(l.down + (group.first_row + m) * p.out.columns + n, {v[0], v[1], v[2], v[3]});
    }
}

template <int kRows, int kColumns, int kStep>
void run_tiles(const MoeExpertsParams& p, Stream& stream) {
  const SortedPairs l = lay_out_pairs(p);
  launch_sort(p, l, kRows, stream);
  const std::int64_t pairs = p.rows * p.top_k;
  const auto tiles = [](std::int64_t columns, int side) { return (columns + side - 1) / side; };
  Grid grid = {std::min<std::int64_t>(pairs, p.expert_count + pairs / kRows),
               tiles(p.width, kColumns / 2)};
  constexpr int kShared = mfma::Tile<kRows, kColumns, kStep>::kSharedBytes;
  gpu::launch(gate_and_up_mfma<kRows, kColumns, kStep>,
              {.grid = {mfma::blocks_of_tiles(grid.groups * grid.tiles)},
               .block = {mfma::kThreads},
               .shared_bytes = kShared},
              stream, p, l, stack_of(p, &ExpertView::w1), stack_of(p, &ExpertView::w3), grid);
  grid.tiles = tiles(p.out.columns, kColumns);
  gpu::launch(down_mfma<kRows, kColumns, kStep>,
              {.grid = {mfma::blocks_of_tiles(grid.groups * grid.tiles)},
               .block = {mfma::kThreads},
               .shared_bytes = kShared},
              stream, p, l, stack_of(p, &ExpertView::w2), grid);
  launch_add_up(p, l, stream);
}

}  // namespace

void run_moe_experts_mfma(const MoeExpertsParams& p, Stream& stream) {
  if (p.rows == 0) return;
  // Half as many rows again as if all experts had the same: few then need a second group.
  const std::int64_t expected = 3 * p.rows * p.top_k / (2 * std::int64_t{p.expert_count});
  if (expected <= 16)
    run_tiles<16, 128, 64>(p, stream);
  else if (expected <= 64)
    run_tiles<64, 128, 64>(p, stream);
  else
    run_tiles<128, 128, 64>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
