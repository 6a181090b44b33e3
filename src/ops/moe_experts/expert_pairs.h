// What CPU kernels of experts share: (token, expert) pairs in the order of their experts, so that
// each chosen expert's weights are read once a step.
#pragma once

#include <algorithm>

#include "base/thread_pool.h"
#include "ops/moe_experts/moe_experts_params.h"

namespace millrace {

// Lies in ExpertsParams::workspace, as moe_experts_workspace_bytes() counts it.
struct ExpertPairs {
  float* gate;          // [pairs][width]
  float* up;            // [pairs][width]
  float* down;          // [pairs][hidden]
  std::int32_t* row;    // [pairs]: token of each pair, pairs ordered by expert
  std::int32_t* place;  // [rows*top_k]: pair of each (token, choice)
  std::int32_t* first;  // [experts + 1]: first pair of each expert
  std::int32_t* used;   // [experts]: experts that have pairs
  int used_count;

  std::int64_t count_of(int expert) const { return first[expert + 1] - first[expert]; }
};

template <typename Expert>
ExpertPairs group_by_expert(const ExpertsParams<Expert>& p) {
  const std::int64_t count = p.rows * p.top_k;
  ExpertPairs pairs = {};
  pairs.gate = static_cast<float*>(p.workspace);
  pairs.up = pairs.gate + count * p.width;
  pairs.down = pairs.up + count * p.width;
  pairs.row = reinterpret_cast<std::int32_t*>(pairs.down + count * p.in.columns);
  pairs.place = pairs.row + count;
  pairs.first = pairs.place + count;
  pairs.used = pairs.first + p.expert_count + 1;
  std::fill_n(pairs.first, p.expert_count + 1, 0);
  for (std::int64_t i = 0; i < count; ++i) ++pairs.first[p.chosen[i] + 1];
  for (int e = 0; e < p.expert_count; ++e) {
    if (pairs.first[e + 1] > 0) pairs.used[pairs.used_count++] = e;
    pairs.first[e + 1] += pairs.first[e];
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int32_t pair = pairs.first[p.chosen[i]]++;
    pairs.row[pair] = static_cast<std::int32_t>(i / p.top_k);
    pairs.place[i] = pair;
  }
  for (int e = p.expert_count; e > 0; --e) pairs.first[e] = pairs.first[e - 1];
  pairs.first[0] = 0;
  return pairs;
}

// Each token adds up its pairs' `down`, in ascending order of the experts.
template <typename Expert>
void add_up(const ExpertsParams<Expert>& p, const ExpertPairs& pairs, ThreadPool& pool) {
  const std::int64_t hidden = p.in.columns;
  pool.run_ranges(p.rows, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) {
      float* out = p.out.template row<float>(t);
      for (int j = 0; j < p.top_k; ++j) {
        const float weight = p.weights[t * p.top_k + j];
        const float* down = pairs.down + pairs.place[t * p.top_k + j] * hidden;
        for (std::int64_t c = 0; c < hidden; ++c) out[c] += weight * down[c];
      }
    }
  });
}

}  // namespace millrace
