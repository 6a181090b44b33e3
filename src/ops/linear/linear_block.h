// The unit of work of the CPU's matrix products: some output columns of some rows, by one thread.
// Plain data, so that sources compiled for different instruction sets can share it.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// out[t][n] (+)= sum_k in[rows[t]][k] * weight[n][k] for n in [first, last), t in [0, count).
struct LinearBlock {
  DType dtype;
  const void* weight;  // row 0
  std::int64_t row_bytes;
  std::int64_t k;
  std::int64_t first, last;  // output columns
  const float* in;
  std::int64_t in_stride;       // floats
  const std::int32_t* in_rows;  // row of `in` for each t; null: t itself
  std::int64_t count;
  const float* bias;      // [n] or null
  const float* residual;  // null, or row 0 of what is added; may be `out`
  std::int64_t residual_stride;
  float* out;
  std::int64_t out_stride;
};

using LinearBlockFn = void (*)(const LinearBlock&);

namespace baseline {
void linear_block(const LinearBlock& block);
}
namespace avx2 {
void linear_block(const LinearBlock& block);
}
namespace avx512 {
void linear_block(const LinearBlock& block);
}

// Output columns that one block should have, so that blocks keep all threads busy.
constexpr std::int64_t kLinearColumns = 64;

}  // namespace millrace
