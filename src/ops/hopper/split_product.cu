// A block for each tile of columns would leave most multiprocessors idle: blocks share out k.
//
//   - As in hopper_product.cuh, weights are the tensor cores' wide side, and one thread asks for
//     both factors in chunks of 64 of k, which arrive in a ring; as many weights as the ring holds
//     are asked for before wait_for_previous().
//   - Each block leaves its sums in memory, in the order in which its threads hold them; the last
//     one of a tile to get there adds them up in the order of the parts, so that results do not
//     depend on chance. No block ever waits for another: clusters, whose sums could meet in shared
//     memory, start only when as many neighbours are free at once.
//   - A thread's part of the result is small: what follows works on it in registers.
//
// A row's result does not depend on the other rows.
#include <type_traits>

#include "base/check.h"
#include "device/cuda/tensor_maps.h"
#include "ops/gpu_support.h"
#include "ops/hopper/hopper_plan.h"
#include "ops/hopper/hopper_words.cuh"
#include "ops/hopper/split_product.h"

namespace millrace::cuda::hopper {
namespace {

constexpr int kThreads = 128;  // that multiply: a warpgroup; one more warp copies

// kRows rows at most; Out: float or BF16.
template <int kRows, typename Out>
class Split {
 public:
  static constexpr int kWeightBytes = kColumns * kDepth * 2;
  static constexpr int kStageBytes = stage_bytes(1, kRows);
  static constexpr int kSums = kRows / 2;     // that a thread holds
  static constexpr int kOwnRows = kRows / 4;  // of which they are: two columns of each

  __device__ Split(const CUtensorMap& weights, const CUtensorMap& rows, const SplitShape& shape,
                   const SplitProduct& product)
      : weights_(weights), rows_(rows), s_(shape), p_(product) {
    const std::uint32_t base = shared_address(gpu::dynamic_shared());
    full_ = base;
    empty_ = base + 8 * kMostStages;
    last_flag_ = base + 16 * kMostStages;
    scales_ = base + kBarrierBytes;
    squares_ = scales_ + 4 * kMostSplitRows;
    ring_ = (base + kSplitSharedBytes + 1023) / 1024 * 1024;
    tile_ = static_cast<int>(blockIdx.x) / s_.parts;
    part_ = static_cast<int>(blockIdx.x) % s_.parts;
    first_ = part_ * s_.chunks / s_.parts;
    count_ = (part_ + 1) * s_.chunks / s_.parts - first_;
  }

  // Two whole branches: where the compiler takes the products for divergent it runs them one by
  // one.
  __device__ void run() const {
    if (threadIdx.x >= kThreads) {
      const bool copies = threadIdx.x == kThreads;
      const int early = count_ < s_.stages ? count_ : s_.stages;
      if (copies) begin(early);
      __syncwarp();
      sync_block();
      if (copies) copy_all(early);
    } else {
      sync_block();
      gpu::wait_for_previous();
      // While the factors are on their way.
      float old[kSums], norm[2];
      load_old(old);
      load_norm(norm);
      if (p_.scale.squares) make_scales();
      float sums[kSums] = {};
      multiply_all(sums);
      if (s_.parts > 1 && !add_up(sums)) return;
      finish(sums, old);
      if (p_.next_norm) begin_norm(sums, norm);
    }
  }

 private:
  // --- the thread that copies ---

  __device__ void begin(int early) const {
    prefetch_map(weights_);
    prefetch_map(rows_);
    for (int i = 0; i < s_.stages; ++i) {
      init_barrier(full_ + 8 * i, 1);
      init_barrier(empty_ + 8 * i, 1);
    }
    publish_barriers();
    for (int i = 0; i < early; ++i) copy_weights(i, i);
    if (early == count_) gpu::let_next_start();
  }
  __device__ void copy_weights(int stage, int chunk) const {
    expect_bytes(full_ + 8 * stage, kStageBytes);
    copy_box(ring_ + stage * kStageBytes, weights_, (first_ + chunk) * kDepth, tile_ * kColumns,
             full_ + 8 * stage, true);
  }
  __device__ void copy_all(int early) const {
    gpu::wait_for_previous();
    int stage = 0;
    std::uint32_t parity = 0;
    for (int i = 0; i < count_; ++i) {
      if (i >= s_.stages) wait_for(empty_ + 8 * stage, parity ^ 1);
      if (i >= early) copy_weights(stage, i);
      copy_box(ring_ + stage * kStageBytes + kWeightBytes, rows_, (first_ + i) * kDepth, 0,
               full_ + 8 * stage, false);
      if (++stage == s_.stages) {
        stage = 0;
        parity ^= 1;
      }
    }
    gpu::let_next_start();
  }

  // --- the warpgroup ---

