// out[t][n] = residual[t][n] + bias[n] + sum_k in[t][k] * weight[n][k].
//
// Every kernel computes one (t, n) by the same sequence of operations whatever the other rows
// are, so that a token's result does not depend on who shares its step (design.md 6).
#pragma once

#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct LinearParams {
  MatrixView in;        // [rows, k]
  TensorView weight;    // [n, k], any stored type
  const float* bias;    // [n] or null
  MatrixView residual;  // [rows, n] or empty; may be `out`
  MatrixView out;       // [rows, n], may not overlap `in`
  std::int64_t rows;
};

}  // namespace millrace
