// The oracle of experts, however their matrices lie: plain loops, sums in double.
#pragma once

#include <cmath>
#include <vector>

#include "base/thread_pool.h"
#include "ops/moe_experts/moe_experts_params.h"

namespace millrace {

// decode(matrix, row, out): one row of an expert's matrix as floats.
template <typename Expert, typename Decode>
void run_experts_reference(const ExpertsParams<Expert>& p, ThreadPool& pool, const Decode& decode) {
  // sum_k in[k] * matrix[j][k], for every row j of n
  const auto multiply = [&](const auto& matrix, std::int64_t n, const std::vector<double>& in) {
    std::vector<double> out(static_cast<std::size_t>(n));
    std::vector<float> row(in.size());
    for (std::int64_t j = 0; j < n; ++j) {
      decode(matrix, j, row.data());
      double sum = 0;
      for (std::size_t i = 0; i < row.size(); ++i) sum += in[i] * double{row[i]};
      out[static_cast<std::size_t>(j)] = sum;
    }
    return out;
  };
  pool.run(p.rows, [&](std::int64_t t) {
    const float* in_row = p.in.template row<float>(t);
    const std::vector<double> in(in_row, in_row + p.in.columns);
    std::vector<double> sum(in.size(), 0.0);
    for (int j = 0; j < p.top_k; ++j) {
      const Expert& expert = p.experts[p.chosen[t * p.top_k + j]];
      std::vector<double> hidden = multiply(expert.w1, p.width, in);
      const std::vector<double> up = multiply(expert.w3, p.width, in);
      for (std::size_t i = 0; i < hidden.size(); ++i)
        hidden[i] = hidden[i] / (1.0 + std::exp(-hidden[i])) * up[i];
      const std::vector<double> down = multiply(expert.w2, p.in.columns, hidden);
      for (std::size_t i = 0; i < sum.size(); ++i)
        sum[i] += double{p.weights[t * p.top_k + j]} * down[i];
    }
    for (std::size_t i = 0; i < sum.size(); ++i)
      p.out.template row<float>(t)[i] += static_cast<float>(sum[i]);
  });
}

}  // namespace millrace
