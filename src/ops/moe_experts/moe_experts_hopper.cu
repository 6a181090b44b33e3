// Rows are sorted by expert; then every chosen expert's weights are read once for up to 128 of its
// rows (ops/hopper/hopper_product.cuh). Five kernels: places, rows, gate and up, down, and the
// weighted sum of each row's experts in ascending order. A pair is a row and one of its experts;
// where it lands among its expert's rows is left to chance and changes nothing.
#include "base/check.h"
#include "ops/hopper/hopper_launch.cuh"
#include "ops/moe_experts/moe_experts_hopper.h"

namespace millrace::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kSortThreads = 1024;
constexpr int kMostExperts = 512;

// Where everything lies in MoeExpertsParams::workspace; all of it at multiples of 16 bytes.
struct Layout {
  BF16* rows;            // [pairs][hidden], sorted by expert
  BF16* hidden;          // [pairs][width]
  float* down;           // [pairs][hidden]
  std::int32_t* place;   // [pairs]: among the sorted
  std::int32_t* source;  // [pairs]: the row of a place
  hopper::RowGroup* groups;
  std::int32_t* group_count;
};

Layout layout_of(const MoeExpertsParams& p) {
  const std::int64_t pairs = p.rows * p.top_k;
  auto* at = static_cast<std::byte*>(p.workspace);
  const auto take = [&](std::int64_t bytes) {
    std::byte* here = at;
    at += (bytes + 15) / 16 * 16;
    return here;
  };
  Layout l;
  l.down = reinterpret_cast<float*>(take(pairs * p.out.columns * 4));
  l.rows = reinterpret_cast<BF16*>(take(pairs * p.in.columns * 2));
  l.hidden = reinterpret_cast<BF16*>(take(pairs * p.width * 2));
  l.place = reinterpret_cast<std::int32_t*>(take(pairs * 4));
  l.source = reinterpret_cast<std::int32_t*>(take(pairs * 4));
  l.group_count = reinterpret_cast<std::int32_t*>(take(4));
  l.groups = reinterpret_cast<hopper::RowGroup*>(take(0));
  return l;
}

// One block: counts each expert's rows, gives every pair its place, and cuts an expert's rows into
// groups of at most `most`.
__global__ void __launch_bounds__(kSortThreads)
    sort_pairs(const std::int32_t* chosen, int pairs, int top_k, int experts, int most, Layout l) {
  __shared__ int next[kMostExperts];  // place of each expert's next pair
  __shared__ int first_group[kMostExperts];
  gpu::let_next_start();
  const int thread = static_cast<int>(threadIdx.x);
  for (int e = thread; e < experts; e += kSortThreads) next[e] = 0;
  __syncthreads();
  gpu::wait_for_previous();
  for (int i = thread; i < pairs; i += kSortThreads) gpu::add_atomic(&next[chosen[i]], 1);
  __syncthreads();
  const int count = thread < experts ? next[thread] : 0;
  __syncthreads();
  if (thread == 0) {
    int place = 0, group = 0;
    for (int e = 0; e < experts; ++e) {
      const int rows = next[e];
      next[e] = place;
      first_group[e] = group;
      place += rows;
      group += (rows + most - 1) / most;
    }
    *l.group_count = group;
  }
  __syncthreads();
  if (thread < experts)
    for (int done = 0, g = first_group[thread]; done < count; done += most, ++g)
      l.groups[g] = {thread, next[thread] + done, count - done < most ? count - done : most};
  __syncthreads();
  for (int i = thread; i < pairs; i += kSortThreads) {
    const int place = gpu::add_atomic(&next[chosen[i]], 1);
    l.place[i] = place;
    l.source[place] = i / top_k;
  }
}

// A block a place.
__global__ void __launch_bounds__(kThreads) sort_rows(MatrixView in, Layout l) {
  gpu::let_next_start();
  gpu::wait_for_previous();
  const BF16* from = static_cast<const BF16*>(in.data) + l.source[blockIdx.x] * in.stride;
  BF16* to = l.rows + blockIdx.x * in.columns;
  for (std::int64_t c = 8 * threadIdx.x; c < in.columns; c += 8 * kThreads)
    *reinterpret_cast<gpu::Bits16*>(to + c) = *reinterpret_cast<const gpu::Bits16*>(from + c);
}

// A thread adds up four columns of a row.
__global__ void __launch_bounds__(kThreads) add_up(MoeExpertsParams p, Layout l) {
  gpu::let_next_start();
  gpu::wait_for_previous();
  const std::int64_t t = blockIdx.y;
  const std::int64_t c = 4 * (std::int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (c >= p.out.columns) return;
  float* out = static_cast<float*>(p.out.data) + t * p.out.stride + c;
  gpu::Floats4 sum = gpu::load4(out);
  for (int j = 0; j < p.top_k; ++j) {
    const float weight = p.weights[t * p.top_k + j];
    const gpu::Floats4 v =
        gpu::load4(l.down + std::int64_t{l.place[t * p.top_k + j]} * p.out.columns + c);
    sum = {fmaf(weight, v.x, sum.x), fmaf(weight, v.y, sum.y), fmaf(weight, v.z, sum.z),
           fmaf(weight, v.w, sum.w)};
  }
  gpu::store4(out, sum);
}

struct GateAndUp {
  static constexpr int kParts = 2;
  BF16* hidden;
  std::int64_t width;

  struct Early {};
  __device__ Early early(int, int) const { return {}; }
  __device__ void operator()(int m, int n, const gpu::Floats4 (&sums)[2], Early) const {
    gpu::store4(hidden + m * width + n, {gated(sums[0].x, sums[1].x), gated(sums[0].y, sums[1].y),
                                         gated(sums[0].z, sums[1].z), gated(sums[0].w, sums[1].w)});
  }

 private:
  __device__ static float gated(float gate, float up) { return gate / (1.0f + expf(-gate)) * up; }
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

// The stack's first matrix.
const BF16* stack_of(const MoeExpertsParams& p, TensorView ExpertView::*member) {
  const TensorView& first = p.experts[0].*member;
  const TensorView& last = p.experts[p.expert_count - 1].*member;
  check(last.as<BF16>() == first.as<BF16>() + (p.expert_count - 1) * first.shape.elements(),
        "a GPU needs a layer's experts one behind the other");
  return first.as<BF16>();
}

}  // namespace

void run_moe_experts_hopper(const MoeExpertsParams& p, Stream& stream) {
  if (p.rows == 0) return;
  check(p.expert_count <= kMostExperts, "more experts than a block sorts");
  const Layout l = layout_of(p);
  const auto pairs = static_cast<int>(p.rows * p.top_k);
  const int multiprocessors = gpu::multiprocessors(stream);
  const int most = hopper::grouped_rows(pairs, p.expert_count);
  gpu::launch(sort_pairs, {.grid = {1}, .block = {kSortThreads}, .overlaps = true}, stream,
              p.chosen, pairs, p.top_k, p.expert_count, most, l);
  gpu::launch(sort_rows,
              {.grid = {static_cast<unsigned>(pairs)}, .block = {kThreads}, .overlaps = true},
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
  const std::int64_t per_block = 4 * kThreads;
  gpu::launch(add_up,
              {.grid = {static_cast<unsigned>((p.out.columns + per_block - 1) / per_block),
                        static_cast<unsigned>(p.rows)},
               .block = {kThreads},
               .overlaps = true},
              stream, p, l);
}

}  // namespace millrace::cuda
