// out = silu(w1 * u) * (w3 * u), u = rms_norm(in), for a few rows (spec 4.2, 4.5).
//
// in * norm_weight is rounded to BF16, the type that products read; 1 / rms multiplies the sums.
#pragma once

#include "ops/matrix_view.h"
#include "ops/norm_scratch.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct NormSwigluParams {
  MatrixView in;             // [rows, k] F32: the residual stream
  const float* norm_weight;  // [k]
  float epsilon;
  TensorView w1;   // gate [n, k]
  TensorView w3;   // up [n, k]
  MatrixView out;  // [rows, n]
  std::int64_t rows;
  NormScratch scratch;  // of k columns
  bool begun = false;   // linear_norm has filled it: `in` and norm_weight need not be read
};

}  // namespace millrace
