// What goes before the products of the norm_* ops: see NormScratch.
#pragma once

#include "device/device.h"
#include "ops/matrix_view.h"
#include "ops/norm_scratch.h"

namespace millrace::cuda::hopper {

struct NormRows {
  MatrixView in;        // [rows, k] F32
  const float* weight;  // [k]
  NormScratch out;
};

// k is a multiple of 8, everything 16-byte aligned.
void run_norm_rows(const NormRows& params, std::int64_t rows, Stream& stream);

}  // namespace millrace::cuda::hopper
