// The matrix product of batches on Hopper: out = in * weight^T, bound by the reading of the weights
// while rows are few.
//
//   - A block makes 64 output columns a warpgroup, of all rows, as out^T = weight * in^T: weights
//     are the tensor cores' wide side, 16 to 128 rows the narrow one.
//   - One thread asks for both in chunks of 64 of k, as boxes that the copy engine swizzles, into a
//     ring. Weights depend on nobody: as many as the ring holds are asked for before
//     wait_for_previous(). The next kernel may start once the last ones are asked for: then its
//     first weights arrive while this one ends, and not before, when they would only be in the way.
//   - A cluster of blocks shares out k. Its sums meet in the order of the blocks, through each
//     other's shared memory: results do not depend on chance.
//   - Grouped: rows lie sorted by the matrix of a stack that each is multiplied with, and a list on
//     the device says which rows are whose. Nothing can be asked for before that is known.
//   - An epilogue sees the whole sums of four neighbouring columns of a row, in all parts: what the
//     warpgroups have made for one column from different rows of weights (gate and up).
//
// A row's result does not depend on the other rows.
#pragma once

#include "ops/gpu_support.h"
#include "ops/hopper/hopper_shape.h"
#include "ops/hopper/hopper_words.cuh"

namespace millrace::cuda::hopper {

// The weights, a matrix a part.
template <int kParts>
struct WeightMaps {
  CUtensorMap part[kParts];
};

// What the kernel's threads share; addresses are of shared memory.
struct Layout {
  std::uint32_t full, empty;  // barriers, one a stage
  std::uint32_t made, taken;  // the cluster's sums
  std::uint32_t ring;         // [stage]: weights of each group, then rows
  std::uint32_t sums;         // [row][column], rows kPitch floats apart
  std::uint32_t scales;       // [row], where rows are scaled
};

// kGroups warpgroups of 64 columns, kRows rows at most.
template <int kGroups, int kRows, bool kGrouped, typename Epilogue>
class Product {
 public:
  static constexpr int kThreads = kGroups * 128;  // that multiply; one more warp copies
  static constexpr int kParts = Epilogue::kParts;
  static constexpr int kTileColumns = kGroups / kParts * kColumns;
  static constexpr int kWeightBytes = kColumns * kDepth * 2;  // of a group
  static constexpr int kStageBytes = stage_bytes(kGroups, kRows);
  static constexpr int kPitch = sums_pitch(kGroups);
  static constexpr int kSums = kRows / 2;  // that a thread holds
  static constexpr int kBatch = 4;         // items whose other inputs are asked for at once
  // Group g makes part g % kParts.
  static_assert(kGroups % kParts == 0);

  __device__ Product(const WeightMaps<Epilogue::kParts>& weights, const CUtensorMap& rows,
                     const ProductShape& shape, const Epilogue& epilogue)
      : weights_(weights), rows_(rows), s_(shape), epilogue_(epilogue) {
    const std::uint32_t base = shared_address(gpu::dynamic_shared());
    at_.ring = (base + kBarrierBytes + kScaleBytes + 1023) / 1024 * 1024;
    at_.scales = base + kBarrierBytes;
    at_.full = base;
    at_.empty = base + 8 * kMostStages;
    at_.made = base + 16 * kMostStages;
    at_.taken = at_.made + 8;
    at_.sums = at_.ring + (s_.sums_in_ring ? 0 : s_.stages * kStageBytes);
    rank_ = s_.cluster > 1 ? static_cast<int>(cluster_rank()) : 0;
    first_ = rank_ * s_.chunks / s_.cluster;
    last_ = (rank_ + 1) * s_.chunks / s_.cluster;
    first_tile_ = static_cast<int>(blockIdx.x) / s_.cluster;
    step_ = static_cast<int>(gridDim.x) / s_.cluster;
    tiles_ = kGrouped ? 0 : s_.tiles;
  }

