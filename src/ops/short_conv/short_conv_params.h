// The middle of LFM2's double-gated short convolution (spec 4.3): from g = [B | C | z],
//   v_t = B_t * z_t;  c_t = bias + sum_k kernel[k] * v_{t-(K-1)+k};  out_t = C_t * c_t.
// Columns of v before the span come from the sequence's ring, those before its start are zero;
// the span's own last columns are written back. Per channel, any K.
#pragma once

#include "ops/batch_view.h"
#include "ops/matrix_view.h"

namespace millrace {

struct ShortConvParams {
  MatrixView gates;     // [rows, 3*channels]: B, C, z
  const float* kernel;  // [taps][channels], tap taps-1 multiplies the current position
  const float* bias;    // [channels] or null
  int taps;             // K
  ConvStateView state;  // state.ring >= taps - 1
  MatrixView out;       // [rows, channels]
  BatchView batch;
};

}  // namespace millrace
