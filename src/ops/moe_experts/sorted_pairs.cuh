// Pairs of a row and one of its experts, sorted by expert, so that every chosen expert's weights
// are read once for many of its rows. Where a pair lands among its expert's is left to chance and
// changes nothing. Included by one source of a backend.
#pragma once

#include "base/check.h"
#include "ops/gpu_support.h"
#include "ops/moe_experts/moe_experts_params.h"
#include "ops/row_group.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kMoeThreads = 256;
constexpr int kSortThreads = 1024;
constexpr int kMostExperts = 512;

// Where everything lies in MoeExpertsParams::workspace; all of it at multiples of 16 bytes.
struct SortedPairs {
  BF16* rows;            // [pairs][hidden], sorted by expert: for who needs them so
  BF16* hidden;          // [pairs][width]
  float* down;           // [pairs][hidden]
  std::int32_t* place;   // [pairs]: among the sorted
  std::int32_t* source;  // [pairs]: the row of a place
  RowGroup* groups;
  std::int32_t* group_count;
};

inline SortedPairs lay_out_pairs(const MoeExpertsParams& p) {
  const std::int64_t pairs = p.rows * p.top_k;
  auto* at = static_cast<std::byte*>(p.workspace);
  const auto take = [&](std::int64_t bytes) {
    std::byte* here = at;
    at += (bytes + 15) / 16 * 16;
    return here;
  };
  SortedPairs l;
  l.down = reinterpret_cast<float*>(take(pairs * p.out.columns * 4));
  l.rows = reinterpret_cast<BF16*>(take(pairs * p.in.columns * 2));
  l.hidden = reinterpret_cast<BF16*>(take(pairs * p.width * 2));
  l.place = reinterpret_cast<std::int32_t*>(take(pairs * 4));
  l.source = reinterpret_cast<std::int32_t*>(take(pairs * 4));
  l.group_count = reinterpret_cast<std::int32_t*>(take(4));
  l.groups = reinterpret_cast<RowGroup*>(take(0));
  return l;
}

// One block: counts each expert's rows, gives every pair its place, and cuts an expert's rows into
// groups of at most `most`.
__global__ void __launch_bounds__(kSortThreads)
    sort_pairs(const std::int32_t* chosen, int pairs, int top_k, int experts, int most,
               SortedPairs l) {
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

// A thread adds up four columns of a row.
__global__ void __launch_bounds__(kMoeThreads) add_up(MoeExpertsParams p, SortedPairs l) {
  gpu::let_next_start();
  gpu::wait_for_previous();
  const std::int64_t t = blockIdx.y;
  const std::int64_t c = 4 * (std::int64_t{blockIdx.x} * kMoeThreads + threadIdx.x);
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

// The stack's first matrix.
inline const BF16* stack_of(const MoeExpertsParams& p, TensorView ExpertView::*member) {
  const TensorView& first = p.experts[0].*member;
  const TensorView& last = p.experts[p.expert_count - 1].*member;
  check(last.as<BF16>() == first.as<BF16>() + (p.expert_count - 1) * first.shape.elements(),
        "a GPU needs a layer's experts one behind the other");
  return first.as<BF16>();
}

// The kernel that sorts; groups have `most` rows at most.
inline void launch_sort(const MoeExpertsParams& p, const SortedPairs& l, int most, Stream& stream) {
  check(p.expert_count <= kMostExperts, "more experts than a block sorts");
  gpu::launch(sort_pairs, {.grid = {1}, .block = {kSortThreads}, .overlaps = true}, stream,
              p.chosen, static_cast<int>(p.rows * p.top_k), p.top_k, p.expert_count, most, l);
}

// And the one that ends it all.
inline void launch_add_up(const MoeExpertsParams& p, const SortedPairs& l, Stream& stream) {
  const std::int64_t per_block = 4 * kMoeThreads;
  gpu::launch(add_up,
              {.grid = {static_cast<unsigned>((p.out.columns + per_block - 1) / per_block),
                        static_cast<unsigned>(p.rows)},
               .block = {kMoeThreads},
               .overlaps = true},
              stream, p, l);
}

}  // namespace
}  // namespace millrace::MILLRACE_GPU
