// A tile of a product on AMD's matrix units: kRows input rows times kColumns rows of the weights,
// by a block of four waves.
//
// Both operands pass through shared memory, kStep of k at a time, while the next step's are on
// their way to registers. The weights are MFMA's rows, so that a lane ends with four neighbouring
// columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/gpu/gpu_mfma.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU::mfma {

constexpr int kWaves = 4;
constexpr int kThreads = kWaves * gpu::kWave;
// Blocks go round the eight dies of a GPU (XCDs), whose L2 caches are separate.
constexpr int kDies = 8;

// Tile i of an order, of which each die's blocks take a share that lies together. Grid: a multiple
// of kDies blocks; some may have no tile.
inline __device__ std::int64_t tile_of_block() {
  const std::int64_t share = gridDim.x / kDies;
  return blockIdx.x % kDies * share + blockIdx.x / kDies;
}
inline unsigned blocks_of_tiles(std::int64_t tiles) {
  return static_cast<unsigned>((tiles + kDies - 1) / kDies * kDies);
}

template <int kRows, int kColumns, int kStep>
class Tile {
 public:
  // Few rows: every wave takes all of them.
  static constexpr int kWavesOfRows = kRows < 32 ? 1 : 2;
  static constexpr int kSideRows = kRows / kWavesOfRows;  // of a wave's share
  static constexpr int kSideColumns = kColumns / (kWaves / kWavesOfRows);
  static constexpr int kRowBlocks = kSideRows / 16;  // MFMA products along it
  static constexpr int kColumnBlocks = kSideColumns / 16;
  static constexpr int kSharedBytes = (kRows + kColumns) * 2 * kStep;
  using Sums = float[kColumnBlocks][kRowBlocks][4];

  __device__ Tile() {
    const int thread = static_cast<int>(threadIdx.x);
    const int lane = thread % gpu::kWave;
    g_ = lane / 16;
    r_ = lane % 16;
    wave_row_ = thread / gpu::kWave % kWavesOfRows * kSideRows;
    wave_column_ = thread / gpu::kWave / kWavesOfRows * kSideColumns;
    weight_shared_ = gpu::dynamic_shared();
    in_shared_ = weight_shared_ + kColumns * kPitch;
  }

  // `weight_row(i)` and `in_row(i)` are the operands' rows of k, a multiple of 8; null counts as
  // zeros.
  template <typename WeightRow, typename InRow>
  __device__ void multiply(std::int64_t k, const WeightRow& weight_row, const InRow& in_row,
                           Sums& sums) {
    Rows rows;
    for (int i = 0; i < kWeightLoads; ++i)
      rows.weight[i] = is_unit(i, kColumns) ? weight_row(row_of_unit(i)) : nullptr;
    for (int i = 0; i < kInLoads; ++i)
      rows.in[i] = is_unit(i, kRows) ? in_row(row_of_unit(i)) : nullptr;
    Operands next;
    load(next, rows, 0, k);
    for (std::int64_t at = 0; at < k; at += kStep) {
      store(next);
      __syncthreads();
      load(next, rows, at + kStep, k);
      multiply_step(sums);
      __syncthreads();
    }
  }

  // Of the tile: the row of a lane's sums, and the first of their four columns.
  __device__ int row_of(int row_block) const { return wave_row_ + 16 * row_block + r_; }
  __device__ int column_of(int column_block) const {
    return wave_column_ + 16 * column_block + 4 * g_;
  }

 private:
  static constexpr int kUnits = kStep / 8;  // 16-byte units of a row's step
  static constexpr int kPitch = 2 * kStep;  // bytes of a row
  static constexpr int kWeightLoads = (kColumns * kUnits + kThreads - 1) / kThreads;  // of a thread
  static constexpr int kInLoads = (kRows * kUnits + kThreads - 1) / kThreads;

  struct Rows {
    const BF16 *weight[kWeightLoads], *in[kInLoads];
  };
  struct Operands {
    gpu::Bits16 weight[kWeightLoads], in[kInLoads];
  };

  static __device__ int unit_of(int i) { return static_cast<int>(threadIdx.x) + i * kThreads; }
  static __device__ int row_of_unit(int i) { return unit_of(i) / kUnits; }
  static __device__ bool is_unit(int i, int rows) {
    return rows * kUnits % kThreads == 0 || unit_of(i) < rows * kUnits;
  }

  static __device__ void load(Operands& to, const Rows& rows, std::int64_t at, std::int64_t k) {
    for (int i = 0; i < kWeightLoads; ++i) to.weight[i] = load_unit(rows.weight[i], i, at, k);
    for (int i = 0; i < kInLoads; ++i) to.in[i] = load_unit(rows.in[i], i, at, k);
  }
  static __device__ gpu::Bits16 load_unit(const BF16* row, int i, std::int64_t at, std::int64_t k) {
    const std::int64_t c = at + 8 * (unit_of(i) % kUnits);
    return row != nullptr && c < k ? *reinterpret_cast<const gpu::Bits16*>(row + c) : gpu::Bits16{};
  }

  __device__ void store(const Operands& from) const {
    for (int i = 0; i < kWeightLoads; ++i)
      if (is_unit(i, kColumns)) store_unit(weight_shared_, i, from.weight[i]);
    for (int i = 0; i < kInLoads; ++i)
      if (is_unit(i, kRows)) store_unit(in_shared_, i, from.in[i]);
  }
  static __device__ void store_unit(std::byte* shared, int i, const gpu::Bits16& value) {
    *reinterpret_cast<gpu::Bits16*>(shared + place(row_of_unit(i), unit_of(i) % kUnits)) = value;
  }

  // Where a row's unit lies: rows are rotated, so that the lanes of a load hit all banks.
  static __device__ int place(int row, int unit) { return row * kPitch + 16 * (unit ^ (row % 8)); }

  __device__ gpu::Bits16 fragment(const std::byte* shared, int first, int chunk) const {
    return *reinterpret_cast<const gpu::Bits16*>(shared + place(first + r_, 4 * chunk + g_));
  }

  __device__ void multiply_step(Sums& sums) const {
    for (int chunk = 0; chunk < kStep / 32; ++chunk) {
      gpu::Bits16 in[kRowBlocks];
      for (int row = 0; row < kRowBlocks; ++row)
        in[row] = fragment(in_shared_, wave_row_ + 16 * row, chunk);
      for (int column = 0; column < kColumnBlocks; ++column) {
        const gpu::Bits16 weight = fragment(weight_shared_, wave_column_ + 16 * column, chunk);
        for (int row = 0; row < kRowBlocks; ++row)
          gpu::mfma_16x16x32(sums[column][row], weight, in[row]);
      }
    }
  }

  int g_, r_;  // lane 16g + r
  int wave_row_, wave_column_;
  std::byte* weight_shared_;
  std::byte* in_shared_;
};

}  // namespace millrace::MILLRACE_GPU::mfma
