// out[t] += sum over the token's experts e, in ascending order, of
//   weight_e * W2_e (silu(W1_e in[t]) * W3_e in[t])          (spec 6, step 8)
// Only the chosen experts' weights are read; rows are grouped by expert.
#pragma once

#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

// One expert's matrices; the experts of a layer agree in types and shapes.
struct ExpertView {
  TensorView w1;  // gate [width, hidden]
  TensorView w3;  // up   [width, hidden]
  TensorView w2;  // down [hidden, width]
};

// Expert: the view of one expert's matrices that the kernels read.
template <typename Expert>
struct ExpertsParams {
  MatrixView in;          // [rows, hidden]
  const Expert* experts;  // [expert_count]
  int expert_count;
  const std::int32_t* chosen;  // [rows][top_k], ascending in a row
  const float* weights;        // [rows][top_k]
  int top_k;
  MatrixView out;  // [rows, hidden], added to
  std::int64_t rows;
  std::int64_t width;
  // moe_experts_workspace_bytes() of memory that nobody else uses meanwhile.
  void* workspace;
};
using MoeExpertsParams = ExpertsParams<ExpertView>;

}  // namespace millrace