  // Two whole branches: where the compiler takes the products for divergent it runs them one by
  // one.
  __device__ void run() {
    if (threadIdx.x >= kThreads) {
      const bool copies = threadIdx.x == kThreads;
      if (copies) prefetch_maps();
      if (copies) init_barriers();
      if (copies && !kGrouped) ask_early();
      __syncwarp();
      meet();
      if (copies) copy_all();
    } else {
      meet();
      multiply_all();
    }
  }

 private:
  __device__ void prefetch_maps() const {
    for (int part = 0; part < kParts; ++part) prefetch_map(weights_.part[part]);
    prefetch_map(rows_);
  }
  __device__ void init_barriers() const {
    for (int i = 0; i < s_.stages; ++i) {
      init_barrier(at_.full + 8 * i, 1);
      init_barrier(at_.empty + 8 * i, kGroups);
    }
    init_barrier(at_.made, s_.cluster);
    init_barrier(at_.taken, s_.cluster);
    publish_barriers();
  }

  // Barriers are ready, everywhere in the cluster.
  __device__ void meet() const {
    if (s_.cluster > 1)
      sync_cluster();
    else
      sync_block();
  }

  // Where a tile's factors and its outputs are.
  struct Place {
    int weight_row;
    int first_row, rows;
    int column;
  };
  __device__ Place place_of(int tile) const {
    if constexpr (kGrouped) {
      const RowGroup group = s_.groups[tile / s_.tiles];
      const int in_group = tile % s_.tiles;
      return {group.matrix * s_.matrix_rows + in_group * kTileColumns, group.first_row, group.rows,
              in_group * kTileColumns};
    } else {
      const int first_row = static_cast<int>(blockIdx.y) * kRows;
      const int left = s_.rows - first_row;
      return {tile * kTileColumns, first_row, left < kRows ? left : kRows, tile * kTileColumns};
    }
  }

  // Once what earlier kernels wrote can be read.
  __device__ void learn_tiles() {
    gpu::wait_for_previous();
    if constexpr (kGrouped) tiles_ = *s_.group_count * s_.tiles;
  }

  // --- the thread that copies ---

  __device__ void copy_weights(int stage, const Place& place, int chunk) const {
    const std::uint32_t full = at_.full + 8 * stage;
    expect_bytes(full, kStageBytes);
    for (int g = 0; g < kGroups; ++g)
      copy_box(at_.ring + stage * kStageBytes + g * kWeightBytes, weights_.part[g % kParts],
               chunk * kDepth, place.weight_row + g / kParts * kColumns, full, s_.streamed);
  }
  __device__ void copy_rows(int stage, const Place& place, int chunk) const {
    copy_box(at_.ring + stage * kStageBytes + kGroups * kWeightBytes, rows_, chunk * kDepth,
             place.first_row, at_.full + 8 * stage, false);
  }

  // A place in the ring, and whether it is the barrier's odd or even turn.
  struct Slot {
    int stage = 0;
    std::uint32_t parity = 0;
  };
  __device__ void advance(Slot& at) const {
    if (++at.stage < s_.stages) return;
    at.stage = 0;
    at.parity ^= 1;
  }

  // Of all this block's tiles, before it knows its rows.
  __device__ int all_chunks() const {
    const int tiles = first_tile_ < s_.tiles ? (s_.tiles - 1 - first_tile_) / step_ + 1 : 0;
    return tiles * (last_ - first_);
  }
  __device__ void ask_early() const {
    const int all = all_chunks();
    const int early = all < s_.stages ? all : s_.stages;
    for (int tile = first_tile_, stage = 0; stage < early; tile += step_)
      for (int chunk = first_; chunk < last_ && stage < early; ++chunk)
        copy_weights(stage++, place_of(tile), chunk);
  }

  __device__ void copy_all() {
    const int early = kGrouped ? 0 : s_.stages;
    // Nothing is left to ask for?
    if (!kGrouped && all_chunks() <= early) gpu::let_next_start();
    learn_tiles();
    Slot at;
    int asked = 0;
    for (int tile = first_tile_; tile < tiles_; tile += step_) {
      const Place place = place_of(tile);
      for (int chunk = first_; chunk < last_; ++chunk, ++asked, advance(at)) {
        if (asked >= s_.stages) wait_for(at_.empty + 8 * at.stage, at.parity ^ 1);
        if (asked >= early) copy_weights(at.stage, place, chunk);
        copy_rows(at.stage, place, chunk);
      }
    }
    gpu::let_next_start();
  }