  __device__ void multiply_all(float (&sums)[kSums]) const {
    int stage = 0, before = -1;  // the stage whose products may still run
    std::uint32_t parity = 0;
    for (int i = 0; i < count_; ++i) {
      wait_for(full_ + 8 * stage, parity);
      const std::uint32_t base = ring_ + stage * kStageBytes;
      const std::uint64_t weights = tile_descriptor(base);
      const std::uint64_t rows = tile_descriptor(base + kWeightBytes);
      begin_products();
#pragma unroll
      for (int step = 0; step < kDepth / 16; ++step)  // 32 bytes, in units of 16
        multiply(sums, weights + 2 * step, rows + 2 * step);
      end_products();
      if (before >= 0) {
        wait_products<1>();
        if (threadIdx.x == 0) arrive(empty_ + 8 * before);
      }
      before = stage;
      if (++stage == s_.stages) {
        stage = 0;
        parity ^= 1;
      }
    }
    wait_products<0>();
    keep(sums);
  }

  // Leaves this part's sums for the others; true, with the sums of all, in the last block to.
  __device__ bool add_up(float (&sums)[kSums]) const {
    const auto thread = static_cast<int>(threadIdx.x);
    constexpr int kPart = kSums * kThreads;  // floats
    float* tile = s_.sums + std::int64_t{tile_} * s_.parts * kPart;
#pragma unroll
    for (int i = 0; i < kSums; i += 4)
      __stcg(reinterpret_cast<float4*>(tile + part_ * kPart + (i / 4 * kThreads + thread) * 4),
             make_float4(sums[i], sums[i + 1], sums[i + 2], sums[i + 3]));
    sync_threads(kThreads);
    if (thread == 0) {
      const bool last = add_in_order(s_.arrived + tile_, 1) == s_.parts - 1;
      if (last) s_.arrived[tile_] = 0;  // for the next kernel
      store(last_flag_, last ? 1.0f : 0.0f);
    }
    sync_threads(kThreads);
    if (load(last_flag_) == 0) return false;
#pragma unroll
    for (int i = 0; i < kSums; i += 4) {
      const float* from = tile + (i / 4 * kThreads + thread) * 4;
      float4 parts[kMostParts];  // all on their way at once
#pragma unroll
      for (int p = 0; p < kMostParts; ++p)
        if (p < s_.parts) parts[p] = __ldcg(reinterpret_cast<const float4*>(from + p * kPart));
      float4 sum = parts[0];
#pragma unroll
      for (int p = 1; p < kMostParts; ++p)
        if (p < s_.parts)
          sum = {sum.x + parts[p].x, sum.y + parts[p].y, sum.z + parts[p].z, sum.w + parts[p].w};
      sums[i] = sum.x;
      sums[i + 1] = sum.y;
      sums[i + 2] = sum.z;
      sums[i + 3] = sum.w;
    }
    return true;
  }

  // --- what stands before and behind the product ---

  // Where a thread's i-th sum belongs.
  struct Place {
    int row, column;
  };
  __device__ Place place_of(int i) const {
    const auto thread = static_cast<int>(threadIdx.x);
    const int lane = thread % 32;
    return {i / 4 * 8 + lane % 4 * 2 + i % 2,
            tile_ * kColumns + thread / 32 * 16 + lane / 4 + i / 2 % 2 * 8};
  }
  // The j-th row that a thread has sums of.
  __device__ static int row_of(int j) {
    return j / 2 * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + j % 2;
  }
  __device__ bool is_there(const Place& at) const {
    return at.row < s_.rows && at.column < s_.columns;
  }
  __device__ Out* out_at(const Place& at) const {
    return static_cast<Out*>(p_.out.data) + at.row * p_.out.stride + at.column;
  }

  __device__ void load_old(float (&old)[kSums]) const {
#pragma unroll
    for (int i = 0; i < kSums; ++i) old[i] = 0;
    if constexpr (std::is_same_v<Out, float>) {
      if (!p_.adds) return;
#pragma unroll
      for (int i = 0; i < kSums; ++i)
        if (const Place at = place_of(i); is_there(at)) old[i] = *out_at(at);
    }
  }

  // Eight threads a row.
  __device__ void make_scales() const {
    const int sums = (p_.scale.columns + kColumns - 1) / kColumns;
    for (int row = static_cast<int>(threadIdx.x) / 8; row < kRows; row += kThreads / 8) {
      float squares = 0;
      for (int i = static_cast<int>(threadIdx.x) % 8; row < s_.rows && i < sums; i += 8)
        squares += p_.scale.squares[row * sums + i];
      for (int mask = 4; mask > 0; mask /= 2) squares += gpu::shuffle_xor(squares, mask);
      const float mean = squares / static_cast<float>(p_.scale.columns);
      if (threadIdx.x % 8 == 0) store(scales_ + 4 * row, 1.0f / sqrtf(mean + p_.scale.epsilon));
    }
    sync_threads(kThreads);
  }

