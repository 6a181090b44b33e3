// out = weight * rms_norm(in) for a few rows: the norm of spec 4.2 on the way into the product.
//
// in * norm_weight is rounded to BF16, the type that products read; 1 / rms multiplies the sums.
#pragma once

#include "ops/matrix_view.h"
#include "ops/norm_scratch.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct NormLinearParams {
  MatrixView in;  // [., k] F32: the residual stream
  // Row t of `out` comes from row gather[t] of `in`; null: from row t.
  const std::int32_t* gather;
  const float* norm_weight;  // [k]
  float epsilon;
  TensorView weight;  // [n, k]
  MatrixView out;     // [rows, n]
  std::int64_t rows;  // at most the key's
  // Of k columns; for more than NormLinear::kFewRows, which are not gathered.
  NormScratch scratch = {};
  bool begun = false;  // linear_norm has filled it: `in` and norm_weight need not be read
};

}  // namespace millrace
