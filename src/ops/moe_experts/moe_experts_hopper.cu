// Rows are sorted by expert; then every chosen expert's weights are read once for up to 128 of its
// rows (ops/hopper/hopper_product.cuh). Five kernels: places, rows, gate and up, down, and the
// weighted sum of each row's experts in ascending order.
#include "ops/hopper/hopper_launch.cuh"
#include "ops/moe_experts/moe_experts_hopper.h"
#include "ops/moe_experts/sorted_pairs.cuh"

namespace millrace::cuda {
namespace {

// A block a place.
__global__ void __launch_bounds__(kMoeThreads) sort_rows(MatrixView in, SortedPairs l) {
  gpu::let_next_start();
  gpu::wait_for_previous();
  const BF16* from = static_cast<const BF16*>(in.data) + l.source[blockIdx.x] * in.stride;
  BF16* to = l.rows + blockIdx.x * in.columns;
  for (std::int64_t c = 8 * threadIdx.x; c < in.columns; c += 8 * kMoeThreads)
    *reinterpret_cast<gpu::Bits16*>(to + c) = *reinterpret_cast<const gpu::Bits16*>(from + c);
}

struct GateAndUp {
  static constexpr int kParts = 2;
  BF16* hidden;
  std::int64_t width;

  struct Early {};
  __device__ Early early(int, int) const { return {}; }
  __device__ void operator()(int m, int n, const gpu::Floats4 (&sums)[2], Early) const {
    gpu::store4(hidden + m * width + n,
                {gpu::gated(sums[0].x, sums[1].x), gpu::gated(sums[0].y, sums[1].y),
                 gpu::gated(sums[0].z, sums[1].z), gpu::gated(sums[0].w, sums[1].w)});
  }
};

struct Down {
  static constexpr int kParts = 1;
  float* out;
  std::int64_t columns;

  struct Early {};
  __device__ Early early(int, int) const { return {}; }
  __device__ void operator()(int m, int n, const gpu::Floats4 (&sums)[1], Early) const {
    gpu::store4(out + m * columns + n, sums[0]);
  }
};

}  // namespace

void run_moe_experts_hopper(const MoeExpertsParams& p, Stream& stream) {
  if (p.rows == 0) return;
  const SortedPairs l = lay_out_pairs(p);
  const auto pairs = static_cast<int>(p.rows * p.top_k);
  const int multiprocessors = gpu::multiprocessors(stream);
  launch_sort(p, l, hopper::grouped_rows(pairs, p.expert_count), stream);
  gpu::launch(sort_rows,
              {.grid = {static_cast<unsigned>(pairs)}, .block = {kMoeThreads}, .overlaps = true},
              stream, p.in, l);
  hopper::Factors factors = {
      .weights = {stack_of(p, &ExpertView::w1), stack_of(p, &ExpertView::w3)},
      .k = p.in.columns,
      .in = l.rows,
      .in_stride = p.in.columns,
      .rows = pairs,
      .columns = p.width,
      .groups = l.groups,
      .group_count = l.group_count,
      .matrices = p.expert_count};
  hopper::launch_grouped(
      hopper::plan_grouped(p.width, p.in.columns, pairs, p.expert_count, 2, multiprocessors),
      factors, GateAndUp{l.hidden, p.width}, stream);
  factors.weights[0] = stack_of(p, &ExpertView::w2);
  factors.k = p.width;
  factors.in = l.hidden;
  factors.in_stride = p.width;
  factors.columns = p.out.columns;
  hopper::launch_grouped(
      hopper::plan_grouped(p.out.columns, p.width, pairs, p.expert_count, 1, multiprocessors),
      factors, Down{l.down, p.out.columns}, stream);
  launch_add_up(p, l, stream);
}

}  // namespace millrace::cuda
