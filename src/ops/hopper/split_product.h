// The product of 9 to 32 rows of BF16 with a matrix of few columns on Hopper, with what stands
// before and behind it in a step of decodes. CUDA alone.
#pragma once

#include "device/device.h"
#include "ops/hopper/hopper_shape.h"
#include "ops/matrix_view.h"
#include "ops/norm_scratch.h"

namespace millrace::cuda::hopper {

// out = scale * (in * weight^T) (+ out).
struct SplitProduct {
  const BF16* weight;  // [n, k]
  std::int64_t n, k;   // multiples of 8
  const BF16* in;      // [rows, k], 16-byte aligned rows
  std::int64_t in_stride;
  std::int64_t rows;
  MatrixView out;     // [rows, n], F32 or BF16
  bool adds = false;  // to what is there: F32 alone
  RowScale scale = {};
  // The norm of `out`, begun: see NormScratch. Null: none.
  const float* next_norm = nullptr;  // [n]
  NormScratch next = {};
};

// For shapes that split_fits(), on Hopper.
void run_split_product(const SplitProduct& product, Stream& stream);

}  // namespace millrace::cuda::hopper