  // --- the warpgroups ---

  __device__ void multiply_all() {
    const int group = static_cast<int>(threadIdx.x) / 128;
    if constexpr (kGrouped) learn_tiles();
    if (!kGrouped && s_.scale.squares) make_scales();
    Slot at;
    std::uint32_t turn = 0;
    for (int tile = first_tile_; tile < tiles_; tile += step_, turn ^= 1) {
      float sums[kSums] = {};
      int before = -1;  // the stage whose products may still run
      for (int i = first_; i < last_; ++i, advance(at)) {
        wait_for(at_.full + 8 * at.stage, at.parity);
        multiply_stage(at.stage, group, sums);
        if constexpr (kGrouped) {  // many rows: products follow each other without a gap
          if (before >= 0) {
            wait_products<1>();
            release(before);
          }
          before = at.stage;
        } else {  // a stage is worth more to the weights that wait for its place
          wait_products<0>();
          release(at.stage);
        }
      }
      wait_products<0>();
      keep(sums);
      if (kGrouped && before >= 0) release(before);
      finish(tile, group, sums, turn);
    }
    // Others may still be reading this block's sums.
    if (s_.cluster > 1 && first_tile_ < tiles_) wait_for(at_.taken, turn ^ 1);
  }

  // Eight threads a row.
  __device__ void make_scales() const {
    gpu::wait_for_previous();
    const int sums = (s_.scale.columns + kColumns - 1) / kColumns;
    const Place place = place_of(first_tile_);
    for (int row = static_cast<int>(threadIdx.x) / 8; row < kRows; row += kThreads / 8) {
      float squares = 0;
      for (int i = static_cast<int>(threadIdx.x) % 8; row < place.rows && i < sums; i += 8)
        squares += s_.scale.squares[(place.first_row + row) * sums + i];
      for (int mask = 4; mask > 0; mask /= 2) squares += gpu::shuffle_xor(squares, mask);
      const float mean = squares / static_cast<float>(s_.scale.columns);
      if (threadIdx.x % 8 == 0) store(at_.scales + 4 * row, 1.0f / sqrtf(mean + s_.scale.epsilon));
    }
  }

  __device__ void release(int stage) const {
    if (threadIdx.x % 128 == 0) arrive(at_.empty + 8 * stage);
  }

  __device__ void multiply_stage(int stage, int group, float (&sums)[kSums]) const {
    const std::uint32_t base = at_.ring + stage * kStageBytes;
    const std::uint64_t weights = tile_descriptor(base + group * kWeightBytes);
    const std::uint64_t rows = tile_descriptor(base + kGroups * kWeightBytes);
    begin_products();
#pragma unroll
    for (int step = 0; step < kDepth / 16; ++step)  // 32 bytes, in units of 16
      multiply(sums, weights + 2 * step, rows + 2 * step);
    end_products();
  }

