// The first half of the conv mixer for a few sequences of one new token each (spec 4.2, 4.3):
//   [B | C | z] = in_proj * rms_norm(in), then what ops/short_conv does with it.
//
// in * norm_weight is rounded to BF16, the type that products read; 1 / rms multiplies the sums.
// B, C and z are rounded to BF16 too, as short_conv finds them.
#pragma once

#include "ops/batch_view.h"
#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct NormShortConvParams {
  MatrixView in;             // [rows, k] F32: the residual stream
  const float* norm_weight;  // [k]
  float epsilon;
  TensorView in_proj;    // [3*channels, k]
  const float* in_bias;  // [3*channels] or null
  const float* kernel;   // [taps][channels]
  const float* bias;     // [channels] or null
  int taps;
  ConvStateView state;
  MatrixView out;   // [rows, channels]
  BatchView batch;  // row t is spans[t], one token each; at most NormShortConv::kMostRows rows
};

}  // namespace millrace
