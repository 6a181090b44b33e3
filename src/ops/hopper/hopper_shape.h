// How a product is laid out over the multiprocessors; see hopper_product.cuh.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/row_group.h"

namespace millrace::cuda::hopper {

constexpr int kColumns = 64;     // of a warpgroup's tile
constexpr int kDepth = 64;       // of k in a chunk: 128 bytes, as wide as the copy engine swizzles
constexpr int kMostStages = 16;  // of the ring
constexpr int kMostBlocks = 8;   // of a cluster
constexpr int kBarrierBytes = 16 * kMostStages + 16;
constexpr int kScaleBytes = 4 * 128;  // of the rows

// The sums of row m are multiplied with 1 / rms of the row that it was made of, a row of `columns`
// whose squares are summed up over 64 columns each; nothing is done where there are none.
struct RowScale {
  const float* squares;  // [rows][columns / 64]
  int columns;
  float epsilon;
};

struct ProductShape {
  int rows;     // of `in`
  int columns;  // of `out`
  int tiles;    // of output columns; of each group of rows
  int chunks;   // of k, the last one perhaps in part
  int cluster;  // blocks that share out k
  int stages;
  bool sums_in_ring;  // a block has one tile: its ring is free when the sums are there
  bool streamed;      // weights are read once
  RowScale scale;
  // Grouped products alone:
  const RowGroup* groups;  // on the device, no group longer than the kernel's rows
  const int* group_count;  // on the device
  int matrix_rows;         // from matrix to matrix of the stack
};

// Of split_product.cu.
constexpr int kMostParts = 8;  // of k
constexpr int kMostSplitRows = 32;
// Barriers and a flag, the rows' scales, four warps' squares of each row.
constexpr int kSplitSharedBytes = kBarrierBytes + 5 * kMostSplitRows * 4;
struct SplitShape {
  int rows, columns;  // of `out`
  int parts;          // of k, a block a tile of 64 columns each
  int chunks;         // of k, the last one perhaps in part
  int stages;
  float* sums;   // [tile][part][rows of the instance][columns of a tile], as threads hold them
  int* arrived;  // [tile], zero between kernels
};

constexpr int stage_bytes(int groups, int rows) {
  return (groups * kColumns + rows) * kDepth * 2;
}
// Four floats beyond the row, so that a warp's sums hit all banks.
constexpr int sums_pitch(int groups) {
  return groups * kColumns + 4;
}
constexpr int sums_bytes(int groups, int rows) {
  return sums_pitch(groups) * rows * 4;
}

}  // namespace millrace::cuda::hopper
