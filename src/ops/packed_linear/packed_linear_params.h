// out[t][n] = residual[t][n] + bias[n] + sum_k in[t][k] * weight[n][k], weights packed for dot
// products of small integers or BF16, and `in` rounded to such numbers first (row_encoding.h).
//
// Every kernel computes one (t, n) by the same sequence of operations whatever the other rows are.
#pragma once

#include "ops/matrix_view.h"
#include "tensor/dtype.h"

namespace millrace {

// A matrix as pack_matrix() left it; borrows the memory.
struct PackedView {
  const void* panels = nullptr;  // aligned to 64 bytes
  DType dtype = DType::F32;      // as it was stored
  std::int64_t n = 0;
  std::int64_t k = 0;

  explicit operator bool() const { return panels != nullptr; }
};

struct PackedLinearParams {
  MatrixView in;        // [rows, k], F32
  PackedView weight;    // [n, k]
  const float* bias;    // [n] or null
  MatrixView residual;  // [rows, n] or empty; may be `out`
  MatrixView out;       // [rows, n], F32, may not overlap `in`
  std::int64_t rows;
};

}  // namespace millrace
