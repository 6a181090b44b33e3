// out[t] = in[t] / sqrt(mean(in[t]^2) + epsilon) * weight (spec 4.2). No "+1" on the weight.
#pragma once

#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct RmsNormParams {
  MatrixView in;
  // Row t of `out` comes from row gather[t] of `in`; null: from row t.
  const std::int32_t* gather;
  const float* weight;  // [columns]; small vectors are kept in float
  MatrixView out;       // may be `in` where nothing is gathered
  std::int64_t rows;
  float epsilon;
};

}  // namespace millrace
