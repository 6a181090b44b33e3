// out += weight * in, and the norm of what follows is begun: scratch.rows = out * norm_weight in
// BF16, scratch.squares = sums of the squares of out (spec 4.2; see NormScratch). For a batch of
// decodes, where each kernel costs as much as its bytes.
#pragma once

#include "ops/matrix_view.h"
#include "ops/norm_scratch.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct LinearNormParams {
  MatrixView in;             // [rows, k]
  TensorView weight;         // [n, k]
  MatrixView out;            // [rows, n] F32: the residual stream
  std::int64_t rows;         // at most the key's
  const float* norm_weight;  // [n]
  NormScratch scratch;       // of n columns
};

}  // namespace millrace
