// Large products on AMD's matrix units, for machines without hipBLASLt and for what it cannot do.
// Tiles are dealt so that one die's blocks share weights.
#include "ops/linear/linear_mfma.h"
#include "ops/mfma/mfma_tile.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

// Four neighbouring columns of one row.
__device__ void finish(const LinearParams& p, std::int64_t row, std::int64_t column,
                       const float (&sums)[4]) {
  if (row >= p.rows || column >= p.out.columns) return;
  gpu::Floats4 value = {sums[0], sums[1], sums[2], sums[3]};
  const auto add = [&](const float* from) {
    const gpu::Floats4 more = gpu::load4(from);
    value = {value.x + more.x, value.y + more.y, value.z + more.z, value.w + more.w};
  };
  if (p.bias) add(p.bias + column);
  if (p.residual.data)
    add(static_cast<const float*>(p.residual.data) + row * p.residual.stride + column);
  const std::int64_t at = row * p.out.stride + column;
  if (p.out.dtype == DType::BF16)
    gpu::store4(static_cast<BF16*>(p.out.data) + at, value);
  else
    gpu::store4(static_cast<float*>(p.out.data) + at, value);
}

// Rows change fastest from tile to tile.
template <int kTile, int kStep>
__global__ void __launch_bounds__(mfma::kThreads, 2)
    linear_mfma(LinearParams p, std::int64_t row_tiles, std::int64_t tiles) {
  using Tile = mfma::Tile<kTile, kTile, kStep>;
  const std::int64_t index = mfma::tile_of_block();
  if (index >= tiles) return;
  const std::int64_t first_row = index % row_tiles * kTile;
  const std::int64_t first_column = index / row_tiles * kTile;
  const std::int64_t k = p.in.columns;
  Tile tile;
  typename Tile::Sums sums = {};
  tile.multiply(
      k,
      [&](int i) {
        const std::int64_t column = first_column + i;
        return column < p.out.columns ? static_cast<const BF16*>(p.weight.data) + column * k
                                      : nullptr;
      },
      [&](int i) {
        const std::int64_t row = first_row + i;
        return row < p.rows ? static_cast<const BF16*>(p.in.data) + row * p.in.stride : nullptr;
      },
      sums);
  for (int column = 0; column < Tile::kColumnBlocks; ++column)
    for (int row = 0; row < Tile::kRowBlocks; ++row)
      finish(p, first_row + tile.row_of(row), first_column + tile.column_of(column),
             sums[column][row]);
}

std::int64_t tiles_of(const LinearParams& p, int side) {
  return ((p.rows + side - 1) / side) * ((p.out.columns + side - 1) / side);
}

template <int kTile, int kStep>
void run_tiles(const LinearParams& p, Stream& stream) {
  const std::int64_t tiles = tiles_of(p, kTile);
  gpu::launch(linear_mfma<kTile, kStep>,
              {.grid = {mfma::blocks_of_tiles(tiles)},
               .block = {mfma::kThreads},
               .shared_bytes = mfma::Tile<kTile, kTile, kStep>::kSharedBytes},
              stream, p, (p.rows + kTile - 1) / kTile, tiles);
}

// 16-byte accesses to four floats.
bool fits(const MatrixView& view) {
  return view.data == nullptr || gpu::rows_are_aligned(view);
}

}  // namespace

bool run_linear_mfma(const LinearParams& p, Stream& stream) {
  if (p.weight.dtype != DType::BF16 || p.in.dtype != DType::BF16) return false;
  if (p.in.columns % 8 != 0 || p.out.columns % 4 != 0) return false;
  if (!gpu::is_aligned(p.weight.data) || !fits(p.in) || !fits(p.residual) || !fits(p.out) ||
      !gpu::is_aligned(p.bias))
    return false;
  // The largest tile that still gives every compute unit one.
  if (tiles_of(p, 128) >= gpu::multiprocessors(stream))
    run_tiles<128, 64>(p, stream);
  else if (tiles_of(p, 64) >= gpu::multiprocessors(stream))
    run_tiles<64, 64>(p, stream);
  else
    run_tiles<32, 128>(p, stream);
  return true;
}

}  // namespace millrace::MILLRACE_GPU