  __device__ void finish(float (&sums)[kSums], const float (&old)[kSums]) const {
    if (p_.scale.squares) {
#pragma unroll
      for (int j = 0; j < kOwnRows; ++j) {
        const float scale = load(scales_ + 4 * row_of(j));
#pragma unroll
        for (int h = 0; h < 2; ++h) sums[j / 2 * 4 + h * 2 + j % 2] *= scale;
      }
    }
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      sums[i] += old[i];
      if (const Place at = place_of(i); is_there(at)) *out_at(at) = gpu::narrow<Out>(sums[i]);
    }
  }

  // Of a thread's two columns.
  __device__ void load_norm(float (&norm)[2]) const {
    for (int h = 0; h < 2; ++h) {
      const int column = place_of(2 * h).column;
      norm[h] = p_.next_norm && column < s_.columns ? p_.next_norm[column] : 0.0f;
    }
  }

  __device__ void begin_norm(const float (&x)[kSums], const float (&norm)[2]) const {
    const auto thread = static_cast<int>(threadIdx.x);
    float squares[kOwnRows] = {};
#pragma unroll
    for (int i = 0; i < kSums; ++i) {
      const Place at = place_of(i);
      if (!is_there(at)) continue;
      squares[i / 4 * 2 + i % 2] += x[i] * x[i];
      p_.next.rows[std::int64_t{at.row} * s_.columns + at.column] =
          gpu::narrow<BF16>(x[i] * norm[i / 2 % 2]);
    }
#pragma unroll
    for (int j = 0; j < kOwnRows; ++j) {  // over the lanes that hold other columns of the row
      for (int mask = 4; mask < 32; mask *= 2) squares[j] += gpu::shuffle_xor(squares[j], mask);
      if (thread % 32 < 4)
        store(squares_ + 4 * (thread / 32 * kMostSplitRows + row_of(j)), squares[j]);
    }
    sync_threads(kThreads);
    if (thread >= s_.rows) return;
    float sum = 0;
    for (int warp = 0; warp < 4; ++warp)
      sum += load(squares_ + 4 * (warp * kMostSplitRows + thread));
    const int sums = (s_.columns + kColumns - 1) / kColumns;
    p_.next.squares[thread * sums + tile_] = sum;
  }

  const CUtensorMap& weights_;
  const CUtensorMap& rows_;
  const SplitShape& s_;
  const SplitProduct& p_;
  std::uint32_t full_, empty_;  // barriers, one a stage
  std::uint32_t last_flag_, scales_, squares_, ring_;
  int tile_, part_;
  int first_, count_;  // this block's chunks
};

template <int kRows, typename Out>
__global__ void __launch_bounds__(kThreads + 32, 1)
    split_product(const __grid_constant__ CUtensorMap weights,
                  const __grid_constant__ CUtensorMap rows,
                  const __grid_constant__ SplitShape shape,
                  const __grid_constant__ SplitProduct product) {
  if (kIsHopper) Split<kRows, Out>(weights, rows, shape, product).run();
}

template <int kRows, typename Out>
void launch(const SplitPlan& plan, const SplitProduct& p, const SplitShape& shape, Stream& stream) {
  const CUtensorMap weights = map_matrix(p.weight, p.n, p.k, p.k, kColumns);
  const CUtensorMap rows = map_matrix(p.in, p.rows, p.k, p.in_stride, kRows);
  const auto kernel = split_product<kRows, Out>;
  require(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize, plan.shared_bytes),
          "more shared memory for a kernel");
  gpu::launch(kernel,
              {.grid = {static_cast<unsigned>(plan.tiles * plan.parts)},
               .block = {kThreads + 32},
               .shared_bytes = static_cast<std::size_t>(plan.shared_bytes),
               .overlaps = true},
              stream, weights, rows, shape, p);
}

}  // namespace

void run_split_product(const SplitProduct& p, Stream& stream) {
  auto& cuda_stream = static_cast<CudaStream&>(stream);
  const SplitPlan plan = plan_split(p.n, p.k, p.rows, cuda_stream.multiprocessors());
  check(plan.tiles <= CudaStream::kCounters &&
            std::int64_t{plan.tiles} * plan.parts * plan.rows * kColumns <= CudaStream::kFloats,
        "more blocks than a stream has memory for");
  const CudaStream::Sums shared = cuda_stream.sums();
  const SplitShape shape = {.rows = static_cast<int>(p.rows),
                            .columns = static_cast<int>(p.n),
                            .parts = plan.parts,
                            .chunks = plan.chunks,
                            .stages = plan.stages,
                            .sums = shared.floats,
                            .arrived = shared.counters};
  const bool narrow = p.out.dtype == DType::BF16;
  if (plan.rows == 16)
    narrow ? launch<16, BF16>(plan, p, shape, stream) : launch<16, float>(plan, p, shape, stream);
  else
    narrow ? launch<32, BF16>(plan, p, shape, stream) : launch<32, float>(plan, p, shape, stream);
}

}  // namespace millrace::cuda::hopper
