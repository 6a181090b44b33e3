// What the references and cases of the fused ops share: a row of the residual stream, normalised as
// their contract says, times rows of weights; in double.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "tensor/half.h"

namespace millrace {

struct NormedRow {
  std::vector<float> values;  // in * norm_weight, as BF16 holds it
  double scale;               // 1 / rms
};

inline NormedRow normed_row(const float* in, const float* norm_weight, std::int64_t k,
                            double epsilon) {
  NormedRow row;
  double squares = 0;
  for (std::int64_t i = 0; i < k; ++i) {
    squares += double{in[i]} * in[i];
    row.values.push_back(to_float(to_bf16(in[i] * norm_weight[i])));
  }
  row.scale = 1 / std::sqrt(squares / static_cast<double>(k) + epsilon);
  return row;
}

struct NormedSum {
  double value;
  double size;  // of the terms, added up
};

inline NormedSum multiply(const NormedRow& row, const BF16* weight) {
  NormedSum sum = {};
  for (std::size_t i = 0; i < row.values.size(); ++i) {
    const double term = double{row.values[i]} * to_float(weight[i]) * row.scale;
    sum.value += term;
    sum.size += std::abs(term);
  }
  return sum;
}

inline double silu(double x) {
  return x / (1 + std::exp(-x));
}

}  // namespace millrace