  __device__ void finish(int tile, int group, const float (&sums)[kSums], std::uint32_t turn) {
    gpu::wait_for_previous();  // what it wrote is read and written below
    // Where they lie in the ring, the other groups must have done with it; else the cluster with
    // the sums before.
    if (s_.sums_in_ring)
      sync_threads(kThreads);
    else if (tile != first_tile_)
      s_.cluster > 1 ? wait_for(at_.taken, turn ^ 1) : sync_threads(kThreads);
    put_sums(group, sums);
    sync_threads(kThreads);
    if (s_.cluster > 1 && threadIdx.x < static_cast<unsigned>(s_.cluster))
      arrive_at(at_.made, threadIdx.x);

    const Place place = place_of(tile);
    constexpr int kPerRow = kTileColumns / 4;
    const int items = place.rows * kPerRow;
    const int step = kThreads * s_.cluster;
    const int batches = (items + kBatch * step - 1) / (kBatch * step);  // alike for all threads
    int item = rank_ * kThreads + static_cast<int>(threadIdx.x);
    const auto is_there = [&](int i) {
      return item + i * step < items && column_of(place, item + i * step) < s_.columns;
    };
    for (int batch = 0; batch < batches; ++batch, item += kBatch * step) {
      typename Epilogue::Early early[kBatch] = {};
      gpu::Floats4 values[kBatch][kParts];
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (const int at = item + i * step; is_there(i))
          early[i] = epilogue_.early(place.first_row + at / kPerRow, column_of(place, at));
      if (s_.cluster > 1 && batch == 0) wait_for_cluster(at_.made, turn);
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (const int at = item + i * step; is_there(i))
          add_up(values[i], at / kPerRow, at % kPerRow * 4);
      // Nobody shall wait at the end for what the epilogue does.
      if (s_.cluster > 1 && batch + 1 == batches) {
        sync_threads(kThreads);
        if (threadIdx.x < static_cast<unsigned>(s_.cluster)) arrive_at(at_.taken, threadIdx.x);
      }
#pragma unroll
      for (int i = 0; i < kBatch; ++i)
        if (const int at = item + i * step; is_there(i))
          epilogue_(place.first_row + at / kPerRow, column_of(place, at), values[i], early[i]);
    }
  }

  __device__ static int column_of(const Place& place, int item) {
    return place.column + item % (kTileColumns / 4) * 4;
  }

  __device__ void put_sums(int group, const float (&sums)[kSums]) const {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    const int column = group * kColumns + static_cast<int>(threadIdx.x) % 128 / 32 * 16 + lane / 4;
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      const int row = i / 4 * 8 + lane % 4 * 2 + i % 2;
      const std::uint32_t to = at_.sums + 4 * (row * kPitch + column + i / 2 % 2 * 8);
      store(to, sums[i]);
    }
  }

  // The cluster's sums of four columns, in the order of its blocks.
  __device__ void add_up(gpu::Floats4 (&values)[kParts], int row, int in_tile) const {
    float scale = 1.0f;
    if (!kGrouped && s_.scale.squares) scale = load(at_.scales + 4 * row);
#pragma unroll
    for (int part = 0; part < kParts; ++part) {
      const int group = in_tile / kColumns * kParts + part;
      const std::uint32_t from =
          at_.sums + 4 * (row * kPitch + group * kColumns + in_tile % kColumns);
      gpu::Floats4 sum;
      if (s_.cluster == 1) {
        sum = load_four(from);
      } else {
        gpu::Floats4 theirs[kMostBlocks];  // all on their way at once
#pragma unroll
        for (int r = 0; r < kMostBlocks; ++r)
          if (r < s_.cluster) theirs[r] = load_from(from, r);
        sum = theirs[0];
#pragma unroll
        for (int r = 1; r < kMostBlocks; ++r)
          if (r < s_.cluster)
            sum = {sum.x + theirs[r].x, sum.y + theirs[r].y, sum.z + theirs[r].z,
                   sum.w + theirs[r].w};
      }
      values[part] = {sum.x * scale, sum.y * scale, sum.z * scale, sum.w * scale};
    }
  }

  const WeightMaps<kParts>& weights_;
  const CUtensorMap& rows_;
  const ProductShape& s_;
  const Epilogue& epilogue_;
  Layout at_;
  int rank_, first_, last_;  // this block's chunks
  int first_tile_, step_, tiles_;
};

template <int kGroups, int kRows, bool kGrouped, typename Epilogue>
__global__ void __launch_bounds__(kGroups * 128 + 32, 1)
    hopper_product(const __grid_constant__ WeightMaps<Epilogue::kParts> weights,
                   const __grid_constant__ CUtensorMap rows,
                   const __grid_constant__ ProductShape shape,
                   const __grid_constant__ Epilogue epilogue) {
  if (kIsHopper) Product<kGroups, kRows, kGrouped, Epilogue>(weights, rows, shape, epilogue).run();
}

}  // namespace millrace::cuda::hopper
